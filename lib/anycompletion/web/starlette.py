"""Starlette's half of the relays: a response that is a stream, and handlers that end with their peer."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import TypeVar

from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .. import CompletionStream
from .disconnect import ClientDisconnected, asgi_peer_left, run_until_disconnect
from .public_errors import PublicError
from .sse_relay import EVENT_STREAM, HEADERS, SSERelay

T = TypeVar("T")


def error_response(error: PublicError) -> Response:
    """An error as an answer of its own."""
    return Response(error.to_json(), error.status, error.headers, "application/json")


class EventResponse(Response):
    """A relayed stream as a response."""

    media_type = EVENT_STREAM

    def __init__(
        self, stream: CompletionStream, ping: float | None, headers: Mapping[str, str] | None, *, detail: bool = False
    ) -> None:
        self._stream = stream
        self._ping = ping
        self._detail = detail
        self.status_code = 200
        self.background: BackgroundTask | None = None
        self.init_headers({**HEADERS, **(headers or {})})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the stream; called by Starlette."""
        sink = _Sink(self, scope, receive, send)
        await SSERelay(self._stream, sink, self._ping, detail=self._detail).run(asgi_peer_left(receive))
        if self.background is not None:
            await self.background()


class _Sink:
    """A relay's way to an ASGI server."""

    def __init__(self, response: Response, scope: Scope, receive: Receive, send: Send) -> None:
        self._response = response
        self._scope = scope
        self._receive = receive
        self._send = send

    async def open(self) -> None:
        response = self._response
        await self._say({"type": "http.response.start", "status": 200, "headers": response.raw_headers})

    async def write(self, data: bytes) -> None:
        await self._say({"type": "http.response.body", "body": data, "more_body": True})

    async def close(self) -> None:
        await self._say({"type": "http.response.body", "body": b"", "more_body": False})

    async def refuse(self, error: PublicError) -> None:
        await error_response(error)(self._scope, self._receive, self._send)

    async def _say(self, message: dict[str, object]) -> None:
        try:
            await self._send(message)
        except OSError:  # how servers tell it by ASGI 2.4 and later
            raise ClientDisconnected from None


async def unless_disconnected(request: Request, awaitable: Awaitable[T]) -> T:
    """The result of `awaitable`, which is cancelled when the peer leaves."""
    try:
        return await run_until_disconnect(awaitable, _peer_left(request))
    except ClientDisconnected:
        raise HTTPException(499, "the client closed the request") from None


async def _peer_left(request: Request) -> None:
    try:
        await request.body()
    except ClientDisconnect:
        return
    except RuntimeError:
        pass  # it was read as a stream
    await asgi_peer_left(request.receive)
