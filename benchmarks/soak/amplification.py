"""Retries: do they avoid amplifying an outage, and still hide temporary faults?

Method. The server, in another process, counts every request it reads. In a total outage it answers each
with 500, or reads each and closes the connection; or nothing listens at all, and then the attempts are counted by what
the errors say. With faults now and then, one request in ten fails, on average or at a random place of every ten, by a
seeded random; all of them by status 500, or mixed: 500, 503, 429 with a wait, a lost connection.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import socket
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from anycompletion import APIError, AsyncCompletion

from . import server
from .common import Figure, Server, allow_files, client_to, command, conclude, in_use, run_on

CALLS, SHORT_CALLS = 10_000, 400
AT_ONCE = 500
FAULTS = 0.1

Responder = Callable[[server.Connection, bytes], None]


def _status(status: int, more: str = "") -> Responder:
    body = b'{"error": {"message": "not now", "type": "server_error", "param": null, "code": null}}'
    data = server.whole(body, status, more)
    return lambda connection, _: connection.write(data)


def _well(connection: server.Connection, body: bytes) -> None:
    connection.write(server.whole(server.completion(server.question(body))))


def _lose(connection: server.Connection, _: bytes) -> None:
    connection.transport.close()


_BROKEN = _status(500)
_MIXED = (_BROKEN, _status(503), _lose, _status(429, "Retry-After-Ms: 20\r\n"))


class Service(server.Service):
    """Server whose URL path selects the kind of outage or of intermittent faults."""

    def __init__(self, seed: str) -> None:
        super().__init__()
        self._seed = seed
        self._seen: Counter[str] = Counter()
        self._randoms: dict[str, random.Random] = {}
        self._left: dict[str, list[bool]] = {}

    def answer(self, connection: server.Connection, target: str, body: bytes) -> None:
        """Answers one request."""
        how = target.split("/")[1]
        self._seen[how] += 1
        rng = self._randoms.setdefault(how, random.Random(f"{self._seed} {how}"))  # noqa: S311 (no secret)
        self._how(how, rng)(connection, body)

    def _how(self, how: str, rng: random.Random) -> Responder:
        match how:
            case "500":
                return _BROKEN
            case "lost":
                return _lose
            case "tenth":
                return _BROKEN if self._turn(how, rng) else _well
            case "random":
                return _BROKEN if rng.random() < FAULTS else _well
            case _:
                return rng.choice(_MIXED) if rng.random() < FAULTS else _well

    def _turn(self, how: str, rng: random.Random) -> bool:
        """Whether this request is the one of ten that fails."""
        left = self._left.setdefault(how, [])
        if not left:
            left += [True] + [False] * (round(1 / FAULTS) - 1)
            rng.shuffle(left)
        return left.pop()

    def control(self, what: str) -> object:
        """The number of requests of each kind."""
        return self._seen


class Outcome(NamedTuple):
    """Result of many calls."""

    good: int
    wrong: int
    """Replies to another call."""
    attempts: int


async def call_many(client: AsyncCompletion, calls: int) -> Outcome:
    """Makes `calls` calls, `AT_ONCE` at a time."""
    numbers = iter(range(calls))
    good = wrong = attempts = 0

    async def work() -> None:
        nonlocal good, wrong, attempts
        for number in numbers:
            try:
                reply = await client.create("openai/m", f"call {number}")
            except APIError as error:
                attempts += error.attempts or 0
                continue
            good += 1
            wrong += reply.choices[0].message.content != f"call {number}"
            attempts += reply.info.attempts

    async with asyncio.TaskGroup() as group:
        for _ in range(min(AT_ONCE, calls)):
            group.create_task(work())
    return Outcome(good, wrong, attempts)


async def outage(url: Server, how: str, label: str, calls: int) -> list[Figure]:
    """The number of requests that a provider receives in an outage."""
    async with client_to(f"{url.url}/{how}") as client:
        outcome = await call_many(client, calls)
        left = sum(in_use(client).values())
    seen = (await asyncio.to_thread(url.ask, "seen"))[how]
    return [
        Figure(f"{label}: requests seen, of {calls:,} calls", seen, at_most=calls + calls // 10 + 10),
        Figure(f"{label}: requests a call", seen / calls),
        Figure(f"{label}: calls that succeed, or things left in use", outcome.good + left, at_most=0),
    ]


async def refused(calls: int) -> list[Figure]:
    """The number of connection attempts without a listener: one free reconnect per call, and what the budget allows."""
    label = "outage, connections refused"
    with socket.socket() as taken:  # bound, and never listening
        taken.bind(("127.0.0.1", 0))
        async with client_to(f"http://127.0.0.1:{taken.getsockname()[1]}") as client:
            outcome = await call_many(client, calls)
            left = sum(in_use(client).values())
    return [
        # The provider sees none of them. Each call may reconnect once without a token of the budget.
        Figure(f"{label}: attempts to connect", outcome.attempts, at_most=2 * calls + calls // 10 + 10),
        Figure(f"{label}: calls that succeed, or things left in use", outcome.good + left, at_most=0),
    ]


async def now_and_then(url: Server, how: str, label: str, calls: int) -> list[Figure]:
    """The share of calls that succeed where one request in ten fails."""
    async with client_to(f"{url.url}/{how}") as client:
        outcome = await call_many(client, calls)
        left = sum(in_use(client).values())
    seen = (await asyncio.to_thread(url.ask, "seen"))[how]
    return [
        Figure(f"{label}: success", 100 * outcome.good / calls, at_least=99, unit="%"),
        Figure(f"{label}: requests a call", seen / calls),
        Figure(f"{label}: wrong answers, or things left in use", outcome.wrong + left, at_most=0),
    ]


async def measure(url: Server, calls: int) -> list[Figure]:
    """All cases at the same time: they mostly wait."""
    parts = await asyncio.gather(
        outage(url, "500", "outage, status 500", calls),
        outage(url, "lost", "outage, lost connections", calls),
        refused(calls),
        now_and_then(url, "tenth", "10 % faults, one of every ten", calls),
        now_and_then(url, "random", "10 % faults, at random", calls),
        now_and_then(url, "mixed", "10 % faults, mixed kinds", calls),
    )
    return [figure for part in parts for figure in part]


def run(given: argparse.Namespace) -> int:
    """One run in one form."""
    allow_files()
    with Server("server", "amplification", given.seed) as url:
        figures = run_on(given.loop, measure(url, SHORT_CALLS if given.short else CALLS))
    return conclude("retries", figures, short=given.short)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    return command("amplification", __doc__, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
