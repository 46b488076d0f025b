"""Rates as values, told the time by who uses them: what was agreed (`Bucket`), and what the provider says is left."""

from __future__ import annotations

_BURST = 1 / 20
"""Of a minute's worth, so much may go at once: no minute ever has more than a twentieth above the limit."""

_LONGEST_PACE = 5.0
"""Seconds between two requests at most, whatever the headers say: a limit that fills up all the time has room again
long before it is whole."""


class TokenBucket:
    """So many per minute: it fills evenly, and what is taken may leave it in debt.

    A cost above the bucket's size is taken when the bucket is full, and what comes next waits until the debt is paid:
    so nothing is too large, nothing starves, and the rate holds.
    """

    __slots__ = ("_at", "_level", "_per_second", "_size")

    def __init__(self, per_minute: float) -> None:
        self._per_second = per_minute / 60
        self._size = self._level = max(per_minute * _BURST, 1.0)
        self._at = 0.0

    def wait(self, cost: float, now: float) -> float:
        """Seconds until so much may be taken."""
        self._fill(now)
        return max(0.0, (min(cost, self._size) - self._level) / self._per_second)

    def take(self, cost: float, now: float) -> None:
        """Takes it."""
        self._fill(now)
        self._level -= cost

    def give(self, amount: float, now: float) -> None:
        """Gives back what was taken too much; a negative amount takes what was taken too little."""
        self._fill(now)
        self._level = min(self._size, self._level + amount)

    def _fill(self, now: float) -> None:
        if now > self._at:
            if self._at:
                self._level = min(self._size, self._level + (now - self._at) * self._per_second)
            self._at = now


class ReportedLimit:
    """What the provider says is left of a limit of its own, spread over the time until that is whole again.

    That suits both ways in which providers count. Where a window ends, what is left lasts until then; where a limit
    fills up all the time, the pace settles at the rate at which it fills.
    """

    __slots__ = ("_at", "_left", "_until")

    def __init__(self, taken_at: float = 0.0) -> None:
        self._left = self._until = 0.0
        self._at = taken_at
        """When something was taken last."""

    def update(self, left: float, until: float) -> None:
        """So much is left until then."""
        self._left, self._until = left, until

    def wait(self, cost: float, now: float) -> float:
        """Seconds until so much should be taken; none where nothing is known any more."""
        if now >= self._until or cost <= 0:
            return 0.0
        spread = (self._until - self._at) * cost / self._left if self._left > cost else self._until - self._at
        return max(0.0, min(self._at + min(spread, _LONGEST_PACE), self._until) - now)

    def take(self, cost: float, now: float) -> None:
        """Takes it."""
        self._left -= cost
        self._at = now
