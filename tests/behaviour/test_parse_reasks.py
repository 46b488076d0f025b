"""Tests of re-asks: what is sent, what is summed, and when they end."""

from __future__ import annotations

import asyncio
import json
import pickle
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from anycompletion import (
    APITimeoutError,
    AsyncCompletion,
    BadRequestError,
    CallNext,
    CallOptions,
    ChatCompletion,
    ChatRequest,
    InvalidRequestError,
    RateLimitError,
    Reply,
    ReplyRefusedError,
    ReplyValidationError,
    Timeout,
)
from anycompletion.caching import MemoryStore, cached
from anycompletion.testing import FakeProvider, ParsedReply, tool_call
from support.virtual_clock import run

MODEL = "openai/gpt-4o"


@dataclass
class Recipe:
    title: str
    minutes: int


TOAST = Recipe("Toast", 5)


def reply(text: str, tokens: int) -> ChatCompletion:
    """A reply that used this many tokens for prompt and completion each."""
    usage = {"prompt_tokens": tokens, "completion_tokens": tokens, "total_tokens": 2 * tokens}
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return ChatCompletion.from_dict({"choices": [choice], "usage": usage})


BAD = ['{"title": "Toast"}', '{"title": "Toast", "minutes": "five"}', "no JSON"]
GOOD = '{"title": "Toast", "minutes": 5}'


@pytest.mark.parametrize("failures", [0, 1, 2, 3])
async def test_calls_usage_and_messages_are_exact(failures: int) -> None:
    """The caller would pay for more calls than allowed, or not know of their tokens."""
    fake = FakeProvider(*[reply(text, 10**at) for at, text in enumerate((*BAD[:failures], GOOD))])
    async with AsyncCompletion(providers=[fake]) as client:
        if failures == 3:
            with pytest.raises(ReplyValidationError) as caught:
                await client.parse(MODEL, "Toast?", Recipe, max_reasks=2)
            usage, info = caught.value.usage, caught.value.info
            assert caught.value.attempts == 3
        else:
            parsed = await client.parse(MODEL, "Toast?", Recipe, max_reasks=2)
            assert parsed.parsed == TOAST
            usage, info = parsed.usage, parsed.info
    calls = min(failures, 2) + 1
    assert usage is not None
    assert (usage.prompt_tokens, usage.total_tokens) == (int("1" * calls), 2 * int("1" * calls))
    assert (info.reasks, info.attempts, len(fake.requests)) == (calls - 1, calls, calls)
    for at, call in enumerate(fake.requests):
        roles = [message["role"] for message in call.body["messages"]]
        assert roles == ["user", "assistant", "user"][: 3 if at else 1]
        if at:
            assert call.body["messages"][1]["content"] == BAD[at - 1]
        assert call.body["response_format"] == fake.requests[0].body["response_format"]
    problems = [call.body["messages"][2]["content"] for call in fake.requests[1:]]
    assert all(place in text for place, text in zip(("minutes", "$.minutes", "JSON"), problems, strict=False))


async def test_reasks_in_tool_mode_are_texts() -> None:
    """A provider would refuse a conversation with a call that has no result."""
    fake = FakeProvider(tool_call("answer", title="Toast"), ParsedReply(TOAST))
    async with AsyncCompletion(providers=[fake]) as client:
        parsed = await client.parse(MODEL, "Toast?", Recipe, mode="tool", max_reasks=1)
    assert (parsed.parsed, parsed.choices[0].finish_reason) == (TOAST, "stop")
    (_, bad, problem) = fake.requests[1].body["messages"]
    assert bad == {"role": "assistant", "content": '{"title": "Toast"}'}
    assert "answer" in problem["content"]


async def test_an_empty_reply_is_not_sent_back() -> None:
    """Providers refuse messages without content."""
    fake = FakeProvider("", GOOD)
    async with AsyncCompletion(providers=[fake]) as client:
        assert (await client.parse(MODEL, "Toast?", Recipe, max_reasks=1)).parsed == TOAST
    assert [message["role"] for message in fake.requests[1].body["messages"]] == ["user", "user"]


def middleware(request: ChatRequest, options: CallOptions, call_next: CallNext) -> Any:
    """Passes everything on."""
    return call_next(request, options)


@pytest.mark.parametrize("has_middleware", [False, True])
def test_one_deadline_is_over_all_reasks(has_middleware: bool) -> None:
    """A call that is allowed ten seconds would take as many times ten seconds as there are re-asks."""

    async def ask() -> tuple[float, APITimeoutError]:
        loop = asyncio.get_running_loop()
        fake = FakeProvider(*["no JSON"] * 9, latency=4)
        chain = [middleware] if has_middleware else []
        async with AsyncCompletion(providers=[fake], middleware=chain) as client:
            began = loop.time()
            with pytest.raises(APITimeoutError) as caught:
                await client.parse(MODEL, "Toast?", Recipe, max_reasks=8, timeout=10)
            return loop.time() - began, caught.value

    elapsed, error = run(ask())
    assert elapsed == pytest.approx(10, abs=0.01)
    assert (error.phase, error.attempts, error.maybe_billed) == ("total", 3, True)
    assert error.partial is not None
    assert error.partial.text == "no JSON"


async def test_an_error_of_a_reask_has_what_was_paid_for() -> None:
    """The reply before it, and its tokens, would be lost."""
    fake = FakeProvider(reply("no JSON", 7), RateLimitError("slow down"))
    async with AsyncCompletion(providers=[fake], max_retries=0) as client:
        with pytest.raises(RateLimitError) as caught:
            await client.parse(MODEL, "Toast?", Recipe, max_reasks=1)
    assert caught.value.partial is not None
    assert caught.value.partial.usage is not None
    assert (caught.value.partial.usage.total_tokens, caught.value.attempts) == (14, 2)


async def test_refusals_are_not_asked_again() -> None:
    """The caller would pay for being refused again."""
    refused = {"message": {"content": None, "refusal": "No."}, "finish_reason": "stop"}
    fake = FakeProvider("no JSON", ChatCompletion.from_dict({"choices": [refused]}), GOOD)
    async with AsyncCompletion(providers=[fake]) as client:
        with pytest.raises(ReplyRefusedError) as caught:
            await client.parse(MODEL, "Toast?", Recipe, max_reasks=5)
    assert (caught.value.refusal, caught.value.info.reasks, len(fake.requests)) == ("No.", 1, 2)


async def test_a_usage_that_is_unknown_makes_the_sum_unknown() -> None:
    """A sum would look like all that was paid."""
    unknown = ChatCompletion.from_dict({"choices": [{"message": {"content": "no JSON"}}]})
    async with AsyncCompletion(providers=[FakeProvider(unknown, reply(GOOD, 5))]) as client:
        parsed = await client.parse(MODEL, "Toast?", Recipe, max_reasks=1)
    assert parsed.usage is None


def short(recipe: Recipe) -> None:
    """Refuses long recipes, with words that repeat the model's."""
    if recipe.minutes > 3:
        raise ValueError(f"{recipe.title} takes too long")


async def test_the_words_of_a_check_go_to_the_model_only() -> None:
    """The model could not correct its value, or a log would have its words."""
    fake = FakeProvider(GOOD, GOOD)
    async with AsyncCompletion(providers=[fake]) as client:
        with pytest.raises(ReplyValidationError) as caught:
            await client.parse(MODEL, "?", Recipe, validate=short, max_reasks=1)
    assert "Toast takes too long" in fake.requests[1].body["messages"][2]["content"]
    assert (caught.value.kind, caught.value.path, caught.value.expected) == ("value", "$", "Toast takes too long")
    assert "Toast" not in f"{caught.value} {caught.value!r}"


class Bug(Exception):
    """A mistake in the caller's check."""


async def test_other_errors_of_a_check_propagate() -> None:
    """A mistake in the caller's code would be paid for as if the model had made it."""

    def broken(recipe: Recipe) -> None:
        raise Bug

    async with AsyncCompletion(providers=[FakeProvider(GOOD)]) as client:
        with pytest.raises(Bug):
            await client.parse(MODEL, "?", Recipe, validate=broken, max_reasks=5)


@pytest.mark.parametrize(
    ("arguments", "param"),
    [
        ({"max_reasks": 1, "n": 2}, "max_reasks"),
        ({"max_reasks": -1}, "max_reasks"),
        ({"max_reasks": True}, "max_reasks"),
        ({"mode": "xml"}, "mode"),
        ({"strict": 1}, "strict"),
        ({"validate": "int"}, "validate"),
        ({"into": 5}, "into"),
    ],
)
async def test_invalid_arguments_are_refused_before_anything_is_sent(arguments: dict[str, Any], param: str) -> None:
    """A mistake would be paid for, or ignored."""
    fake = FakeProvider(GOOD)
    async with AsyncCompletion(providers=[fake]) as client:
        with pytest.raises(InvalidRequestError) as caught:
            await client.parse(MODEL, "?", **({"into": Recipe} | arguments))
    assert (caught.value.param, fake.requests) == (param, [])


async def test_an_async_check_is_refused() -> None:
    """It would never be awaited, and every value pass."""

    async def check(recipe: Recipe) -> None:
        raise ValueError

    async with AsyncCompletion(providers=[FakeProvider(GOOD)]) as client:
        with pytest.raises(InvalidRequestError, match="validate"):
            await client.parse(MODEL, "?", Recipe, validate=check)


async def test_each_of_several_choices_is_read() -> None:
    """A choice that does not fit would cost those that do."""
    fake = FakeProvider("no JSON", GOOD, GOOD.replace("5", '"five"'), GOOD.replace("5", "6"))
    async with AsyncCompletion(providers=[fake]) as client:
        parsed = await client.parse(MODEL, "?", Recipe, n=4)
        fake.add("no JSON", '{"title": 1}')
        with pytest.raises(ReplyValidationError) as caught:
            await client.parse(MODEL, "?", Recipe, n=2)
    assert (parsed.parsed, parsed.parsed_all) == (TOAST, [TOAST, Recipe("Toast", 6)])
    errors = [
        (error.choice, error.kind, error.usage) for error in parsed.invalid if isinstance(error, ReplyValidationError)
    ]
    assert errors == [(0, "json", parsed.usage), (2, "schema", parsed.usage)]
    assert (caught.value.choice, caught.value.kind) == (0, "json")


REFUSED_SCHEMAS = {
    "openai/gpt-4o": BadRequestError("Invalid schema", param="response_format.json_schema", status_code=400),
    "openai/responses/gpt-4o": BadRequestError("Invalid schema", param="text.format.schema", status_code=400),
    "anthropic/claude-haiku-4-5": BadRequestError("output_config.format.schema: invalid", status_code=400),
}


@pytest.mark.parametrize("model", REFUSED_SCHEMAS)
async def test_a_refused_schema_comes_with_what_to_try(model: str) -> None:
    """A user would not know that there is another way to ask the same."""
    refusal = REFUSED_SCHEMAS[model]
    other = BadRequestError("messages: at least one message is required", status_code=400)
    async with AsyncCompletion(providers=[FakeProvider(refusal, refusal, other, name="*")]) as client:
        with pytest.raises(BadRequestError, match=r'mode="tool"'):
            await client.parse(model, "?", Recipe)
        for call in (client.create(model, "?"), client.parse(model, "?", Recipe)):
            with pytest.raises(BadRequestError) as caught:
                await call
            assert "mode" not in str(caught.value)


@pytest.mark.parametrize("mode", ["schema", "tool", "json", "prompt"])
async def test_middleware_sees_plain_requests_and_replies(mode: Literal["schema", "tool", "json", "prompt"]) -> None:
    """Middleware that counts, caches or logs would meet types that it does not know."""
    seen: list[tuple[type, type]] = []

    async def watch(request: ChatRequest, options: CallOptions, call_next: CallNext) -> Reply:
        found = await call_next(request, options)
        assert pickle.loads(pickle.dumps(request)) == request  # noqa: S301 (our own)
        assert json.loads(json.dumps(request.to_dict())) == request.to_dict()
        seen.append((type(request), type(found)))
        return found

    fake = FakeProvider(ParsedReply(TOAST), name="groq")
    async with AsyncCompletion(providers=[fake], middleware=[watch]) as client:
        parsed = await client.parse("groq/openai/gpt-oss-20b", "?", Recipe, mode=mode)
    assert parsed.parsed == TOAST
    assert seen == [(ChatRequest, ChatCompletion)]


@pytest.mark.parametrize("cache", ["use", "only"])
async def test_a_stored_reply_that_does_not_fit_is_asked_anew(cache: Literal["use", "only"]) -> None:
    """A reply of an earlier version of the type would fail for as long as it is stored."""

    def long(recipe: Recipe) -> None:
        if recipe.minutes < 6:
            raise ValueError("old")

    fake = FakeProvider(GOOD, GOOD.replace("5", "6"))
    async with MemoryStore() as store, AsyncCompletion(providers=[fake], middleware=[cached(store)]) as client:
        await client.parse(MODEL, "?", Recipe)
        view = client.with_options(cache=cache)
        if cache == "only":
            with pytest.raises(ReplyValidationError):
                await view.parse(MODEL, "?", Recipe, validate=long)
            assert len(fake.requests) == 1
            return
        parsed = await view.parse(
            MODEL, "?", Recipe, validate=lambda recipe: short(recipe) if recipe.minutes < 6 else 0
        )
        again = await view.parse(MODEL, "?", Recipe)
    assert (parsed.parsed.minutes, parsed.info.reasks, parsed.info.cached) == (6, 0, False)
    assert (again.parsed.minutes, again.info.cached, len(fake.requests)) == (6, True, 2)


async def test_a_thinking_claude_is_offered_the_tool_in_the_prompt() -> None:
    """Anthropic would refuse the request: Claude cannot be made to call a tool while it thinks."""
    fake = FakeProvider(ParsedReply(TOAST), "It is toast: " + GOOD, name="anthropic")
    async with AsyncCompletion(providers=[fake]) as client:
        for _ in range(2):
            parsed = await client.parse("anthropic/claude-haiku-4-5", "?", Recipe, mode="tool", reasoning_effort="low")
            assert parsed.parsed == TOAST
    body = fake.requests[0].body
    assert body["thinking"]["type"] == "enabled"
    assert "tool_choice" not in body
    assert "calling the tool answer" in str(body["system"])


async def test_views_choose_the_provider() -> None:
    """A model without a provider's name would be sent in the mode of another provider."""
    fake = FakeProvider(GOOD, name="groq")
    async with AsyncCompletion(providers=[fake]) as client:
        view = client.with_options(provider="groq", timeout=Timeout(total=5))
        assert (await view.parse("llama-3.3-70b-versatile", "?", Recipe)).parsed == TOAST
    assert fake.requests[0].body["response_format"] == {"type": "json_object"}
