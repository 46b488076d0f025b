"""aiohttp.web's half of the relays: streamed responses, and handlers that end when their client disconnects."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from aiohttp import web

from .. import CompletionError, CompletionStream
from .disconnect import ClientDisconnected, run_until_disconnect
from .public_errors import PublicError
from .sse_relay import EVENT_STREAM, HEADERS, SSERelay, check_relayable

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

    from .run_chunks import RunChunks

T = TypeVar("T")

POLL_INTERVAL = 0.05
"""Seconds between checks of a request's connection. aiohttp reports a disconnect to handlers only by cancelling them,
and only in applications that ask for it."""


class ClientClosedRequest(web.HTTPException):
    """Ends a handler whose client has disconnected; never sent."""

    status_code = 499
    empty_body = True

    def __init__(self) -> None:
        super().__init__(reason="Client Closed Request")


async def relay_to(
    request: web.Request,
    chunks: CompletionStream | RunChunks,
    ping: float | None,
    headers: Mapping[str, str] | None,
    write_timeout: float | None,
) -> web.StreamResponse:
    """Relays `chunks` to the client of `request`."""
    check_relayable(chunks)
    sink = _AiohttpSink(request, headers)
    relay = SSERelay(chunks, sink, ping, write_timeout)
    await relay.run(wait_disconnected(request))
    if relay.timed_out and request.transport is not None:
        request.transport.abort()  # closing would wait for a client that does not read
    return sink.response


async def unless_disconnected(request: web.Request, awaitable: Awaitable[T]) -> T:
    """The result of `awaitable`, which is cancelled when the client disconnects."""
    try:
        return await run_until_disconnect(awaitable, wait_disconnected(request))
    except ClientDisconnected:
        raise ClientClosedRequest from None


async def wait_disconnected(request: web.Request) -> None:
    """Returns when the connection of `request` is closed."""
    loop = asyncio.get_running_loop()
    disconnected: asyncio.Future[None] = loop.create_future()
    timer: asyncio.TimerHandle | None = None

    def poll() -> None:
        # A timer costs a quarter of what a sleeping task costs, twenty times a second and client.
        nonlocal timer
        transport = request.transport
        if transport is not None and not transport.is_closing():
            timer = loop.call_later(POLL_INTERVAL, poll)
        elif not disconnected.done():
            disconnected.set_result(None)

    poll()
    try:
        await disconnected
    finally:
        if timer is not None:
            timer.cancel()


def errors_middleware(public: Callable[[CompletionError], PublicError]) -> Middleware:
    """A middleware that responds to a `CompletionError` of a handler with what `public` makes of it."""

    @web.middleware
    async def respond(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except CompletionError as error:
            return _error_response(public(error))

    return respond


def _error_response(error: PublicError) -> web.Response:
    headers = {"Content-Type": "application/json", **error.headers}
    return web.Response(body=error.to_json(), status=error.status, headers=headers)


class _AiohttpSink:
    """`EventSink` of an aiohttp.web request."""

    def __init__(self, request: web.Request, headers: Mapping[str, str] | None) -> None:
        self._request = request
        self.response = web.StreamResponse(headers={"Content-Type": EVENT_STREAM, **HEADERS, **(headers or {})})

    async def open(self) -> None:
        await _send(self.response.prepare(self._request))

    async def write(self, data: bytes) -> None:
        await _send(self.response.write(data))

    async def close(self) -> None:
        await _send(self.response.write_eof())

    async def send_error(self, error: PublicError) -> None:
        self.response = _error_response(error)


async def _send(sending: Awaitable[object]) -> None:
    try:
        await sending
    except ConnectionError:
        raise ClientDisconnected from None
