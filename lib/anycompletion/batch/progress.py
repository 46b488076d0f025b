"""The progress of a batch: counts, rate, tokens, cost; references no item."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

from attrs import frozen

from ..errors import ReplyError
from ..logs import observer_failed
from ..records import Usage
from ..records.results import Result
from .journal import State

_SAMPLE_INTERVAL = 1.0
"""Seconds between two samples, at least."""

_MAX_SAMPLES = 30
"""Samples over which the rate is measured."""

_REPORT_INTERVAL = 0.1
"""Seconds between two calls of `on_progress`, at least."""


@frozen(kw_only=True)
class BatchProgress:
    """The progress of a batch at one moment."""

    done: int
    """Items that were answered in this run."""
    failed: int
    """Items that ended with an error in this run."""
    skipped: int
    """Items that an earlier run finished, and that were not sent again."""
    skipped_failed: int
    """How many of the skipped items have an error as their result: the provider refused the request itself."""
    in_flight: int
    """Items that are being sent."""
    total: int | None
    """Number of all items; None where it is unknown."""
    elapsed: float
    """Seconds since the run began."""
    rate: float
    """Results per second, over the last half minute."""
    prompt_tokens: int
    """Tokens of the answered requests, also where the reply does not fit its type, as far as providers counted them."""
    completion_tokens: int
    """Tokens of the answers, as far as providers counted them."""
    cost: float | None
    """Sum of the costs that providers reported, in their currency; None where none did."""
    cached: int
    """Items that the cache of replies answered; their tokens and costs are not counted here."""
    paused: Mapping[str, float]
    """Provider → seconds until its items are sent again, where it asked to wait or is away; empty as a rule."""

    @property
    def finished(self) -> int:
        """Items that this run or an earlier one finished."""
        return self.done + self.failed + self.skipped

    @property
    def eta(self) -> float | None:
        """Seconds until the end at this rate; None where the total or the rate is unknown."""
        if self.total is None or not self.rate:
            return None
        return max(0, self.total - self.finished) / self.rate


class ProgressCounter:
    """Counts the results of a run and calls `on_progress` from time to time.

    Args:
        total: number of items, if known.
        in_flight: returns the number of requests in flight.
        paused: returns the providers whose items are not sent at the moment, and for how many seconds.
        observer: the caller's `on_progress`.
    """

    def __init__(
        self,
        total: int | None,
        in_flight: Callable[[], int],
        paused: Callable[[], Mapping[str, float]],
        observer: Callable[[BatchProgress], object] | None,
    ) -> None:
        self._total = total
        self._in_flight = in_flight
        self._paused = paused
        self._observer = observer
        self._done = self._failed = self._skipped = self._skipped_failed = 0
        self._prompt_tokens = self._completion_tokens = self._cached = 0
        self._cost: float | None = None
        self._clock: Callable[[], float] = lambda: 0.0
        self._start = self._next_report = 0.0
        self._samples: deque[tuple[float, int]] = deque([(0.0, 0)], maxlen=_MAX_SAMPLES)
        """Times and the number of results at that time."""

    def start(self, clock: Callable[[], float]) -> None:
        """Starts the clock of the run."""
        self._clock, self._start = clock, clock()
        self._samples[0] = (self._start, 0)

    def count(self, result: Result) -> None:
        """Counts a result."""
        if result.completion is None:
            self._failed += 1
        else:
            self._done += 1
            self._cached += result.completion.info.cached
        usage = _paid_usage(result)
        if usage is not None:
            self._prompt_tokens += usage.prompt_tokens or 0
            self._completion_tokens += usage.completion_tokens or 0
            if usage.cost is not None:
                self._cost = (self._cost or 0.0) + usage.cost
        now = self._clock()
        if now - self._samples[-1][0] >= _SAMPLE_INTERVAL:
            self._samples.append((now, self._done + self._failed))
        self.report()

    def skip(self, state: State) -> None:
        """Counts an item that an earlier run finished."""
        self._skipped += 1
        if state is State.FAILED:
            self._skipped_failed += 1

    def report(self, *, at_once: bool = False) -> None:
        """Calls `on_progress`, unless it was called just before.

        Args:
            at_once: calls it all the same; nothing may happen for a long time.
        """
        if self._observer is None:
            return
        now = self._clock()
        if at_once or now >= self._next_report:
            self._next_report = now + _REPORT_INTERVAL
            self._notify(self._observer)

    def finish(self) -> None:
        """Stops the clock and calls `on_progress` for the last time."""
        end = self._clock()
        self._clock = lambda: end
        if self._observer is not None:
            self._notify(self._observer)

    def snapshot(self) -> BatchProgress:
        """The progress now."""
        now, (sample_time, count) = self._clock(), self._samples[0]
        finished = self._done + self._failed
        return BatchProgress(
            done=self._done,
            failed=self._failed,
            skipped=self._skipped,
            skipped_failed=self._skipped_failed,
            in_flight=self._in_flight(),
            total=self._total,
            elapsed=now - self._start,
            rate=(finished - count) / (now - sample_time) if now > sample_time else 0.0,
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self._completion_tokens,
            cost=self._cost,
            cached=self._cached,
            paused=self._paused(),
        )

    def _notify(self, observer: Callable[[BatchProgress], object]) -> None:
        try:
            observer(self.snapshot())
        except (Exception, GeneratorExit) as error:  # noqa: BLE001 (an observer's failure is logged, and the run goes on)
            observer_failed("on_progress", error)


def _paid_usage(result: Result) -> Usage | None:
    """The tokens of a reply, also of one that does not fit its type; None for a reply out of a cache."""
    error = result.error
    reply = error.partial if isinstance(error, ReplyError) else result.completion
    if reply is None or reply.info.cached:
        return None
    return error.usage if isinstance(error, ReplyError) else reply.usage
