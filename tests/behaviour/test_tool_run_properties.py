"""Properties of tool runs with random turns, settings and readers: valid messages, bounds, nothing run twice."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from anycompletion import AsyncCompletion, FunctionCall, Message, ToolCall, ToolMessage, Usage
from anycompletion.records import AssistantTurn
from anycompletion.testing import FakeProvider
from anycompletion.tools import Budget, ToolRun, tool

KINDS = ("fine", "slow", "fails", "unknown", "wrong", "text", "approved", "foreign", "same id", "no id")
TURNS = st.lists(st.lists(st.sampled_from(KINDS), min_size=1, max_size=4), max_size=5)
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "max_turns": st.integers(1, 4),
        "final_answer": st.booleans(),
        "concurrency": st.integers(1, 3),
        "budget": st.sampled_from([Budget(tool_calls=3), Budget(total_tokens=10**6)]),
        "stop_when": st.just(lambda turn: len(turn.outcomes) == 3),
        "approve": st.sampled_from([lambda call: True, lambda call: "not now", lambda call: None]),
        "parallel_tool_calls": st.just(False),
    },
)
FOREIGN = {"type": "function", "function": {"name": "foreign", "parameters": {"type": "object", "properties": {}}}}
NAMES = {"wrong": "fine", "text": "fine", "same id": "fine", "no id": "fine"}
TEXTS = {"wrong": '{"n": "one"}', "text": "no JSON"}


def call(kind: str, turn: int, at: int) -> ToolCall:
    """A call of one kind; the calls of a turn with "same id" share it."""
    ids = {"same id": "same", "no id": ""}
    return ToolCall(
        ids.get(kind, f"call_{turn}_{at}_{kind}"),
        FunctionCall(NAMES.get(kind, kind), TEXTS.get(kind, json.dumps({"n": 10 * turn + at}))),
    )


class Ran(Counter[int]):
    """Counts how often each call was executed, and has the tools that do so."""

    def tools(self) -> list[Any]:
        """The tools of a run."""

        @tool
        async def fine(n: int) -> int:
            """Count."""
            self[n] += 1
            return n

        @tool(sequential=True)
        async def slow(n: int) -> int:
            """Count, later."""
            await asyncio.sleep(0)
            self[n] += 1
            return n

        @tool
        async def fails(n: int) -> int:
            """Count, and fail."""
            self[n] += 1
            raise OSError("no")

        @tool(needs_approval=True)
        async def approved(n: int) -> int:
            """Count, if it may."""
            self[n] += 1
            return n

        return [fine, slow, fails, approved, FOREIGN]


async def read(run: ToolRun[Any], way: str) -> None:
    """Reads a run, in part or whole."""
    if way == "turns":
        async for _ in run:
            pass
    elif way == "events":
        async for _ in run.events():
            pass
    elif way == "some events":
        events = run.events(raw=True)
        for _ in range(5):
            if await anext(events, None) is None:
                break
    await run


def open_calls(messages: list[Message]) -> list[str]:
    """The ids of the calls without a result, in a conversation that is checked on the way."""
    missing: list[str] = []
    seen: set[str] = set()
    for message in messages:
        if isinstance(message, ToolMessage):
            assert message.tool_call_id in missing, "a result of no call, or of one that has one"
            # Results are in the order of the calls; those that are missing are left out.
            missing = [each for each in missing if each != message.tool_call_id]
            continue
        assert missing == [], f"a call without a result before a message of the role {message.role}"
        if isinstance(message, AssistantTurn):
            ids = [call.id for call in message.tool_calls or ()]
            assert len({*ids}) == len(ids)
            assert not seen & {*ids}
            seen |= {*ids}
            missing = ids
    return missing


@settings(max_examples=50, deadline=None)
@given(TURNS, SETTINGS, st.sampled_from(["await", "turns", "events", "some events"]))
def test_a_run_is_valid_at_its_end_and_can_go_on(turns: list[list[str]], given: dict[str, Any], way: str) -> None:
    """A run would end in a conversation that providers refuse, exceed its bounds, or repeat what was done."""
    asyncio.run(_check(turns, given, way))


async def _check(turns: list[list[str]], given: dict[str, Any], way: str) -> None:
    ran, replies = Ran(), [[call(kind, at, i) for i, kind in enumerate(kinds)] for at, kinds in enumerate(turns)]
    fake = FakeProvider(*replies, "Done", lambda request: "Done again")
    async with AsyncCompletion(providers=[fake]) as client:
        run = client.run_tools("openai/gpt-4o", "Go", ran.tools(), **given)
        await read(run, way)
        outcome = await run
        limit = given.get("max_turns", 10)
        assert len(fake.requests) <= limit + given.get("final_answer", False)
        left, pending = open_calls(outcome.messages), [each.id for each in outcome.pending]
        # A turn that waits for an approval has run nothing, and only the calls that wait for it are pending.
        assert left == pending or (outcome.status == "paused" and {*pending} < {*left})
        assert outcome.status != "paused" or {each.name for each in outcome.pending} == {"approved"}
        answered = [each.call.id for turn in outcome.turns for each in turn.outcomes]
        assert answered == [each.tool_call_id for each in outcome.messages if isinstance(each, ToolMessage)]
        assert outcome.usage is not None
        usages = [turn.reply.usage for turn in outcome.turns]
        assert outcome.usage == Usage.total_of([usage for usage in usages if usage is not None])
        if outcome.status == "finished":
            assert outcome.pending == []
            assert not outcome.reply.message.tool_calls
        stored = json.loads(json.dumps([message.to_dict() for message in outcome.messages]))
        stored += [ToolMessage("found", each).to_dict() for each in left if each.endswith("foreign")]
    async with AsyncCompletion(providers=[FakeProvider(lambda request: "Done")]) as client:
        resumed = await client.run_tools("openai/gpt-4o", stored, ran.tools(), approve=lambda call: True)
    assert resumed.status == "finished"
    assert open_calls(resumed.messages) == []
    assert max(ran.values(), default=0) <= 1, "a call was executed twice"
