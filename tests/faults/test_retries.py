"""Retries of faults, and their number; concurrently, because each retry waits half a second."""

import asyncio
import socket
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest

from anycompletion import APIConnectionError, APITimeoutError, Timeout
from anycompletion.testing import Fault, SimulatorServer
from faults.harness import WAYS, Stage, Way, ask, client_to, covers, fails
from faults.losses import CUTS, LOSSES
from support.raw_server import FIN, REQUEST, RESET, STALL, WHOLE, ClosedPort, FullListener, RawServer, Step, answer
from support.resource_leaks import nothing_left

HEALTHY: tuple[Step, ...] = (REQUEST, answer()) * 3


class Stumble(NamedTuple):
    """Scripts of the first and the second attempt of a call, and the options of its client."""

    first: Sequence[Step]
    second: Sequence[Step] = HEALTHY
    way: Way = "reply"
    timeout: Timeout | None = None


BUSY = answer({"error": {"message": "Busy.", "code": "overloaded"}}, headers={"Connection": "close"})
STUMBLES = (
    *(Stumble(case.values[0]) for case in (*LOSSES, *CUTS)),
    Stumble((REQUEST, BUSY)),
    Stumble((REQUEST, STALL), (REQUEST, *WHOLE), "stream", Timeout(first_chunk=0.15)),
)


@covers("F06", "F09", "F10", "F16", "F18", "F25")
async def test_requests_that_may_succeed_later_are_retried() -> None:
    """One dropped connection, or one slow server behind a load balancer, would fail a call."""
    async with Stage(HEALTHY):
        await asyncio.gather(*map(_recovers, STUMBLES), _recovers_with_a_simulated_fault())


async def _recovers(stumble: Stumble) -> None:
    options = {} if stumble.timeout is None else {"timeout": stumble.timeout}
    async with (
        RawServer(stumble.first, stumble.second) as server,
        client_to(server.url, max_retries=1, **options) as client,
    ):
        assert await ask(client, stumble.way) == "Hello."
        assert server.connections == 2


async def _recovers_with_a_simulated_fault() -> None:
    """The same with a custom fault of the public simulator."""
    async with SimulatorServer(fault=Fault.raw(b"HTTP/1.1 2", 0.01, "reset", times=1)) as sim:
        key = {"openai": sim.api_keys["openai"]}
        async with client_to(sim.base_urls["openai"], max_retries=1, api_keys=key) as client:
            reply = await client.create("openai/m", "Hi.")
            assert reply.info.attempts == 2
        assert [request.finished for request in sim.requests] == [False, True]
        assert not any(request.closed_by_client for request in sim.requests)


@covers("F01", "F03", "F08")
async def test_retries_end_where_all_attempts_fail() -> None:
    """Requests to a server that is down, or drops every connection, would be repeated without end."""
    async with Stage(HEALTHY):
        dying = [_drops_every_connection(death, way) for death in (FIN, RESET) for way in WAYS]
        await asyncio.gather(*dying, _refuses_connections(), _accepts_no_connection())


async def _drops_every_connection(death: Step, way: Way) -> None:
    scripts = ((REQUEST, answer(), REQUEST, death), (REQUEST, death))
    async with RawServer(*scripts) as server, client_to(server.url, max_retries=1) as client:
        assert await ask(client, way) == "Hello."
        attributes = {"attempts": 2, "phase": "headers", "maybe_billed": True}
        await fails(ask(client, way), APIConnectionError, **attributes)
        # The first attempt on the kept connection and on its replacement, then the retry.
        assert (len(server.requests), server.connections) == (4, 3)


async def _refuses_connections() -> None:
    with ClosedPort() as url:
        async with client_to(url, max_retries=1) as client:
            await fails(ask(client), APIConnectionError, phase="connect", attempts=2, maybe_billed=False)


async def _accepts_no_connection() -> None:
    async with FullListener() as server:
        url = f"http://127.0.0.1:{server.port}"
        async with client_to(url, max_retries=1, timeout=Timeout(connect=0.1)) as client:
            await fails(ask(client), APITimeoutError, phase="connect", attempts=2, maybe_billed=False)


@covers("F02")
async def test_a_host_that_is_resolved_at_the_second_attempt_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A temporary failure of the name server would fail all calls."""
    loop = asyncio.get_running_loop()
    resolve = loop.getaddrinfo
    asked: list[str] = []

    async def stumbles(host: str, *args: Any, **options: Any) -> Any:
        asked.append(host)
        if len(asked) == 1:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return await resolve("127.0.0.1", *args, **options)

    async with RawServer(HEALTHY) as server:
        monkeypatch.setattr(loop, "getaddrinfo", stumbles)
        client = client_to(f"http://localhost:{server.port}", max_retries=1)
        async with client, nothing_left(client):
            assert await ask(client) == "Hello."
            assert asked[:2] == ["localhost"] * 2
            assert len(server.requests) == 1
