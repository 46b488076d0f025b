"""Tests of one logical call: its retries, its errors, its timeouts, and what it sends."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from anycompletion import (
    APIConnectionError,
    APIError,
    APIResponseError,
    APIStatusError,
    APITimeoutError,
    AsyncCompletion,
    AuthenticationError,
    BadRequestError,
    ContextWindowExceededError,
    InternalServerError,
    InvalidRequestError,
    OverloadedError,
    QuotaExceededError,
    RateLimitError,
    StreamInterruptedError,
    Timeout,
)
from anycompletion.testing import Fault, SimulatorServer
from support.raw_server import (
    DONE,
    END,
    FIN,
    REQUEST,
    RESET,
    STALL,
    STREAM,
    WHOLE,
    RawServer,
    Step,
    answer,
    completion,
    event,
    head,
    piece,
)
from support.resource_leaks import CASES, Case, client_of, nothing_left
from support.scripted_client import scripted

BOTH = {name: CASES[name] for name in ("openai", "anthropic")}
both = pytest.mark.parametrize("case", BOTH.values(), ids=BOTH)
plain_and_stream = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])


@asynccontextmanager
async def simulated(faults: Any = None, **options: Any) -> AsyncIterator[tuple[SimulatorServer, AsyncCompletion]]:
    async with (
        SimulatorServer(fault=faults) as sim,
        client_of(sim, **options) as client,
        nothing_left(client),
    ):
        yield sim, client


async def ask(client: AsyncCompletion, stream: bool, model: str = "openai/m", **options: Any) -> str:
    """The text of one reply, streamed or not."""
    if not stream:
        return (await client.create(model, "Hi.", **options)).text
    async with client.stream(model, "Hi.", **options) as opened:
        return (await opened.get_final_completion()).text


async def failure(client: AsyncCompletion, stream: bool, model: str = "openai/m", **options: Any) -> APIError:
    """The error of one call."""
    with pytest.raises(APIError) as caught:
        await ask(client, stream, model, **options)
    return caught.value


# --- retries -------------------------------------------------------------------------------------------------------


@both
@plain_and_stream
async def test_a_retry_waits_as_long_as_the_provider_asks(case: Case, stream: bool) -> None:
    """A client would send more requests to a provider that throttles it."""
    async with simulated(Fault.status(429, retry_after=0.2, times=1)) as (sim, client):
        assert await ask(client, stream, case.model)
        first, second = sim.requests
        assert 0.2 <= second.received_at - first.received_at < 0.4
        assert first.raw == second.raw


@both
@plain_and_stream
@pytest.mark.parametrize("name", ["server-error", "unavailable", "overloaded", "timeout"])
async def test_a_temporary_error_is_retried(case: Case, stream: bool, name: str) -> None:
    """A short failure of a provider would fail the call."""
    async with simulated(Fault.named(name, times=1, retry_after=0.01)) as (sim, client):
        assert await ask(client, stream, case.model)
        assert len(sim.requests) == 2


async def test_a_reply_has_the_number_of_its_attempts() -> None:
    """An unreliable provider would go unnoticed."""
    async with simulated(Fault.status(500, times=2, retry_after=0.01)) as (_, client):
        reply = await client.create("openai/gpt-4o", "Hi.")
        assert (reply.info.attempts, reply.info.status_code) == (3, 200)
        assert reply.info.elapsed > 0.02


@both
@plain_and_stream
@pytest.mark.parametrize("retries", [0, 1, 3])
async def test_retries_end_and_the_error_has_all_details(case: Case, stream: bool, retries: int) -> None:
    """A caller could not find out which provider failed, how often, and which request id to report."""
    async with simulated(Fault.status(503, retry_after=0.01), max_retries=retries) as (sim, client):
        error = await failure(client, stream, case.model)
        assert isinstance(error, InternalServerError)
        assert len(sim.requests) == error.attempts == retries + 1
        provider, _, model = case.model.partition("/")
        assert (error.provider, error.model, error.status_code) == (provider, model, 503)
        assert error.request_id
        assert error.request_id.startswith("req_")
        assert error.elapsed is not None
        assert 0.01 * retries <= error.elapsed < 2
        assert error.retry_after == 0.01
        assert error.headers is not None
        assert error.headers["retry-after"] == "0.01"
        assert error.body
        assert error.retryable
        assert error.__context__ is None


@both
@plain_and_stream
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("quota", QuotaExceededError),
        ("bad-request", BadRequestError),
        ("context-length", ContextWindowExceededError),
        ("authentication", AuthenticationError),
    ],
)
async def test_a_permanent_error_is_not_retried(
    case: Case, stream: bool, name: str, expected: type[APIStatusError]
) -> None:
    """A caller would wait, and pay, for the same error three times."""
    async with simulated(Fault.named(name, retry_after=0.01)) as (sim, client):
        error = await failure(client, stream, case.model)
        assert type(error) is expected
        assert len(sim.requests) == error.attempts == 1
        assert not error.retryable


@plain_and_stream
@pytest.mark.parametrize(
    ("status", "value", "requests"),
    [(400, "true", 2), (401, "true", 2), (500, "false", 1), (429, "false", 1), (500, "maybe", 2)],
)
async def test_the_should_retry_header_overrides_the_status(
    stream: bool, status: int, value: str, requests: int
) -> None:
    """What the provider knows about its own error would be ignored."""
    refusal = answer({"error": {"message": "no"}}, status, {"X-Should-Retry": value, "Retry-After": "0.01"})
    async with scripted((REQUEST, refusal) * 2, max_retries=1) as (server, client):
        await failure(client, stream)
        assert len(server.requests) == requests


@plain_and_stream
async def test_a_wait_hint_above_a_minute_is_an_error_at_once(stream: bool) -> None:
    """A call would wait for an hour without a sign."""
    async with simulated(Fault.status(429, retry_after=3600)) as (sim, client):
        started = time.monotonic()
        error = await failure(client, stream, "openai/gpt-4o")
        assert time.monotonic() - started < 0.5
        assert isinstance(error, RateLimitError)
        assert (error.retry_after, len(sim.requests)) == (3600, 1)


@plain_and_stream
async def test_a_wait_hint_beyond_the_total_timeout_is_an_error_at_once(stream: bool) -> None:
    """A call would wait for an attempt that can never be made."""
    async with simulated(Fault.status(429, retry_after=5)) as (sim, client):
        started = time.monotonic()
        error = await failure(client, stream, "openai/gpt-4o", timeout=1)
        assert time.monotonic() - started < 0.5
        assert isinstance(error, RateLimitError)
        assert len(sim.requests) == 1


@plain_and_stream
@pytest.mark.parametrize("end", [FIN, RESET], ids=str)
async def test_a_connection_lost_before_the_response_is_retried_and_then_an_error(stream: bool, end: Step) -> None:
    """A lost connection would fail the call at once, or never."""
    async with scripted((REQUEST, end), max_retries=1) as (server, client):
        error = await failure(client, stream)
        assert isinstance(error, APIConnectionError)
        assert (error.phase, error.maybe_billed, error.attempts) == ("headers", True, 2)
        assert error.status_code is None
        assert len(server.requests) == 2


async def test_an_incomplete_response_is_retried() -> None:
    """A call would fail although nothing of the response was returned yet."""
    cut = (REQUEST, head(200, {"Content-Length": "500"}), b'{"id"', FIN)
    async with scripted(cut, (REQUEST, answer()), max_retries=1) as (server, client):
        reply = await client.create("openai/m", "Hi.")
        assert (reply.text, reply.info.attempts, len(server.requests)) == ("Hello.", 2, 2)


async def test_an_error_has_no_details_of_earlier_attempts() -> None:
    """The request id would be that of another request than the one that failed."""
    first = answer({"error": {"message": "no"}}, 500, {"X-Request-Id": "first", "Retry-After": "0.01"})
    async with scripted((REQUEST, first), (REQUEST, FIN), max_retries=1) as (_, client):
        error = await failure(client, False)
        assert isinstance(error, APIConnectionError)
        assert (error.request_id, error.status_code, error.attempts) == (None, None, 2)


@pytest.mark.parametrize("broken", [(FIN,), (RESET,), (piece(b": comment\n\n"), RESET)], ids=str)
async def test_a_stream_that_breaks_before_its_first_chunk_is_retried(broken: tuple[Step, ...]) -> None:
    """A stream would fail although the caller has received nothing of it."""
    async with scripted((REQUEST, STREAM, *broken), (REQUEST, *WHOLE), max_retries=1) as (server, client):
        async with client.stream("openai/m", "Hi.") as stream:
            assert (await stream.get_final_completion()).text == "Hello."
            assert stream.info.attempts == 2
        assert len(server.requests) == 2


async def test_an_error_event_before_the_first_chunk_is_retried() -> None:
    """A provider that reports its overload inside the stream would fail the call."""
    refused = piece(b'data: {"error": {"message": "busy", "code": "server_overloaded"}}\n\n')
    async with scripted((REQUEST, STREAM, refused + END), (REQUEST, *WHOLE), max_retries=1) as (server, client):
        assert await ask(client, True) == "Hello."
        assert len(server.requests) == 2


@both
@pytest.mark.parametrize("fault", ["error-after-3-events", "reset-after-3-events", "cut-after-3-events"])
async def test_a_stream_is_never_retried_after_its_first_chunk(case: Case, fault: str) -> None:
    """A caller would get the beginning of a reply twice."""
    async with simulated(fault) as (sim, client):
        error = await failure(client, True, case.model)
        assert isinstance(error, OverloadedError if fault.startswith("error") else StreamInterruptedError)
        assert len(sim.requests) == error.attempts == 1
        assert error.partial is not None
        assert error.status_code is not None
        assert error.request_id


async def test_cancelling_while_a_call_waits_for_its_retry_ends_the_call() -> None:
    """A cancelled call would be sent again after its wait."""
    async with simulated(Fault.status(429, retry_after=0.2)) as (sim, client):
        task = asyncio.create_task(ask(client, False, "openai/gpt-4o"))
        while not sim.requests:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.25)
        assert len(sim.requests) == 1


# --- errors after chunks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [(RESET,), (FIN,), (STALL,), (END, STALL)], ids=str)
@pytest.mark.parametrize("apart", [True, False])
async def test_a_slow_consumer_gets_every_event_before_the_error(end: tuple[Step, ...], apart: bool) -> None:
    """The last chunks before a stream broke would be lost."""
    events = [event(str(i)) for i in range(5)]
    sent: list[Step] = [step for each in events for step in (0.01, each)] if apart else [0.01, b"".join(events)]
    script = (REQUEST, STREAM, *sent, 0.02, *end)
    async with scripted(script) as (_, client):
        texts = []
        with pytest.raises((StreamInterruptedError, APITimeoutError)) as caught:
            async with client.stream("openai/m", "Hi.", timeout=Timeout(idle=0.2)) as stream:
                async for text in stream.text:
                    texts.append(text)
                    if len(texts) == 1:
                        await asyncio.sleep(0.15)
        error = caught.value
        assert texts == ["0", "1", "2", "3", "4"]
        assert error.partial is not None
        assert error.partial.text == "01234"
        assert error.maybe_billed
        assert isinstance(error, APITimeoutError) == (end == (STALL,))
        assert error.attempts == 1


async def test_events_before_a_malformed_one_are_delivered_first() -> None:
    """A malformed event would discard those that came in the same packet."""
    script = (REQUEST, STREAM, event("a") + event("b") + piece(b"data: {oops\n\n") + event("c") + END)
    async with scripted(script) as (_, client):
        texts = []
        with pytest.raises(APIResponseError) as caught:
            async with client.stream("openai/m", "Hi.") as stream:
                async for text in stream.text:
                    texts.append(text)
        assert texts == ["a", "b"]
        assert caught.value.partial is not None
        assert caught.value.partial.text == "ab"


# --- timeouts ------------------------------------------------------------------------------------------------------

STARTED = (STREAM, event("a"), event("b"))


@pytest.mark.parametrize(
    ("script", "timeout", "phase", "stream"),
    [
        ((REQUEST, STALL), Timeout(total=0.15), "total", False),
        ((REQUEST, STALL), Timeout(total=0.15), "total", True),
        ((REQUEST, STALL), 0.15, "total", False),
        ((REQUEST, head(200, {"Content-Length": "9"}), b"{", STALL), Timeout(total=0.15), "total", False),
        ((REQUEST, head(200, {"Content-Length": "9"}), b"{", STALL), Timeout(idle=0.15), "idle", False),
        ((REQUEST, STALL), Timeout(first_chunk=0.15), "first_chunk", True),
        ((REQUEST, STREAM, STALL), Timeout(first_chunk=0.15), "first_chunk", True),
        ((REQUEST, STREAM, *[piece(b": ping\n\n"), 0.03] * 20), Timeout(first_chunk=0.15), "first_chunk", True),
        ((REQUEST, *STARTED, STALL), Timeout(idle=0.15), "idle", True),
        ((REQUEST, *STARTED, STALL), Timeout(total=0.15), "total", True),
        ((REQUEST, STREAM, *[event("a"), 0.03] * 20), Timeout(total=0.15), "total", True),
    ],
    ids=[
        "total-headers-plain",
        "total-headers-stream",
        "total-as-a-number",
        "total-body",
        "idle-body",
        "first-chunk-headers",
        "first-chunk-body",
        "first-chunk-comments",
        "idle-stream",
        "total-stalled-stream",
        "total-lively-stream",
    ],
)
async def test_each_timeout_ends_its_phase(
    script: tuple[Step, ...], timeout: float | Timeout, phase: str, stream: bool
) -> None:
    """A call would hang, or an error would name the wrong timeout."""
    async with scripted(script, max_retries=0) as (server, client):
        started = time.monotonic()
        error = await failure(client, stream, timeout=timeout)
        assert 0.14 < time.monotonic() - started < 0.4
        assert isinstance(error, APITimeoutError)
        assert isinstance(error, TimeoutError)
        assert (error.phase, error.provider, error.attempts) == (phase, "openai", 1)
        assert error.maybe_billed
        assert "0.15" in str(error) or phase == "total"
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        await asyncio.sleep(0)
        while server.open:
            await asyncio.sleep(0.005)


async def test_the_total_timeout_includes_all_attempts_and_waits() -> None:
    """The total timeout would start again with each attempt."""
    async with scripted((REQUEST, 0.1, FIN), max_retries=50, timeout=0.9) as (server, client):
        started = time.monotonic()
        error = await failure(client, False)
        assert time.monotonic() - started < 1.2
        assert isinstance(error, APIConnectionError)
        assert len(server.requests) >= 2


async def test_a_default_total_timeout_ends_with_the_first_chunk_and_an_explicit_one_does_not() -> None:
    """Long working streams would be cut, or a caller's own timeout ignored."""
    script = (REQUEST, STREAM, *[event("a"), 0.05] * 6, event(finish_reason="stop"), DONE + END)
    # A timeout of the type that marks the default of ten minutes, but short.
    default = Timeout()
    short = Timeout(total=type(default.total)(0.15))  # type: ignore[misc, arg-type]
    assert not short.total_is_explicit
    async with scripted(script, max_retries=0) as (_, client):
        assert await ask(client, True, timeout=short) == "aaaaaa"
        error = await failure(client, True, timeout=Timeout(total=0.15))
        assert isinstance(error, APITimeoutError)
        assert error.phase == "total"
        assert error.partial is not None
        assert error.partial.text in ("aaa", "aaaa")


async def test_a_slow_consumer_never_times_out() -> None:
    """A consumer that takes its time between two chunks would lose the stream."""
    script = (REQUEST, STREAM, *[event(str(i)) for i in range(4)], 0.05, event(finish_reason="stop"), DONE + END)
    async with scripted(script, max_retries=0) as (_, client):
        texts = []
        async with client.stream("openai/m", "Hi.", timeout=Timeout(first_chunk=0.1, idle=0.1)) as stream:
            async for text in stream.text:
                texts.append(text)
                await asyncio.sleep(0.15)
        assert "".join(texts) == "0123"


async def test_a_stream_that_is_read_late_does_not_time_out() -> None:
    """A first chunk that has arrived would be lost to the first-chunk timeout."""
    async with scripted((REQUEST, *WHOLE), max_retries=0) as (_, client):
        stream = await client.create("openai/m", "Hi.", stream=True, timeout=Timeout(first_chunk=0.1, idle=0.1))
        await asyncio.sleep(0.2)
        assert (await stream.get_final_completion()).text == "Hello."


@plain_and_stream
@pytest.mark.parametrize("script", [(REQUEST, STALL), (REQUEST, *STARTED, STALL)], ids=["headers", "body"])
async def test_the_callers_own_timeout_is_not_an_error_of_the_package(stream: bool, script: tuple[Step, ...]) -> None:
    """The end of a caller's timeout would be retried, or become another error."""
    async with scripted(script) as (server, client):
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.1):
                await ask(client, stream)
        assert type(caught.value) is TimeoutError
        assert len(server.requests) == 1
        while server.open:
            await asyncio.sleep(0.005)


# --- invalid responses ---------------------------------------------------------------------------------------------


@plain_and_stream
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_error_and_nothing_is_sent_to_its_target(stream: bool, status: int) -> None:
    """A key and a prompt would be sent to the target of any redirect."""
    async with RawServer((REQUEST, answer())) as target:
        moved = answer(b"", status, {"Location": f"{target.url}/v1/chat/completions?secret=1"})
        async with scripted((REQUEST, moved)) as (server, client):
            error = await failure(client, stream)
            assert type(error) is APIResponseError
            assert error.status_code == status
            assert "127.0.0.1" in str(error)
            assert "secret" not in str(error)
            assert len(server.requests) == 1
        assert target.connections == 0


HTML = b"<!DOCTYPE html><title>Please log in</title>"


@pytest.mark.parametrize(
    ("response", "stream"),
    [
        (answer(HTML, headers={"Content-Type": "text/html; charset=utf-8"}), False),
        (answer(HTML, headers={"Content-Type": "text/html; charset=utf-8"}), True),
        (answer(b""), False),
        (answer(b'{"id": "x", "cho'), False),
        (answer(b'{"id": "x", "cho'), True),
        (answer([]), False),
        (answer({"id": "x"}), False),
        (answer({"id": "x", "choices": []}), False),
        (answer(b"\xff\xfe"), False),
        (head(200, {"Content-Type": "text/event-stream"}) + b"data: {oops\n\n", True),
        (head(200, {"Content-Type": "text/event-stream"}) + b'data: {"choices": 7}\n\n', True),
    ],
    ids=[
        "html-plain",
        "html-stream",
        "empty",
        "cut-json",
        "cut-json-stream",
        "list",
        "no-choices",
        "empty-choices",
        "bytes",
        "event",
        "event-shape",
    ],
)
async def test_a_response_that_is_not_a_completion_is_an_error_of_the_package(response: bytes, stream: bool) -> None:
    """A login page or an incomplete JSON text would be an empty reply, or an exception of another library."""
    async with scripted((REQUEST, response, FIN)) as (server, client):
        error = await failure(client, stream)
        assert type(error) is APIResponseError
        assert (error.provider, error.status_code, error.attempts) == ("openai", 200, 1)
        assert error.__context__ is None
        assert len(server.requests) == 1


async def test_an_empty_stream_is_an_interrupted_stream() -> None:
    """A response without a body would be an empty reply."""
    empty = head(200, {"Content-Type": "text/event-stream", "Content-Length": "0"})
    async with scripted((REQUEST, empty) * 3) as (_, client):
        error = await failure(client, True)
        assert isinstance(error, StreamInterruptedError)
        assert error.maybe_billed


@both
@plain_and_stream
@pytest.mark.parametrize("fault", ["html", "empty", "malformed-json"])
async def test_an_invalid_response_is_an_error_in_each_format(case: Case, stream: bool, fault: str) -> None:
    """One format would take a login page for a reply."""
    async with simulated(fault) as (_, client):
        error = await failure(client, stream, case.model)
        assert isinstance(error, APIResponseError | StreamInterruptedError)


async def test_an_error_object_with_status_200_is_that_error() -> None:
    """A gateway's error with status 200 would be a reply without text."""
    refusal = answer({"error": {"message": "no", "code": "insufficient_quota"}})
    async with scripted((REQUEST, refusal) * 2) as (_, client):
        for stream in (False, True):
            assert isinstance(await failure(client, stream), QuotaExceededError)


async def test_a_whole_reply_to_a_stream_request_is_one_chunk() -> None:
    """Streams would fail at a gateway that does not stream."""
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    whole = completion("Hello.") | {"usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}
    whole["choices"][0]["message"]["tool_calls"] = [call]
    async with scripted((REQUEST, answer(whole))) as (_, client):
        async with client.stream("openai/m", "Hi.") as stream:
            chunks = [chunk async for chunk in stream]
            final = await stream.get_final_completion()
        assert len(chunks) == 1
        assert chunks[0].object == "chat.completion.chunk"
        assert chunks[0].choices[0].delta.content == "Hello."
        assert chunks[0].raw == whole
        assert final.text == "Hello."
        assert final.choices[0].message.tool_calls is not None
        assert final.choices[0].message.tool_calls[0].id == "c1"
        assert final.usage is not None
        assert final.usage.total_tokens == 3


@plain_and_stream
@pytest.mark.parametrize("compressed", [False, True])
async def test_a_body_beyond_the_limit_is_refused(stream: bool, compressed: bool) -> None:
    """An endless or highly compressed response would fill the memory."""
    size = 33 * 1024 * 1024
    if compressed:
        response = answer(gzip.compress(bytes(size), 1), headers={"Content-Encoding": "gzip"})
    else:
        response = answer(bytes(size))
    async with scripted((REQUEST, response, FIN)) as (_, client):
        error = await failure(client, stream)
        assert isinstance(error, APIResponseError)
        assert "larger" in str(error)


async def test_an_endless_event_is_refused() -> None:
    """A stream that never ends its first event would fill the memory."""
    size = 1024 * 1024
    script = (REQUEST, STREAM, piece(b"data: "), *[piece(b"x" * size)] * 65, STALL)  # of 64 MiB at most
    async with scripted(script) as (_, client):
        error = await failure(client, True)
        assert isinstance(error, APIResponseError)
        assert "longer" in str(error)


async def test_a_long_error_body_is_truncated() -> None:
    """A provider's error page would fill logs and memory."""
    async with scripted((REQUEST, answer(b"x" * 1_000_000, 400), FIN)) as (_, client):
        error = await failure(client, False)
        assert isinstance(error, BadRequestError)
        assert error.body is not None
        assert len(error.body) <= 2048
        assert len(str(error)) <= 501


# --- what is sent --------------------------------------------------------------------------------------------------


async def test_a_request_has_the_key_headers_query_and_body_of_the_options() -> None:
    """An option would be accepted and not sent."""
    async with scripted((REQUEST, answer(), REQUEST, *WHOLE)) as (server, client):
        options: Mapping[str, Any] = {
            "extra_headers": {"X-Mine": "yes"},
            "extra_query": {"q": "a b&c"},
            "extra_body": {"top_k": 4},
            "organization": "org",
            "project": "proj",
        }
        await ask(client, False, **options)
        await ask(client, True, **options)
        plain, stream = server.requests
    for request in (plain, stream):
        assert request.line == "POST /chat/completions?q=a+b%26c HTTP/1.1"
        assert request.headers["authorization"] == "Bearer key"
        assert request.headers["x-mine"] == "yes"
        assert (request.headers["openai-organization"], request.headers["openai-project"]) == ("org", "proj")
        assert request.headers["content-type"] == "application/json"
        assert json.loads(request.body)["top_k"] == 4
    assert plain.headers["accept"] == "application/json"
    assert stream.headers["accept"] == "text/event-stream"
    assert stream.headers["accept-encoding"] == "identity"


async def test_a_key_function_is_called_for_every_attempt() -> None:
    """A token that expired between two attempts would be sent again."""
    keys = iter(["first", "second", "third"])

    async def key() -> str:
        return next(keys)

    refusal = answer({"error": {"message": "no"}}, 500, {"Retry-After": "0.01"})
    async with (
        RawServer((REQUEST, refusal, REQUEST, answer())) as server,
        AsyncCompletion(base_urls={"openai": server.url}, api_keys={"openai": key}) as client,
    ):
        await client.create("openai/m", "Hi.")
    assert [request.headers["authorization"] for request in server.requests] == ["Bearer first", "Bearer second"]


async def test_a_key_that_a_response_repeats_is_not_shown() -> None:
    """An error text of the provider would put the key into logs."""
    body = {"error": {"message": "Incorrect API key provided: sk-secret-1234"}}
    async with (
        RawServer((REQUEST, answer(body, 401))) as server,
        AsyncCompletion(base_urls={"openai": server.url}, api_keys={"openai": "sk-secret-1234"}) as client,
    ):
        error = await failure(client, False)
    assert isinstance(error, AuthenticationError)
    shown = str(error) + repr(error) + str(error.body) + str(error.args)
    assert "Incorrect API key" in shown
    assert "sk-secret" not in shown


async def test_a_request_that_is_not_json_serializable_is_refused_before_sending() -> None:
    """Such a value would raise an obscure error, or be sent as something else."""
    async with scripted((REQUEST, answer())) as (server, client):
        for stream in (False, True):
            with pytest.raises(InvalidRequestError) as caught:
                await ask(client, stream, extra_body={"x": object()})
            assert caught.value.param is not None
            assert caught.value.param.startswith("extra_body")
        assert server.connections == 0


async def test_a_large_prompt_is_sent_whole() -> None:
    """A long prompt would be cut off."""
    prompt = "word " * 1_000_000
    async with scripted((REQUEST, answer())) as (server, client):
        await client.create("openai/m", prompt)
        assert json.loads(server.requests[0].body)["messages"][0]["content"] == prompt
