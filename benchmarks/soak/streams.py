"""10,000 streams at the same time: is every chunk there, once and in order, and what does an open stream cost?

Method. All calls are made at once, by a task each. The server, in another process, sends every stream
its first chunk and waits until all are open; then all streams get their next chunk, again and again, as soon as all
have read the one before; the last ten chunks come in one piece. Every chunk contains its stream's number and its own.

Resident memory is read before the first call (after a warm-up), when all streams are open and have one chunk, and
when all have everything but those last ten; the growth, less the bytes of text that had arrived, divided by the
number of streams, is what one costs, with the task that reads it and all that the process holds for it. Event-loop lag
is how much too late a task ran that wakes every 5 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence

from anycompletion import AsyncCompletion, CompletionError

from . import server
from .common import Figure, Lag, Server, allow_files, client_to, command, conclude, in_use, run_on
from .common import resident_bytes as resident

STREAMS, CHUNKS = 10_000, 100
SHORT_STREAMS, SHORT_CHUNKS = 1_000, 20
SHARE = 0.7
"""The share of a process's open files that one provider gets; see `anycompletion.transport.connection_limit`."""
LAST = 10
"""Chunks that come in one piece."""
PATIENCE = 300.0
"""Seconds the whole may take."""


class Service(server.Service):
    """Server whose streams advance together: one chunk at once, one after each ``next``, all others after ``rest``."""

    def __init__(self, chunks: str) -> None:
        super().__init__()
        self._chunks = int(chunks)
        self._streams: list[tuple[server.Connection, str]] = []
        self._turn = 1

    def answer(self, connection: server.Connection, target: str, body: bytes) -> None:
        """Opens a stream with its first chunk."""
        number = server.question(body)
        connection.write(server.STREAM + server.event(_text(number, 0)))
        self._streams.append((connection, number))

    def control(self, what: str) -> object:
        """Sends the next chunk or chunks to all."""
        stop = self._turn + 1 if what == "next" else self._chunks
        for connection, number in self._streams:
            events = [server.event(_text(number, turn)) for turn in range(self._turn, stop)]
            connection.write(b"".join(events if what == "next" else [*events, server.STOP, server.DONE]))
        self._turn = stop
        if what == "rest":
            self._streams.clear()
            self._turn = 1
        return super().control(what)


def _text(number: str, turn: int) -> str:
    return f"{number} {turn};"


class Readers:
    """Reads streams, each by a task of its own, and counts what is wrong with them."""

    def __init__(self, client: AsyncCompletion, chunks: int) -> None:
        self._client = client
        self.chunks = chunks
        self.arrived: Counter[int] = Counter()
        """Chunk number → streams that have it."""
        self.errors: Counter[str] = Counter()
        self.text = 0
        """Bytes of text."""
        self.lost = self.reordered = self.whole = 0
        self._change = asyncio.Event()

    def start(self, streams: int) -> list[asyncio.Task[None]]:
        """So many streams at once."""
        return [asyncio.ensure_future(self.read(number)) for number in range(streams)]

    async def read(self, number: int) -> None:
        """One stream to its end."""
        turn = 0
        try:
            stream = await self._client.create("openai/m", str(number), stream=True)
            async for chunk in stream:
                text = chunk.choices[0].delta.content
                if not text:
                    continue
                self.reordered += text != _text(str(number), turn)
                self.text += len(text)
                self.arrived[turn] += 1
                turn += 1
                self._change.set()
            self.whole += stream.snapshot.choices[0].finish_reason == "stop"
        except CompletionError as error:
            self.errors[f"{type(error).__name__}: {error}"] += 1
            self._change.set()
        self.lost += self.chunks - turn

    async def all_have(self, turn: int, streams: int) -> None:
        """Until every stream has that chunk, or has failed."""
        while self.arrived[turn] + self.errors.total() < streams:
            self._change.clear()
            await self._change.wait()


async def measure(url: Server, streams: int, chunks: int) -> list[Figure]:
    """Cost of many concurrent streams, and whether they are complete."""
    async with client_to(url.url) as client, asyncio.timeout(PATIENCE):
        await _go_on(Readers(client, chunks), url, 20)
        readers = Readers(client, chunks)
        before = resident()
        async with Lag() as lag:
            start = time.perf_counter()
            tasks = readers.start(streams)
            await readers.all_have(0, streams)
            opening, starting = time.perf_counter() - start, lag.restart()
            opened = (resident() - before - readers.text) / streams / 1024
            at_once = sum(not task.done() for task in tasks)
            lag.restart()
            start = time.perf_counter()
            await _almost_all(readers, url, streams)
            streaming, going = time.perf_counter() - start, lag.restart()
            filled = (resident() - before - readers.text) / streams / 1024
            lag.restart()
            await asyncio.to_thread(url.ask, "rest")
            await asyncio.wait(tasks)
            ending = lag.restart()
        tasks.clear()
        left = in_use(client)
    for error, count in readers.errors.most_common(5):
        print(f"{count} times {error}")
    return [
        Figure("streams open at the same time", at_once, at_least=streams),
        Figure("chunks lost", readers.lost, at_most=0),
        Figure("chunks reordered, doubled or another stream's", readers.reordered, at_most=0),
        Figure("errors", readers.errors.total(), at_most=0),
        Figure("streams with their finish reason", readers.whole, at_least=streams),
        Figure("responses, slots, waiters and connections in use afterwards", sum(left.values()), at_most=0),
        Figure("memory per open stream, after 1 chunk", opened, at_most=25, unit="KiB", machine=True),
        Figure(f"memory per open stream, after {chunks - LAST}", filled, at_most=25, unit="KiB", machine=True),
        Figure("worst event-loop lag while starting", starting.wall, at_most=500, unit="ms", machine=True),
        Figure("    of which this process ran", starting.cpu, unit="ms"),
        Figure("    of which Python collected garbage", starting.collecting, unit="ms"),
        Figure("worst event-loop lag while streaming", going.wall, unit="ms"),
        Figure("    of which this process ran", going.cpu, unit="ms"),
        Figure("    of which Python collected garbage", going.collecting, unit="ms"),
        Figure("worst event-loop lag while ending", ending.wall, unit="ms"),
        Figure("starting took", opening, unit="s"),
        Figure("streaming took", streaming, unit="s"),
    ]


async def _almost_all(readers: Readers, url: Server, streams: int) -> None:
    for turn in range(1, readers.chunks - LAST):
        await asyncio.to_thread(url.ask, "next")
        await readers.all_have(turn, streams)


async def _go_on(readers: Readers, url: Server, streams: int) -> None:
    """So many streams from beginning to end."""
    tasks = readers.start(streams)
    await readers.all_have(0, streams)
    await _almost_all(readers, url, streams)
    await asyncio.to_thread(url.ask, "rest")
    await asyncio.wait(tasks)


def run(given: argparse.Namespace) -> int:
    """One run in one form."""
    wanted, chunks = (SHORT_STREAMS, SHORT_CHUNKS) if given.short else (STREAMS, CHUNKS)
    files = allow_files()
    streams = min(wanted, int(files * SHARE))
    if streams < wanted:
        print(f"this machine allows a process {files:,} open files, and so {streams:,} of {wanted:,} streams\n")
    with Server("server", "streams", chunks) as url:
        figures = run_on(given.loop, measure(url, streams, chunks))
    return conclude(f"{streams:,} concurrent streams × {chunks} chunks", figures, short=given.short)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    return command("streams", __doc__, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
