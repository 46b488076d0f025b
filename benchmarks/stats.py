"""Medians with bootstrap intervals, and what is demanded of them."""

from __future__ import annotations

import functools
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

ENOUGH_ROUNDS = 7
"""Fewer are shown, and not judged."""

_RESAMPLES = 5_000
_LEVEL = 0.95

Figures = Mapping[str, float]


class NotMeasuredError(LookupError):
    """Who a bound speaks of took no part; its text is the name."""


class Round:
    """The figures of one interleaved round, by case and contender."""

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
    """A median and where it lies with 95 % confidence."""

    median: float
    low: float
    high: float


def interval(values: Sequence[float]) -> Interval:
    """The median of one value per round, and its bootstrap interval; the same values always give the same."""
    medians = sorted(statistics.median([values[at] for at in sample]) for sample in _samples(len(values)))
    edge = int(len(medians) * (1 - _LEVEL) / 2)
    return Interval(statistics.median(values), medians[edge], medians[-edge - 1])


@functools.cache
def _samples(count: int) -> list[list[int]]:
    chance = random.Random(20260101)  # noqa: S311 (samples, not secrets)
    return [chance.choices(range(count), k=count) for _ in range(_RESAMPLES if count > 1 else 1)]


@dataclass(frozen=True)
class Bound:
    """A demand: what is computed of each round, and what it may be at most or must be at least."""

    says: str
    of: Callable[[Round], float]
    at_most: float | None = None
    at_least: float | None = None
    unit: str = "×"
    fixed: bool = False
    """Whether it holds without a baseline, so that another baseline does not spoil it."""


def ratio(case: str, over: str, under: str, figure: str = "cpu_us") -> Callable[[Round], float]:
    """One contender's figure by another's."""
    return lambda seen: seen.figure(case, over, figure) / seen.figure(case, under, figure)


def difference(case: str, more: str, less: str, figure: str, scale: float = 1) -> Callable[[Round], float]:
    """One contender's figure less another's."""
    return lambda seen: (seen.figure(case, more, figure) - seen.figure(case, less, figure)) * scale


def value(case: str, who: str, figure: str) -> Callable[[Round], float]:
    """One contender's figure as it is."""
    return lambda seen: seen.figure(case, who, figure)


@dataclass(frozen=True)
class Judgement:
    """What became of a bound."""

    bound: Bound
    seen: Interval | None
    verdict: str
    """pass, FAIL, or why neither."""

    @property
    def failed(self) -> bool:
        """Whether the whole interval lies on the wrong side."""
        return self.verdict == "FAIL"


def judge(bound: Bound, rounds: Sequence[Round], *, baseline: bool = True) -> Judgement:
    """Whether a bound holds; without its `baseline`, or with few rounds, it is only shown."""
    try:
        seen = interval([bound.of(each) for each in rounds])
    except NotMeasuredError as missing:
        return Judgement(bound, None, f"not measured: {missing}")
    if not baseline and not bound.fixed:
        return Judgement(bound, seen, "not judged: another baseline")
    if len(rounds) < ENOUGH_ROUNDS:
        return Judgement(bound, seen, f"not judged: {len(rounds)} of {ENOUGH_ROUNDS} rounds")
    above = bound.at_most is not None and seen.low > bound.at_most
    below = bound.at_least is not None and seen.high < bound.at_least
    return Judgement(bound, seen, "FAIL" if above or below else "pass")
