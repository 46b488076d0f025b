"""Benchmark: event-loop lag while AWS credentials are resolved and refreshed, and the cost of a signature.

``python -m benchmarks.aws_credentials [--short]`` asks botocore's real chain for credentials, which come from a server
on this machine, as in a container on ECS or EKS. Each of its answers takes a second, while a hundred calls wait for it
or go on with the present credentials. The short form takes a tenth of that and judges no times. The exit code is 1 when
a bound fails.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from anycompletion import AWSCredentials
from anycompletion.sigv4 import body_digest, signing_headers
from benchmarks.soak.common import Figure, conclude

_CALLS = 100
"""Calls at once."""

_BEAT = 0.001
"""Seconds between two measurements of the lag."""

_URL = "https://bedrock-runtime.us-east-1.amazonaws.com/model/us.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse"


class CredentialServer:
    """Server that answers as the agent of a container: temporary credentials, after a wait."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.lifetime = 3600.0
        """Seconds that the credentials of the next answer are valid."""
        self.answers = 0
        self.answered = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """The URL of the credentials."""
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/credentials"

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(self.delay)
        self.answers += 1
        expires = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=self.lifetime)
        body = json.dumps(
            {
                "AccessKeyId": "ASIAEXAMPLE",
                "SecretAccessKey": "secret",
                "Token": f"token-{self.answers}",
                "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        ).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()
        self.answered.set()


async def lag_during(work: Awaitable[object]) -> float:
    """The longest delay of the event loop until `work` is done, in milliseconds."""
    worst, running = 0.0, asyncio.ensure_future(work)
    while not running.done():
        due = time.perf_counter() + _BEAT
        await asyncio.sleep(_BEAT)
        worst = max(worst, time.perf_counter() - due)
    await running
    return worst * 1000


_REFRESHED_FROM = 900.0
"""Seconds before their end from which on botocore refreshes credentials."""


async def measure(delay: float) -> list[Figure]:
    """All figures; `delay`: seconds until the server answers."""
    start = time.perf_counter()
    from anycompletion.integrations import aws  # noqa: PLC0415 (its import is measured)

    imported = time.perf_counter() - start
    server = CredentialServer(delay)
    async with server.running() as url:
        os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = url
        chain = aws.AWSCredentialChain()

        async def ask(calls: int = _CALLS) -> None:
            await asyncio.gather(*(chain() for _ in range(calls)))

        server.lifetime = _REFRESHED_FROM + 2
        first = await lag_during(ask())
        resolutions = server.answers
        server.lifetime = 3600.0
        chain._next_refresh = 0.0  # noqa: SLF001 (else the refresh would begin a minute later)
        await asyncio.sleep(3)
        server.answered.clear()
        before = server.answers
        start = time.perf_counter()
        await ask()
        waited = time.perf_counter() - start
        refresh = await lag_during(server.answered.wait())
        await asyncio.sleep(0.1)
        refreshes = server.answers - before
        start = time.perf_counter()
        for _ in range(10_000):
            await chain()
        fresh = (time.perf_counter() - start) / 10_000 * 1e6
        credentials = await chain()
    return [
        Figure("import", imported * 1000, unit="ms"),
        Figure("calls that wait for the first credentials", _CALLS),
        Figure("requests for them", resolutions, at_most=1),
        Figure("lag of the event loop meanwhile", first, at_most=10, unit="ms", machine=True),
        Figure("calls during a refresh", _CALLS),
        Figure("requests for credentials", refreshes, at_most=1),
        Figure("time that all these calls take", waited * 1000, unit="ms"),
        Figure("lag of the event loop until it ends", refresh, at_most=10, unit="ms", machine=True),
        Figure("credentials that are fresh", fresh, unit="µs"),
        Figure("signature of a body of 2 KB", signing_time(credentials), unit="µs"),
    ]


def signing_time(credentials: AWSCredentials, count: int = 5000) -> float:
    """Microseconds to sign one request."""
    headers, body = {"Content-Type": "application/json", "Accept": "application/json"}, b"x" * 2048
    start = time.perf_counter()
    for _ in range(count):
        digest = body_digest(body)
        signing_headers("POST", _URL, headers, digest, credentials, region="us-east-1", service="bedrock", now=start)
    return (time.perf_counter() - start) / count * 1e6


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.aws_credentials", description=str(__doc__).partition("\n")[0]
    )
    parser.add_argument("--short", action="store_true", help="a tenth of the time; times are shown, not judged")
    short: bool = parser.parse_args(arguments).short
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    with tempfile.TemporaryDirectory() as folder:
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            os.environ[name] = str(Path(folder) / "none")
        return conclude("Credentials of AWS", asyncio.run(measure(0.1 if short else 1.0)), short=short)


if __name__ == "__main__":
    sys.exit(main())
