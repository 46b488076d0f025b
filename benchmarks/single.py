"""Benchmark: cost of a call, one at a time and many at a time."""

from __future__ import annotations

import sys

from benchmarks.contenders import ALL_CONTENDERS, BARE, CAREFUL, LITELLM, OPENAI, OPENAI_AIOHTTP, OURS
from benchmarks.driver import main
from benchmarks.question import Case, Question
from benchmarks.stats import Bound, ratio

ONE, MANY, CROWD = "1 at a time", "64 at a time", "512 at a time"

QUESTION = Question(
    "single",
    "Calls",
    "call",
    (
        Case(ONE, {"job": "calls", "concurrency": 1}),
        Case(MANY, {"job": "calls", "concurrency": 64}),
        Case(CROWD, {"job": "calls", "concurrency": 512}),
    ),
    ALL_CONTENDERS,
    (
        *(
            Bound(f"{case}, against the naive client", ratio(case, OURS.name, BARE.name), at_most=1.25)
            for case in (ONE, MANY, CROWD)
        ),
        *(
            Bound(f"{case}, {peer.label} against ours", ratio(case, peer.name, OURS.name), at_least=least)
            for case, peer, least in (
                (ONE, OPENAI, 6),
                (ONE, OPENAI_AIOHTTP, 6),
                (ONE, LITELLM, 18),
                (MANY, OPENAI, 9),
                (MANY, OPENAI_AIOHTTP, 9),
                (MANY, LITELLM, 25),
            )
        ),
    ),
    base=CAREFUL.name,
    always=frozenset({CAREFUL.name, OURS.name}),
)

if __name__ == "__main__":
    sys.exit(main(QUESTION))
