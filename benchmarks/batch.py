"""Benchmark: cost of 2,000 requests, 256 at a time, with a provider that replies after a delay."""

from __future__ import annotations

import dataclasses
import sys

from benchmarks.contenders import BARE, OURS, Contender
from benchmarks.driver import main
from benchmarks.question import Case, Question
from benchmarks.stats import Bound, ratio

REQUESTS, CONCURRENCY, DELAY_MS = 2_000, 256, 50

CASE = f"{REQUESTS:,} requests, {CONCURRENCY} at a time, replies after {DELAY_MS} ms"


def _ours(name: str, label: str, **job: bool) -> Contender:
    return dataclasses.replace(OURS, name=name, label=label, job=job)


BARE_SEMAPHORE = dataclasses.replace(BARE, label=f"{BARE.label}, one task per request and a semaphore")
OURS_BATCH = _ours(OURS.name, "client.batch")
ORDERED = _ours("ours-ordered", "client.batch, ordered", ordered=True)
JOURNAL = _ours("ours-journal", "client.batch, with a journal", journal=True)

QUESTION = Question(
    "batch",
    "Many requests at once",
    "request",
    (
        Case(
            CASE,
            {"job": "batch", "requests": REQUESTS, "concurrency": CONCURRENCY, "delay": DELAY_MS},
            {"requests": 300, "concurrency": 64, "delay": 5},
        ),
    ),
    (BARE_SEMAPHORE, OURS_BATCH, ORDERED, JOURNAL),
    (
        Bound("CPU, against bare", ratio(CASE, OURS.name, BARE.name), at_most=1.25),
        Bound("wall, against bare", ratio(CASE, OURS.name, BARE.name, "wall_us"), at_most=1.25),
    ),
)

if __name__ == "__main__":
    sys.exit(main(QUESTION))
