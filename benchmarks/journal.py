"""Benchmark: cost of a batch's journal, and of resuming a run of a million items.

``python -m benchmarks.journal [--short] [--lines 1000000]`` writes a journal of that many lines and opens it again.
Every step runs in a process of its own, so that its memory is measured alone. The short form writes 20,000 lines and
judges no times. The exit code is 1 when a bound fails.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from anycompletion.batch.journal import Fsync, ItemKeys, Journal, read_results
from anycompletion.records import (
    ChatCompletion,
    ChatCompletionMessage,
    ChatRequest,
    Choice,
    CompletionTokensDetails,
    PromptTokensDetails,
    ReplyInfo,
    Usage,
)
from anycompletion.records.results import Result
from benchmarks.soak.common import MIB, Figure, conclude, peak_bytes

LINES = 1_000_000
SHORT = 20_000
_SAMPLE = 5_000
"""Number of lines for figures that are the same for every line."""

_QUESTION = "Which of these two sentences is the more polite one, and why? " * 6
_ANSWER = "The second one: it asks, where the first one demands. " * 8

Figures = dict[str, float]


def _request(number: int) -> ChatRequest:
    messages = [{"role": "system", "content": "Answer in one line."}, {"role": "user", "content": _QUESTION}]
    return ChatRequest("openai/gpt-4o-mini", messages, temperature=0.2, max_tokens=100, custom_id=f"row-{number:07}")


def _result(number: int) -> Result:
    usage = Usage(120, 80, 200, PromptTokensDetails(0, 0), CompletionTokensDetails(0, 0, 0, 0))
    choices = [Choice(0, ChatCompletionMessage(_ANSWER), "stop")]
    completion = ChatCompletion(f"chatcmpl-{number:029}", choices, "gpt-4o-mini", 1_700_000_000, usage=usage)
    completion.info = ReplyInfo("openai", "gpt-4o-mini", 200, request_id=f"req_{number:032x}", attempts=1, elapsed=1.25)
    return Result(completion)


# --- steps ---------------------------------------------------------------------------------------------------------


def write(path: Path, lines: int, fsync: Fsync = "none") -> Figures:
    """Appends results."""

    async def run() -> float:
        keys = ItemKeys()
        async with Journal.open(path, fsync=fsync) as journal:
            start = time.perf_counter()
            for number in range(lines):
                await journal.append(keys.next_key(_request(number)), _result(number))
            return time.perf_counter() - start

    spent = asyncio.run(run())
    return {"us": spent / lines * 1e6, "bytes": path.stat().st_size / lines}


def write_group(path: Path, lines: int) -> Figures:
    """Appends results, with group commits to the disk."""
    return write(path, lines, "group")


def write_each(path: Path, lines: int) -> Figures:
    """Appends results, each written to the disk before the next."""
    return write(path, lines, "each")


def scan(path: Path, lines: int) -> Figures:
    """Opens the journal."""
    before, start, cpu = peak_bytes(), time.perf_counter(), time.process_time()
    journal = Journal.open(path)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    assert journal.count == lines, journal.count
    journal.close()
    return {"seconds": seconds, "cpu": cpu, "peak": peak_bytes(), "more": peak_bytes() - before}


def resume(path: Path, lines: int) -> Figures:
    """Finds every item of the input in the journal."""
    journal, keys, before = Journal.open(path), ItemKeys(), peak_bytes()
    found, seconds, cpu = 0, 0.0, 0.0
    for first in range(0, lines, _SAMPLE):
        requests = [_request(number) for number in range(first, min(first + _SAMPLE, lines))]  # not measured
        wall, busy = time.perf_counter(), time.process_time()
        found += sum(journal.entry(keys.next_key(request)) is not None for request in requests)
        seconds, cpu = seconds + time.perf_counter() - wall, cpu + time.process_time() - busy
    assert found == lines, found
    journal.close()
    return {"seconds": seconds, "cpu": cpu, "peak": peak_bytes(), "more": peak_bytes() - before}


def read(path: Path, lines: int) -> Figures:
    """Reads results back; the scan before the first is not measured."""
    results = read_results(path)
    next(results)
    start = time.perf_counter()
    count = sum(1 for _, _ in zip(range(_SAMPLE), results, strict=False))
    return {"us": (time.perf_counter() - start) / count * 1e6}


STEPS: dict[str, Callable[[Path, int], Figures]] = {
    each.__name__: each for each in (write, write_group, write_each, scan, resume, read)
}


def _in_process(step: Callable[[Path, int], Figures], path: Path, lines: int) -> Figures:
    """Runs a step in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.journal", "--step", step.__name__, "--lines", str(lines), str(path)]
    figures: Figures = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return figures


# --- the command ---------------------------------------------------------------------------------------------------


def measure(folder: Path, lines: int) -> list[Figure]:
    """Runs all steps one after the other."""
    path = folder / "answers.jsonl"
    some = min(lines, _SAMPLE)
    written = _in_process(write, path, lines)
    grouped = _in_process(write_group, folder / "group.jsonl", some)
    each = _in_process(write_each, folder / "each.jsonl", some // 5)
    opened, resumed, back = (_in_process(step, path, lines) for step in (scan, resume, read))
    return [
        Figure("lines", lines),
        Figure("size of a line", written["bytes"], unit="bytes"),
        Figure("append", written["us"], unit="µs"),
        Figure("append, with group commits", grouped["us"], unit="µs"),
        Figure("append, with a commit each", each["us"], unit="µs"),
        Figure("open", opened["seconds"], at_most=10, unit="s", machine=True),
        Figure("open, CPU", opened["cpu"], unit="s"),
        Figure("open, memory", opened["more"] / MIB, at_most=150, unit="MiB"),
        Figure("find all items of the input in it", resumed["seconds"], unit="s"),
        Figure("find all items of the input in it, CPU", resumed["cpu"], unit="s"),
        Figure("find all items of the input in it, memory", resumed["more"] / MIB, at_most=150, unit="MiB"),
        Figure("peak memory of the process", resumed["peak"] / MIB, at_most=300, unit="MiB"),
        Figure("read a result back", back["us"], unit="µs"),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.journal", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--short", action="store_true", help=f"{SHORT:,} lines; times are shown, not judged")
    parser.add_argument("--lines", type=int, help=f"default: {LINES:,}")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("path", nargs="?", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    lines = given.lines or (SHORT if given.short else LINES)
    if given.step is not None:
        print(json.dumps(STEPS[given.step](given.path, lines)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        return conclude("The journal of a batch", measure(Path(folder), lines), short=given.short)


if __name__ == "__main__":
    sys.exit(main())
