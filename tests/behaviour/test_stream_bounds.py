"""What a stream keeps: bounded by default, and nothing but its end with `keep_text=False`."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pytest

from anycompletion import (
    APIResponseError,
    AsyncCompletion,
    CallNext,
    CallOptions,
    ChatCompletion,
    ChatCompletionChunk,
    ChatRequest,
    CompletionStream,
    InvalidRequestError,
    StreamInterruptedError,
)
from anycompletion.testing import SimulatorServer
from support.raw_server import DONE, END, REQUEST, STREAM, RawServer, event, piece
from support.simulated import MODEL_BY_DIALECT

MODELS = list(MODEL_BY_DIALECT.values())


@pytest.fixture
async def sim() -> AsyncIterator[SimulatorServer]:
    """A running simulator."""
    async with SimulatorServer(reply="one two three") as server:
        yield server


@pytest.fixture
async def client(sim: SimulatorServer) -> AsyncIterator[AsyncCompletion]:
    """A client of the simulator."""
    async with AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys, max_retries=0) as made:
        yield made


async def passed_on(request: ChatRequest, options: CallOptions, call_next: CallNext) -> Any:
    """A middleware that changes the chunks of streams."""
    reply = await call_next(request, options)

    def same(chunk: ChatCompletionChunk) -> ChatCompletionChunk:
        return chunk

    return reply.map(same) if isinstance(reply, CompletionStream) else reply


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("model", MODELS)
async def test_a_stream_without_text_delivers_everything_and_keeps_its_end(
    model: str, count: int, client: AsyncCompletion
) -> None:
    """A reader who needs no reply at the end would lose chunks, the finish reasons or the usage."""
    ends: list[ChatCompletion] = []
    texts = [""] * count
    async with client.stream(model, "Hello!", n=count, keep_text=False) as stream:
        stream.on_end(lambda reply, error: ends.append(reply))
        async for chunk in stream:
            for choice in chunk.choices:
                texts[choice.index] += choice.delta.content or ""
    assert texts == ["one two three"] * count
    for reply in (stream.snapshot, ends[0]):
        assert [choice.message.content for choice in reply.choices] == [None] * count
        assert [choice.finish_reason for choice in reply.choices] == ["stop"] * count
        assert reply.id
        assert reply.usage is not None
        assert reply.usage.completion_tokens


@pytest.mark.parametrize("where", ["call", "view", "middleware"])
async def test_a_reply_that_was_not_kept_is_refused(where: str, sim: SimulatorServer) -> None:
    """A reply without its text would look like an empty one."""
    middleware = [passed_on] if where == "middleware" else []
    options: CallOptions = {} if where == "view" else {"keep_text": False}
    async with AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys, middleware=middleware) as client:
        view = client.with_options(keep_text=False) if where == "view" else client
        stream = view.stream(MODELS[0], "Hello!", **options)
        with pytest.raises(InvalidRequestError, match="keeps no text") as caught:
            await stream.get_final_completion()
        assert caught.value.param == "keep_text"
        assert "".join([text async for text in stream.text]) == "one two three"
        kept = await view.stream(MODELS[0], "Hello!", keep_text=True).get_final_completion()
        assert kept.text == "one two three"
        assert (await view.create(MODELS[0], "Hello!", keep_text=False)).text == "one two three"


async def test_an_interrupted_stream_has_its_end_only(sim: SimulatorServer, client: AsyncCompletion) -> None:
    """The error of a stream that keeps no text would keep it."""
    sim.fault = "cut-after-3-events"
    with pytest.raises(StreamInterruptedError) as caught:
        async for _ in client.stream(MODELS[0], "Hello!", keep_text=False):
            pass
    assert caught.value.partial is not None
    assert caught.value.partial.text == ""


async def test_a_long_stream_takes_no_memory_without_its_text(sim: SimulatorServer, client: AsyncCompletion) -> None:
    """A stream of any length would fill the memory although its reader needs no reply at the end."""
    sim.reply, sim.chunks = "x" * 20_000_000, 400
    async with client.stream(MODELS[0], "Hello!", keep_text=False) as stream:
        size = len((await anext(stream)).choices)
        gc.collect()
        tracemalloc.start()
        async for chunk in stream:
            size += sum(len(choice.delta.content or "") for choice in chunk.choices)
        del chunk
        kept = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    assert size > 19_000_000
    assert kept < 4_000_000


async def test_an_image_of_many_megabytes_is_one_event() -> None:
    """A picture that a model has painted, and that was paid for, would be refused."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 50_000_000}}
    painted = {"choices": [{"index": 0, "delta": {"images": [image]}, "finish_reason": "stop"}]}
    async with (
        RawServer((REQUEST, STREAM, event(**painted), DONE + END)) as server,
        AsyncCompletion(base_urls={"openai": server.url}, api_keys={"openai": "k"}, max_retries=0) as client,
    ):
        reply = await client.stream("openai/gpt-4o", "Paint!").get_final_completion()
    assert reply.message.extra["images"] == [image]


async def test_an_event_of_a_format_without_media_is_smaller() -> None:
    """A server of text could fill the memory with one event."""
    large = b'event: ping\ndata: {"type": "ping", "filling": "' + b"x" * 17_000_000 + b'"}\n\n'
    async with (
        RawServer((REQUEST, STREAM, piece(large) + END)) as server,
        AsyncCompletion(base_urls={"anthropic": server.url}, api_keys={"anthropic": "k"}, max_retries=0) as client,
    ):
        with pytest.raises(APIResponseError, match="longer than 16777216 bytes"):
            await client.stream("anthropic/claude-haiku-4-5", "Hello!").get_final_completion()
