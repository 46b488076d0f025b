"""Connecting to the provider: name resolution, and connections that are refused, not accepted, or lost early."""

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

import pytest

from anycompletion import APIConnectionError, APITimeoutError, CompletionError, Timeout
from faults.harness import BOTH_WAYS, FAULT, WAYS, Stage, Way, ask, client_to, covers, fails, fails_both_ways
from faults.losses import LOSSES
from support.raw_server import FIN, REQUEST, RESET, STALL, ClosedPort, FullListener, Step, answer
from support.resource_leaks import nothing_left

HEALTHY: tuple[Step, ...] = (REQUEST, answer()) * 3


# --- before there is a connection ------------------------------------------------------------------------------------


@covers("F01")
@BOTH_WAYS
async def test_a_refused_connection_is_a_connection_error(way: Way) -> None:
    """A server that is down would look like one with bad responses, or its requests be reported as billed."""
    with ClosedPort() as url:
        async with client_to(url) as client, nothing_left(client):
            error = await fails(
                ask(client, way), APIConnectionError, phase="connect", retryable=True, maybe_billed=False
            )
            assert "127.0.0.1" in str(error)


@covers("F02")
@BOTH_WAYS
async def test_a_host_that_is_not_found_is_named(monkeypatch: pytest.MonkeyPatch, way: Way) -> None:
    """A misspelt base URL would be hard to find."""

    async def not_found(*args: Any, **options: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", not_found)
    async with client_to("https://nowhere.test") as client, nothing_left(client):
        error = await fails(ask(client, way), APIConnectionError, phase="connect", retryable=True, maybe_billed=False)
        assert "nowhere.test" in str(error)


@covers("F02")
@BOTH_WAYS
async def test_the_connect_timeout_ends_a_hanging_name_resolution(monkeypatch: pytest.MonkeyPatch, way: Way) -> None:
    """A broken name server would block every call for minutes."""
    asked = 0

    async def hangs(*args: Any, **options: Any) -> Any:
        nonlocal asked
        asked += 1
        await asyncio.sleep(50)

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", hangs)
    async with client_to("https://nowhere.test", timeout=Timeout(connect=0.1)) as client, nothing_left(client):
        await fails(ask(client, way), APITimeoutError, phase="connect", retryable=True, maybe_billed=False)
        assert asked == 1
        await client.aclose()  # the resolution is shared by all calls to the host, and ends with the client


@covers("F03")
async def test_the_connect_timeout_ends_an_unanswered_connection_attempt() -> None:
    """A host behind a firewall that drops packets would block the caller for minutes."""
    async with FullListener() as server:
        url = f"http://127.0.0.1:{server.port}"
        async with client_to(url, timeout=Timeout(connect=0.1)) as client, nothing_left(client):
            attributes = {"phase": "connect", "retryable": True, "maybe_billed": False}
            await asyncio.gather(*(fails(ask(client, way), APITimeoutError, **attributes) for way in WAYS))


# --- lost before a response ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(FAULT, LOSSES)
async def test_a_request_whose_connection_is_lost_before_a_response_may_be_billed(
    script: Sequence[Step],
    cls: type[CompletionError],
    attributes: dict[str, Any],
    requests: int,
) -> None:
    """The caller would not know whether the provider may have processed the request."""
    async with Stage(script) as stage:
        await fails_both_ways(stage, cls, requests=requests, **attributes)
        assert stage.server.connections == 2


# --- kept connections ------------------------------------------------------------------------------------------------

DEATHS: dict[str, tuple[Step, ...]] = {
    "closed at once": (FIN,),
    "reset at once": (RESET,),
    "closed a moment later": (0.002, FIN),
    "reset a moment later": (0.002, RESET),
    "closed on the next request": (REQUEST, FIN),
    "reset on the next request": (REQUEST, RESET),
}


@covers("F07")
@pytest.mark.parametrize("death", DEATHS.values(), ids=DEATHS)
async def test_a_kept_connection_that_died_is_replaced_without_an_error(death: Sequence[Step]) -> None:
    """Every server that closes idle connections would fail calls."""
    async with Stage((REQUEST, answer(), *death)) as stage:
        for way in WAYS * 15:
            assert await ask(stage.client, way) == "Hello."
        assert stage.server.connections == 30


@covers("F08")
async def test_a_kept_connection_is_not_kept_beyond_its_death() -> None:
    """A dead connection would be reused again and again."""
    async with Stage((REQUEST, answer(), 0.01, FIN), (REQUEST, answer(), STALL)) as stage:
        await ask(stage.client)
        await asyncio.sleep(0.05)
        await ask(stage.client)
        assert (stage.requests, stage.kept) == (2, 1)
