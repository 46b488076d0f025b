"""Medians with bootstrap intervals, and the bounds that are judged on them."""

from __future__ import annotations

import functools
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

ENOUGH_ROUNDS = 7
"""Results of fewer rounds are shown and not judged."""

_RESAMPLES = 5_000
_LEVEL = 0.95

Figures = Mapping[str, float]


class NotMeasuredError(LookupError):
    """A contender or case that a bound refers to was not measured; the text is its name."""


class Round:
    """Figures of one interleaved round, by case and contender."""

    def __init__(self, figures: Mapping[str, Mapping[str, Figures]]) -> None:
        self._figures = figures

    def figure(self, case: str, contender: str, name: str) -> float:
        """One figure.

        Raises:
            NotMeasuredError: there is none.
        """
        try:
            return self._figures[case][contender][name]
        except KeyError:
            raise NotMeasuredError(contender if case in self._figures else case) from None


@dataclass(frozen=True)
class Interval:
    """A median and its 95 % confidence interval."""

    median: float
    low: float
    high: float


def interval(values: Sequence[float]) -> Interval:
    """The median of one value per round, and its bootstrap interval; deterministic."""
    medians = sorted(statistics.median([values[at] for at in sample]) for sample in _samples(len(values)))
    edge = int(len(medians) * (1 - _LEVEL) / 2)
    return Interval(statistics.median(values), medians[edge], medians[-edge - 1])


@functools.cache
def _samples(count: int) -> list[list[int]]:
    generator = random.Random(20260101)  # noqa: S311 (samples, not secrets)
    return [generator.choices(range(count), k=count) for _ in range(_RESAMPLES if count > 1 else 1)]


@dataclass(frozen=True)
class Bound:
    """Bound on a figure computed from each round: an upper bound, a lower bound or both."""

    label: str
    of: Callable[[Round], float]
    at_most: float | None = None
    at_least: float | None = None
    unit: str = "×"
    fixed: bool = False
    """Whether it does not depend on the baseline, so that it is judged with a substitute too."""


def ratio(case: str, over: str, under: str, figure: str = "cpu_us") -> Callable[[Round], float]:
    """One contender's figure divided by another's."""
    return lambda round_: round_.figure(case, over, figure) / round_.figure(case, under, figure)


def difference(case: str, more: str, less: str, figure: str, scale: float = 1) -> Callable[[Round], float]:
    """One contender's figure minus another's."""
    return lambda round_: (round_.figure(case, more, figure) - round_.figure(case, less, figure)) * scale


def value(case: str, contender: str, figure: str) -> Callable[[Round], float]:
    """One contender's figure as it is."""
    return lambda round_: round_.figure(case, contender, figure)


@dataclass(frozen=True)
class Judgement:
    """Verdict on a bound and the interval it is based on."""

    bound: Bound
    measured: Interval | None
    verdict: str
    """`pass`, `FAIL`, or the reason why it was not judged."""

    @property
    def failed(self) -> bool:
        """Whether the whole interval lies on the wrong side."""
        return self.verdict == "FAIL"


def judge(bound: Bound, rounds: Sequence[Round], *, baseline: bool = True) -> Judgement:
    """Judges a bound; without its `baseline`, or with fewer than `ENOUGH_ROUNDS`, it is only shown."""
    try:
        measured = interval([bound.of(each) for each in rounds])
    except NotMeasuredError as missing:
        return Judgement(bound, None, f"not measured: {missing}")
    if not baseline and not bound.fixed:
        return Judgement(bound, measured, "not judged: another baseline")
    if len(rounds) < ENOUGH_ROUNDS:
        return Judgement(bound, measured, f"not judged: {len(rounds)} of {ENOUGH_ROUNDS} rounds")
    above = bound.at_most is not None and measured.low > bound.at_most
    below = bound.at_least is not None and measured.high < bound.at_least
    return Judgement(bound, measured, "FAIL" if above or below else "pass")
