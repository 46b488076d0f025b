"""Whether and when to try again: pure decisions over values, with clock and random handed in; never sleeps.

Nothing is decided here about streams that already delivered a chunk: those are never retried.
"""

from __future__ import annotations

import email.utils
import math
from collections.abc import Callable, Mapping

import attrs

from .errors import APIError, APIStatusError, QuotaExceededError
from .records import seconds

MAX_HINT = 60.0
"""Seconds; a provider that asks for a longer wait gets an error now instead of a shorter wait."""


_LONGEST_DATE = 64
"""Characters."""


_NEVER = frozenset((501, 505))
"""Statuses of a server that will never do what was asked."""


_NOT_BEGUN = frozenset((429, 503))
"""Statuses by which a server says that it did not take the request."""


@attrs.frozen
class Backoff:
    """Exponential back-off with jitter below it, and jitter above a provider's hint."""

    base: float = 0.5
    cap: float = 8.0

    def delay(self, tried: int, hint: float | None, random: Callable[[], float]) -> float:
        """Seconds to wait after the attempt number `tried` (1 is the first)."""
        if hint is not None:
            return hint * (1 + 0.1 * random())
        return min(self.cap, self.base * 2.0 ** (tried - 1)) * (1 - 0.25 * random())


def wait_hint(headers: Mapping[str, str]) -> float | None:
    """How long the provider asks to wait, in seconds: `retry-after-ms`, else `retry-after` (a number or a date).

    A date counts from the response's own `Date`, because the local clock may be wrong. Anything that is no sensible
    wait (zero, NaN, negative, unreadable) is no hint.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds:
        return milliseconds / 1000
    text = headers.get("retry-after")
    if text is None:
        return None
    number = _number(text)
    return (number if number is not None else _until(text, headers.get("date"))) or None


def _number(text: str | None) -> float | None:
    """A plain number; a duration with a unit is not what these headers hold."""
    return seconds(text) if text is not None and not text.strip()[-1:].isalpha() else None


def _until(text: str, date: str | None) -> float | None:
    if date is None or len(text) > _LONGEST_DATE or len(date) > _LONGEST_DATE:
        return None
    try:
        wait = (email.utils.parsedate_to_datetime(text) - email.utils.parsedate_to_datetime(date)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return wait if math.isfinite(wait) and wait >= 0 else None


def worth_retrying(error: APIError) -> bool:
    """Whether the same request may succeed later; the provider's `x-should-retry` wins over its status."""
    if isinstance(error, QuotaExceededError) or error.status_code in _NEVER:
        return False
    if isinstance(error, APIStatusError) and error.headers is not None:
        said = error.headers.get("x-should-retry")
        if said in ("true", "false"):
            return said == "true"
    return error.retryable


def may_have_begun(error: APIError) -> bool:
    """Whether the provider may have started the work although it answered with `error`, or not at all."""
    if isinstance(error, APIStatusError):
        return error.status_code not in _NOT_BEGUN
    return error.maybe_billed


def next_delay(
    error: APIError,
    *,
    tried: int,
    max_retries: int,
    time_left: float | None,
    random: Callable[[], float],
    backoff: Backoff = Backoff(),
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
