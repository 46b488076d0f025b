"""Tools made of functions, as one provider takes them: the schema in its form, strict where that changes no meaning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from ..errors import InvalidRequestError
from ..providers import Provider
from ..records import ChatRequest, FunctionDefinition, FunctionTool, Tool
from .requests import with_params
from .schemas import PreparedSchema, schema_for, strict_tool_problem
from .schemas.dropped_keywords import with_text
from .schemas.prepared_schema import support_of
from .schemas.schema_nodes import as_schema
from .schemas.schema_rules import SCHEMA_RULES, TOOL_RULES

_MAX_PREPARED = 1_024
"""Tools, each for one provider and model, that are kept."""

_MAX_DEFAULT = 100
"""Characters of a default that a description may hold."""

_prepared: dict[tuple[int, str, str], tuple[FunctionDefinition, Provider, FunctionTool]] = {}
"""Identity of a definition, provider and model → the definition, the provider, and the tool made for it."""

_by_content: dict[tuple[bytes, str, str], tuple[Provider, FunctionTool]] = {}
"""JSON of a definition, provider and model → the provider, and the tool made for it."""


def with_tool_schemas(request: ChatRequest, provider: Provider, model: str) -> ChatRequest:
    """A validated request whose tools are in the form that a provider takes.

    Args:
        request: with tools, of which those that are `portable` are changed.
        provider: the provider.
        model: the provider's own name of the model; it may name a variant.

    Raises:
        InvalidRequestError: a tool has to be strict, and its schema cannot be at this provider.
    """
    tools: list[Tool] = []
    for at, tool in enumerate(cast("list[Tool]", request.tools)):
        if isinstance(tool, FunctionTool) and tool.function.portable:
            tools.append(_tool_for(tool.function, provider, model, f"tools[{at}]"))
        else:
            tools.append(tool)
    return with_params(request, {**request.given(), "tools": tools})


def _tool_for(function: FunctionDefinition, provider: Provider, model: str, place: str) -> FunctionTool:
    key = (id(function), provider.name, model)
    known = _prepared.get(key)
    if known is not None and known[0] is function and known[1] is provider:
        return known[2]
    # Requests that come from another process have definitions of their own.
    content = msgspec.json.encode((function.name, function.description, function.parameters, function.strict))
    content_key = (content, provider.name, model)
    equal = _by_content.get(content_key)
    if equal is not None and equal[0] is provider:
        tool = equal[1]
    else:
        prepared = _schema(function, provider, model, place)
        tool = FunctionTool(FunctionDefinition(function.name, function.description, prepared.schema, prepared.strict))
    if len(_prepared) >= _MAX_PREPARED:
        _prepared.clear()
        _by_content.clear()
    _prepared[key] = (function, provider, tool)
    _by_content[content_key] = (provider, tool)
    return tool


def _schema(function: FunctionDefinition, provider: Provider, model: str, place: str) -> PreparedSchema:
    dialect, support, own = support_of(provider, model)
    schema = _with_defaults(function.parameters or {})
    if not function.strict:
        strict = None if function.strict is None and support.takes_strict("tool", own) else False
        return schema_for(provider, model, schema, mode="tool", strict=strict)
    reason = strict_tool_problem(schema, dialect)
    if reason is not None:
        text = f"{place}: {function.name} cannot be strict at {provider.name}: {reason}"
        raise InvalidRequestError(text, param=f"{place}.function.strict")
    has_own_rules = dialect not in TOOL_RULES and dialect in SCHEMA_RULES
    prepared = schema_for(provider, model, schema, mode="schema" if has_own_rules else "tool", strict=True)
    return PreparedSchema(prepared.schema, strict=True)


def _with_defaults(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema whose descriptions name the defaults, because strict schemas, and some providers, have none."""
    properties = as_schema(schema.get("properties"))
    texts = {name: text for name, each in properties.items() if (text := _default_text(as_schema(each))) is not None}
    described = {
        name: {**as_schema(properties[name]), "description": with_text(properties[name].get("description"), [text])}
        for name, text in texts.items()
    }
    return {**schema, "properties": {**properties, **described}} if described else schema


def _default_text(schema: Mapping[str, Any]) -> str | None:
    """The default of a property in words; None where there is none, where it is null, and where it is long."""
    if schema.get("default") is None:
        return None
    text = msgspec.json.encode(schema["default"]).decode()
    return f"default {text}" if len(text) <= _MAX_DEFAULT else None
