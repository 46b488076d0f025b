"""A million requests: does a batch need little memory, lose nothing, and resume quickly after a crash?

Method. Three processes, one after the other, so that each shows its own memory. The first sends a million
requests, 256 at a time, through a client whose answers are made by a middleware in the same process, after a turn of
the event loop, and keeps a journal. The second runs the same batch again: all of it is in the journal, so that what it
takes is what a resumed run takes before its first request; nothing of it waits, so that its CPU time is what counts.
The third sends 100,000 requests over loopback, 256 at a time, to a server of its own process, which holds back its
answers a little and counts how many it has at a time. Peak memory is that of the whole process since its start. Every
result's text is looked at, and every id counted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from anycompletion import (
    AsyncCompletion,
    ChatCompletion,
    ChatCompletionMessage,
    ChatRequest,
    Choice,
    ReplyInfo,
    Usage,
)

from . import server
from .common import MIB, Figure, Server, allow_files, client_to, command, conclude, peak_bytes, python

REQUESTS, SHORT_REQUESTS = 1_000_000, 20_000
OVER_LOOPBACK, SHORT_OVER_LOOPBACK = 100_000, 2_000
CONCURRENCY = 256
_DELAY = 0.02
_ANSWER = "The second one: it asks, where the first one demands. " * 4
_QUESTION = "Which of these two sentences is the more polite one, and why? " * 4

Figures = dict[str, float]


def _requests(count: int) -> Iterator[ChatRequest]:
    for number in range(count):
        text = f"{number} {_QUESTION}"
        yield ChatRequest("openai/gpt-4o-mini", [{"role": "user", "content": text}], custom_id=f"row-{number}")


class Service(server.Service):
    """Responds after a delay with the number of the request."""

    def __init__(self) -> None:
        super().__init__()
        self._now = self._most = 0

    def answer(self, connection: server.Connection, target: str, body: bytes) -> None:
        """Answers later."""
        self._now += 1
        self._most = max(self._most, self._now)
        number = server.question(body).partition(" ")[0]
        asyncio.get_running_loop().call_later(_DELAY, self._say, connection, f"{number} {_ANSWER}")

    def _say(self, connection: server.Connection, text: str) -> None:
        self._now -= 1
        connection.write(server.whole(server.completion(text)))

    def control(self, what: str) -> object:
        """How many requests it had at the same time."""
        return self._most


class Inside:
    """Middleware that replies instead of a provider."""

    def __init__(self) -> None:
        self.now = self.most = 0

    async def __call__(self, request: ChatRequest, options: object, call_next: object) -> ChatCompletion:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        number = (request.custom_id or "").removeprefix("row-")
        message = ChatCompletionMessage(f"{number} {_ANSWER}")
        completion = ChatCompletion("chatcmpl-1", [Choice(0, message, "stop")], "gpt-4o-mini", 1, usage=Usage(9, 9, 18))
        completion.info = ReplyInfo("openai", "gpt-4o-mini", 200, attempts=1)
        return completion


async def _whole(client: AsyncCompletion, count: int, journal: Path | None) -> Figures:
    """Runs the batch; what is wrong with its results, and what it takes."""
    seen = bytearray(count)
    wrong = 0
    start, cpu = time.perf_counter(), time.process_time()
    async with client, client.batch(_requests(count), concurrency=CONCURRENCY, journal=journal) as run:
        async for result in run:
            number = int((result.custom_id or "").removeprefix("row-"))
            wrong += not result.ok or result.unwrap().text != f"{number} {_ANSWER}" or seen[number]
            seen[number] = 1
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    skipped = run.progress.skipped
    return {"seconds": seconds, "cpu": cpu, "wrong": wrong, "missing": count - skipped - sum(seen), "skipped": skipped}


# --- steps, each in another process ----------------------------------------------------------------------------------


def inside(count: int, journal: Path, url: str) -> Figures:
    """All requests, answered in the same process."""
    provider = Inside()
    client = AsyncCompletion(api_keys={"openai": "key"}, middleware=[provider])
    return asyncio.run(_whole(client, count, journal)) | {"most": provider.most, "peak": peak_bytes()}


def resume(count: int, journal: Path, url: str) -> Figures:
    """The same again: everything is skipped. The time that making the requests takes is measured separately."""
    cpu = time.process_time()
    for _ in _requests(count):
        pass
    making = time.process_time() - cpu
    return inside(count, journal, url) | {"making": making}


def loopback(count: int, journal: Path, url: str) -> Figures:
    """Over sockets."""
    allow_files()
    return asyncio.run(_whole(client_to(url), count, None)) | {"peak": peak_bytes()}


STEPS: dict[str, Callable[[int, Path, str], Figures]] = {step.__name__: step for step in (inside, resume, loopback)}


def _alone(step: str, count: int, journal: Path, url: str = "") -> Figures:
    given = ("--step", step, "--count", count, "--journal", journal, "--url", url)
    figures: Figures = json.loads(subprocess.run(python("million", *given), check=True, stdout=subprocess.PIPE).stdout)
    return figures


# --- the command -----------------------------------------------------------------------------------------------------


def _figures(what: str, seen: Figures, count: int) -> list[Figure]:
    return [
        Figure(f"{what}: wrong or doubled results", seen["wrong"], at_most=0),
        Figure(f"{what}: missing results", seen["missing"], at_most=0),
        Figure(f"{what}: in flight, most", seen["most"], at_most=CONCURRENCY),
        Figure(f"{what}: peak memory", seen["peak"] / MIB, at_most=300, unit="MiB"),
        Figure(f"{what}: a request", seen["seconds"] / count * 1e6, unit="µs"),
        Figure(f"{what}: a request, CPU", seen["cpu"] / count * 1e6, unit="µs"),
    ]


def measure(count: int, over_loopback: int) -> list[Figure]:
    """All steps, one after the other."""
    with tempfile.TemporaryDirectory() as folder, Server("server", "million") as at:
        journal = Path(folder) / "answers.jsonl"
        first = _alone("inside", count, journal)
        again = _alone("resume", count, journal)
        sockets = _alone("loopback", over_loopback, journal, at.url)
        sockets["most"] = at.ask("most")
    return [
        *_figures(f"{count:,} inside the process", first, count),
        Figure(f"{count:,} inside the process: places never filled", CONCURRENCY - first["most"], at_most=0),
        Figure("resumed: not skipped", count - again["skipped"], at_most=0),
        Figure("resumed: all skipped after", again["seconds"], unit="s"),
        Figure("resumed: all skipped after, CPU", again["cpu"], unit="s"),
        Figure("resumed: of it, making the requests, CPU", again["making"], unit="s"),
        Figure("resumed: the batch's part, CPU", again["cpu"] - again["making"], at_most=10, unit="s", machine=True),
        Figure("resumed: peak memory", again["peak"] / MIB, at_most=300, unit="MiB"),
        *_figures(f"{over_loopback:,} over loopback", sockets, over_loopback),
    ]


def run(given: argparse.Namespace) -> int:
    """One run in one form, or one step."""
    if given.step is not None:
        print(json.dumps(STEPS[given.step](given.count, Path(given.journal), given.url)))
        return 0
    counts = (SHORT_REQUESTS, SHORT_OVER_LOOPBACK) if given.short else (REQUESTS, OVER_LOOPBACK)
    return conclude("a million requests", measure(*counts), short=given.short)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    more = {
        "--step": {"choices": STEPS, "help": argparse.SUPPRESS},
        "--count": {"type": int, "help": argparse.SUPPRESS},
        "--journal": {"help": argparse.SUPPRESS},
        "--url": {"help": argparse.SUPPRESS},
    }
    return command("million", __doc__, run, arguments, more)


if __name__ == "__main__":
    sys.exit(main())
