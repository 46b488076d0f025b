"""Estimate of the rate at which a provider answers, from its 429s and from the answers between them; has no clock.

Its constants were tuned against simulated providers that count in token buckets and in windows, with exact hints and
with hints in whole seconds; `tests/unit/ratelimit/test_cooldown.py` has these simulations.
"""

from __future__ import annotations

from math import log, sqrt

_MIN_CALLS_PER_HINT = 8
"""The first guess allows at least so many calls in the time of one hint: with fewer answers, nothing is known."""

_SHORT_HINT = 0.1
"""Seconds. A shorter hint is only the time until the next call is allowed, and is no evidence of the rate."""

_MIN_GUESS_GROWTH, _GUESS_TIME = 1.5, 4.5
"""A guessed rate grows by this factor per second, at least, and so fast that calls are not spaced any more after so
many seconds: it may be far too low. A guess from at least `_MIN_CALLS_PER_HINT` answers grows slowly at first."""

_MAX_SPACED_TIMES = 2.0
"""Multiples of `spaced_time` after which a guess does not grow any more, which keeps it finite."""

MIN_INTERVAL = 0.001
"""Seconds. Calls with a shorter interval are not spaced any more."""

_NO_EVIDENCE = 1.0
"""Seconds. A guess that is refused earlier, before any call was answered, shows a cooldown that was too short, and no
rate."""

_AFTER_GROWTH, _AFTER_PLATEAU, _AT_ONCE = 0.95, 0.9, 0.7
"""Factors for a rate that was refused: while it grew, while it was constant, as soon as it was tried."""

_AFTER_GUESS = 1.5
"""Largest divisor of a guess that was refused after it had grown."""

_MAX_DIVISOR = 2.0
"""Largest divisor of a rate at one 429; a guess without enough answers that was refused as soon as it was tried is
divided by this."""

_SAMPLES = 8
"""Intervals from which the mean interval is calculated."""

_SAME_RATE = 1.25
"""Answers at a lower rate than the calls, by less than this factor, change nothing: some are still to come."""

_MIN_LONGEST_INTERVAL = 0.02
"""Seconds. An interval is never longer than the hint, after which the provider has capacity for one call, or than this:
a provider that refuses at random would otherwise slow its calls down without end."""

_HOLD_HINTS, _MIN_HOLD, _MAX_HOLD = 10, 3.0, 60.0
"""A measured rate stays constant for so many hints, for so many seconds at least and at most, before a higher one is
tried: a trial that fails costs a cooldown, and each refused call one of its attempts."""

_GROWTH, _MIN_PERIOD, _MAX_PERIOD = 1.03, 1.0, 5.0
"""After that time a measured rate has grown by ``_GROWTH ** (periods ** 2)``; a period is as long as the hint, and so
many seconds at least and at most."""

_MAX_EXPONENT = 100.0
"""Keeps the growth finite."""

_WINDOW = 10.0
"""Seconds. Answers are counted over the last one or two windows."""

_MIN_MEASURED_TIME = 1.0
"""Seconds. Providers count in windows, so a shorter time is no evidence of the rate."""


class _SuccessCounter:
    """Number of answers in the last ten to twenty seconds."""

    __slots__ = ("_count", "_previous_count", "_previous_start", "_start")

    def __init__(self) -> None:
        self._count = self._previous_count = 0
        self._start = self._previous_start = -1.0

    def add(self, started: float) -> None:
        """Counts the answer to a call that started then."""
        if started - self._start > _WINDOW:
            is_old = self._start < 0 or started - self._start > 2 * _WINDOW
            self._previous_start, self._previous_count = (started, 0) if is_old else (self._start, self._count)
            self._start, self._count = started, 0
        self._count += 1

    @property
    def count(self) -> int:
        """The number of answers."""
        return self._count + self._previous_count

    def seconds(self, now: float) -> float:
        """The seconds in which the answers came."""
        return max(0.0, now - self._previous_start) if self.count else 0.0

    def restart(self, start: float) -> None:
        """Counts from `start` on."""
        self._count = self._previous_count = 0
        self._start = self._previous_start = start


class RateEstimate:
    """The interval between two calls that a provider is assumed to allow after it refused some.

    The first 429 makes a *guess* from the answers until its cooldown ends; it grows fast until it is refused. A 429
    while calls are spaced makes it a *measured* rate, which is a little lower than the refused one; it is constant for
    some seconds, and then grows faster and faster until it is refused again.
    """

    def __init__(self) -> None:
        self._successes = _SuccessCounter()
        self.record_success = self._successes.add
        """Counts the answer to a call, by the time at which the call started."""
        self._interval = 0.0
        """Seconds between two calls at the end of the cooldown."""
        self._answers_before: int | None = None
        """Number of answers before the first 429; None unless its cooldown lasts."""
        self._seconds_until_end = 0.0
        """Seconds from the first of these answers to the end of the cooldown."""
        self._has_enough_answers = False
        """Whether the guess has enough answers."""
        self._is_measured = False
        self._hold, self._period = 0.0, 1.0

    def interval(self, elapsed: float) -> float:
        """Seconds between two calls, `elapsed` seconds after the end of the cooldown."""
        elapsed = max(0.0, elapsed)
        if not self._is_measured:
            part = min(elapsed / self.spaced_time, _MAX_SPACED_TIMES)
            return self._interval / float(self._guess_ratio ** (part * part if self._has_enough_answers else part))
        periods = min(max(0.0, elapsed - self._hold) / self._period, _MAX_EXPONENT)
        return self._interval / float(_GROWTH ** (periods * periods))

    @property
    def spaced_time(self) -> float:
        """Seconds from the end of the cooldown until calls are not spaced any more, if none is refused."""
        if not self._is_measured:
            return min(_GUESS_TIME, log(self._guess_ratio, _MIN_GUESS_GROWTH))
        return self._hold + self._period * sqrt(log(max(1.0, self._interval / MIN_INTERVAL), _GROWTH))

    @property
    def _guess_ratio(self) -> float:
        """The factor by which a guess grows until calls are not spaced any more."""
        return max(_MIN_GUESS_GROWTH, self._interval / MIN_INTERVAL)

    def on_cooldown_ended(self) -> None:
        """Called when a cooldown has ended, and may be called again: revises the guess.

        The answers that came during the cooldown count, to calls that were sent before it.
        """
        if self._answers_before is None:
            return
        count = self._answers_before + self._successes.count
        self._answers_before, self._has_enough_answers = None, count >= _MIN_CALLS_PER_HINT
        if self._has_enough_answers:
            self._interval = min(self._interval, self._seconds_until_end / count)

    def on_refused(self, hint: float, now: float, elapsed: float | None, until: float) -> None:
        """Revises the estimate after a 429.

        Args:
            hint: seconds that the provider asks to wait.
            now: the time of the 429.
            elapsed: seconds since the previous cooldown ended; None if calls were not spaced.
            until: the time at which the cooldown that starts now will end.
        """
        count, seconds = self._successes.count, self._successes.seconds(now)
        self._seconds_until_end = max(seconds + hint, _MIN_MEASURED_TIME)
        answer_interval = self._seconds_until_end / max(count, 1)
        if elapsed is None:
            shortest = _SHORT_HINT if count < _MIN_CALLS_PER_HINT else _MIN_MEASURED_TIME
            interval = min(answer_interval, max(hint, shortest) / _MIN_CALLS_PER_HINT)
            is_guess = True
        elif not self._is_measured and not count and elapsed < _NO_EVIDENCE:
            interval, is_guess = min(self._interval * _MAX_DIVISOR, max(hint, _MIN_LONGEST_INTERVAL)), True
        else:
            is_guess = False
            interval = self._slower(hint, elapsed)
            if seconds >= max(hint, _MIN_MEASURED_TIME):
                lost = answer_interval / self._mean_interval(elapsed) / _SAME_RATE
                interval *= min(max(lost, 1.0), _MAX_DIVISOR)
            interval = min(interval, max(hint, _MIN_LONGEST_INTERVAL))
        self._interval, self._is_measured, self._has_enough_answers = interval, not is_guess, False
        self._answers_before = count if elapsed is None else None
        self._hold = min(max(_HOLD_HINTS * hint, _MIN_HOLD), _MAX_HOLD)
        self._period = min(max(hint, _MIN_PERIOD), _MAX_PERIOD)
        self._successes.restart(until)

    def _mean_interval(self, elapsed: float) -> float:
        """Mean seconds between two calls in the first `elapsed` seconds after the cooldown, if enough were waiting."""
        step = elapsed / _SAMPLES
        return _SAMPLES / sum(1 / self.interval((number + 0.5) * step) for number in range(_SAMPLES))

    def _slower(self, hint: float, elapsed: float) -> float:
        """A longer interval than the one that was refused."""
        if elapsed < 2 * hint:
            return self._interval * (1 / _AT_ONCE if self._is_measured or self._has_enough_answers else _MAX_DIVISOR)
        if self._is_measured and elapsed < self._hold:
            return self._interval / _AFTER_PLATEAU
        # The calls that are refused now were sent some time ago, at the rate of then.
        earlier = self.interval(elapsed - self._period)
        if not self._is_measured:  # it grows so fast that this would be far too slow
            earlier = min(earlier, self.interval(elapsed) * _AFTER_GUESS)
        return earlier / _AFTER_GROWTH
