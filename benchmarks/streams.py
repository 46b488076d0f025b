"""Benchmark: cost of a streamed chunk, in bursts and paced, in one stream and in 64 at a time."""

from __future__ import annotations

import sys
from typing import Any

from benchmarks.contenders import (
    ALL_CONTENDERS,
    BARE,
    BARE_UVLOOP,
    CAREFUL,
    LITELLM,
    OPENAI,
    OPENAI_AIOHTTP,
    OURS,
    OURS_ANTHROPIC,
    OURS_UVLOOP,
)
from benchmarks.driver import main
from benchmarks.question import Case, Question
from benchmarks.stats import Bound, ratio

_OWN = frozenset({CAREFUL.name, BARE.name, OURS.name, BARE_UVLOOP.name, OURS_UVLOOP.name, OURS_ANTHROPIC.name})
_SHORT_PACED: dict[str, Any] = {"chunks": 50, "pace": 1, "seconds": 0.05}


def _case(form: str, chunks: int, concurrency: int, pace: int = 0) -> Case:
    job: dict[str, Any] = {"job": "streams", "form": form, "chunks": chunks, "concurrency": concurrency}
    name = f"{form} of {chunks}, {concurrency} at a time"
    if not pace:
        # The most expensive clients need half a minute for 64,000 chunks; streams of 200 chunks have the same ratios.
        few = _OWN if concurrency * chunks > 20_000 else None
        return Case(name, job, {} if concurrency == 1 else {"concurrency": 8}, few)
    # With 64 streams at this pace the most expensive clients would always lag behind, and so read bursts again.
    few = None if concurrency == 1 else _OWN if chunks < 1000 else frozenset({CAREFUL.name, BARE.name, OURS.name})
    short = _SHORT_PACED | ({} if concurrency == 1 else {"concurrency": 8})
    return Case(name, job | {"pace": pace, "seconds": 2}, short, few, f"A chunk every {pace} ms.", slices=1)


BURSTS = tuple(_case("burst", chunks, concurrency) for chunks in (200, 1000) for concurrency in (1, 64))
SOLID = _case("solid", 1000, 1)
PACED = tuple(
    _case("paced", chunks, concurrency, pace) for chunks in (200, 1000) for concurrency, pace in ((1, 2), (64, 10))
)

QUESTION = Question(
    "streams",
    "Streams in bursts (an HTTP chunk per event, as providers send it), solid (one HTTP chunk for all) and paced",
    "chunk",
    (*BURSTS, SOLID, *PACED),
    ALL_CONTENDERS,
    (
        *(
            Bound(f"{case.name}, against the naive client", ratio(case.name, OURS.name, BARE.name), at_most=1.10)
            for case in (*BURSTS, SOLID)
        ),
        *(
            Bound(f"{case.name}, against the naive client", ratio(case.name, OURS.name, BARE.name), at_most=1.05)
            for case in PACED
        ),
        *(
            Bound(f"{case.name}, {peer.label} against ours", ratio(case.name, peer.name, OURS.name), at_least=least)
            for case in BURSTS
            if case.only is None
            for peer, least in ((OPENAI, 18), (OPENAI_AIOHTTP, 18), (LITELLM, 70))
        ),
    ),
    base=CAREFUL.name,
    always=frozenset({CAREFUL.name, OURS.name}),
)

if __name__ == "__main__":
    sys.exit(main(QUESTION))
