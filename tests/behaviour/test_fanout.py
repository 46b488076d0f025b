"""Tests of fan-out: n concurrent requests as one reply or one stream, numbered, summed, failing together."""

from __future__ import annotations

import asyncio
import functools
import json
import pickle
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from anycompletion import (
    APIConnectionError,
    AsyncCompletion,
    BadRequestError,
    ChatCompletion,
    ChatCompletionChunk,
    ClientClosedError,
    CompletionError,
    CompletionStream,
    RateLimitError,
    StreamInterruptedError,
    Usage,
)
from anycompletion.calls.chunk_source import ChunkSource
from anycompletion.records import ChatCompletionMessage, Choice, ReplyInfo
from anycompletion.records.chunks import ChunkChoice, Delta
from anycompletion.streaming.fanout import MergedChunks, gather, merge_completions, total_usage
from anycompletion.testing import SimulatorServer
from support.raw_server import END, REQUEST, RESET, STALL, STREAM, answer, piece
from support.resource_leaks import Reader, client_of
from support.scripted_client import scripted

MODEL = "anthropic/claude-haiku-4-5"

scripted_anthropic = functools.partial(scripted, provider="anthropic")


def message(text: str, usage: bool = True) -> bytes:
    """A complete reply in Anthropic's format."""
    body: dict[str, Any] = {"id": f"msg-{text}", "type": "message", "role": "assistant", "model": "m"}
    body |= {"content": [{"type": "text", "text": text}], "stop_reason": "end_turn"}
    if usage:
        body["usage"] = {"input_tokens": 3, "output_tokens": 2}
    return answer(body)


REFUSED = answer({"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}, 400)


def sse(kind: str, **members: Any) -> bytes:
    data = json.dumps({"type": kind, **members}).encode()
    return piece(b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n")


def start(name: str) -> bytes:
    body = {"id": name, "type": "message", "role": "assistant", "model": "m", "content": []}
    head = sse("message_start", message=body | {"usage": {"input_tokens": 3, "output_tokens": 1}})
    return head + sse("content_block_start", index=0, content_block={"type": "text", "text": ""})


def text(content: str) -> bytes:
    return sse("content_block_delta", index=0, delta={"type": "text_delta", "text": content})


FINISH = (
    sse("content_block_stop", index=0)
    + sse("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 2})
    + sse("message_stop")
    + END
)


# --- replies -------------------------------------------------------------------------------------------------------


async def test_choices_are_numbered_and_usage_is_summed() -> None:
    """Choices would have the same index, or their usage would not be summed."""
    async with SimulatorServer() as sim, client_of(sim) as client:
        reply = await client.create(MODEL, "One two three.", n=3)
        assert [choice.index for choice in reply.choices] == [0, 1, 2]
        assert all("One two three" in text for text in reply.texts)
        assert len(set(reply.texts)) == 3
        assert reply.usage is not None
        assert reply.usage.prompt_tokens == 9
        assert reply.info.attempts == 3
        assert len(reply.info.branches) == 3
        assert [branch.attempts for branch in reply.info.branches] == [1, 1, 1]
        assert len({branch.request_id for branch in reply.info.branches}) == 3
        assert reply.info.request_id == reply.info.branches[0].request_id
        assert len(sim.requests) == 3
        assert all("n" not in request.body for request in sim.requests)


async def test_branches_run_concurrently() -> None:
    """Five choices would take five times as long as one."""
    async with (
        SimulatorServer(latency=0.2) as sim,
        client_of(sim) as client,
    ):
        async with asyncio.timeout(0.5):
            await client.create(MODEL, "Hi.", n=5)


async def test_usage_is_unknown_where_one_branch_has_none() -> None:
    """A sum over some of the branches would count as the total usage."""
    async with scripted_anthropic((REQUEST, message("a")), (REQUEST, message("b", usage=False))) as (_, client):
        reply = await client.create(MODEL, "Hi.", n=2)
        assert sorted(reply.texts) == ["a", "b"]
        assert reply.usage is None


async def test_a_failing_branch_ends_the_others_and_keeps_their_replies() -> None:
    """Other branches of a failed call would go on and be billed, or their replies would be lost."""
    scripts = ((REQUEST, message("a")), (REQUEST, 0.1, REFUSED), (REQUEST, message("c")), (REQUEST, STALL))
    async with scripted_anthropic(*scripts) as (server, client):
        async with asyncio.timeout(1):
            with pytest.raises(BadRequestError) as caught:
                await client.create(MODEL, "Hi.", n=4)
            while server.open:
                await asyncio.sleep(0.005)
        error = caught.value
        assert (error.provider, error.attempts, error.status_code) == ("anthropic", 1, 400)
        assert error.partial is not None
        assert sorted(error.partial.texts) == ["a", "c"]
        assert [choice.index for choice in error.partial.choices] == [0, 1]
        assert error.__context__ is None


async def test_a_branch_is_retried_on_its_own() -> None:
    """The retry of one branch would repeat all branches."""
    busy = answer({"error": {"type": "overloaded_error"}}, 529, {"Retry-After": "0.01"})
    async with scripted_anthropic((REQUEST, message("a")), (REQUEST, busy, REQUEST, message("b"))) as (server, client):
        reply = await client.create(MODEL, "Hi.", n=2)
        assert sorted(reply.texts) == ["a", "b"]
        assert reply.info.attempts == len(server.requests) == 3


async def test_cancelling_the_caller_ends_all_branches() -> None:
    """Branches of a cancelled call would go on."""
    async with scripted_anthropic((REQUEST, STALL)) as (server, client):
        task = asyncio.create_task(client.create(MODEL, "Hi.", n=3))
        while len(server.requests) < 3:
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(0.5):
            while server.open:
                await asyncio.sleep(0.005)


async def test_closing_the_client_ends_all_branches() -> None:
    """A call with several choices would wait for ever after the client was closed."""
    async with scripted_anthropic((REQUEST, STALL)) as (server, client):
        task = asyncio.create_task(client.create(MODEL, "Hi.", n=3))
        while len(server.requests) < 3:
            await asyncio.sleep(0.005)
        await client.aclose()
        with pytest.raises(ClientClosedError):
            async with asyncio.timeout(0.5):
                await task


async def test_an_unexpected_error_of_a_branch_is_raised_unchanged() -> None:
    """An unexpected error would be wrapped in an exception group."""
    mine = LookupError("mine")

    async def broken() -> ChatCompletion:
        raise mine

    with pytest.raises(LookupError) as caught:
        await gather([broken, broken])
    assert caught.value is mine


async def test_the_merged_reply_has_the_first_branchs_id_whichever_ended_first() -> None:
    """The order of the choices would depend on which branch ended first."""

    def branch(number: int) -> Callable[[], Awaitable[ChatCompletion]]:
        async def run() -> ChatCompletion:
            await asyncio.sleep(0.02 * (3 - number))
            message = ChatCompletionMessage(f"text {number}")
            completion = ChatCompletion(f"id-{number}", [Choice(0, message, "stop")], f"model-{number}")
            completion.info = ReplyInfo("p", "m", attempts=1, elapsed=float(number), warnings=["same"])
            return completion

        return run

    reply = await gather([branch(number) for number in range(3)])
    assert (reply.id, reply.model) == ("id-0", "model-0")
    assert reply.texts == ["text 0", "text 1", "text 2"]
    assert (reply.info.attempts, reply.info.elapsed, reply.info.warnings) == (3, 2.0, ["same"])


@pytest.mark.parametrize("provider", ["groq", "anthropic"])
async def test_the_raw_reply_is_the_list_of_the_branches_raw_replies(provider: str) -> None:
    """A branch's raw reply would be lost, parsed at each access, or missing after pickling."""
    served = "anthropic" if provider == "anthropic" else "openai"
    async with SimulatorServer() as sim:
        urls, keys = {provider: sim.base_urls[served]}, {provider: sim.api_keys[served]}
        async with AsyncCompletion(base_urls=urls, api_keys=keys) as client:
            reply = await client.create(f"{provider}/m", "Hi.", n=2)
    again: ChatCompletion = pickle.loads(pickle.dumps(reply))  # noqa: S301
    both = merge_completions([reply, again])
    ids = [each["id"] for each in reply.raw]
    assert len(set(ids)) == 2
    assert reply.raw is reply.raw
    assert [each["id"] for each in again.raw] == ids
    assert both.raw == [reply.raw, reply.raw]


def test_usage_is_summed_only_where_all_branches_have_it() -> None:
    """Token counts of some branches would count as the total."""
    usage = Usage(1, 2, 3)
    assert total_usage([usage, usage]) == Usage(2, 4, 6)
    assert total_usage([usage, None]) is None
    assert total_usage([None]) is None
    assert merge_completions([ChatCompletion("a", [], "m")]).usage is None


# --- streams -------------------------------------------------------------------------------------------------------


class ScriptedChunks(ChunkSource):
    """Source of chunks that follows a script of chunk lists, seconds to wait, and errors to raise."""

    def __init__(self, *steps: Sequence[ChatCompletionChunk] | float | CompletionError) -> None:
        self._info = ReplyInfo("p", "m", attempts=1)
        self.closed = False
        self.delivered = 0
        self._steps = iter(steps)

    @property
    def info(self) -> ReplyInfo:
        return self._info

    async def open(self) -> None:
        await asyncio.sleep(0)

    async def next(self) -> Sequence[ChatCompletionChunk] | None:
        for step in self._steps:
            if isinstance(step, CompletionError):
                raise step
            if isinstance(step, float):
                await asyncio.sleep(step)
            else:
                self.delivered += 1
                return step
        return None

    def close(self, end: CompletionError | None = None) -> None:
        self.closed = True

    async def wait_closed(self) -> None:
        pass


def chunks(name: str, *texts: str) -> list[ChatCompletionChunk]:
    return [ChatCompletionChunk(name, [ChunkChoice(0, Delta(content=each))], model="m") for each in texts]


def merge(*sources: ScriptedChunks) -> CompletionStream:
    tasks: set[asyncio.Task[None]] = set()
    return CompletionStream(MergedChunks(sources, tasks.add))


async def test_chunks_of_the_branches_interleave_under_their_numbers() -> None:
    """Texts of different choices would be mixed."""
    stream = merge(
        ScriptedChunks(chunks("a", "1"), 0.04, chunks("a", "2")),
        ScriptedChunks(0.02, chunks("b", "3"), 0.04, chunks("b", "4")),
    )
    seen = [(chunk.choices[0].index, chunk.choices[0].delta.content) async for chunk in stream]
    assert seen == [(0, "1"), (1, "3"), (0, "2"), (1, "4")]
    assert (await stream.get_final_completion()).texts == ["12", "34"]


async def test_a_second_choice_of_a_branch_is_a_choice_of_its_own() -> None:
    """The texts of two choices would be one text where a server sends more choices than one."""

    def two(name: str, *texts: str) -> list[ChatCompletionChunk]:
        choices = [ChunkChoice(4 - number, Delta(content=text)) for number, text in enumerate(texts)]
        return [ChatCompletionChunk(name, choices, model="m")]

    stream = merge(ScriptedChunks(two("a", "1", "2"), two("a", "3", "4")), ScriptedChunks(0.02, two("b", "5", "6")))
    assert (await stream.get_final_completion()).texts == ["13", "5", "24", "6"]


async def test_the_id_of_a_merged_stream_is_the_first_branchs_whichever_started_first() -> None:
    """A merged stream would have several ids, or that of the branch that happened to be the fastest."""
    stream = merge(
        ScriptedChunks(0.02, chunks("a", "1", "2")), ScriptedChunks(chunks("b", "3"), 0.04, chunks("b", "4"))
    )
    ids = [chunk.id async for chunk in stream]
    assert stream.snapshot.id == "a"
    assert set(ids) <= {"", "a"}


async def test_a_failing_branch_of_a_stream_ends_the_others_after_earlier_chunks() -> None:
    """A stream would go on without one choice, or lose chunks that had arrived."""
    error = RateLimitError("slow down")
    sources = ScriptedChunks(chunks("a", "1"), 5.0), ScriptedChunks(chunks("b", "2", "3"), error)
    stream = merge(*sources)
    seen = []
    with pytest.raises(RateLimitError) as caught:
        async for chunk in stream:
            seen.append(chunk.choices[0].delta.content)
            await asyncio.sleep(0.02)
    assert caught.value is error
    assert seen == ["1", "2", "3"]
    assert error.partial is not None
    assert error.partial.texts == ["1", "23"]
    assert all(source.closed for source in sources)
    await stream.aclose()


async def test_a_fast_branch_waits_for_the_consumer() -> None:
    """The queue of a slow consumer would grow without bound."""
    fast = ScriptedChunks(*[chunks("a", "x")] * 1000)
    stream = merge(fast, ScriptedChunks(*[chunks("b", "x")] * 1000))
    await anext(stream)
    await asyncio.sleep(0.05)
    assert fast.delivered < 20
    assert len([chunk async for chunk in stream]) == 1999


async def test_an_interrupted_branch_ends_the_stream_with_the_partial_texts_of_all() -> None:
    """An interrupted branch would end the stream without an error, or lose the other branches' texts."""
    good = (REQUEST, STREAM, start("a"), text("one"), 0.1, text("more"), STALL)
    async with scripted_anthropic(good, (REQUEST, STREAM, start("b"), text("two"), 0.05, RESET)) as (server, client):
        with pytest.raises(StreamInterruptedError) as caught:
            async with client.stream(MODEL, "Hi.", n=2) as stream:
                await stream.get_final_completion()
        assert caught.value.partial is not None
        assert sorted(caught.value.partial.texts) == ["one", "two"]
        assert isinstance(caught.value, APIConnectionError)
        while server.open:
            await asyncio.sleep(0.005)


async def test_a_refused_branch_ends_the_opening_of_all() -> None:
    """A stream would open although one of its branches was refused."""
    async with scripted_anthropic((REQUEST, REFUSED), (REQUEST, 0.05, STREAM, start("b"), STALL)) as (server, client):
        with pytest.raises(BadRequestError):
            async with asyncio.timeout(1):
                await client.create(MODEL, "Hi.", n=3, stream=True)
        while server.open:
            await asyncio.sleep(0.005)


async def test_the_info_of_a_merged_stream_sums_its_branches() -> None:
    """The info of a merged stream would lack attempts, times or usage of its branches."""
    script = (REQUEST, STREAM, start("a"), text("one"), FINISH)
    async with scripted_anthropic(script) as (_, client):
        async with client.stream(MODEL, "Hi.", n=3) as stream:
            assert stream.info.attempts == 3
            assert stream.info.status_code == 200
            final = await stream.get_final_completion()
        assert len(stream.info.branches) == 3
        assert all(branch.elapsed > 0 for branch in stream.info.branches)
        assert stream.info.elapsed >= max(branch.elapsed for branch in stream.info.branches)
        assert final.info is stream.info
        assert final.usage is not None
        assert (final.usage.prompt_tokens, final.usage.completion_tokens) == (9, 6)


@pytest.mark.parametrize("n", [1, 3])
async def test_a_slow_consumer_pauses_the_servers(n: int) -> None:
    """A slow consumer would fill the memory."""
    script = (REQUEST, STREAM, start("a"), *[text("x" * 60_000)] * 1000, STALL)
    async with scripted_anthropic(script) as (server, client), client.stream(MODEL, "Hi.", n=n) as stream:
        await anext(stream)
        last = -1
        while server.steps != last:
            last = server.steps
            await asyncio.sleep(0.1)
        assert server.steps < 500 * n
        await anext(stream)


async def test_a_waiting_branch_does_not_delay_the_others() -> None:
    """The slowest choice would delay all others."""
    slow = (REQUEST, STREAM, start("a"), STALL)
    quick = (REQUEST, STREAM, start("b"), *[text("x")] * 50, STALL)
    async with scripted_anthropic(slow, quick) as (_, client), client.stream(MODEL, "Hi.", n=2) as stream:
        reader = Reader(stream)
        async with asyncio.timeout(1):
            await reader.has(50)
        await stream.aclose()
        assert isinstance(await reader.end(), StreamInterruptedError)
