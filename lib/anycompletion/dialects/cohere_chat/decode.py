"""Cohere's reply as a chat completion: no value is guessed, and none is lost.

https://docs.cohere.com/reference/chat
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...codecs import json
from ...codecs.lenient import (
    NotJSONError,
    ShapeError,
    as_list,
    as_object,
    as_str,
    optional_float,
    optional_int,
    optional_object,
    optional_str,
    unknown_fields,
)
from ...http import HttpResponse
from ...records import (
    Annotation,
    AssistantMessage,
    ChatCompletion,
    ChatRequest,
    Choice,
    CompletionTokensDetails,
    FunctionCall,
    JsonObject,
    Logprobs,
    PromptTokensDetails,
    TokenLogprob,
    ToolCall,
    Usage,
)
from ..base import Target
from ..shared import as_text, unreadable_reply, uses_legacy_functions
from .cohere_messages import NATIVE
from .errors import FAILED, REQUEST_ID, error_from_body

_FINISH: Mapping[str, str] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR_TOXIC": "content_filter",
}
"""Cohere's finish reason → OpenAI's."""
_REPLY = frozenset({"id", "message", "finish_reason", "usage", "logprobs"})
_MESSAGE = frozenset({"role", "content", "tool_calls", "tool_plan", "citations"})
_CALL, _FUNCTION = frozenset({"id", "type", "function"}), frozenset({"name", "arguments"})
_USAGE = frozenset({"tokens", "cached_tokens"})
_TOKENS = frozenset({"input_tokens", "output_tokens", "reasoning_tokens", "image_tokens"})


def decode(response: HttpResponse, request: ChatRequest, target: Target) -> ChatCompletion:
    """The completion in a response with a good status.

    Raises:
        APIStatusError: the generation failed.
        APIResponseError: the body does not have the format's shape.
    """
    data: JsonObject = {}
    problem = ""
    try:
        data = as_object(json.loads(response.body), "body")
        reason = optional_str(data.get("finish_reason"))
        if reason not in FAILED and not isinstance(data.get("message"), str):
            return _completion(data, reason, uses_legacy_functions(request), target.model)
    except (ShapeError, NotJSONError) as exc:
        problem = str(exc)
    # Raised here, so that the error's context and traceback do not hold the reply.
    if problem:
        raise unreadable_reply(f"Cohere's reply cannot be read: {problem}", response, REQUEST_ID)
    raise error_from_body(data, None, response.headers, as_text(response.body))


def _completion(data: JsonObject, reason: str | None, legacy: bool, model: str) -> ChatCompletion:
    message = read_message(as_object(data.get("message"), "message"), legacy)
    logprobs = [as_object(item, f"logprobs[{i}]") for i, item in enumerate(as_list(data.get("logprobs"), "logprobs"))]
    choice = Choice(0, message, finish_reason(reason, legacy), read_logprobs(logprobs), reason)
    completion = ChatCompletion(
        as_str(data.get("id")),
        [choice],
        model,
        usage=read_usage(optional_object(data.get("usage"))),
        extra={name: value for name, value in unknown_fields(data, _REPLY).items() if value is not None},
    )
    completion.raw = data
    return completion


def finish_reason(reason: str | None, legacy: bool) -> str | None:
    """OpenAI's finish reason for Cohere's; an unknown one passes unchanged."""
    if reason is None:
        return None
    return "function_call" if legacy and reason == "TOOL_CALL" else _FINISH.get(reason, reason)


# --- the message -----------------------------------------------------------------------------------------------------


def read_message(source: JsonObject, legacy: bool) -> AssistantMessage:
    """The message in OpenAI's fields, with what they cannot express in `provider_specific_fields`."""
    content = source.get("content")
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    parts = [as_object(item, f"message.content[{i}]") for i, item in enumerate(as_list(content, "message.content"))]
    native_calls = as_list(source.get("tool_calls"), "message.tool_calls")
    calls = [_tool_call(item, f"message.tool_calls[{i}]") for i, item in enumerate(native_calls)]
    cited = as_list(source.get("citations"), "message.citations")
    citations = [as_object(item, f"message.citations[{i}]") for i, item in enumerate(cited)]
    texts: list[str] = []
    thoughts: list[str] = []
    starts: list[int] = []
    length = 0
    for part in parts:
        starts.append(length)
        match part.get("type"):
            case "text":
                texts.append(as_str(part.get("text")))
                length += len(texts[-1])
            case "thinking":
                thoughts.append(as_str(part.get("thinking")))
            case _:
                pass  # only the native part can express it
    return AssistantMessage(
        "".join(texts) or None,
        tool_calls=None if legacy else calls or None,
        function_call=calls[0].function if legacy and calls else None,
        annotations=[annotation(item, starts, f"message.citations[{i}]") for i, item in enumerate(citations)] or None,
        reasoning_content="".join(thoughts) or None,
        provider_specific_fields=native_fields(
            parts,
            optional_str(source.get("tool_plan")),
            citations,
            native_calls if legacy else [],
        ),
        extra={name: value for name, value in unknown_fields(source, _MESSAGE).items() if value is not None},
    )


def _tool_call(value: object, path: str) -> ToolCall:
    call = as_object(value, path)
    function = optional_object(call.get("function")) or {}
    return ToolCall(
        as_str(call.get("id")),
        FunctionCall(
            as_str(function.get("name")),
            optional_str(function.get("arguments")) or "{}",
            extra=unknown_fields(function, _FUNCTION),
        ),
        extra=unknown_fields(call, _CALL),
    )


def native_fields(
    parts: list[JsonObject], tool_plan: str | None, citations: list[JsonObject], legacy_calls: Sequence[object]
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


def annotation(citation: JsonObject, starts: Sequence[int], path: str) -> Annotation:
    """A citation as an annotation, with its place in the content; `starts` are the offsets of Cohere's parts there.

    Cohere counts from the start of a part. Citations of thinking and of a tool plan have no place in the content.
    """
    place: JsonObject = {}
    start, end = (
        optional_int(citation.get("start")),
        optional_int(citation.get("end")),
    )
    index = optional_int(citation.get("content_index"))
    if citation.get("type") in (None, "TEXT_CONTENT") and start is not None and end is not None:
        offset = starts[index] if index is not None and 0 <= index < len(starts) else 0
        place = {"content_start_index": offset + start, "content_end_index": offset + end}
    return Annotation("citation", extra={**place, "citation": citation})


# --- counts ----------------------------------------------------------------------------------------------------------


def read_usage(usage: JsonObject | None) -> Usage | None:
    """Token counts of the model's input and output.

    The billed counts differ (they exclude Cohere's own preamble) and are in `extra`.
    """
    if not usage:
        return None
    tokens = optional_object(usage.get("tokens")) or {}
    prompt = _count(tokens, "input_tokens", "usage.tokens")
    completion = _count(tokens, "output_tokens", "usage.tokens")
    cached, images = _count(usage, "cached_tokens", "usage"), _count(tokens, "image_tokens", "usage.tokens")
    reasoning = _count(tokens, "reasoning_tokens", "usage.tokens")
    extra = {name: value for name, value in unknown_fields(usage, _USAGE).items() if value is not None}
    others = {name: value for name, value in tokens.items() if name not in _TOKENS or not _is_count(value)}
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


def _count(source: JsonObject, name: str, path: str) -> int | None:
    """A token count. Cohere's counts are floats by its schema; one with a fraction is not a count, so it is None."""
    number = optional_float(source.get(name))
    return int(number) if number is not None and number.is_integer() else None


def _is_count(value: float | None) -> bool:
    return value is None or float(value).is_integer()


def read_logprobs(items: Sequence[JsonObject]) -> Logprobs | None:
    """Log probabilities of pieces of text.

    A piece can consist of several tokens whose own texts Cohere does not return: its log probability is the sum of
    theirs, which stay in `extra` with their ids. A piece without numbers is left out.
    """
    pieces: list[TokenLogprob] = []
    for i, item in enumerate(items):
        values = [
            optional_float(value) for j, value in enumerate(as_list(item.get("logprobs"), f"logprobs[{i}].logprobs"))
        ]
        numbers = [value for value in values if value is not None]
        if numbers and len(numbers) == len(values):
            extra = {name: value for name, value in item.items() if name != "text" and value is not None}
            pieces.append(TokenLogprob(as_str(item.get("text")), sum(numbers), extra=extra))
    return Logprobs(pieces) if pieces else None
