"""Gemini's response as a chat completion: no value is guessed, and none is lost.

https://ai.google.dev/api/generate-content#generatecontentresponse
"""

from __future__ import annotations

import math
from itertools import takewhile
from typing import Any, cast

from ...codecs import json
from ...codecs.lenient import (
    NotJSONError,
    ShapeError,
    as_list,
    as_object,
    as_str,
    optional_float,
    optional_object,
    optional_objects,
    optional_str,
    unknown_fields,
)
from ...errors import APIStatusError
from ...http import HttpResponse
from ...records import ChatCompletion, ChatCompletionMessage, ChatRequest, Choice, JsonObject, ToolCall
from ...records.base import field_names
from ...records.logprobs import Logprobs, TokenLogprob, TopLogprob
from ..base import Target
from ..shared import as_text, unix_seconds, unreadable_reply, uses_legacy_functions, without_nulls
from .errors import REQUEST_ID, error_from_body, error_in, failed_generation
from .gemini_finish import block_reason, finish_reason, native_reason
from .gemini_quirks import quirks_of
from .grounding import CITING_FIELDS, GeminiTexts, read_annotations
from .model_turns import BACKEND, NATIVE_CONTENT
from .plain_replies import plain_reply
from .reply_parts import (
    TEXT_ONLY,
    are_expressible,
    audio_of,
    candidate_indexes,
    has_call,
    image,
    is_thought,
    media_of,
    read_candidate,
    read_parts,
    text_of,
    tool_call_of,
)
from .response_arrays import merged_response
from .token_counts import has_counts, read_usage

RESPONSE_FIELDS = field_names(ChatCompletion) | {"candidates", "usageMetadata", "modelVersion", "responseId"}
CANDIDATE_FIELDS = field_names(Choice) | {"content", "finishReason", "logprobsResult", "delta"}
"""Fields that are read, and names that OpenAI's format has for something else; others are kept in `extra`."""


def decode(response: HttpResponse, request: ChatRequest, target: Target) -> ChatCompletion:
    """The completion in a response with a good status.

    Raises:
        APIStatusError: the body is an error nevertheless, or the generation failed.
        APIResponseError: the body does not have the format's shape.
    """
    plain = plain_reply(response.body, target.model)
    if plain is not None:
        return plain
    failure: APIStatusError | None = None
    problem = ""
    try:
        value: Any = json.loads(response.body)
        items = cast("list[Any]", value) if isinstance(value, list) else []
        before = list(takewhile(lambda item: error_in(item) is None, items))
        reported = error_in(cast("object", value)) if len(before) == len(items) else error_in(items[len(before)])
        if reported is None:
            data = merged_response(items) if isinstance(value, list) else as_object(value, "body")
            completion = _completion(data, uses_legacy_functions(request), target)
            completion.raw = value
            failure = _failure(data, response)
            if failure is None:
                return completion
            failure.partial = completion
        else:
            failure = error_from_body(reported, response.headers, as_text(response.body))
            failure.partial = _partial(before, request, target)
    except (ShapeError, NotJSONError) as exc:
        problem = str(exc)
    # Raised here, so that the error's context and traceback do not hold the reply.
    raise failure or unreadable_reply(f"Gemini's reply cannot be read: {problem}", response, REQUEST_ID)


def _partial(responses: list[Any], request: ChatRequest, target: Target) -> ChatCompletion | None:
    """What an array of responses has before an error; None for nothing."""
    try:
        return _completion(merged_response(responses), uses_legacy_functions(request), target)
    except ShapeError:
        return None


def _failure(data: JsonObject, response: HttpResponse) -> APIStatusError | None:
    candidates = optional_objects(data.get("candidates")) or ()
    found = (failed_generation(candidate, response.headers) for candidate in candidates)
    return next(filter(None, found), None)


def _completion(data: JsonObject, legacy: bool, target: Target) -> ChatCompletion:
    response_id = optional_str(data.get("responseId")) or ""
    backend = quirks_of(target).backend
    feedback = optional_object(data.get("promptFeedback"))
    items = as_list(data.get("candidates"), "candidates")
    candidates = [read_candidate(item, f"candidates[{position}]") for position, item in enumerate(items)]
    choices = [
        _choice(candidate, index, response_id, legacy, backend, feedback)
        for index, candidate in zip(candidate_indexes(candidates), candidates, strict=True)
    ]
    choices.sort(key=lambda choice: choice.index)
    if not choices:
        choices.append(_blocked(feedback))
    usage = optional_object(data.get("usageMetadata"))
    return ChatCompletion(
        response_id,
        choices,
        optional_str(data.get("modelVersion")) or target.model,
        created_at(data),
        usage=read_usage(usage) if usage is not None and has_counts(usage) else None,
        service_tier=None if usage is None else optional_str(usage.get("serviceTier")),
        extra=without_nulls(unknown_fields(data, RESPONSE_FIELDS)),
    )


def created_at(data: JsonObject) -> int:
    """When the response was created, in Unix seconds; 0 where this is not reported."""
    return int(unix_seconds(data.get("createTime")) or 0)


def _blocked(feedback: JsonObject | None) -> Choice:
    reason = block_reason(feedback)
    if feedback is None or reason is None:
        raise ShapeError("candidates", "an array with a candidate", None)
    return Choice(0, blocked_message(feedback), "content_filter", native_finish_reason=reason)


def blocked_message(feedback: JsonObject) -> ChatCompletionMessage:
    """The message of a prompt that was blocked."""
    return ChatCompletionMessage(None, optional_str(feedback.get("blockReasonMessage")))


def _choice(
    candidate: JsonObject, index: int, response_id: str, legacy: bool, backend: str, feedback: JsonObject | None
) -> Choice:
    parts = read_parts(candidate.get("content"), f"candidates[{index}].content")
    native = native_reason(candidate)
    blocked = block_reason(feedback) if native is None else None
    if native is None and blocked is None and not parts:
        raise ShapeError(f"candidates[{index}]", "content or a finish reason", candidate)
    calls = list(filter(has_call, parts))
    message = read_message(parts, response_id, legacy, backend)
    if feedback is not None and blocked is not None:
        message.refusal = blocked_message(feedback).refusal
    if not CITING_FIELDS.isdisjoint(candidate):
        shown = ["" if is_thought(part) else text_of(part) for part in parts]
        message.annotations = read_annotations(candidate, GeminiTexts(shown)) or None
    return Choice(
        index,
        message,
        "content_filter" if blocked is not None else finish_reason(native, has_calls=bool(calls), legacy=legacy),
        read_logprobs(candidate.get("logprobsResult")),
        native or blocked,
        extra=without_nulls(unknown_fields(candidate, CANDIDATE_FIELDS)),
    )


def read_message(parts: list[JsonObject], response_id: str, legacy: bool, backend: str) -> ChatCompletionMessage:
    """The message of parts, with the parts themselves where its fields cannot express them exactly.

    Raises:
        ShapeError: a function call cannot be read.
    """
    if len(parts) == 1 and parts[0].keys() == TEXT_ONLY:
        return ChatCompletionMessage(text_of(parts[0]) or None)  # as nearly always
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[ToolCall] = []
    images: list[JsonObject] = []
    sounds: list[tuple[str, str]] = []
    for part in parts:
        text = text_of(part)
        if text:
            (thoughts if is_thought(part) else texts).append(text)
        if has_call(part):
            calls.append(tool_call_of(part, response_id, len(calls), backend))
        media = media_of(part)
        if media is not None and media[0].startswith("image/"):
            images.append(image(*media))
        elif media is not None and media[0].startswith("audio/"):
            sounds.append(media)
    expressible = are_expressible(parts) and not (legacy and len(calls) > 1)  # the legacy form has a place for one
    return ChatCompletionMessage(
        "".join(texts) or None,
        tool_calls=None if legacy else calls or None,
        function_call=calls[0].function if legacy and calls else None,
        audio=audio_of(sounds),
        reasoning_content="".join(thoughts) or None,
        provider_specific_fields=None if expressible else native_fields(parts, backend),
        extra={"images": images} if images else {},
    )


def native_fields(parts: list[JsonObject], backend: str) -> JsonObject:
    """The parts as they are sent back, and the service that wrote them where it is not the Gemini API."""
    fields: JsonObject = {NATIVE_CONTENT: parts}
    return fields if backend == "google" else {**fields, BACKEND: backend}


# --- log probabilities ------------------------------------------------------------------------------------------------


def read_logprobs(value: object) -> Logprobs | None:
    """The log probabilities of a candidate's tokens; those of the alternatives belong to the token at their place."""
    result = None if value is None else optional_object(value)
    chosen = None if result is None else optional_objects(result.get("chosenCandidates"))
    if result is None or chosen is None:
        return None
    steps = optional_objects(result.get("topCandidates")) or []
    content = [
        TokenLogprob(
            as_str(token.get("token")),
            _logprob(token),
            top_logprobs=_alternatives(steps[at]) if at < len(steps) else [],
        )
        for at, token in enumerate(chosen)
    ]
    return Logprobs(content)


def _alternatives(step: JsonObject) -> list[TopLogprob]:
    found = optional_objects(step.get("candidates")) or ()
    return [TopLogprob(as_str(token.get("token")), _logprob(token)) for token in found]


def _logprob(token: JsonObject) -> float:
    """The log probability of a token, which is absent if it is 0."""
    value = optional_float(token.get("logProbability", 0.0))
    return math.nan if value is None else value
