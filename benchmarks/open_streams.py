"""How much memory does an open stream take?"""

from __future__ import annotations

import sys

from benchmarks.contenders import BARE, OURS, PEERS, RAW
from benchmarks.driver import Case, Column, Question, main
from benchmarks.stats import Bound, value

STREAMS = 1000
AT_ONCE, GATED = f"{STREAMS} at once", f"{STREAMS}, 64 starting at a time"
_JOB = {"job": "hold", "streams": STREAMS, "patience": 30}
_SHORT = {"streams": 50, "gate": 50, "patience": 20}

QUESTION = Question(
    "open_streams",
    "Memory of open streams, each after its third chunk",
    "open stream",
    (
        Case(AT_ONCE, {**_JOB, "gate": STREAMS}, _SHORT),
        Case(GATED, {**_JOB, "gate": 64}, _SHORT | {"gate": 8}),
    ),
    (RAW, BARE, OURS, *PEERS),
    tuple(Bound(case, value(case, OURS.name, "kib"), at_most=25, unit="KiB", fixed=True) for case in (AT_ONCE, GATED)),
    main=Column("kib", "resident KiB"),
    beside=(Column("opened", "opened", 0), Column("cpu_us", "CPU µs"), Column("wall_us", "wall µs")),
    base="",
    slices=1,
    fresh=True,
)

if __name__ == "__main__":
    sys.exit(main(QUESTION))
