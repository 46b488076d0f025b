"""Proxies: one that works, and the ways in which one fails."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from anycompletion import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    BadRequestError,
    InternalServerError,
    Timeout,
)
from faults import certificates
from faults.harness import BOTH_WAYS, KEY, PROMPT, WAYS, Way, ask, client_to, covers, fails
from support.raw_server import FIN, REQUEST, RESET, STALL, RawServer, Step, Tunnel, answer, head
from support.resource_leaks import nothing_left

PASSWORD = "the-proxys-password"
BEYOND = "https://127.0.0.1:9"
"""The target behind a proxy that opens no tunnel."""

REFUSALS: dict[str, tuple[tuple[Step, ...], bool]] = {
    "a password is asked for": ((REQUEST, head(407, {"Proxy-Authenticate": "Basic", "Content-Length": "0"})), False),
    "forbidden": ((REQUEST, head(403, {"Content-Length": "0"})), False),
    "a page instead of a tunnel": ((REQUEST, answer(b"<html>Bad</html>", 502, {"Content-Type": "text/html"})), True),
    "no way to the host": ((REQUEST, head(504, {"Content-Length": "0"})), True),
    "closed": ((REQUEST, FIN), True),
    "reset": ((REQUEST, RESET), True),
    "closed at once": ((FIN,), True),
    "a tunnel into nothing": ((REQUEST, head(200), FIN), True),
}


def through(port: int, url: str = BEYOND, **options: Any) -> Any:
    """A client that uses a proxy with a password."""
    return client_to(url, proxy=f"http://user:{PASSWORD}@127.0.0.1:{port}", **options)


@covers("F28")
@pytest.mark.parametrize(("script", "retryable"), REFUSALS.values(), ids=REFUSALS)
async def test_a_proxy_that_opens_no_tunnel_is_a_connection_error(script: tuple[Step, ...], retryable: bool) -> None:
    """The error would name the provider instead of the proxy, or show the proxy's password."""
    async with RawServer(script) as proxy:
        client = through(proxy.port)
        async with client, nothing_left(client):
            for way in WAYS:
                error = await fails(
                    ask(client, way), APIConnectionError, phase="connect", retryable=retryable, maybe_billed=False
                )
                shown = str(error) + repr(error) + repr(vars(error))
                assert PASSWORD not in shown
        for request in proxy.requests:
            assert request.line.startswith("CONNECT 127.0.0.1:9 ")
            assert KEY not in repr(request)
            assert PROMPT not in repr(request)


@covers("F28")
@BOTH_WAYS
async def test_a_proxy_that_is_down_is_a_connection_error(way: Way) -> None:
    """A wrong address of the proxy would look like a provider that is down."""
    async with RawServer((STALL,)) as proxy:
        port = proxy.port
    client = through(port)
    async with client, nothing_left(client):
        error = await fails(ask(client, way), APIConnectionError, phase="connect", retryable=True, maybe_billed=False)
        assert "proxy" in str(error)
        assert PASSWORD not in str(error) + repr(error)


@covers("F28")
async def test_the_connect_timeout_ends_the_wait_for_a_proxy() -> None:
    """A proxy that hangs would block the caller for ever."""
    async with RawServer((REQUEST, STALL)) as proxy:
        client = through(proxy.port, timeout=Timeout(connect=0.15))
        async with client, nothing_left(client):
            attributes = {"phase": "connect", "retryable": True, "maybe_billed": False}
            await asyncio.gather(*(fails(ask(client, way), APITimeoutError, **attributes) for way in WAYS))


@covers("F28")
async def test_a_permanent_refusal_of_a_proxy_is_not_retried() -> None:
    """A wrong password would be tried until the account is locked."""
    refusal = head(407, {"Proxy-Authenticate": "Basic", "Content-Length": "0", "Connection": "close"})
    async with RawServer((REQUEST, refusal, FIN)) as proxy:
        client = through(proxy.port, max_retries=2)
        async with client, nothing_left(client):
            await fails(ask(client), APIConnectionError, phase="connect", retryable=False)
            assert len(proxy.requests) == 1


@covers("F28")
async def test_a_certificate_behind_a_proxy_is_verified() -> None:
    """The proxy could read everything."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            RawServer((REQUEST, answer()), tls=certificates.of_an_unknown_authority())
        )
        proxy = await stack.enter_async_context(Tunnel(server.port))
        client = await stack.enter_async_context(through(proxy.port, server.url, ssl_context=certificates.trusting()))
        await stack.enter_async_context(nothing_left(client))
        error = await fails(ask(client), APIConnectionError, phase="connect", retryable=False, maybe_billed=False)
        assert "certificate" in str(error)
        assert server.requests == []


@covers("F28")
@BOTH_WAYS
async def test_a_proxy_sees_nothing_of_what_a_tunnel_carries(way: Way) -> None:
    """The proxy would see keys and prompts, and the provider the proxy's password."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(RawServer((REQUEST, answer()) * 2, tls=certificates.valid()))
        proxy = await stack.enter_async_context(Tunnel(server.port))
        client = await stack.enter_async_context(through(proxy.port, server.url, ssl_context=certificates.trusting()))
        await stack.enter_async_context(nothing_left(client))
        for _ in range(2):
            assert await ask(client, way) == "Hello."
        assert len(server.requests) == 2
        assert "proxy-authorization" not in server.requests[0].headers
        assert KEY in server.requests[0].headers["authorization"]
        (seen,) = proxy.heads
        assert seen.startswith(b"CONNECT 127.0.0.1:")
        assert b"Proxy-Authorization: Basic" in seen
        assert KEY.encode() not in seen + b"".join(proxy.relayed)
        assert PROMPT.encode() not in seen + b"".join(proxy.relayed)


@covers("F28")
@BOTH_WAYS
async def test_a_proxys_own_response_to_plain_http_keeps_its_status(way: Way) -> None:
    """A proxy's error would be taken for one of the server, or its page for a reply."""
    asks = (REQUEST, head(407, {"Proxy-Authenticate": "Basic", "Content-Length": "0"}))
    page = (REQUEST, answer(b"<html>Bad Gateway</html>", 502, {"Content-Type": "text/html"}))
    expected: list[tuple[tuple[Step, ...], type[APIStatusError], bool]] = [
        (asks, BadRequestError, False),
        (page, InternalServerError, True),
    ]
    for script, cls, retryable in expected:
        async with RawServer(script) as proxy:
            client = through(proxy.port, "http://127.0.0.1:9")
            async with client, nothing_left(client):
                error = await fails(ask(client, way), cls, retryable=retryable)
                assert error.status_code in (407, 502)
                assert PASSWORD not in repr(error) + repr(vars(error))
            assert proxy.requests[0].line.startswith("POST http://127.0.0.1:9/")
