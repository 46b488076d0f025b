"""A chat request as an HTTP request of Bedrock's Converse or ConverseStream. Sends nothing.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from ...codecs import json
from ...errors import InvalidRequestError
from ...http import HttpRequest
from ...records import ChatRequest, JsonObject
from ..base import EncodingReport, FetchedValues, Target
from ..claude_thinking import thinking_budget
from ..shared import messages_of, path_segment, refuse_stream_options, token_limit
from .bedrock_models import model_family
from .converse_messages import BedrockMessages
from .converse_reasoning import is_thinking, reasoning_fields
from .converse_tools import one_call_fields, tool_config

PATH = "/model"
"""The model's id, as one segment, and the operation follow."""

_STREAM = {"Accept": "application/vnd.amazon.eventstream"}

_MERGED = ("inferenceConfig", "toolConfig", "additionalModelRequestFields")
"""Objects of the body that `extra_body` adds fields to; it replaces all others."""

_PROMPT = ":prompt/"
"""Part of the ARN of a managed prompt."""
_MAX_METADATA = 16
_METADATA = r"[a-zA-Z0-9\s:_@$#=/+,.\-]{0,256}"


def encode(request: ChatRequest, target: Target, fetched: FetchedValues) -> HttpRequest:
    """The HTTP request for a validated `request`, whose messages and tools are records.

    Raises:
        InvalidRequestError: the format cannot express the request; `.param` names the place.
    """
    report = EncodingReport(target.on_unsupported)
    family = model_family(target.model)
    conversation = BedrockMessages(family, report)
    body: JsonObject = {"messages": conversation.add_all(messages_of(request))}
    reasoning = reasoning_fields(request, family, target.model, report)
    tools = tool_config(request, family, report, in_history=conversation.has_calls, thinking=is_thinking(reasoning))
    fields: JsonObject = {
        "system": conversation.system,
        "inferenceConfig": _inference_config(request, report),
        "toolConfig": tools,
        "additionalModelRequestFields": reasoning | one_call_fields(request, family, tools, report),
        "outputConfig": _output_config(request.response_format, report),
        "serviceTier": None if request.service_tier in (None, "auto") else {"type": request.service_tier},
        "requestMetadata": _metadata(request.metadata, report),
    }
    for name, value in fields.items():
        if value:
            body[name] = value
    if request.stream_options:
        refuse_stream_options(request, "Bedrock", report)
    if request.extra_body:
        _merge(body, request.extra_body)
    _check_messages(body, target.model)
    _check_tools(body, conversation, target.model)
    _check_budget(body, request)
    operation = "converse-stream" if target.stream else "converse"
    path = target.path or f"{PATH}/{path_segment(target.model, safe='')}/{operation}"
    return HttpRequest(target.base_url + path, body, headers=_STREAM if target.stream else {}, warnings=report.warnings)


def _inference_config(request: ChatRequest, report: EncodingReport) -> JsonObject:
    config: JsonObject = {}
    limit, stop = token_limit(request, report), request.stop
    if limit is not None:
        config["maxTokens"] = limit
    if request.temperature is not None:
        config["temperature"] = request.temperature
    if request.top_p is not None:
        config["topP"] = request.top_p
    if stop:
        config["stopSequences"] = [stop] if isinstance(stop, str) else list(stop)
    return config


def _output_config(response_format: Mapping[str, Any] | None, report: EncodingReport) -> JsonObject | None:
    kind = None if response_format is None else response_format.get("type")
    if response_format is None or kind == "text":
        return None
    if kind != "json_schema":
        hint = "Bedrock has no JSON mode without a schema; use json_schema" if kind == "json_object" else ""
        report.unsupported("response_format", hint or "Bedrock knows json_schema only")
        return None
    given = cast("Mapping[str, Any]", response_format.get("json_schema") or {})
    schema: JsonObject = {"schema": json.dumps(given.get("schema")).decode()}
    schema |= {name: given[name] for name in ("name", "description") if given.get(name)}
    return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}}


def _metadata(metadata: Mapping[str, str] | None, report: EncodingReport) -> JsonObject | None:
    if not metadata:
        return None
    texts = [*metadata, *metadata.values()]
    if len(metadata) > _MAX_METADATA:
        report.unsupported("metadata", f"Bedrock takes at most {_MAX_METADATA} items")
    elif not all(re.fullmatch(_METADATA, text) for text in texts):
        report.unsupported("metadata", "Bedrock takes texts of 256 letters, digits, spaces and :_@$#=/+,-. at most")
    else:
        return dict(metadata)
    return None


def _merge(body: JsonObject, extra_body: Mapping[str, Any]) -> None:
    """Merges `extra_body` in: one level deep into `_MERGED`, where tools are added to the others."""
    for name, value in extra_body.items():
        own: Any = body.get(name)
        if name not in _MERGED or not (isinstance(own, dict) and isinstance(value, Mapping)):
            body[name] = value
            continue
        merged = {**cast("JsonObject", own), **cast("Mapping[str, Any]", value)}
        if name == "toolConfig" and isinstance(merged.get("tools"), list) and "tools" in value:
            merged["tools"] = [*cast("JsonObject", own).get("tools", ()), *merged["tools"]]
        body[name] = merged


def _check_messages(body: JsonObject, model: str) -> None:
    """Raises where there is no message; a managed prompt has its own."""
    if body["messages"]:
        return
    if _PROMPT not in model:
        raise InvalidRequestError("messages: Bedrock needs one besides the system's", param="messages")
    del body["messages"]


def _check_tools(body: JsonObject, conversation: BedrockMessages, model: str) -> None:
    """Raises where the tools of earlier calls are missing; a managed prompt has its own."""
    if conversation.has_calls and "toolConfig" not in body and _PROMPT not in model:
        raise InvalidRequestError(
            "tools: Bedrock needs the tools of the calls in earlier messages; pass them again", param="tools"
        )


def _check_budget(body: JsonObject, request: ChatRequest) -> None:
    """Raises where the thinking budget that an effort stands for leaves no tokens of the limit."""
    if request.thinking is not None or request.reasoning_effort is None:
        return
    budget = thinking_budget(_field(body, "additionalModelRequestFields", "thinking"))
    limit = _field(body, "inferenceConfig", "maxTokens")
    if isinstance(limit, int) and 0 < budget >= limit:
        raise InvalidRequestError(
            f"reasoning_effort: {request.reasoning_effort!r} thinks for up to {budget} tokens, which must be fewer "
            f"than max_tokens, {limit}; raise max_tokens or lower the effort",
            param="reasoning_effort",
        )


def _field(body: JsonObject, outer: str, inner: str) -> object:
    """A field of an object in the body, which may be the caller's own; None if there is none."""
    found: object = body.get(outer)
    return cast("Mapping[str, object]", found).get(inner) if isinstance(found, Mapping) else None
