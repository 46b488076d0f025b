"""RedisStore: replies in Redis, which several machines share; each method is one round trip, `clear` several."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from ..._async import ClosedOnExit
from ..._boundary import hides_frames
from ...caching import CacheStore
from .redis_connection import RedisConnection

_KEYS_PER_SCAN = 1000
"""Keys that `clear` asks for and removes at a time."""

_CLEAR_TIMEOUT = 5.0
"""Seconds for each round trip of `clear`, at least: it is no part of a call."""


class RedisStore(ClosedOnExit, CacheStore):
    """Store in Redis, for any number of processes and machines.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``, as redis-py takes it.
        prefix: of the keys in Redis. Default ``anycompletion:replies:``; `clear` removes all keys that begin
            with it, so give no other keys this prefix.
        timeout: seconds for Redis to answer; after that, a reply counts as not stored. Default 0.25.

    Redis itself drops what it has no memory for, as its ``maxmemory-policy`` has it. A store belongs to one event
    loop. It pickles unless its URL contains a password.

    Raises:
        ConfigurationError: the URL is none of Redis.
        InvalidRequestError: the timeout is not a positive number.
    """

    @hides_frames  # a URL may contain a password
    def __init__(self, url: str, *, prefix: str = "anycompletion:replies:", timeout: float = 0.25) -> None:
        self._prefix = prefix
        self._connection = RedisConnection("RedisStore", url, timeout)

    def __repr__(self) -> str:
        return f"<RedisStore {self._prefix!r}>"  # the URL may contain a password

    def __reduce__(self) -> Any:
        return _rebuild, (self._connection.url_to_pickle(), self._prefix, self._connection.timeout)

    async def get(self, key: str) -> bytes | None:
        """The value, or None.

        Raises:
            redis.RedisError, OSError, TimeoutError: Redis did not answer.
        """
        client = self._connection.client()
        async with asyncio.timeout(self._connection.timeout):
            value: bytes | None = await client.get(self._prefix + key)
        return value

    async def set(self, key: str, value: bytes, ttl: float | None) -> None:
        """Stores a value.

        Raises:
            redis.RedisError, OSError, TimeoutError: Redis did not answer.
        """
        client = self._connection.client()
        milliseconds = None if ttl is None else max(1, round(ttl * 1000))
        async with asyncio.timeout(self._connection.timeout):
            await client.set(self._prefix + key, value, px=milliseconds)

    async def delete(self, key: str) -> None:
        """Removes a value, if there is one."""
        client = self._connection.client()
        async with asyncio.timeout(self._connection.timeout):
            await client.delete(self._prefix + key)

    async def clear(self, namespace: str = "") -> int:
        """Removes all values of a namespace, or for "" all with this prefix; returns their number."""
        client, cursor, count = self._connection.client(), 0, 0
        start = self._prefix + (f"{namespace}:" if namespace else "")
        pattern = re.sub(r"([\\*?\[\]^])", r"\\\1", start) + "*"
        while True:
            async with asyncio.timeout(max(self._connection.timeout, _CLEAR_TIMEOUT)):
                cursor, found = await client.scan(cursor, match=pattern, count=_KEYS_PER_SCAN)
                # What follows the namespace is a hash, without a colon; else it is of another namespace.
                keys = [key for key in found if not namespace or b":" not in key[len(start.encode()) :]]
                count += await client.unlink(*keys) if keys else 0
            if not cursor:
                return count

    async def aclose(self) -> None:
        """Closes all connections; idempotent."""
        await self._connection.aclose()


def _rebuild(url: str, prefix: str, timeout: float) -> RedisStore:
    return RedisStore(url, prefix=prefix, timeout=timeout)


__all__ = ["RedisStore"]
