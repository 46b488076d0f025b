"""Tests that docs/tools.md has what the code has: statuses, errors that the model gets, limits, keywords."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from typing import Any, get_args

import attrs
import pytest

from anycompletion import AsyncCompletion
from anycompletion.testing import FakeProvider, tool_call
from anycompletion.tools import RunStatus, ToolEvent, tool
from anycompletion.tools.run_settings import RunSettings
from support.pages import DOCS

PAGE = (DOCS / "tools.md").read_text("utf-8")


def rows(heading: str) -> list[list[str]]:
    """The fields of all lines of tables below a heading, up to the next one."""
    text = PAGE.partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    return [[field.strip() for field in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]


def test_every_status_of_a_run_is_in_the_table() -> None:
    """A program would not handle a way in which runs end."""
    stated = {row[0].strip("`") for row in rows("## A run")} - {"outcome.status", "---"}
    assert stated == set(get_args(RunStatus))


def test_every_keyword_of_a_tool_is_in_the_table() -> None:
    """A reader would not find an option of `tool`."""
    stated = {name for row in rows("## Functions") for name in re.findall(r"`(\w+)(?:=True)?`", row[0])}
    assert stated == set(inspect.signature(tool).parameters) - {"function"}


def test_the_defaults_of_limits_are_right() -> None:
    """A reader would count on a limit that runs do not have."""
    fields = {each.name: each.default for each in attrs.fields(RunSettings)}
    stated = {row[0].strip("`"): row[1] for row in rows("## Limits") if row[0].strip("`") in fields}
    figures = {name: default for name, default in fields.items() if type(default) in (int, float)}
    assert {name: float(re.sub(r"[^\d.]", "", stated[name])) for name in figures} == figures
    assert [name for name, default in fields.items() if default is None and stated.get(name)] == []


def test_every_event_is_on_the_page() -> None:
    """A reader would not know of a kind of event."""
    assert [each.__name__ for each in get_args(ToolEvent) if each.__name__ not in PAGE] == []


async def weather(city: str) -> str:
    """Today's weather in a city."""
    raise ConnectionError(city)


@pytest.mark.parametrize(
    ("what", "call", "options"),
    [
        ("any other exception is raised", tool_call("weather", city="Oslo"), {}),
        ("the arguments do not fit", tool_call("weather", city=5), {}),
        ("there is no such tool", tool_call("whether"), {}),
        ("the call was denied", tool_call("weather", city="Oslo"), {"approve": lambda _: "…", "approve_every": True}),
    ],
    ids=["exception", "arguments", "unknown", "denied"],
)
async def test_the_errors_that_the_model_gets_are_those_of_the_table(
    what: str, call: Any, options: Mapping[str, Any]
) -> None:
    """A reader who explains these errors in a prompt would describe others."""
    (stated,) = (row[1].strip("`") for row in rows("## What the model gets") if row[0] == what)
    async with AsyncCompletion(providers=[FakeProvider(call, "done")]) as client:
        outcome = await client.run_tools("openai/gpt-4o", "Hello!", [weather], **options)
    (content,) = (each.content for each in outcome.turns[0].outcomes)
    assert isinstance(content, str)
    assert json.loads(content) == json.loads(stated)
