"""Tools of a chat as requests define them, in OpenAI's exact shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from attrs import define

from .base import JsonObject, Record, extra_field


@define(repr=False, eq=False)
class FunctionDefinition(Record):
    """Definition of a function for the model; `parameters` is a JSON Schema of type object."""

    name: str
    description: str | None = None
    parameters: Mapping[str, Any] | None = None
    strict: bool | None = None
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
