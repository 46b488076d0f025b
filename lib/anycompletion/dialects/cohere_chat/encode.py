"""A chat request as Cohere's HTTP request. Sends nothing.

https://docs.cohere.com/reference/chat
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from ...codecs import json
from ...errors import InvalidRequestError
from ...http import HttpRequest
from ...records import ChatRequest, FunctionDefinition, FunctionTool, JsonObject, Tool
from ..base import EncodingReport, FetchedValues, Target
from ..shared import messages_of, refuse_stream_options, token_limit, without_nulls
from .cohere_messages import encode_messages
from .cohere_thinking import encode_thinking

PATH = "/v2/chat"


def encode(request: ChatRequest, target: Target, fetched: FetchedValues) -> HttpRequest:
    """The HTTP request for a validated `request`, whose messages and tools are records.

    Raises:
        InvalidRequestError: the format cannot express the request; `.param` names the place.
    """
    report = EncodingReport(target.on_unsupported)
    extra_body = request.extra_body or {}
    tools = _tools(request, extra_body, report)
    fields: JsonObject = {
        "stream": True if target.stream else None,
        **tools,
        "response_format": _response_format(request.response_format, tools, extra_body, report),
        "max_tokens": token_limit(request, report),
        "stop_sequences": [request.stop] if isinstance(request.stop, str) else list(request.stop or ()) or None,
        "temperature": request.temperature,
        "p": request.top_p,
        # 0 is Cohere's default, and some models refuse a request with both penalties.
        "frequency_penalty": request.frequency_penalty or None,
        "presence_penalty": request.presence_penalty or None,
        "seed": request.seed,
        "logprobs": request.logprobs or None,
        "thinking": encode_thinking(request.reasoning_effort, request.thinking, report),
    }
    body: JsonObject = {"model": target.model, "messages": encode_messages(messages_of(request), report)}
    body.update((name, value) for name, value in fields.items() if value is not None)
    refuse_stream_options(request, "Cohere", report)
    body.update(extra_body)
    return HttpRequest(target.base_url + (target.path or PATH), body, warnings=report.warnings)


def _response_format(
    wanted: Mapping[str, Any] | None, tools: JsonObject, extra_body: Mapping[str, Any], report: EncodingReport
) -> JsonObject | None:
    kind = "text" if wanted is None else wanted.get("type")
    if wanted is None or kind == "text":
        return None
    if kind not in ("json_object", "json_schema"):
        report.unsupported("response_format", "Cohere knows json_object and json_schema only")
        return None
    if tools.get("tools") or extra_body.get("tools") or extra_body.get("documents"):
        report.unsupported("response_format", "Cohere takes none together with tools or documents")
        return None
    if kind == "json_object":
        return without_nulls(dict(wanted))
    named = cast("Mapping[str, Any]", wanted.get("json_schema") or {})
    if named.get("schema") is None:
        place = "response_format.json_schema.schema"
        raise InvalidRequestError(f"{place}: is missing", param=place)
    if named.get("description"):
        report.warn("response_format.json_schema.description left out: Cohere takes the schema alone")
    return {"type": "json_object", "json_schema": named["schema"]}


# --- tools -----------------------------------------------------------------------------------------------------------


class _CohereTool(NamedTuple):
    """A tool in Cohere's form."""

    native: JsonObject
    strict: bool
    path: str
    """The place of `strict` in the request."""

    @property
    def name(self) -> Any:
        return cast("Mapping[str, Any]", self.native.get("function") or {}).get("name")


def _tools(request: ChatRequest, extra_body: Mapping[str, Any], report: EncodingReport) -> JsonObject:
    tools = [_tool(tool, f"tools[{i}]", report) for i, tool in enumerate(cast("Sequence[Tool]", request.tools or ()))]
    functions = cast("Sequence[FunctionDefinition]", request.functions or ())
    native_tools = [tool for tool in tools if tool is not None]
    native_tools += [_function(function, {}, f"functions[{i}]") for i, function in enumerate(functions)]
    param, choice = _requested_choice(request, report)
    if isinstance(choice, Mapping):
        native_tools, choice = _named(param, choice, native_tools, report)
    if choice == "none" and not native_tools and "tools" not in extra_body:
        choice = None  # there are no tools
    return {
        "tools": [tool.native for tool in native_tools] or None,
        "strict_tools": None if "strict_tools" in extra_body else _strict(native_tools, report),
        "tool_choice": None if choice in (None, "auto") else choice.upper(),
    }


def _requested_choice(request: ChatRequest, report: EncodingReport) -> tuple[str, str | Mapping[str, Any] | None]:
    """The parameter that applies, and its value."""
    if request.tool_choice is None:
        return "function_call", request.function_call
    if request.function_call is not None:
        report.warn("function_call left out: tool_choice was given too, and wins")
    return "tool_choice", request.tool_choice


def _named(
    param: str, choice: Mapping[str, Any], native_tools: list[_CohereTool], report: EncodingReport
) -> tuple[list[_CohereTool], str | None]:
    """The tools and the choice for a choice by name.

    Cohere cannot require one tool of several, so only the named tool is sent, and a call is required.
    """
    if param == "tool_choice" and choice.get("type", "function") != "function":
        report.unsupported(param, f"Cohere cannot choose {choice.get('type')}")
        return native_tools, None
    name = choice.get("name") if param == "function_call" else choice["function"]["name"]
    chosen = [tool for tool in native_tools if tool.name == name]
    if not chosen:
        raise InvalidRequestError(f"{param}: names none of the tools that are sent", param=param)
    if len(chosen) < len(native_tools):
        report.warn(f"{param}: only the tool it names was sent, as required; Cohere cannot choose by name")
    return chosen, "required"


def _strict(native_tools: list[_CohereTool], report: EncodingReport) -> bool | None:
    strict = [tool for tool in native_tools if tool.strict]
    if strict and len(strict) == len(native_tools):
        return True
    for tool in strict:
        report.unsupported(f"{tool.path}.strict", "Cohere's tools are strict all together or not at all")
    return None


def _tool(tool: Tool, path: str, report: EncodingReport) -> _CohereTool | None:
    if isinstance(tool, FunctionTool):
        return _function(tool.function, tool.extra, f"{path}.function")
    if tool.type == "custom":
        report.unsupported(path, "Cohere has no custom (grammar) tools; use a function")
        return None
    return _CohereTool(without_nulls(json.to_wire(tool)), strict=False, path=path)


def _function(function: FunctionDefinition, extra: JsonObject, path: str) -> _CohereTool:
    native: JsonObject = {"name": function.name}
    if function.description is not None:
        native["description"] = function.description
    # Cohere requires a schema even for a function without parameters.
    native["parameters"] = {"type": "object"} | dict(function.parameters or {"properties": {}})
    tool = {"type": "function", "function": native | without_nulls(function.extra)} | without_nulls(extra)
    return _CohereTool(tool, bool(function.strict), path)
