"""Benchmark: what the cache of replies costs: a hit, a miss, a chunk that is replayed, and the memory of its store.

``python -m benchmarks.reply_cache [--short]`` makes calls with a request and a reply of 2 KB whose provider is a
function in the same process, so that the figures have no network in them. They are CPU times, the best of some rounds.
The short form makes few calls and judges no times. The exit code is 1 when a bound fails.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from pathlib import Path

from anycompletion import AsyncCompletion, CallNext, CallOptions, ChatCompletion, ChatRequest, Reply
from anycompletion.caching import CacheStore, MemoryStore, SQLiteStore, cached
from anycompletion.calls.chunk_source import ChunkSource
from anycompletion.records import ChatCompletionMessage, Choice, ReplyInfo, Usage
from anycompletion.records.chunks import ChatCompletionChunk
from anycompletion.streaming import CompletionStream
from anycompletion.testing import FakeProvider
from benchmarks.soak.common import MIB, Figure, conclude

CALLS, SHORT_CALLS = 3_000, 50
ENTRIES, SHORT_ENTRIES = 1_000_000, 20_000
CHUNKS = 1_000
ROUNDS = 7

_MODEL = "openai/gpt-4o"
_PROMPT = "What does this text mean? " + "It was the best of times, it was the worst of times. " * 37
_ANSWER = "It contrasts two cities, and the people in them. " * 41
_MEMORY = 64 << 20


async def answer(request: ChatRequest, options: CallOptions, call_next: CallNext) -> Reply:
    """Middleware in place of a provider: a new reply."""
    choices = [Choice(0, ChatCompletionMessage(_ANSWER), "stop")]
    reply = ChatCompletion("chatcmpl-1", choices, "gpt-4o", 1_700_000_000, usage=Usage(400, 400, 800))
    reply.info = ReplyInfo("openai", "gpt-4o", 200, request_id="req_1", attempts=1)
    return reply


async def best_of(calls: int, call: Callable[[], Awaitable[object]]) -> float:
    """CPU time of one call in µs: the best round."""
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(calls):
            await call()
        best = min(best, time.process_time() - start)
    return best / calls * 1e6


async def call_figures(calls: int, folder: Path) -> list[Figure]:
    """Plain calls: without a cache, with a miss, with hits."""
    numbers = count()

    async def new_request(client: AsyncCompletion) -> None:
        await client.create(_MODEL, f"{_PROMPT}{next(numbers)}")

    async def hit(store: CacheStore) -> float:
        async with AsyncCompletion(providers=[FakeProvider()], middleware=[cached(store), answer]) as client:
            await client.create(_MODEL, _PROMPT)
            spent = await best_of(calls, lambda: client.create(_MODEL, _PROMPT))
        await store.aclose()
        return spent

    async with AsyncCompletion(providers=[FakeProvider()], middleware=[answer]) as client:
        without = await best_of(calls, lambda: new_request(client))
    async with AsyncCompletion(providers=[FakeProvider()], middleware=[cached(MemoryStore()), answer]) as client:
        missed = await best_of(calls, lambda: new_request(client))
    return [
        Figure("a call whose middleware answers", without, unit="µs"),
        Figure("a miss, over that", missed - without, at_most=25, unit="µs", machine=True),
        Figure("a hit in memory", await hit(MemoryStore()), at_most=60, unit="µs", machine=True),
        Figure("a hit in SQLite", await hit(SQLiteStore(folder / "replies")), at_most=200, unit="µs", machine=True),
    ]


class GivenChunks(ChunkSource):
    """Chunks that are in memory already, as the source of a stream."""

    def __init__(self, chunks: list[ChatCompletionChunk]) -> None:
        self._chunks = chunks
        self._info = ReplyInfo("openai", "gpt-4o")

    @property
    def info(self) -> ReplyInfo:
        """Metadata of the call."""
        return self._info

    async def open(self) -> None:
        """Does nothing."""

    async def next(self) -> Sequence[ChatCompletionChunk] | None:
        """All of them, then None."""
        chunks, self._chunks = self._chunks, []
        return chunks or None

    def close(self, end: object = None) -> None:
        """Does nothing."""

    async def wait_closed(self) -> None:
        """Does nothing."""


async def read(stream: CompletionStream) -> list[ChatCompletionChunk]:
    """Reads a stream to its end."""
    async with stream:
        return [chunk async for chunk in stream]


async def chunk_figures(streams: int) -> list[Figure]:
    """Streams: a chunk that is replayed, over one that is in memory, and the bytes of a stored one."""
    store, fake = MemoryStore(), FakeProvider(lambda request: "word " * CHUNKS)
    async with AsyncCompletion(providers=[fake], middleware=[cached(store)]) as client:
        chunks = await read(client.stream(_MODEL, _PROMPT))
        size = store.stats.bytes
        whole = await best_of(streams, lambda: read(client.stream(_MODEL, _PROMPT)))
    given = await best_of(streams, lambda: read(CompletionStream(GivenChunks([*chunks]))))
    more = (whole - given) / len(chunks)
    return [
        Figure("a chunk that is in memory", given / len(chunks), unit="µs"),
        Figure("a chunk that is replayed, over that", more, at_most=1, unit="µs", machine=True),
        Figure("a stored chunk", size / len(chunks), unit="bytes"),
    ]


async def memory_figures(entries: int) -> list[Figure]:
    """Memory of a store through which many entries have passed."""
    tracemalloc.start()
    store = MemoryStore(max_bytes=_MEMORY)
    before = tracemalloc.get_traced_memory()[0]
    for number in range(entries):
        await store.set(f":{number:064}", bytes(number % 3000), None if number % 2 else 3600.0)
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return [
        Figure("entries that were stored", entries),
        Figure("memory of a store of 64 MiB", (after - before) / MIB, at_most=_MEMORY / MIB * 1.05, unit="MiB"),
        Figure("the same at its peak", (peak - before) / MIB, unit="MiB"),
    ]


async def measure(folder: Path, *, short: bool) -> list[Figure]:
    """All figures."""
    calls = SHORT_CALLS if short else CALLS
    figures = await call_figures(calls, folder)
    figures += await chunk_figures(max(1, calls // 100))
    return figures + await memory_figures(SHORT_ENTRIES if short else ENTRIES)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    description = str(__doc__).partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reply_cache", description=description)
    parser.add_argument("--short", action="store_true", help="few calls; times are shown, not judged")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(measure(Path(folder), short=given.short))
    return conclude("The cache of replies", figures, short=given.short)


if __name__ == "__main__":
    sys.exit(main())
