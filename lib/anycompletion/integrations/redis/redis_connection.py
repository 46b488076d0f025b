"""Connections to Redis of one event loop, opened at their first use; what `RedisStore` and `RedisHealth` have alike."""

from __future__ import annotations

import asyncio
from typing import Any, cast
from urllib.parse import urlsplit

from ..._boundary import hides_frames
from ...errors import ClientClosedError, ConfigurationError, InvalidRequestError
from ...options import Secret

try:
    from redis.asyncio import Redis
    from redis.asyncio.connection import parse_url
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError
except ImportError as missing:
    raise ImportError("sharing through Redis needs an extra: pip install 'anycompletion[redis]'") from missing

_SCHEMES = ("redis", "rediss", "unix")

REDIS_FAILURES = (RedisError, OSError, TimeoutError)
"""What Redis and the network raise."""


class RedisConnection:
    """Connections that nothing retries: what is shared must cost no call its time.

    Args:
        owner: the class that has it, for errors.
        url: ``redis://``, ``rediss://`` or ``unix://``, as redis-py takes it.
        timeout: seconds for Redis to answer.

    Raises:
        ConfigurationError: the URL is none of Redis.
        InvalidRequestError: the timeout is not a positive number.
    """

    @hides_frames  # a URL may contain a password
    def __init__(self, owner: str, url: str, timeout: float) -> None:
        given = cast("object", url)
        if not isinstance(given, str) or given.partition("://")[0] not in _SCHEMES:
            raise ConfigurationError("url: expected redis://, rediss:// or unix://")
        if not _is_readable(given):
            raise ConfigurationError("url: redis-py cannot read its port or one of its options")
        seconds = cast("object", timeout)
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds > 0:
            raise InvalidRequestError("timeout: expected seconds", param="timeout")
        self.timeout = timeout
        self._owner = owner
        self._url = Secret(url)
        self._client: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.closed = False

    def url_to_pickle(self) -> str:
        """The URL.

        Raises:
            TypeError: it has a password, or may have one.
        """
        url = self._url.reveal()
        parts = urlsplit(url)
        if "@" in parts.netloc or "pass" in parts.query.lower():
            raise TypeError(f"a {self._owner} with a password in its url does not pickle; make one in each process")
        return url

    def client(self) -> Any:
        """The redis-py client, which connects at its first command.

        Raises:
            ClientClosedError: it was closed, or belongs to another event loop.
        """
        loop = asyncio.get_running_loop()
        if self.closed:
            raise ClientClosedError(f"this {self._owner} was closed; close it after the clients that use it")
        if self._client is None:
            self._loop = loop
            self._client = self._open()
        elif self._loop is not loop:
            raise ClientClosedError(f"this {self._owner} belongs to another event loop; make one per loop")
        return self._client

    def _open(self) -> Any:
        redis: Any = Redis
        no_retry: Any = Retry
        return redis.from_url(
            self._url.reveal(),
            socket_timeout=self.timeout,
            socket_connect_timeout=self.timeout,
            retry=no_retry(NoBackoff(), 0),
        )

    async def aclose(self) -> None:
        """Closes all connections; idempotent."""
        self.closed = True
        client, self._client = self._client, None
        if client is not None:
            await client.aclose(close_connection_pool=True)


def _is_readable(url: str) -> bool:
    """Whether redis-py can read a URL; what it raises may have a password in it."""
    parse: Any = parse_url
    try:
        parse(url)
    except (ValueError, TypeError):
        return False
    return True
