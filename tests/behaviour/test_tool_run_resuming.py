"""Tests of tool runs that begin with open calls: what is checked before one of them runs."""

from __future__ import annotations

import asyncio
from typing import Any

import attrs
import pytest

from anycompletion import (
    AssistantMessage,
    AsyncCompletion,
    ChatRequest,
    ClientClosedError,
    CompletionError,
    ConfigurationError,
    FunctionCall,
    FunctionMessage,
    InvalidRequestError,
    Message,
    ToolMessage,
    UnsupportedParameterError,
    UserMessage,
)
from anycompletion.routing import Route
from anycompletion.testing import FakeProvider, tool_call
from anycompletion.tools import ToolRun, tool

MODEL = "openai/gpt-4o"

paid: list[float] = []
"""What was paid."""


@pytest.fixture(autouse=True)
def _nothing_paid() -> None:
    paid.clear()


@tool
async def pay(amount: float) -> str:
    """Pay an invoice."""
    paid.append(amount)
    return "paid"


def open_call() -> list[Message]:
    """A conversation that ends with an open call."""
    return [UserMessage("Pay!"), AssistantMessage(tool_calls=[tool_call("pay", amount=5)])]


async def awaited(run: ToolRun[None]) -> None:
    await run


async def by_events(run: ToolRun[None]) -> None:
    async for _ in run.events():
        pass


ROUTES = {"none": Route(["replicate/meta/llama"]), "some": Route(["replicate/meta/llama", MODEL])}


@pytest.mark.parametrize("read", [awaited, by_events])
@pytest.mark.parametrize(
    ("model", "options", "error"),
    [
        ("nowhere/x", {}, InvalidRequestError),
        ("anthropic/claude-sonnet-4-5", {}, ConfigurationError),
        ("replicate/meta/llama", {"api_key": "k"}, UnsupportedParameterError),
        ("none", {}, UnsupportedParameterError),
        (MODEL, {"cache": {"ttl": 1}}, ConfigurationError),
    ],
    ids=["provider", "key", "tools", "tools of a route", "cache"],
)
async def test_no_call_runs_before_the_next_request_can_be_sent(
    monkeypatch: pytest.MonkeyPatch, read: Any, model: str, options: Any, error: type[CompletionError]
) -> None:
    """Each attempt of a program with a wrong setting would pay again, and then fail."""
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    fake = FakeProvider("Done.")
    async with AsyncCompletion(providers=[fake], routes=ROUTES, api_keys={"replicate": "k"}) as client:
        run = client.run_tools(model, open_call(), [pay], **options)
        with pytest.raises(error):
            await read(run)
    assert (paid, len(run.messages)) == ([], 2)


async def test_a_closed_client_runs_no_call() -> None:
    """A tool would run although its result cannot be sent."""
    client = AsyncCompletion(providers=[FakeProvider("Done.")])
    run = client.run_tools(MODEL, open_call(), [pay])
    await client.aclose()
    with pytest.raises(ClientClosedError):
        await run
    assert paid == []


def test_a_client_of_another_event_loop_runs_no_call() -> None:
    """A tool would run in a loop in which the client cannot send its result."""
    client = AsyncCompletion(providers=[FakeProvider("Hi.", "Done.")])

    async def use() -> None:
        await client.create(MODEL, "Hi!")

    async def resume() -> None:
        await client.run_tools(MODEL, open_call(), [pay])

    with asyncio.Runner() as first, asyncio.Runner() as second:
        first.run(use())
        with pytest.raises(ClientClosedError):
            second.run(resume())
        first.run(client.aclose())
    assert paid == []


@pytest.mark.parametrize("options", [{}, {"fallbacks": [MODEL]}], ids=["route", "fallbacks"])
async def test_one_target_with_tools_is_enough(options: Any) -> None:
    """A run over a route would be refused although one of its targets can go on with it."""
    fake = FakeProvider("Done.")
    async with AsyncCompletion(providers=[fake], routes=ROUTES, api_keys={"replicate": "k"}) as client:
        model = "replicate/meta/llama" if options else "some"
        outcome = await client.run_tools(model, open_call(), [pay], **options)
    assert (outcome.text, paid) == ("Done.", [5])


async def test_middleware_may_name_the_provider() -> None:
    """A run could not be resumed where middleware knows where a model is."""

    async def rename(request: ChatRequest, options: Any, call_next: Any) -> Any:
        return await call_next(attrs.evolve(request, model=MODEL), options)

    async with AsyncCompletion(providers=[FakeProvider("Done.")], middleware=[rename]) as client:
        outcome = await client.run_tools("best", open_call(), [pay])
    assert (outcome.text, paid) == ("Done.", [5])


CALLS = [tool_call("pay", amount=5), tool_call("pay", amount=6)]
LATER = UserMessage("Never mind.")


@pytest.mark.parametrize(
    ("messages", "ids"),
    [
        ([AssistantMessage(tool_calls=CALLS), LATER], [each.id for each in CALLS]),
        ([AssistantMessage(tool_calls=CALLS), ToolMessage("paid", CALLS[0].id), LATER], [CALLS[1].id]),
        ([AssistantMessage(tool_calls=CALLS), AssistantMessage("Hm.")], [each.id for each in CALLS]),
        ([AssistantMessage(tool_calls=CALLS), LATER, AssistantMessage("Good.")], [each.id for each in CALLS]),
        ([AssistantMessage(function_call=FunctionCall("pay", "{}")), LATER], ["pay"]),
    ],
    ids=["all", "one", "no user", "earlier", "legacy"],
)
async def test_open_calls_before_other_messages_are_refused(messages: list[Message], ids: list[str]) -> None:
    """The provider would refuse the request in its own words, or the calls would never be decided."""
    async with AsyncCompletion(providers=[FakeProvider()]) as client:
        with pytest.raises(InvalidRequestError, match="resume the run first") as caught:
            client.run_tools(MODEL, [UserMessage("Pay!"), *messages], [pay])
    assert caught.value.param == "messages"
    assert [each for each in (*(call.id for call in CALLS), "pay") if each in str(caught.value)] == ids


async def test_calls_with_results_may_be_anywhere() -> None:
    """A conversation would be refused that is complete, or that can be resumed."""
    turn = [AssistantMessage(tool_calls=CALLS), *(ToolMessage("paid", call.id) for call in CALLS)]
    older = [AssistantMessage(function_call=FunctionCall("pay", "{}")), FunctionMessage("paid", "pay")]
    async with AsyncCompletion(providers=[FakeProvider("Done.")]) as client:
        messages = [*turn, LATER, *older, *turn, LATER, *turn[:2]]
        outcome = await client.run_tools(MODEL, messages, [pay])
    assert (outcome.text, paid) == ("Done.", [6])
