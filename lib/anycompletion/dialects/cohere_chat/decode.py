"""Cohere's reply as a chat completion. A field of an unexpected type costs no other field.

https://docs.cohere.com/reference/chat
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import cast

from ...codecs import json
from ...codecs.lenient import (
    NotJSONError,
    ShapeError,
    as_list,
    as_object,
    as_optional_object,
    as_str,
    optional_float,
    optional_int,
    optional_object,
    optional_objects,
    optional_str,
    unknown_fields,
)
from ...http import HttpResponse
from ...records import (
    Annotation,
    ChatCompletion,
    ChatCompletionMessage,
    ChatRequest,
    Choice,
    CompletionTokensDetails,
    FunctionCall,
    JsonObject,
    PromptTokensDetails,
    ToolCall,
    Usage,
)
from ...records.logprobs import Logprobs, TokenLogprob
from ..base import Target
from ..shared import unreadable_reply, uses_legacy_functions, without_nulls
from .cohere_messages import NATIVE
from .errors import REQUEST_ID, error_of_reply

_FINISH: Mapping[str, str] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "ERROR_LIMIT": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR_TOXIC": "content_filter",
}
"""Cohere's finish reason → OpenAI's."""
TEXT_FIELDS = ("text", "thinking")
"""Fields of content parts that are texts; each is the part's type as well."""
_REPLY = frozenset({"id", "message", "finish_reason", "usage", "logprobs"})
MESSAGE_FIELDS = frozenset({"role", "content", "tool_calls", "tool_plan", "citations"})
CALL_FIELDS = frozenset({"id", "type", "function"})
_FUNCTION = frozenset({"name", "arguments"})
_USAGE = frozenset({"tokens", "cached_tokens"})
_TOKENS = ("input_tokens", "output_tokens", "reasoning_tokens", "image_tokens")


def decode(response: HttpResponse, request: ChatRequest, target: Target) -> ChatCompletion:
    """The completion in a response with a good status.

    Raises:
        APIStatusError: the generation failed.
        APIResponseError: the body does not have the format's shape.
    """
    problem = ""
    try:
        body = json.loads(response.body)
        failure = error_of_reply(body, response.body, response.headers)
        if failure is None:
            return _completion(as_object(body, "body"), uses_legacy_functions(request), target.model)
    except (ShapeError, NotJSONError) as exc:
        problem, failure = str(exc), None
    # Raised here, so that the error's context and traceback do not hold the reply.
    raise failure or unreadable_reply(f"Cohere's reply cannot be read: {problem}", response, REQUEST_ID)


def _completion(data: JsonObject, legacy: bool, model: str) -> ChatCompletion:
    message = read_message(as_object(data.get("message"), "message"), legacy)
    reason = optional_str(data.get("finish_reason"))
    choice = Choice(0, message, finish_reason(reason, legacy), read_logprobs(data.get("logprobs")), reason)
    completion = ChatCompletion(
        optional_str(data.get("id")) or "",
        [choice],
        model,
        usage=read_usage(data.get("usage")),
        extra=without_nulls(unknown_fields(data, _REPLY)),
    )
    completion.raw = data
    return completion


def finish_reason(reason: str | None, legacy: bool) -> str | None:
    """OpenAI's finish reason for Cohere's; an unknown one passes unchanged."""
    if reason is None:
        return None
    found = _FINISH.get(reason.upper(), reason)
    return "function_call" if legacy and found == "tool_calls" else found


# --- the message -----------------------------------------------------------------------------------------------------


def read_message(source: JsonObject, legacy: bool) -> ChatCompletionMessage:
    """The message in OpenAI's fields, with what they cannot express in `provider_specific_fields`.

    Raises:
        ShapeError: the tool calls cannot be read.
    """
    content = source.get("content")
    items = [{"text": content}] if isinstance(content, str) else content_items(content, "message.content")
    parts = [_part(item) for item in items]
    native_calls = as_list(source.get("tool_calls"), "message.tool_calls")
    calls = [_tool_call(item, f"message.tool_calls[{i}]") for i, item in enumerate(native_calls)]
    citations = optional_objects(source.get("citations")) or []
    texts: list[str] = []
    thoughts: list[str] = []
    starts: list[int] = []
    length = 0
    for part in parts:
        starts.append(length)
        match part["type"]:
            case "text":
                texts.append(part["text"])
                length += len(texts[-1])
            case "thinking":
                thoughts.append(part["thinking"])
            case _:
                pass  # only the native part can express it
    return ChatCompletionMessage(
        "".join(texts) or None,
        tool_calls=None if legacy else calls or None,
        function_call=calls[0].function if legacy and calls else None,
        annotations=[annotation(citation, starts) for citation in citations] or None,
        reasoning_content="".join(thoughts) or None,
        provider_specific_fields=native_fields(
            parts,
            as_str(source.get("tool_plan")),
            citations,
            native_calls if legacy else [],
        ),
        extra=without_nulls(unknown_fields(source, MESSAGE_FIELDS)),
    )


def content_items(content: object, path: str) -> list[JsonObject]:
    """The objects of a content; a text in place of one is an object with the field `text`.

    Raises:
        ShapeError: it is neither objects nor text.
    """
    if content is None:
        return []
    if isinstance(content, list):
        items = enumerate(cast("list[object]", content))
        return [found for i, item in items for found in content_items(item, f"{path}[{i}]")]
    found = optional_object(content)
    if found is None and isinstance(content, str):
        return [{"text": content}]
    return [as_object(content, path)]


def _part(item: JsonObject) -> JsonObject:
    """A content part as it is sent back: its text as text, and a type that can be read."""
    kind = part_type(item) or "text"
    part = {**without_nulls(item), "type": kind}
    if kind in TEXT_FIELDS:
        part[kind] = as_str(item.get(kind))
    return part


def part_type(item: JsonObject) -> str | None:
    """The type of a content part, which follows from its fields where it cannot be read; None if it does not."""
    kind: object = item.get("type")
    if isinstance(kind, str) and kind:
        return kind
    if item.get("text") is not None:
        return "text"
    return None if item.get("thinking") is None else "thinking"


def _tool_call(value: object, path: str) -> ToolCall:
    call = as_object(value, path)
    function = as_optional_object(call.get("function"), f"{path}.function") or {}
    return ToolCall(
        optional_str(call.get("id")) or "",
        FunctionCall(
            as_str(function.get("name")),
            as_str(function.get("arguments")) or "{}",
            extra=without_nulls(unknown_fields(function, _FUNCTION)),
        ),
        extra=without_nulls(unknown_fields(call, CALL_FIELDS)),
    )


def native_fields(
    parts: list[JsonObject], tool_plan: str, citations: list[JsonObject], legacy_calls: Sequence[object]
) -> JsonObject | None:
    """What OpenAI's fields cannot express, in the form that is sent back; None where they express everything."""
    is_plain_text = len(parts) < 2 and all(part.keys() == {"type", "text"} for part in parts)
    fields: JsonObject = {
        "tool_plan": tool_plan,
        "citations": citations,
        "content": [] if is_plain_text else parts,
        "tool_calls": legacy_calls if len(legacy_calls) > 1 else [],
    }
    native = {name: value for name, value in fields.items() if value}
    return {NATIVE: native} if native else None


def annotation(citation: JsonObject, starts: Sequence[int]) -> Annotation:
    """A citation as an annotation, with its place in the content; `starts` are the offsets of Cohere's parts there.

    Cohere counts from the start of a part. Citations of thinking and of a tool plan have no place in the content.
    """
    place: JsonObject = {}
    start, end, index = (optional_int(citation.get(name)) for name in ("start", "end", "content_index"))
    kind: object = citation.get("type")
    if (kind == "TEXT_CONTENT" or not isinstance(kind, str)) and start is not None and end is not None:
        offset = starts[index] if index is not None and 0 <= index < len(starts) else 0
        place = {"content_start_index": offset + start, "content_end_index": offset + end}
    return Annotation("citation", extra={**place, "citation": citation})


# --- counts ----------------------------------------------------------------------------------------------------------


def read_usage(value: object) -> Usage | None:
    """Token counts of the model's input and output.

    The billed counts differ (they exclude Cohere's own preamble) and are in `extra`.
    """
    usage = optional_object(value)
    if not usage:
        return None
    tokens = optional_object(usage.get("tokens")) or {}
    prompt, completion, reasoning, images = (optional_int(tokens.get(name)) for name in _TOKENS)
    cached = optional_int(usage.get("cached_tokens"))
    extra = without_nulls(unknown_fields(usage, _USAGE))
    others = without_nulls(unknown_fields(tokens, frozenset(_TOKENS)))
    if others:
        extra["tokens"] = others
    return Usage(
        prompt,
        completion,
        None if prompt is None or completion is None else prompt + completion,
        None if cached is None and images is None else PromptTokensDetails(cached, image_tokens=images),
        None if reasoning is None else CompletionTokensDetails(reasoning),
        extra=extra,
    )


def read_logprobs(value: object) -> Logprobs | None:
    """Log probabilities of pieces of text; NaN where a number is missing or cannot be read.

    A piece can consist of several tokens whose own texts Cohere does not return: its log probability is the sum of
    theirs, which stay in `extra` with their ids.
    """
    pieces = [_logprob(item) for item in optional_objects(value) or ()]
    return Logprobs(pieces) if pieces else None


def _logprob(item: JsonObject) -> TokenLogprob:
    native: object = item.get("logprobs")
    values = [
        optional_float(number) for number in cast("list[object]", native if isinstance(native, list) else [native])
    ]
    total = sum(math.nan if number is None else number for number in values) if values else math.nan
    extra = {name: field for name, field in item.items() if name != "text" and field is not None}
    return TokenLogprob(as_str(item.get("text")), total, extra=extra)
