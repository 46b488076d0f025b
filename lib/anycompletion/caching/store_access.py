"""Access of a cache to its store: what the store raises fails no call, unless the user wants it to."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable

from ..logs import log_event
from ..middleware import CallNext
from .cache_store import CacheStore, FinishedWrite
from .memory_store import MemoryStore

_WARNING_INTERVAL = 60.0
"""Seconds between two warnings of a store that fails."""


class StoreAccess:
    """Reads and writes of one cache.

    Args:
        store: the store.
        raises: whether errors of reading are raised; else they are logged, once a minute.
    """

    def __init__(self, store: CacheStore, *, raises: bool) -> None:
        self._store = store
        self._raises = raises
        self.may_wait = type(store) is not MemoryStore
        """Whether reading may take time."""
        self._next_warning = 0.0

    async def get(self, key: str) -> bytes | None:
        """The value, or None if there is none."""
        try:
            return await self._store.get(key)
        except Exception as error:  # a store may fail in any way
            if self._raises:
                raise
            self._report("read", error)
            return None

    def set(self, call_next: CallNext, key: str, value: bytes, ttl: float | None) -> None:
        """Stores a value, without waiting for it."""
        try:
            writing = self._store.set(key, value, ttl)
        except Exception as error:  # noqa: BLE001 (as above)
            self._report("written", error)
            return
        if not isinstance(writing, FinishedWrite):
            call_next.in_background(self._finish(writing))

    def delete(self, call_next: CallNext, key: str) -> None:
        """Removes a value, without waiting for it."""
        call_next.in_background(self._finish(self._store.delete(key)))

    async def _finish(self, writing: Awaitable[None]) -> None:
        try:
            await writing
        except Exception as error:  # noqa: BLE001 (as above)
            self._report("written", error)

    def _report(self, action: str, error: Exception) -> None:
        """Logs a failure. The type of the error only: its text may quote a key or an address with a password."""
        now, name = time.monotonic(), type(error).__name__
        level = logging.DEBUG if now < self._next_warning else logging.WARNING
        if level == logging.WARNING:
            self._next_warning = now + _WARNING_INTERVAL
        log_event(level, "cache_failed", "the store of the cache cannot be %s (%s)", action, name, error=name)
