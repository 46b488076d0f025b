"""RedisStore: replies in Redis, which several machines share; each method is one round trip, `clear` several."""

from __future__ import annotations

import asyncio
import re
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import urlsplit

from ..._boundary import hides_frames
from ...caching import CacheStore
from ...errors import ClientClosedError, ConfigurationError, InvalidRequestError
from ...options import Secret

try:
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
except ImportError as missing:
    raise ImportError("a shared cache needs Redis: pip install 'anycompletion[redis]'") from missing

_SCHEMES = ("redis", "rediss", "unix")

_KEYS_PER_SCAN = 1000
"""Keys that `clear` asks for and removes at a time."""

_CLEAR_TIMEOUT = 5.0
"""Seconds for each round trip of `clear`, at least: it is no part of a call."""


class RedisStore(CacheStore):
    """Store in Redis, for any number of processes and machines.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``, as redis-py takes it.
        prefix: of the keys in Redis. Default ``anycompletion:``.
        timeout: seconds for Redis to answer; after that, a reply counts as not stored. Default 0.25.

    Redis itself drops what it has no memory for, as its ``maxmemory-policy`` has it. A store belongs to one event
    loop. It pickles unless its URL contains a password.

    Raises:
        ConfigurationError: the URL is none of Redis.
        InvalidRequestError: the timeout is not a positive number.
    """

    @hides_frames  # a URL may contain a password
    def __init__(self, url: str, *, prefix: str = "anycompletion:", timeout: float = 0.25) -> None:
        given = cast("object", url)
        if not isinstance(given, str) or given.partition("://")[0] not in _SCHEMES:
            raise ConfigurationError("url: expected redis://, rediss:// or unix://")
        seconds = cast("object", timeout)
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds > 0:
            raise InvalidRequestError("timeout: expected seconds", param="timeout")
        self._prefix = prefix
        self._timeout = timeout
        self._url = Secret(url)
        self._client: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"<RedisStore {self._prefix!r}>"  # the URL may contain a password

    def __reduce__(self) -> Any:
        if _has_password(self._url.reveal()):
            raise TypeError("a RedisStore with a password in its url does not pickle; make one in each process")
        return _rebuild, (self._url.reveal(), self._prefix, self._timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def get(self, key: str) -> bytes | None:
        """The value, or None.

        Raises:
            redis.RedisError, OSError, TimeoutError: Redis did not answer.
        """
        client = self._connected()
        async with asyncio.timeout(self._timeout):
            value: bytes | None = await client.get(self._prefix + key)
        return value

    async def set(self, key: str, value: bytes, ttl: float | None) -> None:
        """Stores a value.

        Raises:
            redis.RedisError, OSError, TimeoutError: Redis did not answer.
        """
        client = self._connected()
        milliseconds = None if ttl is None else max(1, round(ttl * 1000))
        async with asyncio.timeout(self._timeout):
            await client.set(self._prefix + key, value, px=milliseconds)

    async def delete(self, key: str) -> None:
        """Removes a value, if there is one."""
        client = self._connected()
        async with asyncio.timeout(self._timeout):
            await client.delete(self._prefix + key)

    async def clear(self, namespace: str = "") -> int:
        """Removes all values of a namespace, or for "" all with this prefix; returns their number."""
        client, cursor, count = self._connected(), 0, 0
        start = self._prefix + (f"{namespace}:" if namespace else "")
        pattern = re.sub(r"([\\*?\[\]^])", r"\\\1", start) + "*"
        while True:
            async with asyncio.timeout(max(self._timeout, _CLEAR_TIMEOUT)):
                cursor, found = await client.scan(cursor, match=pattern, count=_KEYS_PER_SCAN)
                # What follows the namespace is a hash, without a colon; else it is of another namespace.
                keys = [key for key in found if not namespace or b":" not in key[len(start.encode()) :]]
                count += await client.unlink(*keys) if keys else 0
            if not cursor:
                return count

    async def aclose(self) -> None:
        """Closes all connections; idempotent."""
        self._closed = True
        client, self._client = self._client, None
        if client is not None:
            await client.aclose(close_connection_pool=True)

    def _connected(self) -> Any:
        loop = asyncio.get_running_loop()
        if self._closed:
            raise ClientClosedError("this RedisStore was closed; close it after the clients that use it")
        if self._client is None:
            self._loop = loop
            self._client = self._open()
        elif self._loop is not loop:
            raise ClientClosedError("this RedisStore belongs to another event loop; make one per loop")
        return self._client

    def _open(self) -> Any:
        """A client, which connects at its first command."""
        redis: Any = Redis
        no_retry: Any = Retry  # a cache that has to be waited for is none
        return redis.from_url(
            self._url.reveal(),
            socket_timeout=self._timeout,
            socket_connect_timeout=self._timeout,
            retry=no_retry(NoBackoff(), 0),
        )


def _has_password(url: str) -> bool:
    """Whether a URL contains a password, or may contain one."""
    parts = urlsplit(url)
    return "@" in parts.netloc or "pass" in parts.query.lower()


def _rebuild(url: str, prefix: str, timeout: float) -> RedisStore:
    return RedisStore(url, prefix=prefix, timeout=timeout)


__all__ = ["RedisStore"]
