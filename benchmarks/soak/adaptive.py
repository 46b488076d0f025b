"""Adaptive concurrency: how much of a provider's capacity does a batch use without a configured limit?

Method. A batch without `concurrency` runs against a server, in another process, that accepts a number of
requests at a time and answers all others with 529; or so many a second, and answers all others with 429 and
a wait of one second. Halfway its capacity changes. What it answered, of what it could have answered from the first
request to the last, and how many of the requests it refused, are the server's own counts.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from .common import Figure, Server, allow_files, client_to, command, conclude, run_on

HALF, SHORT_HALF = 90.0, 5.0
"""Seconds with one capacity."""

CASES: dict[str, tuple[str, int, int, int]] = {
    "40 at a time, then 80": ("atonce", 500, 40, 80),
    "80 at a time, then 40": ("atonce", 500, 80, 40),
    "50 a second, then 100": ("bucket", 200, 50, 100),
    "100 a second, then 50": ("bucket", 200, 100, 50),
}
"""Name → kind of limit, mean latency of a response (ms), and the limit in the two halves."""


async def requests(until: float) -> AsyncIterator[dict[str, Any]]:
    """Requests until that time."""
    while time.monotonic() < until:
        yield {"model": "openai/m", "messages": "Hi."}


async def drive(url: str, seconds: float) -> None:
    """A batch that runs for that time."""
    async with client_to(url) as client, client.batch(requests(time.monotonic() + seconds)) as run:
        async for _ in run:
            pass


async def case(server: Server, label: str, half: float) -> list[Figure]:
    """One provider in both halves."""
    kind, latency, before, after = CASES[label]
    name = f"{kind}-{before}-{latency}-{label.replace(' ', '_').replace(',', '')}"
    driving = asyncio.ensure_future(drive(f"{server.url}/{name}", 2 * half))
    await asyncio.sleep(half)
    first = await asyncio.to_thread(server.ask, f"set/{name}/{after}")
    await asyncio.sleep(half)
    last = await asyncio.to_thread(server.ask, f"seen/{name}")
    await driving
    each = 1000 / latency if kind == "atonce" else 1.0
    could = (before + after) * each * half
    refused = 100 * last.get("refused", 0) / last["requests"]
    return [
        Figure(f"{label}: answered, of what it could", 100 * last["good"] / could, at_least=90, unit="%", machine=True),
        Figure(f"{label}: in the first half", 100 * first["good"] / (before * each * half), unit="%"),
        Figure(f"{label}: requests that it refused", refused, at_most=5, unit="%", machine=True),
    ]


async def measure(server: Server, short: bool) -> list[Figure]:
    """All of it at the same time: most of it is waiting."""
    parts = await asyncio.gather(*(case(server, label, SHORT_HALF if short else HALF) for label in CASES))
    return [figure for part in parts for figure in part]


def run(given: argparse.Namespace) -> int:
    """One run in one form."""
    allow_files()
    with Server("server", "throttle") as server:
        figures = run_on(given.loop, measure(server, given.short))
    return conclude("adaptive concurrency", figures, short=given.short)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    return command("adaptive", __doc__, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
