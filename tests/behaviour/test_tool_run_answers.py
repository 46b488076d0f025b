"""Tests of tool runs with typed answers, `into=`: how they are asked for beside tools, read, and asked for again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from anycompletion import (
    AsyncCompletion,
    BadRequestError,
    ChatCompletion,
    ChatRequest,
    InternalServerError,
    InvalidRequestError,
    ReplyRefusedError,
    ReplyTruncatedError,
    ReplyValidationError,
    SystemMessage,
    ToolCall,
    ToolMessage,
    ToolRunError,
    Usage,
)
from anycompletion.caching import MemoryStore, cached
from anycompletion.routing import Route
from anycompletion.testing import FakeProvider, ParsedReply, tool_call
from anycompletion.tools import PendingCall, RunOutcome, tool

OPENAI, CLAUDE, MISTRAL = "openai/gpt-4o", "anthropic/claude-sonnet-4-5", "mistral/mistral-small"
OLLAMA = "ollama/qwen3:8b"


@dataclass
class Recipe:
    title: str
    minutes: int


TOAST = Recipe("Toast", 5)
GOOD, BAD = '{"title": "Toast", "minutes": 5}', '{"title": "Toast", "minutes": "soon"}'
ran: list[str] = []


@tool
async def minutes(dish: str) -> int:
    """How long a dish takes."""
    ran.append(dish)
    return len(dish)


def answer(text: str = GOOD) -> ToolCall:
    """A call of the tool by which a model answers."""
    call = tool_call("answer")
    call.function.arguments = text
    return call


async def run(model: str, *replies: Any, into: Any = Recipe, **params: Any) -> RunOutcome[Any]:
    """The outcome of a run; its requests are in `sent`."""
    ran.clear()
    fake = FakeProvider(*replies, name=model.partition("/")[0])
    try:
        async with AsyncCompletion(providers=[fake]) as client:
            return await client.run_tools(model, "How long?", params.pop("tools", [minutes]), into=into, **params)
    finally:
        sent[:] = [each.request for each in fake.requests]


sent: list[ChatRequest] = []


def tool_names(request: ChatRequest) -> list[str]:
    return [each.function.name for each in request.tools or ()]  # type: ignore[union-attr]


def contents(outcome: RunOutcome[Any]) -> list[Any]:
    return [message.content for message in outcome.messages if isinstance(message, ToolMessage)]


# --- how it is asked for ---


@pytest.mark.parametrize("model", [OPENAI, CLAUDE, "gemini/gemini-3-pro", MISTRAL, "gemini/gemini-2.5-flash", OLLAMA])
async def test_the_answer_is_a_value(model: str) -> None:
    """A provider that takes no schema beside tools would be sent one, or the answer be read in another way."""
    outcome = await run(model, tool_call("minutes", dish="toast"), ParsedReply(TOAST))
    assert (outcome.parsed, outcome.status, ran) == (TOAST, "finished", ["toast"])
    has_schema = model not in (MISTRAL, "gemini/gemini-2.5-flash", OLLAMA)
    assert tool_names(sent[0]) == (["minutes"] if has_schema else ["minutes", "answer"])
    assert [request.response_format is not None for request in sent] == [has_schema] * 2
    demands = not has_schema and model != OLLAMA  # which cannot, so that the model is asked in words
    assert [request.tool_choice for request in sent] == ["required" if demands else None] * 2
    assert isinstance(sent[0].messages[0], SystemMessage) is (model == OLLAMA)
    assert (outcome.turns[-1].calls, outcome.turns[-1].outcomes) == ([], [])


async def test_the_conversation_can_go_on_after_an_answer() -> None:
    """The next request would have a call without a result, which providers refuse."""
    outcome = await run(MISTRAL, tool_call("minutes", dish="toast"), answer())
    assert [message.role for message in outcome.messages] == ["user", "assistant", "tool", "assistant", "tool"]
    assert contents(outcome) == ["5", "The answer was received."]
    assert outcome.text == GOOD


async def test_the_mode_can_be_chosen() -> None:
    """A caller who knows that a mode works better would have no choice."""
    await run(OPENAI, answer(), mode="tool")
    assert (tool_names(sent[0]), sent[0].tool_choice, sent[0].response_format) == (
        ["minutes", "answer"],
        "required",
        None,
    )
    await run(OPENAI, GOOD, mode="prompt")
    system = sent[0].messages[0]
    assert isinstance(system, SystemMessage)
    assert "JSON Schema" in str(system.content)
    assert tool_names(sent[0]) == ["minutes"]


@pytest.mark.parametrize("params", [{"tool_choice": "auto"}, {"tool_choice": "none"}], ids=["auto", "none"])
async def test_a_choice_of_the_caller_is_kept(params: Any) -> None:
    """A caller who demands no call would get a run in which every turn has one."""
    outcome = await run(MISTRAL, tool_call("minutes", dish="toast"), f"Here it is: {GOOD}", **params)
    assert outcome.parsed == TOAST
    assert [request.tool_choice for request in sent] == [params["tool_choice"]] * 2
    instruction = sent[1].messages[0]
    assert isinstance(instruction, SystemMessage)
    assert "calling the tool answer" in str(instruction.content)
    assert outcome.messages[0].role == "user", "the instruction is no part of the conversation"


async def test_a_demanded_tool_comes_before_the_answer() -> None:
    """The tool that the first turn has to call would not be called."""
    choice = {"type": "function", "function": {"name": "minutes"}}
    await run(MISTRAL, tool_call("minutes", dish="toast"), answer(), tool_choice=choice)
    assert [request.tool_choice for request in sent] == [choice, "required"]


async def test_a_model_that_thinks_is_asked_in_words() -> None:
    """A provider would refuse the request, because a model that thinks cannot be made to call a tool."""
    outcome = await run(CLAUDE, answer(), mode="tool", thinking={"type": "enabled", "budget_tokens": 1024})
    assert (outcome.parsed, sent[0].tool_choice) == (TOAST, None)
    assert isinstance(sent[0].messages[0], SystemMessage)


async def test_a_tool_of_the_same_name_is_refused() -> None:
    """A call of the caller's tool would be taken for the answer."""

    def take(answer: str) -> str:
        """Takes."""
        return answer

    with pytest.raises(InvalidRequestError, match="'answer'"):
        await run(MISTRAL, tools=[tool(name="answer")(take)])
    assert (await run(OPENAI, GOOD, tools=[tool(name="answer")(take)])).parsed == TOAST


async def test_a_run_without_tools_can_have_a_typed_answer() -> None:
    """A list of tools that happens to be empty would need another method."""
    assert (await run(MISTRAL, answer(), tools=[])).parsed == TOAST
    assert (await run(OPENAI, GOOD, tools=[])).parsed == TOAST


# --- answers beside other calls ---


async def test_calls_beside_the_answer_are_executed() -> None:
    """What the model wanted to be done with its answer would not be done, or have no result."""
    beside = tool_call("minutes", dish="toast")
    outcome = await run(MISTRAL, [answer(), beside], max_turns=1)
    assert (outcome.parsed, ran, len(sent)) == (TOAST, ["toast"], 1)
    assert contents(outcome) == ["The answer was received.", "5"]
    assert [call.id for call in outcome.turns[0].calls] == [beside.id]


async def test_an_answer_waits_for_the_approval_of_calls_beside_it() -> None:
    """A run would be finished although the caller has not decided, or ask for the answer again when it is resumed."""

    @tool(needs_approval=True)
    async def delete(path: str) -> str:
        """Delete it."""
        return f"deleted {path}"

    asked: list[PendingCall] = []

    def decide(call: PendingCall) -> bool:
        asked.append(call)
        return True

    outcome = await run(MISTRAL, [answer(), tool_call("delete", path="/tmp/x")], tools=[delete])
    assert (outcome.status, [call.name for call in outcome.pending]) == ("paused", ["delete"])
    with pytest.raises(ToolRunError):
        _ = outcome.parsed
    async with AsyncCompletion(providers=[FakeProvider(name="mistral")]) as client:
        messages = [message.to_dict() for message in outcome.messages]
        resumed = await client.run_tools(MISTRAL, messages, [delete], into=Recipe, approve=decide)
    assert (resumed.status, resumed.parsed, resumed.usage, len(asked)) == ("finished", TOAST, None, 1)
    assert contents(resumed) == ["The answer was received.", "deleted /tmp/x"]


# --- answers that do not fit ---


async def test_a_call_that_does_not_fit_gets_what_is_wrong_as_its_result() -> None:
    """A model would not learn what is wrong with its answer."""
    outcome = await run(MISTRAL, answer(BAD), answer(), max_reasks=1)
    assert (outcome.parsed, outcome.reply.info.reasks, len(sent)) == (TOAST, 1, 2)
    assert json.loads(contents(outcome)[0]) == {
        "error": "invalid arguments",
        "at": "$.minutes",
        "expected": "integer",
    }


async def test_a_text_that_does_not_fit_is_asked_for_again() -> None:
    """A model would not learn what is wrong with its answer."""
    outcome = await run(OPENAI, BAD, GOOD, max_reasks=1)
    assert (outcome.parsed, outcome.reply.info.reasks) == (TOAST, 1)
    assert [message.role for message in outcome.messages] == ["user", "assistant", "user", "assistant"]
    assert "$.minutes" in str(sent[1].messages[-1].to_dict()["content"])


@pytest.mark.parametrize("model", [OPENAI, MISTRAL])
async def test_re_asks_end(model: str) -> None:
    """A run would ask for ever, or the caller not know what it has paid for."""
    bad: Sequence[Any] = [BAD, BAD] if model == OPENAI else [answer(BAD), answer(BAD)]
    with pytest.raises(ReplyValidationError) as caught:
        await run(model, tool_call("minutes", dish="toast"), *bad, "never", max_reasks=1)
    assert (caught.value.path, len(sent)) == ("$.minutes", 3)
    assert isinstance(caught.value.usage, Usage)
    assert caught.value.partial is not None
    assert caught.value.usage.total_tokens != caught.value.partial.usage.total_tokens  # type: ignore[union-attr]
    assert caught.value.info.reasks == 1


async def test_the_conversation_of_a_refused_answer_is_valid() -> None:
    """A run that ends with an answer that does not fit could not be resumed."""
    fake = FakeProvider(answer(BAD), answer(), name="mistral")
    async with AsyncCompletion(providers=[fake]) as client:
        failed = client.run_tools(MISTRAL, "How long?", [minutes], into=Recipe)
        with pytest.raises(ReplyValidationError):
            await failed
        assert [message.role for message in failed.messages] == ["user", "assistant", "tool"]
        outcome = await client.run_tools(MISTRAL, failed.messages, [minutes], into=Recipe)
    assert outcome.parsed == TOAST


async def test_a_check_of_the_caller_counts() -> None:
    """A value that the caller refuses would be the answer."""

    def check(recipe: Recipe) -> None:
        if recipe.minutes > 3:
            raise ValueError("quicker, please")

    outcome = await run(MISTRAL, answer(), answer('{"title": "Tea", "minutes": 3}'), max_reasks=1, validate=check)
    assert outcome.parsed == Recipe("Tea", 3)
    assert "quicker, please" in contents(outcome)[0]


async def test_a_cut_or_refused_answer_is_no_value() -> None:
    """Half an answer would be asked for again and again, or a refusal be reported as a mismatch."""
    for finish, refusal, error in (("length", None, ReplyTruncatedError), ("stop", "I won't.", ReplyRefusedError)):
        message = {"role": "assistant", "content": None if refusal else '{"title": "To', "refusal": refusal}
        reply = ChatCompletion.from_dict({"choices": [{"message": message, "finish_reason": finish}]})
        with pytest.raises(error):
            await run(OPENAI, reply, "never", max_reasks=3)
        assert len(sent) == 1


async def test_re_asks_are_not_limited_by_turns() -> None:
    """A run of one turn could not be asked again, although `max_reasks` allows it."""
    outcome = await run(OPENAI, BAD, GOOD, max_turns=1, max_reasks=1)
    assert outcome.parsed == TOAST


async def test_the_final_answer_is_a_value_too() -> None:
    """A run that has used its turns would answer in another form."""
    for model, last in ((OPENAI, GOOD), (MISTRAL, answer())):
        outcome = await run(model, tool_call("minutes", dish="toast"), last, max_turns=1, final_answer=True)
        assert (outcome.parsed, ran) == (TOAST, [])
    assert sent[1].tool_choice == {"type": "function", "function": {"name": "answer"}}


async def test_a_stored_answer_that_does_not_fit_is_asked_for_anew() -> None:
    """A cache would return the same wrong answer until it expires."""
    fake = FakeProvider(BAD, GOOD)
    async with AsyncCompletion(providers=[fake], middleware=[cached(MemoryStore())]) as client:
        for cache in ("use", "only"):
            with pytest.raises(ReplyValidationError):
                await client.run_tools(OPENAI, "How long?", [minutes], into=Recipe, cache=cache)
        outcome = await client.run_tools(OPENAI, "How long?", [minutes], into=Recipe)
        assert (outcome.parsed, outcome.reply.info.reasks, len(fake.requests)) == (TOAST, 0, 2)
        assert [message.role for message in outcome.messages] == ["user", "assistant"]


async def test_a_stored_answer_that_does_not_fit_is_no_turn() -> None:
    """A run would end before its last turn, because a reply counts that was not paid for."""
    fake = FakeProvider(BAD, tool_call("minutes", dish="toast"), GOOD)
    async with AsyncCompletion(providers=[fake], middleware=[cached(MemoryStore())]) as client:
        with pytest.raises(ReplyValidationError):
            await client.run_tools(OPENAI, "How long?", [minutes], into=Recipe)
        outcome = await client.run_tools(OPENAI, "How long?", [minutes], into=Recipe, max_turns=2)
    assert (outcome.status, outcome.parsed) == ("finished", TOAST)


@pytest.mark.parametrize("way", ["events", "turns"])
async def test_answers_of_runs_that_are_read_are_typed(way: str) -> None:
    """The value would depend on how the run is read."""
    fake = FakeProvider(tool_call("minutes", dish="toast"), answer(BAD), answer(), name="mistral")
    async with AsyncCompletion(providers=[fake]) as client:
        read = client.run_tools(MISTRAL, "How long?", [minutes], into=Recipe, max_reasks=1)
        _ = [each async for each in (read.events() if way == "events" else read)]
        assert (await read).parsed == TOAST


async def test_a_schema_that_the_provider_refuses_has_what_to_try() -> None:
    """A caller would not know that another mode may work."""
    refusal = BadRequestError("Invalid schema for response_format", param="response_format")
    with pytest.raises(BadRequestError, match='mode="tool" may work'):
        await run(OPENAI, refusal)


# --- over routes ---


async def test_over_a_route_the_answer_is_a_call() -> None:
    """A target would be asked in the mode of another one."""
    replies = [tool_call("minutes", dish="toast"), InternalServerError("down")]
    fakes = [FakeProvider(*replies, name="openai"), FakeProvider(answer(), name="anthropic")]
    async with AsyncCompletion(providers=fakes, routes={"any": Route([OPENAI, CLAUDE])}, max_retries=0) as client:
        outcome = await client.run_tools("any", "How long?", [minutes], into=Recipe)
    assert outcome.parsed == TOAST
    assert [turn.reply.info.target for turn in outcome.turns] == [OPENAI, CLAUDE]
    assert fakes[0].requests[0].request.tools[-1].function.strict is False  # type: ignore[index, union-attr]
    assert [each.request.tool_choice for fake in fakes for each in fake.requests] == [None] * 3, "not all can demand it"
    for fake in fakes:
        assert {tuple(tool_names(each.request)) for each in fake.requests} == {("minutes", "answer")}
