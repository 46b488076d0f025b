"""Tests of `client.parse`: the request it sends, the value it returns, and its re-asks."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any

import pytest

from anycompletion import AsyncCompletion, ReplyValidationError
from anycompletion.testing import FakeProvider

MODEL = "openai/gpt-4o"


@dataclass
class Recipe:
    title: str
    minutes: int


TOAST = Recipe("Toast", 5)
WHOLE = '{"title": "Toast", "minutes": 5}'


@pytest.mark.parametrize(
    "text", [WHOLE, f"\ufeff {WHOLE}\n", f"```json\n{WHOLE}\n```", WHOLE.replace("5", "5.0"), WHOLE.replace("5", "5e0")]
)
async def test_a_reply_becomes_a_value(text: str) -> None:
    """A reply whose meaning is clear would be refused, or read as another value."""
    async with AsyncCompletion(providers=[FakeProvider(text)]) as client:
        reply = await client.parse(MODEL, "Toast?", Recipe)
    assert (reply.parsed, reply.parsed_all, reply.invalid) == (TOAST, [TOAST], [])


async def test_a_parsed_reply_is_a_completion() -> None:
    """Code that takes completions would get another JSON, or lose the reply in a pickle."""
    async with AsyncCompletion(providers=[FakeProvider(WHOLE, WHOLE)]) as client:
        reply = await client.parse(MODEL, "Toast?", Recipe)
        plain = await client.create(MODEL, "Toast?")
    assert reply.to_dict() | {"id": plain.id, "created": plain.created} == plain.to_dict()
    assert pickle.loads(pickle.dumps(reply)).parsed == TOAST  # noqa: S301 (our own)


async def test_a_reask_has_the_last_reply_and_what_is_wrong_with_it() -> None:
    """The model would not know what to correct, or the caller not what was paid for."""
    fake = FakeProvider('{"title": "Toast"}', "[]", WHOLE)
    async with AsyncCompletion(providers=[fake]) as client:
        reply = await client.parse(MODEL, "Toast?", Recipe, max_reasks=2)
    first, _, last = [call.body["messages"] for call in fake.requests]
    assert first == [{"role": "user", "content": "Toast?"}]
    assert [message["content"] for message in last[:2]] == ["Toast?", "[]"]
    assert "does not fit" in last[2]["content"]
    assert (reply.parsed, reply.info.reasks, reply.info.attempts) == (TOAST, 2, 3)


@pytest.mark.parametrize("name", ["tools", "response_format", "tool_choice"])
async def test_what_parse_sets_itself_is_refused(name: str) -> None:
    """A caller's own format would silently replace that of the type, or be replaced by it."""
    given: dict[str, Any] = {name: []}
    async with AsyncCompletion(providers=[FakeProvider(WHOLE)]) as client:
        with pytest.raises(TypeError, match=name):
            await client.parse(MODEL, "Toast?", Recipe, **given)


async def test_a_reply_that_does_not_fit_is_an_error_without_its_text() -> None:
    """The reply would be lost, or its text be in a log."""
    async with AsyncCompletion(providers=[FakeProvider('{"title": "Toast", "minutes": "secret"}')]) as client:
        with pytest.raises(ReplyValidationError) as caught:
            await client.parse(MODEL, "Toast?", Recipe)
    error = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 (our own)
    assert (error.path, error.kind, error.choice) == ("$.minutes", "schema", 0)
    assert "secret" in error.text
    assert "secret" in error.partial.text
    assert "secret" not in f"{error} {error!r} {error.expected}"
