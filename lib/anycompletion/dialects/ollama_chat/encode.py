"""A chat request as Ollama's HTTP request. Sends nothing.

https://docs.ollama.com/api/chat
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ...errors import InvalidRequestError
from ...http import HttpRequest
from ...records import ChatRequest, FunctionDefinition, FunctionTool, JsonObject, Tool
from ..base import EncodingReport, FetchedValues, Target
from ..shared import messages_of, refuse_stream_options, token_limit, without_nulls
from .ollama_messages import encode_messages

PATH = "/api/chat"


def encode(request: ChatRequest, target: Target, fetched: FetchedValues) -> HttpRequest:
    """The HTTP request for a validated `request`, whose messages and tools are records.

    Raises:
        InvalidRequestError: the format cannot express the request; `.param` names the place.
    """
    report = EncodingReport(target.on_unsupported)
    extra_body = dict(request.extra_body or {})
    fields: JsonObject = {
        "tools": _tools(request, report),
        "format": _format(request.response_format, report),
        "options": _options(request, extra_body.pop("options", None), report),
        "think": _think(request, report),
        "logprobs": request.logprobs or None,
        "top_logprobs": request.top_logprobs,
    }
    body: JsonObject = {"model": target.model, "messages": encode_messages(messages_of(request), report)}
    body["stream"] = target.stream  # without it, Ollama streams
    body.update((name, value) for name, value in fields.items() if value is not None)
    refuse_stream_options(request, "Ollama", report)
    body.update(extra_body)
    return HttpRequest(target.base_url + (target.path or PATH), body, warnings=report.warnings)


def _options(request: ChatRequest, own: object, report: EncodingReport) -> object:
    """The sampling parameters, with the caller's own options, which win; None for none."""
    options: JsonObject = {
        "num_predict": token_limit(request, report),
        "temperature": request.temperature,
        "top_p": request.top_p,
        "seed": request.seed,
        "stop": [request.stop] if isinstance(request.stop, str) else list(request.stop or ()) or None,
        "frequency_penalty": request.frequency_penalty,
        "presence_penalty": request.presence_penalty,
    }
    given = without_nulls(options)
    if own is None:
        return given or None
    if not isinstance(own, Mapping):
        raise InvalidRequestError("extra_body.options: expected an object", param="extra_body.options")
    return given | dict(cast("Mapping[str, Any]", own))


def _think(request: ChatRequest, report: EncodingReport) -> bool | str | None:
    """Whether the model thinks, or its level of effort; an explicit `thinking` wins over an effort."""
    effort, thinking = request.reasoning_effort, request.thinking
    if thinking is None:
        return False if effort == "none" else effort
    if effort is not None:
        report.warn("reasoning_effort left out: thinking was given, and wins")
    for name in sorted(without_nulls(dict(thinking)).keys() - {"type"}):
        report.unsupported(f"thinking.{name}", "Ollama's thinking has levels (reasoning_effort) and no other options")
    kind = thinking.get("type")
    if kind in ("enabled", "disabled"):
        return bool(kind == "enabled")
    report.unsupported("thinking.type", f"Ollama's thinking is enabled or disabled, not {kind!r}")
    return None


def _format(wanted: Mapping[str, Any] | None, report: EncodingReport) -> object:
    kind = "text" if wanted is None else wanted.get("type")
    if wanted is None or kind == "text":
        return None
    if kind == "json_object":
        return wanted.get("schema") or "json"
    if kind != "json_schema":
        report.unsupported("response_format", "Ollama knows json_object and json_schema only")
        return None
    named = cast("Mapping[str, Any]", wanted.get("json_schema") or {})
    if named.get("schema") is None:
        place = "response_format.json_schema.schema"
        raise InvalidRequestError(f"{place}: is missing", param=place)
    if named.get("description"):
        report.warn("response_format.json_schema.description left out: Ollama takes the schema alone")
    return named["schema"]


# --- tools -----------------------------------------------------------------------------------------------------------


def _tools(request: ChatRequest, report: EncodingReport) -> list[JsonObject] | None:
    """The tools to send; none where the caller wants no call, because Ollama has no choice of tools."""
    tools = [_tool(tool, f"tools[{i}]", report) for i, tool in enumerate(cast("Sequence[Tool]", request.tools or ()))]
    functions = cast("Sequence[FunctionDefinition]", request.functions or ())
    native = [tool for tool in tools if tool is not None]
    native += [_function(function, {}, f"functions[{i}]", report) for i, function in enumerate(functions)]
    param, choice = "tool_choice", request.tool_choice
    if choice is None:
        param, choice = "function_call", request.function_call
    elif request.function_call is not None:
        report.warn("function_call left out: tool_choice was given too, and wins")
    if isinstance(choice, Mapping) and choice.get("type") == "allowed_tools":
        allowed = cast("Mapping[str, Any]", choice.get("allowed_tools") or choice)
        if allowed.get("mode") != "required":
            names = [_allowed_name(each) for each in cast("Sequence[Mapping[str, Any]]", allowed.get("tools") or ())]
            return [tool for tool in native if tool["function"]["name"] in names] or None
    if isinstance(choice, Mapping):
        report.unsupported(param, "Ollama cannot demand the call of a tool; offer that tool alone, and ask for it")
    return None if choice == "none" else native or None


def _allowed_name(tool: Mapping[str, Any]) -> object:
    return cast("Mapping[str, Any]", tool.get("function") or tool).get("name")


def _tool(tool: Tool, path: str, report: EncodingReport) -> JsonObject | None:
    if isinstance(tool, FunctionTool):
        return _function(tool.function, tool.extra, f"{path}.function", report)
    report.unsupported(path, f"Ollama has functions only, no tools of type {tool.type!r}")
    return None


def _function(function: FunctionDefinition, extra: JsonObject, path: str, report: EncodingReport) -> JsonObject:
    if function.strict:
        report.unsupported(f"{path}.strict", "Ollama does not constrain the arguments of calls")
    native: JsonObject = {
        "name": function.name,
        "description": function.description,
        "parameters": None if function.parameters is None else dict(function.parameters),
    }
    tool = {"type": "function", "function": without_nulls(native) | without_nulls(function.extra)}
    return tool | without_nulls(extra)
