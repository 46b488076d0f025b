"""Benchmark: memory, objects, tasks and file descriptors left after 20,000 calls and 2,000 streams."""

from __future__ import annotations

import sys

from benchmarks.contenders import BARE, LITELLM, OPENAI, OURS
from benchmarks.driver import main
from benchmarks.question import Case, Column, Question
from benchmarks.stats import Bound, value

MANY = "20,000 calls, 2,000 streams"

QUESTION = Question(
    "leaks",
    "Resources left after calls and streams, with a tenth of them as warm-up",
    "",
    (
        Case(
            MANY,
            {"job": "leak", "calls": 20_000, "streams": 2_000, "chunks": 20, "concurrency": 64, "limit": 1200},
            {"calls": 200, "streams": 40, "concurrency": 8},
        ),
    ),
    (BARE, OURS, OPENAI, LITELLM),
    (Bound(f"resident memory after {MANY}", value(MANY, OURS.name, "mib"), at_most=2, unit="MiB", fixed=True),),
    main=Column("mib", "resident MiB", 2),
    beside=(
        Column("objects", "objects", 0),
        Column("tasks", "tasks", 0),
        Column("files", "descriptors", 0),
        Column("cpu_us", "CPU µs per call"),
    ),
    base="",
    slices=1,
    fresh=True,
    # The most expensive clients need minutes for this.
    peers_by_default=False,
)

if __name__ == "__main__":
    sys.exit(main(QUESTION))
