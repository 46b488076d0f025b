"""10,000 concurrent calls with 1,024 open files: does every call get its reply, in the order of asking?

Method. The calls are made by another process whose limit of open files is lowered to 1,024. The
server, another process without that limit, responds after 0.4 s with the number in the request, and counts the
connections that are open at the same time. The client's open files are counted every 5 ms. The queue is the
`ConnectionLimit` of `anycompletion.transport`; a subclass that changes nothing else records the order of its slots.
"""

from __future__ import annotations

import argparse
import asyncio
import contextvars
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from anycompletion import AsyncCompletion, CompletionError
from anycompletion.transport.connection_limit import ConnectionLimit

from . import common, server
from .common import Figure, Server, allow_files, client_to, command, conclude, in_use, run_on

CALLS, SHORT_CALLS = 10_000, 1_500
FILES = 1024
DELAY = 0.4
PATIENCE = 300.0

_number: contextvars.ContextVar[int] = contextvars.ContextVar("number")


class Service(server.Service):
    """Responds after a delay with the text of the request."""

    def answer(self, connection: server.Connection, target: str, body: bytes) -> None:
        """Answers one request."""
        data = server.whole(server.completion(server.question(body)))
        asyncio.get_running_loop().call_later(DELAY, connection.write, data)


class RecordingLimit(ConnectionLimit):
    """Connection limit that records the order in which it is acquired."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []
        """Numbers of the calls that had to wait, in the order of asking."""
        self.served: list[int] = []
        """The same numbers in the order of acquiring."""
        self.most = 0

    def try_acquire(self) -> bool:
        """As the base class, and records how many are used."""
        taken = super().try_acquire()
        self.most = max(self.most, self.used)
        return taken

    async def acquire(self) -> None:
        """As the base class, and records the order."""
        self.asked.append(_number.get())
        await super().acquire()
        self.served.append(_number.get())
        self.most = max(self.most, self.used)


class Watcher:
    """Counts the open files every 5 ms while the block runs."""

    def __init__(self) -> None:
        self.most = 0

    async def __aenter__(self) -> Watcher:
        self._task = asyncio.ensure_future(self._watch())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _watch(self) -> None:
        while True:
            try:
                self.most = max(self.most, common.descriptors())
            except OSError:  # listing takes a descriptor too, and there was none
                self.most = FILES
            await asyncio.sleep(0.005)


async def measure(url: str, calls: int) -> list[Figure]:
    """All calls at once."""
    errors: Counter[str] = Counter()
    wrong = 0
    limit = RecordingLimit()
    before = common.descriptors()

    async def one(client: AsyncCompletion, number: int) -> None:
        nonlocal wrong
        _number.set(number)
        try:
            reply = await client.create("openai/m", str(number))
        except CompletionError as error:
            errors[f"{type(error).__name__}: {error}"] += 1
        else:
            wrong += reply.choices[0].message.content != str(number)

    async with client_to(url) as client, asyncio.timeout(PATIENCE), Watcher() as files:
        await client.create("openai/m", "this opens the pool")
        _record(client, limit)
        start = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(calls):
                group.create_task(one(client, number))
        took = time.perf_counter() - start
        left = in_use(client)
    await asyncio.sleep(0.05)
    for error, count in errors.most_common(5):
        print(f"{count} times {error}")
    overtaken = sum(first > second for first, second in pairwise(limit.served))
    return [
        Figure(f"errors, of {calls:,} calls at once", errors.total(), at_most=0),
        Figure("replies to another call", wrong, at_most=0),
        Figure("open files at the same time", files.most, at_most=FILES),
        Figure("calls that waited in the queue", len(limit.served), at_least=1),
        Figure("calls served before one that had asked earlier", overtaken, at_most=0),
        Figure("calls that asked in another order than they were made", _unordered(limit.asked), at_most=0),
        Figure("connection limit, used at the same time", limit.most),
        Figure("responses, slots, waiters and connections in use afterwards", sum(left.values()), at_most=0),
        Figure("open files left when the client is closed", common.descriptors() - before, at_most=0),
        Figure("it took", took, unit="s"),
    ]


def _unordered(numbers: Sequence[int]) -> int:
    return sum(first > second for first, second in pairwise(numbers))


def _record(client: AsyncCompletion, limit: RecordingLimit) -> None:
    """Replaces the connection limit of the open pool."""
    pool: Any = common.pools(client)[0]
    pool.connection_limit = limit


def run(given: argparse.Namespace) -> int:
    """One run in one form: the calls are made by a process of its own."""
    calls = SHORT_CALLS if given.short else CALLS
    with Server("server", "descriptors") as url:
        child = common.python("descriptors", "--child", url.url, calls, given.loop)
        done = subprocess.run(child, stdout=subprocess.PIPE, text=True, check=False)
        seen = url.ask("state")
    if done.returncode:
        return done.returncode
    *errors, last = done.stdout.splitlines()
    print("\n".join(errors), end="\n" if errors else "")
    figures = [Figure(*fields) for fields in json.loads(last)]
    most = seen["most_open"] - 1  # without the one that asks
    figures.insert(3, Figure("connections at the same time, as the server counts", most, at_most=FILES))
    return conclude(f"{calls:,} calls at once, {FILES:,} open files", figures, short=given.short)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    return command("descriptors", __doc__, run, arguments)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        allow_files(FILES)
        print(json.dumps(run_on(sys.argv[4], measure(sys.argv[2], int(sys.argv[3])))))
    else:
        sys.exit(main())
