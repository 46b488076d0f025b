"""Adaptive concurrency (AIMD): finds out how many requests a provider takes at a time by trying more until it refuses.

Strategy: double the limit until the first refusal, lower it to just below the number that was refused, stay there, and
try a little more from time to time. Each time the same ceiling is met again, the next trial comes later: a trial costs
a refusal, and where a refusal starts a cooldown for all calls, it costs that too. Where many of the requests in flight
are refused, the provider takes far fewer than before: then the limit is halved, and grows again when all of them have
ended.

Only answers raise the limit. A request that the provider did not answer halves it, but shows no ceiling; nor does a
refusal where nothing was answered since the one before. One that was never sent, or ended in a queue of this client,
changes nothing.
"""

from __future__ import annotations

_BELOW, _WELL_BELOW = 0.975, 0.8
"""Part of the ceiling at which the limit stays while nothing new is tried; the lower one if the provider refused again
before the limit was back there, because then it takes less than before."""

_PASSED = 1.1
"""A ceiling that was passed by this factor is forgotten."""

_STEP = 0.02
"""Part of the ceiling by which the first round of a trial raises the limit, at least by 1; each further round raises it
by twice as much."""

_MANY = 0.1
"""Part of the requests in flight whose refusal halves the limit, at least 2 requests."""

_HOLD, _MAX_HOLD = 4.0, 8.0
"""Rounds between two trials, the first time and at most."""

_MAX_HOLD_CALLS = 150
"""With few requests in flight, a refusal is a larger part of them, so a hold may last for this many calls even if they
are more rounds."""

# The constants were tuned with simulated providers, those of `tests/unit/ratelimit/test_adaptive_concurrency.py` among
# them. A limit that is halved at each refusal loses a tenth of the capacity to trials, and where the capacity falls by
# half, it is refused ten times as often.


class AdaptiveConcurrency:
    """Limit of requests in flight that grows while answers come and falls when the provider refuses.

    It is notified when a request starts and ends, of each attempt that ended with 429 or 529, the last one of a request
    included, and of each request that failed. It has no clock: it counts in rounds, a round being as many ended
    requests as may be in flight.

    Args:
        start: requests in flight at first.
        most: requests in flight at most.
    """

    def __init__(self, start: int = 16, most: int = 512) -> None:
        self._limit = float(min(start, most))
        self._most = most
        self.in_flight = 0
        self._ended = 0
        self._last_full: int | None = None
        """Value of `_ended` when the limit was reached last."""
        self._ignored = 0
        """Number of requests that must end before a refusal is a new event: they started before the last one."""
        self._refused = set[object]()
        """Requests that were refused in the last event, or after it."""
        self._many = 0
        """Number of refused requests that halves the limit; 0 after failures, which have halved it."""
        self._is_halved = False
        """Whether the last event halved the limit because many requests were refused."""
        self._is_answered = True
        """Whether a request was answered after as many had ended as were in flight at the last event, or as the last of
        these. If none was, a refusal shows no ceiling, but that the provider takes nothing."""
        self._ceiling: float | None = None
        """Number in flight that was refused."""
        self._plateau = 1.0
        """Limit at which nothing is tried for a while."""
        self._hold = self._hold_left = 0.0
        """Rounds to stay on the plateau: of this trial, and how many of them are left."""
        self._step = 1.0
        """By how much a round of the trial raises the limit."""

    @property
    def limit(self) -> int:
        """Requests that may be in flight now, at least 1."""
        return int(self._limit)

    def on_start(self) -> None:
        """Called when a request starts."""
        self.in_flight += 1
        if self.in_flight >= self.limit:
            self._last_full = self._ended

    def on_end(self, *, answered: bool = True) -> None:
        """Called when a request ends.

        Args:
            answered: with a reply, or with an error that is neither a refusal for its load nor a server error.
        """
        self.in_flight -= 1
        self._ended += 1
        self._ignored = max(0, self._ignored - 1)
        if not answered:
            return
        self._is_answered = self._is_answered or not self._ignored
        if self._is_halved and self._ignored:
            return
        if self._is_used() and self.in_flight < self.limit < self._most:
            self._grow()

    def on_throttled(self, request: object) -> None:
        """Called for each refused attempt: lowers the limit to just below what was refused, halves it if many are.

        Where nothing was answered since the last event, it halves the limit as a failure does.

        Args:
            request: identifies the request, whose attempts count as one.
        """
        if not self._is_answered:
            self._halve_once()
        elif not self._ignored:
            self._set_ceiling()
        if len(self._refused) >= self._many:
            return
        self._refused.add(request)
        if len(self._refused) == self._many:
            self._limit, self._is_halved = max(1.0, self._limit / 2), True

    def _set_ceiling(self) -> None:
        refused = max(1.0, min(self._limit, self.in_flight))
        is_same = self._ceiling is not None and refused <= self._ceiling * _PASSED
        below = _WELL_BELOW if self._ceiling is not None and self._limit < self._plateau else _BELOW
        self._hold = min(self._hold * 2, max(_MAX_HOLD, _MAX_HOLD_CALLS / refused)) if is_same else _HOLD
        self._ceiling, self._hold_left, self._step = refused, self._hold, max(1.0, refused * _STEP)
        self._plateau = max(1.0, min(refused * below, refused - 1))
        self._limit = self._plateau
        self._begin_event(many=max(2, int(refused * _MANY)))

    def _begin_event(self, *, many: int) -> None:
        self._ignored = max(1, self.in_flight)
        self._refused.clear()
        self._many, self._is_halved, self._is_answered = many, False, False

    def on_failed(self) -> None:
        """Called for each request that got no answer, or a server error. Halves the limit, once for all in flight."""
        self._halve_once()

    def _halve_once(self) -> None:
        if not self._ignored:
            self._limit = max(1.0, min(self._limit, self.in_flight) / 2)
            self._begin_event(many=0)

    def _is_used(self) -> bool:
        """Whether the limit was reached within the last round."""
        return self._last_full is not None and self._ended - self._last_full <= self._limit

    def _grow(self) -> None:
        ceiling = self._ceiling
        if ceiling is None:
            self._limit = min(self._limit + 1, self._most)
            return
        if self._limit < self._plateau:
            self._limit = min(self._limit + 1, self._plateau)
        elif self._hold_left > 0:
            self._hold_left -= 1 / self._limit
        else:
            self._limit = min(self._limit + self._step / self._limit, self._most)
            self._step *= 2 ** (1 / self._limit)
            if self._limit > max(ceiling * _PASSED, ceiling + 1):
                self._ceiling = None
