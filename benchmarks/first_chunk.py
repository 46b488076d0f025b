"""Benchmark: time until the caller gets the first text of a stream."""

from __future__ import annotations

import sys

from benchmarks.contenders import ALL_CONTENDERS, BARE, OURS
from benchmarks.driver import main
from benchmarks.question import Case, Column, Question
from benchmarks.stats import Bound, difference

FIRST = "first chunk"

QUESTION = Question(
    "first_chunk",
    "Time to first chunk",
    "",
    (
        Case(
            FIRST,
            {"job": "first_chunk", "chunks": 5, "pace": 2, "count": 200},
            {"count": 20},
            note="The first chunk arrives with the headers, four more follow 2 ms apart; one stream at a time.",
        ),
    ),
    ALL_CONTENDERS,
    (
        Bound(
            "first chunk, delay over bare",
            difference(FIRST, OURS.name, BARE.name, "first_ms"),
            at_most=0.15,
            unit="ms",
        ),
    ),
    main=Column("first_ms", "median ms", 3),
    beside=(
        Column("first_p99_ms", "p99 ms", 2),
        Column("p50_ms", "whole stream, p50 ms", 2),
        Column("cpu_us", "CPU µs per chunk"),
        Column("server_us", "server µs per chunk"),
    ),
)

if __name__ == "__main__":
    sys.exit(main(QUESTION))
