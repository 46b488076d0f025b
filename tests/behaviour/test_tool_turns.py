"""Tests of the turns of tool runs over a connection: odd ids, legacy calls, approvals that take days, slow readers."""

import asyncio
import json
from typing import Any

import pytest

from anycompletion import AsyncCompletion, ClientClosedError
from anycompletion.tools import CallStarted, PendingCall, RunOutcome, ToolContext, ToolRun, TurnFinished, tool
from faults.harness import client_to
from support.tool_model import Calls, ToolModel

BY_ID: Calls = [("a", "echo", {"text": "A"}), ("b", "echo", {"text": "B"})]


@tool
async def echo(text: str) -> str:
    """Return the text."""
    await asyncio.sleep(0)
    return text.lower()


@tool(needs_approval=True)
def delete(path: str) -> str:
    """Delete a file."""
    return f"deleted {path}"


async def ended_run(run: ToolRun[None], way: str) -> RunOutcome[None]:
    """The outcome of a run whose turns are streamed or not."""
    if way == "streamed":
        async for _ in run.events():
            pass
    return await run


def stored(run: ToolRun[None] | RunOutcome[None]) -> Any:
    """The messages of a run as a program that stores them reads them again."""
    return json.loads(json.dumps([each.to_dict() for each in run.messages]))


BOTH_WAYS = pytest.mark.parametrize("way", ["plain", "streamed"])


@BOTH_WAYS
@pytest.mark.parametrize(
    "turns",
    [
        [[("", "echo", {"text": "A"}), ("", "echo", {"text": "B"})], [("", "echo", {"text": "C"})]],
        [[("x", "echo", {"text": "A"}), ("x", "echo", {"text": "B"})], [("x", "echo", {"text": "C"})]],
        [[("x", "echo", {"text": "A"}), ("y", "echo", {"text": "B"})], [("y", "echo", {"text": "C"})]],
    ],
    ids=["missing", "the same", "anew"],
)
async def test_calls_with_odd_ids_are_answered_one_by_one(turns: Any, way: str) -> None:
    """A provider would refuse the next turn, or one result would be taken for that of another call."""
    async with ToolModel(*turns) as model, client_to(model.url) as client:
        outcome = await ended_run(client.run_tools("openai/m", "Go!", [echo]), way)
        assert outcome.text == "a|b|c"
        assert not model.problems
        warnings = [warning for turn in outcome.turns for warning in turn.reply.info.warnings]
        assert len([warning for warning in warnings if "was replaced by" in warning]) >= 1


@BOTH_WAYS
async def test_legacy_calls_are_answered_in_their_own_form(way: str) -> None:
    """A server that knows only functions would refuse a result of the role tool."""
    async with ToolModel(BY_ID[:1], BY_ID[1:], legacy=True) as model, client_to(model.url) as client:
        outcome = await ended_run(client.run_tools("openai/m", "Go!", [echo]), way)
        assert outcome.text == "a|b"
        assert [each.role for each in outcome.messages] == ["user", *["assistant", "function"] * 2, "assistant"]
        assert not model.problems
        # The same from a transcript whose last call is open.
        again = client.run_tools("openai/m", stored(outcome)[:4], [echo])
        assert stored(await again) == stored(outcome)


@BOTH_WAYS
async def test_a_paused_run_goes_on_with_stored_decisions(way: str) -> None:
    """What a person decides on another day would not reach the run, or a tool would run twice."""
    calls: Calls = [("a", "echo", {"text": "A"}), ("b", "delete", {"path": "/x"}), ("c", "delete", {"path": "/y"})]
    decisions: dict[str, bool | str] = {}

    def approve(call: PendingCall) -> bool | str | None:
        return decisions.get(call.id)

    async with ToolModel(calls) as model, client_to(model.url) as client:
        outcome = await ended_run(client.run_tools("openai/m", "Go!", [echo, delete], approve=approve), way)
        assert outcome.status == "paused"
        assert [(each.id, each.arguments) for each in outcome.pending] == [("b", {"path": "/x"}), ("c", {"path": "/y"})]
        assert [each.role for each in outcome.messages] == ["user", "assistant"]
        decisions = {"b": "keep it"}
        outcome = await ended_run(client.run_tools("openai/m", stored(outcome), [echo, delete], approve=approve), way)
        assert outcome.status == "paused"
        assert [each.id for each in outcome.pending] == ["c"]
        assert len(model.requests) == 1, "the model was asked without all results"
        decisions = {"c": True}
        outcome = await ended_run(client.run_tools("openai/m", stored(outcome), [echo, delete], approve=approve), way)
        assert outcome.text == 'a|{"error":"denied","reason":"keep it"}|deleted /y'
        assert not model.problems


async def test_the_tools_of_a_turn_go_on_while_its_events_are_read_slowly() -> None:
    """The time of tools and that of a slow reader would add up, and the tools would time out."""
    calls: Calls = [(f"c{number}", "echo", {"text": f"T{number}"}) for number in range(20)]
    async with ToolModel(calls) as model, client_to(model.url) as client:
        run = client.run_tools("openai/m", "Go!", [echo], concurrency=2)
        async with run:
            async for event in run.events():
                if isinstance(event, CallStarted):
                    break
            async with asyncio.timeout(5):
                while len(run.messages) < 22:
                    await asyncio.sleep(0)
            assert len(model.requests) == 1, "the next turn began before the events of this one were read"
            events = [type(event) async for event in run.events()]
        assert events.index(TurnFinished) == 20 + 19, "events of the turn are missing"
        assert run.status == "finished"


async def test_runs_at_the_same_time_do_not_mix() -> None:
    """A user would get the results of another user's tools."""

    async def user(context: ToolContext[int]) -> int:
        """Return the user."""
        await asyncio.sleep(0)
        return context.value

    calls: Calls = [("a", "user", {}), ("b", "user", {})]

    async def one(client: AsyncCompletion, number: int) -> None:
        outcome = await client.run_tools("openai/m", "Go!", [user], context=number)
        assert outcome.text == "|".join([str(number)] * 4)

    async with ToolModel(calls, calls) as model, client_to(model.url) as client:
        await asyncio.gather(*(one(client, number) for number in range(50)))
        assert not model.problems


async def test_an_approval_can_close_its_run() -> None:
    """A button "stop" beside "yes" and "no" would cancel the task that reads the run, wherever it is by then."""
    calls: Calls = [("a", "delete", {"path": "/x"})]

    async def approve(_: PendingCall) -> bool:
        await run.aclose()
        return True

    async with ToolModel(calls) as model, client_to(model.url) as client:
        run = client.run_tools("openai/m", "Go!", [delete], approve=approve)
        with pytest.raises(ClientClosedError):
            await run
        await asyncio.sleep(0)
        task = asyncio.current_task()
        assert task is not None
        assert not task.cancelling()
        assert [each.role for each in run.messages] == ["user", "assistant"]


@BOTH_WAYS
async def test_a_tool_can_be_a_run_of_its_own_and_ends_with_the_run_that_called_it(way: str) -> None:
    """The tools of a helper's run would go on after the run of its caller was cancelled."""
    begun, ended = asyncio.Event(), list[str]()

    async def wait() -> str:
        """Wait."""
        begun.set()
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append("inner")
        return ""

    async with (
        ToolModel([("a", "ask", {})]) as outer,
        ToolModel([("a", "wait", {})]) as inner,
        client_to(outer.url) as client,
        client_to(inner.url) as other,
    ):

        async def ask() -> str:
            """Ask a helper."""
            try:
                return (await ended_run(other.run_tools("openai/m", "Help!", [wait]), way)).text
            finally:
                ended.append("outer")

        task = asyncio.create_task(ended_run(client.run_tools("openai/m", "Go!", [ask]), way))
        await begun.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert ended == ["inner", "outer"]


async def test_a_run_that_was_read_as_events_can_be_awaited_in_the_middle_of_a_turn() -> None:
    """The calls of the turn would run twice, or their results would be lost."""
    async with ToolModel(BY_ID) as model, client_to(model.url) as client:
        run = client.run_tools("openai/m", "Go!", [echo])
        async for event in run.events():
            if isinstance(event, CallStarted):
                break
        outcome = await run
        assert outcome.text == "a|b"
        assert [each.content for each in outcome.turns[0].outcomes] == ["a", "b"]
