"""Connections: opened through a gate, kept for a while, and not used again once something unexpected arrived on them.

Only this module and `http1` use private members of aiohttp's connector; `body` uses those of its `StreamReader`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import select
import socket
import ssl
from collections.abc import AsyncGenerator, Callable
from time import monotonic
from typing import Any, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection

from .._async import running_task
from .errors import MalformedBodyError

KEEP_ALIVE = 15.0
"""Seconds an idle connection is kept: shorter than common servers do, so that they rarely close it while it is used."""

MAX_HEADER_LINE = 64 * 1024
"""Bytes of one header of a response: error pages of proxies have long ones."""

MAX_HEADER_COUNT = 256
"""Headers of a response."""

_READ = 64 * 1024
"""Bytes read at once. asyncio asks the system for 256 KiB and allocates them for each chunk of a stream: so much that
the C library returns the pages to the system each time, which takes several times as long as reading a chunk."""

MAX_CONNECTING = 128
"""Connections being opened to one address at the same time; more at once starve the event loop."""

_KEEP_ALIVE_OPTIONS = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 60), ("TCP_KEEPCNT", 5))
"""Options of TCP: after 60 s of silence 5 probes, 60 s apart. A model may be silent for minutes, and firewalls and NAT
drop such connections without notice to the peers."""


class SendState:
    """State of one `Pool.send`, its repetition on a fresh connection included.

    It holds what the request asks of the connector, and what the connector did.
    """

    __slots__ = ("_on_connection", "connect_timeout", "fresh_only", "may_have_sent", "must_defer", "reused")

    def __init__(
        self,
        connect_timeout: float | None = None,
        must_defer: Callable[[], bool] | None = None,
        on_connection: Callable[[], object] | None = None,
    ) -> None:
        self.connect_timeout = connect_timeout
        self._on_connection = on_connection
        self.must_defer = must_defer
        """Asked before a connection is opened: whether the request must not be sent now."""
        self.fresh_only = False
        """Whether the request must not get a kept connection."""
        self.may_have_sent = False
        """Whether the server may have received some of the request, so that the reply may be billed."""
        self.reused: PooledConnection | None = None
        """The kept connection that the request was sent on."""

    def has_connection(self, reused: PooledConnection | None = None) -> None:
        """Called when there is a connection, on which the request is then sent; `reused` if it is a kept one."""
        self.reused, self.may_have_sent = reused, True
        if self._on_connection is not None:
            self._on_connection()

    def is_keep_alive_race(self, error: BaseException) -> bool:
        """Whether `error` is that of a kept connection that was lost without a byte of a response."""
        if self.reused is None or self.reused.received_any:
            return False
        return isinstance(error, (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)) and not isinstance(
            error, aiohttp.ClientConnectorError
        )


class SendDeferred(Exception):
    """The request was not sent, because it must wait after all."""


class PooledConnection(ResponseHandler):
    """A connection that knows whether anything was received since it was last taken from the pool.

    It closes itself when bytes arrive while it is idle: aiohttp would take them for the response to the next request.
    And it fails the body of a response that stops being valid HTTP: aiohttp drops such a body, and its reader would
    wait until a timeout expires.
    """

    received_any = False
    idle = False
    """Whether it is in the pool, unused."""
    _is_readable: Callable[[], bool] | None = None
    _buffer_paused = False  # aiohttp has it since 3.14.4

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called when the connection is open."""
        super().connection_made(transport)
        reader: Any = getattr(transport, "_ssl_protocol", transport)
        with contextlib.suppress(AttributeError, TypeError):  # other event loops have other ways to read
            if reader.max_size > _READ:
                reader.max_size = _READ
        _probe_when_silent(transport.get_extra_info("socket"))

    def close(self) -> None:
        """Closes it. Unsent bytes are dropped: closing would first send them, to a peer that may never read them."""
        transport = self.transport
        if transport is not None and transport.get_write_buffer_size():
            self.abort()
        else:
            super().close()

    def has_unread_bytes(self) -> bool:
        """Whether bytes or an end have arrived that the event loop has not read yet; True if it is closed."""
        if self._is_readable is None:
            if self.transport is None:
                return True
            self._is_readable = _readable(self.transport.get_extra_info("socket").fileno())
        return self._is_readable()

    async def drain(self) -> None:
        """Waits until more can be written."""
        await self._drain_helper()

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Reads on if reading is paused; aiohttp calls this after each read."""
        if self._reading_paused or self._buffer_paused:
            super().resume_reading(resume_parser)

    def data_received(self, data: bytes) -> None:
        """Called with bytes that arrived; aiohttp itself calls it with b"" to parse bytes that it has kept back."""
        if data:
            if self.idle:
                self.close()
                return
            self.received_any = True
        super().data_received(data)
        if self.idle and self.should_close:
            self.close()  # the response ended in these bytes, and something else followed it
        if self._exception is not None:
            body = self._payload
            if body is not None and body.exception() is None and not body.is_eof():
                body.set_exception(MalformedBodyError())


def _probe_when_silent(opened: socket.socket | None) -> None:
    """Turns TCP keep-alive on, as far as the platform has its options."""
    if opened is None or opened.family not in (socket.AF_INET, socket.AF_INET6):
        return
    with contextlib.suppress(OSError):  # the connection is lost already
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEP_ALIVE_OPTIONS:
            if hasattr(socket, name):
                opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _readable(descriptor: int) -> Callable[[], bool]:
    """A check whether bytes, or an end, can be read from a descriptor; it takes half a microsecond."""
    if not hasattr(select, "poll"):
        return lambda: bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return lambda: bool(poll.poll(0))


class _ConnectGate:
    """The gate of one address, and how many tasks are in it or before it."""

    __slots__ = ("open", "users")

    def __init__(self) -> None:
        self.open = asyncio.Semaphore(MAX_CONNECTING)
        self.users = 0


class Connector(aiohttp.TCPConnector):
    """Opens at most `MAX_CONNECTING` connections to one address at the same time, and knows each task's `SendState`.

    Private members of aiohttp's connector are overridden; tests fail when they change.
    """

    def __init__(self, ssl_context: ssl.SSLContext | None) -> None:
        self._pid = os.getpid()
        trusted = True if ssl_context is None else ssl_context
        super().__init__(limit=0, keepalive_timeout=KEEP_ALIVE, ssl=trusted)  # pyright: ignore[reportUnknownMemberType]
        self._factory = cast("functools.partial[ResponseHandler]", functools.partial(PooledConnection, loop=self._loop))
        self._connecting: dict[tuple[str | None, int | None], _ConnectGate] = {}
        """Host and port → the gate of connections that are being opened there: an address that does not answer must not
        delay connections to others."""
        self.sending: dict[asyncio.Task[Any], SendState] = {}
        """Tasks that wait for the headers of a response, or for a connection.

        Here `_create_connection` finds the state of its request: aiohttp's `connect` does not pass it on.
        """

    @property
    def is_inherited(self) -> bool:
        """Whether a fork brought it here: closing a connection would then take it off the parent's event loop."""
        return self._pid != os.getpid()

    @property
    def idle_connections(self) -> int:
        """Connections kept for a next request."""
        return sum(map(len, self._conns.values()))

    def detach_after_fork(self) -> None:
        """Forgets all connections without closing them."""
        self._closed = True

    def __del__(self, _warnings: object = None) -> None:
        # Without aiohttp's warning: the client that was not closed warns already.
        if self._closed:
            return  # and modules may be gone already, when the interpreter ends
        if self.is_inherited:
            self.detach_after_fork()
        elif self._conns:
            self._close()

    def acquire_idle(self, key: ConnectionKey, state: SendState | None) -> PooledConnection | None:
        """A kept connection on which nothing has arrived since; None if there is none."""
        kept = self._conns.get(key)
        if kept is None or (state is not None and state.fresh_only):
            return None
        now = monotonic()
        found: PooledConnection | None = None
        while kept and found is None:
            connection, since = kept.popleft()
            if (
                connection.is_connected()
                and now - since <= KEEP_ALIVE
                and isinstance(connection, PooledConnection)
                and not connection.has_unread_bytes()
            ):
                found = connection
            else:
                connection.close()
        if not kept:
            del self._conns[key]
        if found is None:
            return None
        found.received_any = found.idle = False
        self._acquired.add(found)
        if state is not None:
            state.has_connection(found)
        return found

    async def open(self, request: aiohttp.ClientRequest, state: SendState) -> PooledConnection:
        """A new connection to the server of `request`, or a kept one that has become idle meanwhile."""
        task = running_task()
        self.sending[task] = state
        try:
            connection = await self.connect(request, [], timeout_of(state.connect_timeout))
        finally:
            self.sending.pop(task, None)
        # The wrapper would close the connection when it is collected.
        opened, connection._protocol = connection.protocol, None  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        assert isinstance(opened, PooledConnection), "the factory makes these"
        return opened

    def release(self, key: ConnectionKey, connection: PooledConnection, *, cut: bool) -> None:
        """Keeps a connection for a next request; closes it if it was `cut` off in the middle of an exchange."""
        transport = connection.transport
        # A response may come before the request was sent whole; the next request must not follow what is unsent.
        unsent = transport is not None and transport.get_write_buffer_size() > 0
        self._release(key, connection, should_close=cut or unsent)

    async def _get(self, key: ConnectionKey, traces: Any) -> Connection | None:
        found = self.acquire_idle(key, self._current())
        return None if found is None else Connection(self, key, found, self._loop)

    def _release(self, key: Any, protocol: ResponseHandler, *, should_close: bool = False) -> None:
        super()._release(key, protocol, should_close=should_close)
        if isinstance(protocol, PooledConnection):
            protocol.idle = True

    async def _create_connection(self, req: Any, traces: Any, timeout: aiohttp.ClientTimeout) -> Any:
        state = self._current()
        if state is not None:
            state.reused, state.may_have_sent = None, False
        # The timeout starts behind the gate, so that queueing is no connect timeout; the total covers it.
        async with self._gate(req.url.host, req.url.port), asyncio.timeout(timeout.sock_connect):
            if state is not None and state.must_defer is not None and state.must_defer():
                raise SendDeferred
            connection = await super()._create_connection(req, traces, timeout)
        if state is not None:
            state.has_connection()
        return connection

    @contextlib.asynccontextmanager
    async def _gate(self, host: str | None, port: int | None) -> AsyncGenerator[None]:
        """Lets a connection to this address be opened."""
        gate = self._connecting.get((host, port))
        if gate is None:
            gate = self._connecting[host, port] = _ConnectGate()
        gate.users += 1
        try:
            async with gate.open:
                yield
        finally:
            gate.users -= 1
            if not gate.users:
                del self._connecting[host, port]

    def _current(self) -> SendState | None:
        task = asyncio.current_task()
        return None if task is None else self.sending.get(task)


@functools.lru_cache(64)
def timeout_of(connect: float | None) -> aiohttp.ClientTimeout:
    """aiohttp's timeouts, of which only that for opening a connection is used: all others are our own."""
    return aiohttp.ClientTimeout(total=None, sock_connect=connect)
