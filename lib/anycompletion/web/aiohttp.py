"""aiohttp.web's half of the relays: a response that is a stream, and handlers that end with their peer."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import TypeVar

from aiohttp import web

from .. import CompletionStream
from .disconnect import ClientDisconnected, aiohttp_peer_left, run_until_disconnect
from .public_errors import PublicError
from .sse_relay import EVENT_STREAM, HEADERS, SSERelay

T = TypeVar("T")


class ClientClosedRequest(web.HTTPException):
    """What ends a handler whose peer has left; goes nowhere."""

    status_code = 499
    empty_body = True

    def __init__(self) -> None:
        super().__init__(reason="Client Closed Request")


async def relay_to(
    request: web.Request, stream: CompletionStream, ping: float | None, headers: Mapping[str, str] | None
) -> web.StreamResponse:
    """Relays `stream` to the peer of `request`."""
    sink = _Sink(request, headers)
    await SSERelay(stream, sink, ping).run(aiohttp_peer_left(request))
    return sink.response


class _Sink:
    """A relay's way to an aiohttp.web request."""

    def __init__(self, request: web.Request, headers: Mapping[str, str] | None) -> None:
        self._request = request
        self.response = web.StreamResponse(headers={"Content-Type": EVENT_STREAM, **HEADERS, **(headers or {})})

    async def open(self) -> None:
        await _said(self.response.prepare(self._request))

    async def write(self, data: bytes) -> None:
        await _said(self.response.write(data))

    async def close(self) -> None:
        await _said(self.response.write_eof())

    async def refuse(self, error: PublicError) -> None:
        headers = {"Content-Type": "application/json", **error.headers}
        self.response = web.Response(body=error.to_json(), status=error.status, headers=headers)


async def _said(sending: Awaitable[object]) -> None:
    try:
        await sending
    except ConnectionError:
        raise ClientDisconnected from None


async def unless_disconnected(request: web.Request, awaitable: Awaitable[T]) -> T:
    """The result of `awaitable`, which is cancelled when the peer leaves."""
    try:
        return await run_until_disconnect(awaitable, aiohttp_peer_left(request))
    except ClientDisconnected:
        raise ClientClosedRequest from None
