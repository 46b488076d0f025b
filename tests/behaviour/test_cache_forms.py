"""Tests of stored replies of every wire format: a stream gives the same chunks, a plain call the same reply."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import attrs
import pytest

from anycompletion import (
    AsyncCompletion,
    CallNext,
    CallOptions,
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionMessage,
    ChatRequest,
    Choice,
    CompletionStream,
    Reply,
    TextPart,
)
from anycompletion.caching import MemoryStore, cached
from anycompletion.records.chunks import ChunkChoice, Delta
from anycompletion.streaming.accumulator import accumulated
from anycompletion.testing import FakeProvider, SimulatorServer
from support.simulated import MODEL_BY_DIALECT, WITH_FUNCTIONS

TOOLS = [
    {
        "type": "function",
        "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
    }
]

CASES: dict[str, dict[str, Any]] = {
    "text": {},
    "three choices": {"n": 3},
    "tools": {"tools": TOOLS},
    "reasoning": {"reasoning_effort": "high"},
    "usage": {"stream_options": {"include_usage": True}},
}


@pytest.fixture
async def sim() -> AsyncIterator[SimulatorServer]:
    """A running simulator."""
    async with SimulatorServer() as server:
        yield server


@pytest.fixture
async def client(sim: SimulatorServer) -> AsyncIterator[AsyncCompletion]:
    """A client of the simulator with a cache."""
    middleware = [cached(MemoryStore())]
    async with AsyncCompletion(
        base_urls=sim.base_urls, api_keys=sim.api_keys, middleware=middleware, on_unsupported="drop"
    ) as made:
        yield made


def comparable(reply: ChatCompletion) -> ChatCompletion:
    """A reply without what differs in a stored one: the cost."""
    usage = None if reply.usage is None else attrs.evolve(reply.usage, cost=None)
    return attrs.evolve(reply, usage=usage)


def chunk_dicts(chunks: list[ChatCompletionChunk]) -> list[tuple[dict[str, Any], Any]]:
    """All that chunks contain, without costs."""
    found: list[tuple[dict[str, Any], Any]] = []
    for chunk in chunks:
        data = chunk.to_dict()
        data.get("usage", {}).pop("cost", None)
        found.append((data, chunk.raw))
    return found


async def read(client: AsyncCompletion, model: str, **params: Any) -> tuple[list[ChatCompletionChunk], ChatCompletion]:
    """The chunks and the reply of a stream."""
    async with client.stream(model, "Hi there", **params) as stream:
        chunks = [chunk async for chunk in stream]
        return chunks, await stream.get_final_completion()


def of_case(dialect: str, case: str) -> str:
    """The model of a dialect; skips what its format does not have."""
    model = MODEL_BY_DIALECT[dialect]
    if case == "tools" and model not in WITH_FUNCTIONS:
        pytest.skip("the model has no functions")
    return model


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dialect", MODEL_BY_DIALECT)
async def test_a_stored_stream_gives_the_same_chunks_and_reply(
    dialect: str, case: str, client: AsyncCompletion, sim: SimulatorServer
) -> None:
    """A reader of a stored stream would get other pieces, and a plain call another reply than the stream's."""
    model, params = of_case(dialect, case), CASES[case]
    chunks, reply = await read(client, model, **params)
    sim.requests.clear()
    again, stored = await read(client, model, **params)
    plain = await client.create(model, "Hi there", **params)
    assert sim.requests == []
    assert chunk_dicts(again) == chunk_dicts(chunks)
    assert comparable(stored) == comparable(plain) == comparable(reply)
    assert stored.info.cached
    assert plain.info.cached
    assert plain.raw == plain.to_dict()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dialect", MODEL_BY_DIALECT)
async def test_a_stored_reply_is_the_same_and_streams(
    dialect: str, case: str, client: AsyncCompletion, sim: SimulatorServer
) -> None:
    """A plain call would get another reply than the first one, or a stream a part of it."""
    model, params = of_case(dialect, case), CASES[case]
    reply = await client.create(model, "Hi there", **params)
    sim.requests.clear()
    plain = await client.create(model, "Hi there", **params)
    chunks, streamed = await read(client, model, **params)
    assert sim.requests == []
    assert comparable(plain) == comparable(reply)
    assert plain.raw == reply.raw
    assert comparable(streamed).choices == comparable(reply).choices
    assert comparable(streamed).usage == comparable(reply).usage
    assert len(chunks) == 1
    assert streamed.info.cached


async def test_usage_is_a_chunk_only_where_it_is_asked_for(client: AsyncCompletion) -> None:
    """A reader who wants no chunk without choices would get one, or a reader who wants it none."""
    asked = {"stream_options": {"include_usage": True}}
    for first, second in (({}, asked), (asked, {})):
        prompt = str(first)
        texts: list[int] = []
        for params in (first, second, first):
            async with client.stream("openai/gpt-4o", prompt, **cast("Any", params)) as stream:
                chunks = [chunk async for chunk in stream]
            texts.append(sum(not chunk.choices for chunk in chunks))
            assert stream.usage is not None
            assert stream.usage.completion_tokens
        assert texts == [int(bool(first)), int(bool(second)), int(bool(first))]


# --- odd replies ------------------------------------------------------------------------------------------------------

ODD_CHUNKS = [
    ChatCompletionChunk("id", [ChunkChoice(0, Delta(role="assistant", content=""))], 5, "m", native=b'{"a": 1}'),
    ChatCompletionChunk("id", [ChunkChoice(0, Delta(content="\u2028\n\r \x85é"))], 5, "m", native="text\n"),
    ChatCompletionChunk("id", [ChunkChoice(0, Delta(refusal="no", extra={"images": [{"a": [1, None]}]}))], 5, "m"),
    ChatCompletionChunk("id", [ChunkChoice(0, Delta(reasoning_content="why"))], 5, "m", native={"not": "bytes"}),
    ChatCompletionChunk("id", [], 5, "m", prompt_filter_results=[{"a": 1}], extra={"provider": "x"}),
    ChatCompletionChunk("id", [ChunkChoice(0, Delta(), "stop", native_finish_reason="end", extra={"b": 2})], 5, "m"),
    ChatCompletionChunk("id", [ChunkChoice(0, Delta(), "stop", native_finish_reason="pause", paused=True)], 5, "m"),
]
"""Chunks with all kinds of members."""


class Chunks:
    """Middleware that answers with given chunks."""

    def __init__(self, chunks: list[ChatCompletionChunk]) -> None:
        self.chunks = chunks
        self.calls = 0

    async def __call__(self, request: ChatRequest, options: CallOptions, call_next: CallNext) -> Reply:
        self.calls += 1
        reply = await call_next(request, options)
        assert isinstance(reply, CompletionStream)
        left = iter(self.chunks)
        return reply.map(lambda chunk: next(left, None))


def client_with(*middleware: Any, replay: Any = "at_once") -> AsyncCompletion:
    """A client with a cache around other middleware, whose provider sends many chunks."""
    fake = FakeProvider(lambda request: "a b c d e f g h")
    return AsyncCompletion(providers=[fake], middleware=[cached(MemoryStore(), replay=replay), *middleware])


async def test_every_member_of_a_chunk_is_stored() -> None:
    """A refusal, a reasoning, an image or a member that is not OpenAI's would be missing in a stored stream."""
    answer = Chunks(ODD_CHUNKS)
    async with client_with(answer) as client:
        first, whole = await read(client, "openai/gpt-4o")
        again, stored = await read(client, "openai/gpt-4o")
        plain = await client.create("openai/gpt-4o", "Hi there")
    assert answer.calls == 1
    assert first == ODD_CHUNKS
    assert chunk_dicts(again) == chunk_dicts(first)
    assert comparable(stored) == comparable(whole) == comparable(plain)


async def test_parts_of_a_message_are_stored() -> None:
    """A turn of a conversation would go back to its provider without its parts."""
    message = ChatCompletionMessage("a b", parts=[TextPart("a "), TextPart("b", extra={"signature": "x"})])
    reply = ChatCompletion("id", [Choice(0, message, "stop")], "m", 1)

    async def answer(request: ChatRequest, options: CallOptions, call_next: CallNext) -> Reply:
        return reply

    async with client_with(answer) as client:
        await client.create("openai/gpt-4o", "Hi")
        stored = await client.create("openai/gpt-4o", "Hi")
    assert stored.info.cached
    assert stored == reply
    assert stored.message.parts == message.parts


async def test_a_reader_that_keeps_no_text_stores_the_whole_stream() -> None:
    """The next reader would get an empty reply."""
    async with client_with() as client:
        async with client.stream("openai/gpt-4o", "Hi there", keep_text=False) as stream:
            chunks = [chunk async for chunk in stream]
        plain = await client.create("openai/gpt-4o", "Hi there")
        async with client.stream("openai/gpt-4o", "Hi there", keep_text=False) as stream:
            assert [chunk async for chunk in stream] == chunks
    assert plain.info.cached
    assert plain.text == accumulated(chunks).text == "a b c d e f g h"


async def test_long_streams_let_other_tasks_run() -> None:
    """A reader of a long stored stream would keep the whole service waiting."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    fake = FakeProvider(lambda request: "x " * 1000)
    async with AsyncCompletion(providers=[fake], middleware=[cached(MemoryStore())]) as client:
        first, _ = await read(client, "openai/gpt-4o")
        task = asyncio.create_task(tick())
        again, _ = await read(client, "openai/gpt-4o")
        task.cancel()
    assert chunk_dicts(again) == chunk_dicts(first)
    assert ticks > 1


# --- replay with pauses -----------------------------------------------------------------------------------------------


async def test_a_recorded_stream_comes_with_its_pauses() -> None:
    """A demonstration would show the whole text at once."""
    fake = FakeProvider(lambda request: "a b c", chunk_delay=0.03)
    middleware = [cached(MemoryStore(), replay="recorded")]
    async with AsyncCompletion(providers=[fake], middleware=middleware) as client:
        first, whole = await read(client, "openai/gpt-4o")
        loop = asyncio.get_running_loop()
        began, times = loop.time(), list[float]()
        async with client.stream("openai/gpt-4o", "Hi there", timeout=60) as stream:
            async for _ in stream:
                times.append(loop.time() - began)
        assert stream.info.elapsed >= times[-1] > 0.05
    assert times == sorted(times)
    assert len(set(times)) > 2
    assert len(times) == len(first)
    assert comparable(stream.snapshot) == comparable(whole)


@pytest.mark.parametrize("how", ["cancel", "close"])
async def test_a_pause_ends_when_its_reader_leaves(how: str) -> None:
    """A task would hang in the pause of a recorded stream."""
    fake = FakeProvider(lambda request: "a b", chunk_delay=0.05)
    middleware = [cached(MemoryStore(), replay="recorded")]
    async with AsyncCompletion(providers=[fake], middleware=middleware) as client:
        await read(client, "openai/gpt-4o")
        stream = client.stream("openai/gpt-4o", "Hi there")
        await stream.open()
        await anext(stream)
        task = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        if how == "cancel":
            task.cancel()
        await stream.aclose()
        done, _ = await asyncio.wait([task], timeout=5)
        assert done
        assert task.cancelled() or task.exception() is not None
