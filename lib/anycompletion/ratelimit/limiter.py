"""Rate limiter within this process: keeps a `RateLimit`, and the limits that the provider reports in its headers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

from attrs import define

from .._async import WaiterQueue
from ..options import RateLimit
from ..rate_limit_headers import RemainingQuota
from .token_bucket import ReportedLimit, TokenBucket

_INFINITE = float("inf")

_NEGLIGIBLE = 1e-6
"""Seconds. A shorter wait is none: sums of fractions are never exact."""


class LimiterSnapshot(NamedTuple):
    """What a limiter had let through when it let a request through, that request included."""

    requests: int
    tokens: int
    at: float


@define(eq=False)
class _QueuedRequest:
    tokens: int
    snapshot: LimiterSnapshot | None = None
    """Set when the request is let through."""


class LocalRateLimiter:
    """Delays requests so that they keep a `RateLimit` and the limits that the provider reports.

    First in, first out: a small request never overtakes a large one that waits, so that none starves. Cancelling a
    wait leaves the queue and uses no quota.
    """

    def __init__(self, limit: RateLimit) -> None:
        self._requests = None if limit.requests_per_minute is None else TokenBucket(limit.requests_per_minute)
        self._tokens = None if limit.tokens_per_minute is None else TokenBucket(limit.tokens_per_minute)
        self._max_in_flight = limit.concurrency
        self.in_flight = 0
        self._reported: dict[str, tuple[bool, ReportedLimit]] = {}
        """Header → whether it counts tokens, and the limit that it reported."""
        self._newest: dict[str, int] = {}
        """Header → ordinal of the latest request whose response had it."""
        self._total = LimiterSnapshot(0, 0, 0.0)
        self._waiters: WaiterQueue[_QueuedRequest] = WaiterQueue()
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    @property
    def queued(self) -> int:
        """Number of requests that wait."""
        return len(self._waiters)

    def admits(self, tokens: int) -> bool:
        """Whether `acquire` would let such a request through at once."""
        return not self._waiters and self._wait_time(tokens, asyncio.get_running_loop().time()) <= _NEGLIGIBLE

    async def acquire(self, tokens: int) -> LimiterSnapshot:
        """Waits until a request of so many tokens may be sent, or `wake` is called."""
        loop = self._loop = asyncio.get_running_loop()
        if not self._waiters and self._wait_time(tokens, loop.time()) <= _NEGLIGIBLE:
            return self._let_through(tokens, loop.time())
        request = _QueuedRequest(tokens)
        waiter = self._waiters.enqueue(request)
        self._advance()
        try:
            await self._waiters.wait(waiter, on_lost=lambda: self.settle(tokens, None))
        except asyncio.CancelledError:
            self._advance()  # the next request may need fewer tokens
            raise
        assert request.snapshot is not None, "`_advance` sets it before it wakes the waiter"
        return request.snapshot

    def settle(self, tokens: int, actual: int | None) -> None:
        """Ends a request that was let through: it used `actual` tokens; None if it was never sent."""
        self.in_flight -= 1
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        now = loop.time()
        if actual is None and self._requests is not None:
            self._requests.refund(1, now)
        if self._tokens is not None:
            self._tokens.refund(tokens - (actual or 0), now)
        self._advance()

    def update_from_headers(self, snapshot: LimiterSnapshot, quotas: Iterable[RemainingQuota]) -> None:
        """Takes the limits from the headers of the response to the request with this snapshot."""
        for quota in quotas:
            if snapshot.requests < self._newest.get(quota.name, 0):
                continue  # the response to a later request came before
            self._newest[quota.name] = snapshot.requests
            total = self._total
            since = total.tokens - snapshot.tokens if quota.counts_tokens else total.requests - snapshot.requests
            _, limit = self._reported.setdefault(quota.name, (quota.counts_tokens, ReportedLimit(total.at)))
            limit.update(quota.remaining - since, snapshot.at + quota.reset)
        self._advance()

    def wake(self) -> None:
        """Lets all requests through, for good: the client is closed, and sending reports that."""
        self._closed = True
        self._advance()

    def _wait_time(self, tokens: int, now: float) -> float:
        """Seconds until a request of so many tokens may be sent; infinite if another one must end first."""
        if self._closed:
            return 0.0
        if self._max_in_flight is not None and self.in_flight >= self._max_in_flight:
            return _INFINITE
        wait = 0.0 if self._requests is None else self._requests.wait_time(1, now)
        if self._tokens is not None:
            wait = max(wait, self._tokens.wait_time(tokens, now))
        for counts_tokens, limit in self._reported.values():
            wait = max(wait, limit.wait_time(tokens if counts_tokens else 1, now))
        return wait

    def _let_through(self, tokens: int, now: float) -> LimiterSnapshot:
        self.in_flight += 1
        if self._requests is not None:
            self._requests.take(1, now)
        if self._tokens is not None:
            self._tokens.take(tokens, now)
        for counts_tokens, limit in self._reported.values():
            limit.take(tokens if counts_tokens else 1, now)
        self._total = LimiterSnapshot(self._total.requests + 1, self._total.tokens + tokens, now)
        return self._total

    def _advance(self) -> None:
        """Lets the first requests through if they may be sent, and sets a timer for the next one."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        while (request := self._waiters.first) is not None:
            wait = self._wait_time(request.tokens, loop.time())
            if wait > _NEGLIGIBLE:
                if wait < _INFINITE:
                    self._timer = loop.call_later(wait, self._advance)
                return
            request.snapshot = self._let_through(request.tokens, loop.time())
            self._waiters.wake_first()
