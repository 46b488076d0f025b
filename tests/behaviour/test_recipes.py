"""Tests that the middleware on the page docs/middleware.md do what the page promises."""

import asyncio
from typing import Any

import pytest

from anycompletion import (
    AsyncCompletion,
    ChatCompletion,
    ChatCompletionMessage,
    Choice,
    InternalServerError,
    NotFoundError,
    Usage,
)
from anycompletion.testing import FakeProvider
from support.pages import DOCS, snippets_of

KEY, OTHER_KEY = "key-of-the-caller", "another-key-of-the-caller"


def names_of(part: str) -> dict[str, Any]:
    """What the block of the page that contains `part` defines."""
    code = next(one.code for one in snippets_of(DOCS / "middleware.md") if part in one.code)
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(code.partition("\nasync with AsyncCompletion")[0], "docs/middleware.md", "exec"), names)
    return names


def sent(fake: FakeProvider) -> list[str]:
    """All that was sent to a fake provider, as text."""
    return [f"{wire.headers} {wire.raw!r}" for call in fake.requests for wire in call.wire]


@pytest.mark.parametrize("stream", [False, True])
async def test_fallbacks_keep_keys_apart(stream: bool) -> None:
    """The next model would not be asked, or its provider would get the key of the first one."""
    down, up = FakeProvider(InternalServerError("overloaded")), FakeProvider("Hello!", name="anthropic")
    around = names_of("def fallbacks")["fallbacks"]({"openai/gpt-4o-mini": ["anthropic/claude-haiku-4-5"]})
    async with AsyncCompletion(providers=[down, up], max_retries=0, middleware=[around]) as client:
        reply = await client.create("openai/gpt-4o-mini", "Hi", stream=stream, api_key=KEY, seed=7)
        whole = reply if isinstance(reply, ChatCompletion) else await reply.get_final_completion()
    assert (whole.text, whole.info.provider) == ("Hello!", "anthropic")
    assert any(KEY in text for text in sent(down))
    assert not any(KEY in text for text in sent(up))


async def test_a_fallback_may_have_a_key_of_its_own() -> None:
    """A key that middleware sets for the next provider would be dropped."""
    names = names_of("TENANT_KEYS")
    names["TENANT_KEYS"]["anthropic"] = OTHER_KEY
    down, up = FakeProvider(NotFoundError("no such model")), FakeProvider("Hello!", name="anthropic")
    async with AsyncCompletion(providers=[down, up], middleware=[names["fall_back"]]) as client:
        await client.create("openai/gpt-4o-mini", "Hi", api_key=KEY)
    assert any(OTHER_KEY in text for text in sent(up))
    assert not any(KEY in text.replace(OTHER_KEY, "") for text in sent(up))


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


async def test_tokens_are_counted_by_customer() -> None:
    """Tokens of a customer would be missing, or be another's."""
    names = names_of("tokens: Counter")
    async with AsyncCompletion(providers=[FakeProvider(name="*")], middleware=[names["account"]]) as client:
        await client.create("openai/gpt-4o-mini", "Hi", tags={"customer": "a"})
        async with client.with_options(tags={"customer": "b"}).stream("cohere/command-a", "Hi") as stream:
            final = await stream.get_final_completion()
        await client.create("openai/gpt-4o-mini", "Hi")
    assert isinstance(final.usage, Usage)
    assert set(names["tokens"]) == {"a", "b", "unknown"}
    assert names["tokens"]["b"] == final.usage.total_tokens


async def test_a_cached_request_is_sent_once() -> None:
    """Requests that come at the same time would all be sent, or a stream would neither use nor fill the cache."""
    fake = FakeProvider()
    async with AsyncCompletion(providers=[fake], middleware=[names_of("class Cache:")["Cache"]()]) as client:
        replies = await asyncio.gather(*(client.create("openai/gpt-4o-mini", "Hi") for _ in range(3)))
        async with client.stream("openai/gpt-4o-mini", "Hi") as stream:
            text = "".join([piece async for piece in stream.text])
        assert ({reply.text for reply in replies}, len(fake.requests)) == ({text}, 1)
        async with client.stream("openai/gpt-4o-mini", "Bye") as stream:
            await stream.get_final_completion()
        await client.create("openai/gpt-4o-mini", "Bye")
        assert len(fake.requests) == 2
        await client.create("openai/gpt-4o-mini", "Bye", temperature=1)
        assert len(fake.requests) == 3


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
