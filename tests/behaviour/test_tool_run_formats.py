"""Tests of tool runs in every wire format, awaited and as events: the simulator refuses what a provider would refuse."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from anycompletion import AsyncCompletion, ToolMessage, UnsupportedParameterError
from anycompletion.testing import Fault, SimulatorServer
from anycompletion.tools import RunFinished, RunOutcome, ToolRun, tool
from support.simulated import MODEL_BY_DIALECT, SIMULATED, WITH_FUNCTIONS

MODELS = {name: model for name, model in {**SIMULATED, **MODEL_BY_DIALECT}.items() if model in WITH_FUNCTIONS}
NAMES = [name for name in MODELS if name in SIMULATED]
EVERY_FORMAT = pytest.mark.parametrize("name", NAMES)
WAYS = pytest.mark.parametrize("live", [False, True], ids=["awaited", "events"])


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
        AsyncCompletion(
            base_urls=simulator.base_urls, api_keys=simulator.api_keys, max_retries=0, **options
        ) as client,
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
    async with simulated("cut-call") as (simulator, client):
        outcome = await finish(client.run_tools(MODELS[name], "Look!", [looks.tool], tool_choice="auto"), live)
    assert (outcome.status, looks.calls) == ("finished", 0) or outcome.status == "tool_failures"
    assert len(simulator.requests) == 2


async def test_providers_without_tools_are_refused_before_anything_is_sent() -> None:
    """A model would be asked without its tools, and would answer as if it had used them."""
    looks = Looks()
    async with simulated() as (simulator, client):
        with pytest.raises(UnsupportedParameterError) as refused:
            await client.run_tools(MODEL_BY_DIALECT["replicate_predictions"], "Look!", [looks.tool])
    assert refused.value.param == "tools"
    assert simulator.requests == []
