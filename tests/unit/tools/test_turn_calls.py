"""Tests of the calls of one turn: checks, approvals, the order of starts and results, failures and cancellation."""

import asyncio
import json
import random
import threading
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

import anyio
import pytest

from anycompletion import (
    APITimeoutError,
    AssistantMessage,
    ClientClosedError,
    CustomCall,
    FunctionCall,
    InvalidRequestError,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from anycompletion.run_errors import ToolExecutionError
from anycompletion.tools import RunnableTool, ToolContext, ToolError, tool
from anycompletion.tools.approvals import Approval, ApprovalDecision, PendingCall
from anycompletion.tools.events import CallFinished
from anycompletion.tools.run_limits import RunLimits
from anycompletion.tools.run_settings import RunSettings
from anycompletion.tools.tool_set import tool_set
from anycompletion.tools.transcript import Transcript
from anycompletion.tools.turn_calls import CallEvent, TurnCalls
from anycompletion.validation.message_input import parse_messages
from support.cancel_points import Run, at_every_point


def call(call_id: str, name: str = "echo", arguments: str | None = None) -> ToolCall:
    """A call of `name`, whose argument is the call's id."""
    return ToolCall(call_id, FunctionCall(name, f'{{"text": "{call_id}"}}' if arguments is None else arguments))


class Stage:
    """One turn with a transcript; `events` are the ids of calls, with > at their start and < at their end."""

    def __init__(self, tools: Sequence[Any], *calls: ToolCall, **options: Any) -> None:
        self.transcript = Transcript([UserMessage("Look!"), AssistantMessage(tool_calls=list(calls))])
        self.events: list[str] = []
        turn_options = {name: options.pop(name) for name in ("cut", "in_order", "threads") if name in options}
        settings = RunSettings(**options)
        self.limits = RunLimits(settings)
        self.limits.start()
        results = self.transcript.restore_open_turn()
        assert results is not None
        self.turn = TurnCalls(
            results,
            tools=tool_set(tools),
            settings=settings,
            limits=self.limits,
            turn=3,
            emit=self._note,
            **turn_options,
        )

    def _note(self, event: CallEvent) -> None:
        assert event.turn == 3
        self.events.append(("<" if isinstance(event, CallFinished) else ">") + event.call.id)

    async def run(self) -> "Stage":
        try:
            while await self.turn.advance():
                pass
        finally:
            await self.turn.aclose()
        return self

    @property
    def contents(self) -> dict[str, Any]:
        """Id → content of the results in the transcript, in order."""
        results = [each for each in self.transcript.messages if isinstance(each, ToolMessage)]
        return {each.tool_call_id: each.content for each in results}


@tool
async def echo(text: str) -> str:
    """Return the text."""
    await asyncio.sleep(0)
    return text


@tool(needs_approval=True)
async def delete(text: str) -> str:
    """Delete something."""
    return f"deleted {text}"


class Gate:
    """Tools that run until they are let go, and a record of those that run."""

    def __init__(self) -> None:
        self.running: list[str] = []
        self.most = 0
        self.cancelled: list[str] = []
        self._events: dict[str, asyncio.Event] = {}

    async def wait(self, text: str) -> str:
        """Wait."""
        self.running.append(text)
        self.most = max(self.most, len(self.running))
        event = self._events[text] = asyncio.Event()
        try:
            await event.wait()
        except asyncio.CancelledError:
            self.cancelled.append(text)
            raise
        finally:
            self.running.remove(text)
        return text

    async def release(self, text: str) -> None:
        self._events[text].set()
        for _ in range(20):
            await asyncio.sleep(0)


# --- checks ---------------------------------------------------------------------------------------------------------


async def test_each_call_gets_one_result_in_call_order() -> None:
    """A provider would refuse the next turn, because a call has no result or a result has no call."""
    stage = await Stage(
        [echo],
        call("a", "nope"),
        call("b"),
        call("c", arguments='{"text": 1}'),
        call("d", arguments="{"),
        call("e"),
    ).run()
    assert list(stage.contents) == ["a", "b", "c", "d", "e"]
    assert stage.contents["a"] == '{"error":"unknown tool","tools":["echo"]}'
    assert (stage.contents["b"], stage.contents["e"]) == ("b", "e")
    assert '"invalid arguments","at":"$.text"' in stage.contents["c"]
    assert '"invalid arguments"' in stage.contents["d"]
    assert [each.call.id for each in stage.turn.outcomes] == ["a", "b", "c", "d", "e"]
    assert [each.error is None for each in stage.turn.outcomes] == [False, True, False, False, True]
    assert stage.transcript.restore_open_turn() is None


async def test_all_calls_are_checked_before_one_is_run() -> None:
    """A tool would have run, although an approval or a check of the same turn ends it."""
    stage = await Stage([echo], call("a"), call("b"), call("c", "nope")).run()
    assert stage.events == ["<c", ">a", ">b", "<a", "<b"]


async def test_a_call_that_the_token_limit_cut_does_not_run() -> None:
    """A tool would run with its defaults in place of arguments that the model was still writing."""

    @tool
    async def list_files(path: str = "/") -> str:
        """List files."""
        raise AssertionError("it ran")

    stage = await Stage(
        [echo, list_files], call("a"), call("b", "list_files", ""), call("c", "list_files", '{"pa'), cut=True
    ).run()
    assert stage.contents["a"] == "a"
    assert "token limit" in stage.contents["b"]
    assert "token limit" in stage.contents["c"]


async def test_a_cut_call_of_a_tool_that_the_caller_answers_is_not_pending() -> None:
    """A program would execute half a script that the model was still writing."""
    script = ToolCall("b", type="custom", custom=CustomCall("shell", "rm -r /tmp/x"))
    stage = await Stage([echo], call("a"), script, cut=True).run()
    assert list(stage.contents) == ["a", "b"]
    assert not stage.turn.pending


async def test_a_call_of_one_of_our_tools_runs_whatever_its_type() -> None:
    """A server with another word for "function" would stop every run."""
    odd = call("a")
    odd.type = "tool"
    unknown = call("b", "web")
    unknown.type = "server_call"
    stage = await Stage([echo], odd, unknown).run()
    assert stage.contents == {"a": "a"}
    assert [each.id for each in stage.turn.pending] == ["b"]


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "[" * 100_000, "1" * 10_000, "{}{}", "\\ud800"], ids=range(8))
async def test_arguments_that_cannot_be_read_are_an_error_or_a_pending_call(text: str) -> None:
    """A model could end a run with its arguments."""
    lookup = {"type": "function", "function": {"name": "lookup", "parameters": {"type": "object"}}}
    stage = await Stage([lookup, echo], call("a", arguments=text), call("b", "lookup", text)).run()
    assert list(stage.contents) == ["a"]
    assert stage.turn.outcomes[0].error is not None
    assert [each.arguments for each in stage.turn.pending] == [{}]


async def test_calls_that_the_caller_answers_are_pending_and_the_others_run() -> None:
    """A call of a provider's own tool would be answered with "unknown tool", or work would be lost with it."""
    lookup = {"type": "function", "function": {"name": "lookup", "parameters": {"type": "object"}}}
    custom = ToolCall("c", type="custom", custom=CustomCall("grammar", "1 + 1"))
    calls = (call("a", "lookup", '{"x": 1}'), call("b"), custom, call("d", "lookup", "{"))
    stage = await Stage([lookup, echo], *calls).run()
    assert stage.contents == {"b": "b"}
    assert not stage.turn.is_paused
    assert [(each.id, each.name, each.arguments, each.tool) for each in stage.turn.pending] == [
        ("a", "lookup", {"x": 1}, None),
        ("c", "grammar", {"input": "1 + 1"}, None),
        ("d", "lookup", {}, None),
    ]
    open_turn = stage.transcript.restore_open_turn()
    assert open_turn is not None
    assert open_turn.unanswered == [0, 2, 3]


# --- approvals ------------------------------------------------------------------------------------------------------


def deciding(decision: Any, *, later: bool) -> Callable[[PendingCall], Any]:
    async def decide_later(_: PendingCall) -> Any:
        await asyncio.sleep(0)
        return decision

    return decide_later if later else lambda _: decision


@pytest.mark.parametrize("later", [False, True], ids=["plain", "async"])
@pytest.mark.parametrize(
    ("decision", "content"),
    [
        (True, "deleted a"),
        (False, '{"error":"denied"}'),
        ("ask again tomorrow", '{"error":"denied","reason":"ask again tomorrow"}'),
        ("", '{"error":"denied","reason":""}'),
        ("half an emoji \ud83d", '{"error":"denied","reason":"half an emoji \ufffd"}'),
        (Approval({"text": "less"}), "deleted less"),
    ],
    ids=["yes", "no", "reason", "empty reason", "surrogate", "other arguments"],
)
async def test_the_decision_about_a_call_is_followed(decision: ApprovalDecision, content: str, later: bool) -> None:
    """A dangerous tool would run although a person denied it, or with other arguments than the approved ones."""
    stage = await Stage([delete], call("a", "delete"), approve=deciding(decision, later=later)).run()
    (outcome,) = stage.turn.outcomes
    assert (outcome.error is None) == content.startswith("deleted")
    assert outcome.content == content
    assert stage.contents == {"a": outcome.content}
    assert not stage.turn.pending


@pytest.mark.parametrize(
    "arguments", [{"text": 1}, {}, {"text": "a", "force": True}], ids=["wrong", "missing", "extra"]
)
async def test_approved_arguments_that_do_not_fit_are_a_mistake_of_the_program(arguments: Any) -> None:
    """The model would have to correct arguments that it did not write."""
    stage = Stage([delete], call("a", "delete"), approve=lambda _: Approval(arguments))
    with pytest.raises(InvalidRequestError, match=r"Approval do not fit the tool 'delete': \$") as caught:
        await stage.run()
    assert (caught.value.param, stage.contents) == ("approve", {})


async def test_an_outcome_has_the_approved_arguments_and_the_transcript_those_of_the_model() -> None:
    """A log would show what did not run, or the provider would refuse a message that it did not send."""
    stage = await Stage([delete], call("a", "delete"), approve=lambda _: Approval({"text": "less"})).run()
    assert stage.turn.outcomes[0].call.function.arguments == '{"text":"less"}'
    message = stage.transcript.messages[1]
    assert isinstance(message, AssistantMessage)
    assert message.tool_calls is not None
    assert message.tool_calls[0].function.arguments == '{"text": "a"}'


async def test_approvals_are_asked_for_one_after_the_other_before_any_tool_runs() -> None:
    """Two questions would be on a terminal at the same time, or a tool would run before the answer is known."""
    seen: list[str] = []

    async def approve(pending: PendingCall) -> bool:
        seen.append(f"?{pending.id}")
        assert pending == PendingCall(pending.id, "delete", {"text": pending.id}, delete, 3)
        assert stage.events == []
        await asyncio.sleep(0)
        seen.append(f"!{pending.id}")
        return True

    stage = Stage([echo, delete], call("a"), call("b", "delete"), call("c", "delete"), call("d"), approve=approve)
    await stage.run()
    assert seen == ["?b", "!b", "?c", "!c"]
    assert stage.events[:4] == [">a", ">b", ">c", ">d"]
    assert list(stage.contents) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("approve", [None, lambda _: None], ids=["no function", "undecided"])
@pytest.mark.parametrize("concurrency", [1, 8])
async def test_without_a_decision_nothing_of_the_turn_runs(approve: Any, concurrency: int) -> None:
    """A tool would have run already when the person who is asked denies another call."""
    calls = (call("a"), call("b", "delete"), call("c", "nope"), call("d", "delete"))
    stage = await Stage([echo, delete], *calls, approve=approve, concurrency=concurrency).run()
    assert stage.turn.is_paused
    assert [each.id for each in stage.turn.pending] == ["b", "d"]
    assert stage.events == ["<c"]
    open_turn = stage.transcript.restore_open_turn()
    assert open_turn is not None
    assert open_turn.unanswered == [0, 1, 3]


async def test_stored_decisions_are_found_after_a_pause() -> None:
    """A paused run could not be resumed with what a person decided meanwhile."""
    decisions: dict[str, bool] = {"a": True, "b": False}
    calls = [call(each, "delete") for each in ("a", "b", "c")]
    stage = await Stage([delete], *calls, approve=lambda pending: decisions.get(pending.id)).run()
    assert [each.id for each in stage.turn.pending] == ["c"]
    assert stage.contents == {"b": '{"error":"denied"}'}
    decisions = {"c": True, "a": True}
    results = stage.transcript.restore_open_turn()
    assert results is not None
    settings = RunSettings(approve=lambda pending: decisions.get(pending.id))
    turn = TurnCalls(results, tools=tool_set([delete]), settings=settings, turn=0, emit=lambda _: None)
    while await turn.advance():
        pass
    assert stage.contents == {"a": "deleted a", "b": '{"error":"denied"}', "c": "deleted c"}


async def test_approve_every_asks_for_all_tools_that_run() -> None:
    """A tool without the mark would run unseen, although the caller wants to see every call."""
    seen: list[str] = []
    calls = (call("a"), call("b", "nope"), call("c", arguments="{"), call("d", "delete"))
    stage = await Stage(
        [echo, delete], *calls, approve=lambda pending: seen.append(pending.id) or True, approve_every=True
    ).run()
    assert seen == ["a", "d"]
    assert list(stage.contents) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("decision", [1, 0, {"text": "x"}, [], ...], ids=["1", "0", "dict", "list", "ellipsis"])
async def test_a_decision_of_another_type_runs_nothing(decision: Any) -> None:
    """A slip in `approve`, such as a dict in place of an Approval, would count as a yes."""
    stage = Stage([echo, delete], call("a"), call("b", "delete"), approve=lambda _: decision)
    with pytest.raises(InvalidRequestError, match="approve") as caught:
        await stage.run()
    assert caught.value.param == "approve"
    assert not stage.contents
    assert not stage.events


@pytest.mark.parametrize("arguments", [{"text": object()}, [("text",)], {"text": {1: {2}}.keys}], ids=["a", "b", "c"])
async def test_approved_arguments_have_to_be_json(arguments: Any) -> None:
    """An exception about types of ours would come out of the run, without a word on where it came from."""
    stage = Stage([delete], call("a", "delete"), approve=lambda _: Approval(arguments))
    with pytest.raises(InvalidRequestError, match="Approval"):
        await stage.run()
    assert not stage.contents


async def test_an_exception_of_approve_comes_out_and_nothing_runs() -> None:
    """A failure to ask would be taken for an answer."""

    def approve(_: PendingCall) -> bool:
        raise ConnectionResetError

    stage = Stage([echo, delete], call("a"), call("b", "delete"), approve=approve)
    with pytest.raises(ConnectionResetError):
        await stage.run()
    assert not stage.events


async def test_what_approve_does_to_the_arguments_it_was_shown_changes_nothing() -> None:
    """The tool would run with arguments that were neither the model's nor checked."""

    @tool(needs_approval=True)
    async def total(numbers: list[int], options: dict[str, list[int]]) -> int:
        """Add numbers."""
        return sum(numbers) + sum(options["more"])

    shown: list[Any] = []

    def approve(pending: PendingCall) -> bool | None:
        shown.append(dict(pending.arguments))
        pending.arguments["numbers"].append(1000)
        pending.arguments["options"]["more"].append(1000)
        return True

    raw = RunnableTool.from_schema("raw", {"type": "object"}, lambda given: echo(str(given)), needs_approval=True)
    arguments = '{"numbers": [1, 2], "options": {"more": [3]}}'
    calls = (call("a", "total", arguments), call("b", "raw", arguments))
    stage = await Stage([total, raw], *calls, approve=approve).run()
    assert stage.contents == {"a": "6", "b": "{'numbers': [1, 2], 'options': {'more': [3]}}"}


async def test_the_deadline_of_the_run_ends_an_approval_and_nothing_runs() -> None:
    """A run with a deadline would wait for a person who has left."""
    cancelled: list[str] = []

    async def approve(pending: PendingCall) -> bool:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            cancelled.append(pending.id)
            raise
        return True

    stage = Stage([echo, delete], call("a"), call("b", "delete"), approve=approve, deadline=0.01)
    with pytest.raises(APITimeoutError, match="deadline"):
        await stage.run()
    assert cancelled == ["b"]
    assert not stage.events


async def test_a_timeout_of_approve_is_no_deadline() -> None:
    """A failure to ask would be taken for the end of the run's time."""

    async def approve(_: PendingCall) -> bool:
        raise TimeoutError("no answer from the queue")

    with pytest.raises(TimeoutError, match="queue"):
        await Stage([delete], call("a", "delete"), approve=approve, deadline=1000).run()


async def test_no_call_starts_after_the_deadline() -> None:
    """A tool would begin its work and be cancelled at once, which may leave half of it done."""
    begun: list[str] = []

    async def slow(text: str) -> str:
        """Work."""
        begun.append(text)
        await asyncio.sleep(1000)
        return text

    stage = Stage([slow], call("a", "slow"), call("b", "slow"), deadline=0.05, concurrency=1)
    with pytest.raises(APITimeoutError, match="deadline"):
        await stage.run()
    assert begun == ["a"]
    assert stage.contents == {}


async def test_the_deadline_counts_while_a_call_waits_for_a_thread() -> None:
    """A run would go on after its deadline, as long as other tools have the threads."""
    limiter = anyio.CapacityLimiter(1)

    def count(text: str) -> int:
        return len(text)

    stage = Stage([count], call("a", "count"), deadline=0.01, threads=limiter)
    async with limiter:
        with pytest.raises(APITimeoutError, match="deadline"):
            await stage.run()
    assert stage.contents == {}


# --- order and concurrency ------------------------------------------------------------------------------------------


async def started(stage: Stage) -> asyncio.Task[Stage]:
    running = asyncio.create_task(stage.run())
    for _ in range(20):
        await asyncio.sleep(0)
    return running


async def test_no_more_calls_run_than_allowed_and_they_start_in_order() -> None:
    """A database with three connections would get twenty queries, or the last call would be the first to start."""
    gate = Gate()
    names = [f"call_{number}" for number in range(10)]
    stage = Stage([gate.wait], *[call(each, "wait") for each in names], concurrency=3)
    running = await started(stage)
    order = list(names)
    rolls = random.Random(3)  # noqa: S311 (reproducible, not secret)
    while gate.running:
        assert gate.running == names[: len(gate.running)] or len(gate.running) <= 3
        assert sorted(gate.running) == sorted(set(gate.running))
        done = rolls.choice(gate.running)
        await gate.release(done)
        order.remove(done)
        assert len(gate.running) == min(3, len(order))
    await running
    assert gate.most == 3
    assert [each for each in stage.events if each[0] == ">"] == [f">{each}" for each in names]
    assert list(stage.contents) == names


@pytest.mark.parametrize("by", ["tool", "turn"])
async def test_calls_run_one_after_the_other_where_one_demands_it(by: str) -> None:
    """Two bookings would be made in the wrong order, or at the same time."""

    @tool(sequential=True)
    async def book(text: str) -> str:
        """Book."""
        await asyncio.sleep(0)
        return text

    calls = (call("a"), call("b", "book" if by == "tool" else "echo"), call("c"))
    stage = await Stage([echo, book], *calls, in_order=by == "turn").run()
    assert stage.events == [">a", "<a", ">b", "<b", ">c", "<c"]


@pytest.mark.parametrize("seed", range(10))
async def test_the_results_of_threads_stand_in_call_order_whichever_ends_first(seed: int) -> None:
    """The model would read the weather of Oslo as that of Rome."""
    order = list(range(20))
    random.Random(seed).shuffle(order)  # noqa: S311 (reproducible, not secret)
    turns = [threading.Event() for _ in order]
    ended: list[int] = []
    names = [f"call_{number}" for number in range(20)]

    def work(text: str) -> str:
        """Work."""
        number = int(text.removeprefix("call_"))
        place = order.index(number)
        assert turns[place - 1].wait(10) if place else True
        ended.append(number)
        turns[place].set()
        return text

    calls = [call(each, "work") for each in names]
    stage = await Stage([work], *calls, concurrency=20, threads=anyio.CapacityLimiter(20)).run()
    assert ended == order
    assert stage.contents == {each: each for each in names}
    assert [each.call.id for each in stage.turn.outcomes] == names


async def test_tools_go_on_while_no_task_reads_the_events() -> None:
    """A slow reader would keep the tools of a turn from running."""
    names = [f"call_{number}" for number in range(10)]
    stage = Stage([echo], *[call(each) for each in names], concurrency=2)
    while not stage.events:
        await stage.turn.advance()
    for _ in range(100):
        await asyncio.sleep(0)
    assert list(stage.contents) == names
    await stage.run()


async def test_each_call_has_context_variables_of_its_own() -> None:
    """A tool would see the user of another call, where it keeps it in a context variable."""
    variable: ContextVar[str] = ContextVar("variable", default="none")

    async def remember(text: str) -> str:
        """Remember."""
        found = variable.get()
        variable.set(text)
        await asyncio.sleep(0)
        return f"{found} {variable.get()}"

    variable.set("outside")
    stage = await Stage([remember], call("a", "remember"), call("b", "remember"), in_order=True).run()
    assert stage.contents == {"a": "outside a", "b": "outside b"}
    assert variable.get() == "outside"


async def test_a_tool_sees_the_conversation_up_to_its_call() -> None:
    """What a tool sees would depend on which of its siblings was faster."""
    seen: list[Any] = []

    async def look(text: str, context: ToolContext[str]) -> str:
        """Look."""
        seen.append((context.value, context.call.id, context.turn, [each.role for each in context.messages]))
        return text

    calls = (call("a", "look"), call("b", "look"))
    await Stage([look], *calls, context="ours", in_order=True).run()
    assert seen == [("ours", each, 3, ["user", "assistant"]) for each in ("a", "b")]


# --- failures -------------------------------------------------------------------------------------------------------


async def test_a_failing_tool_does_not_end_its_siblings() -> None:
    """The work of all tools of a turn would be lost with one of them."""

    async def fail(text: str) -> str:
        """Fail."""
        raise ConnectionError(text)

    stage = await Stage([echo, fail], call("a"), call("b", "fail"), call("c")).run()
    assert stage.contents == {"a": "a", "b": '{"error":"the tool failed","type":"ConnectionError"}', "c": "c"}
    assert isinstance(stage.turn.outcomes[1].error, ConnectionError)


async def test_with_raise_an_exception_cancels_the_siblings_and_keeps_the_results() -> None:
    """Tools would go on after the run has ended, or their results would be lost and they would run again."""
    gate = Gate()

    async def fail(text: str) -> str:
        """Fail."""
        raise ConnectionError(text)

    calls = (call("a"), call("b", "wait"), call("c", "wait"), call("d", "fail"), call("e"))
    stage = Stage([echo, gate.wait, fail], *calls, on_tool_error="raise", concurrency=3)
    with pytest.raises(ToolExecutionError, match="fail") as caught:
        await stage.run()
    assert caught.value.call == calls[3]
    assert isinstance(caught.value.__cause__, ConnectionError)
    assert gate.cancelled == ["b", "c"]
    assert stage.contents == {"a": "a"}
    assert stage.events == [">a", ">b", ">c", "<a", ">d"]


async def test_the_exception_that_ended_a_turn_is_raised_whenever_it_is_read() -> None:
    """A slow reader would get the cancellation of a sibling in place of the exception."""
    gate = Gate()

    async def fail(text: str) -> str:
        """Fail."""
        raise ConnectionError(text)

    stage = Stage([gate.wait, fail], call("a", "wait"), call("b", "fail"), on_tool_error="raise")
    while not stage.events:
        await stage.turn.advance()
    for _ in range(20):
        await asyncio.sleep(0)
    assert gate.cancelled == ["a"]
    with pytest.raises(ToolExecutionError):
        await stage.run()


async def test_with_raise_what_the_model_may_know_is_still_a_result() -> None:
    """A run would end because the model wrote a wrong argument."""

    async def refuse(text: str) -> str:
        """Refuse."""
        raise ToolError(f"no {text}")

    async def sleep(text: str) -> str:
        """Sleep."""
        await asyncio.sleep(100)
        return text

    @tool(name="long")
    async def long_text(text: str) -> str:
        """Much text."""
        return text * 2000

    calls = (
        call("a", "nope"),
        call("b", arguments="{"),
        call("c", "refuse"),
        call("d", "delete"),
        call("e", "sleep"),
        call("f", "long"),
    )
    stage = await Stage(
        [echo, refuse, delete, sleep, long_text],
        *calls,
        on_tool_error="raise",
        approve=lambda _: False,
        tool_timeout=0.001,
        max_result_chars=1000,
    ).run()
    assert list(stage.contents) == ["a", "b", "c", "d", "e", "f"]
    assert stage.contents["c"] == "no c"
    assert "timed out" in stage.contents["e"]
    assert "too long" in stage.contents["f"]


@pytest.mark.parametrize("on_tool_error", ["report", "raise"])
async def test_the_end_of_the_client_is_no_result(on_tool_error: str) -> None:
    """A run would go on with a client that is closed."""
    gate = Gate()

    async def end(text: str) -> str:
        """End."""
        raise ClientClosedError("closed")

    stage = Stage([gate.wait, end], call("a", "wait"), call("b", "end"), call("c", "wait"), on_tool_error=on_tool_error)
    with pytest.raises(ClientClosedError):
        await stage.run()
    assert gate.cancelled == ["a", "c"]
    assert not stage.contents


# --- cancellation ---------------------------------------------------------------------------------------------------


async def test_closing_a_turn_cancels_its_tools_and_starts_no_other() -> None:
    """Tools would go on after their run was left."""
    gate = Gate()
    names = [f"call_{number}" for number in range(5)]
    stage = Stage([gate.wait], *[call(each, "wait") for each in names], concurrency=2)
    running = await started(stage)
    await gate.release("call_0")
    assert gate.running == ["call_1", "call_2"]
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    assert not gate.running
    assert gate.cancelled == ["call_1", "call_2"]
    assert list(stage.contents) == ["call_0"]
    open_turn = stage.transcript.restore_open_turn()
    assert open_turn is not None
    assert open_turn.unanswered == [1, 2, 3, 4]


async def test_a_result_that_a_tool_returns_when_it_is_cancelled_is_kept() -> None:
    """A tool that rounds off its work when it is cancelled would do it again when the run is resumed."""
    running = asyncio.Event()

    async def save(text: str) -> str:
        """Save."""
        try:
            running.set()
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
        return f"saved {text}"

    stage = Stage([save], call("a", "save"))
    task = asyncio.create_task(stage.run())
    await running.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert stage.contents == {"a": "saved a"}


async def test_several_tasks_can_close_a_turn() -> None:
    """A client that is closed would wait for ever for a run that another task closes."""
    gate = Gate()
    stage = Stage([gate.wait], call("a", "wait"), call("b", "wait"))
    running = await started(stage)
    closing = [asyncio.create_task(stage.turn.aclose()) for _ in range(3)]
    running.cancel()
    async with asyncio.timeout(5):
        await asyncio.wait([running, *closing])
    assert gate.cancelled == ["a", "b"]


async def test_a_function_that_has_ended_in_its_thread_does_not_run_again() -> None:
    """A sync tool whose run is cancelled as it ends would run twice."""
    ran: list[str] = []

    def work(text: str) -> str:
        """Work."""
        ran.append(text)
        return text

    stages: list[Stage] = []

    async def use() -> None:
        ran.clear()
        stages[:] = [Stage([work], call("a", "work"))]
        await stages[0].run()

    async def check(point: Run) -> None:
        await asyncio.sleep(0)
        assert list(stages[0].contents) == ran, point

    assert await at_every_point(use, check, late=True) > 1


# --- random turns ---------------------------------------------------------------------------------------------------


class Random:
    """A turn of random calls that is interrupted at random and resumed from JSON until it is done."""

    def __init__(self, seed: int) -> None:
        self.rolls = random.Random(seed)  # noqa: S311 (reproducible, not secret)
        kinds = ("work", "sync", "serial", "delete", "fail", "nope", "broken")
        names = [self.rolls.choice(kinds) for _ in range(self.rolls.randrange(1, 9))]
        self.calls = [
            call(f"c{number}", "work" if name == "broken" else name, "{" if name == "broken" else None)
            for number, name in enumerate(names)
        ]
        self.decisions = {each.id: self.rolls.choice([True, False, "not now"]) for each in self.calls}
        self.ended: list[str] = []
        self.patience = 0
        self.tools = [
            tool(name="work")(self.work),
            tool(name="sync")(self.sync),
            tool(name="serial", sequential=True)(self.work),
            tool(name="delete", needs_approval=True)(self.work),
            tool(name="fail")(self.fail),
        ]

    async def work(self, text: str) -> str:
        for _ in range(self.rolls.randrange(4)):
            await asyncio.sleep(0)
        self.ended.append(text)
        return text

    def sync(self, text: str) -> str:
        return text

    async def fail(self, text: str) -> str:
        self.ended.append(text)
        raise ToolError(text)

    def approve(self, pending: PendingCall) -> bool | str | None:
        return self.decisions[pending.id] if self.rolls.random() > 0.3 else None

    async def finish(self, *, interrupted: bool) -> list[Any]:
        """The messages at the end."""
        messages: list[Any] = [UserMessage("Go!"), AssistantMessage(tool_calls=self.calls)]
        while (results := (transcript := Transcript(parse_messages(messages))).restore_open_turn()) is not None:
            approve = self.approve if interrupted else lambda pending: self.decisions[pending.id]
            settings = RunSettings(approve=approve, concurrency=self.rolls.randrange(1, 5))
            turn = TurnCalls(results, tools=tool_set(self.tools), settings=settings, turn=0, emit=lambda _: None)
            running = asyncio.create_task(self._run(turn))
            if interrupted:
                for _ in range(self.rolls.randrange(12) + self.patience):
                    await asyncio.sleep(0)
                self.patience += 1
                running.cancel()
            await asyncio.wait([running])
            messages = json.loads(json.dumps([each.to_dict() for each in transcript.messages]))
        return messages

    async def _run(self, turn: TurnCalls) -> None:
        try:
            while await turn.advance():
                pass
        finally:
            await turn.aclose()


@pytest.mark.parametrize("seed", range(60))
async def test_a_turn_that_is_interrupted_often_ends_as_one_that_is_not(seed: int) -> None:
    """A call would be lost, answered twice, or run twice, wherever a program happens to stop."""
    turn = Random(seed)
    whole = await Random(seed).finish(interrupted=False)
    assert [each["tool_call_id"] for each in whole[2:]] == [each.id for each in turn.calls]
    assert await turn.finish(interrupted=True) == whole
    assert len(turn.ended) == len(set(turn.ended))
