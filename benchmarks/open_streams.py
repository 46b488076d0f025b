"""Benchmark: memory of an open stream."""

from __future__ import annotations

import sys

from benchmarks.contenders import BARE, OURS, PEERS, RAW
from benchmarks.driver import main
from benchmarks.question import Case, Column, Question
from benchmarks.stats import Bound, value

STREAMS = 1000
AT_ONCE, STAGGERED = f"{STREAMS} at once", f"{STREAMS}, 64 starting at a time"
_JOB = {"job": "hold", "streams": STREAMS, "open_timeout": 30}
_SHORT = {"streams": 50, "max_starting": 50, "open_timeout": 20}

QUESTION = Question(
    "open_streams",
    "Memory of open streams, each after its third chunk",
    "open stream",
    (
        Case(AT_ONCE, {**_JOB, "max_starting": STREAMS}, _SHORT),
        Case(STAGGERED, {**_JOB, "max_starting": 64}, _SHORT | {"max_starting": 8}),
    ),
    (RAW, BARE, OURS, *PEERS),
    tuple(
        Bound(case, value(case, OURS.name, "kib"), at_most=25, unit="KiB", fixed=True) for case in (AT_ONCE, STAGGERED)
    ),
    main=Column("kib", "resident KiB"),
    beside=(Column("opened", "opened", 0), Column("cpu_us", "CPU µs"), Column("wall_us", "wall µs")),
    base="",
    slices=1,
    fresh=True,
)

if __name__ == "__main__":
    sys.exit(main(QUESTION))
