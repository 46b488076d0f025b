"""Benchmark: growth of a call's cost with the size of a message and the number of messages, tools and images."""

from __future__ import annotations

import sys
from collections.abc import Callable

from benchmarks.contenders import ANY_LLM, BARE, LANGCHAIN, LITELLM, OPENAI, OPENAI_AIOHTTP, OURS
from benchmarks.driver import main
from benchmarks.question import Case, Question
from benchmarks.stats import Bound, Round, difference, ratio

SIZES = {"1 KB": 10**3, "10 KB": 10**4, "100 KB": 10**5, "1 MB": 10**6, "10 MB": 10**7}
COUNTS = (1, 10, 100, 1_000, 10_000)
TOOLS = (1, 10, 100)
IMAGES = (1, 10)

_LINEAR = 1.25
"""Upper bound of the ratio between the marginal costs of two consecutive steps, for growth to count as linear."""


def _name(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _case(name: str, kind: str, size: int) -> Case:
    job = {"job": "calls", "concurrency": 1, "kind": kind, "size": size}
    return Case(name, job)


def _marginal_cost_ratio(names: tuple[str, str, str], counts: tuple[int, int, int]) -> Callable[[Round], float]:
    """Ratio of the marginal cost between the second and third case to that between the first and second."""

    def of(round_: Round) -> float:
        costs = [round_.figure(name, OURS.name, "cpu_us") for name in names]
        early = (costs[1] - costs[0]) / (counts[1] - counts[0])
        late = (costs[2] - costs[1]) / (counts[2] - counts[1])
        return late / early

    return of


_MESSAGES = {count: _name(count, "message") for count in COUNTS}
_MOST = _MESSAGES[10_000]

QUESTION = Question(
    "growth",
    "Growth of a call's cost with the size of a message and the number of messages, tools and images",
    "call",
    (
        *(_case(name, "long", size) for name, size in SIZES.items()),
        *(_case(name, "many", count) for count, name in _MESSAGES.items()),
        *(_case(_name(count, "tool"), "tools", count) for count in TOOLS),
        *(_case(_name(count, "image"), "images", count) for count in IMAGES),
    ),
    (BARE, OURS, OPENAI, OPENAI_AIOHTTP, ANY_LLM, LANGCHAIN, LITELLM),
    (
        Bound("one message of 10 MB, against bare", ratio("10 MB", OURS.name, BARE.name), at_most=1.5),
        Bound(
            f"{_MOST}, cost per message over bare",
            difference(_MOST, OURS.name, BARE.name, "cpu_us", scale=1 / 10_000),
            at_most=2,
            unit="µs",
        ),
        Bound(
            "marginal cost of a message between 100 and 1,000, against between 1 and 100",
            _marginal_cost_ratio((_MESSAGES[1], _MESSAGES[100], _MESSAGES[1_000]), (1, 100, 1_000)),
            at_most=_LINEAR,
            fixed=True,
        ),
        Bound(
            "marginal cost of a message between 1,000 and 10,000, against between 100 and 1,000",
            _marginal_cost_ratio((_MESSAGES[100], _MESSAGES[1_000], _MOST), (100, 1_000, 10_000)),
            at_most=_LINEAR,
            fixed=True,
        ),
    ),
    slices=1,
)

if __name__ == "__main__":
    sys.exit(main(QUESTION))
