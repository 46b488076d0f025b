"""Tests of `ParsedReply`: values as replies of a FakeProvider, in whatever form they are asked for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from anycompletion import AsyncCompletion
from anycompletion.structured import ParseMode
from anycompletion.testing import FakeProvider, ParsedReply
from support.random_types import typed_values

MODES: tuple[ParseMode, ...] = ("schema", "tool", "json", "prompt")


@dataclass
class Recipe:
    title: str
    minutes: int


@dataclass
class Outer:
    value: Recipe


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
    "a class in one with such a member": (Outer(TOAST), Outer),
    "one of two classes in a tuple": ((TOAST, Box(2)), tuple[Recipe | Outer, Box]),
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


@given(typed_values(3))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_a_value_of_any_type_is_returned_by_parse(case: tuple[Any, Any]) -> None:
    """A value of some type would come back as another one, or as an error."""
    into, value = case

    async def ask() -> Any:
        async with AsyncCompletion(providers=[FakeProvider(ParsedReply(value))]) as client:
            return (await client.parse("openai/gpt-4o", "?", into)).parsed

    assert asyncio.run(ask()) == value


async def test_a_value_for_a_plain_call_is_its_json() -> None:
    """A fake for several calls would fail in those that ask for no type."""
    async with AsyncCompletion(providers=[FakeProvider(ParsedReply(TOAST))]) as client:
        reply = await client.create("openai/gpt-4o", "?")
    assert reply.text == '{"title":"Toast","minutes":5}'
