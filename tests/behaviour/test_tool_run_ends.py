"""Tests of how tool runs end: limits of turns, budget and time, failures, and calls that the caller answers."""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from anycompletion import (
    APITimeoutError,
    AssistantMessage,
    AsyncCompletion,
    ChatCompletion,
    ChatRequest,
    CustomTool,
    FunctionDefinition,
    FunctionTool,
    InvalidRequestError,
    Message,
    Timeout,
    ToolCall,
    ToolExecutionError,
    ToolMessage,
    ToolRunError,
    Usage,
    UserMessage,
)
from anycompletion.testing import FakeProvider, tool_call
from anycompletion.tools import Budget, CallFinished, RunOutcome, Turn, tool

MODEL = "openai/gpt-4o"


@tool
async def minutes(dish: str) -> int:
    """How long a dish takes."""
    if dish == "burnt":
        raise OSError("the stove is on fire")
    return len(dish)


def look_up(dish: str = "soup") -> ToolCall:
    return tool_call("minutes", dish=dish)


def reply(
    *calls: ToolCall,
    text: str | None = None,
    finish: str | None = None,
    tokens: int | None = 5,
    cost: float | None = None,
) -> ChatCompletion:
    """A reply with calls, that used these tokens."""
    message = {"role": "assistant", "content": text, "tool_calls": [call.to_dict() for call in calls] or None}
    finish = finish or ("tool_calls" if calls else "stop")
    data: dict[str, Any] = {"choices": [{"message": message, "finish_reason": finish}]}
    if tokens is not None:
        data["usage"] = {"prompt_tokens": tokens, "completion_tokens": tokens, "total_tokens": 2 * tokens}
        data["usage"] |= {} if cost is None else {"cost": cost}
    return ChatCompletion.from_dict(data)


async def run(*replies: Any, tools: Any = (minutes,), messages: Any = "How long?", **params: Any) -> RunOutcome[Any]:
    """The outcome of a run; what it sent is in the last list of `sent`."""
    fake = FakeProvider(*replies)
    async with AsyncCompletion(providers=[fake]) as client:
        outcome = await client.run_tools(MODEL, messages, tools, **params)
    sent[:] = [each.request for each in fake.requests]
    return outcome


sent: list[ChatRequest] = []
"""The requests of the last `run`."""


def roles(messages: list[Message]) -> str:
    """The roles of messages, by their first letters."""
    return "".join(message.role[0] for message in messages)


# --- max_turns ---


async def test_the_last_turn_that_is_allowed_leaves_its_calls_open() -> None:
    """A run would go on for ever, or lose the calls that a later run should execute."""
    calls = [look_up("toast"), look_up("tea")]
    outcome = await run(look_up(), calls, max_turns=2)
    assert (outcome.status, len(sent), roles(outcome.messages)) == ("max_turns", 2, "uata")
    assert [(each.name, each.arguments, each.turn) for each in outcome.pending] == [
        ("minutes", {"dish": "toast"}, 1),
        ("minutes", {"dish": "tea"}, 1),
    ]
    assert [each.tool for each in outcome.pending] == [minutes, minutes]
    assert [len(turn.outcomes) for turn in outcome.turns] == [1, 0]
    resumed = await run("Done", messages=outcome.messages, max_turns=1)
    assert (resumed.status, len(sent), roles(resumed.messages)) == ("finished", 1, "uatatta")
    assert [[each.content for each in turn.outcomes] for turn in resumed.turns] == [["5", "3"], []]


async def test_a_final_answer_is_asked_for_without_tools() -> None:
    """All that a run has found out would be thrown away where it runs out of turns."""
    outcome = await run(look_up(), look_up("tea"), "About 4 minutes", max_turns=2, final_answer=True)
    assert (outcome.status, outcome.text, outcome.pending) == ("finished", "About 4 minutes", [])
    assert [request.tool_choice for request in sent] == [None, None, "none"]
    assert [len(request.tools or ()) for request in sent] == [1, 1, 1]
    result = sent[2].messages[-1]
    assert isinstance(result, ToolMessage)
    assert "answer with what is known" in str(result.content)
    assert isinstance(outcome.turns[1].outcomes[0].error, ToolRunError)


async def test_a_model_that_calls_again_at_the_end_is_not_asked_again() -> None:
    """A model that ignores that it may call nothing would be asked for ever."""
    outcome = await run(look_up(), look_up("tea"), max_turns=1, final_answer=True)
    assert (outcome.status, len(sent), len(outcome.pending)) == ("max_turns", 2, 1)


async def test_a_paused_turn_is_asked_for_again_and_counts() -> None:
    """A turn that the provider only pauses would be taken for the answer, or be repeated without a limit."""
    pause = reply(text="Searching")
    pause.choices[0].paused = True

    for limit, status, texts in ((10, "finished", ["Searching", "Found"]), (1, "max_turns", ["Searching"])):
        client, seen = _Scripted([pause, reply(text="Found")]), []
        outcome = await client.run(limit)
        seen = [turn.reply.text for turn in outcome.turns]
        assert (outcome.status, seen, outcome.pending) == (status, texts, [])


class _Scripted:
    """Middleware in place of a provider, for members of replies that no request of the fake has."""

    def __init__(self, replies: list[ChatCompletion]) -> None:
        self.replies = iter(replies)

    async def __call__(self, request: ChatRequest, options: Any, call_next: Any) -> ChatCompletion:
        return next(self.replies)

    async def run(self, max_turns: int) -> RunOutcome[Any]:
        async with AsyncCompletion(providers=[FakeProvider()], middleware=[self]) as client:
            return await client.run_tools(MODEL, "Find it", [minutes], max_turns=max_turns)


async def test_a_reply_without_a_choice_is_an_empty_answer() -> None:
    """An empty message, which providers refuse, would be part of the conversation."""
    empty = ChatCompletion("x", [], "gpt-4o")
    outcome = await _Scripted([empty]).run(10)
    assert (outcome.status, outcome.text, roles(outcome.messages)) == ("finished", "", "u")


# --- stop_when ---


async def test_the_caller_can_stop_after_a_turn() -> None:
    """A caller who has seen enough would have to cancel, and lose what the turn has done."""
    asked: list[int] = []

    def enough(turn: Turn) -> bool:
        asked.append(turn.index)
        return turn.outcomes[0].content == "3"

    outcome = await run(look_up(), look_up("tea"), "never", stop_when=enough)
    assert (outcome.status, asked, outcome.pending, roles(outcome.messages)) == ("stopped", [0, 1], [], "uatat")
    outcome = await run(look_up(), "Done", stop_when=enough)
    assert (outcome.status, asked) == ("finished", [0, 1, 0]), "an answer is no turn to stop after"


async def test_what_stop_when_raises_ends_the_run() -> None:
    """A mistake in the caller's function would be taken for a decision."""

    def enough(turn: Turn) -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await run(look_up(), "Done", stop_when=enough)


# --- budget ---


async def _false(_: Turn) -> bool:
    return False


def _call_false(turn: Turn) -> Any:
    return _false(turn)


@pytest.mark.parametrize("enough", [lambda _: None, lambda _: 1, _call_false], ids=["None", "1", "async"])
async def test_stop_when_is_true_or_false(enough: Any) -> None:
    """A coroutine counts as true, so that the run would end after its first turn."""
    with pytest.raises(InvalidRequestError) as caught:
        await run(look_up(), "Done", stop_when=enough)
    assert caught.value.param == "stop_when"


async def test_a_budget_of_tokens_ends_the_run_before_the_next_turn() -> None:
    """A run would cost any number of tokens."""
    outcome = await run(reply(look_up()), reply(look_up()), "never", budget=Budget(total_tokens=20))
    assert (outcome.status, len(sent), roles(outcome.messages)) == ("budget", 2, "uatat")
    assert outcome.usage == Usage(10, 10, 20)
    outcome = await run(reply(look_up()), "Done", budget=Budget(total_tokens=11))
    assert outcome.status == "finished"


async def test_a_budget_of_dollars_counts_what_providers_report() -> None:
    """A run would cost any number of dollars."""
    outcome = await run(reply(look_up(), cost=0.25), reply(look_up(), cost=0.25), "never", budget=Budget(cost=0.5))
    assert (outcome.status, len(sent)) == ("budget", 2)


async def test_a_budget_of_calls_counts_those_that_were_answered() -> None:
    """A model that calls many tools in few turns would have no limit."""
    outcome = await run([look_up("a"), look_up("b")], "never", budget=Budget(tool_calls=2))
    assert (outcome.status, len(sent), len(outcome.turns[0].outcomes)) == ("budget", 1, 2)
    outcome = await run([look_up("a"), look_up("b")], "Done", budget=Budget(tool_calls=3))
    assert outcome.status == "finished"


@pytest.mark.parametrize(
    ("budget", "tokens", "what"),
    [
        (Budget(total_tokens=1000), None, "how many tokens it used"),
        (Budget(cost=1.0), 5, "what it cost"),
    ],
    ids=["tokens", "cost"],
)
async def test_what_is_not_known_ends_a_run_with_a_budget(
    budget: Budget, tokens: int | None, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A provider that does not say what it used would make a budget mean nothing."""
    silent = _Scripted([reply(look_up(), tokens=tokens), reply(text="never")])
    async with AsyncCompletion(providers=[FakeProvider()], middleware=[silent]) as client:
        outcome = await client.run_tools(MODEL, "How long?", [minutes], budget=budget)
    assert (outcome.status, len(outcome.turns)) == ("budget", 1)
    assert [text for text in outcome.reply.info.warnings if what in text] != []
    assert [record.levelno for record in caplog.records if what in record.getMessage()] == [logging.WARNING]


async def test_an_answer_ends_a_run_whatever_it_used() -> None:
    """A caller would not get the answer that was paid for, because it was the last that the budget allowed."""
    outcome = await run(reply(text="Done", tokens=500), budget=Budget(total_tokens=10))
    assert (outcome.status, outcome.text) == ("finished", "Done")


@pytest.mark.parametrize("values", [{"total_tokens": 0}, {"cost": -1.0}, {"tool_calls": True}, {"total_tokens": 1.5}])
def test_a_budget_is_positive(values: dict[str, Any]) -> None:
    """A budget that allows nothing, or is no number, would be found out in the middle of a run."""
    with pytest.raises(InvalidRequestError) as caught:
        Budget(**values)
    assert caught.value.param == f"budget.{next(iter(values))}"


# --- usage ---


async def test_usage_is_the_sum_of_all_turns() -> None:
    """A caller would pay for more tokens than a run reports."""
    outcome = await run(reply(look_up(), tokens=1), reply(look_up(), tokens=10), reply(text="Done", tokens=100))
    assert outcome.usage == Usage(111, 111, 222)


async def test_usage_is_unknown_where_one_turn_does_not_say() -> None:
    """A sum with a gap would look like what was used."""
    silent = _Scripted([reply(look_up(), tokens=5), reply(text="Done", tokens=None)])
    assert (await silent.run(10)).usage is None


# --- time ---


async def test_a_deadline_ends_a_tool_and_leaves_its_call_open() -> None:
    """A run would take as long as its tools, or a later one would never do what this one had no time for."""
    cancelled: list[bool] = []

    async def wait() -> None:
        """Waits."""
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.append(True)

    @tool(timeout=0.001)
    async def short() -> None:
        """Waits for less than the run."""
        await asyncio.sleep(60)

    fake = FakeProvider("Hi", [tool_call("wait"), tool_call("short")], "never")
    async with AsyncCompletion(providers=[fake]) as client:
        await client.create(MODEL, "Warm up")
        unfinished = client.run_tools(MODEL, "Go", [wait, short], deadline=0.3)
        with pytest.raises(APITimeoutError, match=r"longer than its deadline of 0\.3 s") as caught:
            await unfinished
    assert (caught.value.phase, cancelled, len(fake.requests)) == ("total", [True], 2)
    (result,) = (each for each in unfinished.messages if isinstance(each, ToolMessage))
    assert (roles(unfinished.messages), result.content) == ("uat", '{"error":"timed out after 0.001 s"}')


async def test_a_call_has_no_more_time_than_the_run() -> None:
    """A turn would wait for its own timeout, although the run's time is over."""
    fake = FakeProvider("late", latency=30)
    async with AsyncCompletion(providers=[fake]) as client:
        with pytest.raises(APITimeoutError, match=r"longer than its deadline of 0\.05 s") as caught:
            await client.run_tools(MODEL, "Go", [minutes], deadline=0.05)
        assert caught.value.phase == "total"
        with pytest.raises(APITimeoutError, match=r"longer than its deadline of 0\.05 s") as caught:
            async for _ in client.run_tools(MODEL, "Go", [minutes], deadline=0.05).events():
                pass
        with pytest.raises(APITimeoutError, match=r"total timeout") as caught:
            await client.run_tools(MODEL, "Go", [minutes], deadline=60, timeout=Timeout(total=0.05))
        assert caught.value.phase == "total"


# --- tool_choice ---


NAMED = {"type": "function", "function": {"name": "minutes"}}


@pytest.mark.parametrize(
    ("given", "later"),
    [("required", "auto"), (NAMED, "auto"), ("auto", "auto"), ("none", "none"), (None, None)],
    ids=["required", "named", "auto", "none", "absent"],
)
async def test_a_demanded_call_is_demanded_once(given: Any, later: str | None) -> None:
    """A run whose first turn has to call a tool would never be allowed to answer."""
    await run(look_up(), look_up("tea"), "Done", tool_choice=given)
    assert [request.tool_choice for request in sent] == [given, later, later]


async def test_open_calls_are_what_a_demanded_call_asked_for() -> None:
    """A resumed run would have to call its tool once more before it may answer."""
    messages = [UserMessage("How long?"), AssistantMessage(tool_calls=[look_up()])]
    outcome = await run("Done", messages=messages, tool_choice="required")
    assert (outcome.text, sent[0].tool_choice, len(messages)) == ("Done", "auto", 2)


# --- failures ---


async def test_three_turns_of_failures_end_the_run() -> None:
    """A model that repeats a call that cannot succeed would do so until the last turn."""
    outcome = await run(*[look_up("burnt") for _ in range(3)], "never")
    assert (outcome.status, len(sent), roles(outcome.messages)) == ("tool_failures", 3, "uatatat")
    assert {type(turn.outcomes[0].error) for turn in outcome.turns} == {OSError}
    assert "fire" not in str(sent[-1].to_dict())


async def test_denials_are_no_failures() -> None:
    """A run would end as one whose tools do not work, because its user denied the calls."""
    outcome = await run(*[look_up() for _ in range(4)], "Then not.", approve=lambda _: "no", approve_every=True)
    assert (outcome.status, outcome.text) == ("finished", "Then not.")


async def test_a_success_starts_the_count_of_failures_anew() -> None:
    """A long run would end because single calls failed here and there."""
    burnt, fine = look_up("burnt"), look_up("soup")
    turns = [[burnt], [burnt], [look_up("burnt"), fine], [look_up("burnt")], [look_up("burnt")]]
    outcome = await run(*turns, "Done")
    assert (outcome.status, len(sent)) == ("finished", 6)


def cut_call() -> ChatCompletion:
    """A reply that its token limit ended inside a call."""
    call = look_up()
    call.function.arguments = '{"dish": "so'
    return reply(call, finish="length")


async def test_a_call_that_was_cut_is_not_run_and_the_model_knows_why() -> None:
    """A tool would run with half of its arguments, or the model repeat a call that does not fit its limit."""
    outcome = await run(cut_call(), "Done")
    assert (outcome.status, len(sent)) == ("finished", 2)
    assert "token limit" in str(outcome.turns[0].outcomes[0].content)


async def test_two_cut_calls_in_a_row_end_the_run() -> None:
    """A model whose calls do not fit its limit would be asked for them until the last turn."""
    outcome = await run(cut_call(), cut_call(), "never")
    assert (outcome.status, len(sent), outcome.pending) == ("tool_failures", 2, [])
    assert roles(outcome.messages) == "uatat"
    outcome = await run(cut_call(), look_up(), cut_call(), "Done")
    assert (outcome.status, len(sent)) == ("finished", 4)


async def test_a_foreign_exception_can_end_the_run() -> None:
    """A developer would not see the exception of a tool, or not know which call raised it."""
    events: list[Any] = []
    fake = FakeProvider([look_up("burnt"), look_up("soup")], "never")
    async with AsyncCompletion(providers=[fake]) as client:
        failing = client.run_tools(MODEL, "Go", [minutes], on_tool_error="raise", on_event=events.append)
        for _ in range(2):
            with pytest.raises(ToolExecutionError) as caught:
                await failing
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.call is not None
    assert caught.value.call.function.arguments == '{"dish": "burnt"}'
    assert "fire" not in str(caught.value)
    assert "burnt" not in repr(caught.value)
    assert (len(fake.requests), failing.status) == (1, None)


# --- calls that the caller answers ---


class Model:
    """A definition as another SDK has it."""

    def model_dump(self) -> dict[str, Any]:
        return SEARCH


SEARCH = {"type": "function", "function": {"name": "search", "parameters": {"type": "object", "properties": {}}}}


@pytest.mark.parametrize(
    ("definition", "call"),
    [
        (SEARCH, tool_call("search", q="soup")),
        (FunctionTool(FunctionDefinition("search")), tool_call("search")),
        ({"type": "bash_20250124", "name": "bash"}, tool_call("bash", command="ls")),
        (Model(), tool_call("search")),
        (
            CustomTool("custom", extra={"custom": {"name": "sql"}}),
            ToolCall.from_dict({"id": "c1", "type": "custom", "custom": {"name": "sql", "input": "select 1"}}),
        ),
    ],
    ids=["dict", "record", "of a provider", "model of an SDK", "custom"],
)
async def test_calls_of_defined_tools_are_left_to_the_caller(definition: Any, call: ToolCall) -> None:
    """A call that only the caller can answer would be refused, or be lost."""
    scripted = _Scripted([reply(look_up(), call), reply(text="Done")])
    async with AsyncCompletion(providers=[FakeProvider()], middleware=[scripted]) as client:
        outcome = await client.run_tools(MODEL, "Find it", [minutes, definition])
        assert outcome.status == "stopped"
        assert [(each.id, each.tool) for each in outcome.pending] == [(call.id, None)]
        assert [each.content for each in outcome.turns[0].outcomes] == ["4"]
        messages = [*outcome.messages, ToolMessage("found", call.id)]
        resumed = await client.run_tools(MODEL, messages, [minutes, definition])
    assert (resumed.status, resumed.text) == ("finished", "Done")


async def test_an_open_call_of_the_caller_stops_a_resumed_run_at_once() -> None:
    """A request with an unanswered call would be sent, which providers refuse."""
    messages = [UserMessage("Find it"), AssistantMessage(tool_calls=[tool_call("search")])]
    outcome = await run(messages=messages, tools=[minutes, SEARCH])
    assert (outcome.status, len(sent), [each.name for each in outcome.pending]) == ("stopped", 0, ["search"])
    assert outcome.usage is None


# --- outcomes that are no answers ---


async def test_an_outcome_without_an_answer_has_none() -> None:
    """A caller would take the text beside open calls for the answer."""
    outcome = await run(reply(look_up(), text="Hm"), max_turns=1)
    assert outcome.text == "Hm"
    for read in (outcome.unwrap, lambda: outcome.parsed):
        with pytest.raises(ToolRunError, match="max_turns") as caught:
            read()
        copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 (of this test)
        assert (caught.value.status, copy.status, str(copy)) == ("max_turns", "max_turns", str(caught.value))


@pytest.mark.parametrize("into", [None, int], ids=["text", "value"])
async def test_a_model_that_calls_an_unknown_tool_gets_all_names(into: Any) -> None:
    """It would not find out that it may call a tool of the caller, or give its answer."""
    caller = FunctionTool(FunctionDefinition("book"))
    answer = "Done" if into is None else tool_call("answer", value=5)
    typed = {} if into is None else {"into": into, "mode": "tool"}
    outcome = await run(tool_call("cook"), answer, tools=[caller, minutes, SQL_OF_CALLER], **typed)
    names = ["book", "minutes", "sql"] if into is None else ["book", "minutes", "sql", "answer"]
    assert json.loads(str(outcome.turns[0].outcomes[0].content)) == {"error": "unknown tool", "tools": names}


SQL_OF_CALLER = {"type": "custom", "custom": {"name": "sql"}}


async def test_a_run_that_failed_is_shown_as_one() -> None:
    """A log would show a run that ended with an error as one that goes on."""
    async with AsyncCompletion(providers=[FakeProvider("Hi", "Ho")]) as client:
        unread, failed = (client.run_tools(MODEL, "Go", [minutes], deadline=1e-9) for _ in range(2))
        with pytest.raises(APITimeoutError):
            await failed
    assert (repr(unread), repr(failed)) == ("<ToolRun unfinished: 0 turns>", "<ToolRun failed: 0 turns>")


async def test_reprs_have_no_texts() -> None:
    """Prompts, arguments and results would be in logs and tracebacks with locals."""
    secret = "s3cr3t"
    kept: list[Any] = []
    fake = FakeProvider(look_up(secret), tool_call("minutes", dish=secret))
    async with AsyncCompletion(providers=[fake]) as client:
        unfinished = client.run_tools(MODEL, secret, [minutes], max_turns=2, context=secret, on_event=kept.append)
        outcome = await unfinished
    finished = [event.outcome for event in kept if isinstance(event, CallFinished)]
    shown = [unfinished, outcome, outcome.turns, outcome.pending, *finished]
    assert secret not in repr(shown)


# --- arguments that are refused ---


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_turns", 0),
        ("max_turns", True),
        ("final_answer", 1),
        ("approve", "yes"),
        ("approve_every", "yes"),
        ("stop_when", 5),
        ("budget", 5),
        ("concurrency", 0),
        ("tool_timeout", 0),
        ("tool_timeout", float("nan")),
        ("max_result_chars", -1),
        ("deadline", "soon"),
        ("deadline", float("inf")),
        ("on_tool_error", "ignore"),
        ("on_event", 5),
        ("max_reasks", 1),
        ("mode", "tool"),
    ],
)
def test_an_invalid_setting_is_refused_at_once(name: str, value: Any) -> None:
    """A mistake in a setting would come out in the middle of a run, or never."""
    client = AsyncCompletion(providers=[FakeProvider()])
    with pytest.raises(InvalidRequestError) as caught:
        client.run_tools(MODEL, "Hi", [minutes], **{name: value})
    assert caught.value.param == name


async def _async(_: object) -> bool:
    return True


@pytest.mark.parametrize("name", ["stop_when", "on_event"])
def test_functions_that_are_not_awaited_are_not_async(name: str) -> None:
    """The function would never run, and its coroutine be truthy."""
    function: Callable[..., Any] = _async
    with pytest.raises(InvalidRequestError) as caught:
        AsyncCompletion(providers=[FakeProvider()]).run_tools(MODEL, "Hi", [minutes], **{name: function})
    assert caught.value.param == name


@pytest.mark.parametrize("name", ["stream", "functions", "function_call", "response_format", "max_tunrs"])
def test_a_keyword_that_runs_have_not_is_refused(name: str) -> None:
    """A run would send what it cannot work with, or ignore a misspelt limit."""
    with pytest.raises(TypeError, match=name):
        AsyncCompletion(providers=[FakeProvider()]).run_tools(MODEL, "Hi", [minutes], **{name: 2})


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("max_turn", "max_turns"),
        ("max_steps", "max_turns"),
        ("max_iterations", "max_turns"),
        ("deps", "context"),
        ("max_token", "max_tokens"),
        ("int", "into"),
        ("max_reask", "max_reasks"),
        ("guided_json", "extra_body"),
        ("api_base", "base_url"),
    ],
)
def test_a_misspelt_keyword_of_a_run_has_the_right_one(name: str, right: str) -> None:
    """A user would set a parameter of the model in place of a limit of the run."""
    with pytest.raises(TypeError, match=right):
        AsyncCompletion(providers=[FakeProvider()]).run_tools(MODEL, "Hi", [minutes], **{name: 2})


def test_several_observers_are_refused_with_what_to_do() -> None:
    """A user would not find out how two observers can see one run."""
    with pytest.raises(InvalidRequestError, match="pass one that calls each of them"):
        AsyncCompletion(providers=[FakeProvider()]).run_tools(MODEL, "Hi", [minutes], on_event=[print, print])  # type: ignore[arg-type]


async def test_a_paused_outcome_can_be_pickled() -> None:
    """A worker could not hand over a run that waits for a decision."""
    outcome = await run(look_up(), approve_every=True)
    copy = pickle.loads(pickle.dumps(outcome))  # noqa: S301 (of this test)
    (pending,) = copy.pending
    assert (copy.status, pending.name, pending.arguments, pending.tool) == ("paused", "minutes", {"dish": "soup"}, None)
    assert copy.messages == outcome.messages


@pytest.mark.parametrize("n", [2, 0, "1", True])
async def test_a_run_has_one_choice(n: Any) -> None:
    """A run would pay for choices that it does not read."""
    client: Any = AsyncCompletion(providers=[FakeProvider("Hi")])
    with pytest.raises(InvalidRequestError, match="n: a run has one conversation") as caught:
        client.run_tools(MODEL, "Hi", [minutes], n=n)
    assert caught.value.param == "n"
    assert (await client.run_tools(MODEL, "Hi", [minutes], n=1)).text == "Hi"
    await client.aclose()


@pytest.mark.parametrize("tools", [minutes, "minutes", None, {"a": 1}, [5]])
def test_what_is_no_list_of_tools_is_refused(tools: Any) -> None:
    """A run would begin without its tools."""
    with pytest.raises(InvalidRequestError, match="tools"):
        AsyncCompletion(providers=[FakeProvider()]).run_tools(MODEL, "Hi", tools)


BASH = {"type": "bash_20250124", "name": "minutes"}
SQL = {"type": "custom", "custom": {"name": "minutes"}}


@pytest.mark.parametrize("others", [[minutes], [BASH], [SQL, SQL]], ids=["function", "of a provider", "custom"])
def test_two_tools_of_one_name_are_refused(others: list[Any]) -> None:
    """The later one would win silently."""
    with pytest.raises(InvalidRequestError, match="another tool with the name 'minutes'"):
        AsyncCompletion(providers=[FakeProvider()]).run_tools(MODEL, "Hi", [minutes, *others])


async def test_none_is_as_if_left_out() -> None:
    """A wrapper that passes on its own defaults would get an error."""
    names = ("max_turns", "final_answer", "approve", "stop_when", "budget", "concurrency", "deadline", "on_event")
    outcome = await run("Hi", **dict.fromkeys((*names, "temperature", "timeout")), tool_timeout=None)
    assert outcome.status == "finished"
