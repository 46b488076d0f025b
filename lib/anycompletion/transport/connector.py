"""Connections: opened through a gate, kept for a while, and never handed out when something was heard on them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import select
import ssl
import warnings
from collections.abc import Callable
from time import monotonic
from typing import Any, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection

from .errors import MalformedBodyError
from .timeouts import TimeoutWatch

KEEP_ALIVE = 15.0
"""Seconds an idle connection is kept: shorter than common servers do, so that they rarely close it under us."""

MAX_HEADER = 64 * 1024
MAX_HEADERS = 256
"""Of an answer: error pages of proxies have long ones."""

_READ = 64 * 1024
"""Bytes read at once. asyncio asks the system for 256 KiB, and makes room for them for each chunk of a stream: so much
that the C library fetches and returns the pages each time, which takes several times as long as reading a chunk."""

MAX_CONNECTING = 128
"""Connections being opened at the same time; more at once starve the loop."""


class PooledConnection(ResponseHandler):
    """A connection that knows whether the peer has said anything since it was handed out.

    It closes itself when something comes that nobody has asked for: aiohttp would hand it to the next request as its
    answer. And it tells the reader of a body when that stops being HTTP: aiohttp drops such a body without a word, and
    its reader would wait until a clock runs out.
    """

    received_any = False
    idle = False
    """Whether it is kept for a next request."""
    _unread: Callable[[], bool] | None = None
    _buffer_paused = False  # aiohttp has it since 3.14.4

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open."""
        super().connection_made(transport)
        reader: Any = getattr(transport, "_ssl_protocol", transport)
        with contextlib.suppress(AttributeError, TypeError):  # other event loops have other ways to read
            if reader.max_size > _READ:
                reader.max_size = _READ

    def close(self) -> None:
        """Closes it. What is unsent is dropped: closing would send it first, to a peer that may never read it."""
        transport = self.transport
        if transport is not None and transport.get_write_buffer_size():
            self.abort()
        else:
            super().close()

    def is_quiet(self) -> bool:
        """Whether nothing has come, and no end, that the event loop has not handed on yet."""
        if self._unread is None:
            if self.transport is None:
                return False
            self._unread = _readable(self.transport.get_extra_info("socket").fileno())
        return not self._unread()

    def resume_reading(self, resume_parser: bool = True) -> None:
        """A reader has made room; told after each read, whether reading was paused or not."""
        if self._reading_paused or self._buffer_paused:
            super().resume_reading(resume_parser)

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        if data and self.idle:
            self.close()
            return
        if data:  # with none aiohttp goes on with what it holds
            self.received_any = True
        super().data_received(data)
        if self.idle and self.should_close:
            self.close()  # the answer ended in these bytes, and another one began
        if self._exception is not None:
            body = self._payload
            if body is not None and body.exception() is None and not body.is_eof():
                body.set_exception(MalformedBodyError())


def _readable(descriptor: int) -> Callable[[], bool]:
    """A look whether bytes, or an end, wait to be read; it takes half a microsecond."""
    if not hasattr(select, "poll"):
        return lambda: bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return lambda: bool(poll.poll(0))


class SendDeferred(Exception):
    """The request was not sent, because it must wait after all."""


class Connector(aiohttp.TCPConnector):
    """Opens at most so many connections at a time, and knows which task got a fresh one.

    Four privates of aiohttp are overridden; the transport's tests fail when they change.
    """

    def __init__(self, ssl_context: ssl.SSLContext | None) -> None:
        self._pid = os.getpid()
        trusted = True if ssl_context is None else ssl_context
        super().__init__(limit=0, keepalive_timeout=KEEP_ALIVE, ssl=trusted)  # pyright: ignore[reportUnknownMemberType]
        self._factory = cast("functools.partial[ResponseHandler]", functools.partial(PooledConnection, loop=self._loop))
        self._gate = asyncio.Semaphore(MAX_CONNECTING)
        self.sending: dict[asyncio.Task[Any], TimeoutWatch] = {}
        """Tasks that wait for an answer's headers."""

    @property
    def is_inherited(self) -> bool:
        """Whether a fork brought it here: closing a connection would then take it off the parent's event loop."""
        return self._pid != os.getpid()

    def detach_after_fork(self) -> None:
        """Lets go without closing anything."""
        self._closed = True

    def __del__(self, _warnings: Any = warnings) -> None:
        if self._closed:
            return  # and modules may be gone already, when the interpreter ends
        if self.is_inherited:
            self.detach_after_fork()
        super().__del__(_warnings)

    def acquire_idle(self, key: ConnectionKey, watch: TimeoutWatch | None) -> PooledConnection | None:
        """A kept connection on which nothing was heard since; None if there is none."""
        kept = self._conns.get(key)
        if kept is None or (watch is not None and watch.fresh):
            return None
        now = monotonic()
        found: PooledConnection | None = None
        while kept and found is None:
            wire, since = kept.popleft()
            if (
                wire.is_connected()
                and now - since <= KEEP_ALIVE
                and isinstance(wire, PooledConnection)
                and wire.is_quiet()
            ):
                found = wire
            else:
                wire.close()
        if not kept:
            del self._conns[key]
        if found is None:
            return None
        found.received_any = found.idle = False
        self._acquired.add(found)
        if watch is not None:
            watch.kept, watch.connected = found, True
        return found

    async def open(
        self, request: aiohttp.ClientRequest, watch: TimeoutWatch, timeout: aiohttp.ClientTimeout
    ) -> PooledConnection:
        """A new connection to where `request` goes."""
        task = asyncio.current_task()
        assert task is not None, "an event loop runs tasks"
        self.sending[task] = watch
        try:
            connection = await self.connect(request, [], timeout)
        finally:
            self.sending.pop(task, None)
        wire, connection._protocol = connection.protocol, None  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] (it would close what it holds when it goes)
        assert isinstance(wire, PooledConnection), "the factory makes these"
        return wire

    def release(self, key: ConnectionKey, wire: PooledConnection, *, cut: bool) -> None:
        """Keeps a connection for a next request, or closes it."""
        transport = wire.transport
        # An answer may come before the request was sent whole; what is unsent must not stand before the next one.
        unsent = transport is not None and transport.get_write_buffer_size() > 0
        self._release(key, wire, should_close=cut or unsent)

    async def _get(self, key: ConnectionKey, traces: Any) -> Connection | None:
        wire = self.acquire_idle(key, self._current())
        return None if wire is None else Connection(self, key, wire, self._loop)

    def _release(self, key: Any, protocol: ResponseHandler, *, should_close: bool = False) -> None:
        super()._release(key, protocol, should_close=should_close)
        if isinstance(protocol, PooledConnection):
            protocol.idle = True

    async def _create_connection(self, req: Any, traces: Any, timeout: aiohttp.ClientTimeout) -> Any:
        watch = self._current()
        if watch is not None:
            watch.kept, watch.connected = None, False
        # The clock starts behind the gate, so that queueing is no connect fault; the total covers it.
        async with self._gate, asyncio.timeout(timeout.sock_connect):
            if watch is not None and watch.must_defer is not None and watch.must_defer():
                raise SendDeferred
            connection = await super()._create_connection(req, traces, timeout)
        if watch is not None:
            watch.connected = True
        return connection

    def _current(self) -> TimeoutWatch | None:
        task = asyncio.current_task()
        return None if task is None else self.sending.get(task)


@functools.lru_cache(64)
def connect_timeout(seconds: float | None) -> aiohttp.ClientTimeout:
    """Bounds opening a connection and nothing else: all other clocks are ours."""
    return aiohttp.ClientTimeout(total=None, sock_connect=seconds)
