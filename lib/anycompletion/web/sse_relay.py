"""Relays a stream or a tool run to one client: events, pings, errors before or after the first byte.

Imports no framework.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Protocol

from .. import CompletionError, CompletionStream, InvalidRequestError
from ..codecs.json import dumps
from .disconnect import ClientDisconnected, run_until_disconnect
from .public_errors import PublicError, log_relayed_error, public_error
from .public_replies import remove_service_fields

if TYPE_CHECKING:
    from .run_chunks import RunChunks

HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
"""Headers that keep proxies from buffering events and from compressing them into blocks."""

EVENT_STREAM = "text/event-stream"

_PING = b": ping\n\n"


class EventSink(Protocol):
    """The client's side of a relay. Its methods raise `ClientDisconnected` when they notice a disconnect."""

    async def open(self) -> None:
        """Sends status 200 and the headers."""
        ...

    async def write(self, data: bytes) -> None:
        """Sends events, and waits while the client reads more slowly than they come."""
        ...

    async def close(self) -> None:
        """Ends the body."""
        ...

    async def send_error(self, error: PublicError) -> None:
        """Sends an error as the whole response; `open` was not called."""
        ...


def check_relayable(chunks: CompletionStream | RunChunks) -> None:
    """Refuses, and closes, a stream whose reply may begin anew: the client would get its beginning twice.

    Raises:
        InvalidRequestError: it may.
    """
    if isinstance(chunks, CompletionStream) and chunks.may_restart:
        chunks.close()
        param = "restart_streams"
        text = f"{param}: the client would get the beginning of a reply twice; relay a route without {param}"
        raise InvalidRequestError(text, param=param)


class SSERelay:
    """Relay of one stream to one client as server-sent events.

    Args:
        chunks: closed when the relay ends, however it ends.
        sink: the client.
        ping: seconds of silence after which a comment is sent, or None.
        write_timeout: seconds that one write may wait for the client, or None.
        for_endpoint: whether the client is a caller of `chat_completions_app`. Such a client wrote the request, so that
            it gets the details of errors, as in `public_error`; of replies it gets none of the service's fields, as in
            `remove_service_fields`.
        request_id: the id of the client's request, for the log.
    """

    def __init__(
        self,
        chunks: CompletionStream | RunChunks,
        sink: EventSink,
        ping: float | None,
        write_timeout: float | None,
        *,
        for_endpoint: bool = False,
        request_id: str | None = None,
    ) -> None:
        self._chunks = chunks
        self._sink = sink
        self._ping = ping
        self._write_timeout = write_timeout
        self._for_endpoint = for_endpoint
        self._request_id = request_id
        self._writing_since: float | None = None
        """The loop's time when the write that is under way began."""
        self.timed_out = False
        """Whether the relay ended because a write took too long."""
        self._opened = self._closed = False
        self._writing = asyncio.Lock()
        self._written_at = 0.0

    async def run(self, disconnected: Coroutine[Any, Any, None]) -> None:
        """Relays until the end of the stream, or until `disconnected` returns.

        Raises:
            Exception: one that is not of this package, such as a middleware's; the client gets an error before.
        """
        try:
            await run_until_disconnect(self._send_events(), disconnected, self._send_pings(), self._watch_writes())
        except ClientDisconnected:
            pass
        finally:
            await self._chunks.aclose()

    async def _send_events(self) -> None:
        try:
            if isinstance(self._chunks, CompletionStream):
                await self._chunks.open()
                check_relayable(self._chunks)  # known here at the latest, where middleware made the call
            async for chunk in self._chunks:
                data = chunk.to_dict()
                if self._for_endpoint:
                    remove_service_fields(data)
                await self._write(b"data: " + dumps(data) + b"\n\n")
                del chunk, data  # this frame is in the traceback of what the next iteration may raise
            await self._write(b"data: [DONE]\n\n")
        except ClientDisconnected:
            raise
        except CompletionError as error:
            log_relayed_error(error, self._request_id)
            await self._send_error(public_error(error, detail=self._for_endpoint))
        except Exception as error:  # a middleware's, or a bug: the client gets an error, the framework the exception
            if self._opened:
                await self._send_error(public_error(error))
            raise
        else:
            async with self._writing:
                self._closed = True
                self._writing_since = asyncio.get_running_loop().time()
                await self._sink.close()

    async def _write(self, data: bytes) -> None:
        async with self._writing:
            if self._closed:
                return  # a ping that was due just before the end
            clock = asyncio.get_running_loop().time
            self._writing_since = clock()
            if not self._opened:
                self._opened = True
                await self._sink.open()
            await self._sink.write(data)
            self._writing_since, self._written_at = None, clock()

    async def _send_error(self, error: PublicError) -> None:
        async with self._writing:
            self._closed = True
            self._writing_since = asyncio.get_running_loop().time()
            if not self._opened:
                await self._sink.send_error(error)
                return
            await self._sink.write(b"data: " + error.to_json() + b"\n\n")
            await self._sink.close()

    async def _watch_writes(self) -> None:
        """Returns when a write takes too long; one task for all writes costs less than a timeout for each."""
        limit = self._write_timeout
        if limit is None:
            await asyncio.Event().wait()
            return
        left, clock = limit, asyncio.get_running_loop().time
        while left > 0:
            due = clock() + left
            await asyncio.sleep(left)
            if self._writing_since is not None and clock() - due > limit / 10:
                self._writing_since = clock()  # the event loop was blocked: nothing could be written
            since = self._writing_since
            left = limit if since is None else since + limit - clock()
        self.timed_out = True

    async def _send_pings(self) -> None:
        """Sends a ping after each `ping` seconds of silence; ends only by an error."""
        clock = asyncio.get_running_loop().time
        if self._ping is None:
            await asyncio.Event().wait()
            return
        self._written_at = clock()
        while True:
            silence = clock() - self._written_at
            if silence >= self._ping:
                await self._write(_PING)
                silence = 0.0
            await asyncio.sleep(self._ping - silence)
