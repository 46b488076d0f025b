"""OpenAI's reply as a chat completion; a 200 that contains an error raises that error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from ...codecs.json import loads
from ...codecs.lenient import NotJSONError, ShapeError, as_list, as_object, optional_str, unknown_fields
from ...errors import APIResponseError, APIStatusError
from ...http import HttpResponse
from ...records import ChatCompletion, ChatRequest, Choice, JsonObject
from ...records.messages import content_parts
from ..base import Target
from ..error_body import holds_error
from ..openai_errors import error_from_body
from ..shared import as_text, set_cost
from .fast_replies import read_reply
from .finish_reasons import NO_REASONS, normalize_finish_reason
from .legacy_functions import to_legacy, uses_converted_functions
from .quirks import finish_reasons_of
from .variants import with_plain_texts


def decode(response: HttpResponse, request: ChatRequest, target: Target) -> ChatCompletion:
    """The completion in a response with a good status; `.raw` is its JSON.

    Raises:
        APIStatusError: the body is an error nevertheless.
        APIResponseError: the body does not have the format's shape.
    """
    completion = read_reply(response.body) or _read_tolerantly(response, target)
    if request.functions and uses_converted_functions(request, target):
        to_legacy(completion)
    return completion


def _read_tolerantly(response: HttpResponse, target: Target) -> ChatCompletion:
    """The tolerant path, for replies that differ from OpenAI's documentation."""
    data = _json(response.body)
    if holds_error(data):
        raise _with_partial(error_from_body(data, response), data)
    try:
        completion = _completion(as_object(data, "completion"))
    except ShapeError as exc:
        reason = str(exc)
    else:
        if completion.choices:
            for choice in completion.choices:
                normalize_finish_reason(choice, finish_reasons_of(target))
            completion.raw = data
            return completion
        reason = "choices: missing or empty"
    text = as_text(response.body)
    raise APIResponseError(f"the answer has an unexpected shape: {reason}", body=text, maybe_billed=True)


def _with_partial(error: APIStatusError, data: Any) -> APIStatusError:
    """The error of a generation that failed, with the text that came beside it."""
    try:
        completion = _completion(as_object(data, "completion"))
    except ShapeError:
        return error
    if any(choice.message.content or choice.message.tool_calls for choice in completion.choices):
        completion.raw = data
        error.partial = completion
    return error


def _json(body: bytes) -> Any:
    try:
        return loads(body)
    except NotJSONError as exc:
        reason = str(exc)  # raised outside the block, so that `exc` is not chained
    raise APIResponseError(f"the answer is {reason}", body=as_text(body), maybe_billed=True)


def _completion(source: JsonObject) -> ChatCompletion:
    items = enumerate(as_list(source.get("choices"), "choices"))
    choices = [_with_message(as_object(item, f"choices[{i}]"), f"choices[{i}].message") for i, item in items]
    plain_choices = [choice | {"message": with_plain_texts(choice["message"])} for choice in choices]
    completion = ChatCompletion.from_dict(source | {"choices": plain_choices})
    set_cost(completion.usage)
    for choice, with_parts in zip(completion.choices, choices, strict=True):
        content: object = with_parts["message"].get("content")
        if isinstance(content, list):
            choice.message.parts = content_parts(cast("list[object]", content))
    _number_choices(completion.choices)
    return completion


def _with_message(choice: JsonObject, path: str) -> JsonObject:
    """The choice with an object as its message; servers that answer as in a stream call it `delta`.

    Raises:
        ShapeError: the choice has none, or a delta without a finish reason, which is a piece of a stream. One that
            ended without a message passes, because Azure's content filter makes such choices; but not one that has
            `text`, as in the older completions API.
    """
    name = "message" if choice.get("message") or not choice.get("delta") else "delta"
    message, has_ended = choice.get(name), (optional_str(choice.get("finish_reason")) or "") not in NO_REASONS
    if (not message and ("text" in choice or not has_ended)) or (name == "delta" and not has_ended):
        raise ShapeError(path, "an object", choice.get("message"))
    return unknown_fields(choice, frozenset((name,))) | {"message": as_object(message or {}, path)}


def _number_choices(choices: Sequence[Choice]) -> None:
    """Sets each index to the position of its choice if several choices have the same index."""
    if len({choice.index for choice in choices}) == len(choices):
        return
    for position, choice in enumerate(choices):
        choice.index = position
