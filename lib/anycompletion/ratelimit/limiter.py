"""One limit within this process: calls go when it is their turn, in the order of asking."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from ..options import RateLimit
from .token_bucket import ReportedLimit, TokenBucket

_FOREVER = float("inf")

_NO_WAIT = 1e-6
"""Seconds that are none: sums of fractions are never exact."""


class LimiterSnapshot(NamedTuple):
    """How far a limit was used when a call was let go, itself included."""

    requests: int
    tokens: int
    at: float


class RemainingQuota(NamedTuple):
    """What an answer's headers say is left of one of the provider's limits."""

    name: str
    """Of the headers."""
    counts_tokens: bool
    remaining: float
    reset: float
    """Seconds from the request until it is whole again."""


class LocalRateLimiter:
    """Holds calls back so that they keep a `RateLimit`, and what the provider tells of its own.

    Who asks first goes first, however large: a call that is cheap enough never overtakes one that has to wait, so none
    starves. Cancelling leaves the line and takes nothing.
    """

    def __init__(self, limit: RateLimit) -> None:
        self._requests = None if limit.requests_per_minute is None else TokenBucket(limit.requests_per_minute)
        self._tokens = None if limit.tokens_per_minute is None else TokenBucket(limit.tokens_per_minute)
        self._most = limit.concurrency
        self.in_flight = 0
        self._told: dict[str, tuple[bool, ReportedLimit]] = {}
        """By the name of the headers: whether it counts tokens, and what they said."""
        self._newest: dict[str, int] = {}
        """By the same: the number of the request whose answer was heard last."""
        self._taken = LimiterSnapshot(0, 0, 0.0)
        self._line: OrderedDict[asyncio.Future[LimiterSnapshot], int] = OrderedDict()
        """Who waits, and for how many tokens."""
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = False

    @property
    def queued(self) -> int:
        """Who waits."""
        return len(self._line)

    async def acquire(self, tokens: int) -> LimiterSnapshot:
        """Waits until a request of so many tokens may go, or `wake` is called."""
        loop = self._loop = asyncio.get_running_loop()
        if not self._line and self._wait(tokens, loop.time()) <= _NO_WAIT:
            return self._let_through(tokens, loop.time())
        waiter: asyncio.Future[LimiterSnapshot] = loop.create_future()
        self._line[waiter] = tokens
        self._advance()
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                self._line.pop(waiter, None)
                self._advance()
            else:
                self.settle(tokens, None)  # its turn came in the same moment, and it takes nothing
            raise

    def settle(self, tokens: int, actual: int | None) -> None:
        """A request that was let go is over: it took `actual` tokens, or was never sent, which is None."""
        self.in_flight -= 1
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        now = loop.time()
        if actual is None and self._requests is not None:
            self._requests.give(1, now)
        if self._tokens is not None:
            self._tokens.give(tokens - (actual or 0), now)
        self._advance()

    def update_from_headers(self, mark: LimiterSnapshot, lefts: Iterable[RemainingQuota]) -> None:
        """The headers of the answer to the request that was let go at `mark`."""
        for left in lefts:
            if mark.requests < self._newest.get(left.name, 0):
                continue  # an answer to a later request came before
            self._newest[left.name] = mark.requests
            since = self._taken.tokens - mark.tokens if left.counts_tokens else self._taken.requests - mark.requests
            _, told = self._told.setdefault(left.name, (left.counts_tokens, ReportedLimit(self._taken.at)))
            told.update(left.remaining - since, mark.at + left.reset)
        self._advance()

    def wake(self) -> None:
        """Lets everybody go, for good: the client is closed, and sending says so."""
        self._over = True
        self._advance()

    def _wait(self, tokens: int, now: float) -> float:
        """Seconds until a request of so many tokens may go; infinite until another one is over."""
        if self._over:
            return 0.0
        if self._most is not None and self.in_flight >= self._most:
            return _FOREVER
        wait = 0.0 if self._requests is None else self._requests.wait(1, now)
        if self._tokens is not None:
            wait = max(wait, self._tokens.wait(tokens, now))
        for counts_tokens, told in self._told.values():
            wait = max(wait, told.wait(tokens if counts_tokens else 1, now))
        return wait

    def _let_through(self, tokens: int, now: float) -> LimiterSnapshot:
        self.in_flight += 1
        if self._requests is not None:
            self._requests.take(1, now)
        if self._tokens is not None:
            self._tokens.take(tokens, now)
        for counts_tokens, told in self._told.values():
            told.take(tokens if counts_tokens else 1, now)
        self._taken = LimiterSnapshot(self._taken.requests + 1, self._taken.tokens + tokens, now)
        return self._taken

    def _advance(self) -> None:
        """Lets go whoever may, and sets the clock for the next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        while self._line:
            waiter, tokens = next(iter(self._line.items()))
            wait = self._wait(tokens, loop.time())
            if wait > _NO_WAIT:
                if wait < _FOREVER:
                    self._timer = loop.call_later(wait, self._advance)
                return
            del self._line[waiter]
            if not waiter.done():
                waiter.set_result(self._let_through(tokens, loop.time()))
