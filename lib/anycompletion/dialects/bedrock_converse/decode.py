"""A reply of Bedrock's Converse as a chat completion: no value is guessed, and none is lost.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

from collections.abc import Mapping

from ...codecs import json
from ...codecs.lenient import (
    NotJSONError,
    ShapeError,
    as_object,
    optional_int,
    optional_object,
    optional_str,
    unknown_fields,
)
from ...errors import APIStatusError
from ...http import Headers, HttpResponse
from ...records import (
    ChatCompletion,
    ChatCompletionMessage,
    ChatRequest,
    Choice,
    CompletionTokensDetails,
    JsonObject,
    PromptTokensDetails,
    Usage,
)
from ..base import Target
from ..shared import as_text, unreadable_reply, uses_legacy_functions, without_nulls
from .bedrock_models import model_family
from .converse_blocks import read_blocks, read_message
from .errors import REQUEST_ID, error_in_reply, failed_generation
from .text_replies import BedrockTextReply, text_reply

_FINISH: Mapping[str, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
"""Bedrock's stop reason → OpenAI's finish reason."""

FAILED = frozenset({"malformed_model_output", "malformed_tool_use"})
"""Stop reasons of generations that failed."""

_REPLY = frozenset({"output", "stopReason", "usage", "serviceTier"})
_USAGE = frozenset(
    {
        "inputTokens",
        "outputTokens",
        "totalTokens",
        "cacheReadInputTokens",
        "cacheWriteInputTokens",
        # Second names of those above.
        "cacheReadInputTokenCount",
        "cacheWriteInputTokenCount",
    }
)


def decode(response: HttpResponse, request: ChatRequest, target: Target) -> ChatCompletion:
    """The completion in a response with a good status.

    Raises:
        APIStatusError: the body is an error nevertheless, or the generation failed.
        APIResponseError: the body does not have the format's shape.
    """
    plain = text_reply(response.body)
    if plain is not None:
        return _plain_completion(plain, response, target)
    failure: APIStatusError | None = None
    problem = ""
    try:
        data = as_object(json.loads(response.body), "body")
        failure = error_in_reply(data, response.headers, as_text(response.body))
        if failure is None:
            completion = _completion(data, response, request, target)
            reason = completion.choices[0].native_finish_reason
            if reason not in FAILED:
                return completion
            failure = failed_generation(reason)
            failure.partial = completion
    except (ShapeError, NotJSONError) as exc:
        problem = str(exc)
    # Raised here, so that the error's context and traceback do not hold the reply.
    if failure is None:
        raise unreadable_reply(f"Bedrock's reply cannot be read: {problem}", response, REQUEST_ID)
    raise failure


def _completion(data: JsonObject, response: HttpResponse, request: ChatRequest, target: Target) -> ChatCompletion:
    message = as_object(as_object(data.get("output"), "output").get("message"), "output.message")
    if message.get("content") is None:
        raise ShapeError("output.message.content", "an array", None)
    legacy = uses_legacy_functions(request)
    reason = optional_str(data.get("stopReason"))
    read = read_message(read_blocks(message.get("content")), model_family(target.model), legacy)
    if reason is None and read == ChatCompletionMessage():
        raise ShapeError("stopReason", "a text, because there is no content", data.get("stopReason"))
    usage = optional_object(data.get("usage"))
    has_calls = bool(read.tool_calls or read.function_call)
    completion = ChatCompletion(
        reply_id(response.headers),
        [Choice(0, read, finish_reason(reason, has_calls=has_calls, legacy=legacy), native_finish_reason=reason)],
        target.model,
        usage=None if usage is None else read_usage(usage, data.get("additionalModelResponseFields")),
        service_tier=service_tier(data),
        extra=reply_extra(data),
    )
    completion.raw = data
    return completion


def _plain_completion(reply: BedrockTextReply, response: HttpResponse, target: Target) -> ChatCompletion:
    reason, usage = reply.stop_reason, reply.usage
    completion = ChatCompletion(
        reply_id(response.headers),
        [Choice(0, ChatCompletionMessage(reply.text), _FINISH[reason], native_finish_reason=reason)],
        target.model,
        usage=None if usage is None else read_usage(usage, None),
        extra={} if reply.metrics is None else {"metrics": reply.metrics},
    )
    completion.keep_raw_json(response.body)
    return completion


def finish_reason(reason: str | None, *, has_calls: bool, legacy: bool) -> str | None:
    """OpenAI's finish reason for a stop reason; an unknown one passes unchanged.

    A complete reply ends with calls if it has some: models may give that reason without a call, or another one beside
    a call.
    """
    if reason is None:
        return None
    found = _FINISH.get(reason, reason)
    if found not in ("stop", "tool_calls"):
        return found
    return "stop" if not has_calls else "function_call" if legacy else "tool_calls"


def reply_id(headers: Headers) -> str:
    """The id of a reply, which only its headers have; bytes that are no UTF-8 are replaced."""
    return (headers.first(REQUEST_ID) or "").encode("utf-8", "replace").decode()


def service_tier(data: JsonObject) -> str | None:
    """The tier that served the request."""
    tier = optional_object(data.get("serviceTier"))
    return None if tier is None else optional_str(tier.get("type"))


def reply_extra(data: JsonObject) -> JsonObject:
    """What Bedrock reports besides the message and its usage, such as a guardrail's `trace`."""
    return without_nulls(unknown_fields(data, _REPLY))


def read_usage(usage: JsonObject, additional: object) -> Usage:
    """Token counts as OpenAI defines them: prompt tokens include those read from and written to the cache.

    The count of reasoning tokens comes only if the request asks for the field ``/usage/output_tokens_details`` of the
    model's own reply, which is then in `additional`.
    """
    count = usage.get
    fresh, completion = optional_int(count("inputTokens")), optional_int(count("outputTokens"))
    read = _first_count(count("cacheReadInputTokens"), count("cacheReadInputTokenCount"))
    written = _first_count(count("cacheWriteInputTokens"), count("cacheWriteInputTokenCount"))
    prompt = None if fresh is None else fresh + (read or 0) + (written or 0)
    total = optional_int(count("totalTokens"))
    if total is None and prompt is not None and completion is not None:
        total = prompt + completion
    reasoning = None if additional is None else _reasoning_tokens(additional)
    return Usage(
        prompt,
        completion,
        total,
        None if read is None and written is None else PromptTokensDetails(read, cache_write_tokens=written),
        None if reasoning is None else CompletionTokensDetails(reasoning),
        extra={name: value for name, value in usage.items() if name not in _USAGE and value not in (None, {}, [])},
    )


def _first_count(value: object, alternative: object) -> int | None:
    """A count that has two names; None if neither is there."""
    count = optional_int(value)
    return optional_int(alternative) if count is None else count


def _reasoning_tokens(additional: object) -> int | None:
    fields = optional_object(additional) or {}
    usage = optional_object(fields.get("usage")) or fields
    details = optional_object(usage.get("output_tokens_details")) or {}
    return _first_count(details.get("thinking_tokens"), details.get("reasoning_tokens"))
