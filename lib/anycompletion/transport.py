"""The only socket: aiohttp pools, one per provider, under our own clocks and byte caps; knows no record and no dialect.

Strategy:

* aiohttp's own timeouts, redirects, cookies and environment proxies stay off. `sock_read` would lose bytes that had
  arrived and fire on slow consumers; its total would cut long healthy streams.
* One timer handle serves all clocks of an exchange. It is set once and asks, when it fires, which clock has run out;
  so a read costs no timer.
* A clock runs only while we wait for the peer. Before the headers it cancels the task that waits (and takes the
  cancellation back, as `asyncio.timeout` does); after them it closes the response, which wakes the reader.
* When the road fails, what had arrived is handed out first and the error after it.
* Errors are ours and are raised outside the `except` block: aiohttp's hold the request's headers.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import io
import math
import os
import select
import ssl
import warnings
import weakref
from base64 import b64encode
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, Protocol, cast

import aiohttp
import attrs
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import ContentLengthError, HttpProcessingError, TransferEncodingError
from yarl import URL

from .errors import (
    APIConnectionError,
    APIError,
    APIResponseError,
    APITimeoutError,
    ClientClosedError,
    CompletionError,
    ConfigurationError,
)
from .wire import Headers, MaskedValue

KEEP_ALIVE = 15.0
"""Seconds an idle connection is kept: shorter than common servers do, so that they rarely close it under us."""

GATE = 128
"""Connections being opened at the same time; more at once starve the loop."""

STARTS = 64
"""Requests that begin in one turn of the event loop. Each takes a tenth of a millisecond, and thousands at once would
keep everything else waiting for as long as all of them take."""

MAX_JSON = 32 * 1024 * 1024
"""Decoded bytes of a whole reply."""

MAX_ERROR_BODY = 64 * 1024
"""Decoded bytes read of an error's body."""

_MUCH = 6 * 1024 * 1024
_MANY_TIMES = 100
"""A compressed body is a bomb where more than `_MUCH` bytes have been decoded, and more than so many for each byte that
had to be received for them: text is packed ten to one, zeros a thousand to one."""

_ENCODINGS = frozenset(("gzip", "deflate", "identity", ""))
"""Content encodings that are asked for; an answer in another one would be read as it is, undecoded."""

_MAX_HEADER = 64 * 1024
_MAX_HEADERS = 256
_DRAIN = 0.05
"""Seconds a finished stream's connection may take to end properly and be kept."""

_FAIR_SHARE = 64 * 1024
"""Bytes handed out without waiting before other tasks get their turn."""

_URLS = 64
"""Addresses a pool remembers; an app that has more (one per customer) reads them anew."""

_BIG_BODY = 512 * 1024
"""Bytes; a larger body goes out in pieces, so that it does not block the loop."""


@attrs.define(eq=False)
class Clocks:
    """What bounds one exchange: seconds, except `deadline`, which is a time of the loop's clock."""

    connect: float | None = None
    first_chunk: float | None = None
    idle: float | None = None
    deadline: float | None = None


class _Timer:
    """The one timer of a pool: it fires no later than the first limit of all watches, and looks which are overdue.

    While there are watches it also fires every now and then, so that most limits lie later than the time it is set to,
    and a request costs no timer of its own; when there are none, it soon goes.
    """

    __slots__ = ("__weakref__", "_at", "_handle", "_loop", "watches")

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handle: asyncio.TimerHandle | None = None
        self._at = math.inf
        self.watches: set[_Watch] = set()

    def expect(self, when: float, loop: asyncio.AbstractEventLoop) -> None:
        """Makes sure that it fires by then."""
        if when < self._at:
            if self._handle is None:
                when = min(when, loop.time() + _NOW_AND_THEN)
            self.stop()
            # Weakly, or a client that is dropped would live on with its timer.
            weak: weakref.ref[_Timer] = weakref.ref(self)
            self._at, self._handle = when, loop.call_at(when, _fire, weak, loop)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle, self._at = None, math.inf

    def fire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._handle, self._at = None, math.inf
        now = loop.time()
        later = [limit for watch in tuple(self.watches) if (limit := watch.check(now)) is not None]
        if later:
            self.expect(max(min(later), now + _COALESCE), loop)


def _fire(timer: weakref.ref[_Timer], loop: asyncio.AbstractEventLoop) -> None:
    alive = timer()
    if alive is not None:
        alive.fire(loop)


_NOW_AND_THEN = 0.2
"""Seconds."""

_COALESCE = 0.01
"""Seconds between two looks at all watches at least: many limits that lie close together are one look."""


class _Watch:
    """The clocks of an exchange."""

    __slots__ = (
        "_loop",
        "_timer",
        "clocks",
        "connected",
        "expired",
        "first_by",
        "fresh",
        "held",
        "kept",
        "task",
        "waiting_since",
        "wake",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clocks: Clocks,
        task: asyncio.Task[Any],
        held: Callable[[], bool] | None,
        timer: _Timer,
    ) -> None:
        self._loop = loop
        self._timer = timer
        self.clocks = clocks
        self.task: asyncio.Task[Any] | None = task
        self.held = held
        """Asked before a connection is opened: whether the request must wait after all."""
        self.connected = False
        """Whether the peer may have seen something of the request."""
        self.kept: _Wire | None = None
        """The kept connection that the request went out on."""
        self.fresh = False
        """Whether the request must not get a kept connection."""
        self.first_by: float | None = None
        self.waiting_since: float | None = None
        """Since when a reader waits for bytes after the headers; None while nobody does."""
        self.expired: str | None = None
        self.wake: aiohttp.ClientResponse | None = None
        timer.watches.add(self)
        if clocks.deadline is not None:
            timer.expect(clocks.deadline, loop)

    def begin(self) -> None:
        """The request is about to be sent: waiting for an answer begins."""
        if self.clocks.first_chunk is not None:
            self.first_by = self._loop.time() + self.clocks.first_chunk
            self._timer.expect(self.first_by, self._loop)

    def wait(self) -> str | None:
        """A reader is about to wait for bytes; the name of a clock that has run out already."""
        self.waiting_since = now = self._loop.time()
        limit = self._limit()
        if limit is None:
            return None
        if limit[0] <= now:
            return limit[1]
        self._timer.expect(limit[0], self._loop)
        return None

    def stop(self) -> None:
        """Nobody waits any more."""
        self._timer.watches.discard(self)

    def give_up(self) -> None:
        """Ends the wait for the headers, whatever the clocks say."""
        self.stop()
        if self.task is not None and self.expired is None:
            self.expired = "close"
            self.task.cancel()

    def check(self, now: float) -> float | None:
        """Ends the wait if a clock has run out; else the time at which one will."""
        if self.task is None and self.waiting_since is None:
            return None  # nobody waits: the next wait sets the timer again
        limit = self._limit()
        if limit is None or self.expired is not None:
            return None
        if limit[0] > now:
            return limit[0]
        self.expired = limit[1]
        if self.task is not None:
            self.task.cancel()
        elif self.wake is not None:
            _close(self.wake)
        return None

    def _limit(self) -> tuple[float, str] | None:
        """The earliest time at which a clock runs out, and its name."""
        clocks = self.clocks
        if self.first_by is not None:
            limit = (self.first_by, "first_chunk")
        elif self.waiting_since is not None and clocks.idle is not None:
            limit = (self.waiting_since + clocks.idle, "idle")
        elif clocks.deadline is not None:
            return (clocks.deadline, "total")
        else:
            return None
        return limit if clocks.deadline is None or clocks.deadline >= limit[0] else (clocks.deadline, "total")


class Exchange:
    """An answer whose headers have arrived: read its bytes, then it gives its connection back by itself."""

    __slots__ = (
        "_before",
        "_content",
        "_draining",
        "_end",
        "_home",
        "_loop",
        "_received",
        "_response",
        "_run",
        "_slots",
        "_watch",
        "headers",
        "status",
    )

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        watch: _Watch,
        home: set[Exchange],
        slots: Slots,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.status = response.status
        self.headers = Headers(response.raw_headers)
        self._response = response
        # The request's address and headers take as much memory as an open answer does, and nobody asks it for them.
        response._request_info = cast("aiohttp.RequestInfo", None)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        self._content = response.content
        self._watch = watch
        self._home = home
        self._slots = slots
        self._loop = loop
        self._end: CompletionError | None = None
        """What a reader gets after `close`."""
        self._run = 0
        self._received = self._before = 0
        """Compressed bytes of the body, and the same without what came last: that may not be decoded yet."""
        self._draining: asyncio.TimerHandle | None = None
        """Ends the wait for the end of a body that nobody reads any more."""
        home.add(self)

    async def read(self) -> bytes:
        """The next bytes, decoded from their content encoding; b"" at the end of the body.

        Raises:
            APIConnectionError: the road failed or a clock ran out; everything that had arrived was handed out before.
        """
        content = self._content
        if content.exception() is not None:
            return self._last_bytes()
        data = content.read_nowait()
        if data:
            if content.total_compressed_bytes is not None:
                self._refuse_bombs(content.total_compressed_bytes)
            self._run += len(data)
            if self._run > _FAIR_SHARE:
                self._run = 0
                await self._give_way()
            return data
        if content.at_eof():
            self._leave()
            return b""
        self._run = 0
        # Here and not in a function of its own: each one that waits costs an open stream a quarter of a kilobyte.
        watch = self._watch
        name = watch.wait()
        if name is not None:
            self._fail(name)
        try:
            came = await content.readany()
        except (aiohttp.ClientError, OSError, RuntimeError):
            came = None
        except asyncio.CancelledError:
            # A body half read belongs to nobody: the connection must not be used again.
            self.close()
            raise
        finally:
            watch.waiting_since = None
        if came is None:
            return self._last_bytes()
        if not came:
            self._leave()
        elif content.total_compressed_bytes is not None:
            self._refuse_bombs(content.total_compressed_bytes)
        return came

    async def _give_way(self) -> None:
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.close()  # as in `read`
            raise

    def _refuse_bombs(self, received: int) -> None:
        if received != self._received:
            self._before, self._received = self._received, received
        if self._content.total_bytes > max(_MUCH, _MANY_TIMES * self._before):
            self._too_large()

    def _last_bytes(self) -> bytes:
        """After a failure: first what aiohttp still holds, then the error."""
        fault = self._content.exception()
        data = self._content._read_nowait(-1)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] (read_nowait raises first and loses what arrived)
        if data:
            return data
        self._fail(self._watch.expired, fault)

    def _fail(self, clock: str | None, fault: BaseException | None = None) -> NoReturn:
        self.close()
        if self._end is not None:
            raise self._end
        if clock is not None:
            raise _timed_out(clock, self._watch.clocks)
        if _is_malformed(fault):
            raise APIResponseError("the answer's body is not encoded as its headers say", maybe_billed=True)
        raise APIConnectionError(
            f"the connection was lost while the answer came in ({_name(fault)})", phase="body", maybe_billed=True
        )

    async def read_all(self, limit: int) -> bytes:
        """The whole body.

        Raises:
            APIResponseError: it is longer than `limit` bytes, or announced to be.
        """
        if (self._response.content_length or 0) > limit:
            self._too_large()
        data = await self.read()
        if not data or self._content.at_eof():
            self._leave()
            return self._capped(data, limit)
        # What arrives stays out of this frame's locals: a caller who gives up gets a traceback with it.
        body = io.BytesIO()
        body.write(data)
        del data
        while body.tell() <= limit and body.write(await self.read()):
            pass
        return self._capped(body.getvalue(), limit)

    def _capped(self, data: bytes, limit: int) -> bytes:
        if len(data) > limit:
            self._too_large()
        return data

    def _too_large(self) -> NoReturn:
        self.close()
        raise APIResponseError("the answer is larger than this client accepts", maybe_billed=True)

    def require_encoding(self) -> None:
        """Refuses a good answer in a content encoding that was not asked for; a bad one says enough by its status.

        Raises:
            APIResponseError: it is in another one.
        """
        encoding = self._encoding()
        if encoding in _ENCODINGS or self.status >= 300:
            return
        self.close()
        raise APIResponseError(
            f"the answer is encoded as {encoding[:40]!r}, which was not asked for",
            status_code=self.status,
            maybe_billed=True,
        )

    def _encoding(self) -> str:
        return self._response.headers.get("Content-Encoding", "").strip().lower()

    async def read_some(self, limit: int) -> bytes:
        """At most `limit` bytes of an error's body; the road failing meanwhile only makes it shorter."""
        body = io.BytesIO()
        if self._encoding() not in _ENCODINGS:
            limit = 0
        try:
            while body.tell() < limit and body.write(await self.read()):
                pass
        except APIError:
            pass
        self.close()
        return body.getvalue()[:limit]

    def first_event(self, *, keep_deadline: bool) -> None:
        """The first event of a stream arrived: its clock stops, and so does a total nobody asked for."""
        self._watch.first_by = None
        if not keep_deadline:
            self._watch.clocks.deadline = None

    def release(self) -> None:
        """The format's end was seen: lets the body end on its own for a moment, so that the connection is kept."""
        self._watch.stop()
        if self._content.is_eof() or self._content.exception() is not None:
            self._leave()
        elif self in self._home:
            self._draining = self._loop.call_later(_DRAIN, self.close)
            self._content.on_eof(self._leave)

    def close(self, end: CompletionError | None = None) -> None:
        """Closes the connection unless the body had ended; a reader that waits gets `end` or a connection error."""
        if self._end is None:
            self._end = end
        _close(self._response)
        self._leave()

    def _leave(self) -> None:
        self._watch.stop()
        if self._draining is not None:
            self._draining.cancel()
        if self in self._home:
            self._home.discard(self)
            self._slots.give()


def _close(response: aiohttp.ClientResponse) -> None:
    """Closes an answer and wakes who reads it, by an error of its own.

    aiohttp has a single one for all readers: with each that is woken, it keeps more of their frames, for ever.
    """
    if response.content.exception() is None:
        response.content.set_exception(aiohttp.ClientConnectionError("closed"))
    response.close()


class _Wire(ResponseHandler):
    """A connection that knows whether the peer has said anything since it was handed out.

    It closes itself when something comes that nobody has asked for: aiohttp would hand it to the next request as its
    answer. And it tells the reader of a body when that stops being HTTP: aiohttp drops such a body without a word, and
    its reader would wait until a clock runs out.
    """

    heard = False
    idle = False
    """Whether it is kept for a next request."""
    _unread: Callable[[], bool] | None = None

    def is_quiet(self) -> bool:
        """Whether nothing has come, and no end, that the event loop has not handed on yet."""
        if self._unread is None:
            if self.transport is None:
                return False
            self._unread = _readable(self.transport.get_extra_info("socket").fileno())
        return not self._unread()

    def data_received(self, data: bytes) -> None:
        if data and self.idle:
            self.close()
            return
        if data:  # with none aiohttp goes on with what it holds
            self.heard = True
        super().data_received(data)
        if self.idle and self.should_close:
            self.close()  # the answer ended in these bytes, and another one began
        if self._exception is not None:
            body = self._payload
            if body is not None and body.exception() is None and not body.is_eof():
                body.set_exception(_NotHTTPError())


def _readable(descriptor: int) -> Callable[[], bool]:
    """A look whether bytes, or an end, wait to be read; it takes half a microsecond."""
    if not hasattr(select, "poll"):
        return lambda: bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return lambda: bool(poll.poll(0))


class _NotHTTPError(aiohttp.ClientPayloadError):
    """The body stopped being HTTP."""


class _Connector(aiohttp.TCPConnector):
    """Opens at most so many connections at a time, and knows which task got a fresh one.

    Four privates of aiohttp are overridden; the transport's tests fail when they change.
    """

    def __init__(self, **options: Any) -> None:
        self._pid = os.getpid()
        super().__init__(**options)  # pyright: ignore[reportUnknownMemberType]
        self._factory = cast("functools.partial[ResponseHandler]", functools.partial(_Wire, loop=self._loop))
        self._gate = asyncio.Semaphore(GATE)
        self.sending: dict[asyncio.Task[Any], _Watch] = {}
        """Tasks that wait for an answer's headers."""

    @property
    def is_inherited(self) -> bool:
        """Whether a fork brought it here: closing a connection would then take it off the parent's event loop."""
        return self._pid != os.getpid()

    def abandon(self) -> None:
        """Lets go without closing anything."""
        self._closed = True

    def __del__(self, _warnings: Any = warnings) -> None:
        if self._closed:
            return  # and modules may be gone already, when the interpreter ends
        if self.is_inherited:
            self.abandon()
        super().__del__(_warnings)

    async def _get(self, key: Any, traces: Any) -> Any:
        watch = self._current()
        if watch is not None and watch.fresh:
            return None
        while (connection := await super()._get(key, traces)) is not None:
            wire = connection.protocol
            if not isinstance(wire, _Wire):
                break
            if not wire.is_quiet():
                connection.close()
                continue
            wire.heard = wire.idle = False
            if watch is not None:
                watch.kept, watch.connected = wire, True
            break
        return connection

    def _release(self, key: Any, protocol: ResponseHandler, *, should_close: bool = False) -> None:
        super()._release(key, protocol, should_close=should_close)
        if isinstance(protocol, _Wire):
            protocol.idle = True

    async def _create_connection(self, req: Any, traces: Any, timeout: aiohttp.ClientTimeout) -> Any:
        watch = self._current()
        if watch is not None:
            watch.kept, watch.connected = None, False
        # The clock starts behind the gate, so that queueing is no connect fault; the total covers it.
        async with self._gate, asyncio.timeout(timeout.sock_connect):
            if watch is not None and watch.held is not None and watch.held():
                raise Held
            connection = await super()._create_connection(req, traces, timeout)
        if watch is not None:
            watch.connected = True
        return connection

    def _current(self) -> _Watch | None:
        task = asyncio.current_task()
        return None if task is None else self.sending.get(task)


class Held(Exception):
    """The request was not sent, because it must wait after all."""


class Slots(Protocol):
    """What bounds the exchanges of a pool."""

    def take_now(self) -> bool:
        """Takes a slot if there is one."""
        ...

    async def take(self) -> None:
        """Waits for a slot."""
        ...

    def give(self) -> None:
        """Gives a slot back."""
        ...

    def ran_out(self) -> None:
        """There are fewer than was thought."""
        ...


class _Starts:
    """Lets so many requests begin in one turn of the event loop, and the others in the next ones, in their order."""

    __slots__ = ("_left", "_waiters")

    def __init__(self) -> None:
        self._left = STARTS
        self._waiters: deque[asyncio.Future[None]] = deque()

    def take_now(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether there is room in this turn, and nobody waits."""
        if not self._left or self._waiters:
            return False
        self._take(loop)
        return True

    async def take(self, loop: asyncio.AbstractEventLoop) -> None:
        """Waits for a turn with room."""
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiters.append(waiter)
        await waiter

    def _take(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._left == STARTS:
            loop.call_soon(self._next, loop)
        self._left -= 1

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        """A new turn."""
        self._left = STARTS
        while self._left and self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():  # as it is when its request was cancelled
                waiter.set_result(None)
                self._take(loop)


class Pool:
    """The connections to one provider; opened by the first request."""

    def __init__(
        self,
        slots: Slots,
        *,
        session: aiohttp.ClientSession | None = None,
        proxy: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._slots = slots
        self._starts = _Starts()
        self._given = session
        self._session = session
        self._connector: _Connector | None = None
        self._ssl_context = ssl_context
        self._live: set[Exchange] = set()
        self._timeouts: dict[float | None, aiohttp.ClientTimeout] = {}
        self._pauses: set[asyncio.Future[None]] = set()
        self._timer = _Timer()
        self._urls: dict[str, URL] = {}
        self._closed = False
        self._proxy, self._proxy_headers = _proxy_of(proxy)

    def __repr__(self) -> str:
        kept = 0 if self._connector is None else sum(map(len, self._connector._conns.values()))  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] (a repr that tells the state)
        return f"<Pool live={len(self._live)} kept={kept}>"

    @property
    def live(self) -> int:
        """Exchanges whose body has not ended."""
        return len(self._live)

    async def send(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: bytes | None,
        clocks: Clocks,
        held: Callable[[], bool] | None = None,
    ) -> Exchange:
        """Sends one request and waits for the headers of its answer, whatever their status.

        A kept connection that the server closes before one byte of an answer is replaced once, without anybody
        noticing: the server never saw the request.

        Raises:
            APIConnectionError: no answer; `.phase` says how far it came.
            APITimeoutError: a clock ran out.
            APIResponseError: the answer is no HTTP.
            ClientClosedError: the pool is closed, or was closed meanwhile.
            Held: `held` said so before a connection was opened; nothing was sent.
        """
        if self._closed:
            raise _closed_error()
        task = asyncio.current_task()
        assert task is not None, "an event loop runs tasks"
        session = self._open()
        watch = _Watch(task.get_loop(), clocks, task, held, self._timer)
        connector = self._connector
        if connector is not None:
            connector.sending[task] = watch
        try:
            while True:
                exchange = await self._try(session, method, url, headers, body, watch, task)
                if exchange is not None:
                    return exchange
                watch.fresh = True  # so this happens once
        except BaseException:  # whatever ended the wait, cancellation too, its clocks must not outlive it
            watch.stop()
            raise
        finally:
            if connector is not None:
                connector.sending.pop(task, None)

    async def _try(
        self,
        session: aiohttp.ClientSession,
        method: str,
        url: str,
        headers: dict[str, str],
        body: bytes | None,
        watch: _Watch,
        task: asyncio.Task[Any],
    ) -> Exchange | None:
        """One request; None where it is to be repeated on a fresh connection."""
        cancelling = task.cancelling()
        again = has_slot = False
        try:
            if not self._starts.take_now(task.get_loop()):
                await self._starts.take(task.get_loop())
            if not self._slots.take_now():
                await self._slots.take()
            has_slot = True
            if watch.held is not None and watch.held():
                raise Held  # a rest began while this request waited here
            watch.connected = self._connector is None
            watch.begin()
            response = await self._request(session, method, url, headers, body, watch.clocks)
            has_slot = False
            watch.task = watch.held = None
            watch.wake = response
            exchange = Exchange(response, watch, self._live, self._slots, task.get_loop())
            exchange.require_encoding()
            return exchange
        except asyncio.CancelledError:
            if watch.expired is None or task.uncancel() > cancelling:
                raise
            error: APIError = _timed_out(watch.expired, watch.clocks, queued=not has_slot, sent=watch.connected)
        except (aiohttp.ClientError, OSError, ValueError) as fault:
            error = _translate(fault, watch.clocks, sent=watch.connected)
            again = _is_keep_alive_race(fault, watch)
            if _errno(fault) in (errno.EMFILE, errno.ENFILE):
                self._slots.ran_out()
        finally:
            if has_slot:
                self._slots.give()
        if self._closed:
            raise _closed_error()
        if again:
            return None
        raise error

    def _request(
        self,
        session: aiohttp.ClientSession,
        method: str,
        url: str,
        headers: dict[str, str],
        body: bytes | None,
        clocks: Clocks,
    ) -> Awaitable[aiohttp.ClientResponse]:
        return session.request(
            method,
            self._urls.get(url) or self._url(url),
            data=body if body is None or len(body) < _BIG_BODY else io.BytesIO(body),
            # A proxy that is asked for plain http reads the request itself.
            headers={**headers, **self._proxy_headers} if self._proxy_headers and url.startswith("http:") else headers,
            allow_redirects=False,
            proxy=self._proxy,
            proxy_headers=self._proxy_headers or None,
            timeout=self._timeouts.get(clocks.connect) or self._timeout(clocks.connect),
        )

    def _url(self, url: str) -> URL:
        """A URL that is read once, and not for every request."""
        if len(self._urls) > _URLS:
            self._urls.clear()
        read = self._urls[url] = URL(url, encoded=True)
        return read

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._connector = _Connector(
                limit=0,
                keepalive_timeout=KEEP_ALIVE,
                ssl=self._ssl_context if self._ssl_context is not None else True,
            )
            self._session = aiohttp.ClientSession(
                connector=self._connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                trust_env=False,
                max_line_size=_MAX_HEADER,
                max_field_size=_MAX_HEADER,
                max_headers=_MAX_HEADERS,
            )
        return self._session

    def _timeout(self, connect: float | None) -> aiohttp.ClientTimeout:
        known = self._timeouts.get(connect)
        if known is None:
            known = self._timeouts[connect] = aiohttp.ClientTimeout(total=None, sock_connect=connect)
        return known

    async def pause(self, delay: float) -> None:
        """Waits `delay` seconds, or less when the pool is closed: the next `send` then says so."""
        if self._closed:
            raise _closed_error()
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        handle = loop.call_later(delay, _wake, waiter)
        self._pauses.add(waiter)
        try:
            await waiter
        finally:
            handle.cancel()
            self._pauses.discard(waiter)

    def abandon(self) -> None:
        """Lets go without closing anything: after a fork the sockets belong to the parent."""
        self._closed = True
        if self._connector is not None:
            self._connector.abandon()
            if self._session is not None:
                self._session.detach()
        self._session = self._connector = None
        self._live = set()

    def shut(self) -> None:
        """Refuses further requests and wakes everybody who waits in the pool, at once."""
        self._closed = True
        for exchange in tuple(self._live):
            # Closing the session alone would leave readers waiting for ever.
            exchange.close(_closed_error())
        for watch in tuple(self._timer.watches):
            # Nor would a task notice that is still connecting.
            watch.give_up()
        self._timer.stop()
        for waiter in self._pauses:
            _wake(waiter)

    async def aclose(self) -> None:
        """Closes the pool; a session that was given stays open."""
        if self._connector is not None and self._connector.is_inherited:
            self.abandon()
            return
        self.shut()
        session, self._session = self._session, None
        if session is not None and session is not self._given:
            await session.close()


def _proxy_of(proxy: str | None) -> tuple[URL | None, dict[str, str]]:
    """A proxy's address and, apart from it, the password: aiohttp's frames would show it in a URL.

    Raises:
        ConfigurationError: it is no URL of a proxy.
    """
    if not proxy:
        return None, {}
    url = _url_of(proxy)
    if url is None:
        raise ConfigurationError("proxy: expected the URL of an HTTP proxy, such as http://proxy.example:3128")
    if url.user is None:
        return url, {}
    login = b64encode(f"{url.user}:{url.password or ''}".encode()).decode()
    return url.with_user(None), {"Proxy-Authorization": MaskedValue(f"Basic {login}")}


def _url_of(proxy: str) -> URL | None:
    try:
        url = URL(proxy)
    except ValueError:
        return None
    return url if url.scheme in ("http", "https") and url.host else None


def _is_keep_alive_race(fault: BaseException, watch: _Watch) -> bool:
    """Whether a kept connection died under the request without a byte of an answer."""
    if watch.kept is None or watch.kept.heard:
        return False
    return isinstance(fault, (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)) and not isinstance(
        fault, aiohttp.ClientConnectorError
    )


def _errno(fault: BaseException) -> int | None:
    return fault.os_error.errno if isinstance(fault, aiohttp.ClientConnectorError) else getattr(fault, "errno", None)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _closed_error() -> ClientClosedError:
    return ClientClosedError("the client was closed; make calls inside `async with AsyncCompletion() as client:`")


def _is_malformed(fault: BaseException | None) -> bool:
    """Whether a body ended because it is not what its headers say, and not because the connection did."""
    cause = None if fault is None else fault.__cause__
    return isinstance(fault, _NotHTTPError) or (
        isinstance(cause, HttpProcessingError) and not isinstance(cause, (ContentLengthError, TransferEncodingError))
    )


def _name(fault: BaseException | None) -> str:
    return "closed" if fault is None else type(fault).__name__


def _timed_out(clock: str, clocks: Clocks, *, queued: bool = False, sent: bool = True) -> APITimeoutError:
    limit = {"connect": clocks.connect, "first_chunk": clocks.first_chunk, "idle": clocks.idle}.get(clock)
    said = f" of {limit:g} s" if limit is not None else ""
    where = " in the queue for a connection" if queued else ""
    return APITimeoutError(
        f"the {clock} timeout{said} ran out{where}", phase=clock, maybe_billed=sent and clock != "connect"
    )


def _translate(fault: BaseException, clocks: Clocks, *, sent: bool) -> APIError:
    """Our error for one of aiohttp's or the system's; its text names the host at most.

    What fails before something was `sent` fails on the way to the provider, at a proxy.
    """
    match fault:
        case aiohttp.ServerTimeoutError() | TimeoutError():
            return _timed_out("connect", clocks)
        case aiohttp.ClientConnectorCertificateError():
            reason = getattr(fault.certificate_error, "verify_message", None) or "certificate refused"
            return APIConnectionError(f"TLS to {fault.host} failed: {reason}", phase="connect", retryable=False)
        case aiohttp.ClientSSLError():
            return APIConnectionError(f"TLS to {fault.host} failed: {fault.os_error.strerror}", phase="connect")
        case aiohttp.ClientProxyConnectionError():
            return APIConnectionError(f"the proxy cannot be reached: {fault.os_error.strerror}", phase="connect")
        case aiohttp.ClientConnectorDNSError():
            return APIConnectionError(f"the host {fault.host} was not found", phase="connect")
        case aiohttp.ClientConnectorError():
            return APIConnectionError(f"no connection to {fault.host}: {fault.os_error.strerror}", phase="connect")
        case aiohttp.ClientHttpProxyError():
            return APIConnectionError(
                f"the proxy answered with status {fault.status}", phase="connect", retryable=fault.status >= 500
            )
        case aiohttp.ClientResponseError():
            return APIResponseError("the answer is not HTTP this client can read", maybe_billed=sent)
        case aiohttp.InvalidURL() | ValueError():
            return APIConnectionError("the URL or a header cannot be sent", phase="send", retryable=False)
        case _ if not sent:
            return APIConnectionError(f"the connection was lost while it was made ({_name(fault)})", phase="connect")
        case _:
            return APIConnectionError(
                f"the connection was lost before an answer came ({_name(fault)})", phase="headers", maybe_billed=True
            )
