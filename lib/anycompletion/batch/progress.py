"""How far a batch is: counts, pace, tokens; knows no item."""

from __future__ import annotations

from collections import deque

from attrs import frozen

from ..records import Result

_SAMPLE = 1.0
_WINDOW = 30
"""Samples, one a second at most, over which the rate is taken."""


@frozen(kw_only=True)
class BatchProgress:
    """How far a batch is, at one moment."""

    done: int
    """Items that were answered in this run."""
    failed: int
    """Items that ended with an error in this run."""
    skipped: int
    """Items that an earlier run has finished, and that were not sent again."""
    skipped_failed: int
    """Those of them that were refused for good: the earlier run's result of them is an error."""
    in_flight: int
    """Items that are under way."""
    total: int | None
    """All items, where their number is known."""
    elapsed: float
    """Seconds since the run began."""
    rate: float
    """Results per second, over the last half minute."""
    prompt_tokens: int
    """Tokens of the answered requests, as far as providers counted them."""
    completion_tokens: int
    """Tokens of the answers, likewise."""
    cost: float | None
    """What the answers cost, in the providers' currency; None where no provider says so."""

    @property
    def finished(self) -> int:
        """Items of this and earlier runs that are behind us."""
        return self.done + self.failed + self.skipped

    @property
    def eta(self) -> float | None:
        """Seconds that are left at this rate; None where the total or the rate is not known."""
        if self.total is None or not self.rate:
            return None
        return max(0, self.total - self.finished) / self.rate


class ProgressCounter:
    """Counts as results come."""

    __slots__ = (
        "_samples",
        "_start",
        "completion_tokens",
        "cost",
        "done",
        "failed",
        "prompt_tokens",
        "skipped",
        "skipped_failed",
        "total",
    )

    def __init__(self, total: int | None) -> None:
        self.total = total
        self.done = self.failed = self.skipped = self.skipped_failed = 0
        self.prompt_tokens = self.completion_tokens = 0
        self.cost: float | None = None
        self._start: float | None = None
        self._samples: deque[tuple[float, int]] = deque(maxlen=_WINDOW)

    def begin(self, now: float) -> None:
        """The run begins."""
        self._start = now
        self._samples.append((now, 0))

    def count(self, result: Result, now: float) -> None:
        """A result came."""
        completion = result.completion
        if completion is None:
            self.failed += 1
        else:
            self.done += 1
            usage = completion.usage
            if usage is not None:
                self.prompt_tokens += usage.prompt_tokens or 0
                self.completion_tokens += usage.completion_tokens or 0
                if usage.cost is not None:
                    self.cost = (self.cost or 0.0) + usage.cost
        if now - self._samples[-1][0] >= _SAMPLE:
            self._samples.append((now, self.done + self.failed))

    def progress(self, in_flight: int, now: float) -> BatchProgress:
        """Where the run is now."""
        elapsed = 0.0 if self._start is None else now - self._start
        rate = 0.0
        if self._samples:
            since, before = self._samples[0]
            if now > since:
                rate = (self.done + self.failed - before) / (now - since)
        return BatchProgress(
            done=self.done,
            failed=self.failed,
            skipped=self.skipped,
            skipped_failed=self.skipped_failed,
            in_flight=in_flight,
            total=self.total,
            elapsed=elapsed,
            rate=rate,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            cost=self.cost,
        )
