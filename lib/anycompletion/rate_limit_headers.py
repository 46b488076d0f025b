"""Rate-limit headers → numbers: the wait that a provider asks for, and what its limits leave; decides nothing.

Points in time count from the response's own `Date`, because the local clock may be wrong. A value that cannot be read
counts as missing.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from .http import parse_date

_MAX_LENGTH = 64
"""Characters of a header's value; a longer one is not parsed, because that takes time."""

_DURATION = r"(\d+(?:\.\d+)?)(ms|h|m|s)"
_SECONDS_PER_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}

_EPOCH = 1e9
"""No wait is as long as this; a larger number is a point in time."""

_LIMITS = (
    *((f"x-ratelimit-remaining{what}", f"x-ratelimit-reset{what}") for what in ("-requests", "-tokens", "")),
    *(
        (f"anthropic-ratelimit-{what}-remaining", f"anthropic-ratelimit-{what}-reset")
        for what in ("requests", "tokens", "input-tokens", "output-tokens")
    ),
)
"""Header with what remains of a limit → header with the time of its reset."""


class RemainingQuota(msgspec.Struct, frozen=True):
    """What remains of one of the provider's limits, by the headers of a response."""

    name: str
    """Name of the header."""
    counts_tokens: bool
    remaining: float
    reset: float
    """Seconds from the request until the limit is full again."""


def wait_hint(headers: Mapping[str, str], body: bytes = b"", *, now: float | None = None) -> float | None:
    """Seconds that the provider asks to wait, from the first of these that has a usable value.

    `retry-after-ms`, `retry-after` (a number or a date), the reset of a rate limit of which nothing remains
    (``x-ratelimit-reset-*``, ``anthropic-ratelimit-*-reset``), and the `retryDelay` of an error in Google's format.
    Zero, negative, NaN and unreadable values are not usable. Points in time count from the response's `Date`, because
    the clocks may differ, and without one from `now` (Unix seconds).

    https://platform.openai.com/docs/guides/rate-limits, https://docs.anthropic.com/en/api/rate-limits,
    https://cloud.google.com/apis/design/errors
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds:
        return milliseconds / 1000
    now = parse_date(headers.get("date")) or now
    return _retry_after(headers.get("retry-after"), now) or _exhausted(headers, now) or _retry_delay(body)


def remaining_quotas(headers: Mapping[str, str]) -> list[RemainingQuota]:
    """What remains of each of the provider's limits.

    A limit is left out where one of its two headers is missing or unreadable.
    """
    now = parse_date(headers.get("date"))
    found: list[RemainingQuota] = []
    for name, reset in _LIMITS:
        remaining = _number(headers.get(name))
        wait = None if remaining is None else _reset(headers.get(reset), now)
        if remaining is not None and wait is not None:
            found.append(RemainingQuota(name, "tokens" in name, remaining, wait))
    return found


def rate_limit_fields(headers: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a `RateLimitState` from `x-ratelimit-*` (OpenAI and most others) or `anthropic-ratelimit-*`.

    Anthropic's resets are left out, because they are points in time and not seconds.
    """
    fields: dict[str, Any] = {}
    for prefix, order in (("x-ratelimit-", "{what}-{kind}"), ("anthropic-ratelimit-", "{kind}-{what}")):
        for what in ("limit", "remaining", "reset"):
            for kind in ("requests", "tokens"):
                value = seconds(headers.get(prefix + order.format(what=what, kind=kind)))
                if value is not None:
                    fields[f"{what}_{kind}"] = value if what == "reset" else int(value)
    return fields


def seconds(value: str | None) -> float | None:
    """The seconds of a duration as rate-limit headers write it ("12ms", "6m0s", "1.5"); None for all else."""
    if value is None or not value.isascii() or len(value) > _MAX_LENGTH:
        return None
    value = value.strip()
    try:
        number = float(value)
    except ValueError:
        pieces = re.findall(_DURATION, value, re.ASCII)
        if not pieces or "".join(amount + unit for amount, unit in pieces) != value:
            return None
        return sum(float(amount) * _SECONDS_PER_UNIT[unit] for amount, unit in pieces)
    return number if 0 <= number < float("inf") else None


def _retry_after(text: str | None, now: float | None) -> float | None:
    if text is None:
        return None
    number = _number(text)
    return number if number is not None else _until(parse_date(text), now)


def _number(text: str | None) -> float | None:
    """A number without a unit: the headers read with this one contain no durations."""
    return seconds(text) if text is not None and not text.strip()[-1:].isalpha() else None


def _exhausted(headers: Mapping[str, str], now: float | None) -> float | None:
    """The longest wait for a limit of which nothing remains."""
    waits = [_reset(headers.get(reset), now) for name, reset in _LIMITS if _number(headers.get(name)) == 0]
    return max((wait for wait in waits if wait is not None), default=None)


def _reset(text: str | None, now: float | None) -> float | None:
    """Seconds to a reset: a duration ("6m0s", "250ms", seconds) or a point in time (Unix seconds or ms, RFC 3339)."""
    duration = seconds(text)
    if duration is None:
        return _until(_timestamp(text), now)
    if duration < _EPOCH:
        return duration or None
    return _until(duration if duration < _EPOCH * 1000 else duration / 1000, now)


def _until(then: float | None, now: float | None) -> float | None:
    if then is None or now is None:
        return None
    return then - now if math.isfinite(then) and then > now else None


def _timestamp(text: str | None) -> float | None:
    """Unix seconds of an RFC 3339 time."""
    if text is None or not text.isascii() or len(text) > _MAX_LENGTH:
        return None
    try:
        return _unix(datetime.datetime.fromisoformat(text.strip()))
    except (ValueError, OverflowError):
        return None


def _unix(then: datetime.datetime) -> float | None:
    """Unix seconds; None without a time zone, because the moment is then ambiguous."""
    return None if then.tzinfo is None else then.timestamp()


_RETRY_DELAY = rb'"retryDelay"\s*:\s*"(\d{1,9}(?:\.\d{1,9})?)s"'


def _retry_delay(body: bytes) -> float | None:
    """``error.details[].retryDelay``, a protobuf duration; searched as text because gateways wrap the error."""
    found = re.search(_RETRY_DELAY, body, re.ASCII)
    return float(found[1]) or None if found is not None else None
