"""The interface of stores: bytes by key, with a lifetime. What the bytes mean is known to `stored_replies` alone."""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from typing import Any, Protocol

import attrs


class CacheStore(Protocol):
    """Store of a cache: bytes by key. Keys are ``namespace:hash``; a store need not know more of them.

    A store is closed by the code that made it, after the clients that use it. Its methods may raise anything: the cache
    then acts as if the reply were not stored, or raises it; see `on_store_error`.
    """

    async def get(self, key: str) -> bytes | None:
        """The value, or None if there is none, or if its lifetime is over."""
        ...

    def set(self, key: str, value: bytes, ttl: float | None) -> Awaitable[None]:
        """Stores a value for `ttl` seconds; None is without a limit. An ``async def`` is one.

        No call waits for it. A store that begins its work before it is awaited keeps the order of a `set` and of a
        `delete` of the same key after it.
        """
        ...

    async def delete(self, key: str) -> None:
        """Removes a value, if there is one."""
        ...

    async def clear(self, namespace: str = "") -> int:
        """Removes all values of a namespace, or for "" all there are; returns their number."""
        ...

    async def aclose(self) -> None:
        """Releases what the store holds; idempotent."""
        ...


@attrs.frozen
class CacheStats:
    """What a store has done and has."""

    hits: int
    """Values that were found."""
    misses: int
    """Values that were not found."""
    entries: int
    """Values that are stored now."""
    bytes: int
    """Memory of the values that are stored now, with their keys and what Python adds."""


class FinishedWrite(Awaitable[None]):
    """What `set` returns where the value is stored already."""

    def __await__(self) -> Generator[Any, None, None]:
        return
        yield  # makes it a generator


FINISHED = FinishedWrite()


def is_in_namespace(key: str, namespace: str) -> bool:
    """Whether `clear(namespace)` removes this key."""
    return not namespace or key.rpartition(":")[0] == namespace
