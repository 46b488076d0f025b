"""Tests of `ParsedReply`: values as replies of a FakeProvider, in whatever form they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from anycompletion import AsyncCompletion
from anycompletion.structured import ParseMode
from anycompletion.testing import FakeProvider, ParsedReply

MODES: tuple[ParseMode, ...] = ("schema", "tool", "json", "prompt")


@dataclass
class Recipe:
    title: str
    minutes: int


class Box(msgspec.Struct):
    value: int


TOAST = Recipe("Toast", 5)

VALUES: dict[str, tuple[Any, Any]] = {
    "class": (TOAST, Recipe),
    "list": ([TOAST, TOAST], list[Recipe]),
    "empty list": ([], list[Recipe]),
    "text": ("yes", str),
    "nothing": (None, int | None),
    "dict": ({"a": 1}, dict[str, int]),
    "class with a member like the wrapper's": (Box(1), Box),
    "the same in a list": ([Box(1)], list[Box]),
    "the same or nothing": (Box(1), Box | None),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", VALUES)
async def test_a_value_is_returned_by_parse(name: str, mode: ParseMode) -> None:
    """A test of code that calls `parse` would get another value than it wrote."""
    value, into = VALUES[name]
    async with AsyncCompletion(providers=[FakeProvider(ParsedReply(value), name="groq")]) as client:
        reply = await client.parse("groq/openai/gpt-oss-20b", "?", into, mode=mode)
    assert reply.parsed == value
    assert type(reply.parsed) is type(value)


async def test_a_value_for_a_plain_call_is_its_json() -> None:
    """A fake for several calls would fail in those that ask for no type."""
    async with AsyncCompletion(providers=[FakeProvider(ParsedReply(TOAST))]) as client:
        reply = await client.create("openai/gpt-4o", "?")
    assert reply.text == '{"title":"Toast","minutes":5}'
