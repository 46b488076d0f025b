"""The tools of a run: those that it executes itself, and those that the provider or the caller answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import attrs

from ..errors import InvalidRequestError
from ..records import FunctionTool, Tool
from .runnable_tool import RunnableTool, tool


@attrs.frozen(eq=False)
class ToolSet:
    """The tools of a run by name."""

    runnable: Mapping[str, RunnableTool[..., Any]]
    """Tools that the run executes."""
    definitions: Sequence[Tool | Mapping[str, Any]]
    """All tools, as requests define them, in the caller's order."""
    foreign: frozenset[str]
    """Names of functions that were given as definitions only."""


def tool_set(tools: object) -> ToolSet:
    """The argument `tools` of a run.

    Raises:
        InvalidRequestError: an item is no tool, or two have one name.
    """
    if isinstance(tools, (str, Mapping)) or not isinstance(tools, Iterable):
        raise InvalidRequestError("tools: expected a list of functions and tools", param="tools")
    runnable: dict[str, RunnableTool[..., Any]] = {}
    definitions: list[Tool | Mapping[str, Any]] = []
    names: set[str] = set()
    foreign: set[str] = set()
    for at, item in enumerate(cast("Iterable[object]", tools)):
        own = _runnable(item)
        definition = own.definition if own is not None else cast("Tool | Mapping[str, Any]", item)
        name = own.name if own is not None else _function_name(definition)
        if name:
            if name in names:
                raise InvalidRequestError(f"tools[{at}]: there is another tool with the name {name!r}", param="tools")
            names.add(name)
        if own is not None:
            runnable[own.name] = own
        elif name:
            foreign.add(name)
        definitions.append(definition)
    return ToolSet(runnable, definitions, frozenset(foreign))


def _runnable(item: object) -> RunnableTool[..., Any] | None:
    if isinstance(item, RunnableTool):
        return cast("RunnableTool[..., Any]", item)
    is_function = callable(item) and not isinstance(item, (Mapping, FunctionTool))
    return tool(cast("Callable[..., Any]", item)) if is_function else None


def _function_name(definition: Tool | Mapping[str, Any]) -> str:
    """The name of a function that is defined; "" for a tool of another kind."""
    if isinstance(definition, FunctionTool):
        return definition.function.name
    if not isinstance(definition, Mapping):
        return ""
    function: object = definition.get("function")
    name: object = cast("Mapping[str, object]", function).get("name") if isinstance(function, Mapping) else None
    return name if isinstance(name, str) else ""
