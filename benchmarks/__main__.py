"""Runs all benchmarks one after the other, then the summary: ``python -m benchmarks`` with the options of each."""

from __future__ import annotations

import sys

from benchmarks import (
    batch,
    cold_start,
    fanout,
    first_chunk,
    formats,
    growth,
    leaks,
    open_streams,
    single,
    streams,
    summary,
)
from benchmarks.driver import ask
from benchmarks.options import options_of

QUESTIONS = tuple(
    module.QUESTION
    for module in (cold_start, single, streams, formats, first_chunk, fanout, batch, open_streams, leaks, growth)
)


def main() -> int:
    """Runs all benchmarks; returns the highest exit code."""
    worst = 0
    for question in QUESTIONS:
        options = options_of(None, question)
        print(f"\n== {question.title}", file=sys.stderr, flush=True)
        worst = max(worst, ask(question, options))
    summary.main(["--out", str(options_of(None, None).out)])
    return worst


if __name__ == "__main__":
    sys.exit(main())
