"""Worker process of one client: reads jobs as lines of JSON, runs each, and replies with its figures.

It has a core of its own, and its costs are user and system time of the whole process. Every job first runs unmeasured
until connections are open and caches are warm.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import gc
import importlib
import importlib.metadata
import itertools
import json
import os
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, cast

from benchmarks.clients import BatchingClient, Client, FanningClient, Json
from benchmarks.payloads import REPLY, WORD, chat
from benchmarks.system import allow_many_files, cpu_seconds, fetch, pin, resident_bytes, runner

Figures = dict[str, float]
Once = Callable[[], Awaitable[object]]

_MAX_REPETITIONS = 20_000
"""Upper limit of the repetitions of one measurement."""


class Bench:
    """Client and server that a job works with."""

    def __init__(self, client: Client, root: str) -> None:
        self.client = client
        self._root = root

    def serve(self, behaviour: str) -> None:
        """Sets how the server responds from now on."""
        fetch(self._root, f"/set/{behaviour}")  # blocks, because nothing else runs between two jobs

    async def call(self, chat_: tuple[list[Json], Json]) -> None:
        """Makes one call and checks that its reply is complete."""
        _check(await self.client.call(*chat_), len(REPLY))

    async def stream(self, chat_: tuple[list[Json], Json], chunks: int) -> float:
        """Reads one stream, checks that it is complete, and returns the time of its first text."""
        characters, first = await self.client.stream(*chat_)
        _check(characters, chunks * len(WORD))
        return first


def _check(received: int, expected: int) -> None:
    if received != expected:
        raise ValueError(f"{received} characters arrived instead of {expected}")


# --- repeating -----------------------------------------------------------------------------------------------------


async def repeat(once: Once, count: int, concurrency: int) -> list[float]:
    """Runs `once` `count` times, `concurrency` at a time; returns the duration of each."""
    left = count
    durations: list[float] = []

    async def work() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            start = time.perf_counter()
            await once()
            durations.append(time.perf_counter() - start)

    if concurrency == 1:
        await work()
    else:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(work())
    return durations


async def warm_up(once: Once, concurrency: int, seconds: float) -> float:
    """Repeats for some seconds; returns the duration of one repetition."""
    end = time.perf_counter() + seconds
    while True:
        start = time.perf_counter()
        await repeat(once, concurrency, concurrency)
        now = time.perf_counter()
        if now >= end:
            return (now - start) / concurrency


async def measured(once: Once, count: int, concurrency: int, units: int = 1) -> Figures:
    """Figures per unit, each repetition being `units` units."""
    gc.collect()
    cpu, wall = cpu_seconds(), time.perf_counter()
    durations = await repeat(once, count, concurrency)
    wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
    durations.sort()
    return {
        "cpu_us": cpu / count / units * 1e6,
        "wall_us": wall / count / units * 1e6,
        "p50_ms": durations[len(durations) // 2] * 1e3,
        "p99_ms": durations[int(len(durations) * 0.99)] * 1e3,
        "units": count * units,
    }


def _count(job: Json, each: float) -> int:
    """Number of repetitions that fit into the job's seconds, but at least one per concurrent task."""
    concurrency: int = job["concurrency"]
    return max(concurrency, min(_MAX_REPETITIONS, int(job["seconds"] / each)))


# --- jobs ----------------------------------------------------------------------------------------------------------


async def calls(bench: Bench, job: Json) -> Figures:
    """Calls, `concurrency` at a time."""
    request = chat(job.get("kind", "short"), job.get("size", 0))
    bench.serve("plain")

    async def once() -> None:
        await bench.call(request)

    each = await warm_up(once, job["concurrency"], job["seconds"] / 4)
    return await measured(once, _count(job, each), job["concurrency"])


async def streams(bench: Bench, job: Json) -> Figures:
    """Streams; a unit is a chunk. Paced and concurrent streams are warmed up with short bursts."""
    request = chat()
    chunks: int = job["chunks"]
    pace: int = job.get("pace", 0)
    concurrency: int = job["concurrency"]
    size = min(chunks, 20) if pace or concurrency > 1 else chunks

    async def once() -> None:
        await bench.stream(request, size)

    bench.serve(f"{job.get('form', 'burst')}-{size}")
    each = await warm_up(once, concurrency, job["seconds"] / 4) * chunks / size
    if pace:
        each = chunks * pace / 1000 / concurrency
    size = chunks
    bench.serve(f"paced-{chunks}-{pace}" if pace else f"{job.get('form', 'burst')}-{chunks}")
    return await measured(once, _count(job, each), concurrency, chunks)


async def first_chunk(bench: Bench, job: Json) -> Figures:
    """Time to the first text of a stream whose other chunks come later."""
    request = chat()
    delays: list[float] = []

    async def once() -> None:
        start = time.perf_counter()
        delays.append(await bench.stream(request, job["chunks"]) - start)

    bench.serve(f"paced-{job['chunks']}-{job['pace']}")
    await repeat(once, 10, 1)
    delays.clear()
    figures = await measured(once, job["count"], 1, job["chunks"])
    delays.sort()
    return figures | {"first_ms": delays[len(delays) // 2] * 1e3, "first_p99_ms": delays[int(len(delays) * 0.99)] * 1e3}


async def fan(bench: Bench, job: Json) -> Figures:
    """`n` choices of one call, or `n` concurrent calls."""
    request = chat()
    n: int = job["n"]
    chunks: int = job.get("chunks", 0)
    together: bool = job["together"]
    client = cast("FanningClient", bench.client)

    async def once() -> None:
        if together and chunks:
            _check((await client.fan_stream(*request, n)).characters, n * size * len(WORD))
        elif together:
            _check(await client.fan(*request, n), n * len(REPLY))
        else:
            async with asyncio.TaskGroup() as group:
                for _ in range(n):
                    group.create_task(_discard(bench.stream(request, size) if chunks else bench.call(request)))

    pace: int = job.get("pace", 0)
    size = 20 if pace else chunks
    bench.serve(f"burst-{size}" if chunks else "plain")
    each = await warm_up(once, 1, job["seconds"] / 4)
    if pace:
        size = chunks
        bench.serve(f"paced-{chunks}-{pace}")
        each = chunks * pace / 1000
    return await measured(once, _count({**job, "concurrency": 1}, each), 1, n * max(chunks, 1))


async def batch(bench: Bench, job: Json) -> Figures:
    """A batch; a unit is one request."""
    requests: int = job["requests"]
    concurrency: int = job["concurrency"]
    client = cast("BatchingClient", bench.client)
    chats = [chat() for _ in range(requests)]
    with tempfile.TemporaryDirectory() as folder:
        files = itertools.count()

        async def once() -> None:
            journal = f"{folder}/{next(files)}" if job.get("journal") else ""
            received = await client.batch(chats, concurrency, ordered=job.get("ordered", False), journal=journal)
            _check(received, requests * len(REPLY))

        bench.serve(f"plain-{job['delay']}")
        each = await warm_up(once, 1, job["seconds"] / 4)
        return await measured(once, _count({**job, "concurrency": 1}, each), 1, requests)


async def _discard(awaitable: Awaitable[object]) -> None:
    await awaitable


async def hold(bench: Bench, job: Json) -> Figures:
    """Memory of open streams, each after its first text; at most `max_starting` start at the same time."""
    request = chat()
    starting = asyncio.Semaphore(job["max_starting"])

    async def open_one() -> object:
        async with starting:
            return await bench.client.hold(*request)

    bench.serve("burst-20")
    await repeat(lambda: bench.stream(request, 20), 20, 1)
    bench.serve("hold-3")
    before = resident_bytes()
    cpu, wall = cpu_seconds(), time.perf_counter()
    opening = [asyncio.ensure_future(open_one()) for _ in range(job["streams"])]
    done, late = await asyncio.wait(opening, timeout=job["open_timeout"])
    wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
    streams = [task.result() for task in done if task.exception() is None]
    for task in late:
        task.cancel()
    opening.clear()
    done.clear()
    opened = len(streams)
    grown = resident_bytes() - before
    return {
        "kib": grown / max(opened, 1) / 1024,
        "opened": opened,
        "cpu_us": cpu / max(opened, 1) * 1e6,
        "wall_us": wall / max(opened, 1) * 1e6,
        "units": opened,
    }


async def leak(bench: Bench, job: Json) -> Figures:
    """Growth of memory, objects, tasks and files over many calls and streams."""
    request = chat()
    concurrency: int = job["concurrency"]

    async def call() -> None:
        await bench.call(request)

    async def stream() -> None:
        await bench.stream(request, job["chunks"])

    async def both(share: int) -> None:
        bench.serve("plain")
        await repeat(call, max(concurrency, job["calls"] // share), concurrency)
        bench.serve(f"burst-{job['chunks']}")
        await repeat(stream, max(concurrency, job["streams"] // share), concurrency)

    await both(10)
    before, state = resident_bytes(), _state()
    cpu, wall = cpu_seconds(), time.perf_counter()
    await both(1)
    wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
    grown, after = resident_bytes() - before, _state()
    units = job["calls"] + job["streams"]
    return {
        "mib": grown / 1024 / 1024,
        **{name: after[name] - state[name] for name in state},
        "cpu_us": cpu / units * 1e6,
        "wall_us": wall / units * 1e6,
        "units": units,
    }


def _state() -> Figures:
    return {
        "objects": len(gc.get_objects()),
        "tasks": len(asyncio.all_tasks()),
        "files": len(list(Path("/proc/self/fd").iterdir())),
    }


JOBS: dict[str, Callable[[Bench, Json], Awaitable[Figures]]] = {
    job.__name__: job for job in (calls, streams, first_chunk, fan, batch, hold, leak)
}


# --- communication with the driver ---------------------------------------------------------------------------------


def versions(names: Sequence[str]) -> dict[str, str]:
    """Versions of the interpreter and of those distributions that are installed."""
    known: dict[str, str] = {"python": platform.python_version()}
    for name in names:
        if name == "anycompletion" and name in sys.modules:
            known[name] = str(sys.modules[name].__version__)  # runs from a working tree, whatever is installed
            continue
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            known[name] = importlib.metadata.version(name)
    return known


def main() -> None:
    """Reads jobs until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("adapter")
    parser.add_argument("root")
    parser.add_argument("--options", type=json.loads, default={})
    parser.add_argument("--versions", type=json.loads, default=[])
    parser.add_argument("--loop", default="asyncio")
    parser.add_argument("--core", type=int)
    arguments = parser.parse_args()
    # The driver reads this process's stdout, so that what clients print goes to stderr.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    allow_many_files()
    pin(arguments.core)
    module: Any = importlib.import_module(f"benchmarks.clients.{arguments.adapter}")
    with runner(arguments.loop) as running:
        clients = Clients(functools.partial(module.Client, **arguments.options), arguments.root)
        hello = {"versions": versions(arguments.versions)}
        print(json.dumps(hello), file=replies, flush=True)
        for line in sys.stdin:
            job = json.loads(line)
            try:
                reply: Json = {"figures": running.run(_within(clients.run(job), job["limit"]))}
            except Exception:  # noqa: BLE001 (the driver reports any error of a client)
                reply = {"error": traceback.format_exc()}
            print(json.dumps(reply), file=replies, flush=True)
        replies.flush()
        # Clients are not closed: streams may still be open, and the cost of closing is not measured.
        os._exit(0)


class Clients:
    """The process's clients: one for each set of options that its jobs name under ``client``."""

    def __init__(self, make: Callable[..., Client], root: str) -> None:
        self._make = make
        self._root = root
        self._benches: dict[str, Bench] = {}

    async def run(self, job: Json) -> Figures:
        """Runs a job with its client, which the first such job makes."""
        options: Json = job.get("client", {})
        key = json.dumps(options)
        if key not in self._benches:
            self._benches[key] = Bench(self._make(self._root, **options), self._root)
        return await JOBS[job["job"]](self._benches[key], job)


async def _within(job: Awaitable[Figures], limit: float) -> Figures:
    async with asyncio.timeout(limit):
        return await job


if __name__ == "__main__":
    main()
