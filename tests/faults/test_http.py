"""Answers that are no HTTP, odd HTTP, late, or not for this request."""

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

# --- no HTTP -------------------------------------------------------------------------------------------------------

MALFORMED: dict[str, Any] = {"phase": None, "retryable": False, "maybe_billed": True, "retry_after": None}


def malformed(row: str, name: str, *said: Step) -> Any:
    """An answer that cannot be read, from a server that then waits for what happens."""
    return fault(row, name, (REQUEST, *said, STALL), APIResponseError, **MALFORMED)


def lengths(*values: str) -> bytes:
    """An answer with these lengths in its head, and two bytes of a body."""
    fields = "".join(f"Content-Length: {value}\r\n" for value in values)
    return f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{fields}\r\n{{}}".encode()


JSON_CHUNKED = head(200, {"Content-Type": "application/json", "Transfer-Encoding": "chunked"})

UNREADABLE = (
    malformed("F11", "bytes of a TLS alert", b"\x15\x03\x01\x00\x02\x02\x46 garbage\r\n\r\n"),
    malformed("F11", "a page without a head", b"<html>Hello.</html>\n"),
    malformed("F11", "an HTTP/2 frame", b"\0\0\x12\4\0\0\0\0\0" + bytes(18)),
    malformed("F11", "a banner", b"SSH-2.0-OpenSSH_9.9\r\n"),
    malformed("F11", "a version nobody knows", b"HTTP/7.3 200 OK\r\nContent-Length: 0\r\n\r\n"),
    malformed("F11", "a status that is no number", b"HTTP/1.1 OK 200\r\nContent-Length: 0\r\n\r\n"),
    malformed("F11", "control characters in a header", b"HTTP/1.1 200 OK\r\nX-\x00Y: \x01\r\n\r\n"),
    malformed("F12", "a header of 100,000 bytes", answer(headers={"X": "y" * 100_000})),
    malformed("F12", "a header without end", b"HTTP/1.1 200 OK\r\nX: ", *[b"y" * 10_000] * 30),
    malformed("F12", "300 headers", answer(headers={f"X-{i}": "y" for i in range(300)})),
    malformed("F12", "headers without end", b"HTTP/1.1 200 OK\r\n", *[b"X: y\r\n" * 100] * 30),
    malformed("F13", "two lengths", lengths("2", "5")),
    malformed("F13", "a negative length", lengths("-2")),
    malformed("F13", "a length that is no number", lengths("two")),
    malformed("F13", "a length beyond all numbers", lengths(str(2**70))),
    malformed("F13", "a length and chunks", lengths("2\r\nTransfer-Encoding: chunked")),
    malformed("F13", "a chunk size that is no number", JSON_CHUNKED, b"zz\r\nhi\r\n"),
    malformed("F13", "a chunk size beyond all numbers", JSON_CHUNKED, b"400000000000000000\r\nhi"),
    malformed("F13", "a chunk longer than it says", JSON_CHUNKED, b"2\r\nhello\r\n0\r\n\r\n"),
)


@pytest.mark.parametrize(FAULT, UNREADABLE)
async def test_an_answer_that_is_no_http_is_an_error_of_the_answer(
    script: Sequence[Step], cls: type[CompletionError], attributes: dict[str, Any], requests: int
) -> None:
    """It would be retried for nothing, taken for a refused request, or be an exception of the library below."""
    async with Stage(script, max_retries=2) as stage:
        await fails_both_ways(stage, cls, requests=requests, **attributes)


LATER = (
    malformed("F12", "trailers without end", JSON_CHUNKED, piece(b"{}"), 0.02, b"0\r\n", *[b"X: y\r\n" * 100] * 50),
    malformed("F12", "a trailer without end", JSON_CHUNKED, piece(b"{}"), 0.02, b"0\r\nX: ", *[b"y" * 10_000] * 30),
    malformed("F13", "a chunk size that is no number", JSON_CHUNKED, piece(b"{"), 0.02, b"zz\r\nhi\r\n"),
    malformed("F13", "a chunk longer than it says", JSON_CHUNKED, piece(b"{"), 0.02, b"2\r\nhello\r\n0\r\n\r\n"),
)


@pytest.mark.parametrize(FAULT, LATER)
async def test_a_body_that_stops_being_http_is_an_error_at_once(
    script: Sequence[Step], cls: type[CompletionError], attributes: dict[str, Any], requests: int
) -> None:
    """Its reader would wait until a clock runs out, and then blame the clock."""
    async with Stage(script, max_retries=2) as stage:
        await fails_both_ways(stage, cls, requests=requests, status_code=200, **attributes)


@covers("F13")
async def test_what_a_stream_said_before_it_stopped_being_http_is_handed_out() -> None:
    """The words that had arrived would be lost with the ones that cannot be read."""
    script = (REQUEST, STREAM, event("Hel"), event("lo."), 0.02, b"zz\r\nhi\r\n", STALL)
    async with Stage(script, max_retries=2) as stage:
        said: list[str] = []

        async def listen() -> None:
            async with stage.client.stream("openai/m", "Hi.") as stream:
                async for text in stream.text:
                    said.append(text)

        error = await fails(listen(), APIResponseError, status_code=200, **MALFORMED)
        assert said == ["Hel", "lo."]
        assert error.partial is not None
        assert error.partial.text == "Hello."
        assert (stage.requests, stage.kept) == (1, 0)


# --- odd, but HTTP -------------------------------------------------------------------------------------------------

BODY = json.dumps(completion()).encode()
ODD: dict[str, tuple[str, Sequence[Step], bool]] = {
    "a header of 60,000 bytes": ("F12", (answer(headers={"X": "y" * 60_000}),), True),
    "250 headers": ("F12", (answer(headers={f"X-{i}": "y" for i in range(250)}),), True),
    "trailers": ("F12", (JSON_CHUNKED, piece(BODY), b"0\r\nX: y\r\nZ: y\r\n\r\n"), True),
    "the same length twice": ("F13", (answer(headers={"X": "y"}),), True),
    "early hints": ("F14", (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 0.01, answer()), True),
    "a continue that nobody asked for": ("F14", (b"HTTP/1.1 100 Continue\r\n\r\n" + answer(),), True),
    "several of them": ("F14", (b"HTTP/1.1 102 Processing\r\n\r\n" * 20, answer()), True),
    "no reason": ("F14", (answer().replace(b"200 Scripted", b"200"),), True),
    "an empty reason": ("F14", (answer().replace(b"200 Scripted", b"200 "),), True),
    "HTTP/1.0": ("F20", (answer().replace(b"HTTP/1.1", b"HTTP/1.0"), FIN), False),
    "a connection that will be closed": ("F20", (answer(headers={"Connection": "close"}),), False),
    "no length, and closed at the end": ("F20", (head(200, {"Content-Type": "application/json"}), BODY, FIN), False),
}


@pytest.mark.parametrize(
    ("said", "stays"),
    [pytest.param(said, stays, marks=covers(row), id=name) for name, (row, said, stays) in ODD.items()],
)
async def test_odd_http_is_understood(said: Sequence[Step], stays: bool) -> None:
    """Gateways that add something, and servers of another age, would break calls."""
    async with Stage((REQUEST, *said) * 2 + (STALL,)) as stage:
        for way in WAYS:
            assert await ask(stage.client, way) == "Hello."
            assert stage.kept == stays
        assert stage.requests == 2


@covers("F14")
@BOTH_WAYS
async def test_a_status_that_http_does_not_know_is_an_error_and_final(way: Way) -> None:
    """A gateway's way of saying no would be asked again and again."""
    async with Stage((REQUEST, answer({"error": {"message": "No."}}, 999), STALL), max_retries=2) as stage:
        await fails(ask(stage.client, way), APIStatusError, status_code=999, retryable=False, maybe_billed=False)
        assert (stage.requests, stage.kept) == (1, 1)


@covers("F20")
@BOTH_WAYS
async def test_a_server_that_closes_after_its_answer_has_answered(way: Way) -> None:
    """Its goodbye would be taken for a failure, of this call or of the next."""
    async with Stage((REQUEST, answer(), FIN)) as stage:
        for _ in range(3):
            assert await ask(stage.client, way) == "Hello."
        assert (stage.requests, stage.server.connections) == (3, 3)


# --- answers to nothing --------------------------------------------------------------------------------------------

MINE = answer(completion("For me."))
STRANGERS: dict[str, tuple[Step, ...]] = {
    "a second answer": (MINE + answer(completion("For somebody else.")),),
    "a second answer a moment later": (MINE, 0.01, answer(completion("For somebody else."))),
    "a second answer behind the second half": (MINE[:-20], 0.01, MINE[-20:] + answer(completion("For somebody else."))),
    "bytes a moment later": (MINE, 0.01, b"and one more thing"),
    "half an answer a moment later": (MINE, 0.01, b"HTTP/1.1 200 OK\r\n"),
    "a word from the wrong time": (MINE, 0.01, b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"),
}


@covers("F15")
@pytest.mark.parametrize("said", STRANGERS.values(), ids=STRANGERS)
async def test_what_comes_after_an_answer_is_not_the_next_ones(said: Sequence[Step]) -> None:
    """One caller would read what was meant for another."""
    async with Stage((REQUEST, *said, REQUEST, answer(completion("Late.")), STALL), (REQUEST, MINE, STALL)) as stage:
        assert await ask(stage.client) == "For me."
        while stage.server.steps < 1 + len(said):
            await asyncio.sleep(0.001)
        assert await ask(stage.client, "stream") == "For me."
        assert (stage.requests, stage.server.connections) == (2, 2)


@covers("F15")
@BOTH_WAYS
async def test_a_second_answer_that_the_loop_has_not_seen_yet_is_not_the_next_ones(way: Way) -> None:
    """The next caller would read it, if only he asks soon enough."""
    async with Stage((REQUEST, MINE, answer(completion("For somebody else.")), STALL)) as stage:
        for _ in range(20):
            assert await ask(stage.client, way) == "For me."
        assert stage.server.connections == 20


@covers("F15")
@BOTH_WAYS
async def test_bytes_glued_to_an_answer_make_it_unreadable_or_are_dropped(way: Way) -> None:
    """They would become the beginning of the next answer."""
    async with Stage((REQUEST, MINE + b"and one more thing", STALL), (REQUEST, MINE, STALL)) as stage:
        await fails(ask(stage.client, way), APIResponseError, **MALFORMED)
        assert await ask(stage.client, way) == "For me."
        assert stage.server.connections == 2


@covers("F15")
async def test_calls_that_are_given_up_halfway_leave_nothing_for_the_next() -> None:
    """The answer to a cancelled call would be handed to whoever asks next."""

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


# --- late ----------------------------------------------------------------------------------------------------------

SLOW: dict[str, tuple[str, Sequence[Step]]] = {
    "no byte": ("F16", (STALL,)),
    "the status line and no more": ("F16", (b"HTTP/1.1 200 OK\r\n", STALL)),
    "byte by byte": ("F17", [step for byte in answer() for step in (bytes([byte]), 0.02)]),
    "interim answers only": ("F17", [b"HTTP/1.1 102 Processing\r\n\r\n", 0.02] * 100),
}


@pytest.mark.parametrize("said", [pytest.param(said, marks=covers(row), id=name) for name, (row, said) in SLOW.items()])
async def test_headers_that_do_not_come_meet_a_clock(said: Sequence[Step]) -> None:
    """A provider that took the request and says nothing would hold its caller for as long as it likes."""
    late = {"retryable": True, "maybe_billed": True}
    async with Stage((REQUEST, *said)) as stage:
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
async def test_bytes_that_are_no_part_of_the_body_do_not_feed_the_idle_clock() -> None:
    """A server that sends only HTTP's small print would keep its caller for ever."""
    small_print: list[Step] = [b"x" * 100, 0.02] * 100
    async with Stage((REQUEST, JSON_CHUNKED, piece(b"{"), b"1;", *small_print), timeout=Timeout(idle=0.15)) as stage:
        await fails(
            ask(stage.client), APITimeoutError, phase="idle", retryable=True, maybe_billed=True, status_code=200
        )
        assert (stage.requests, stage.kept) == (1, 0)


# --- lost in the body ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(FAULT, CUTS)
async def test_a_reply_cut_short_is_an_error_of_the_road(
    script: Sequence[Step], cls: type[CompletionError], attributes: dict[str, Any], requests: int
) -> None:
    """Half a reply would be taken for one, or its loss for a mistake of the provider's."""
    async with Stage(script) as stage:
        await fails_both_ways(stage, cls, requests=requests, **attributes)


# --- early ---------------------------------------------------------------------------------------------------------

LARGE = "word " * 4_000_000
EARLY = {413: BadRequestError, 401: AuthenticationError}


@covers("F19")
@pytest.mark.parametrize("end", [FIN, RESET], ids=str)
@pytest.mark.parametrize(("status", "cls"), EARLY.items())
async def test_a_refusal_that_comes_before_the_request_is_out_is_read(
    status: int, cls: type[CompletionError], end: Step
) -> None:
    """A prompt that is too long would end in a broken pipe instead of the reason."""
    refusal = answer({"error": {"message": "Not this."}}, status, {"Connection": "close"})
    async with Stage((HEAD, refusal, 0.05, end)) as stage:
        asked = stage.client.create("openai/m", LARGE)
        error = await fails(asked, cls, status_code=status, retryable=False, maybe_billed=False)
        assert "Not this." in error.message
        assert (stage.requests, stage.kept) == (1, 0)
