"""Responses that are not valid HTTP, unusual, late, or not for this request."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from anycompletion import (
    APIResponseError,
    APIStatusError,
    APITimeoutError,
    AsyncCompletion,
    AuthenticationError,
    BadRequestError,
    CompletionError,
    Timeout,
)
from anycompletion.testing import SimulatorServer
from faults.harness import BOTH_WAYS, FAULT, WAYS, Stage, Way, ask, client_to, covers, fails, fails_both_ways, fault
from faults.losses import CUTS
from support.raw_server import (
    FIN,
    HEAD,
    REQUEST,
    RESET,
    STALL,
    STREAM,
    Step,
    answer,
    completion,
    event,
    head,
    piece,
)
from support.resource_leaks import nothing_left

# --- not HTTP --------------------------------------------------------------------------------------------------------

MALFORMED: dict[str, Any] = {"phase": None, "retryable": False, "maybe_billed": True, "retry_after": None}


def malformed(row: str, name: str, *response: Step) -> Any:
    """A response that cannot be parsed, from a server that then leaves the connection open."""
    return fault(row, name, (REQUEST, *response, STALL), APIResponseError, **MALFORMED)


def lengths(*values: str) -> bytes:
    """A response with these lengths in its head, and two bytes of a body."""
    fields = "".join(f"Content-Length: {value}\r\n" for value in values)
    return f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{fields}\r\n{{}}".encode()


JSON_CHUNKED = head(200, {"Content-Type": "application/json", "Transfer-Encoding": "chunked"})

UNREADABLE = (
    malformed("F11", "bytes of a TLS alert", b"\x15\x03\x01\x00\x02\x02\x46 garbage\r\n\r\n"),
    malformed("F11", "a page without a head", b"<html>Hello.</html>\n"),
    malformed("F11", "an HTTP/2 frame", b"\0\0\x12\4\0\0\0\0\0" + bytes(18)),
    malformed("F11", "a banner", b"SSH-2.0-OpenSSH_9.9\r\n"),
    malformed("F11", "an unknown version", b"HTTP/7.3 200 OK\r\nContent-Length: 0\r\n\r\n"),
    malformed("F11", "a status that is not a number", b"HTTP/1.1 OK 200\r\nContent-Length: 0\r\n\r\n"),
    malformed("F11", "control characters in a header", b"HTTP/1.1 200 OK\r\nX-\x00Y: \x01\r\n\r\n"),
    malformed("F12", "a header of 100,000 bytes", answer(headers={"X": "y" * 100_000})),
    malformed("F12", "a header without end", b"HTTP/1.1 200 OK\r\nX: ", *[b"y" * 10_000] * 30),
    malformed("F12", "300 headers", answer(headers={f"X-{i}": "y" for i in range(300)})),
    malformed("F12", "headers without end", b"HTTP/1.1 200 OK\r\n", *[b"X: y\r\n" * 100] * 30),
    malformed("F13", "two lengths", lengths("2", "5")),
    malformed("F13", "a negative length", lengths("-2")),
    malformed("F13", "a length that is not a number", lengths("two")),
    malformed("F13", "a length that is too large", lengths(str(2**70))),
    malformed("F13", "a length and chunks", lengths("2\r\nTransfer-Encoding: chunked")),
    malformed("F13", "a chunk size that is not a number", JSON_CHUNKED, b"zz\r\nhi\r\n"),
    malformed("F13", "a chunk size that is too large", JSON_CHUNKED, b"400000000000000000\r\nhi"),
    malformed("F13", "a chunk longer than its size", JSON_CHUNKED, b"2\r\nhello\r\n0\r\n\r\n"),
)


@pytest.mark.parametrize(FAULT, UNREADABLE)
async def test_a_response_that_is_not_http_is_a_response_error(
    script: Sequence[Step], cls: type[CompletionError], attributes: dict[str, Any], requests: int
) -> None:
    """It would be retried in vain, taken for a refusal, or raise an exception of aiohttp."""
    async with Stage(script, max_retries=2) as stage:
        await fails_both_ways(stage, cls, requests=requests, **attributes)


LATER = (
    malformed("F12", "trailers without end", JSON_CHUNKED, piece(b"{}"), 0.02, b"0\r\n", *[b"X: y\r\n" * 100] * 50),
    malformed("F12", "a trailer without end", JSON_CHUNKED, piece(b"{}"), 0.02, b"0\r\nX: ", *[b"y" * 10_000] * 30),
    malformed("F13", "a chunk size that is not a number", JSON_CHUNKED, piece(b"{"), 0.02, b"zz\r\nhi\r\n"),
    malformed("F13", "a chunk longer than its size", JSON_CHUNKED, piece(b"{"), 0.02, b"2\r\nhello\r\n0\r\n\r\n"),
)


@pytest.mark.parametrize(FAULT, LATER)
async def test_a_body_that_becomes_invalid_is_an_error_at_once(
    script: Sequence[Step], cls: type[CompletionError], attributes: dict[str, Any], requests: int
) -> None:
    """Its reader would wait until a timeout expires, and the error would be that of the timeout."""
    async with Stage(script, max_retries=2) as stage:
        await fails_both_ways(stage, cls, requests=requests, status_code=200, **attributes)


@covers("F13")
async def test_chunks_before_a_body_becomes_invalid_are_returned() -> None:
    """Text that had arrived would be lost with the bytes that cannot be parsed."""
    script = (REQUEST, STREAM, event("Hel"), event("lo."), 0.02, b"zz\r\nhi\r\n", STALL)
    async with Stage(script, max_retries=2) as stage:
        texts: list[str] = []

        async def read() -> None:
            async with stage.client.stream("openai/m", "Hi.") as stream:
                async for text in stream.text:
                    texts.append(text)

        error = await fails(read(), APIResponseError, status_code=200, **MALFORMED)
        assert texts == ["Hel", "lo."]
        assert error.partial is not None
        assert error.partial.text == "Hello."
        assert (stage.requests, stage.kept) == (1, 0)


# --- unusual, but valid ----------------------------------------------------------------------------------------------

BODY = json.dumps(completion()).encode()
ODD: dict[str, tuple[str, Sequence[Step], bool]] = {
    "a header of 60,000 bytes": ("F12", (answer(headers={"X": "y" * 60_000}),), True),
    "250 headers": ("F12", (answer(headers={f"X-{i}": "y" for i in range(250)}),), True),
    "trailers": ("F12", (JSON_CHUNKED, piece(BODY), b"0\r\nX: y\r\nZ: y\r\n\r\n"), True),
    "the same length twice": ("F13", (answer(headers={"X": "y"}),), True),
    "early hints": ("F14", (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 0.01, answer()), True),
    "an unrequested 100 Continue": ("F14", (b"HTTP/1.1 100 Continue\r\n\r\n" + answer(),), True),
    "several of them": ("F14", (b"HTTP/1.1 102 Processing\r\n\r\n" * 20, answer()), True),
    "no reason": ("F14", (answer().replace(b"200 Scripted", b"200"),), True),
    "an empty reason": ("F14", (answer().replace(b"200 Scripted", b"200 "),), True),
    "HTTP/1.0": ("F20", (answer().replace(b"HTTP/1.1", b"HTTP/1.0"), FIN), False),
    "a connection that will be closed": ("F20", (answer(headers={"Connection": "close"}),), False),
    "no length, and closed at the end": ("F20", (head(200, {"Content-Type": "application/json"}), BODY, FIN), False),
}


@pytest.mark.parametrize(
    ("response", "stays"),
    [pytest.param(*values, marks=covers(row), id=name) for name, (row, *values) in ODD.items()],
)
async def test_unusual_http_is_accepted(response: Sequence[Step], stays: bool) -> None:
    """Gateways that add something, and old servers, would break calls."""
    async with Stage((REQUEST, *response) * 2 + (STALL,)) as stage:
        for way in WAYS:
            assert await ask(stage.client, way) == "Hello."
            assert stage.kept == stays
        assert stage.requests == 2


@covers("F14")
@BOTH_WAYS
async def test_a_status_that_http_does_not_know_is_an_error_and_final(way: Way) -> None:
    """A request that a gateway refuses would be repeated again and again."""
    async with Stage((REQUEST, answer({"error": {"message": "No."}}, 999), STALL), max_retries=2) as stage:
        await fails(ask(stage.client, way), APIStatusError, status_code=999, retryable=False, maybe_billed=False)
        assert (stage.requests, stage.kept) == (1, 1)


@covers("F20")
@BOTH_WAYS
async def test_a_server_may_close_the_connection_after_its_response(way: Way) -> None:
    """The close would be taken for a failure of this call or of the next."""
    async with Stage((REQUEST, answer(), FIN)) as stage:
        for _ in range(3):
            assert await ask(stage.client, way) == "Hello."
        assert (stage.requests, stage.server.connections) == (3, 3)


# --- unrequested responses -------------------------------------------------------------------------------------------

MINE = answer(completion("For me."))
UNREQUESTED: dict[str, tuple[Step, ...]] = {
    "a second response": (MINE + answer(completion("For another caller.")),),
    "a second response a moment later": (MINE, 0.01, answer(completion("For another caller."))),
    "a second response behind the second half": (
        MINE[:-20],
        0.01,
        MINE[-20:] + answer(completion("For another caller.")),
    ),
    "bytes a moment later": (MINE, 0.01, b"and one more thing"),
    "half a response a moment later": (MINE, 0.01, b"HTTP/1.1 200 OK\r\n"),
    "a timeout status a moment later": (MINE, 0.01, b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"),
}


@covers("F15")
@pytest.mark.parametrize("response", UNREQUESTED.values(), ids=UNREQUESTED)
async def test_bytes_after_a_response_do_not_reach_the_next_request(response: Sequence[Step]) -> None:
    """One caller would read the response for another."""
    async with Stage(
        (REQUEST, *response, REQUEST, answer(completion("Late.")), STALL), (REQUEST, MINE, STALL)
    ) as stage:
        assert await ask(stage.client) == "For me."
        while stage.server.steps < 1 + len(response):
            await asyncio.sleep(0.001)
        assert await ask(stage.client, "stream") == "For me."
        assert (stage.requests, stage.server.connections) == (2, 2)


@covers("F15")
@BOTH_WAYS
async def test_a_second_response_that_was_not_read_yet_does_not_reach_the_next_request(way: Way) -> None:
    """The next caller would read it, if the request is sent soon enough."""
    async with Stage((REQUEST, MINE, answer(completion("For another caller.")), STALL)) as stage:
        for _ in range(20):
            assert await ask(stage.client, way) == "For me."
        assert stage.server.connections == 20


@covers("F15")
@BOTH_WAYS
async def test_a_response_with_appended_bytes_is_an_error(way: Way) -> None:
    """The bytes would become the beginning of the next response."""
    async with Stage((REQUEST, MINE + b"and one more thing", STALL), (REQUEST, MINE, STALL)) as stage:
        await fails(ask(stage.client, way), APIResponseError, **MALFORMED)
        assert await ask(stage.client, way) == "For me."
        assert stage.server.connections == 2


@covers("F15")
async def test_responses_to_cancelled_calls_do_not_reach_the_next_request() -> None:
    """The next caller would get the response to a cancelled call."""

    async def ask_on(client: AsyncCompletion, turns: range) -> int:
        answered = 0
        for turn in turns:
            try:
                async with asyncio.timeout(turn % 5 / 1000 if turn % 2 else None):
                    reply = await client.create("openai/m", f"{turn}")
            except TimeoutError:
                continue
            assert reply.text == f"{turn}"
            answered += 1
        return answered

    def echo(body: dict[str, Any]) -> str:
        return str(body["messages"][-1]["content"])

    async with SimulatorServer(reply=echo, latency=0.002) as sim:
        client = client_to(sim.base_urls["openai"], api_keys={"openai": sim.api_keys["openai"]})
        async with client, nothing_left(client):
            turns = [range(start, start + 20) for start in range(0, 200, 20)]
            answered = await asyncio.gather(*(ask_on(client, each) for each in turns))
            assert 100 <= sum(answered) < 200


# --- late ------------------------------------------------------------------------------------------------------------

SLOW: dict[str, tuple[str, Sequence[Step]]] = {
    "no byte": ("F16", (STALL,)),
    "the status line and no more": ("F16", (b"HTTP/1.1 200 OK\r\n", STALL)),
    "byte by byte": ("F17", [step for byte in answer() for step in (bytes([byte]), 0.02)]),
    "informational responses only": ("F17", [b"HTTP/1.1 102 Processing\r\n\r\n", 0.02] * 100),
}


@pytest.mark.parametrize(
    "response", [pytest.param(steps, marks=covers(row), id=name) for name, (row, steps) in SLOW.items()]
)
async def test_a_timeout_ends_the_wait_for_headers(response: Sequence[Step]) -> None:
    """A provider that does not respond would block its caller for ever."""
    late = {"retryable": True, "maybe_billed": True}
    async with Stage((REQUEST, *response)) as stage:
        client = stage.client
        await asyncio.gather(
            fails(ask(client, timeout=0.15, max_retries=2), APITimeoutError, phase="total", **late),
            fails(ask(client, "stream", timeout=0.15, max_retries=2), APITimeoutError, phase="total", **late),
            fails(
                ask(client, "stream", timeout=Timeout(first_chunk=0.15)), APITimeoutError, phase="first_chunk", **late
            ),
        )
        assert (stage.requests, stage.kept) == (3, 0)


@covers("F13")
async def test_bytes_outside_of_the_body_do_not_restart_the_idle_timeout() -> None:
    """A server that sends only chunk extensions would block its caller for ever."""
    extension: list[Step] = [b"x" * 100, 0.02] * 100
    async with Stage((REQUEST, JSON_CHUNKED, piece(b"{"), b"1;", *extension), timeout=Timeout(idle=0.15)) as stage:
        await fails(
            ask(stage.client), APITimeoutError, phase="idle", retryable=True, maybe_billed=True, status_code=200
        )
        assert (stage.requests, stage.kept) == (1, 0)


# --- lost in the body ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(FAULT, CUTS)
async def test_a_reply_cut_short_is_a_connection_error(
    script: Sequence[Step], cls: type[CompletionError], attributes: dict[str, Any], requests: int
) -> None:
    """Half a reply would be taken for a whole one, or its loss for an error of the provider."""
    async with Stage(script) as stage:
        await fails_both_ways(stage, cls, requests=requests, **attributes)


# --- early -----------------------------------------------------------------------------------------------------------

LARGE = "word " * 4_000_000
EARLY = {413: BadRequestError, 401: AuthenticationError}


@covers("F19")
@pytest.mark.parametrize("end", [FIN, RESET], ids=str)
@pytest.mark.parametrize(("status", "cls"), EARLY.items())
async def test_a_refusal_before_the_end_of_the_request_is_read(
    status: int, cls: type[CompletionError], end: Step
) -> None:
    """A prompt that is too long would end in a broken pipe instead of the provider's reason."""
    refusal = answer({"error": {"message": "Not this."}}, status, {"Connection": "close"})
    async with Stage((HEAD, refusal, 0.05, end)) as stage:
        asked = stage.client.create("openai/m", LARGE)
        error = await fails(asked, cls, status_code=status, retryable=False, maybe_billed=False)
        assert "Not this." in error.message
        assert (stage.requests, stage.kept) == (1, 0)
