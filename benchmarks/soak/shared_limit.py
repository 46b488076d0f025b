"""A limit that processes share through Redis: does it hold for all of them together, and is it used?

Method. Two processes, each with a client and a `RedisRateLimiter` for the same limit, call as much as they
may. The server, in another process, refuses what is more than the limit and the twentieth of a minute's worth that
may go at once. What both sent is counted there; that burst apart, it should be the limit, no more and no less. Redis
is started for it; without a redis-server nothing is measured, and a message is printed.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from anycompletion import AsyncCompletion, RateLimit
from anycompletion.integrations.redis import RedisRateLimiter

from .common import Figure, Server, allow_files, command, conclude, python, run_on

SECONDS, SHORT_SECONDS = 120.0, 3.0
PER_SECOND = 100
BURST = 3 * PER_SECOND
TASKS = 64
"""Callers in each process."""


@contextmanager
def redis_server() -> Generator[str]:
    """Redis without a disk, for as long as the block runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
        process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
        try:
            for _ in range(1000):
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.01)
            yield f"redis://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


async def call(url: str, redis: str, seconds: float) -> list[Figure]:
    """What each of the two processes does."""
    limits = {"openai": RateLimit(requests_per_minute=60 * PER_SECOND)}
    end = time.monotonic() + seconds
    failed = 0

    async with (
        RedisRateLimiter(limits, url=redis) as limiter,
        AsyncCompletion(
            base_urls={"openai": url}, api_keys={"openai": "key"}, rate_limiter=limiter, max_retries=0
        ) as client,
    ):

        async def work() -> None:
            nonlocal failed
            while (left := end - time.monotonic()) > 0:
                try:
                    async with asyncio.timeout(left):
                        failed += not (await client.attempt("openai/m", "Hi.")).ok
                except TimeoutError:
                    return

        async with asyncio.TaskGroup() as group:
            for _ in range(TASKS):
                group.create_task(work())
    return [Figure("calls that fail", failed, at_most=0)]


def worker(given: argparse.Namespace) -> int:
    """One of the two."""
    url, redis, seconds = given.call
    return 0 if all(figure.holds for figure in run_on(given.loop, call(url, redis, float(seconds)))) else 1


def both(given: argparse.Namespace, server: Server, redis: str, seconds: float) -> list[Figure]:
    """Two processes at the same time."""
    name = f"tight-{PER_SECOND}-20-both"
    command = python("shared_limit", "--call", f"{server.url}/{name}", redis, seconds, "--loop", given.loop)
    processes = [subprocess.Popen(command) for _ in range(2)]
    failed = sum(process.wait(timeout=seconds + 120) != 0 for process in processes)
    seen = server.ask(f"seen/{name}")
    spent = seen["last"] - seen["first"]
    used = 100 * (seen["requests"] - BURST) / (PER_SECOND * spent)
    figures = [
        Figure("processes with calls that failed", failed, at_most=0),
        Figure("requests that were refused", seen.get("refused", 0), at_most=0),
        Figure("sent, of the limit, without the burst (at most)", used, at_most=105, unit="%"),
        Figure("sent, of the limit, without the burst (at least)", used, at_least=95, unit="%", machine=True),
    ]
    if not given.short:
        all_of_it = 100 * seen["requests"] / (PER_SECOND * spent)
        figures.append(Figure("sent, of the limit", all_of_it, at_most=105, unit="%"))
    return figures


def run(given: argparse.Namespace) -> int:
    """One run in one form."""
    if given.call:
        return worker(given)
    if shutil.which("redis-server") is None:
        print("not measured: there is no redis-server (Debian: apt-get install redis-server)")
        return 0
    allow_files()
    with redis_server() as redis, Server("server", "throttle") as server:
        figures = both(given, server, redis, SHORT_SECONDS if given.short else SECONDS)
    return conclude("a shared limit", figures, short=given.short)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    more = {"--call": {"nargs": 3, "metavar": ("URL", "REDIS", "SECONDS"), "help": argparse.SUPPRESS}}
    return command("shared_limit", __doc__, run, arguments, more)


if __name__ == "__main__":
    sys.exit(main())
