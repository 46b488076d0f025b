"""Tools and their choice in the form of the Responses API, which has no inner objects.

https://platform.openai.com/docs/guides/function-calling
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ...codecs import json
from ...records import ChatRequest, FunctionDefinition, FunctionTool, JsonObject, Tool
from ..base import EncodingReport
from ..shared import without_nulls
from .responses_quirks import OpenAIResponsesQuirks


def encode_tools(request: ChatRequest, quirks: OpenAIResponsesQuirks, report: EncodingReport) -> list[JsonObject]:
    """The `tools` of the body."""
    tools = [_tool(tool) for tool in cast("Sequence[Tool]", request.tools or ())]
    tools += [_function(function, {}) for function in cast("Sequence[FunctionDefinition]", request.functions or ())]
    if request.web_search_options is not None:
        tools.append(_web_search(request.web_search_options, quirks, report))
    return tools


def _tool(tool: Tool) -> JsonObject:
    if isinstance(tool, FunctionTool):
        return _function(tool.function, tool.extra)
    custom: object = tool.extra.get("custom")
    if tool.type != "custom" or not isinstance(custom, Mapping):
        native: JsonObject = json.to_wire(tool)
        return native
    fields = without_nulls(dict(cast("Mapping[str, Any]", custom)))
    form: object = fields.get("format")
    if isinstance(form, Mapping):
        fields["format"] = _format(cast("Mapping[str, Any]", form))
    return {"type": "custom", **fields}


def _format(form: Mapping[str, Any]) -> JsonObject:
    """The format of a custom tool's input; a grammar has its fields beside its type."""
    grammar = form.get("grammar")
    return {"type": "grammar", **grammar} if form.get("type") == "grammar" and grammar else dict(form)


def _function(function: FunctionDefinition, extra: JsonObject) -> JsonObject:
    tool: JsonObject = {"type": "function", "name": function.name}
    if function.description is not None:
        tool["description"] = function.description
    tool["parameters"] = dict(function.parameters or {"type": "object", "properties": {}})
    # Left out, it would mean true, and the server would rewrite the schema.
    tool["strict"] = bool(function.strict)
    return tool | without_nulls(function.extra) | without_nulls(extra)


def _web_search(options: Mapping[str, Any], quirks: OpenAIResponsesQuirks, report: EncodingReport) -> JsonObject:
    """The server's own search as a tool; a location has its fields beside its type."""
    tool: JsonObject = {"type": "web_search"}
    for name, value in options.items():
        if name == "search_context_size" and not quirks.search_context_size:
            report.unsupported(f"web_search_options.{name}", "the provider's search has no such option")
        elif name == "user_location" and isinstance(value, Mapping):
            location = cast("Mapping[str, Any]", value)
            kind = location.get("type", "approximate")
            inner: object = location.get(kind)
            own = cast("Mapping[str, Any]", inner) if isinstance(inner, Mapping) else location
            tool[name] = {"type": kind, **own}
        elif value is not None:
            tool[name] = value
    return tool


def encode_tool_choice(request: ChatRequest, report: EncodingReport) -> str | JsonObject | None:
    """The `tool_choice` of the body."""
    choice, legacy = request.tool_choice, request.function_call
    if choice is None:
        if isinstance(legacy, Mapping):
            return {"type": "function", "name": legacy.get("name")}
        return None if legacy == "auto" and not request.functions else legacy
    if legacy is not None:
        report.warn("function_call left out: tool_choice was given too, and wins")
    return choice if isinstance(choice, str) else _flat(choice)


def _flat(choice: Mapping[str, Any]) -> JsonObject:
    """A choice of a tool, or of several, without its inner object."""
    kind = choice.get("type", "function")
    inner: object = choice.get(kind)
    if not isinstance(inner, Mapping):
        return dict(choice)
    fields = dict(cast("Mapping[str, Any]", inner))
    if kind == "allowed_tools":
        tools = cast("Sequence[Mapping[str, Any]]", fields.get("tools") or ())
        fields["tools"] = [_flat(tool) for tool in tools]
    return {"type": kind, **fields}
