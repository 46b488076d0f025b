"""HTTP without a network: both ends of a connection in one event loop; opens no socket, thread or descriptor."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import aiohttp
from aiohttp import web

_HIGH_WATER = 256 * 1024
"""Bytes that may wait for their reader before the writer is paused."""


class _MemoryTransport(asyncio.Transport):
    """One end of a connection; bytes written here arrive at the other end in the next turn of the event loop."""

    def __init__(self, protocol: asyncio.Protocol, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__({"peername": ("127.0.0.1", 0), "sockname": ("127.0.0.1", 0)})
        self._protocol = protocol
        self._loop = loop
        self._other: _MemoryTransport | None = None
        self._inbox: deque[bytes] = deque()
        self._size = 0
        self._reading = True
        self._pauses_writer = False
        """Whether the other end was paused."""
        self._scheduled = False
        """Whether a delivery is scheduled."""
        self._closing = False
        self._ended: BaseException | bool = False
        """What follows the inbox: nothing yet, the end, or an error."""
        self._lost = False

    def connect_to(self, other: _MemoryTransport) -> None:
        """Connects this end and notifies its protocol."""
        self._other = other
        self._protocol.connection_made(self)

    # --- writing ---

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if data and not self._closing and self._other is not None:
            self._other.receive(bytes(data))

    def can_write_eof(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0 if self._other is None else self._other.waiting

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    # --- reading ---

    @property
    def waiting(self) -> int:
        """Bytes that were not read yet."""
        return self._size

    def receive(self, data: bytes) -> None:
        """Receives bytes that the other end wrote."""
        if self._closing:
            return
        self._inbox.append(data)
        self._size += len(data)
        if self._size > _HIGH_WATER and not self._pauses_writer and self._other is not None:
            self._pauses_writer = True
            self._other.protocol.pause_writing()
        self._deliver_soon()

    def end(self, error: BaseException | None) -> None:
        """Ends this end after the other one closed; bytes that arrived before are still delivered."""
        if not self._ended:
            self._ended = True if error is None else error
            self._deliver_soon()

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self._deliver_soon()

    def is_reading(self) -> bool:
        return self._reading and not self._closing

    def _deliver_soon(self) -> None:
        if not self._scheduled and self._reading and (self._inbox or self._ended):
            self._scheduled = True
            self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        self._scheduled = False
        if self._lost or not self._reading:
            return
        if self._inbox and not self._closing:
            data = b"".join(self._inbox)
            self._inbox.clear()
            self._size = 0
            self._protocol.data_received(data)
            if self._pauses_writer and self._other is not None:
                self._pauses_writer = False
                self._other.protocol.resume_writing()
            self._deliver_soon()
        elif self._ended:
            error = self._ended if isinstance(self._ended, BaseException) else None
            if error is None and not self._closing:
                self._protocol.eof_received()
            self._closing = True
            self._lose(error)

    # --- closing ---

    @property
    def protocol(self) -> asyncio.Protocol:
        """The protocol that reads here."""
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = cast("asyncio.Protocol", protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._close(None)

    def abort(self) -> None:
        self._close(ConnectionResetError("the other end closed the connection"))

    def _close(self, error: BaseException | None) -> None:
        if self._closing:
            return
        self._closing = True
        if self._other is not None:
            self._other.end(error)
        if not self._loop.is_closed():
            self._loop.call_soon(self._lose, None)

    def _lose(self, error: BaseException | None) -> None:
        if self._lost:
            return
        self._lost = True
        other, self._other = self._other, None
        self._inbox.clear()
        if other is not None:
            other.end(error)
        self._protocol.connection_lost(cast("Exception | None", error))


def connect(client: asyncio.Protocol, server: asyncio.Protocol, loop: asyncio.AbstractEventLoop) -> None:
    """Connects two protocols."""
    near, far = _MemoryTransport(client, loop), _MemoryTransport(server, loop)
    far.connect_to(near)
    near.connect_to(far)


class MemoryConnector(aiohttp.BaseConnector):
    """Connects every request, whatever host it is for, to a server that runs in the same event loop.

    Args:
        make_runner: returns the server; it is set up at the first request.
    """

    def __init__(self, make_runner: Callable[[], web.AppRunner]) -> None:
        # Connections are not reused: a client that is never closed leaves none open.
        super().__init__(force_close=True, limit=0)
        self._make_runner = make_runner
        self._starting: asyncio.Task[web.AppRunner] | None = None

    async def _create_connection(self, req: Any, traces: Any, timeout: aiohttp.ClientTimeout) -> Any:
        if self._starting is None:
            self._starting = self._loop.create_task(self._start())
        runner = await asyncio.shield(self._starting)
        server = runner.server
        assert server is not None, "it was set up"
        client = self._factory()
        connect(client, server(), self._loop)
        return client

    async def _start(self) -> web.AppRunner:
        runner = self._make_runner()
        await runner.setup()
        return runner

    async def stop(self) -> None:
        """Ends the server; the connector itself is closed with its session."""
        starting, self._starting = self._starting, None
        if starting is not None:
            await (await starting).cleanup()
