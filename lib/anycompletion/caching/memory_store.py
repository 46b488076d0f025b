"""MemoryStore: replies in this process's memory, at most so many bytes; the least recently used ones go first."""

from __future__ import annotations

import asyncio
import heapq
from collections import OrderedDict
from collections.abc import Awaitable
from typing import NoReturn, TypeAlias

from .._async import ClosedOnExit
from ..errors import InvalidRequestError
from .cache_store import FINISHED, CacheStats, CacheStore, is_in_namespace

_OVERHEAD = 370
"""Bytes that an entry takes besides its key and its value: the objects around them and their places in the tables."""

_OVERHEAD_OF_EXPIRY = 150
"""The same for an entry with a lifetime."""

_End: TypeAlias = tuple[float, str]
"""When a lifetime ends, on the clock of the event loop, and the key whose it is."""

_EXPIRED_PER_WRITE = 20
"""Expired entries that a write removes at most, so that none takes long."""


class MemoryStore(ClosedOnExit, CacheStore):
    """Store in the memory of this process, for the clients of one event loop.

    Args:
        max_bytes: memory that the entries may take, with what Python adds; the least recently used ones are dropped for
            newer ones. Default 64 MiB. A value that takes more than a quarter is not stored.

    It does not pickle: another process would have another cache. `SQLiteStore` is for several processes.
    """

    def __init__(self, *, max_bytes: int = 64 << 20) -> None:
        self._max_bytes = checked_size(max_bytes)
        self._entries: OrderedDict[str, tuple[bytes, _End | None]] = OrderedDict()
        """Key → value and the end of its lifetime; the least recently used first."""
        self._expiries: list[_End] = []
        """Heap of the ends of lifetimes; entries that were replaced or removed leave theirs behind."""
        self._expiring = 0
        """Entries with a lifetime."""
        self._bytes = self._hits = self._misses = 0

    def __repr__(self) -> str:
        return f"<MemoryStore {len(self._entries)} entries, {self._bytes} bytes>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a MemoryStore does not pickle: another process would have another cache; use a SQLiteStore")

    @property
    def stats(self) -> CacheStats:
        """Hits, misses, entries and bytes."""
        return CacheStats(self._hits, self._misses, len(self._entries), self._bytes)

    async def get(self, key: str) -> bytes | None:
        """The value, or None; does not wait."""
        entry = self._entries.get(key)
        if entry is not None and entry[1] is not None and entry[1][0] <= _now():
            self._remove(key)
            entry = None
        if entry is None:
            self._misses += 1
            return None
        self._hits += 1
        self._entries.move_to_end(key)
        return entry[0]

    def set(self, key: str, value: bytes, ttl: float | None) -> Awaitable[None]:
        """Stores a value at once."""
        if key in self._entries:
            self._remove(key)
        if self._expiries:
            self._remove_expired(_EXPIRED_PER_WRITE)
        end = None if ttl is None else (_now() + ttl, key)
        size = _size(key, value, end)
        if size > self._max_bytes // 4:
            return FINISHED
        if end is not None:
            self._expiring += 1
            heapq.heappush(self._expiries, end)
        self._entries[key] = (value, end)
        self._bytes += size
        while self._bytes > self._max_bytes:
            self._remove(next(iter(self._entries)))
        if len(self._expiries) > 1.5 * self._expiring + _EXPIRED_PER_WRITE:
            self._expiries = [end for end in self._expiries if self._is_current(end)]
            heapq.heapify(self._expiries)
        return FINISHED

    async def delete(self, key: str) -> None:
        """Removes a value, if there is one."""
        self._remove(key)

    async def clear(self, namespace: str = "") -> int:
        """Removes all values of a namespace, or for "" all there are; returns their number."""
        found = [key for key in self._entries if is_in_namespace(key, namespace)]
        for key in found:
            self._remove(key)
        return len(found)

    async def aclose(self) -> None:
        """Removes all values."""
        await self.clear()

    def _remove(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= _size(key, *entry)
            self._expiring -= entry[1] is not None

    def _remove_expired(self, count: int) -> None:
        now = _now()
        while count and self._expiries and self._expiries[0][0] <= now:
            end = heapq.heappop(self._expiries)
            if self._is_current(end):
                self._remove(end[1])
            count -= 1

    def _is_current(self, end: _End) -> bool:
        """Whether it is the end of an entry that was neither replaced nor removed."""
        entry = self._entries.get(end[1])
        return entry is not None and entry[1] is end


def _now() -> float:
    """Seconds on the clock of the event loop, which tests may set."""
    return asyncio.get_running_loop().time()


def _size(key: str, value: bytes, end: _End | None) -> int:
    return len(key) + len(value) + _OVERHEAD + (0 if end is None else _OVERHEAD_OF_EXPIRY)


def checked_size(max_bytes: object) -> int:
    """The size of a store.

    Raises:
        InvalidRequestError: it is no positive integer.
    """
    if not isinstance(max_bytes, int) or isinstance(max_bytes, bool) or max_bytes < 1:
        raise InvalidRequestError("max_bytes: expected a positive integer", param="max_bytes")
    return max_bytes


__all__ = ["MemoryStore"]
