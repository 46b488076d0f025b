"""What does a batch's journal cost, and how long does a run take that resumes a million items?

``python -m benchmarks.journal [--short] [--lines 1000000]`` writes a journal of that many lines and opens it again.
Every step runs in a process of its own, so that each shows its own memory. The short form takes 20,000 lines and
judges no times. Ends with 1 when a bound is broken.
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
    AssistantMessage,
    ChatCompletion,
    ChatRequest,
    Choice,
    CompletionTokensDetails,
    PromptTokensDetails,
    ReplyInfo,
    Result,
    Usage,
)
from benchmarks.soak.common import MIB, Figure, conclude, peak_bytes

LINES = 1_000_000
SHORT = 20_000
_SOME = 5_000
"""Enough for what costs the same at every line."""

_QUESTION = "Which of these two sentences is the more polite one, and why? " * 6
_ANSWER = "The second one: it asks, where the first one demands. " * 8

Figures = dict[str, float]


def _request(number: int) -> ChatRequest:
    messages = [{"role": "system", "content": "Answer in one line."}, {"role": "user", "content": _QUESTION}]
    return ChatRequest("openai/gpt-4o-mini", messages, temperature=0.2, max_tokens=100, custom_id=f"row-{number:07}")


def _result(number: int) -> Result:
    usage = Usage(120, 80, 200, PromptTokensDetails(0, 0), CompletionTokensDetails(0, 0, 0, 0))
    choices = [Choice(0, AssistantMessage(_ANSWER), "stop")]
    completion = ChatCompletion(f"chatcmpl-{number:029}", choices, "gpt-4o-mini", 1_700_000_000, usage=usage)
    completion.info = ReplyInfo("openai", "gpt-4o-mini", 200, request_id=f"req_{number:032x}", attempts=1, elapsed=1.25)
    return Result(completion)


# --- steps ---------------------------------------------------------------------------------------------------------


def write(path: Path, lines: int, fsync: Fsync = "none") -> Figures:
    """Appends that many results."""

    async def run() -> float:
        labels = ItemKeys()
        async with Journal.open(path, fsync=fsync) as journal:
            start = time.perf_counter()
            for number in range(lines):
                await journal.append(labels.next_key(_request(number)), _result(number))
            return time.perf_counter() - start

    spent = asyncio.run(run())
    return {"us": spent / lines * 1e6, "bytes": path.stat().st_size / lines}


def write_group(path: Path, lines: int) -> Figures:
    """The same, and they reach the disk by the hundred."""
    return write(path, lines, "group")


def write_each(path: Path, lines: int) -> Figures:
    """The same, and each reaches the disk before the next."""
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
    journal, labels, before = Journal.open(path), ItemKeys(), peak_bytes()
    found, seconds, cpu = 0, 0.0, 0.0
    for first in range(0, lines, _SOME):
        requests = [_request(number) for number in range(first, min(first + _SOME, lines))]  # which takes time itself
        wall, busy = time.perf_counter(), time.process_time()
        found += sum(journal.seen(labels.next_key(request)) is not None for request in requests)
        seconds, cpu = seconds + time.perf_counter() - wall, cpu + time.process_time() - busy
    assert found == lines, found
    journal.close()
    return {"seconds": seconds, "cpu": cpu, "peak": peak_bytes(), "more": peak_bytes() - before}


def read(path: Path, lines: int) -> Figures:
    """Reads results back, after the scan that comes before the first."""
    results = read_results(path)
    next(results)
    start = time.perf_counter()
    count = sum(1 for _, _ in zip(range(_SOME), results, strict=False))
    return {"us": (time.perf_counter() - start) / count * 1e6}


STEPS: dict[str, Callable[[Path, int], Figures]] = {
    each.__name__: each for each in (write, write_group, write_each, scan, resume, read)
}


def _alone(step: Callable[[Path, int], Figures], path: Path, lines: int) -> Figures:
    """A step, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.journal", "--step", step.__name__, "--lines", str(lines), str(path)]
    figures: Figures = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return figures


# --- the command ---------------------------------------------------------------------------------------------------


def measure(folder: Path, lines: int) -> list[Figure]:
    """All steps, one after the other."""
    path = folder / "answers.jsonl"
    some = min(lines, _SOME)
    written = _alone(write, path, lines)
    grouped = _alone(write_group, folder / "group.jsonl", some)
    each = _alone(write_each, folder / "each.jsonl", some // 5)
    opened, resumed, back = (_alone(step, path, lines) for step in (scan, resume, read))
    return [
        Figure("lines", lines),
        Figure("a line", written["bytes"], unit="bytes"),
        Figure("append", written["us"], unit="µs"),
        Figure("append, by the hundred to the disk", grouped["us"], unit="µs"),
        Figure("append, each to the disk, one at a time", each["us"], unit="µs"),
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
    """The command."""
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
