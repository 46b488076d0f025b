"""What answers requests and logs them, on 127.0.0.1 for an `async with` block; never listens anywhere else."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from abc import ABC, abstractmethod
from typing import Any, Self

from aiohttp import web

from .request_log import RecordedRequest

_LARGEST = 64 * 1024 * 1024
"""Bytes of a request's body."""

_KEPT = 100_000
"""Requests in the log; after that the oldest go, so that a server left running does not fill the memory."""

STALL = 30.0
"""Seconds that a stalled answer waits for its client to leave."""

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time to linger: closing sends a reset."""


class Answerer(ABC):
    """Answers requests, however they come in, and keeps a log of them."""

    def __init__(self) -> None:
        self.requests: list[RecordedRequest] = []
        """The requests in the order they came, each with how its answer went out. The list may be cleared."""
        self._live: dict[RecordedRequest, web.Request] = {}
        self._closing = False

    @abstractmethod
    async def _respond(self, request: web.Request, record: RecordedRequest) -> web.StreamResponse:
        """Answers one request; what subclasses are for."""

    @abstractmethod
    def _provider_of(self, path: str) -> str:
        """The provider that a path belongs to; empty for none."""

    def make_runner(self) -> web.AppRunner:
        """What speaks HTTP for this; it is not set up yet."""
        app = web.Application(client_max_size=_LARGEST)
        app.router.add_route("*", "/{tail:.*}", self._serve)
        # Without handler_cancellation a handler that sleeps would not notice that its client has left.
        return web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.25)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        record = await self._record(request)
        self._live[record] = request
        try:
            return await self._respond(request, record)
        except asyncio.CancelledError:
            record.closed_by_client = not self._closing and not record.ended.is_set()
            raise
        except ConnectionError:
            record.closed_by_client = not self._closing and not record.ended.is_set()
            return web.Response()  # Goes nowhere; raising would be logged as a failure of this server.
        finally:
            del self._live[record]
            record.ended.set()

    async def _record(self, request: web.Request) -> RecordedRequest:
        raw = await request.read()
        record = RecordedRequest(
            provider=self._provider_of(request.path),
            method=request.method,
            path=request.path,
            query=dict(request.query),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=_parsed(raw),
            raw=raw,
            received_at=asyncio.get_running_loop().time(),
        )
        self.requests.append(record)
        del self.requests[:-_KEPT]
        return record


class LoopbackServer(Answerer):
    """What the servers of this package share: their life."""

    def __init__(self, *, host: str, port: int) -> None:
        super().__init__()
        if host not in ("127.0.0.1", "localhost"):
            raise ValueError(f"this server only listens on 127.0.0.1, not on {host!r}")
        if not 0 <= port <= 65535:
            raise ValueError(f"port must be from 0 to 65535, got {port}")
        self._port = port
        self._runner: web.AppRunner | None = None
        self._url: str | None = None

    @property
    def url(self) -> str:
        """The root, such as ``http://127.0.0.1:40123``.

        Raises:
            RuntimeError: the server was never started.
        """
        if self._url is None:
            raise RuntimeError(f"{type(self).__name__} is not running; use it in `async with`")
        return self._url

    async def start(self) -> Self:
        """Starts to listen; `async with` does it for you.

        Raises:
            RuntimeError: it was started before.
            OSError: the port is taken.
        """
        if self._runner is not None or self._closing:
            raise RuntimeError(f"{type(self).__name__} was started before; make a new one")
        self._runner = self.make_runner()
        try:
            await self._runner.setup()
            site = web.TCPSite(self._runner, "127.0.0.1", self._port, backlog=1024)
            await site.start()
        except BaseException:  # whatever stopped the start, nothing half open stays behind
            await self.aclose()
            raise
        port = self._runner.addresses[0][1]
        self._url = f"http://127.0.0.1:{port}"
        return self

    async def aclose(self) -> None:
        """Stops at once, live streams included; a second call does nothing."""
        self._closing = True
        runner, self._runner = self._runner, None
        if runner is None:
            return
        for request in list(self._live.values()):
            if request.transport is not None:
                request.transport.abort()
        await runner.cleanup()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()


def close(request: web.Request, record: RecordedRequest) -> None:
    """Closes the TCP connection of a request before its answer has ended."""
    record.ended.set()  # Before the connection goes: it is not the client who leaves.
    if request.transport is not None:
        request.transport.close()


def reset(request: web.Request, record: RecordedRequest) -> None:
    """Resets the TCP connection of a request, as a crashed server or an impatient middlebox does."""
    record.ended.set()  # Before the connection goes: it is not the client who leaves.
    transport = request.transport
    if transport is not None:
        connection: socket.socket | None = transport.get_extra_info("socket")
        if connection is not None:  # as it is where there is no network
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None
