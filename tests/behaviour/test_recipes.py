"""Tests that the recipes of the pages docs/middleware.md and migrating.md do what the pages promise."""

import asyncio
from typing import Any

import pytest

from anycompletion import (
    AsyncCompletion,
    ChatCompletion,
    ChatCompletionMessage,
    Choice,
    ServiceUnavailableError,
    Usage,
)
from anycompletion.testing import FakeProvider
from support.pages import DOCS, snippets_of

KEY, OTHER_KEY = "key-of-the-caller", "another-key-of-the-caller"


def names_of(part: str, page: str = "middleware.md") -> dict[str, Any]:
    """What the block of the page that contains `part` defines."""
    code = next(one.code for one in snippets_of(DOCS / page) if part in one.code)
    names: dict[str, Any] = {"__name__": "page"}
    for end in ("\nasync with AsyncCompletion", "\nasyncio.run("):
        code = code.partition(end)[0]
    exec(compile(code, f"docs/{page}", "exec"), names)
    return names


def sent(fake: FakeProvider) -> list[str]:
    """All that was sent to a fake provider, as text."""
    return [f"{wire.headers} {wire.raw!r}" for call in fake.requests for wire in call.wire]


async def test_the_ledger_has_calls_streams_and_failures() -> None:
    """A customer's tokens, a failure or a cancelled call would be missing."""
    names = names_of("class Ledger:")
    entries: list[Any] = []
    ledger = names["Ledger"](entries.append)
    async with AsyncCompletion(providers=[FakeProvider(name="*", latency=0.05)], middleware=[ledger]) as client:
        await client.create("openai/gpt-4o-mini", "Hi", tags={"customer": "a"})
        async with client.with_options(tags={"customer": "b"}).stream("cohere/command-a", "Hi") as stream:
            final = await stream.get_final_completion()
        async with client.stream("openai/gpt-4o-mini", "Hi") as stream:
            pass
        await client.attempt("openai/gpt-4o-mini", "Hi", temperature=9)
        call = asyncio.ensure_future(client.create("openai/gpt-4o-mini", "Hi"))
        await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert [(entry.customer, entry.provider, entry.error) for entry in entries] == [
        ("a", "openai", ""),
        ("b", "cohere", ""),
        ("unknown", "openai", "StreamInterruptedError"),
        ("unknown", None, "UnsupportedParameterError"),
        ("unknown", None, "CancelledError"),
    ]
    assert isinstance(final.usage, Usage)
    assert entries[1].completion_tokens == final.usage.completion_tokens
    assert 0 < entries[1].first_text <= entries[1].seconds
    assert entries[1].request_id == final.info.request_id


@pytest.mark.parametrize("stream", [False, True])
async def test_a_budget_is_spent_by_replies_and_streams(stream: bool) -> None:
    """A budget would not end, or streams would be free."""
    names = names_of("class Budget:")
    async with AsyncCompletion(providers=[FakeProvider()], middleware=[names["Budget"](1e-9)]) as client:
        reply = await client.create("openai/gpt-4o-mini", "Hi", stream=stream)
        if not isinstance(reply, ChatCompletion):
            await reply.get_final_completion()
        with pytest.raises(names["BudgetExceededError"]):
            await client.create("openai/gpt-4o-mini", "Hi")
        await client.create("openai/gpt-4o-mini", "Hi", tags={"customer": "another"})


async def test_a_stream_that_is_left_costs_something() -> None:
    """Customers who leave streams early would pay nothing."""
    names = names_of("class Budget:")
    budget = names["Budget"](1.0)
    async with (
        AsyncCompletion(providers=[FakeProvider()], middleware=[budget]) as client,
        client.stream("openai/gpt-4o-mini", "Hi", tags={"customer": "a"}),
    ):
        pass
    assert budget.spent == {"a": names["UNKNOWN_USAGE"]}


@pytest.mark.parametrize("stream", [False, True])
async def test_redacted_text_is_not_sent_and_comes_back(stream: bool) -> None:
    """The provider would get an address, or the caller a placeholder."""
    fake = FakeProvider()
    async with AsyncCompletion(providers=[fake], middleware=[names_of("EMAIL")["redact"]]) as client:
        question = "From ann@example.com to bob@example.com, and back to ann@example.com"
        reply = await client.create("openai/gpt-4o-mini", question, stream=stream)
        whole = reply if isinstance(reply, ChatCompletion) else await reply.get_final_completion()
    assert question in whole.text
    assert not any("example.com" in text for text in sent(fake))
    assert "From <address-1> to <address-2>, and back to <address-1>" in sent(fake)[0]


async def test_an_empty_reply_is_asked_for_again() -> None:
    """An empty reply would reach the caller, or a good one be paid for twice."""
    fake = FakeProvider("", "Hello!", "Bye!")
    async with AsyncCompletion(providers=[fake], middleware=[names_of("def not_empty")["not_empty"]]) as client:
        assert (await client.create("openai/gpt-4o-mini", "Hi")).text == "Hello!"
        assert (await client.create("openai/gpt-4o-mini", "Hi")).text == "Bye!"


async def test_reasoning_is_hidden_in_replies_and_streams() -> None:
    """A user would see the reasoning."""
    message = ChatCompletionMessage("Hello!", reasoning_content="They said hello.")
    fake = FakeProvider(*[ChatCompletion("", [Choice(0, message, "stop")], "")] * 2, name="deepseek")
    hide = names_of("def without_reasoning")["hide_reasoning"]
    async with AsyncCompletion(providers=[fake], middleware=[hide]) as client:
        reply = await client.create("deepseek/deepseek-chat", "Hi")
        async with client.stream("deepseek/deepseek-chat", "Hi") as stream:
            final = await stream.get_final_completion()
    for each in (reply, final):
        assert (each.text, each.message.reasoning_content) == ("Hello!", None)


async def test_the_shim_sends_what_litellms_function_would() -> None:
    """Code that calls a module-level function would lose its number of retries, or send its internal ids."""
    names, fake = names_of("def acompletion", "migrating.md"), FakeProvider("Hello!", ServiceUnavailableError("no"))
    with pytest.raises(AssertionError, match="open_client"):
        await names["acompletion"]("openai/gpt-4o-mini", "Hi")
    async with names["open_client"](providers=[fake]):
        reply = await names["acompletion"]("openai/gpt-4o-mini", "Hi", metadata={"customer": 7})
        assert reply.text == "Hello!"
        with pytest.raises(ServiceUnavailableError):
            await names["acompletion"]("openai/gpt-4o-mini", "Hi", num_retries=0)
    assert "metadata" not in fake.requests[0].body
