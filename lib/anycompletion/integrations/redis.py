"""`RedisRateLimiter`: one limit for many processes and machines, kept in Redis by throttled-py; never sends a request.

Strategy: a request books its place and is told how long it has to wait for it, which takes one round trip and no
polling. Redis keeps, by GCRA, when the last booked place is; places are given in the order of booking, large or small.
Within a process only the first in line books, so that what replies give back shortens the way of all others.
"""

from __future__ import annotations

import asyncio
import datetime
import os
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from ..errors import APIConnectionError, ClientClosedError, ConfigurationError, InvalidRequestError
from ..logs import log
from ..options import RateLimit

try:
    from redis.exceptions import RedisError
    from throttled.asyncio import Quota, Rate, RateLimiterRegistry, RateLimiterType, RedisStore
    from throttled.exceptions import BaseThrottledError
except ImportError as missing:
    raise ImportError("a shared rate limit needs throttled-py: pip install 'anycompletion[redis]'") from missing

_BURST = 3.0
"""Seconds' worth that may go at once: a twentieth of a minute's, as of limits within one process."""

_PERIOD = datetime.timedelta(weeks=1)
"""So far ahead places can be booked. throttled-py counts whole requests per whole seconds, so it is also what makes a
limit of a fraction per minute exact."""

_MINUTES = _PERIOD / datetime.timedelta(minutes=1)

_FAULTS = (RedisError, BaseThrottledError, OSError, asyncio.TimeoutError)
"""What Redis and the road to it raise."""


class RedisRateLimiter:
    """A `RateLimiter` that shares its limits with all that use the same Redis and the same `prefix`.

    Args:
        limits: provider, or ``provider/model`` → `RateLimit`, as `AsyncCompletion` takes them; where both match, both
            hold. Requests and tokens per minute only: how many are under way is counted by each client's own `limits`.
        url: ``redis://``, ``rediss://``, ``redis+sentinel://`` or ``redis+cluster://``. Default: the environment's
            ``REDIS_URL``.
        prefix: of the keys in Redis. Default ``anycompletion``.
        fail_open: whether requests go when Redis cannot be reached, with one warning in the log. Default False: they
            fail with an `APIConnectionError`, whose `phase` is ``limits``.
        timeout: seconds for Redis to answer. Default 5.

    It belongs to one event loop, and may serve many clients there; close it after them, with ``async with`` or
    `aclose()`. It pickles where the URL comes from the environment or holds no password.

    Raises:
        InvalidRequestError: `limits` are none, or limit how many are under way.
        ConfigurationError: no URL.
    """

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
        self._given: dict[str, Any] = {"prefix": prefix, "fail_open": fail_open, "timeout": timeout}
        self._url = url
        self._store = _Store(found, {"SOCKET_TIMEOUT": timeout, "SOCKET_CONNECT_TIMEOUT": timeout})
        self._fails_open = fail_open
        self._lines = {key: _Line(key, limit, self._store, prefix) for key, limit in self._limits.items()}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._settling: asyncio.Task[None] | None = None
        self._is_lost = self._closed = False

    def __repr__(self) -> str:
        return f"<RedisRateLimiter {', '.join(self._limits)}>"  # a URL may hold a password

    def __reduce__(self) -> Any:
        if self._url is not None and "@" in self._url:
            raise TypeError("a RedisRateLimiter with a password in its url does not pickle; let REDIS_URL hold it")
        return _rebuild, (self._limits, {**self._given, "url": self._url})

    # --- life ---

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Settles what is to be settled, and closes the connections; idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._settling is not None:
            await asyncio.wait([self._settling])
        await self._store.aclose()

    # --- what a RateLimiter does ---

    async def acquire(self, key: str, *, requests: int, tokens: int) -> None:
        """Returns when the request may be sent.

        Raises:
            APIConnectionError: Redis cannot be reached, and the limiter does not fail open.
            ClientClosedError: the limiter is closed, or belongs to another event loop.
        """
        self._check_alive()
        booked: list[_Line] = []
        try:
            for line in self._lines_of(key):
                await line.wait(requests, tokens)
                booked.append(line)
        except _FAULTS as fault:
            reason = type(fault).__name__
        except asyncio.CancelledError:
            for line in booked:
                line.owe(-requests, -tokens)
            self._settle_soon()
            raise
        else:
            self._is_lost = False
            return
        if not self._fails_open:
            raise APIConnectionError(f"the Redis that shares rate limits cannot be reached ({reason})", phase="limits")
        if not self._is_lost:
            self._is_lost = True
            log.warning("the Redis that shares rate limits cannot be reached (%s): requests go without", reason)

    def settle(self, key: str, *, estimated: int, actual: int) -> None:
        """Takes or gives back the difference, soon."""
        if estimated == actual:
            return
        for line in self._lines_of(key):
            line.owe(0, actual - estimated)
        self._settle_soon()

    def _check_alive(self) -> None:
        loop = asyncio.get_running_loop()
        if self._closed:
            raise ClientClosedError("this RedisRateLimiter was closed; close it after the clients that use it")
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise ClientClosedError("this RedisRateLimiter belongs to another event loop; make one per loop")

    def _lines_of(self, key: str) -> Sequence[_Line]:
        names = (key, key.partition("/")[0])
        return [self._lines[name] for name in names if name in self._lines]

    def _settle_soon(self) -> None:
        """All that is to be settled goes in one task: replies may come by the thousand."""
        loop = self._loop
        if self._closed or loop is None or loop.is_closed() or self._settling is not None:
            return
        self._settling = loop.create_task(self._settle())

    async def _settle(self) -> None:
        try:
            while any([await line.settle() for line in self._lines.values()]):
                pass
        except _FAULTS as fault:
            # What replies took beyond their estimates is forgotten, and what they left is not given back.
            log.debug("settling a shared rate limit failed with %s", type(fault).__name__)
        finally:
            self._settling = None


class _Store(RedisStore):
    """throttled-py's, which can be closed."""

    async def aclose(self) -> None:
        """Closes all connections."""
        client: Any = self._backend.get_client()
        try:
            await client.aclose(close_connection_pool=True)
        except _FAULTS:
            pass  # they are gone already


class _Line:
    """One limit, and who waits for it in this process, in the order of asking."""

    def __init__(self, name: str, limit: RateLimit, store: RedisStore, prefix: str) -> None:
        rates = {"requests": limit.requests_per_minute, "tokens": limit.tokens_per_minute}
        self._rates = {
            kind: _Booking(f"{name}:{kind}", rate, store, prefix) for kind, rate in rates.items() if rate is not None
        }
        self._first = asyncio.Lock()

    async def wait(self, requests: int, tokens: int) -> None:
        """Books a place and waits for it. Who leaves gives it back, to those who book after that."""
        cost = {"requests": requests, "tokens": tokens}
        wait, booked = 0.0, {"requests": 0, "tokens": 0}
        async with self._first:
            try:
                for kind, rate in self._rates.items():
                    wait = max(wait, await rate.book(cost[kind]))
                    booked[kind] = cost[kind]
                if wait > 0:
                    await asyncio.sleep(wait)
            except asyncio.CancelledError:
                self.owe(-booked["requests"], -booked["tokens"])
                raise

    def owe(self, requests: int, tokens: int) -> None:
        """So many more were taken than booked; fewer where it is negative."""
        for kind, amount in (("requests", requests), ("tokens", tokens)):
            if kind in self._rates:
                self._rates[kind].owed += amount

    async def settle(self) -> bool:
        """Tells Redis what is owed; False where that is nothing."""
        return any([await rate.settle() for rate in self._rates.values()])


class _Booking:
    """One rate in Redis: when its last place is."""

    def __init__(self, name: str, per_minute: float, store: RedisStore, prefix: str) -> None:
        limit = max(1, round(per_minute * _MINUTES))
        # With a burst of all there is, every place can be booked, and how far ahead it is is left for us to wait.
        quota = Quota(Rate(_PERIOD, limit), burst=limit)
        self._name = name
        self._each = quota.emission_interval
        """Seconds that one takes."""
        self._burst = max(_BURST, self._each)
        self._limiter = RateLimiterRegistry.get(RateLimiterType.GCRA.value)(quota, store, key_prefix=prefix)
        self._turn = asyncio.Lock()
        self.owed = 0
        """What was taken beyond what was booked, and Redis does not know of yet."""

    async def book(self, cost: int) -> float:
        """Books a place; returns the seconds until it comes."""
        if cost <= 0:
            return 0.0
        async with self._turn:
            if self.owed:
                await self._settle()
            booked = await self._limiter.limit(self._name, cost)
        if booked.limited:  # more is booked already than can be
            await asyncio.sleep(booked.state.retry_after)
            return await self.book(cost)
        # What is larger than the burst goes when all before it is paid for.
        return booked.state.reset_after - max(self._burst, cost * self._each)

    async def settle(self) -> bool:
        """Tells Redis what is owed; False where that is nothing."""
        async with self._turn:
            return await self._settle()

    async def _settle(self) -> bool:
        owed, self.owed = self.owed, 0
        if owed < 0:
            # No more can be given back than is booked.
            ahead = (await self._limiter.peek(self._name)).reset_after
            owed = -min(-owed, int(ahead / self._each) - 1)
            if owed >= 0:
                return False
        if owed:
            await self._limiter.limit(self._name, owed)
        return bool(owed)


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
