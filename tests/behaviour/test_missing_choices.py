"""Tests of missing choices: a provider takes `n` and sends fewer, and the rest comes from further requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest

from anycompletion import (
    APITimeoutError,
    AsyncCompletion,
    BadRequestError,
    CallNext,
    CallOptions,
    ChatCompletion,
    ChatCompletionChunk,
    ChatRequest,
    CompletionStream,
    RateLimit,
    StreamInterruptedError,
    Timeout,
)
from anycompletion.options import DefaultSeconds
from anycompletion.streaming.missing_choices import free_index
from anycompletion.testing import FakeProvider, Fault, SimulatorServer
from support.raw_server import END, REQUEST, RESET, STALL, STREAM, Step, answer, piece
from support.resource_leaks import client_of
from support.scripted_client import scripted

MODEL = "openai/gpt-4o"
BOTH_WAYS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@pytest.fixture
async def sim() -> AsyncIterator[SimulatorServer]:
    async with SimulatorServer() as server:
        yield server


@pytest.fixture
async def client(sim: SimulatorServer) -> AsyncIterator[AsyncCompletion]:
    async with client_of(sim) as made:
        yield made


async def ask(client: AsyncCompletion, stream: bool, n: int = 2, **options: Any) -> ChatCompletion:
    """The reply to a request for `n` choices."""
    if not stream:
        return await client.create(MODEL, "Hi.", n=n, **options)
    async with client.stream(MODEL, "Hi.", n=n, **options) as opened:
        return await opened.get_final_completion()


def numbers(sim: SimulatorServer) -> list[int | None]:
    """The `n` of each request."""
    return [request.body.get("n") for request in sim.requests]


# --- how many requests ---------------------------------------------------------------------------------------------


class Case(NamedTuple):
    """Server that sends a number of choices, and what it is asked."""

    n: int
    faults: tuple[Fault, ...]
    asked: list[int | None]
    """The `n` of each request."""
    choices: int
    warning: str = ""


def few(choices: int, times: int | None = None) -> Fault:
    return Fault.named(f"{choices}-choices", times=times)


OTHERS = "the others come from further requests"
CASES = {
    "all come": Case(3, (), [3], 3),
    "one is missing": Case(3, (few(2, 1),), [3, None], 3, f"n: the provider sent 2 of 3 choices; {OTHERS}"),
    "several are missing": Case(4, (few(2, 1),), [4, 2], 4, f"n: the provider sent 2 of 4 choices; {OTHERS}"),
    "never more than one": Case(5, (few(1),), [5, 4, *[None] * 3], 5, f"n: the provider sent 1 of 5 choices; {OTHERS}"),
    "never more than two": Case(6, (few(2),), [6, 4, None, None], 8, "n: the provider sent 8 choices in place of 6"),
    "more than asked": Case(2, (few(3),), [2], 3, "n: the provider sent 3 choices in place of 2; all are kept"),
    "a further request brings more": Case(3, (few(1, 1), few(4)), [3, 2], 5, "n: the provider sent 5 choices in place"),
}


@BOTH_WAYS
@pytest.mark.parametrize("name", CASES)
async def test_missing_choices_are_asked_for(
    sim: SimulatorServer, client: AsyncCompletion, name: str, stream: bool
) -> None:
    """A caller would get fewer choices than it asked for, or more requests than needed would be made."""
    case = CASES[name]
    sim.fault = case.faults
    reply = await ask(client, stream, case.n)
    requests = len(case.asked)
    assert numbers(sim) == case.asked
    assert [choice.index for choice in reply.choices] == list(range(case.choices))
    assert all("Hi." in text for text in reply.texts)
    assert {choice.finish_reason for choice in reply.choices} == {"stop"}
    assert len(reply.info.warnings) == bool(case.warning)
    assert "".join(reply.info.warnings).startswith(case.warning)
    assert reply.info.attempts == requests
    assert len(reply.info.branches) == (requests if requests > 1 else 0)
    assert [branch.attempts for branch in reply.info.branches] == [1] * len(reply.info.branches)
    assert reply.usage is not None
    assert reply.usage.prompt_tokens == requests
    assert reply.usage.completion_tokens == sum(len(text.split()) for text in reply.texts)


@BOTH_WAYS
async def test_without_filling_the_difference_is_reported(
    sim: SimulatorServer, client: AsyncCompletion, stream: bool
) -> None:
    """`fill_choices=False` would make further requests all the same, or hide that choices are missing."""
    sim.fault = few(1)
    reply = await ask(client, stream, 3, fill_choices=False)
    assert numbers(sim) == [3]
    assert len(reply.choices) == 1
    assert reply.info.warnings == ["n: the provider sent 1 of 3 choices"]
    assert reply.usage is not None
    view = client.with_options(fill_choices=False)
    assert len((await ask(view, stream, 3)).choices) == 1
    assert len((await ask(view, stream, 3, fill_choices=True)).choices) == 3


async def test_providers_without_their_own_n_are_not_asked_again(sim: SimulatorServer, client: AsyncCompletion) -> None:
    """A fan-out would be followed by further requests."""
    sim.fault = few(1)
    reply = await client.create("anthropic/claude-haiku-4-5", "Hi.", n=3, max_tokens=9)
    assert (len(reply.choices), len(sim.requests), reply.info.warnings) == (3, 3, [])


@pytest.mark.parametrize("n", [None, 1])
async def test_one_choice_is_one_request(sim: SimulatorServer, client: AsyncCompletion, n: int | None) -> None:
    """A request for one choice would be checked, changed or repeated."""
    sim.fault = few(2)
    reply = await client.create(MODEL, "Hi.", n=n)
    assert (len(reply.choices), len(sim.requests), reply.info.warnings) == (2, 1, [])


@pytest.mark.parametrize(
    ("taken", "numbers"), [((), [0, 1]), ((0,), [1, 2]), ((1,), [0, 2]), ((0, 2, 3), [1, 4]), ((-1, 0), [1, 2])]
)
def test_free_indexes_are_given_in_order(taken: tuple[int, ...], numbers: list[int]) -> None:
    """Two choices would get one index, or an index would be left out."""
    assert [free_index(taken, number) for number in range(2)] == numbers
    assert free_index(taken, -5) == numbers[0]
    assert free_index((), 10**12) == 10**12


# --- what servers send ---------------------------------------------------------------------------------------------


USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def whole(name: str, *texts: str, usage: Any = USAGE, indexes: tuple[int, ...] | None = None, **fields: Any) -> bytes:
    """A reply with these texts."""
    choices = [
        {"index": index, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        for index, text in zip(indexes or range(len(texts)), texts, strict=True)
    ]
    return answer({"id": name, "model": "m", "created": 7, "choices": choices, "usage": usage} | fields)


def event(name: str, *choices: dict[str, Any], **fields: Any) -> bytes:
    data = {"id": name, "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": list(choices)}
    return piece(b"data: " + json.dumps(data | fields).encode() + b"\n\n")


def part(text: str = "", index: int = 0, reason: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": {"content": text}, "finish_reason": reason}


DONE = piece(b"data: [DONE]\n\n") + END
REFUSED = answer({"error": {"message": "no", "type": "invalid_request_error"}}, 400)


def streamed(name: str, *texts: str, usage: Any = USAGE) -> tuple[Step, ...]:
    """A stream with these texts."""
    choices = [event(name, part(text, index), part("", index, "stop")) for index, text in enumerate(texts)]
    return STREAM, *choices, *([event(name, usage=usage)] if usage else []), DONE


def reply_of(stream: bool, name: str, *texts: str, usage: Any = USAGE) -> tuple[Step, ...]:
    """The steps that answer one request."""
    return (REQUEST, *streamed(name, *texts, usage=usage)) if stream else (REQUEST, whole(name, *texts, usage=usage))


@BOTH_WAYS
async def test_the_reply_is_the_first_ones_with_more_choices(stream: bool) -> None:
    """Id, time or raw data would be those of a further request, or be lost."""
    script = (*reply_of(stream, "one", "a"), *reply_of(stream, "two", "b"), *reply_of(stream, "three", "c"))
    async with scripted(script) as (server, client):
        reply = await ask(client, stream, 3)
    assert (reply.id, reply.created, reply.texts) == ("one", 7, ["a", "b", "c"])
    assert len(server.requests) == 3
    assert stream or [each["id"] for each in reply.raw] == ["one", "two", "three"]


@BOTH_WAYS
async def test_usage_is_unknown_where_a_request_has_none(stream: bool) -> None:
    """The usage of some requests would count as the total."""
    script = (*reply_of(stream, "one", "a"), *reply_of(stream, "two", "b", usage=None))
    async with scripted(script) as (_, client):
        assert (await ask(client, stream)).usage is None


async def test_choices_with_one_index_are_numbered() -> None:
    """Two choices of a whole reply would have the index 0, as some servers send them."""
    async with scripted((REQUEST, whole("one", "a", "b", indexes=(0, 0)))) as (_, client):
        reply = await ask(client, stream=False)
    assert [choice.index for choice in reply.choices] == [0, 1]


@pytest.mark.parametrize("end", [DONE, END], ids=["with a marker", "without a marker"])
async def test_a_stream_with_fewer_choices_is_complete(end: bytes) -> None:
    """A stream that ends properly with one of two choices would be an interrupted one."""
    first = (REQUEST, STREAM, event("one", part("a")), event("one", part("", 0, "stop")), end)
    async with scripted((*first, *reply_of(True, "two", "b"))) as (_, client):
        assert (await ask(client, stream=True)).texts == ["a", "b"]


async def test_a_choice_without_its_end_interrupts_the_stream() -> None:
    """A choice that was cut would be asked for again, and its beginning be lost."""
    script = (REQUEST, STREAM, event("one", part("a", 0, "stop"), part("b", 1)), END)
    async with scripted(script) as (server, client):
        with pytest.raises(StreamInterruptedError) as caught:
            await ask(client, stream=True, n=3)
    assert caught.value.partial is not None
    assert caught.value.partial.texts == ["a", "b"]
    assert len(server.requests) == 1


async def test_chunks_of_the_first_answer_come_unchanged_and_at_once() -> None:
    """Chunks would be delayed until all choices are known, or be numbered anew."""
    first = (REQUEST, STREAM, event("one", part("a", 1)), 0.2, event("one", part("b", 1, "stop")), DONE)
    script = (*first, *reply_of(True, "two", "c"))
    async with scripted(script) as (_, client), client.stream(MODEL, "Hi.", n=2) as opened:
        async with asyncio.timeout(0.15):
            chunk = await anext(opened)
        assert (chunk.id, chunk.choices[0].index, chunk.choices[0].delta.content) == ("one", 1, "a")
        rest = [(each.id, each.choices[0].index) async for each in opened if each.choices]
    assert rest == [("one", 1), ("one", 0)]
    assert opened.snapshot.texts == ["c", "ab"]


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ([event("one", part("a", 0, "stop"), usage=USAGE)], 10),
        ([event("one", part("a"), usage=USAGE), event("one", part("", 0, "stop"))], 10),
        ([event("one", part("a"), usage=USAGE), event("one", part("", 0, "stop"), part("b", 1, "stop"))], 5),
        ([event("one", usage=USAGE), event("one", part("a", 0, "stop"), part("b", 1, "stop"))], 5),
        ([event("one", part("a", 0, "stop"), part("b", 1, "stop"), usage=USAGE)], 5),
    ],
    ids=[
        "at the end",
        "in an early chunk",
        "early, nothing missing",
        "alone, nothing missing",
        "late, nothing missing",
    ],
)
@pytest.mark.parametrize("asked", [False, True])
async def test_usage_anywhere_in_the_stream_is_counted_once(first: list[bytes], expected: int, asked: bool) -> None:
    """Usage would be lost or counted twice, or the last one that is delivered would be a part of the sum."""
    options: dict[str, Any] = {"stream_options": {"include_usage": True}} if asked else {}
    script = (REQUEST, STREAM, *first, DONE, *reply_of(True, "two", "b"))
    async with scripted(script) as (_, client), client.stream(MODEL, "Hi.", n=2, **options) as opened:
        usages = [chunk.usage.total_tokens async for chunk in opened if chunk.usage is not None]
        assert opened.usage is not None
        assert opened.usage.total_tokens == expected
        assert not asked or usages[-1] == expected


async def test_server_sent_events_end_once() -> None:
    """A browser would take the end of the first answer for the end of the stream."""
    script = (*reply_of(True, "one", "a"), *reply_of(True, "two", "b"))
    async with scripted(script) as (_, client), client.stream(MODEL, "Hi.", n=2) as opened:
        lines = b"".join([line async for line in opened.sse()])
    assert lines.count(b"[DONE]") == 1
    assert lines.endswith(b"data: [DONE]\n\n")
    assert lines.index(b'"b"') > lines.index(b'"a"')


# --- failures ------------------------------------------------------------------------------------------------------


@BOTH_WAYS
@pytest.mark.parametrize("n", [2, 4])
async def test_a_failing_further_request_is_the_error(stream: bool, n: int) -> None:
    """Choices that came and were paid for would be lost with the request that failed."""
    further = reply_of(stream, "two", "b") if n == 4 else ()
    script = (*reply_of(stream, "one", "a"), *further, REQUEST, REFUSED)
    async with scripted(script, (REQUEST, 0.2, REFUSED)) as (_, client):
        with pytest.raises(BadRequestError) as caught:
            await ask(client, stream, n)
    assert caught.value.partial is not None
    assert caught.value.partial.texts == (["a", "b"] if n == 4 else ["a"])
    assert caught.value.partial.choices[0].finish_reason == "stop"


async def test_a_cut_further_stream_is_interrupted_with_all_that_came() -> None:
    """The reader would take a cut choice for a whole one."""
    second = (REQUEST, STREAM, event("two", part("b")), 0.05, RESET)
    async with scripted((*reply_of(True, "one", "a"), *second)) as (_, client):
        with pytest.raises(StreamInterruptedError) as caught:
            await ask(client, stream=True)
    assert caught.value.partial is not None
    assert caught.value.partial.texts == ["a", "b"]
    assert caught.value.partial.info.attempts == 2


@BOTH_WAYS
async def test_further_requests_are_retried(sim: SimulatorServer, client: AsyncCompletion, stream: bool) -> None:
    """A temporary error of a further request would cost the whole reply."""
    sim.fault = (few(1, 1), Fault.status(503, retry_after=0.01, times=1))
    reply = await ask(client, stream)
    assert len(reply.choices) == 2
    assert reply.info.attempts == len(sim.requests) == 3
    assert [branch.attempts for branch in reply.info.branches] == [1, 2]


@BOTH_WAYS
async def test_the_total_timeout_covers_further_requests(stream: bool) -> None:
    """A call with a timeout would take longer than it allows."""
    script = (*reply_of(stream, "one", "a"), REQUEST, STALL)
    async with scripted(script) as (_, client):
        with pytest.raises(APITimeoutError) as caught:
            async with asyncio.timeout(2):
                await ask(client, stream, timeout=0.3)
    assert caught.value.phase == "total"
    assert caught.value.partial is not None
    assert caught.value.partial.texts == ["a"]


async def test_a_default_total_does_not_include_the_first_stream() -> None:
    """A long stream would leave no time for its further requests, although its own total had ended."""
    script = (REQUEST, STREAM, event("one", part("a")), 0.3, event("one", part("", 0, "stop")), DONE)
    async with scripted((*script, *reply_of(True, "two", "b"))) as (_, client):
        timeout = Timeout(total=DefaultSeconds(0.2))
        assert (await ask(client, stream=True, timeout=timeout)).texts == ["a", "b"]


@BOTH_WAYS
async def test_cancelling_ends_the_further_request(stream: bool) -> None:
    """A request of a cancelled call would go on and be billed."""
    async with scripted((*reply_of(stream, "one", "a"), REQUEST, STALL)) as (server, client):
        task = asyncio.create_task(ask(client, stream))
        while len(server.requests) < 2:
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(0.5):
            while server.open:
                await asyncio.sleep(0.005)


@pytest.mark.parametrize("n", [2, 4])
async def test_closing_the_stream_ends_the_further_requests(n: int) -> None:
    """A stream that is left early would leave its further requests running."""
    further = reply_of(True, "two", "b") if n == 4 else ()
    script = (*reply_of(True, "one", "a"), *further, REQUEST, STREAM, event("x", part("c")), STALL)
    async with scripted(script, (REQUEST, STREAM, event("y", part("d")), STALL)) as (server, client):
        async with client.stream(MODEL, "Hi.", n=n) as opened:
            async for chunk in opened:
                if any(choice.delta.content in ("c", "d") for choice in chunk.choices):
                    break
        async with asyncio.timeout(0.5):
            while server.open:
                await asyncio.sleep(0.005)
        with pytest.raises(StreamInterruptedError):
            await opened.get_final_completion()


# --- around the call -----------------------------------------------------------------------------------------------


@BOTH_WAYS
async def test_middleware_and_logger_see_one_call(sim: SimulatorServer, stream: bool) -> None:
    """Middleware and loggers would see further requests as calls of their own."""
    sim.fault = few(1)
    seen: list[int | None] = []
    events: list[dict[str, Any]] = []

    async def count(request: ChatRequest, options: CallOptions, call_next: CallNext) -> Any:
        seen.append(request.n)
        return await call_next(request, options)

    async with client_of(sim, middleware=[count]) as client:
        assert len((await ask(client, stream, 3, logger_fn=events.append)).choices) == 3
    assert seen == [3]
    async with client_of(sim) as client:
        assert len((await ask(client, stream, 3, logger_fn=events.append)).choices) == 3
    assert [each["event"] for each in events[-2:]] == ["request", "reply"]
    assert len(events[-1]["response"]["choices"]) == 3


async def test_middleware_may_turn_filling_off(sim: SimulatorServer) -> None:
    """The option would not pass through middleware."""
    sim.fault = few(1)

    async def keep(request: ChatRequest, options: CallOptions, call_next: CallNext) -> Any:
        return await call_next(request, {**options, "fill_choices": False})

    async with client_of(sim, middleware=[keep]) as client:
        assert len((await ask(client, stream=False)).choices) == 1


async def test_a_batch_counts_one_item(sim: SimulatorServer, client: AsyncCompletion) -> None:
    """An item with several choices would be several results, or have too few choices."""
    sim.fault = few(1)
    requests = [ChatRequest(MODEL, f"Question {number}.", n=3) for number in range(4)]
    async with client.batch(requests) as run:
        results = [result async for result in run]
    assert len(results) == 4
    assert all(result.completion is not None and len(result.completion.choices) == 3 for result in results)
    assert len(sim.requests) == 12


@BOTH_WAYS
async def test_limits_count_every_request(sim: SimulatorServer, stream: bool) -> None:
    """Further requests would exceed the client's limits, or wait for a slot that their own call holds."""
    sim.fault = few(1)
    async with client_of(sim, limits={"openai": RateLimit(concurrency=1)}) as client:
        async with asyncio.timeout(5):
            replies = await asyncio.gather(*(ask(client, stream, 3) for _ in range(3)))
    assert [len(reply.choices) for reply in replies] == [3, 3, 3]


@BOTH_WAYS
async def test_a_fake_provider_can_send_fewer_choices(stream: bool) -> None:
    """An app's handling of such a provider could not be tested without a server."""
    fake = FakeProvider("a", "b", "c", fault=Fault.named("1-choice", times=1))
    async with AsyncCompletion(providers=[fake]) as client:
        reply = await ask(client, stream, 3)
    assert reply.texts == ["a", "b", "c"]
    assert [request.body.get("n") for request in fake.requests[0].wire] == [3, 2]
    assert len(fake.requests) == 1


async def test_a_mapped_stream_has_all_choices(sim: SimulatorServer, client: AsyncCompletion) -> None:
    """A stream that is mapped would end with the first answer."""
    sim.fault = few(1)
    opened: CompletionStream = client.stream(MODEL, "Hi.", n=2)

    def same(chunk: ChatCompletionChunk) -> ChatCompletionChunk:
        return chunk

    mapped = opened.map(same)
    final = await mapped.get_final_completion()
    assert len(final.choices) == 2
    assert final.usage is not None
    assert final.usage.prompt_tokens == 2
