"""How many requests a provider takes at a time, found out by asking more of it until it refuses.

Strategy: double until the first refusal; then halve, come back at once to just below where it refused, stay there, and
try a little more from time to time. Each time that the same ceiling is met again, the next try comes later: a probe
costs a refusal, and where a refusal means a rest for all, it costs that too.
"""

from __future__ import annotations

_BELOW, _WELL_BELOW = 0.95, 0.8
"""Of the number at which the provider refused, so much is asked of it while nothing new is tried; less where it refused
again on the way back, because then it takes less than it did."""

_BEYOND = 1.1
"""A ceiling that is passed by so much is there no more."""

_STEP = 0.02
"""The first round of a try adds so much of the ceiling, and one at least; each further round twice as much."""

_HOLD, _LONGEST_HOLD = 4.0, 16.0
"""Rounds without a try, the first time and at most."""

_FEW = 150
"""Calls: where few are in flight, a refusal takes a larger share, so a hold is at most so many calls all the same."""


class AdaptiveConcurrency:
    """How many calls may be in flight: `limit`, which grows while answers come and halves where they are refused.

    It is told when a call begins and ends, and of each attempt that was refused (429, 529), be it tried again or not.
    It knows no clock: what counts is rounds, the time in which as many calls end as may be in flight.

    Args:
        start: calls in flight at first.
        most: calls in flight at most.
    """

    def __init__(self, start: int = 16, most: int = 512) -> None:
        self._limit = float(min(start, most))
        self._most = most
        self._in_flight = self._ended = 0
        self._last_full: int | None = None
        """How many had ended when as many were in flight as may be."""
        self._ignored = 0
        """So many calls are to end before a refusal counts again: they began before the last halving."""
        self._ceiling: float | None = None
        """Where it refused."""
        self._stay = 1.0
        """Where nothing is tried for a while."""
        self._hold = self._left_to_hold = 0.0
        self._step = 1.0
        """How much more is tried per round."""

    @property
    def limit(self) -> int:
        """Calls that may be in flight now, one at least."""
        return int(self._limit)

    def on_start(self) -> None:
        """A call begins."""
        self._in_flight += 1
        if self._in_flight >= self.limit:
            self._last_full = self._ended

    def on_end(self, *, throttled: bool = False) -> None:
        """A call has ended, in whatever way; `throttled` if its error was 429 or 529."""
        if throttled:
            self.on_throttled()
        self._in_flight -= 1
        self._ended += 1
        self._ignored = max(0, self._ignored - 1)
        if not throttled and self._is_used() and self._in_flight < self.limit < self._most:
            self._grow()

    def on_throttled(self) -> None:
        """An attempt was refused. It halves the limit once for all that is in flight."""
        if self._ignored:
            return
        met = max(1.0, min(self._limit, self._in_flight))
        again = self._ceiling is not None and met <= self._ceiling * _BEYOND
        below = _WELL_BELOW if self._ceiling is not None and self._limit < self._stay else _BELOW
        self._hold = min(self._hold * 2, max(_LONGEST_HOLD, _FEW / met)) if again else _HOLD
        self._ceiling, self._left_to_hold, self._step = met, self._hold, max(1.0, met * _STEP)
        self._stay = max(1.0, min(met * below, met - 1))
        self._limit = max(1.0, met / 2)
        self._ignored = max(1, self._in_flight)

    def _is_used(self) -> bool:
        """Whether the limit was what held calls back, within the last round."""
        return self._last_full is not None and self._ended - self._last_full <= self._limit

    def _grow(self) -> None:
        ceiling = self._ceiling
        if ceiling is None:
            self._limit = min(self._limit + 1, self._most)
            return
        if self._limit < self._stay:
            self._limit = min(self._limit + 1, self._stay)
        elif self._left_to_hold > 0:
            self._left_to_hold -= 1 / self._limit
        else:
            self._limit = min(self._limit + self._step / self._limit, self._most)
            self._step *= 2 ** (1 / self._limit)
            if self._limit > max(ceiling * _BEYOND, ceiling + 1):
                self._ceiling = None
