"""Rate limits that many processes and machines share, stored in Redis by throttled-py; never sends a request.

Strategy: a request reserves its amount and gets the time it has to wait, which takes one round trip and no polling.
Redis stores, by GCRA, the time of the last reservation; reservations are served in their order, large or small. Within
a process one request reserves at a time, first in, first out, so that what replies give back shortens all later waits.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

from ..._async import ClosedOnExit
from ..._boundary import hides_frames
from ...errors import APIConnectionError, ClientClosedError, ConfigurationError, InvalidRequestError
from ...logs import log_event
from ...options import RateLimit

try:
    from redis.exceptions import RedisError
    from throttled.asyncio import Quota, Rate, RateLimiterRegistry, RateLimiterType
    from throttled.asyncio import RedisStore as ThrottledStore
    from throttled.exceptions import BaseThrottledError
except ImportError as missing:
    raise ImportError("a shared rate limit needs throttled-py: pip install 'anycompletion[redis]'") from missing

_BURST = 3.0
"""Seconds of the rate that may be sent at once: a twentieth of a minute, as with limits within one process."""

_PERIOD = datetime.timedelta(weeks=1)
"""How far ahead reservations can be. throttled-py counts whole requests per whole seconds, so this long period also
makes a limit of a fraction per minute exact."""

_MINUTES = _PERIOD / datetime.timedelta(minutes=1)

_REDIS_ERRORS = (RedisError, BaseThrottledError, OSError, asyncio.TimeoutError)
"""What Redis and the network raise."""


class RedisRateLimiter(ClosedOnExit):
    """A `RateLimiter` that shares its limits with all that use the same Redis and the same `prefix`.

    Args:
        limits: provider, or ``provider/model`` → `RateLimit`, as `AsyncCompletion` takes them; where both match, both
            apply. Requests and tokens per minute only: concurrency is limited by each client's own `limits`.
        url: ``redis://``, ``rediss://``, ``redis+sentinel://`` or ``redis+cluster://``. Default: the environment's
            ``REDIS_URL``.
        prefix: of the keys in Redis. Default ``anycompletion``.
        fail_open: whether requests are sent when Redis cannot be reached, with one warning in the log. Default False:
            they fail with an `APIConnectionError`, whose `phase` is ``limits``.
        timeout: seconds for Redis to answer. Default 5.

    It belongs to one event loop, and may serve many clients there; close it after them, with ``async with`` or
    `aclose()`. It pickles if the URL comes from the environment or contains no password.

    Raises:
        InvalidRequestError: `limits` are not `RateLimit`s, or limit concurrency.
        ConfigurationError: no URL.
    """

    @hides_frames  # a URL may contain a password
    def __init__(
        self,
        limits: Mapping[str, RateLimit],
        *,
        url: str | None = None,
        prefix: str = "anycompletion",
        fail_open: bool = False,
        timeout: float = 5.0,
    ) -> None:
        found = url or os.environ.get("REDIS_URL")
        if not found:
            raise ConfigurationError("no Redis to share rate limits: set REDIS_URL, or pass url=")
        self._limits = dict(limits)
        for key, limit in self._limits.items():
            _check(key, limit)
        self._options: dict[str, Any] = {"prefix": prefix, "fail_open": fail_open, "timeout": timeout}
        self._url = url
        self._store = _Store(found, {"SOCKET_TIMEOUT": timeout, "SOCKET_CONNECT_TIMEOUT": timeout})
        self._fail_open = fail_open
        self._shared = {key: _SharedLimit(key, limit, self._store, prefix) for key, limit in self._limits.items()}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._settling: asyncio.Task[None] | None = None
        self._unreachable = self._closed = False

    def __repr__(self) -> str:
        return f"<RedisRateLimiter {', '.join(self._limits)}>"  # a URL may contain a password

    def __reduce__(self) -> Any:
        if self._url is not None and ("@" in self._url or "pass" in self._url.partition("?")[2].lower()):
            raise TypeError("a RedisRateLimiter with a password in its url does not pickle; let REDIS_URL hold it")
        return _rebuild, (self._limits, {**self._options, "url": self._url})

    async def aclose(self) -> None:
        """Waits for pending settlements and closes the connections; idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._settling is not None:
            await asyncio.wait([self._settling])
        await self._store.aclose()

    async def acquire(self, key: str, *, requests: int, tokens: int) -> None:
        """Returns when the request may be sent.

        Raises:
            APIConnectionError: Redis cannot be reached, and the limiter does not fail open.
            ClientClosedError: the limiter is closed, or belongs to another event loop.
        """
        self._check_alive()
        reserved: list[_SharedLimit] = []
        try:
            for limit in self._limits_of(key):
                await limit.wait(requests, tokens)
                reserved.append(limit)
        except _REDIS_ERRORS as error:
            reason = type(error).__name__
        except asyncio.CancelledError:
            for limit in reserved:
                limit.add_debt(-requests, -tokens)
            self._settle_soon()
            raise
        else:
            self._unreachable = False
            return
        if not self._fail_open:
            raise APIConnectionError(f"the Redis that shares rate limits cannot be reached ({reason})", phase="limits")
        if not self._unreachable:
            self._unreachable = True
            text = "the Redis that shares rate limits cannot be reached (%s): requests are not limited"
            log_event(logging.WARNING, "redis_unreachable", text, reason, error=reason)

    def settle(self, key: str, *, estimated: int, actual: int) -> None:
        """Charges or gives back the difference, soon."""
        if estimated == actual:
            return
        for limit in self._limits_of(key):
            limit.add_debt(0, actual - estimated)
        self._settle_soon()

    def _check_alive(self) -> None:
        loop = asyncio.get_running_loop()
        if self._closed:
            raise ClientClosedError("this RedisRateLimiter was closed; close it after the clients that use it")
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise ClientClosedError("this RedisRateLimiter belongs to another event loop; make one per loop")

    def _limits_of(self, key: str) -> Sequence[_SharedLimit]:
        names = (key, key.partition("/")[0])
        return [self._shared[name] for name in names if name in self._shared]

    def _settle_soon(self) -> None:
        """Starts the task that settles all debts, unless it runs: thousands of replies may come at once."""
        loop = self._loop
        if self._closed or loop is None or loop.is_closed() or self._settling is not None:
            return
        self._settling = loop.create_task(self._settle())

    async def _settle(self) -> None:
        try:
            while any([await limit.settle() for limit in self._shared.values()]):
                pass
        except _REDIS_ERRORS as error:
            # The difference between estimates and actual amounts is lost; the next requests are limited by estimates.
            reason = type(error).__name__
            log_event(logging.DEBUG, "redis_unsettled", "settling a rate limit failed with %s", reason, error=reason)
        finally:
            self._settling = None


class _Store(ThrottledStore):
    """throttled-py's store with a method that closes it."""

    async def aclose(self) -> None:
        """Closes all connections."""
        client: Any = self._backend.get_client()
        try:
            await client.aclose(close_connection_pool=True)
        except _REDIS_ERRORS:
            pass  # the connections are closed already


class _SharedLimit:
    """One shared `RateLimit`: its rates in Redis, and the queue of this process's requests for them."""

    def __init__(self, name: str, limit: RateLimit, store: ThrottledStore, prefix: str) -> None:
        rates = {"requests": limit.requests_per_minute, "tokens": limit.tokens_per_minute}
        self._rates = {
            kind: _SharedRate(f"{name}:{kind}", rate, store, prefix) for kind, rate in rates.items() if rate is not None
        }
        self._queue = asyncio.Lock()

    async def wait(self, requests: int, tokens: int) -> None:
        """Reserves the amounts and waits until they may be used; a request that is cancelled gives them back."""
        cost = {"requests": requests, "tokens": tokens}
        wait, reserved = 0.0, {"requests": 0, "tokens": 0}
        async with self._queue:
            try:
                for kind, rate in self._rates.items():
                    wait = max(wait, await rate.reserve(cost[kind]))
                    reserved[kind] = cost[kind]
                if wait > 0:
                    await asyncio.sleep(wait)
            except asyncio.CancelledError:
                self.add_debt(-reserved["requests"], -reserved["tokens"])
                raise

    def add_debt(self, requests: int, tokens: int) -> None:
        """Notes amounts that were used beyond their reservation, or, negative, reserved and not used."""
        for kind, amount in (("requests", requests), ("tokens", tokens)):
            if kind in self._rates:
                self._rates[kind].debt += amount

    async def settle(self) -> bool:
        """Writes the debts to Redis; False if there are none."""
        return any([await rate.settle() for rate in self._rates.values()])


class _SharedRate:
    """One rate in Redis, by GCRA: the time of its last reservation."""

    def __init__(self, name: str, per_minute: float, store: ThrottledStore, prefix: str) -> None:
        limit = max(1, round(per_minute * _MINUTES))
        # The burst is the whole period, so every reservation succeeds, and waiting until it is due is left to us.
        quota = Quota(Rate(_PERIOD, limit), burst=limit)
        self._name = name
        self._interval = quota.emission_interval
        """Seconds between two units at this rate."""
        self._burst = max(_BURST, self._interval)
        self._limiter = RateLimiterRegistry.get(RateLimiterType.GCRA.value)(quota, store, key_prefix=prefix)
        self._lock = asyncio.Lock()
        self.debt = 0
        """Units used beyond their reservations that are not written to Redis yet; negative if fewer were used."""

    async def reserve(self, cost: int) -> float:
        """Reserves `cost` units; returns the seconds until they may be used."""
        if cost <= 0:
            return 0.0
        async with self._lock:
            if self.debt:
                await self._settle()
            result = await self._limiter.limit(self._name, cost)
        if result.limited:  # the whole period is reserved
            await asyncio.sleep(result.state.retry_after)
            return await self.reserve(cost)
        # A cost above the burst may be used when all earlier reservations are due.
        return result.state.reset_after - max(self._burst, cost * self._interval)

    async def settle(self) -> bool:
        """Writes the debt to Redis; False if there is none."""
        async with self._lock:
            return await self._settle()

    async def _settle(self) -> bool:
        debt, self.debt = self.debt, 0
        if debt < 0:
            # No more can be given back than is reserved.
            reserved = (await self._limiter.peek(self._name)).reset_after
            debt = -min(-debt, int(reserved / self._interval) - 1)
            if debt >= 0:
                return False
        if debt:
            await self._limiter.limit(self._name, debt)
        return bool(debt)


def _check(key: object, limit: object) -> None:
    if not isinstance(key, str) or not isinstance(limit, RateLimit):
        param = f"limits[{key!r}]" if isinstance(key, str) else "limits"
        raise InvalidRequestError(f"{param}: expected a provider's name and a RateLimit", param=param)
    if limit.concurrency is not None:
        param = f"limits[{key!r}].concurrency"
        raise InvalidRequestError(
            f"{param}: is not shared; give it to AsyncCompletion(limits=...), which keeps it per client", param=param
        )


def _rebuild(limits: Mapping[str, RateLimit], options: Mapping[str, Any]) -> RedisRateLimiter:
    return RedisRateLimiter(limits, **options)


__all__ = ["RedisRateLimiter"]
