"""Benchmark: what reading a typed stream by its partial values or its items costs, over reading its chunks.

``python -m benchmarks.typed_streams [--short]`` streams 1 MB of JSON in chunks of 4 characters, from a server in a
process of its own, and compares the CPU time of the client's process. The short form streams 20 KB and judges no times.
The exit code is 1 when a bound fails.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypedDict

from anycompletion import AsyncCompletion
from anycompletion.structured.partial import PartialScanner
from benchmarks import payloads
from benchmarks.soak.common import Figure, conclude
from benchmarks.system import cores, pin

SIZE, SHORT = 1_000_000, 20_000
CHUNK = 4
"""Characters of a chunk, about a token."""

_MODEL = "openai/gpt-4o"


class Place(TypedDict):
    """An item of the list that is streamed."""

    name: str
    description: str
    visitors: int
    rating: float
    tags: list[str]
    open: bool


def document(size: int) -> str:
    """A list of about `size` characters, as a typed reply has it."""
    places: list[Place] = []
    length = 0
    while length < size:
        number = len(places)
        place = Place(
            name=f"Place {number}",
            description='A "quiet" place by the water, with a view of the hills – worth a day. ' * (1 + number % 3),
            visitors=number * 37,
            rating=number % 50 / 10,
            tags=["outdoors", "free", "families"][: number % 4],
            open=number % 2 == 0,
        )
        places.append(place)
        length += len(json.dumps(place)) + 2
    return json.dumps({"value": places})


def response(text: str) -> bytes:
    """The text as a stream in OpenAI's format, an HTTP chunk for each event."""
    frame: dict[str, Any] = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
    deltas: list[tuple[dict[str, str], str | None]] = [
        ({"content": text[at : at + CHUNK]}, None) for at in range(0, len(text), CHUNK)
    ]
    events = [
        b"data: %b\n\n"
        % json.dumps(frame | {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}).encode()
        for delta, reason in [*deltas, ({}, "stop")]
    ]
    return (
        payloads.stream_head("text/event-stream")
        + payloads.http_chunks([*events, b"data: [DONE]\n\n"])
        + payloads.STREAM_END
    )


async def serve(size: int) -> None:
    """Serves the same stream to every request, until standard input ends; prints its port."""
    data = response(document(size))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.read(65_536):  # requests are small and come one by one
            del head
            writer.write(data)
            await writer.drain()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


# --- ways to read ---------------------------------------------------------------------------------------------------


async def chunks(client: AsyncCompletion) -> int:
    """Reads the chunks; returns their number."""
    async with client.parse_stream(_MODEL, "Which places?", list[Place]) as stream:
        return len([None async for _ in stream])


async def partials(client: AsyncCompletion) -> int:
    """Reads partial values at the default interval; returns their number."""
    async with client.parse_stream(_MODEL, "Which places?", list[Place]) as stream:
        return len([None async for _ in stream.partials(every=0.05)])


async def items(client: AsyncCompletion) -> int:
    """Reads the items; returns their number."""
    async with client.parse_stream(_MODEL, "Which places?", list[Place]) as stream:
        return len([None async for _ in stream.items()])


Way = Callable[[AsyncCompletion], Awaitable[int]]


async def compare(port: int, rounds: int) -> tuple[dict[str, float], dict[str, int]]:
    """Median seconds of CPU of each way over those of `chunks`, taken within a round; and what each way reads."""
    ways: list[Way] = [chunks, partials, items]
    spent: dict[str, list[float]] = {way.__name__: [] for way in ways}
    counts: dict[str, int] = {}
    base = f"http://127.0.0.1:{port}/v1"
    async with AsyncCompletion(base_urls={"openai": base}, api_keys={"openai": "k"}) as client:
        for _ in range(rounds + 1):
            for way in ways:
                start = time.process_time()
                counts[way.__name__] = await way(client)
                spent[way.__name__].append(time.process_time() - start)
    plain = spent["chunks"][1:]  # the first round warms up
    more = {
        name: statistics.median(each - other for each, other in zip(times[1:], plain, strict=True))
        for name, times in spent.items()
    }
    return more | {"chunks": statistics.median(plain)}, counts


def scan(text: str, size: int) -> float:
    """Seconds of CPU to scan a text in pieces of `size` characters."""
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    scanner = PartialScanner(is_wrapped=True)
    start = time.process_time()
    for piece in pieces:
        scanner.feed(piece)
    spent = time.process_time() - start
    assert scanner.finished
    return spent


def read(text: str) -> float:
    """Seconds of CPU to make one partial value of a text whose end is missing."""
    scanner = PartialScanner(is_wrapped=True)
    scanner.feed(text[:-2])
    start = time.process_time()
    assert scanner.read() is not None
    return time.process_time() - start


# --- the command ---------------------------------------------------------------------------------------------------


def measure(size: int, rounds: int) -> list[Figure]:
    """All figures."""
    own_core, server_core = cores()
    command = [sys.executable, "-m", "benchmarks.typed_streams", "--serve", str(size), "--core", str(server_core)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        pin(own_core)
        spent, counts = asyncio.run(compare(int(server.stdout.readline()), rounds))
        server.terminate()
    text = document(size)
    small = document(7_000)
    return [
        Figure("characters", len(text)),
        Figure("chunks", counts["chunks"]),
        Figure("reading the chunks, CPU", spent["chunks"] * 1e3, unit="ms"),
        Figure("partials", counts["partials"]),
        Figure("partials, CPU over the chunks", spent["partials"] * 1e3, at_most=100, unit="ms", machine=True),
        Figure("items", counts["items"]),
        Figure("items, CPU over the chunks", spent["items"] * 1e3, unit="ms"),
        Figure("scan of a chunk that comes alone", scan(text, CHUNK) / len(text) * CHUNK * 1e6, unit="µs"),
        Figure("scan of all at once", scan(text, len(text)) * 1e3, unit="ms"),
        Figure("one partial of all", read(text) * 1e3, unit="ms"),
        Figure("one partial of 7 KB", statistics.median(read(small) for _ in range(200)) * 1e6, unit="µs"),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    summary = str(__doc__).partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.typed_streams", description=summary)
    parser.add_argument("--short", action="store_true", help=f"{SHORT:,} characters; times are shown, not judged")
    parser.add_argument("--rounds", type=int, default=7, help="default: %(default)s")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--core", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.serve is not None:
        pin(int(given.core) if given.core.isdigit() else None)
        asyncio.run(serve(given.serve))
        return 0
    figures = measure(SHORT if given.short else SIZE, 1 if given.short else given.rounds)
    return conclude("Typed streams", figures, short=given.short)


if __name__ == "__main__":
    sys.exit(main())
