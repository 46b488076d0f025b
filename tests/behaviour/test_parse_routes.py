"""Tests of typed calls over routes and fallbacks: each target is asked in its own mode."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

import pytest

from anycompletion import (
    AsyncCompletion,
    CallNext,
    CallOptions,
    ChatCompletionChunk,
    ChatRequest,
    ChunkChoice,
    Delta,
    FunctionDelta,
    Reply,
    ServiceUnavailableError,
    ToolCallDelta,
)
from anycompletion.routing import Route
from anycompletion.testing import FakeProvider, ParsedReply


@dataclass
class Recipe:
    title: str
    minutes: int


TOAST = Recipe("Toast", 5)

TARGETS = {
    "a schema of another form": ("anthropic/claude-haiku-4-5", "output_config"),
    "a tool": ("bedrock/us.anthropic.claude-3-haiku-20240307-v1:0", "toolConfig"),
    "JSON mode": ("groq/llama-3.3-70b-versatile", "response_format"),
    "the prompt": ("replicate/meta/meta-llama-3-8b-instruct", "input"),
}


def pass_on(request: ChatRequest, options: CallOptions, call_next: CallNext) -> Awaitable[Reply]:
    """Middleware that changes nothing."""
    return call_next(request, options)


@pytest.mark.parametrize("has_middleware", [False, True])
@pytest.mark.parametrize("name", TARGETS)
async def test_the_second_target_is_asked_in_its_own_mode(name: str, has_middleware: bool) -> None:
    """A fallback would refuse the form of another provider, or ignore it."""
    model, member = TARGETS[name]
    down = FakeProvider(*[ServiceUnavailableError("down")] * 4)
    other = FakeProvider(*[ParsedReply(TOAST)] * 4, name=model.partition("/")[0])
    routes = {"fast": Route(["openai/gpt-4o", model])}
    chain = [pass_on] if has_middleware else []
    async with AsyncCompletion(providers=[down, other], routes=routes, middleware=chain, max_retries=0) as client:
        routed = await client.parse("fast", "Toast?", Recipe)
        fallen = await client.parse("openai/gpt-4o", "Toast?", Recipe, fallbacks=[model])
        async with client.parse_stream("fast", "Toast?", Recipe) as stream:
            streamed = await stream.get_final_completion()
    assert [reply.parsed for reply in (routed, fallen, streamed)] == [TOAST] * 3
    assert all(member in call.body for call in other.requests)
    assert "Reply with" in str(other.requests[0].body) or member in ("output_config", "toolConfig")


PIECES = ['{"title": ', '"To', 'ast", ', '"minutes": 5', "}"]


@pytest.mark.parametrize("model", ["anthropic/claude-haiku-4-5", "groq/llama-3.3-70b-versatile"])
async def test_text_over_a_route_comes_at_once(model: str) -> None:
    """A stream over a route would have its whole text in the last chunk."""
    fake = FakeProvider(PIECES, PIECES, name=model.partition("/")[0])
    async with AsyncCompletion(providers=[fake], routes={"fast": Route([model])}) as client:
        stream = client.parse_stream("fast", "Toast?", Recipe)
        partials = [partial.data async for partial in stream.partials(every=0)]
        chunks = [chunk.choices[0].delta.content async for chunk in client.parse_stream("fast", "Toast?", Recipe)]
    assert partials[:3] == [{}, {"title": "To"}, {"title": "Toast"}]
    assert (await stream.get_final_completion()).parsed == TOAST
    assert [content for content in chunks if content] == PIECES


async def test_arguments_over_a_route_are_the_text() -> None:
    """The reply of a target that was asked for a call would be no value, or come at the end only."""
    call = [FunctionDelta("answer", "")] + [FunctionDelta(None, piece) for piece in PIECES]
    deltas = [Delta(content="So: "), *(Delta(tool_calls=[ToolCallDelta(0, None, None, each)]) for each in call)]
    pieces = [ChatCompletionChunk("i", [ChunkChoice(0, each)]) for each in deltas]
    fake = FakeProvider([*pieces, ChatCompletionChunk("i", [ChunkChoice(0, Delta(), "tool_calls")])], name="bedrock")
    async with AsyncCompletion(providers=[fake], routes={"fast": Route([TARGETS["a tool"][0]])}) as client:
        stream = client.parse_stream("fast", "Toast?", Recipe)
        partials = [partial.data async for partial in stream.partials(every=0)]
        reply = await stream.get_final_completion()
    assert partials[:3] == [{}, {"title": "To"}, {"title": "Toast"}]
    assert (reply.parsed, reply.choices[0].finish_reason) == (TOAST, "stop")


async def test_a_reask_over_a_route_is_adapted_as_well() -> None:
    """The second question would be asked in the form of another provider."""
    down = FakeProvider(*[ServiceUnavailableError("down")] * 2)
    other = FakeProvider("no JSON", ParsedReply(TOAST), name="groq")
    routes = {"fast": Route(["openai/gpt-4o", "groq/llama-3.3-70b-versatile"])}
    async with AsyncCompletion(providers=[down, other], routes=routes, max_retries=0) as client:
        reply = await client.parse("fast", "Toast?", Recipe, max_reasks=1)
    assert (reply.parsed, reply.info.reasks) == (TOAST, 1)
    roles: list[Any] = [message["role"] for message in other.requests[-1].body["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    assert other.requests[-1].body["response_format"] == {"type": "json_object"}


async def test_a_target_without_the_mode_that_is_demanded_is_passed_over() -> None:
    """The type would be sent in a mode that the caller has excluded, or no target be asked."""
    good = FakeProvider(ParsedReply(TOAST))
    other = FakeProvider(ParsedReply(TOAST), name="replicate")
    routes = {"fast": Route(["replicate/meta/meta-llama-3-8b-instruct", "openai/gpt-4o"])}
    async with AsyncCompletion(providers=[good, other], routes=routes, max_retries=0) as client:
        reply = await client.parse("fast", "Toast?", Recipe, mode="schema")
    assert (reply.parsed, other.requests, reply.info.target) == (TOAST, [], "openai/gpt-4o")
