"""Starlette's half of the relays: streamed responses, and handlers that end when their client disconnects."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, TypeVar

from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .. import CompletionStream
from .disconnect import ClientDisconnected, run_until_disconnect
from .public_errors import PublicError
from .sse_relay import EVENT_STREAM, HEADERS, SSERelay, check_relayable

if TYPE_CHECKING:
    from .run_chunks import RunChunks

T = TypeVar("T")


def error_response(error: PublicError) -> Response:
    """A response that is only this error."""
    return Response(error.to_json(), error.status, error.headers, "application/json")


class SSEResponse(Response):
    """A response that relays a stream as server-sent events."""

    media_type = EVENT_STREAM

    def __init__(
        self,
        chunks: CompletionStream | RunChunks,
        ping: float | None,
        headers: Mapping[str, str] | None,
        write_timeout: float | None,
        *,
        for_endpoint: bool = False,
        request_id: str | None = None,
    ) -> None:
        check_relayable(chunks)
        self._chunks = chunks
        self._ping = ping
        self._write_timeout = write_timeout
        self._for_endpoint = for_endpoint
        self._request_id = request_id
        self.status_code = 200
        self.background: BackgroundTask | None = None
        self.init_headers({**HEADERS, **(headers or {})})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the stream, and runs the background task, however the relay ends; called by Starlette."""
        sink = _StarletteSink(self, scope, receive, send)
        relay = SSERelay(
            self._chunks,
            sink,
            self._ping,
            self._write_timeout,
            for_endpoint=self._for_endpoint,
            request_id=self._request_id,
        )
        try:
            await relay.run(_wait_disconnected(receive))
        finally:
            if self.background is not None:
                await self.background()


async def unless_disconnected(request: Request, awaitable: Awaitable[T]) -> T:
    """The result of `awaitable`, which is cancelled when the client disconnects."""
    try:
        return await run_until_disconnect(awaitable, _read_until_disconnected(request))
    except ClientDisconnected:
        raise HTTPException(499, "the client closed the request") from None


async def _read_until_disconnected(request: Request) -> None:
    """Reads the body, which Starlette keeps for the handler, and returns when the client disconnects."""
    try:
        await request.body()
    except ClientDisconnect:
        return
    except RuntimeError:
        pass  # the handler has read the body as a stream
    await _wait_disconnected(request.receive)


async def _wait_disconnected(receive: Receive) -> None:
    """Returns when the ASGI server reports that the client has disconnected."""
    delay = 0.0
    while (await receive())["type"] != "http.disconnect":
        # A middleware that has read the body may repeat it for each call, without ever suspending.
        await asyncio.sleep(delay)
        delay = min(2 * delay + 0.01, 1.0)


class _StarletteSink:
    """`EventSink` of an ASGI server."""

    def __init__(self, response: Response, scope: Scope, receive: Receive, send: Send) -> None:
        self._response = response
        self._scope = scope
        self._receive = receive
        self._send = send

    async def open(self) -> None:
        headers = self._response.raw_headers
        await self._send_message({"type": "http.response.start", "status": 200, "headers": headers})

    async def write(self, data: bytes) -> None:
        await self._send_message({"type": "http.response.body", "body": data, "more_body": True})

    async def close(self) -> None:
        await self._send_message({"type": "http.response.body", "body": b"", "more_body": False})

    async def send_error(self, error: PublicError) -> None:
        await error_response(error)(self._scope, self._receive, self._send)

    async def _send_message(self, message: dict[str, object]) -> None:
        try:
            await self._send(message)
        except OSError:  # how servers report a disconnect since ASGI 2.4
            raise ClientDisconnected from None
