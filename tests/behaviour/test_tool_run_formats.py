"""Tests of tool runs in every wire format, awaited and as events; the simulator refuses what providers would refuse."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from anycompletion import (
    AsyncCompletion,
    ChatCompletion,
    ChatCompletionMessage,
    Choice,
    FunctionCall,
    ImagePart,
    ImageUrl,
    TextPart,
    ToolMessage,
    UnsupportedParameterError,
)
from anycompletion.caching import MemoryStore, cached
from anycompletion.routing import Route
from anycompletion.testing import FakeProvider, Fault, SimulatorServer, tool_call
from anycompletion.tools import RunFinished, RunOutcome, ToolRun, tool
from support.simulated import MODEL_BY_DIALECT, SIMULATED, WITH_FUNCTIONS

MODELS = {name: model for name, model in {**SIMULATED, **MODEL_BY_DIALECT}.items() if model in WITH_FUNCTIONS}
NAMES = [name for name in MODELS if name in SIMULATED]
EVERY_FORMAT = pytest.mark.parametrize("name", NAMES)
WAYS = pytest.mark.parametrize("live", [False, True], ids=["awaited", "events"])
IMAGE = "data:image/png;base64,iVBORw0KGgo="


class Looks:
    """A tool that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0
        self.tool = tool(self.look)

    async def look(self, at: str = "the sea") -> str:
        """Looks."""
        self.calls += 1
        return f"{at}: a lighthouse"


@asynccontextmanager
async def simulated(*faults: Fault | str, **options: Any) -> AsyncIterator[tuple[SimulatorServer, AsyncCompletion]]:
    """A simulator, and a client of it."""
    async with (
        SimulatorServer(fault=faults) as simulator,
        AsyncCompletion(base_urls=simulator.base_urls, api_keys=simulator.api_keys, max_retries=0, **options) as client,
    ):
        yield simulator, client


async def finish(run: ToolRun[Any], live: bool) -> RunOutcome[Any]:
    """The outcome of a run that is awaited, or read as events."""
    if not live:
        return await run
    events = [event async for event in run.events()]
    assert isinstance(events[-1], RunFinished)
    return events[-1].outcome


def once(name: str) -> Fault:
    return Fault.named(name, times=1)


def contents(outcome: RunOutcome[Any]) -> list[Any]:
    """The contents of all results, text or JSON."""
    results = [message for message in outcome.messages if isinstance(message, ToolMessage)]
    return [json.loads(each.content) if str(each.content).startswith("{") else each.content for each in results]


def roles(outcome: RunOutcome[Any]) -> list[str]:
    return [message.role for message in outcome.messages]


# --- calls ------------------------------------------------------------------------------------------------------------


@WAYS
@EVERY_FORMAT
@pytest.mark.parametrize("count", [1, 3, 20])
async def test_calls_are_executed_and_the_model_answers(name: str, live: bool, count: int) -> None:
    """A provider would refuse the second request, or a call would have no result, another's, or two."""
    looks = Looks()
    async with simulated(once(f"{count}-calls")) as (simulator, client):
        outcome = await finish(client.run_tools(MODELS[name], "Look!", [looks.tool]), live)
    assert (outcome.status, looks.calls, len(outcome.turns)) == ("finished", count, 2)
    assert roles(outcome) == ["user", "assistant", *["tool"] * count, "assistant"]
    assert contents(outcome) == ["some at: a lighthouse"] * count
    ids = [message.tool_call_id for message in outcome.messages if isinstance(message, ToolMessage)]
    assert ids == [call.id for call in outcome.turns[0].calls]
    assert len({*ids}) == count
    assert "a lighthouse" in outcome.text
    assert len(simulator.requests) == 2


@WAYS
@EVERY_FORMAT
async def test_missing_and_equal_ids_are_replaced(name: str, live: bool) -> None:
    """Two results would answer one call, so that the provider refuses the transcript, or one result is lost."""
    for fault in ("missing-call-ids", "duplicate-call-ids"):
        looks = Looks()
        async with simulated(once(fault)) as (_, client):
            outcome = await finish(client.run_tools(MODELS[name], "Look!", [looks.tool]), live)
        assert (outcome.status, looks.calls) == ("finished", 2)
        ids = [message.tool_call_id for message in outcome.messages if isinstance(message, ToolMessage)]
        assert len({*ids}) == 2
        assert all(ids)


@WAYS
@EVERY_FORMAT
async def test_calls_that_cannot_run_are_answered_with_an_error(name: str, live: bool) -> None:
    """A run would end with an exception, or the model would not learn what is wrong with its call."""
    looks = Looks()
    async with simulated(once("unknown-tool")) as (_, client):
        outcome = await finish(client.run_tools(MODELS[name], "Look!", [looks.tool]), live)
    assert (outcome.status, looks.calls) == ("finished", 0)
    assert contents(outcome) == [{"error": "unknown tool", "tools": ["look"]}]
    async with simulated(once("broken-arguments")) as (_, client):
        outcome = await finish(client.run_tools(MODELS[name], "Look!", [looks.tool]), live)
    assert (outcome.status, looks.calls) == ("finished", 0)
    assert contents(outcome)[0]["error"] == "invalid arguments"


@WAYS
@EVERY_FORMAT
async def test_a_call_that_the_token_limit_cut_is_not_run(name: str, live: bool) -> None:
    """A tool would run with a part of its arguments, or a run whose replies never fit the limit would go on."""
    looks = Looks()
    async with simulated(once("cut-call")) as (_, client):
        outcome = await finish(client.run_tools(MODELS[name], "Look!", [looks.tool]), live)
    assert (outcome.status, looks.calls) == ("finished", 0)
    assert "token limit" in contents(outcome)[0]["error"]


@WAYS
@EVERY_FORMAT
async def test_a_call_in_the_older_form_is_answered_in_it(name: str, live: bool) -> None:
    """A transcript of `functions` could not be continued, or its call would be answered in the other form."""
    looks = Looks()
    call = {"name": "look", "arguments": '{"at": "the hill"}'}
    messages = [{"role": "user", "content": "Look!"}, {"role": "assistant", "content": None, "function_call": call}]
    async with simulated() as (simulator, client):
        outcome = await finish(client.run_tools(MODELS[name], messages, [looks.tool]), live)
    assert (outcome.status, looks.calls, len(simulator.requests)) == ("finished", 1, 1)
    assert roles(outcome) == ["user", "assistant", "function", "assistant"]
    assert "the hill: a lighthouse" in outcome.text


@WAYS
@EVERY_FORMAT
async def test_the_last_turn_is_an_answer(name: str, live: bool) -> None:
    """A format that cannot forbid calls would refuse the last request, and the work of the run would be lost."""
    looks = Looks()
    async with simulated() as (simulator, client):
        run = client.run_tools(MODELS[name], "Look!", [looks.tool], max_turns=1, final_answer=True)
        outcome = await finish(run, live)
    assert (outcome.status, looks.calls, len(simulator.requests)) == ("finished", 0, 2)
    assert "not run" in outcome.text


@WAYS
@EVERY_FORMAT
async def test_images_that_tools_return_reach_the_model(name: str, live: bool) -> None:
    """A run would fail with the first screenshot, or the transcript would lose it where results are texts."""

    @tool
    async def screenshot() -> list[str | ImagePart]:
        """Takes a screenshot."""
        return ["Two windows.", ImagePart(ImageUrl(IMAGE))]

    async with simulated(once("2-calls")) as (simulator, client):
        outcome = await finish(client.run_tools(MODELS[name], "Look!", [screenshot]), live)
        sent = json.dumps(simulator.requests[1].body)
    assert (outcome.status, len(simulator.requests)) == ("finished", 2)
    assert roles(outcome) == ["user", "assistant", "tool", "tool", "assistant"]
    assert (sent.count(IMAGE.partition(",")[2]), sent.count("Two windows.")) == (2, 2)
    results = [message for message in outcome.messages if isinstance(message, ToolMessage)]
    assert [isinstance(part, ImagePart) for result in results for part in result.content] == [False, True] * 2


ODD_RESULTS: list[Any] = [
    *("", " ", "\x00\u2028", "x" * 100_000, "{}", '{"$ref": "#/a", "b": [1]}', "[1, 2]", None, [], [1, "a"]),
    *([TextPart("")], [TextPart(" ")], [TextPart(""), ImagePart(ImageUrl(IMAGE))]),
]


@EVERY_FORMAT
async def test_results_of_any_kind_are_accepted(name: str) -> None:
    """A run would fail because a tool found nothing, or found something that looks like another format."""
    for value in ODD_RESULTS:

        @tool
        async def find() -> Any:
            """Finds it."""
            return value  # noqa: B023 (called before the next one is made)

        async with simulated() as (_, client):
            outcome = await client.run_tools(MODELS[name], "Look!", [find])
        assert (outcome.status, outcome.turns[0].outcomes[0].error) == ("finished", None)


@WAYS
@EVERY_FORMAT
async def test_scripted_turns_are_those_of_a_run(name: str, live: bool) -> None:
    """A test of a program with tools would need replies in each provider's own format."""
    looks = Looks()
    together = [tool_call("look", at="the sea"), tool_call("look", at="the hill")]
    fake = FakeProvider(together, tool_call("look", at="home"), "It rains.", name="*")
    async with AsyncCompletion(providers=[fake]) as client:
        outcome = await finish(client.run_tools(MODELS[name], "Look!", [looks.tool]), live)
    assert (outcome.status, outcome.text, looks.calls) == ("finished", "It rains.", 3)
    assert [len(turn.calls) for turn in outcome.turns] == [2, 1, 0]
    assert contents(outcome) == [f"{place}: a lighthouse" for place in ("the sea", "the hill", "home")]
    assert [len(call.request.messages) for call in fake.requests] == [1, 4, 6]


@WAYS
async def test_a_reply_in_the_older_form_is_answered_in_it(live: bool) -> None:
    """Servers that reply to tools in the older form would get no result, and be asked again without end."""
    looks = Looks()
    message = ChatCompletionMessage(function_call=FunctionCall("look", '{"at": "the hill"}'))
    fake = FakeProvider(ChatCompletion("1", [Choice(0, message, "function_call")], "m"), "It rains.")
    async with AsyncCompletion(providers=[fake]) as client:
        outcome = await finish(client.run_tools("openai/gpt-4o", "Look!", [looks.tool]), live)
    assert (outcome.status, outcome.text, looks.calls) == ("finished", "It rains.", 1)
    assert fake.requests[1].body["messages"][1:] == [
        {"role": "assistant", "function_call": {"name": "look", "arguments": '{"at": "the hill"}'}},
        {"role": "function", "name": "look", "content": "the hill: a lighthouse"},
    ]


@WAYS
@pytest.mark.parametrize("name", ["anthropic", "vertex-anthropic"])
async def test_a_paused_turn_goes_on(name: str, live: bool) -> None:
    """A run would end in the middle of what Anthropic's own tools do."""
    looks = Looks()
    async with simulated(once("pause-turn")) as (simulator, client):
        run = client.run_tools(MODELS[name], "Look!", [looks.tool, {"type": "web_search_20250305", "name": "search"}])
        outcome = await finish(run, live)
        paused = simulator.requests[1].body["messages"]
    assert [turn.reply.choices[0].paused for turn in outcome.turns] == [True, False, False]
    assert (outcome.status, looks.calls) == ("finished", 1)
    assert paused[1:] == [{"role": "assistant", "content": "Let me look that up."}]
    async with simulated("pause-turn") as (simulator, client):
        outcome = await finish(client.run_tools(MODELS[name], "Look!", [looks.tool], max_turns=3), live)
    assert (outcome.status, len(outcome.turns), len(simulator.requests)) == ("max_turns", 3, 3)


async def test_providers_without_tools_are_refused_before_anything_is_sent() -> None:
    """A model would be asked without its tools, and would answer as if it had used them."""
    looks = Looks()
    async with simulated() as (simulator, client):
        with pytest.raises(UnsupportedParameterError) as refused:
            await client.run_tools(MODEL_BY_DIALECT["replicate_predictions"], "Look!", [looks.tool])
    assert refused.value.param == "tools"
    assert simulator.requests == []


# --- thinking ---------------------------------------------------------------------------------------------------------

THINKING: dict[str, tuple[str, Any]] = {
    "anthropic": (MODELS["anthropic"], lambda body: body["messages"][1]["content"]),
    "vertex-anthropic": (MODELS["vertex-anthropic"], lambda body: body["messages"][1]["content"]),
    "bedrock": (MODELS["bedrock"], lambda body: body["messages"][1]["content"]),
    "gemini": (MODELS["gemini"], lambda body: body["contents"][1]["parts"]),
    "vertex": (MODELS["vertex"], lambda body: body["contents"][1]["parts"]),
    "responses": ("openai/responses/gpt-5-mini", lambda body: body["input"]),
    "cohere": ("cohere/command-a-reasoning-08-2025", lambda body: body["messages"][1]["content"]),
    "ollama": (MODELS["ollama"], lambda body: body["messages"][1]["thinking"]),
    "openrouter": ("openrouter/openai/gpt-5-mini", lambda body: body["messages"][1]["reasoning_details"]),
}
"""Provider whose replies have thinking → a model that thinks, and where thinking stands in the second request."""

NATIVE: dict[str, Any] = {
    "anthropic": lambda raw: raw["content"],
    "vertex-anthropic": lambda raw: raw["content"],
    "bedrock": lambda raw: raw["output"]["message"]["content"],
    "gemini": lambda raw: raw["candidates"][0]["content"]["parts"],
    "vertex": lambda raw: raw["candidates"][0]["content"]["parts"],
    "responses": lambda raw: [
        {name: value for name, value in item.items() if name not in ("id", "status")} for item in raw["output"]
    ],
    "cohere": lambda raw: raw["message"]["content"],
    "ollama": lambda raw: raw["message"]["thinking"],
    "openrouter": lambda raw: raw["choices"][0]["message"]["reasoning_details"],
}
"""Provider → where thinking stands in its reply."""


def signatures(value: Any) -> set[str]:
    """The signatures and the encrypted reasoning in a JSON value."""
    if isinstance(value, list):
        return set().union(*map(signatures, value)) if value else set()
    if not isinstance(value, dict):
        return set()
    names = ("signature", "thoughtSignature", "encrypted_content")
    own = {value[name] for name in names if isinstance(value.get(name), str)}
    return own.union(*map(signatures, value.values()))


@pytest.mark.parametrize("name", THINKING)
async def test_thinking_goes_back_as_it_came(name: str) -> None:
    """A provider would refuse the next turn, or the model would have forgotten why it called the tool."""
    model, sent_back = THINKING[name]
    looks = Looks()
    async with simulated(once("3-calls")) as (simulator, client):
        outcome = await client.run_tools(model, "Look!", [looks.tool], reasoning_effort="high")
        sent = sent_back(simulator.requests[1].body)
    assert (outcome.status, looks.calls) == ("finished", 3)
    native = NATIVE[name](outcome.turns[0].reply.raw)
    assert native
    assert json.dumps([each for each in sent if each in native] if name == "responses" else sent) == json.dumps(native)


@pytest.mark.parametrize("name", THINKING)
async def test_streamed_thinking_goes_back_as_it_came(name: str) -> None:
    """A signature that was put together from pieces would differ, and the provider would refuse the next turn."""
    model, sent_back = THINKING[name]
    looks = Looks()
    async with simulated() as (simulator, client):
        outcome = await finish(client.run_tools(model, "Look!", [looks.tool], reasoning_effort="high"), live=True)
        sent = sent_back(simulator.requests[1].body)
    assert (outcome.status, looks.calls) == ("finished", 1)
    message = outcome.turns[0].reply.message
    assert message.reasoning_content
    assert json.dumps(message.reasoning_content)[1:-1] in json.dumps(sent)
    kept = signatures([message.thinking_blocks, message.provider_specific_fields])
    assert bool(kept) is (name not in ("cohere", "ollama", "openrouter"))
    assert signatures(sent) == kept


@pytest.mark.parametrize("name", ["anthropic", "bedrock", "gemini", "responses"])
async def test_thinking_stays_where_ids_of_calls_are_replaced(name: str) -> None:
    """The thinking of a turn would be dropped because two of its calls have the same id."""
    model, sent_back = THINKING[name]
    looks = Looks()
    async with simulated(once("duplicate-call-ids")) as (simulator, client):
        outcome = await client.run_tools(model, "Look!", [looks.tool], reasoning_effort="high")
        sent = sent_back(simulator.requests[1].body)
    assert (outcome.status, looks.calls) == ("finished", 2)
    native = NATIVE[name](outcome.turns[0].reply.raw)
    assert signatures(native)
    assert signatures(sent) == signatures(native)
    assert [warning for warning in outcome.reply.info.warnings if "left out" in warning] == []


# --- over routes ------------------------------------------------------------------------------------------------------

OTHERS = {name: THINKING[name][0] if name in THINKING else model for name, model in MODELS.items() if name in SIMULATED}


@pytest.mark.parametrize("first", OTHERS)
async def test_a_run_moves_to_any_format_when_its_target_fails(first: str) -> None:
    """A target would refuse the thinking or the calls of another one, and a run would fail with its first target."""
    provider = OTHERS[first].partition("/")[0]
    for second, model in OTHERS.items():
        if model.partition("/")[0] == provider:
            continue
        looks = Looks()
        route = Route([OTHERS[first], model])
        gone = Fault.status(500, provider=provider, skip=1)
        async with simulated(gone, routes={"any": route}) as (simulator, client):
            outcome = await client.run_tools(
                "any", "Look!", [looks.tool], reasoning_effort="high", on_unsupported="warn"
            )
        assert (outcome.status, looks.calls) == ("finished", 1), second
        assert [turn.reply.info.target for turn in outcome.turns] == [OTHERS[first], model]
        assert [request.provider for request in simulator.requests][0::2] == [provider, model.partition("/")[0]]
        message = outcome.turns[0].reply.message
        if message.thinking_blocks or message.reasoning_content or message.reasoning_details:
            assert any("left out" in warning for warning in outcome.reply.info.warnings) or _same_thinking(
                first, second
            )


def _same_thinking(first: str, second: str) -> bool:
    """Whether two targets take each other's thinking: Claude's is signed for all its hosts, and text is text."""
    return {first, second} <= {"anthropic", "vertex-anthropic", "bedrock"} or second in ("ollama", "openrouter")


async def test_a_run_stays_on_the_target_of_its_first_turn() -> None:
    """The signatures of a run, and its cached prompt, would be lost at the next turn."""
    looks = Looks()
    route = Route([MODELS["anthropic"], MODELS["cohere"], MODELS["gemini"]], strategy="least_busy")
    busy = Fault.status(500, provider="anthropic", times=1)
    async with simulated(busy, routes={"any": route}) as (simulator, client):
        outcome = await client.run_tools("any", "Look!", [looks.tool])
        again = await client.run_tools("any", "Look!", [looks.tool])
    assert outcome.status == again.status == "finished"
    for run in (outcome, again):
        assert len({turn.reply.info.target for turn in run.turns}) == 1
    assert outcome.turns[0].reply.info.target == MODELS["cohere"]
    assert [request.provider for request in simulator.requests][:3] == ["anthropic", "cohere", "cohere"]


# --- behind the reply cache -------------------------------------------------------------------------------------------


@WAYS
@EVERY_FORMAT
async def test_a_cached_turn_runs_its_tools_again(name: str, live: bool) -> None:
    """A run from the cache would have no results, or other ones than those that were stored with its answer."""
    looks = Looks()
    cache = cached(MemoryStore())
    async with simulated(once("3-calls"), middleware=[cache]) as (simulator, client):
        first = await finish(client.run_tools(MODELS[name], "Look!", [looks.tool]), live)
        second = await finish(client.run_tools(MODELS[name], "Look!", [looks.tool]), live)
    assert (len(simulator.requests), looks.calls) == (2, 6)
    assert all(turn.reply.info.cached for turn in second.turns)
    assert [message.to_dict() for message in second.messages] == [message.to_dict() for message in first.messages]
