"""An answer whose headers have arrived: its bytes, under clocks and caps; what had arrived is handed out first.

It looks into aiohttp's `StreamReader`; the transport's tests fail when what it looks at changes.
"""
# ruff: noqa: SLF001
# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import io
from typing import NoReturn

import aiohttp

from ..errors import APIConnectionError, APIError, APIResponseError, CompletionError
from ..http import Headers
from .answers import RawResponse
from .connection_limit import ConnectionLimit
from .errors import is_malformed, name_of, timed_out
from .timeouts import TimeoutWatch

_MUCH = 6 * 1024 * 1024
_MANY_TIMES = 100
"""A compressed body is a bomb where more than `_MUCH` bytes have been decoded, and more than so many for each byte that
had to be received for them: text is packed ten to one, zeros a thousand to one."""

_ENCODINGS = frozenset(("gzip", "deflate", "identity", ""))
"""Content encodings that are asked for; an answer in another one would be read as it is, undecoded."""

_DRAIN = 0.05
"""Seconds a finished stream's connection may take to end properly and be kept."""

_FAIR_SHARE = 64 * 1024
"""Bytes handed out without waiting before other tasks get their turn."""


class Response:
    """An answer whose headers have arrived: read its bytes, then it gives its connection back by itself."""

    __slots__ = (
        "_answer",
        "_before",
        "_content",
        "_draining",
        "_end",
        "_home",
        "_loop",
        "_own",
        "_received",
        "_run",
        "_slots",
        "_watch",
        "headers",
        "status",
    )

    def __init__(
        self,
        answer: RawResponse,
        watch: TimeoutWatch,
        home: set[Response],
        slots: ConnectionLimit,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.status = answer.status
        self.headers = Headers(answer.raw_headers)
        self._answer = answer
        self._content = answer.content
        self._own = answer.own
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
        content, own = self._content, self._own
        if (content.exception() if own is None else own._exception) is not None:
            return self._last_bytes()
        if content.at_eof() if own is None else own._eof and not own._buffer:
            self._leave()
            return b""
        if content._size:
            data = content._read_nowait(-1) if own is None else own.take()
            if content.total_compressed_bytes is not None:
                self._refuse_bombs(content.total_compressed_bytes)
            self._run += len(data)
            if self._run > _FAIR_SHARE:
                self._run = 0
                await self._give_way()
            return data
        self._run = 0
        # Here and not in functions of their own, ours and aiohttp's: each one that waits costs time for each chunk, and
        # an open stream a quarter of a kilobyte.
        watch = self._watch
        name = watch.wait()
        if name is not None:
            self._fail(name)
        came: bytes | None = None
        try:
            if own is None:
                came = await content.readany()
            else:
                while not own._buffer and not own._eof:
                    if own._exception is not None:
                        raise RuntimeError  # set while the end of the body, which brings no bytes, woke this reader
                    if own._waiter is not None or own._protocol.transport is None:
                        raise RuntimeError  # as aiohttp does: nothing will come, or for somebody else
                    waiter = own._waiter = self._loop.create_future()
                    try:
                        await waiter
                    finally:
                        own._waiter = None
                came = own.take()
        except (aiohttp.ClientError, OSError, RuntimeError):
            pass
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
        # aiohttp's read_nowait raises first and loses what arrived.
        data = self._content._read_nowait(-1) if self._own is None else self._own.take()
        if data:
            return data
        self._fail(self._watch.expired, fault)

    def _fail(self, clock: str | None, fault: BaseException | None = None) -> NoReturn:
        self.close()
        if self._end is not None:
            raise self._end
        if clock is not None:
            raise timed_out(clock, self._watch)
        if is_malformed(fault):
            raise APIResponseError("the answer's body is not encoded as its headers say", maybe_billed=True)
        raise APIConnectionError(
            f"the connection was lost while the answer came in ({name_of(fault)})", phase="body", maybe_billed=True
        )

    async def read_all(self, limit: int) -> bytes:
        """The whole body.

        Raises:
            APIResponseError: it is longer than `limit` bytes, or announced to be.
        """
        announced = self.headers.first("content-length")
        if announced is not None and announced.isdecimal() and int(announced) > limit:
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
        return (self.headers.first("content-encoding") or "").strip().lower()

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
            self._watch.deadline = None

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
        self._answer.close()
        self._leave()

    def _leave(self) -> None:
        self._watch.stop()
        if self._draining is not None:
            self._draining.cancel()
        if self in self._home:
            self._home.discard(self)
            self._slots.release()
