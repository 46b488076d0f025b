"""Retry policy: whether and when to retry, as pure decisions over values; never sleeps and reads no clock.

Streams that have already delivered a chunk are never retried; these rules do not apply to them.
"""

from __future__ import annotations

from collections.abc import Callable

from .errors import (
    APIConnectionError,
    APIError,
    APIStatusError,
    InternalServerError,
    OverloadedError,
    QuotaExceededError,
    RateLimitError,
)

MAX_HINT = 60.0
"""Seconds; a longer hint ends the call with its error at once, because a shorter wait would be refused again."""

_NEVER = frozenset((501, 505))
"""Statuses with which a server refuses the request for good."""

_NOT_STARTED = frozenset((429, 503))
"""Statuses with which a server refuses a request before it starts the work."""


class Backoff:
    """Exponential backoff, shortened at random by up to a quarter; a provider's hint is lengthened by up to a tenth."""

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
    """Whether the same request may succeed later; the provider's `x-should-retry` overrides its status."""
    if isinstance(error, QuotaExceededError):
        return False
    if isinstance(error, APIStatusError) and error.headers is not None:
        should_retry = error.headers.get("x-should-retry")
        if should_retry in ("true", "false"):
            return should_retry == "true"
    return error.retryable and error.status_code not in _NEVER


def work_may_have_begun(error: APIError) -> bool:
    """Whether the provider may have started the work although it returned `error`, or nothing."""
    if isinstance(error, APIStatusError):
        return error.status_code not in _NOT_STARTED
    return error.maybe_billed


def shows_outage(error: APIError) -> bool:
    """Whether a request that was sent got no answer, or a server error that other requests would get, too."""
    is_failure = isinstance(error, (APIConnectionError, InternalServerError)) and not is_load_refusal(error)
    return is_failure and error.attempts > 0


def is_load_refusal(error: APIError) -> bool:
    """Whether the provider refused the request because of its load or a rate limit: a retry of it may succeed."""
    return isinstance(error, (RateLimitError, OverloadedError)) and not isinstance(error, QuotaExceededError)


def has_wait_hint(error: APIError) -> bool:
    """Whether a 429 states a wait: its retry waits for the cooldown of its model, and costs no retry budget."""
    return isinstance(error, RateLimitError) and error.retry_after is not None


def never_connected(error: APIError) -> bool:
    """Whether the provider cannot have received the request, because no connection to it was made."""
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
    """Seconds to wait before the next attempt, or None if `error` is to be raised.

    It is raised at once where the wait would exceed `time_left`, or the provider's hint exceeds `MAX_HINT`.
    """
    if tried > max_retries or not worth_retrying(error):
        return None
    if error.retry_after is not None and error.retry_after > MAX_HINT:
        return None
    delay = backoff.delay(tried, error.retry_after, random)
    return delay if time_left is None or delay < time_left else None
