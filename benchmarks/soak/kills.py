"""A batch that is killed again and again: is any reply lost, or billed twice?

Method. Batches of 500 requests, each run by another process against a server that counts how often it
answered each request, which is what a provider bills. The process is killed with SIGKILL at a random moment, measured
in answers that the server has given since the process began, and started again, until the batch is whole. Before each
restart the journal lists the finished items; one of these that is requested again counts as a finished item sent again.
All other repetitions were in flight at the kill. In the end each of the 500 has its answer in the journal.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from anycompletion import AsyncCompletion, Result
from anycompletion.batch import read_results

from . import server
from .common import Figure, Server, client_to, command, conclude, python

REQUESTS, CONCURRENCY = 500, 16
KILLS, SHORT_KILLS = 120, 15
PER_BATCH = 5
"""Kills of one batch, at most; a kill that comes too late ends the batch."""
_DELAY = 0.002
_HANG = 60.0


class Service(server.Service):
    """Server that counts every request it answers, whether the response is read or not."""

    def __init__(self) -> None:
        super().__init__()
        self._asked: Counter[str] = Counter()
        self._answered = 0

    def answer(self, connection: server.Connection, target: str, body: bytes) -> None:
        """Responds after a delay, in which the client may be killed."""
        text = server.question(body)
        self._asked[text] += 1
        asyncio.get_running_loop().call_later(_DELAY, self._say, connection, text)

    def _say(self, connection: server.Connection, text: str) -> None:
        self._answered += 1
        connection.write(server.whole(server.completion(text)))

    def control(self, what: str) -> object:
        """Returns the requests per item or the number of responses; ``new`` begins a new batch."""
        if what == "count":
            return self._answered
        asked = dict(self._asked)
        if what == "new":
            self._asked.clear()
        return asked


# --- the process that is killed --------------------------------------------------------------------------------------


async def _batch(client: AsyncCompletion, journal: str) -> None:
    requests = ((f"row-{n}", {"model": "openai/m", "messages": f"row-{n}"}) for n in range(REQUESTS))
    async with client, client.batch(requests, concurrency=CONCURRENCY, journal=journal) as run:
        async for result in run:
            result.unwrap()


def child(url: str, journal: str) -> None:
    """One run of the batch, to its end."""
    asyncio.run(_batch(client_to(url), journal))


# --- killing ---------------------------------------------------------------------------------------------------------


class Killed(NamedTuple):
    """Result of one batch."""

    kills: int
    lost: int
    """Items without their reply in the end."""
    paid_again: int
    """Finished items that were sent again."""
    in_flight: list[int]
    """Items sent again after each kill because they were in flight."""


def _finished(journal: Path) -> set[str]:
    results: list[Result] = list(read_results(journal)) if journal.exists() else []
    return {result.custom_id or "" for result in results if result.ok}


def _kill_one(at: Server, journal: Path, rng: random.Random) -> bool:
    """Starts a run and kills it after some responses; returns False if it had finished before."""
    process = subprocess.Popen(python("kills", "--child", at.url, "--journal", journal))
    try:
        start, wanted = at.ask("count"), rng.randrange(1, REQUESTS // 3)
        end = time.monotonic() + _HANG
        while process.poll() is None and at.ask("count") - start < wanted:
            if time.monotonic() > end:
                raise TimeoutError("the batch hangs")
        time.sleep(rng.random() * 0.01)
        if process.poll() is not None:
            return False
        os.kill(process.pid, signal.SIGKILL)
        return True
    finally:
        process.kill()
        process.wait()


def kill_batch(at: Server, journal: Path, rng: random.Random, most: int) -> Killed:
    """Kills a batch up to `most` times, and then lets it end."""
    at.ask("new")
    paid_again, in_flight = 0, list[int]()
    known: set[str] = set()
    asked: Counter[str] = Counter()
    kills = 0
    for turn in range(most + 1):
        if turn < most:
            killed = _kill_one(at, journal, rng)
        else:
            killed = False
            subprocess.run(python("kills", "--child", at.url, "--journal", journal), check=True, timeout=_HANG)
        now: Counter[str] = Counter(at.ask("asked"))
        again = [name for name, times in now.items() if times > asked[name] > 0]
        paid_again += sum(name in known for name in again)
        if turn:
            in_flight.append(sum(name not in known for name in again))
        asked, known = now, _finished(journal)
        kills += killed
        if not killed:
            break
    texts = {result.custom_id: result.unwrap().text for result in read_results(journal) if result.ok}
    lost = sum(texts.get(f"row-{number}") != f"row-{number}" for number in range(REQUESTS))
    return Killed(kills, lost, paid_again, in_flight)


def measure(kills: int, seed: int) -> list[Figure]:
    """Runs batches until `kills` runs were killed."""
    rng = random.Random(seed)  # noqa: S311 (no secret)
    seen: list[Killed] = []
    with Server("server", "kills") as at, tempfile.TemporaryDirectory() as folder:
        while (done := sum(each.kills for each in seen)) < kills:
            journal = Path(folder) / f"{len(seen)}.jsonl"
            seen.append(kill_batch(at, journal, rng, min(PER_BATCH, kills - done)))
    repeats = [count for each in seen for count in each.in_flight]
    return [
        Figure("batches", len(seen)),
        Figure("kills", sum(each.kills for each in seen), at_least=kills),
        Figure("results lost", sum(each.lost for each in seen), at_most=0),
        Figure("finished items sent again", sum(each.paid_again for each in seen), at_most=0),
        Figure("in flight, sent again after a kill, most", max(repeats), at_most=CONCURRENCY),
        Figure("in flight, sent again after a kill, mean", sum(repeats) / len(repeats)),
    ]


def run(given: argparse.Namespace) -> int:
    """One run in one form, or the process that is killed."""
    if given.child is not None:
        child(given.child, given.journal)
        return 0
    kills = given.kills or (SHORT_KILLS if given.short else KILLS)
    return conclude("kill -9", measure(kills, given.seed), short=given.short)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    more = {
        "--kills": {"type": int, "help": f"default: {KILLS}, in the short form {SHORT_KILLS}"},
        "--child": {"help": argparse.SUPPRESS},
        "--journal": {"help": argparse.SUPPRESS},
    }
    return command("kills", __doc__, run, arguments, more)


if __name__ == "__main__":
    sys.exit(main())
