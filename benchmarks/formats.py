"""Benchmark: cost of calls and of streamed chunks in each wire format, beside a hand-written client of that format."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

from benchmarks.contenders import CAREFUL, OURS
from benchmarks.driver import main
from benchmarks.formats_payloads import BEDROCK_MODEL, GEMINI_MODEL, OLLAMA_MODEL
from benchmarks.payloads import ANTHROPIC_MODEL, MODEL
from benchmarks.question import Case, Question
from benchmarks.stats import Bound, ratio

ONE, MANY, BURST = "1 at a time", "64 at a time", "burst of 200"

_JOBS: dict[str, dict[str, Any]] = {
    ONE: {"job": "calls", "concurrency": 1},
    MANY: {"job": "calls", "concurrency": 64},
    BURST: {"job": "streams", "form": "burst", "chunks": 200, "concurrency": 1},
}

_FORMATS: dict[str, dict[str, Any]] = {
    "OpenAI chat": {"model": f"openai/{MODEL}"},
    "Anthropic": {"model": f"anthropic/{ANTHROPIC_MODEL}"},
    "Gemini": {"model": f"gemini/{GEMINI_MODEL}"},
    "Bedrock": {"model": f"bedrock/{BEDROCK_MODEL}"},
    "Ollama": {"model": f"ollama/{OLLAMA_MODEL}"},
    "OpenAI Responses": {"model": f"openai/responses/{MODEL}"},
}
"""Format → options of the clients."""

_SIGNED = {"Bedrock, signed": {"model": f"bedrock/{BEDROCK_MODEL}", "signed": True}}
"""Requests that are signed with AWS credentials; a bearer key authenticates the others."""


def _case(name: str, client: dict[str, Any], load: str) -> Case:
    return Case(f"{name}, {load}", {**_JOBS[load], "client": client}, {"concurrency": 8} if load == MANY else {})


CASES = (
    *(_case(name, client, load) for name, client in _FORMATS.items() for load in _JOBS),
    *(_case(name, client, ONE) for name, client in _SIGNED.items()),
)

QUESTION = Question(
    "formats",
    "Calls and streams in each wire format, against a hand-written client of the same format",
    "call, or chunk of a stream",
    CASES,
    (
        dataclasses.replace(CAREFUL, label="aiohttp + orjson, careful, for one format", adapter="careful_formats"),
        dataclasses.replace(OURS, adapter="ours_formats"),
    ),
    tuple(Bound(case.name, ratio(case.name, OURS.name, CAREFUL.name), at_most=1.15) for case in CASES),
    base=CAREFUL.name,
    always=frozenset({CAREFUL.name, OURS.name}),
)

if __name__ == "__main__":
    sys.exit(main(QUESTION))
