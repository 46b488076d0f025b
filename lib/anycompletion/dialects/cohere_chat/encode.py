"""A chat request as Cohere's HTTP request; sends nothing and knows no key.

https://docs.cohere.com/reference/chat
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from ...codecs import json
from ...errors import InvalidRequestError
from ...http import HttpRequest
from ...records import ChatRequest, FunctionDefinition, FunctionTool, JsonObject, Message, Tool, UserMessage
from ..base import EncodingReport, FetchedValues, Target
from .cohere_messages import encode_messages, without_nulls
from .cohere_thinking import reasoning

PATH = "/v2/chat"


def encode(request: ChatRequest, target: Target, known: FetchedValues) -> HttpRequest:
    """The HTTP request for a validated `request`, whose messages and tools are records.

    Raises:
        InvalidRequestError: the request cannot be said in this format; `.param` names the place.
    """
    report = EncodingReport(target.on_unsupported)
    extra_body = request.extra_body or {}
    messages = request.messages if not isinstance(request.messages, str) else [UserMessage(request.messages)]
    tools = _tools(request, extra_body, report)
    fields: JsonObject = {
        "stream": True if target.stream else None,
        **tools,
        "response_format": _response_format(request.response_format, tools, extra_body, report),
        "max_tokens": _max_tokens(request, report),
        "stop_sequences": [request.stop] if isinstance(request.stop, str) else list(request.stop or ()) or None,
        "temperature": request.temperature,
        "p": request.top_p,
        # Some models refuse to get both, and 0 is what Cohere assumes.
        "frequency_penalty": request.frequency_penalty or None,
        "presence_penalty": request.presence_penalty or None,
        "seed": request.seed,
        "logprobs": request.logprobs or None,
        "thinking": reasoning(request.reasoning_effort, request.thinking, report),
    }
    body: JsonObject = {
        "model": target.model,
        "messages": encode_messages(cast("Sequence[Message]", messages), report),
    }
    body.update((name, value) for name, value in fields.items() if value is not None)
    for name, value in (request.stream_options or {}).items():
        if name != "include_usage" and value:
            report.unsupported(f"stream_options.{name}", "Cohere's streams have no options")
    body.update(extra_body)
    return HttpRequest(target.base_url + (target.path or PATH), body, warnings=report.warnings)


def uses_legacy_functions(request: ChatRequest) -> bool:
    """True when the caller used `functions`, and is to be answered with `function_call`."""
    return bool(request.functions) and not request.tools


def _max_tokens(request: ChatRequest, report: EncodingReport) -> int | None:
    asked = request.max_tokens if request.max_completion_tokens is None else request.max_completion_tokens
    if request.max_tokens is not None and request.max_tokens != asked:
        report.warn("max_tokens left out: max_completion_tokens was given too, and wins")
    return asked


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
        return dict(wanted)
    named = cast("Mapping[str, Any]", wanted.get("json_schema") or {})
    if named.get("schema") is None:
        where = "response_format.json_schema.schema"
        raise InvalidRequestError(f"{where}: is missing", param=where)
    if named.get("description"):
        report.warn("response_format.json_schema.description left out: Cohere takes the schema alone")
    return {"type": "json_object", "json_schema": named["schema"]}


# --- tools -----------------------------------------------------------------------------------------------------------


class _Offer(NamedTuple):
    """A tool as Cohere gets it."""

    native: JsonObject
    strict: bool
    path: str
    """Where the caller says whether it is strict."""

    @property
    def name(self) -> Any:
        return cast("Mapping[str, Any]", self.native.get("function") or {}).get("name")


def _tools(request: ChatRequest, extra_body: Mapping[str, Any], report: EncodingReport) -> JsonObject:
    tools = [_tool(tool, f"tools[{i}]", report) for i, tool in enumerate(cast("Sequence[Tool]", request.tools or ()))]
    functions = cast("Sequence[FunctionDefinition]", request.functions or ())
    offers = [offer for offer in tools if offer is not None]
    offers += [_offer(function, {}, f"functions[{i}]") for i, function in enumerate(functions)]
    param, choice = _asked_choice(request, report)
    if isinstance(choice, Mapping):
        offers, choice = _named(param, choice, offers, report)
    if choice == "none" and not offers and "tools" not in extra_body:
        choice = None  # nothing to choose from, and nothing is chosen
    return {
        "tools": [offer.native for offer in offers] or None,
        "strict_tools": None if "strict_tools" in extra_body else _strict(offers, report),
        "tool_choice": None if choice in (None, "auto") else choice.upper(),
    }


def _asked_choice(request: ChatRequest, report: EncodingReport) -> tuple[str, str | Mapping[str, Any] | None]:
    """The parameter that counts, and its value."""
    if request.tool_choice is None:
        return "function_call", request.function_call
    if request.function_call is not None:
        report.warn("function_call left out: tool_choice was given too, and wins")
    return "tool_choice", request.tool_choice


def _named(
    param: str, choice: Mapping[str, Any], offers: list[_Offer], report: EncodingReport
) -> tuple[list[_Offer], str | None]:
    """Cohere cannot be told which tool to call, but a tool that is the only one, and required, is the one called."""
    if param == "tool_choice" and choice.get("type", "function") != "function":
        report.unsupported(param, f"Cohere cannot choose {choice.get('type')}")
        return offers, None
    name = choice.get("name") if param == "function_call" else choice["function"]["name"]
    chosen = [offer for offer in offers if offer.name == name]
    if not chosen:
        raise InvalidRequestError(f"{param}: names none of the tools that are sent", param=param)
    if len(chosen) < len(offers):
        report.warn(f"{param}: only the tool it names was sent, as required; Cohere cannot choose by name")
    return chosen, "required"


def _strict(offers: list[_Offer], report: EncodingReport) -> bool | None:
    strict = [offer for offer in offers if offer.strict]
    if strict and len(strict) == len(offers):
        return True
    for offer in strict:
        report.unsupported(f"{offer.path}.strict", "Cohere's tools are strict all together or not at all")
    return None


def _tool(tool: Tool, path: str, report: EncodingReport) -> _Offer | None:
    if isinstance(tool, FunctionTool):
        return _offer(tool.function, tool.extra, f"{path}.function")
    if tool.type == "custom":
        report.unsupported(path, "Cohere has no custom (grammar) tools; use a function")
        return None
    return _Offer(json.to_wire(tool), strict=False, path=path)


def _offer(function: FunctionDefinition, extra: JsonObject, path: str) -> _Offer:
    native: JsonObject = {"name": function.name}
    if function.description is not None:
        native["description"] = function.description
    # Cohere requires a schema also of a function without parameters.
    native["parameters"] = {"type": "object"} | dict(function.parameters or {"properties": {}})
    tool = {"type": "function", "function": native | without_nulls(function.extra)} | without_nulls(extra)
    return _Offer(tool, bool(function.strict), path)
