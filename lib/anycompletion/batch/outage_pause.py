"""Pauses of a batch's intake: while a provider answers or takes nothing, and while it asks for a very long wait.

Neither an outage nor a used-up limit may use up the input.

An outage begins with a few failures in a row and ends with the next answer. In between, one item at a time is sent to
find out whether the provider is back, each time after a longer wait, and an item that fails waits for its next turn
instead of ending with its error. A provider that never answered is no outage but a mistake in the configuration, whose
error the caller should see at once.

After a wait hint that is longer than a call may wait, nothing is sent until it has passed; then one item at a time,
until there is an answer.
"""

from __future__ import annotations

from collections.abc import Callable

_FAILURES = 5
"""Failures in a row that begin an outage."""

_MIN_WAIT, _MAX_WAIT = 0.5, 30.0
"""Seconds between two attempts to reach the provider: at first, and at most."""

_MAX_OUTAGE = 600.0
"""Seconds without an answer after which items end with their errors again; a resumed run sends them again."""


_MAX_HINT_PAUSE = 3600.0
"""Seconds that wait hints may pause the intake without an answer in between; then items end with their errors."""


class OutagePause:
    """Whether the provider of one queue is away, and when an item may be sent to find out whether it is back.

    Args:
        clock: the event loop's clock, in seconds.
    """

    __slots__ = ("_clock", "_failures", "_first_hint", "_hint_until", "_last_answer", "_next_attempt", "_wait")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures = 0
        """Failures since the last answer."""
        self._last_answer: float | None = None
        self._next_attempt = 0.0
        self._wait = _MIN_WAIT
        self._first_hint: float | None = None
        """Time of the first long wait hint since the last answer."""
        self._hint_until = 0.0
        """End of the time that the provider asked to wait; 0.0 after the next answer."""

    @property
    def is_active(self) -> bool:
        """Whether the provider is away, or asked to wait and has not answered since."""
        return bool(self._hint_until) or self._is_outage

    @property
    def _is_outage(self) -> bool:
        if self._failures < _FAILURES or self._last_answer is None:
            return False
        return self._clock() - self._last_answer < _MAX_OUTAGE

    @property
    def remaining(self) -> float:
        """Seconds until an item may be sent; 0.0 where there is no pause."""
        until = max(self._hint_until, self._next_attempt if self._is_outage else 0.0)
        return max(0.0, until - self._clock())

    def on_answer(self) -> None:
        """Ends the outage: the provider answered, with a reply or by refusing the request.

        A pause that it asked for lasts until its end: what is answered before was sent before.
        """
        self._failures = 0
        self._last_answer = self._clock()
        self._wait = _MIN_WAIT
        if self._last_answer >= self._hint_until:
            self._first_hint, self._hint_until = None, 0.0

    def on_long_hint(self, seconds: float) -> bool:
        """Pauses the intake, because the provider asked to wait longer than a call may.

        Returns False where hints have paused it for an hour already, without any answer: then nothing is paused, and
        the item ends with its error.
        """
        now = self._clock()
        if self._first_hint is None:
            self._first_hint = now
        end = self._first_hint + _MAX_HINT_PAUSE
        self._hint_until = max(self._hint_until, min(now + seconds, end)) if now < end else 0.0
        return bool(self._hint_until)

    def on_failure(self) -> None:
        """Counts a request that the provider did not answer, answered with a server error, or refused for its load."""
        self._failures += 1
        now = self._clock()
        if self._failures >= _FAILURES and now >= self._next_attempt:
            self._next_attempt = now + self._wait
            self._wait = min(self._wait * 2, _MAX_WAIT)
