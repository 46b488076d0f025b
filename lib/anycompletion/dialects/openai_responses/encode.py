"""A chat request as the HTTP request for a response. Sends nothing.

https://platform.openai.com/docs/api-reference/responses/create
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, cast

from ...errors import InvalidRequestError
from ...http import HttpRequest
from ...records import ChatRequest, JsonObject
from ..base import EncodingReport, FetchedValues, Target
from ..shared import messages_of, token_limit, without_nulls
from .message_items import encode_input
from .output_items import offered_tools
from .responses_quirks import OpenAIResponsesQuirks
from .responses_tools import encode_tool_choice, encode_tools
from .responses_urls import quirks_of, responses_url

_SAME = frozenset(
    (
        *("temperature", "top_p", "parallel_tool_calls", "metadata", "user", "safety_identifier", "service_tier"),
        *("prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "moderation", "store", "seed"),
    )
)
"""Parameters that are sent as they are."""

_STATEFUL = ("background", "previous_response_id", "conversation")
"""Fields of `extra_body` that need stored responses."""

_REASONING_MODEL = r"(^|[/.])(o\d|gpt-[5-9])(?!.*chat)"
"""Names of OpenAI's reasoning models, maybe after the vendor's; those for ChatGPT do not reason."""

_LOGPROBS, _ENCRYPTED = "message.output_text.logprobs", "reasoning.encrypted_content"


def encode(request: ChatRequest, target: Target, fetched: FetchedValues) -> HttpRequest:
    """The HTTP request for a validated `request`, whose messages and tools are records.

    Raises:
        InvalidRequestError: the format cannot express the request; `.param` names the place.
    """
    report, quirks = EncodingReport(target.on_unsupported), quirks_of(target)
    extra_body = request.extra_body or {}
    given = request.given()
    body: JsonObject = {
        "model": target.model,
        "input": encode_input(
            messages_of(request), target, quirks, report, reasons=_may_reason(request, target, quirks)
        ),
    }
    for name, value in given.items():
        if name in _SAME:
            body[name] = value
    if not _SAME.issuperset(given):
        body |= without_nulls(_mapped(request, quirks, report))
    if target.stream:
        body["stream"] = True
    if quirks.store and request.store is None and not any(map(extra_body.get, _STATEFUL)):
        body["store"] = False
    if include := _include(request, target.model, quirks, extra_body):
        body["include"] = include
    if extra_body:
        _merge(body, extra_body)
    return HttpRequest(responses_url(target), body, warnings=report.warnings)


def _mapped(request: ChatRequest, quirks: OpenAIResponsesQuirks, report: EncodingReport) -> JsonObject:
    """Fields for the parameters that have another name or form; None for those that were not given."""
    effort = request.reasoning_effort
    return {
        "max_output_tokens": token_limit(request, report),
        "tools": encode_tools(request, quirks, report) or None,
        "tool_choice": encode_tool_choice(request, report),
        # The legacy form has a place for one call.
        "parallel_tool_calls": False if request.parallel_tool_calls is None and offered_tools(request).legacy else None,
        "text": _text(request),
        "reasoning": None if effort is None else {"effort": effort},
        # 0 asks for nothing.
        "top_logprobs": request.top_logprobs or None,
        "logprobs": True if quirks.logprobs_flag and _wants_logprobs(request) else None,
        "stream_options": _stream_options(request),
    }


def _stream_options(request: ChatRequest) -> JsonObject | None:
    """The options of the stream; usage is always part of it."""
    options = {name: value for name, value in (request.stream_options or {}).items() if name != "include_usage"}
    return options or None


def _text(request: ChatRequest) -> JsonObject | None:
    text: JsonObject = {} if request.verbosity is None else {"verbosity": request.verbosity}
    wanted = request.response_format
    kind = None if wanted is None else wanted.get("type")
    if wanted is not None and kind == "json_schema":
        named = cast("Mapping[str, Any]", wanted.get("json_schema") or {})
        if "name" not in named:
            place = "response_format.json_schema.name"
            raise InvalidRequestError(f"{place}: is missing", param=place)
        text["format"] = {"type": kind, **without_nulls(dict(named)), "strict": bool(named.get("strict"))}
    elif wanted is not None and kind != "text":  # text asks for nothing
        text["format"] = dict(wanted)
    return text or None


def _wants_logprobs(request: ChatRequest) -> bool:
    return bool(request.logprobs or request.top_logprobs)


def _include(
    request: ChatRequest, model: str, quirks: OpenAIResponsesQuirks, extra_body: Mapping[str, Any]
) -> list[str]:
    """What is asked for besides the output: log probabilities, and reasoning in a form that can be sent back."""
    found = [_LOGPROBS] if _wants_logprobs(request) else []
    # A poll cannot ask for it.
    if not extra_body.get("background") and _has_encrypted_reasoning(request, model, quirks):
        found.append(_ENCRYPTED)
    return found


def _has_encrypted_reasoning(request: ChatRequest, model: str, quirks: OpenAIResponsesQuirks) -> bool:
    if quirks.encrypted_reasoning is not None:
        return quirks.encrypted_reasoning
    if request.reasoning_effort is not None:
        return request.reasoning_effort != "none"
    return _is_reasoning_model(model)


def _may_reason(request: ChatRequest, target: Target, quirks: OpenAIResponsesQuirks) -> bool:
    """Whether the model may reason. Where names say nothing of it, as those of Azure's deployments, it may."""
    if quirks.encrypted_reasoning is not None or quirks.azure_urls:
        return True
    return _has_encrypted_reasoning(request, target.model, quirks) or _is_reasoning_model(target.model)


@functools.lru_cache(256)
def _is_reasoning_model(model: str) -> bool:
    return re.search(_REASONING_MODEL, model) is not None


def _merge(body: JsonObject, extra_body: Mapping[str, Any]) -> None:
    """Adds the caller's own fields: `reasoning` and `text` field by field, `include` as a union; all others replace."""
    for name, value in extra_body.items():
        old: object = body.get(name)
        if name in ("reasoning", "text") and isinstance(value, Mapping) and isinstance(old, dict):
            body[name] = {**cast("JsonObject", old), **cast("Mapping[str, Any]", value)}
        elif name == "include" and isinstance(value, (list, tuple)) and isinstance(old, list):
            body[name] = list(dict.fromkeys([*cast("list[Any]", old), *cast("list[Any]", value)]))
        else:
            body[name] = value
