"""Wrappers around a client's transport and its responses, which pass on everything that a subclass does not change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...transport import Pool, Response


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

    def __init__(self, inner: Pool) -> None:
        self._inner = inner

    def __repr__(self) -> str:
        return repr(self._inner)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
