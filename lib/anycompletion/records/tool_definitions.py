"""Tools of a chat as requests define them, in OpenAI's exact shape, and functions as such definitions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, TypeAlias, cast

from attrs import define

from ..errors import InvalidRequestError
from .base import JsonObject, Record, extra_field, hidden


@define(repr=False, eq=False)
class FunctionDefinition(Record):
    """Definition of a function for the model; `parameters` is a JSON Schema of type object."""

    name: str
    description: str | None = None
    parameters: Mapping[str, Any] | None = None
    strict: bool | None = None
    portable: bool = hidden(default=False, repr=False, kw_only=True)
    """True for the parameters of a function, which each provider gets in the form of JSON Schema that it takes, strict
    where that is possible and `strict` is not set. False for those that the caller wrote, which are sent as they are.
    """
    extra: JsonObject = extra_field()


@define(repr=False, eq=False)
class FunctionTool(Record):
    """Tool that is a function."""

    function: FunctionDefinition
    type: str = "function"
    extra: JsonObject = extra_field()


@define(repr=False, eq=False)
class CustomTool(Record):
    """Tool of another type (OpenAI's ``custom`` with a grammar, a provider's own); sent as it is."""

    type: str | None = None
    extra: JsonObject = extra_field()


Tool: TypeAlias = FunctionTool | CustomTool
"""Tool that the model may call: a function, or one of another type."""

ToolLike: TypeAlias = Tool | Mapping[str, Any] | Callable[..., Any]
"""Tool as callers write it: a definition as record or dict, a `RunnableTool`, or a function."""


def tool_definitions(tools: Sequence[ToolLike]) -> Sequence[Tool | Mapping[str, Any]]:
    """Tools as requests hold them: functions become definitions, which are data; all else stays as it is.

    Raises:
        InvalidRequestError: a function cannot be a tool.
    """
    if not isinstance(cast("object", tools), (list, tuple)):
        return cast("Sequence[Tool]", tools)  # checked when the request is made ready to be sent
    return [tool_definition(tool, f"tools[{at}]") for at, tool in enumerate(tools)]


def tool_definition(tool: ToolLike, place: str) -> Tool | Mapping[str, Any]:
    """The definition of a function or `RunnableTool`; other values as they are.

    Args:
        tool: the tool.
        place: where it is in the arguments, for an error.

    Raises:
        InvalidRequestError: the function cannot be a tool.
    """
    if isinstance(tool, (FunctionTool, CustomTool, Mapping)) or not callable(tool):
        return cast("Tool", tool)
    runnable = import_module("anycompletion.tools.runnable_tool")
    try:
        return cast("FunctionTool", runnable.as_tool(tool).definition)
    except InvalidRequestError as error:
        text = error.message
    raise InvalidRequestError(f"{place}: {text}", param=place)


def any_portable(tools: Sequence[Tool | Mapping[str, Any]]) -> bool:
    """Whether any of the tools was made of a function."""
    return any(isinstance(tool, FunctionTool) and tool.function.portable for tool in tools)
