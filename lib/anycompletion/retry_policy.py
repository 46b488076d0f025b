"""Whether and when to try again: pure decisions over values, with clock and random handed in; never sleeps.

Nothing is decided here about streams that already delivered a chunk: those are never retried.
"""

from __future__ import annotations

from collections.abc import Callable

from .errors import APIConnectionError, APIError, APIStatusError, OverloadedError, QuotaExceededError, RateLimitError

MAX_HINT = 60.0
"""Seconds; a provider that asks for a longer wait gets an error now instead of a shorter wait."""


_NEVER = frozenset((501, 505))
"""Statuses of a server that will never do what was asked."""


_NOT_BEGUN = frozenset((429, 503))
"""Statuses by which a server says that it did not take the request."""


class Backoff:
    """Exponential back-off with jitter below it, and jitter above a provider's hint."""

    __slots__ = ("base", "cap")

    def __init__(self, base: float = 0.5, cap: float = 8.0) -> None:
        self.base = base
        self.cap = cap

    def delay(self, tried: int, hint: float | None, random: Callable[[], float]) -> float:
        """Seconds to wait after the attempt number `tried` (1 is the first)."""
        if hint is not None:
            return hint * (1 + 0.1 * random())
        return min(self.cap, self.base * 2.0 ** (tried - 1)) * (1 - 0.25 * random())


_BACKOFF = Backoff()


def worth_retrying(error: APIError) -> bool:
    """Whether the same request may succeed later; the provider's `x-should-retry` wins over its status."""
    if isinstance(error, QuotaExceededError):
        return False
    if isinstance(error, APIStatusError) and error.headers is not None:
        said = error.headers.get("x-should-retry")
        if said in ("true", "false"):
            return said == "true"
    return error.retryable and error.status_code not in _NEVER


def may_have_begun(error: APIError) -> bool:
    """Whether the provider may have started the work although it answered with `error`, or not at all."""
    if isinstance(error, APIStatusError):
        return error.status_code not in _NOT_BEGUN
    return error.maybe_billed


def is_overload(error: APIError) -> bool:
    """Whether the provider refused because it is asked too much, and not for anything in the request."""
    return isinstance(error, (RateLimitError, OverloadedError)) and not isinstance(error, QuotaExceededError)


def is_throttled(error: APIError) -> bool:
    """Whether the provider said when to come back: such a retry rests with all others, and draws on no budget."""
    return isinstance(error, RateLimitError) and error.retry_after is not None


def was_never_seen(error: APIError) -> bool:
    """Whether the provider cannot have seen the request: no connection was made."""
    return isinstance(error, APIConnectionError) and error.phase == "connect"


def next_delay(
    error: APIError,
    *,
    tried: int,
    max_retries: int,
    time_left: float | None,
    random: Callable[[], float],
    backoff: Backoff = _BACKOFF,
) -> float | None:
    """Seconds to wait before the next attempt, or None: raise `error`.

    A wait that would pass the deadline, or a hint above a minute, is not begun.
    """
    if tried > max_retries or not worth_retrying(error):
        return None
    if error.retry_after is not None and error.retry_after > MAX_HINT:
        return None
    delay = backoff.delay(tried, error.retry_after, random)
    return delay if time_left is None or delay < time_left else None


class RetryBudget:
    """What retries are paid from, so that an outage is not made worse: each call pays in, each retry draws.

    In a total outage about one request in ten is a retry, where a fixed number of retries would triple the load.
    """

    def __init__(self, deposit: float = 0.1, cap: float = 100.0, tokens: float = 10.0) -> None:
        self.per_call = deposit
        """Tokens a call pays in."""
        self.cap = cap
        self.tokens = tokens

    def deposit(self) -> None:
        """A logical call begins."""
        tokens = self.tokens + self.per_call
        self.tokens = tokens if tokens < self.cap else self.cap

    def spend(self) -> bool:
        """Takes the token for one retry; False where there is none."""
        if self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True
