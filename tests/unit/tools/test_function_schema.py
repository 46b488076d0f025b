"""Tests of the schemas of functions, of their descriptions, and of values that arguments become."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import jsonschema
import pytest
from benchmarks.fuzz.tool_signatures import CANARY, SIGNATURES, Cat, Place, Signature, Tree

from anycompletion import FunctionCall, InvalidRequestError, ToolCall
from anycompletion.tools import RunnableTool, ToolContext, tool

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "golden" / "functions.json").read_text("utf-8"))
"""Kind of signature → its schema, which was read by a person."""


def call(asked: RunnableTool[..., Any], **arguments: Any) -> ToolCall:
    return ToolCall("call_1", FunctionCall(asked.name, json.dumps(arguments)))


@pytest.mark.parametrize("kind", SIGNATURES)
def test_a_signature_has_its_known_schema(kind: str) -> None:
    """The model would be sent other parameters than those that were read and found right."""
    assert tool(SIGNATURES[kind].function).parameters == GOLDEN[kind]


def test_every_known_schema_is_compared() -> None:
    """The schema of a signature that is gone would stay."""
    assert GOLDEN.keys() == SIGNATURES.keys()


@pytest.mark.parametrize("signature", SIGNATURES.values(), ids=SIGNATURES)
async def test_arguments_that_fit_reach_the_function(signature: Signature) -> None:
    """A schema would be invalid, refuse what fits the function, or the function would not get its arguments."""
    asked = tool(name="any")(signature.function)
    jsonschema.Draft202012Validator.check_schema(asked.parameters)
    jsonschema.validate(signature.arguments, asked.parameters)
    outcome = await asked.run(call(asked, **signature.arguments), context=7)
    assert outcome.error is None


@pytest.mark.parametrize("kind", SIGNATURES)
def test_no_schema_holds_what_is_bound_or_cannot_be_stated(kind: str) -> None:
    """A key that is bound by `functools.partial`, or that an object in a default has, would go to the provider."""
    asked = tool(SIGNATURES[kind].function)
    assert CANARY not in json.dumps(asked.definition.to_dict())
    assert CANARY not in repr(asked.definition)


@pytest.mark.parametrize(
    ("kind", "arguments", "expected"),
    [
        ("dataclass", {"place": {"city": "x"}, "places": []}, {"place": Place("x"), "places": []}),
        ("recursive class", {"tree": {"name": "a"}}, {"tree": Tree("a")}),
        ("tagged union", {"pet": {"type": "Cat", "lives": 9}}, {"pet": Cat(9)}),
        ("collections", {"a": [], "b": {}, "c": [1, "x"], "d": [1], "e": [1, 1]}, None),
        ("scalars", {"a": "x", "b": 2.0, "c": 1, "d": True, "e": None}, None),
        ("defaults", {"a": None, "b": None}, {}),
        ("defaults", {"c": None}, {"c": None}),
    ],
    ids=["class", "recursion", "union", "collections", "integral float", "null for a default", "null as a value"],
)
def test_arguments_become_values_of_their_types(kind: str, arguments: Any, expected: Any) -> None:
    """The function would get plain data instead of its types, or null in place of its default."""
    read = tool(SIGNATURES[kind].function).read_arguments(json.dumps(arguments))
    if expected is None:
        expected = {"a": [], "b": {}, "c": (1, "x"), "d": (1,), "e": {1}} if kind == "collections" else arguments
        assert {name: type(value) for name, value in read.values.items()} == {
            "collections": {"a": list, "b": dict, "c": tuple, "d": tuple, "e": frozenset},
            "scalars": {"a": str, "b": int, "c": float, "d": bool, "e": type(None)},
        }[kind]
    assert read.values == expected
    assert read.plain == arguments


# --- descriptions ----------------------------------------------------------------------------------------------------


def google(city: Annotated[str, "City and country"], days: int) -> None:
    """The forecast.

    For the next days.

    Args:
        city: a city
        days: how many
            of them

    Returns:
        nothing
    """


def numpy(city: str, days: int) -> None:
    """The forecast.

    For the next days.

    Parameters
    ----------
    city : str
        City and country
    days : int
        how many
        of them
    """


def sphinx(city: str, days: int) -> None:
    """The forecast.

    For the next days.

    :param city: City and country
    :param days: how many
        of them
    :returns: nothing
    """


STYLES: list[Callable[..., None]] = [google, numpy, sphinx]


@pytest.mark.parametrize("function", STYLES, ids=["google", "numpy", "sphinx"])
def test_the_description_ends_at_the_first_section(function: Callable[..., None]) -> None:
    """The model would read the sections of a docstring as the description of the tool."""
    assert tool(function).description == "The forecast.\n\nFor the next days."


@pytest.mark.parametrize("function", STYLES, ids=["google", "numpy", "sphinx"])
def test_texts_of_parameters_come_from_the_docstring_when_asked_for(function: Callable[..., None]) -> None:
    """`docstrings=True` would not read a common style, or replace the text of an annotation."""
    properties = tool(docstrings=True)(function).parameters["properties"]
    assert {name: member["description"] for name, member in properties.items()} == {
        "city": "City and country",
        "days": "how many\nof them",
    }


def test_what_is_installed_changes_no_schema() -> None:
    """Installing docstring-parser would change what providers are sent."""
    assert "description" not in tool(numpy).parameters["properties"]["city"]


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error would not say what to install."""
    monkeypatch.setitem(sys.modules, "docstring_parser", None)
    with pytest.raises(ImportError, match=r"pip install 'anycompletion\[docstrings\]'"):
        tool(docstrings=True)(numpy)


def test_the_given_description_replaces_the_docstring() -> None:
    """`description=` would be ignored."""
    assert tool(description="Says it.")(numpy).description == "Says it."
    assert tool(description="")(numpy).description == ""


def test_the_decorated_function_is_still_the_function() -> None:
    """Other code could not call a tool, or would see another name and docstring."""

    @tool(name="sum", timeout=1, sequential=True, needs_approval=True)
    def add(a: int, b: int = 1) -> int:
        """Adds."""
        return a + b

    assert add(1) == 2
    assert add(1, b=2) == 3
    assert (add.__name__, add.__doc__, add.__wrapped__(2)) == ("add", "Adds.", 3)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    assert (add.name, add.timeout, add.sequential, add.needs_approval) == ("sum", 1, True, True)
    assert repr(add) == "<RunnableTool 'sum'>"


def test_attributes_of_a_function_change_no_tool() -> None:
    """A function that has an attribute `name` would be called by that name."""

    def look() -> None: ...

    look.name = "other"  # type: ignore[attr-defined]
    look.timeout = "never"  # type: ignore[attr-defined]
    asked = tool(look)
    assert (asked.name, asked.timeout) == ("look", None)


async def test_decorators_around_and_below_keep_the_signature() -> None:
    """A function with another decorator could not be a tool."""

    def doubled(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return [function(*args, **kwargs)] * 2

        return wrapper

    @tool
    @doubled
    def look(place: Place) -> str:
        """Looks."""
        return place.city

    assert look.parameters["required"] == ["place"]
    assert (await look.run(call(look, place={"city": "Oslo"}))).content == '["Oslo","Oslo"]'


async def test_local_functions_may_use_names_that_get_values_later() -> None:
    """A recursive tool, and one that uses what the program makes after it, could not be local functions."""

    @tool
    def depth(tree: Tree) -> int:
        return 1 + max([database[0], *map(depth, tree.children)])

    database = [0]
    outcome = await depth.run(call(depth, tree={"name": "a", "children": [{"name": "b"}]}))
    assert outcome.content == "2"


class Later:
    async def __call__(self, days: int, city: str) -> str:
        return city * days


async def test_a_partial_of_an_async_object_runs_in_the_event_loop() -> None:
    """Each call would take a thread, only to make the coroutine in it."""
    asked = tool(functools.partial(Later(), city="Oslo"))
    assert asked.is_async
    assert (await asked.run(call(asked, days=1))).content == "Oslo"


def test_the_context_never_shows_its_value() -> None:
    """A repr in a log or traceback would show what the caller passed to the tools."""
    context = ToolContext({"token": CANARY}, ToolCall("call_1", FunctionCall("look", CANARY)))
    assert repr(context) == "<ToolContext of 'look', turn 0>"


# --- tools of a schema -----------------------------------------------------------------------------------------------

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "required": ["a"]}


async def echo(arguments: dict[str, Any]) -> Any:
    return arguments


async def test_a_tool_of_a_schema_gets_plain_data() -> None:
    """The arguments of a tool of a schema would be changed, or compared with the schema, which its owner does."""
    asked = RunnableTool.from_schema("echo", SCHEMA, echo, description="Echoes.")
    assert asked.parameters == SCHEMA
    assert (await asked.run(call(asked, a="x", c=None))).content == '{"a":"x","c":null}'


async def test_a_strict_tool_of_a_schema_gets_no_null_for_what_is_left_out() -> None:
    """A server would get null for an optional argument, because strict schemas cannot leave one out."""
    asked = RunnableTool.from_schema("echo", SCHEMA, echo, strict=True)
    assert (await asked.run(call(asked, a=1, b=None))).content == '{"a":1}'


def test_the_schema_of_a_tool_is_a_copy() -> None:
    """A caller who changes the schema later would change a tool that is in use."""
    schema: dict[str, Any] = {"properties": {}}
    asked = RunnableTool.from_schema("echo", schema, echo)
    schema["properties"]["x"] = {}
    assert asked.parameters == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "array"}, "echo: parameters: expected a JSON Schema of type object"),
        ([], "echo: parameters: expected a JSON Schema of type object"),
        ({"properties": None}, "echo: parameters: expected a JSON Schema of type object"),
        ({"x": object()}, "echo: parameters: cannot be written as JSON"),
    ],
    ids=["array", "list", "no properties", "object"],
)
def test_what_is_no_schema_is_refused(schema: Any, text: str) -> None:
    """The provider would refuse every request with the tool."""
    with pytest.raises(InvalidRequestError) as caught:
        RunnableTool.from_schema("echo", schema, echo)
    assert str(caught.value) == text
