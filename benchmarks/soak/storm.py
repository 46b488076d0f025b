"""Rate limits: does a burst of calls succeed without many repeated requests?

Method. A thousand calls go to a server, in another process, that accepts 50 a second (the short form:
200) and answers all others with 429 and a wait: of one second, where it counts by a bucket that fills all the time, or
until the next second begins, where it counts by the clock. They come all at once, as tasks that each await one
`create`; spread over two seconds, as the handlers of a web service would; and by `client.batch`. Counted are calls that
fail, requests a call, and the requests of the busiest second, the first one apart.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Coroutine, Sequence

from anycompletion import AsyncCompletion

from .common import Figure, Server, allow_files, client_to, command, conclude, in_use, run_on

CALLS = 1000
RATE, SHORT_RATE = 50, 200
ANSWER = 20
"""Milliseconds that an answer takes."""

Run = Callable[[AsyncCompletion], Coroutine[None, None, int]]


async def tasks(client: AsyncCompletion, over: float = 0.0) -> int:
    """Makes the calls in tasks that start within `over` seconds; returns how many fail."""

    async def one(number: int) -> bool:
        await asyncio.sleep(over * number / CALLS)
        return (await client.attempt("openai/m", f"call {number}")).ok

    return CALLS - sum(await asyncio.gather(*(one(number) for number in range(CALLS))))


async def spread(client: AsyncCompletion) -> int:
    """The same within two seconds."""
    return await tasks(client, 2.0)


async def batch(client: AsyncCompletion) -> int:
    """Makes the calls in one batch; returns how many fail."""
    requests = [{"model": "openai/m", "messages": f"call {number}"} for number in range(CALLS)]
    good = 0
    async with client.batch(requests) as run:
        async for result in run:
            good += result.ok
    return CALLS - good


RUNS: dict[str, tuple[Run, str]] = {
    "tasks, all at once": (tasks, "bucket"),
    "tasks, as they come": (spread, "window"),
    "a batch": (batch, "bucket"),
}

LONG_RUNS: dict[str, tuple[Run, str]] = {
    "tasks, all at once, by the clock": (tasks, "window"),
    "tasks, as they come, by a bucket": (spread, "bucket"),
    "a batch, by the clock": (batch, "window"),
}


async def storm(server: Server, label: str, run: Run, kind: str, rate: int) -> list[Figure]:
    """One storm."""
    name = f"{kind}-{rate}-{ANSWER}-{label.replace(' ', '_').replace(',', '')}"
    start = time.monotonic()
    async with client_to(f"{server.url}/{name}") as client:
        failed = await run(client)
        left = sum(in_use(client).values())
    seconds = time.monotonic() - start
    seen = await asyncio.to_thread(server.ask, f"seen/{name}")
    return [
        Figure(f"{label}: calls that fail, or things left in use", failed + left, at_most=0),
        Figure(f"{label}: requests a call", seen["requests"] / CALLS, at_most=1.3),
        Figure(f"{label}: requests in the busiest second", seen["most"], at_most=2 * rate, machine=True),
        Figure(f"{label}: of the rate that is allowed", 100 * CALLS / seconds / rate, unit="%"),
    ]


async def measure(server: Server, short: bool) -> list[Figure]:
    """The storms: at the same time in the short form, which is about counts and not about the machine."""
    if short:
        both = await asyncio.gather(*(storm(server, label, *run, SHORT_RATE) for label, run in RUNS.items()))
    else:
        both = [await storm(server, label, *run, RATE) for label, run in {**RUNS, **LONG_RUNS}.items()]
    return [figure for part in both for figure in part]


def run(given: argparse.Namespace) -> int:
    """One run in one form."""
    allow_files()
    with Server("server", "throttle") as server:
        figures = run_on(given.loop, measure(server, given.short))
    return conclude("rate limits", figures, short=given.short)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    return command("storm", __doc__, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
