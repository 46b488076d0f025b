"""Token buckets: the rate of a limit that was configured, and of one that the provider reports; have no clock."""

from __future__ import annotations

_BURST = 1 / 20
"""Part of a minute's quota that may be used at once: no minute ever has more than a twentieth above the limit."""

_MAX_INTERVAL = 5.0
"""Seconds between two requests, at most, whatever the headers report: a limit that fills up continuously allows the
next request long before it is full."""


class TokenBucket:
    """Token bucket for one rate limit: it fills evenly, up to a twentieth of a minute's quota.

    A cost above the bucket's size is taken when the bucket is full and leaves it in debt; the next request waits until
    the debt is paid. So no request is too large, none starves, and the rate is kept.
    """

    __slots__ = ("_at", "_level", "_per_second", "_size")

    def __init__(self, per_minute: float) -> None:
        self._per_second = per_minute / 60
        self._size = self._level = max(per_minute * _BURST, 1.0)
        self._at = 0.0

    def wait_time(self, cost: float, now: float) -> float:
        """Seconds until `cost` may be taken."""
        self._fill(now)
        return max(0.0, (min(cost, self._size) - self._level) / self._per_second)

    def take(self, cost: float, now: float) -> None:
        """Takes `cost` from the bucket."""
        self._fill(now)
        self._level -= cost

    def refund(self, amount: float, now: float) -> None:
        """Returns what was taken too much; a negative amount takes what was taken too little."""
        self._fill(now)
        self._level = min(self._size, self._level + amount)

    def _fill(self, now: float) -> None:
        if now > self._at:
            if self._at:
                self._level = min(self._size, self._level + (now - self._at) * self._per_second)
            self._at = now


class ReportedLimit:
    """Remaining quota that the provider reports, spread evenly over the time until the limit is full again.

    That suits both ways in which providers count. Where a window ends, the quota lasts until then; where a limit fills
    up continuously, the rate settles at that at which it fills.
    """

    __slots__ = ("_at", "_remaining", "_until")

    def __init__(self, taken_at: float = 0.0) -> None:
        self._remaining = self._until = 0.0
        self._at = taken_at
        """When something was taken last."""

    def update(self, remaining: float, until: float) -> None:
        """Sets what remains, and when the limit is full again."""
        self._remaining, self._until = remaining, until

    def wait_time(self, cost: float, now: float) -> float:
        """Seconds until `cost` should be taken; 0 once the limit is full again, because then nothing is known of it."""
        if now >= self._until or cost <= 0:
            return 0.0
        left = self._until - self._at
        interval = left * cost / self._remaining if self._remaining > cost else left
        return max(0.0, min(self._at + min(interval, _MAX_INTERVAL), self._until) - now)

    def take(self, cost: float, now: float) -> None:
        """Takes `cost` from what remains."""
        self._remaining -= cost
        self._at = now
