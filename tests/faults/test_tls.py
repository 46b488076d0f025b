"""TLS failures: nothing of the request is sent, and the error names the cause."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from anycompletion import APIConnectionError, APITimeoutError, Timeout
from anycompletion.transport.errors import translate
from faults import certificates
from faults.harness import BOTH_WAYS, WAYS, Stage, Way, ask, client_to, covers, fails, fails_both_ways
from support.raw_server import FIN, REQUEST, RESET, STALL, RawServer, Step, answer
from support.resource_leaks import nothing_left

CERTIFICATES = {
    "unknown authority": (certificates.of_an_unknown_authority, "unable to get local issuer certificate"),
    "another host": (certificates.for_another_host, "IP address mismatch"),
    "expired": (certificates.expired, "certificate has expired"),
    "not yet valid": (certificates.not_yet_valid, "certificate is not yet valid"),
}


@covers("F04")
@pytest.mark.parametrize(("context", "cause"), CERTIFICATES.values(), ids=CERTIFICATES)
async def test_a_certificate_that_cannot_be_trusted_is_refused_once_and_named(
    context: Callable[[], ssl.SSLContext], cause: str
) -> None:
    """A man in the middle would get the key, or a wrong system time would be hard to find."""
    async with Stage((REQUEST, answer()), tls=context(), ssl_context=certificates.trusting(), max_retries=2) as stage:
        attributes: dict[str, Any] = {"phase": "connect", "retryable": False, "maybe_billed": False}
        for error in await fails_both_ways(stage, APIConnectionError, requests=0, **attributes):
            assert cause in str(error)


@covers("F04")
@BOTH_WAYS
async def test_a_certificate_that_can_be_trusted_is_trusted(way: Way) -> None:
    """The tests above would pass with a client that trusts no certificate."""
    async with Stage((REQUEST, answer()), tls=certificates.valid(), ssl_context=certificates.trusting()) as stage:
        assert await ask(stage.client, way) == "Hello."
        assert (stage.requests, stage.kept) == (1, 1)


@covers("F04")
async def test_the_systems_authorities_are_used_by_default() -> None:
    """Certificates would not be verified by default."""
    async with Stage((REQUEST, answer()), tls=certificates.valid()) as stage:
        await fails(ask(stage.client), APIConnectionError, phase="connect", retryable=False)
        assert stage.requests == 0


NO_TLS: dict[str, tuple[tuple[Step, ...], bool]] = {
    "closed": ((FIN,), True),
    "reset": ((RESET,), True),
    "plain HTTP": ((0.01, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", FIN), False),
    "a banner": ((b"SSH-2.0-OpenSSH_9.9\r\n", STALL), False),
}
"""Case → what the server does, and whether another attempt may succeed."""


@covers("F05")
@pytest.mark.parametrize(("script", "retryable"), NO_TLS.values(), ids=NO_TLS)
async def test_a_port_without_tls_is_a_connection_error(script: tuple[Step, ...], retryable: bool) -> None:
    """A wrong port would hang, or end in an exception of aiohttp."""
    async with RawServer(script) as server:
        client = client_to(f"https://127.0.0.1:{server.port}")
        async with client, nothing_left(client):
            for way in WAYS:
                await fails(
                    ask(client, way), APIConnectionError, phase="connect", retryable=retryable, maybe_billed=False
                )
            assert server.requests == []


@covers("F05")
@pytest.mark.parametrize("alert", ["TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_BAD_CERTIFICATE"])
def test_an_alert_after_the_handshake_is_an_error_of_tls(alert: str) -> None:
    """A server that wants a client certificate would look like a lost connection that may have been billed."""
    cause = ssl.SSLError(1, "alert")
    cause.reason = alert
    lost = aiohttp.ClientOSError(1, "lost")
    lost.__cause__ = cause
    error = translate(lost, connect_timeout=None, sent=True)
    assert isinstance(error, APIConnectionError)
    assert alert.replace("_", " ").lower() in str(error)
    assert (error.phase, error.retryable, error.maybe_billed) == ("connect", False, False)


@covers("F05")
async def test_the_connect_timeout_ends_an_unanswered_handshake() -> None:
    """A server that accepts the connection and sends nothing would block the caller for ever."""
    async with RawServer((STALL,)) as server:
        client = client_to(f"https://127.0.0.1:{server.port}", timeout=Timeout(connect=0.1))
        async with client, nothing_left(client):
            attributes = {"phase": "connect", "retryable": True, "maybe_billed": False}
            await asyncio.gather(*(fails(ask(client, way), APITimeoutError, **attributes) for way in WAYS))


@covers("F05")
@BOTH_WAYS
async def test_insecure_versions_of_tls_are_refused(way: Way) -> None:
    """A man in the middle could downgrade the connection to a version that can be decrypted."""
    async with Stage((REQUEST, answer()), tls=certificates.outdated(), ssl_context=certificates.trusting()) as stage:
        await fails(ask(stage.client, way), APIConnectionError, phase="connect", retryable=True, maybe_billed=False)
        assert stage.requests == 0
