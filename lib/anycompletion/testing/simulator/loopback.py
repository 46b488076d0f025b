"""HTTP servers on 127.0.0.1 for the length of an `async with` block, which log requests; never listen elsewhere."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from ...codecs.lenient import check_structure, may_be_large
from .request_log import RecordedRequest

_MAX_BODY = 64 * 1024 * 1024
"""Bytes of a request's body."""

_MAX_DEPTH = 1000
"""Levels of a body's JSON; schemas of callers may have more than replies."""

_MAX_LOGGED = 100_000
_MAX_LOGGED_BYTES = 128 * 1024 * 1024
"""Requests in the log, and bytes of their bodies; beyond that the oldest are dropped, so that a server left running
does not fill the memory."""

_HOSTS = r"(127\.0\.0\.1|[\w-]+|\[::1\])(:\d+)?"
"""Values of the header Host that loopback servers accept: no name that a web page's owner could make lead here."""

STALL_SECONDS = 30.0
"""Seconds that a stalled response waits for its client to disconnect."""

_LINGER_ZERO = struct.pack("ii", 1, 0)
"""SO_LINGER of zero seconds: closing sends a reset."""


class RequestHandler(ABC):
    """Responds to HTTP requests, from whatever transport, and keeps a log of them."""

    def __init__(self) -> None:
        self.requests: list[RecordedRequest] = []
        """The requests in order, each with how its response was sent. The list may be cleared."""
        self._active: dict[RecordedRequest, web.Request] = {}
        self._closing = False
        self._logged_bytes = 0
        """Bytes of the bodies in the log, or more if requests were removed from it."""

    @abstractmethod
    async def _respond(self, request: web.Request, record: RecordedRequest) -> web.StreamResponse:
        """Responds to one request; implemented by subclasses."""

    @abstractmethod
    def _provider_of(self, path: str) -> str:
        """The provider that a path belongs to; empty for none."""

    def make_runner(self) -> web.AppRunner:
        """The HTTP server for this handler; it is not set up yet."""
        app = web.Application(client_max_size=_MAX_BODY)
        app.router.add_route("*", "/{tail:.*}", self._serve)
        # Without handler_cancellation a handler that sleeps would not notice that its client has disconnected.
        return web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.25)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        refusal = self._refusal(request)
        if refusal is not None:
            # Without reading the body, which any web page can send.
            return web.json_response({"error": refusal}, status=403, headers={"Connection": "close"})
        record = await self._record(request)
        self._active[record] = request
        try:
            return await self._respond(request, record)
        except asyncio.CancelledError:
            record.closed_by_client = not self._closing and not record.ended.is_set()
            raise
        except ConnectionError:
            record.closed_by_client = not self._closing and not record.ended.is_set()
            return web.Response()  # never sent; raising would be logged as a failure of this server
        finally:
            del self._active[record]
            record.ended.set()

    def _refusal(self, request: web.Request) -> str | None:
        """Why a request is refused before its body is read; None for nearly all."""
        return None

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
        self._logged_bytes += len(raw)
        if self._logged_bytes > _MAX_LOGGED_BYTES or len(self.requests) > _MAX_LOGGED:
            self._shorten_log()
        return record

    def _shorten_log(self) -> None:
        """Drops the oldest requests, so that the rest takes at most half of the bytes; keeps the last one."""
        kept, size = 0, 0
        for record in reversed(self.requests[-_MAX_LOGGED:]):
            size += len(record.raw)
            if kept and size > _MAX_LOGGED_BYTES // 2:
                break
            kept += 1
        del self.requests[:-kept]
        self._logged_bytes = sum(len(record.raw) for record in self.requests)


class LoopbackServer(RequestHandler):
    """Base class of the servers of this package: starting, stopping and their URL."""

    def __init__(self, *, host: str, port: int) -> None:
        super().__init__()
        if host not in ("127.0.0.1", "localhost"):
            raise ValueError(f"this server only listens on 127.0.0.1, not on {host!r}")
        if not 0 <= port <= 65535:
            raise ValueError(f"port must be from 0 to 65535, got {port}")
        self._port = port
        self._runner: web.AppRunner | None = None
        self._url: str | None = None

    def _refusal(self, request: web.Request) -> str | None:
        """Refuses requests of web pages: of other origins, and by names of other hosts that lead here."""
        if not re.fullmatch(_HOSTS, request.host, re.ASCII | re.IGNORECASE):
            return "this server answers at 127.0.0.1 and localhost only"
        return "this server answers no web pages" if "Origin" in request.headers else None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._url or 'not started'}>"

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
        """Starts to listen; `async with` calls it.

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
        except BaseException:  # cancellation too: nothing may stay half open
            await self.aclose()
            raise
        port = self._runner.addresses[0][1]
        self._url = f"http://127.0.0.1:{port}"
        return self

    async def aclose(self) -> None:
        """Stops immediately, active streams included; a second call does nothing."""
        self._closing = True
        runner, self._runner = self._runner, None
        if runner is None:
            return
        for request in list(self._active.values()):
            if request.transport is not None:
                request.transport.abort()
        await runner.cleanup()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


def close_connection(request: web.Request, record: RecordedRequest) -> None:
    """Closes the TCP connection of a request before its response has ended."""
    record.ended.set()  # before the connection closes: it is not the client that disconnects
    if request.transport is not None:
        request.transport.close()


def reset_connection(request: web.Request, record: RecordedRequest) -> None:
    """Resets the TCP connection of a request, as a crashed server or a proxy with a timeout does."""
    record.ended.set()  # before the connection closes: it is not the client that disconnects
    transport = request.transport
    if transport is not None:
        connection: socket.socket | None = transport.get_extra_info("socket")
        if connection is not None:  # a connection in memory has no socket
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        transport.abort()


def _parsed(raw: bytes) -> Any:
    try:
        if may_be_large(raw):
            check_structure(raw, max_depth=_MAX_DEPTH)
        return json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
