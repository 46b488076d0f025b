"""Pause of a batch's intake while a provider answers nothing, so that an outage does not use up the input.

An outage begins with a few failures in a row and ends with the next answer. In between, one item at a time is sent to
find out whether the provider is back, each time after a longer wait, and an item that fails waits for its next turn
instead of ending with its error. A provider that never answered is no outage but a mistake in the configuration, whose
error the caller should see at once.
"""

from __future__ import annotations

from collections.abc import Callable

_FAILURES = 5
"""Failures in a row that begin an outage."""

_MIN_WAIT, _MAX_WAIT = 0.5, 30.0
"""Seconds between two attempts to reach the provider: at first, and at most."""

_MAX_OUTAGE = 600.0
"""Seconds without an answer after which items end with their errors again; a resumed run sends them again."""


class OutagePause:
    """Whether the provider of one queue is away, and when an item may be sent to find out whether it is back.

    Args:
        clock: the event loop's clock, in seconds.
    """

    __slots__ = ("_clock", "_failures", "_last_answer", "_next_attempt", "_wait")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures = 0
        """Failures since the last answer."""
        self._last_answer: float | None = None
        self._next_attempt = 0.0
        self._wait = _MIN_WAIT

    @property
    def is_active(self) -> bool:
        """Whether the provider is away."""
        if self._failures < _FAILURES or self._last_answer is None:
            return False
        return self._clock() - self._last_answer < _MAX_OUTAGE

    @property
    def remaining(self) -> float:
        """Seconds until an item may be sent; 0.0 where there is no outage."""
        return max(0.0, self._next_attempt - self._clock()) if self.is_active else 0.0

    def on_answer(self) -> None:
        """Ends the outage: the provider answered, with a reply or by refusing the request."""
        self._failures = 0
        self._last_answer = self._clock()
        self._wait = _MIN_WAIT

    def on_failure(self) -> None:
        """Counts a request that the provider did not answer, or answered with a server error."""
        self._failures += 1
        now = self._clock()
        if self._failures >= _FAILURES and now >= self._next_attempt:
            self._next_attempt = now + self._wait
            self._wait = min(self._wait * 2, _MAX_WAIT)
