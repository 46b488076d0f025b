"""Whether and when to try again: pure decisions over values, with clock and random handed in; never sleeps.

Nothing is decided here about streams that already delivered a chunk: those are never retried.
"""

from __future__ import annotations

import datetime
import email.utils
import math
import re
from collections.abc import Callable, Mapping

from .errors import APIConnectionError, APIError, APIStatusError, OverloadedError, QuotaExceededError, RateLimitError
from .records import seconds

MAX_HINT = 60.0
"""Seconds; a provider that asks for a longer wait gets an error now instead of a shorter wait."""


_LONGEST_DATE = 64
"""Characters."""


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


# --- how long the provider asks to wait ---


def wait_hint(headers: Mapping[str, str], body: bytes = b"") -> float | None:
    """How long the provider asks to wait, in seconds; the first of these that says something sensible.

    `retry-after-ms`, `retry-after` (a number or a date), the reset of a rate limit of which nothing remains
    (``x-ratelimit-reset-*``, ``anthropic-ratelimit-*-reset``), and the `retryDelay` of an error in Google's form.
    Points in time count from the response's own `Date`, because the local clock may be wrong. Anything that is no
    sensible wait (zero, NaN, negative, unreadable) is no hint.

    https://platform.openai.com/docs/guides/rate-limits, https://docs.anthropic.com/en/api/rate-limits,
    https://cloud.google.com/apis/design/errors
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds:
        return milliseconds / 1000
    now = _date(headers.get("date"))
    return _retry_after(headers.get("retry-after"), now) or _exhausted(headers, now) or _retry_delay(body)


def _retry_after(text: str | None, now: float | None) -> float | None:
    if text is None:
        return None
    number = _number(text)
    return number if number is not None else _until(_date(text), now)


def _number(text: str | None) -> float | None:
    """A plain number; a duration with a unit is not what these headers hold."""
    return seconds(text) if text is not None and not text.strip()[-1:].isalpha() else None


def _date(text: str | None) -> float | None:
    """A point in time as headers write it, as Unix seconds."""
    if text is None or len(text) > _LONGEST_DATE:
        return None
    try:
        return _unix(email.utils.parsedate_to_datetime(text))
    except (ValueError, TypeError, OverflowError):
        return None


def _unix(then: datetime.datetime) -> float | None:
    """Without a time zone it is nobody's time."""
    return None if then.tzinfo is None else then.timestamp()


def _until(then: float | None, now: float | None) -> float | None:
    if then is None or now is None:
        return None
    return then - now if math.isfinite(then) and then > now else None


_BUCKETS = (
    *((f"x-ratelimit-remaining{what}", f"x-ratelimit-reset{what}") for what in ("-requests", "-tokens", "")),
    *(
        (f"anthropic-ratelimit-{what}-remaining", f"anthropic-ratelimit-{what}-reset")
        for what in ("requests", "tokens", "input-tokens", "output-tokens")
    ),
)
"""Headers that tell what remains of a limit → the ones that tell when it is whole again."""


def remaining_quotas(headers: Mapping[str, str]) -> list[tuple[str, bool, float, float]]:
    """What is left of each of the provider's limits: its header, whether it counts tokens, how much, for how long.

    A limit is left out where one of the two headers is missing or tells nothing.
    """
    now = _date(headers.get("date"))
    found: list[tuple[str, bool, float, float]] = []
    for remaining, reset in _BUCKETS:
        left = _number(headers.get(remaining))
        wait = None if left is None else _reset(headers.get(reset), now)
        if left is not None and wait is not None:
            found.append((remaining, "tokens" in remaining, left, wait))
    return found


def _exhausted(headers: Mapping[str, str], now: float | None) -> float | None:
    """The longest wait for a limit of which nothing remains."""
    waits = [_reset(headers.get(reset), now) for remaining, reset in _BUCKETS if _number(headers.get(remaining)) == 0]
    return max((wait for wait in waits if wait is not None), default=None)


def _reset(text: str | None, now: float | None) -> float | None:
    """A duration ("6m0s", "250ms", seconds), or a point in time (Unix seconds or milliseconds, RFC 3339)."""
    duration = seconds(text)
    if duration is None:
        return _until(_timestamp(text), now)
    if duration < _EPOCH:
        return duration or None
    return _until(duration if duration < _EPOCH * 1000 else duration / 1000, now)


_EPOCH = 1e9
"""No wait is as long as this; a larger number is a point in time."""


def _timestamp(text: str | None) -> float | None:
    if text is None or not text.isascii() or len(text) > _LONGEST_DATE:
        return None
    try:
        return _unix(datetime.datetime.fromisoformat(text.strip()))
    except (ValueError, OverflowError):
        return None


_RETRY_DELAY = rb'"retryDelay"\s*:\s*"(\d{1,9}(?:\.\d{1,9})?)s"'


def _retry_delay(body: bytes) -> float | None:
    """``error.details[].retryDelay``, a protobuf duration; it is looked for in the text because gateways wrap it."""
    found = re.search(_RETRY_DELAY, body, re.ASCII)
    return float(found[1]) or None if found is not None else None


# --- whether to try again ---


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
