"""RedisHealth: openings of targets in Redis, in whose time they end; read in the background, once a second at most."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
from typing import Any

from ..._async import ClosedOnExit
from ..._boundary import hides_frames
from ...errors import ConfigurationError
from ...logs import log_event
from .redis_connection import RedisConnection

_INTERVAL = 1.0
"""Seconds from one read to the next, at least."""

_PUBLISH = """
local time = redis.call('TIME')
local ends = time[1] * 1000 + (time[2] - time[2] % 1000) / 1000 + ARGV[2]
local known = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not known or tonumber(known) < ends then redis.call('ZADD', KEYS[1], ends, ARGV[1]) end
local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
redis.call('PEXPIREAT', KEYS[1], last[2])
"""
"""Adds an opening, unless a longer one is known; the key lasts as long as the last of them."""

_READ = """
local time = redis.call('TIME')
local now = time[1] * 1000 + (time[2] - time[2] % 1000) / 1000
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local open = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for index = 2, #open, 2 do open[index] = open[index] - now end
return open
"""
"""Target, milliseconds left, target, milliseconds left …"""


class RedisHealth(ClosedOnExit):
    """Shares with other processes which targets of routes are passed by: ``AsyncCompletion(route_health=...)``.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``, as redis-py takes it. Default: the environment's ``REDIS_URL``.
        prefix: of the key in Redis. Default ``anycompletion:health:``.
        timeout: seconds for Redis to answer; no call waits for it. Default 1.

    A target whose circuit opens in one process is passed by in all others within about a second, and each of them
    probes it when its time ends. Nothing is read without calls over routes. While Redis does not answer, each process
    has what it knows itself, with one warning in the log. Redis gets one digest of each target (provider, origin, model
    and key), and nothing else.

    It belongs to one event loop, and may serve many clients there; close it after them, with ``async with`` or
    `aclose()`. It pickles if the URL comes from the environment or contains no password.

    Raises:
        ConfigurationError: there is no URL, or it is none of Redis.
        InvalidRequestError: the timeout is not a positive number.
    """

    @hides_frames  # a URL may contain a password
    def __init__(self, url: str | None = None, *, prefix: str = "anycompletion:health:", timeout: float = 1.0) -> None:
        found = url or os.environ.get("REDIS_URL")
        if not found:
            raise ConfigurationError("no Redis to share the health of targets: set REDIS_URL, or pass url=")
        self._is_given = url is not None
        self._prefix = prefix
        self._connection = RedisConnection("RedisHealth", found, timeout)
        self._open: dict[str, float] = {}
        """Target → when the others' opening ends, on the loop's clock, as of the last read."""
        self._unpublished: dict[str, float] = {}
        """Target → when an opening of this process ends, until Redis has it."""
        self._next_read = 0.0
        self._working: asyncio.Task[None] | None = None
        self._closed = False
        self._is_reported = False
        """Whether it was logged that Redis does not answer."""

    def __repr__(self) -> str:
        return f"<RedisHealth {self._prefix!r}>"  # the URL may contain a password

    def __reduce__(self) -> Any:
        url = self._connection.url_to_pickle() if self._is_given else None
        return _rebuild, (url, self._prefix, self._connection.timeout)

    async def aclose(self) -> None:
        """Waits for what is being published, and closes the connections; idempotent."""
        self._closed = True
        if self._working is not None:
            await asyncio.wait([self._working])
        await self._connection.aclose()

    def publish(self, target: str, seconds: float) -> None:
        """Has the others pass a target by for so many seconds, soon."""
        loop = asyncio.get_running_loop()
        self._unpublished[target] = loop.time() + seconds
        self._work_soon(loop)

    def open_until(self, target: str) -> float:
        """When the others' opening of a target ends, on the loop's clock, as of the last read; 0.0 for none."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return self._open.get(target, 0.0)
        if loop.time() >= self._next_read:
            self._work_soon(loop)
        return self._open.get(target, 0.0)

    def _work_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._working is None and not self._closed:
            # Without the context of the call that happens to be the one that finds it due.
            working = loop.create_task(self._work(), context=contextvars.Context())
            self._working = None if working.done() else working  # tasks may run at once

    async def _work(self) -> None:
        """Publishes what is new, and reads what others have published if that is due."""
        clock = asyncio.get_running_loop().time
        try:
            redis = self._connection.client()
            await self._publish_all(redis)
            if clock() >= self._next_read:
                self._next_read = clock() + _INTERVAL
                await self._read(redis)
            await self._publish_all(redis)
        except Exception as error:  # noqa: BLE001 (whatever it is, it must neither fail a call nor be tried at each)
            self._next_read = max(self._next_read, clock() + _INTERVAL)
            self._report(error)
        else:
            self._is_reported = False
        finally:
            self._working = None

    async def _publish_all(self, redis: Any) -> None:
        clock = asyncio.get_running_loop().time
        while self._unpublished:
            target, until = next(iter(self._unpublished.items()))
            left = round((until - clock()) * 1000)
            if left > 0:
                async with asyncio.timeout(self._connection.timeout):
                    await redis.eval(_PUBLISH, 1, self._key, target, left)
            if self._unpublished[target] == until:
                del self._unpublished[target]

    async def _read(self, redis: Any) -> None:
        async with asyncio.timeout(self._connection.timeout):
            found: list[Any] = await redis.eval(_READ, 1, self._key)
        now = asyncio.get_running_loop().time()
        names, left = found[::2], found[1::2]
        texts = [name if isinstance(name, str) else name.decode() for name in names]  # as the URL has it
        self._open = {text: now + each / 1000 for text, each in zip(texts, left, strict=True)}

    @property
    def _key(self) -> str:
        return f"{self._prefix}openings"

    def _report(self, error: BaseException) -> None:
        if not self._is_reported:
            self._is_reported = True
            text = "the Redis that shares the health of targets cannot be reached (%s): each process has its own"
            reason = type(error).__name__
            log_event(logging.WARNING, "redis_unreachable", text, reason, error=reason)


def _rebuild(url: str | None, prefix: str, timeout: float) -> RedisHealth:
    return RedisHealth(url, prefix=prefix, timeout=timeout)


__all__ = ["RedisHealth"]
