"""The log of requests that the servers of this package received; never decides a response."""

from __future__ import annotations

import asyncio
from typing import Any

import attrs


@attrs.define(kw_only=True, eq=False)
class RecordedRequest:
    """One request as it arrived, and how its response was sent. Updated while the response is being sent."""

    provider: str
    """``openai``, ``anthropic`` …; empty where the path belongs to none."""
    method: str
    """The HTTP method."""
    path: str
    """The whole path, decoded: ``/openai/v1/chat/completions``."""
    query: dict[str, str] = attrs.field(repr=False)
    """Query parameters."""
    headers: dict[str, str] = attrs.field(repr=False)
    """Names in lower case; of a repeated one the last value. The key is among them as it was sent."""
    body: Any = attrs.field(repr=False)
    """The parsed JSON; None where there was none."""
    raw: bytes = attrs.field(repr=False)
    """The body as it arrived."""
    received_at: float
    """Seconds of the event loop's clock (`loop.time()`), for differences between requests."""
    chunks_written: int = 0
    """Stream events (or pieces of a replayed body) that were written."""
    finished: bool = False
    """The response was sent completely: no fault left anything out, and the client did not disconnect."""
    closed_by_client: bool = False
    """The client closed the connection before the end of the response."""
    ended: asyncio.Event = attrs.field(factory=asyncio.Event, repr=False)
    """Set when the response has ended, completely or not."""
    loop: asyncio.AbstractEventLoop = attrs.field(factory=asyncio.get_running_loop, repr=False)
    """The server's, which can differ from the test's."""

    @property
    def has_key(self) -> bool:
        """The request had a key or a token, valid or not."""
        return any(name in self.headers for name in ("authorization", "x-api-key", "api-key", "x-goog-api-key"))

    async def wait_closed(self, timeout: float = 5.0) -> bool:
        """Waits until the response has ended; True if that was because the client closed the connection.

        It may be awaited in another event loop than the server's.

        Args:
            timeout: seconds after which a response that is still being sent counts as not closed; 5 by default.
        """
        if self.loop is asyncio.get_running_loop() or self.loop.is_closed():
            return await self._wait_closed(timeout)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._wait_closed(timeout), self.loop))

    async def _wait_closed(self, timeout: float) -> bool:
        try:
            async with asyncio.timeout(timeout):
                await self.ended.wait()
        except TimeoutError:
            return False
        return self.closed_by_client
