"""Tests of tools in the form of a provider: what is made once, and what must not be mixed up."""

from __future__ import annotations

import copy
from typing import Any, Literal

import pytest

from anycompletion import ChatRequest, FunctionDefinition, FunctionTool, Provider
from anycompletion.providers import known_providers, resolve_model
from anycompletion.structured.tool_schemas import with_tool_schemas
from anycompletion.tools import RunnableTool, tool
from anycompletion.validation import parse_call


def weather(city: str, unit: Literal["c", "f"] = "c", note: str | None = None) -> None: ...


def row(model: str) -> tuple[Provider, str]:
    return resolve_model(model, None, known_providers())


def sent(definition: FunctionTool, provider: Provider, model: str) -> FunctionDefinition:
    """The definition that a provider gets."""
    request, _ = parse_call("openai/gpt-4o", "?", {"tools": [definition]})
    tools: Any = with_tool_schemas(request, provider, model).tools
    found: FunctionDefinition = tools[0].function
    return found


def test_the_request_itself_is_not_changed() -> None:
    """A retry at another provider would send the form of the first one."""
    definition = tool(weather).definition
    before = copy.deepcopy(definition.to_dict())
    request, _ = parse_call("openai/gpt-4o", "?", {"tools": [definition], "temperature": 0.5})
    prepared = with_tool_schemas(request, *row("openai/gpt-4o"))
    assert definition.to_dict() == before
    assert request.tools == [definition]
    assert prepared.given().keys() == {"tools", "temperature"}
    assert ChatRequest.from_dict(prepared.to_dict()).temperature == 0.5


def test_a_definition_from_another_process_gets_the_same_form() -> None:
    """A definition that was copied or unpickled would be sent in another form, or be prepared for each request."""
    definition = tool(weather).definition
    assert sent(copy.deepcopy(definition), *row("openai/gpt-4o")) == sent(definition, *row("openai/gpt-4o"))


def test_a_definition_from_another_process_is_known_from_then_on() -> None:
    """Each turn of a run would write all its schemas as JSON, only to look them up."""
    definition = tool(weather).definition
    provider, model = row("openai/gpt-4o")
    sent(definition, provider, model)
    copied = copy.deepcopy(definition)
    assert sent(copied, provider, model) is sent(definition, provider, model)
    copied.function.description = "Changed."
    assert sent(copied, provider, model) is sent(definition, provider, model), "found by identity"


@pytest.mark.parametrize("change", [{"description": "Other."}, {"strict": False}, {"name": "other"}], ids=str)
def test_definitions_that_differ_are_not_mixed_up(change: dict[str, Any]) -> None:
    """A tool would be sent with the name, description or flag of another one with the same schema."""
    first = tool(weather).definition
    other = copy.deepcopy(first)
    for name, value in change.items():
        setattr(other.function, name, value)
    sent(first, *row("openai/gpt-4o"))
    found = sent(other, *row("openai/gpt-4o"))
    assert {name: getattr(found, name) for name in change} == change


def test_providers_of_one_name_are_not_mixed_up() -> None:
    """A row of one's own with the name of a built-in one would get the form of that one."""
    definition = tool(weather).definition
    own = Provider("openai", "https://example.com/v1")
    assert sent(definition, *row("openai/gpt-4o")).strict is True
    assert sent(definition, own, "gpt-4o").strict is None
    assert sent(definition, *row("openai/gpt-4o")).strict is True


def test_descriptions_name_the_defaults() -> None:
    """The model would not know what happens when it leaves a parameter out."""

    def look(a: int = 3, b: str = "x" * 200, c: None = None, d: bool = False) -> None: ...

    properties = (sent(tool(look).definition, *row("anthropic/claude-sonnet-4-5")).parameters or {})["properties"]
    assert {name: each.get("description") for name, each in properties.items()} == {
        "a": "default 3",
        "b": None,
        "c": None,
        "d": "default false",
    }


def test_a_default_does_not_replace_a_description() -> None:
    """The text that the caller wrote about a parameter would be lost."""

    def look(a: int = 3) -> None:
        """Looks.

        Args:
            a: how often
        """

    asked = tool(docstrings=True)(look)
    properties = (sent(asked.definition, *row("groq/x")).parameters or {})["properties"]
    assert properties["a"]["description"] == "how often (default 3)"


@pytest.mark.parametrize(
    "member",
    [True, 5, {"pattern": 5}, {"$ref": "#/$defs/Missing"}, {"$ref": "#"}, {"items": [{}]}, {"enum": []}, {"type": 5}],
    ids=str,
)
@pytest.mark.parametrize("model", ["openai/gpt-4o", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash"])
def test_odd_schemas_of_servers_raise_nothing(member: Any, model: str) -> None:
    """A server of tools with a schema that is not quite valid would end every run with an exception."""

    async def call(arguments: dict[str, Any]) -> None: ...

    asked = RunnableTool.from_schema("look", {"properties": {"a": member}}, call)
    assert (sent(asked.definition, *row(model)).parameters or {})["type"] == "object"
