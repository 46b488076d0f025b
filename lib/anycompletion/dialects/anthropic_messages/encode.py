"""A chat request as Anthropic's HTTP request. Sends nothing.

https://docs.anthropic.com/en/api/messages
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, assert_never, cast

from ...codecs import json
from ...errors import InvalidRequestError
from ...http import HttpRequest
from ...records import ChatRequest, FunctionDefinition, FunctionTool, JsonObject, Tool
from ..base import EncodingReport, FetchedValues, Target
from ..claude_thinking import Thinking, encode_thinking, thinking_budget
from ..shared import (
    MODEL_IN_PATH,
    messages_of,
    path_segment,
    refuse_stream_options,
    token_limit,
    uses_legacy_functions,
    without_nulls,
)
from .anthropic_quirks import quirks_of
from .message_blocks import encode_messages
from .params import SERVICE_TIERS

PATH = "/v1/messages"
VERSION = "2023-06-01"
"""Sent unless the target has another one."""
_WITHOUT_SAMPLING = "2026-10-21"
"""From this version on Anthropic refuses sampling parameters."""
DEFAULT_MAX_TOKENS = 4096
"""Anthropic requires a limit; a thinking budget is added to it."""


def encode(request: ChatRequest, target: Target, fetched: FetchedValues) -> HttpRequest:
    """The HTTP request for a validated `request`, whose messages and tools are records.

    Raises:
        InvalidRequestError: the format cannot express the request, or a path the model; `.param` names the place.
    """
    report = EncodingReport(target.on_unsupported)
    quirks, extra_body = quirks_of(target), request.extra_body or {}
    version = target.api_version or quirks.body_version or VERSION
    system, turns = encode_messages(messages_of(request), report)
    thinking, effort = encode_thinking(request.reasoning_effort, request.thinking, target.model, report)
    path = (quirks.stream_path if target.stream else None) or target.path or PATH
    body: JsonObject = {"model": target.model, "messages": turns}
    if MODEL_IN_PATH in path:
        del body["model"]
        path = path.replace(MODEL_IN_PATH, path_segment(target.model))
    fields: JsonObject = {
        "max_tokens": _max_tokens(request, thinking, extra_body, report),
        "system": system,
        "thinking": None if thinking is None else dict(thinking),
        "output_config": _output_config(request.response_format, effort, report),
        "stop_sequences": _stop_sequences(request.stop, report),
        "metadata": None if request.user is None else {"user_id": request.user},
        "service_tier": _service_tier(request.service_tier, report),
        "stream": True if target.stream else None,
        "anthropic_version": None if quirks.body_version is None else version,
        **_sampling(request, version, report),
        **_tools(request, extra_body, report),
    }
    body.update((name, value) for name, value in fields.items() if value is not None)
    refuse_stream_options(request, "Anthropic", report)
    body.update(extra_body)
    return HttpRequest(
        target.base_url + path,
        body,
        headers={"anthropic-version": version} if quirks.body_version is None else {},
        warnings=report.warnings,
    )


def _max_tokens(
    request: ChatRequest, thinking: Thinking | None, extra_body: Mapping[str, Any], report: EncodingReport
) -> int | None:
    requested = token_limit(request, report)
    budget = thinking_budget(extra_body.get("thinking", thinking))
    limit = extra_body.get("max_tokens", requested)
    if limit is None and "max_tokens" not in extra_body:
        default = DEFAULT_MAX_TOKENS + budget
        report.warn(f"max_tokens defaulted to {default}: Anthropic requires it")
        return default
    # Only a budget that this package chose is checked: for a budget of the caller's, Anthropic may allow more than
    # max_tokens (interleaved thinking).
    is_chosen_here = request.thinking is None and "thinking" not in extra_body
    if is_chosen_here and isinstance(limit, int) and 0 < budget >= limit:
        raise InvalidRequestError(
            f"reasoning_effort: {request.reasoning_effort!r} thinks for up to {budget} tokens, which must be fewer "
            f"than max_tokens, {limit}; raise max_tokens or lower the effort",
            param="reasoning_effort",
        )
    return requested


def _stop_sequences(stop: str | Sequence[str] | None, report: EncodingReport) -> list[str] | None:
    stops = [stop] if isinstance(stop, str) else list(stop or ())
    if all(text.strip() for text in stops):
        return stops or None
    report.unsupported("stop", "Anthropic refuses stop sequences of white space only")
    return None


def _sampling(request: ChatRequest, version: str, report: EncodingReport) -> JsonObject:
    sampling = {"temperature": request.temperature, "top_p": request.top_p}
    # Only the date is compared: clouds that host Anthropic put their own name before it.
    if version[-10:] < _WITHOUT_SAMPLING:
        return sampling
    for name, value in sampling.items():
        if value is not None:
            report.unsupported(name, f"Anthropic's API has no sampling parameters since version {_WITHOUT_SAMPLING}")
    return {}


def _output_config(
    response_format: Mapping[str, Any] | None, effort: str | None, report: EncodingReport
) -> JsonObject | None:
    config: JsonObject = {} if effort is None else {"effort": effort}
    kind = None if response_format is None else response_format.get("type")
    if response_format is not None and kind == "json_schema":
        schema = cast("Mapping[str, Any]", response_format.get("json_schema") or {}).get("schema")
        if schema is None:
            place = "response_format.json_schema.schema"
            raise InvalidRequestError(f"{place}: is missing", param=place)
        config["format"] = {"type": "json_schema", "schema": schema}
    elif kind == "json_object":
        report.unsupported("response_format", "Anthropic has no JSON mode without a schema; use json_schema")
    elif kind not in (None, "text"):
        report.unsupported("response_format", "Anthropic knows json_schema only")
    return config or None


def _service_tier(tier: str | None, report: EncodingReport) -> str | None:
    if tier is not None and tier not in SERVICE_TIERS:
        report.unsupported("service_tier", f"expected one of {', '.join(SERVICE_TIERS)}")
    return None if tier is None else SERVICE_TIERS.get(tier)


# --- tools -----------------------------------------------------------------------------------------------------------


def _tools(request: ChatRequest, extra_body: Mapping[str, Any], report: EncodingReport) -> JsonObject:
    tools = [_tool(tool, f"tools[{i}]", report) for i, tool in enumerate(cast("Sequence[Tool]", request.tools or ()))]
    tools += [_function(function, {}) for function in cast("Sequence[FunctionDefinition]", request.functions or ())]
    sent = [tool for tool in tools if tool is not None]
    choice = _tool_choice(request, report)
    if not sent and "tools" not in extra_body and choice in (None, {"type": "auto"}, {"type": "none"}):
        return {}  # Anthropic refuses a choice without tools
    if one_at_a_time(request) and (choice is None or choice.get("type") != "none"):
        choice = {"type": "auto"} | (choice or {}) | {"disable_parallel_tool_use": True}
    return {"tools": sent or None, "tool_choice": choice}


def one_at_a_time(request: ChatRequest) -> bool:
    """Whether a reply may contain at most one call: requested, or because the legacy form has a place for one."""
    return request.parallel_tool_calls is False or uses_legacy_functions(request)


def _tool(tool: Tool, path: str, report: EncodingReport) -> JsonObject | None:
    if isinstance(tool, FunctionTool):
        return _function(tool.function, tool.extra)
    if tool.type == "custom" and "custom" in tool.extra:
        report.unsupported(path, "Anthropic has no custom (grammar) tools; use a function")
        return None
    native: JsonObject = json.to_wire(tool)
    return native


def _function(function: FunctionDefinition, extra: JsonObject) -> JsonObject:
    schema = {"type": "object"} | dict(function.parameters or {"properties": {}})
    tool: JsonObject = {"name": function.name, "input_schema": schema}
    if function.description is not None:
        tool["description"] = function.description
    if function.strict:
        tool["strict"] = True
    return tool | without_nulls(function.extra) | without_nulls(extra)


_CHOICES: Mapping[str, str] = {"none": "none", "auto": "auto", "required": "any"}
"""OpenAI's tool choice → Anthropic's type."""
_NATIVE_CHOICES = ("none", "auto", "any", "tool")


def _tool_choice(request: ChatRequest, report: EncodingReport) -> JsonObject | None:
    legacy = request.function_call
    if request.tool_choice is not None:
        if legacy is not None:
            report.warn("function_call left out: tool_choice was given too, and wins")
        return _choice(request.tool_choice, report)
    match legacy:
        case None:
            return None
        case str():
            return {"type": _CHOICES.get(legacy, legacy)}
        case Mapping():
            return {"type": "tool", "name": legacy.get("name")}
        case _:
            assert_never(legacy)


def _choice(choice: str | Mapping[str, Any], report: EncodingReport) -> JsonObject | None:
    if isinstance(choice, str):
        return {"type": _CHOICES.get(choice, choice)}
    kind = choice.get("type", "function")
    if kind == "function":
        return {"type": "tool", "name": choice["function"]["name"]}
    if kind in _NATIVE_CHOICES:
        return dict(choice)
    report.unsupported("tool_choice", f"Anthropic cannot choose {kind}")
    return None
