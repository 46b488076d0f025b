"""The tools of a run: those that it executes itself, and those that the provider or the caller answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import attrs

from ..errors import InvalidRequestError
from ..records import FunctionTool, Tool
from ..records.base import plain
from .runnable_tool import RunnableTool, tool


@attrs.frozen(eq=False)
class ToolSet:
    """The tools of a run by name."""

    runnable: Mapping[str, RunnableTool[..., Any]]
    """Tools that the run executes."""
    definitions: Sequence[Tool | Mapping[str, Any]]
    """All tools, as requests define them, in the caller's order."""
    left_to_caller: frozenset[str]
    """Names of tools that were given as definitions only."""
    names: Sequence[str]
    """All names by which the model may call a tool, in the caller's order."""


def tool_set(tools: object) -> ToolSet:
    """The argument `tools` of a run.

    Raises:
        InvalidRequestError: an item is no tool, or two have one name.
    """
    if isinstance(tools, (str, Mapping)) or not isinstance(tools, Iterable):
        raise InvalidRequestError("tools: expected a list of functions and tools", param="tools")
    runnable: dict[str, RunnableTool[..., Any]] = {}
    definitions: list[Tool | Mapping[str, Any]] = []
    names: list[str] = []
    left_to_caller: set[str] = set()
    for at, item in enumerate(cast("Iterable[object]", tools)):
        own = _runnable(item)
        definition = own.definition if own is not None else cast("Tool | Mapping[str, Any]", item)
        name = own.name if own is not None else _defined_name(definition)
        if name:
            if name in names:
                raise InvalidRequestError(f"tools[{at}]: there is another tool with the name {name!r}", param="tools")
            names.append(name)
        if own is not None:
            runnable[own.name] = own
        elif name:
            left_to_caller.add(name)
        definitions.append(definition)
    return ToolSet(runnable, definitions, frozenset(left_to_caller), names)


def _runnable(item: object) -> RunnableTool[..., Any] | None:
    if isinstance(item, RunnableTool):
        return cast("RunnableTool[..., Any]", item)
    is_function = callable(item) and not isinstance(item, (Mapping, FunctionTool))
    return tool(cast("Callable[..., Any]", item)) if is_function else None


def _defined_name(definition: object) -> str:
    """The name by which a model calls a tool that was given as a definition; "" where it has none.

    Tools of a provider that the caller executes, such as Anthropic's bash, have their name beside their type.
    """
    fields: object = plain(definition)
    if not isinstance(fields, dict):
        return ""
    tool_fields = cast("dict[str, object]", fields)
    for holder in (tool_fields.get("function"), tool_fields.get("custom"), tool_fields):
        name: object = cast("dict[str, object]", holder).get("name") if isinstance(holder, dict) else None
        if isinstance(name, str):
            return name
    return ""
