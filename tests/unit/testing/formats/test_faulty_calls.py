"""Tests of the faults that change calls of tools, in every simulated format that has them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from anycompletion import AsyncCompletion, ChatCompletion
from anycompletion.testing import FakeProvider, Fault, SimulatorServer
from support.simulated import MODEL_BY_DIALECT, WITH_FUNCTIONS

PARAMETERS = {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]}
LOOK = {"name": "look", "parameters": PARAMETERS}
DIALECTS = [name for name, model in MODEL_BY_DIALECT.items() if model in WITH_FUNCTIONS]
EVERY_FORMAT = pytest.mark.parametrize("dialect", DIALECTS)
WAYS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@pytest.fixture
async def client(sim: SimulatorServer) -> AsyncIterator[AsyncCompletion]:
    async with AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys) as client:
        yield client


async def ask(client: AsyncCompletion, dialect: str, stream: bool, **params: Any) -> ChatCompletion:
    """The reply of a model that may call the tool."""
    model = MODEL_BY_DIALECT[dialect]
    params = params or {"tools": [{"type": "function", "function": LOOK}]}
    if not stream:
        return await client.create(model, "Look!", **params)
    async with client.stream(model, "Look!", **params) as chunks:
        return await chunks.get_final_completion()


def ids(reply: ChatCompletion) -> list[str]:
    return [call.id for call in reply.message.tool_calls or ()]


@WAYS
@EVERY_FORMAT
@pytest.mark.parametrize("count", [1, 3, 20])
async def test_a_reply_calls_a_tool_several_times(
    sim: SimulatorServer, client: AsyncCompletion, dialect: str, stream: bool, count: int
) -> None:
    """A loop could not be tested with several calls in one turn, or they would have one id."""
    sim.fault = f"{count}-calls"
    reply = await ask(client, dialect, stream)
    calls = reply.message.tool_calls or []
    assert [(each.function.name, json.loads(each.function.arguments)) for each in calls] == [
        ("look", {"at": "some at"})
    ] * count
    assert len({*ids(reply)}) == count
    assert reply.choices[0].finish_reason == "tool_calls"


OWN_IDS = ("openai_responses", "anthropic_messages", "bedrock_converse", "gemini_generate", "ollama_chat")
"""Formats in which each call has an id, of the provider or of its dialect."""


@WAYS
@EVERY_FORMAT
async def test_ids_of_calls_are_missing_or_the_same(
    sim: SimulatorServer, client: AsyncCompletion, dialect: str, stream: bool
) -> None:
    """A loop could not be tested against servers without ids, or with one id for all calls."""
    sim.fault = "duplicate-call-ids"
    first, second = ids(await ask(client, dialect, stream))
    assert (first == second) is (dialect != "gemini_generate")
    sim.fault = "missing-call-ids"
    found = ids(await ask(client, dialect, stream))
    assert len(found) == 2
    assert any(found) or dialect not in OWN_IDS


@WAYS
@EVERY_FORMAT
async def test_calls_are_of_no_tool_or_have_wrong_arguments(
    sim: SimulatorServer, client: AsyncCompletion, dialect: str, stream: bool
) -> None:
    """A loop could not be tested against models that make such calls."""
    sim.fault = "unknown-tool"
    reply = await ask(client, dialect, stream)
    assert [call.function.name for call in reply.message.tool_calls or ()] == ["no_such_tool"]
    for fault, reason in (("broken-arguments", "tool_calls"), ("cut-call", "length")):
        sim.fault = fault
        reply = await ask(client, dialect, stream)
        (call,) = reply.message.tool_calls or ()
        assert "at" not in call.function.arguments
        assert (call.function.name, reply.choices[0].finish_reason) == ("look", reason)


@WAYS
@EVERY_FORMAT
async def test_a_legacy_call_can_be_faulty(
    sim: SimulatorServer, client: AsyncCompletion, dialect: str, stream: bool
) -> None:
    """The older form could not be tested with faulty calls."""
    sim.fault = "unknown-tool"
    reply = await ask(client, dialect, stream, functions=[LOOK])
    assert reply.message.function_call is not None
    assert reply.message.function_call.name == "no_such_tool"
    sim.fault = "cut-call"
    assert (await ask(client, dialect, stream, functions=[LOOK])).choices[0].finish_reason == "length"


@WAYS
@EVERY_FORMAT
async def test_only_anthropic_pauses_turns(
    sim: SimulatorServer, client: AsyncCompletion, dialect: str, stream: bool
) -> None:
    """A loop could not be tested against a paused turn, or other formats would have what they never send."""
    sim.fault = "pause-turn"
    reply = await ask(client, dialect, stream)
    assert reply.choices[0].paused is (dialect == "anthropic_messages")


@EVERY_FORMAT
async def test_a_fake_provider_has_these_faults_as_well(dialect: str) -> None:
    """A test with a fake would inject a fault that does nothing."""
    async with AsyncCompletion(providers=[FakeProvider(name="*", fault=["2-calls"])]) as client:
        assert len({*ids(await ask(client, dialect, stream=False))}) == 2
    async with AsyncCompletion(providers=[FakeProvider(name="*", fault=["cut-call"])]) as client:
        assert (await ask(client, dialect, stream=True)).choices[0].finish_reason == "length"


def test_numbers_of_calls_are_checked() -> None:
    """A reply with no calls would be taken for one with some."""
    assert Fault.named("20-calls").calls == 20
    with pytest.raises(ValueError, match="calls must be at least 1, got 0"):
        Fault.named("0-calls")
