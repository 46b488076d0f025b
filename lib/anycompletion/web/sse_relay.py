"""A stream on its way to a peer: events, pings, errors told before or after the first byte; knows no framework."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, NoReturn, Protocol

from .. import CompletionError, CompletionStream
from .disconnect import ClientDisconnected, run_until_disconnect
from .public_errors import PublicError, public_error, relayed_error

HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
"""What keeps proxies from holding events back, and from compressing them into blocks."""

EVENT_STREAM = "text/event-stream"

_PING = b": ping\n\n"


class Sink(Protocol):
    """Where a relay writes. Its methods raise `PeerLeft` where they notice that."""

    async def open(self) -> None:
        """Sends status 200 and the headers."""
        ...

    async def write(self, data: bytes) -> None:
        """Sends events, and waits while the peer does not keep up."""
        ...

    async def close(self) -> None:
        """Ends the body."""
        ...

    async def refuse(self, error: PublicError) -> None:
        """Sends an error instead of it all."""
        ...


def _raised(error: CompletionError) -> NoReturn:
    """Instead of an event: what a failure says is the service's to know, and a status may tell it as yet."""
    raise error


class SSERelay:
    """One stream to one peer.

    Args:
        stream: closed when the relay ends, however it ends.
        sink: the peer.
        ping: seconds of silence after which a comment is sent, or None.
        detail: whether the peer wrote the request; see `public_error`.
    """

    def __init__(self, stream: CompletionStream, sink: Sink, ping: float | None, *, detail: bool = False) -> None:
        self._stream = stream
        self._sink = sink
        self._ping = ping
        self._detail = detail
        self._opened = self._over = False
        self._writing = asyncio.Lock()
        self._written_at = 0.0

    async def run(self, peer_left: Coroutine[Any, Any, None]) -> None:
        """Until the end of the stream, or until `peer_left` returns.

        Raises:
            Exception: what is no error of ours, such as a middleware's, after the peer was told that something failed.
        """
        try:
            await run_until_disconnect(self._pump(), peer_left, self._pings())
        except ClientDisconnected:
            pass
        finally:
            await self._stream.aclose()

    async def _pump(self) -> None:
        try:
            async for data in self._stream.sse(_raised):
                await self._write(data)
                del data  # this frame is in the traceback of what the next one may raise
        except ClientDisconnected:
            raise
        except CompletionError as error:
            relayed_error(error)
            await self._fail(public_error(error, detail=self._detail))
        except Exception as fault:  # a middleware's, or a bug: the peer is told, and the framework what it was
            if self._opened:
                await self._fail(public_error(fault))
            raise
        else:
            async with self._writing:
                self._over = True
                await self._sink.close()

    async def _write(self, data: bytes) -> None:
        async with self._writing:
            if self._over:
                return  # a ping that came too late
            if not self._opened:
                self._opened = True
                await self._sink.open()
            await self._sink.write(data)
            self._written_at = asyncio.get_running_loop().time()

    async def _fail(self, error: PublicError) -> None:
        async with self._writing:
            self._over = True
            if not self._opened:
                await self._sink.refuse(error)
                return
            await self._sink.write(b"data: " + error.to_json() + b"\n\n")
            await self._sink.close()

    async def _pings(self) -> None:
        """Breaks every silence; ends only by an error."""
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
