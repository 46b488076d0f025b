"""Benchmark: one call with n=8 to a provider without `n`, against eight concurrent calls."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

from benchmarks.contenders import BARE, OURS, OURS_ANTHROPIC, Contender
from benchmarks.driver import main
from benchmarks.question import Case, Question
from benchmarks.stats import Bound, ratio

N = 8


def _contender(base: Contender, name: str, label: str, *, together: bool, **options: Any) -> Contender:
    changed = {**base.options, **options}
    return dataclasses.replace(base, name=name, label=label, options=changed, job={"together": together, "n": N})


# A provider in OpenAI's format that does not support `n`.
_GROQ = "groq/llama-3.3-70b-versatile"
FAN = _contender(OURS, "ours-fan", f"n={N}", together=True, model=_GROQ)
CALLS = _contender(OURS, "ours-calls", f"{N} calls", together=False, model=_GROQ)
FAN_ANTHROPIC = _contender(OURS_ANTHROPIC, "ours-fan-anthropic", f"n={N}, Anthropic's format", together=True)
CALLS_ANTHROPIC = _contender(OURS_ANTHROPIC, "ours-calls-anthropic", f"{N} calls, Anthropic's format", together=False)
BARE_CALLS = dataclasses.replace(BARE, label=f"{N} calls by {BARE.label}", job={"together": False, "n": N})

PLAIN, BURST, PACED = "plain", "streamed, bursts of 200", "streamed, 200 chunks 5 ms apart"

QUESTION = Question(
    "fanout",
    f"n={N} against {N} calls at the same time",
    "choice, or chunk of a stream",
    (
        Case(PLAIN, {"job": "fan"}),
        Case(BURST, {"job": "fan", "chunks": 200}),
        Case(PACED, {"job": "fan", "chunks": 200, "pace": 5, "seconds": 2}, {"chunks": 40, "seconds": 0.05}),
    ),
    (BARE_CALLS, CALLS, FAN, CALLS_ANTHROPIC, FAN_ANTHROPIC),
    tuple(
        Bound(f"{case}{note}, against {N} calls", ratio(case, fan.name, calls.name), at_most=1.15, fixed=True)
        for note, fan, calls in (("", FAN, CALLS), (", Anthropic's format", FAN_ANTHROPIC, CALLS_ANTHROPIC))
        for case in (PLAIN, BURST, PACED)
    ),
    base=CALLS.name,
    always=frozenset({CALLS.name, FAN.name}),
)

if __name__ == "__main__":
    sys.exit(main(QUESTION))
