"""Tests that functions which cannot be tools are refused where they are decorated, with what to do instead."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from benchmarks.fuzz.tool_signatures import Connection, Place, Shop

from anycompletion import InvalidRequestError
from anycompletion.tools import ToolContext, tool


def bare(city) -> None: ...  # type: ignore[no-untyped-def]  # pyright: ignore[reportUnknownParameterType, reportMissingParameterType]
def positional(city: str, /) -> None: ...
def many(*cities: str) -> None: ...
def named(**cities: str) -> None: ...
def unknown(city: Missing) -> None: ...  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore[reportUndefinedVariable, reportUnknownParameterType]
def function(callback: Callable[[], int]) -> None: ...
def inner(places: list[Connection]) -> None: ...
def deep(place: dict[str, list[Connection]]) -> None: ...
def two_contexts(one: ToolContext[int], other: ToolContext[int]) -> None: ...
def generator(city: str) -> Iterator[str]:
    yield city


async def stream(city: str) -> AsyncIterator[str]:
    yield city


REFUSED: dict[str, tuple[Any, str, str]] = {
    "no annotation": (bare, "city", "bare: city: has no annotation"),
    "positional-only": (
        positional,
        "city",
        "positional: city: is positional-only, and a model's arguments have names",
    ),
    "*args": (many, "cities", "many: cities: takes any number of arguments; use one parameter with a list"),
    "**kwargs": (named, "cities", "named: cities: takes arguments of any name; use one parameter with a dict"),
    "unknown name": (
        unknown,
        "city",
        "unknown: city: its annotation cannot be read (NameError: name 'Missing' is not defined); names in it must be "
        "known in the function's module",
    ),
    "unsupported type": (
        function,
        "callback",
        "function: callback: values of Callable cannot be read from JSON",
    ),
    "unsupported type in a list": (
        inner,
        "places",
        "inner: places[]: values of Connection cannot be read from JSON",
    ),
    "unsupported type in a dict": (
        deep,
        "place",
        "deep: place[...][]: values of Connection cannot be read from JSON",
    ),
    "two contexts": (two_contexts, "other", "two_contexts: other: gets a ToolContext, as one does already"),
    "unbound method": (
        Shop.price,
        "self",
        "price: self: is no argument of a model; leave the method as it is, and write tool(object.price) or "
        "tools=[object.price]",
    ),
    "class method without its class": (
        vars(Shop)["count"],
        "function",
        "function: leave the class method count as it is, and write tool(Class.count)",
    ),
    "class": (Place, "function", "function: the class Place is no tool; write a function that returns one"),
    "generator": (generator, "function", "function: generator is a generator, and a tool has one result"),
    "async generator": (stream, "function", "function: stream is a generator, and a tool has one result"),
    "built-in function": (len, "obj", "len: obj: is positional-only, and a model's arguments have names"),
    "no signature": (iter, "function", "iter: has no signature that can be read; use RunnableTool.from_schema"),
    "no function": (7, "function", "function: expected a function, found int"),
    "lambda": (
        lambda: None,
        "name",
        "name: '<lambda>' is no name of a tool, which has 1 to 64 of a-z, A-Z, 0-9, _ and -",
    ),
}
"""What is decorated, the parameter that the error names, and its text."""


@pytest.mark.parametrize(("given", "param", "text"), REFUSED.values(), ids=REFUSED)
def test_a_function_that_cannot_be_a_tool_is_refused(given: Any, param: str, text: str) -> None:
    """The mistake would appear at the first call of a model, or as another exception without the place."""
    with pytest.raises(InvalidRequestError) as caught:
        tool(given)
    assert str(caught.value) == text
    assert caught.value.param == param


def look(places: dict[str, int]) -> None: ...


OPTIONS: dict[str, tuple[dict[str, Any], str, str]] = {
    "empty name": ({"name": ""}, "name", "name: '' is no name of a tool, which has 1 to 64 of a-z, A-Z, 0-9, _ and -"),
    "name with a space": (
        {"name": "a b"},
        "name",
        "name: 'a b' is no name of a tool, which has 1 to 64 of a-z, A-Z, 0-9, _ and -",
    ),
    "name with an accent": (
        {"name": "é"},
        "name",
        "name: 'é' is no name of a tool, which has 1 to 64 of a-z, A-Z, 0-9, _ and -",
    ),
    "name that is no text": (
        {"name": 7},
        "name",
        "name: 7 is no name of a tool, which has 1 to 64 of a-z, A-Z, 0-9, _ and -",
    ),
    "no time": ({"timeout": 0}, "timeout", "timeout: expected seconds above 0"),
    "time as a text": ({"timeout": "1"}, "timeout", "timeout: expected seconds above 0"),
    "time that is no number": ({"timeout": float("nan")}, "timeout", "timeout: expected seconds above 0"),
    "time without an end": ({"timeout": float("inf")}, "timeout", "timeout: expected seconds above 0"),
    "approval as a text": ({"needs_approval": "no"}, "needs_approval", "needs_approval: expected True or False"),
    "approval that is unknown": ({"needs_approval": None}, "needs_approval", "needs_approval: expected True or False"),
    "order as a text": ({"sequential": "x"}, "sequential", "sequential: expected True or False"),
    "description that is no text": ({"description": 7}, "description", "description: expected a text, found int"),
    "strict that is no flag": ({"strict": "yes"}, "strict", "strict: expected True, False or None"),
    "strict where it cannot be": (
        {"strict": True},
        "strict",
        "look: strict: its schema cannot be strict: $.places takes any keys",
    ),
}


@pytest.mark.parametrize(("options", "param", "text"), OPTIONS.values(), ids=OPTIONS)
def test_an_option_that_cannot_be_is_refused(options: Any, param: str, text: str) -> None:
    """The option would be ignored, or refused by the provider at each request."""
    with pytest.raises(InvalidRequestError) as caught:
        tool(**options)(look)
    assert str(caught.value) == text
    assert caught.value.param == param


def test_the_longest_name_is_accepted() -> None:
    """A name of 64 characters, which every provider takes, would be refused."""
    assert tool(name="x" * 64)(look).name == "x" * 64
    with pytest.raises(InvalidRequestError, match="1 to 64"):
        tool(name="x" * 65)(look)
