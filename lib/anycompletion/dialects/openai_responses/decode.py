"""A response as a chat completion, or as the next request while it runs in the background. No value is guessed.

https://platform.openai.com/docs/api-reference/responses/object
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import msgspec

from ...codecs import json
from ...codecs.lenient import NotJSONError, ShapeError, as_object, optional_float, optional_object, optional_str
from ...codecs.lenient import unknown_fields as fields_without
from ...errors import APIError, APIStatusError, printable_id
from ...http import HttpResponse
from ...records import ChatCompletion, ChatCompletionMessage, ChatRequest, Choice, JsonObject, Usage
from ..base import Continuation, Target
from ..error_body import holds_error
from ..openai_errors import error_from_body
from ..shared import set_cost, unreadable_reply, without_nulls
from .native_items import native_fields
from .output_items import OpenAIOfferedTools, OpenAIOutputReader, offered_tools, read_items
from .responses_urls import age_of, poll
from .text_responses import OpenAITextResponse, text_response, text_response_decoder

REQUEST_ID = "x-request-id"
"""The header with the request's id."""

CANCELLED = "the response was cancelled"

_RUNNING = ("queued", "in_progress")
_INCOMPLETE: Mapping[str, str] = {"max_output_tokens": "length", "content_filter": "content_filter"}
"""Reason of an incomplete response → finish reason; stop for all others."""

_READ = frozenset(
    ("id", "object", "created_at", "status", "error", "incomplete_details", "model", "output", "usage", "service_tier")
)
_ECHOED = frozenset(
    (
        *("background", "frequency_penalty", "instructions", "max_output_tokens", "max_tool_calls", "metadata"),
        *("parallel_tool_calls", "presence_penalty", "previous_response_id", "prompt", "prompt_cache_key"),
        *("prompt_cache_options", "prompt_cache_retention", "reasoning", "safety_identifier", "store", "temperature"),
        *("text", "tool_choice", "tools", "top_logprobs", "top_p", "truncation", "user"),
        *("completed_at", "output_text"),
    )
)
"""Fields that repeat the request, or other fields of the response."""


def decode(response: HttpResponse, request: ChatRequest, target: Target) -> ChatCompletion | Continuation:
    """The completion in a response with a good status, or the request for its state while it runs in the background.

    Raises:
        APIStatusError: the response failed.
        APIResponseError: the body is no response, or one that was cancelled.
    """
    plain = text_response(response.body, _text_decoder())
    if plain is not None:
        return _text_completion(plain, response.body)
    failed: APIError | None = None
    problem = ""
    try:
        data = json.loads(response.body)
        if not _is_complete(data) and holds_error(data):
            failed = failure(data, response)
        else:
            source = as_object(data, "body")
            if source.get("status") != "cancelled":
                return _result(source, request, target, response)
            failed = unreadable_reply(CANCELLED, response, REQUEST_ID)
    except (ShapeError, NotJSONError) as exc:
        problem = str(exc)
    # Raised here, so that the error's context and traceback do not hold the reply.
    raise failed or unreadable_reply(f"the response cannot be read: {problem}", response, REQUEST_ID)


@functools.cache
def _text_decoder() -> msgspec.json.Decoder[OpenAITextResponse]:
    return text_response_decoder(_ECHOED)


def _text_completion(response: OpenAITextResponse, body: bytes) -> ChatCompletion:
    completion = ChatCompletion(
        response.id,
        [Choice(0, ChatCompletionMessage(response.answer), "stop", None, "completed")],
        response.model,
        response.created_at,
        usage=None if not response.usage else read_usage({"usage": response.usage}),
        service_tier=response.service_tier,
        extra={} if response.billing is None else {"billing": response.billing},
    )
    completion.keep_raw_json(body)
    return completion


def _is_complete(data: Any) -> bool:
    """Whether a body is a whole response, as nearly always, and so no error."""
    if data.__class__ is not dict:
        return False
    return data.get("status") == "completed" and data.get("error") is None and bool(data.get("output"))


def failure(data: object, response: HttpResponse | None, body_text: str | None = None) -> APIStatusError:
    """The exception for a response that failed, or for an error in its place."""
    source = optional_object(data) or {}
    reported: object = source.get("error")
    if source.get("object") == "response" or "output" in source:
        # The fields around the error are those of the response: its id is not the request's.
        canonical = {name: source[name] for name in ("error_type",) if name in source}
        data = {"error": reported or {"message": "the response failed", "code": "server_error"}, **canonical}
    exc = error_from_body(data, response, body_text=body_text)
    exc.maybe_billed = True
    return exc


def _result(
    data: JsonObject, request: ChatRequest, target: Target, response: HttpResponse
) -> ChatCompletion | Continuation:
    status = optional_str(data.get("status"))
    if status == "failed":
        raise failure(data, response)
    if status in _RUNNING:
        response_id = optional_str(data.get("id")) or ""
        age = age_of(optional_float(data.get("created_at")), response.headers)
        echoed: object = data.get("background")
        in_background = (request.extra_body or {}).get("background") if echoed is None else echoed
        following = poll(response_id, target, age) if in_background is True else None
        if following is None:
            text = f"the response {printable_id(response_id) or 'without an id'} has not ended: its status is {status}"
            raise unreadable_reply(text, response, REQUEST_ID)
        return following
    if data.get("output") is None and status is None:
        raise ShapeError("output", "an array", None)
    return read_response(data, offered_tools(request), target)


def read_response(data: JsonObject, offered: OpenAIOfferedTools, target: Target) -> ChatCompletion:
    """A response that has ended as a completion.

    Raises:
        ShapeError: its output cannot be read.
    """
    offered = offered.with_echo(data)
    items, reader = read_items(data.get("output")), OpenAIOutputReader(offered)
    message = reader.message(items)
    message.provider_specific_fields = native_fields(items, message, target, offered, stored=is_stored(data))
    reason, native_reason = finish_reason(data, offered, has_calls=bool(reader.calls))
    completion = ChatCompletion(
        optional_str(data.get("id")) or "",
        [Choice(0, message, reason, reader.logprobs, native_reason)],
        optional_str(data.get("model")) or target.model,
        created_at(data),
        usage=read_usage(data),
        service_tier=optional_str(data.get("service_tier")),
        extra=extra_fields(data),
    )
    completion.raw = data
    return completion


def is_stored(data: JsonObject) -> bool:
    """Whether the server keeps the response, so that its items can be referred to."""
    return data.get("store") is True


def created_at(data: JsonObject) -> int:
    """The time of the response in Unix seconds; 0 if it is unknown."""
    return int(optional_float(data.get("created_at")) or 0)


def extra_fields(data: JsonObject) -> JsonObject:
    """Fields of a response that neither are read nor repeat the request."""
    return without_nulls(fields_without(data, _READ | _ECHOED))


def finish_reason(data: JsonObject, offered: OpenAIOfferedTools, *, has_calls: bool) -> tuple[str, str]:
    """The finish reason of a response that has ended, and the server's own."""
    details = optional_object(data.get("incomplete_details")) or {}
    reason = optional_str(details.get("reason"))
    if reason is not None or data.get("status") == "incomplete":
        return _INCOMPLETE.get(reason or "", "stop"), reason or "incomplete"
    if has_calls:
        return "function_call" if offered.legacy else "tool_calls", "completed"
    return "stop", "completed"


def read_usage(data: JsonObject) -> Usage | None:
    """The token counts; reasoning is part of the completion's."""
    found = optional_object(data.get("usage"))
    if not found:
        return None
    usage = Usage.from_dict(found)
    usage.extra = without_nulls(usage.extra)
    set_cost(usage)
    return usage
