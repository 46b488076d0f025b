"""Wrappers around a client's transport and its responses, which pass on everything that a subclass does not change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...http import RequestHeaders
from ...transport import AttemptTimeouts, Response, Transport


class ResponseWrapper:
    """A response whose reads a subclass can change."""

    def __init__(self, inner: Response) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def read(self) -> bytes:
        """The next bytes."""
        return await self._inner.read()

    async def read_all(self, limit: int) -> bytes:
        """The whole body."""
        return await self._inner.read_all(limit)

    async def read_some(self, limit: int) -> bytes:
        """The start of an error's body."""
        return await self._inner.read_some(limit)


class TransportWrapper:
    """A transport whose requests a subclass can change."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.connection_limit = inner.connection_limit

    def __repr__(self) -> str:
        return repr(self._inner)

    @property
    def in_flight(self) -> int:
        """Requests being sent, and responses whose body has not ended."""
        return self._inner.in_flight

    @property
    def idle_connections(self) -> int:
        """Connections kept for a next request."""
        return self._inner.idle_connections

    async def send(
        self,
        method: str,
        url: str,
        headers: RequestHeaders,
        body: bytes | None,
        timeouts: AttemptTimeouts,
        must_defer: Callable[[], bool] | None = None,
    ) -> Response:
        """Sends one request."""
        return await self._inner.send(method, url, headers, body, timeouts, must_defer)

    async def pause(self, delay: float) -> None:
        """Waits `delay` seconds, or less if the transport is closed."""
        await self._inner.pause(delay)

    def close_now(self) -> None:
        """Refuses further requests, and ends all waits at once."""
        self._inner.close_now()

    async def aclose(self) -> None:
        """Closes all connections."""
        await self._inner.aclose()

    def detach_after_fork(self) -> None:
        """Forgets all connections without closing them."""
        self._inner.detach_after_fork()
