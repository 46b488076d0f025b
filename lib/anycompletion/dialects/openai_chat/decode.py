"""OpenAI's reply as a chat completion; a 200 that contains an error raises that error."""

from __future__ import annotations

from typing import Any

from ...codecs.json import loads
from ...codecs.lenient import NotJSONError, ShapeError
from ...errors import APIResponseError
from ...http import HttpResponse
from ...records import AssistantMessage, ChatCompletion, ChatRequest, TextPart
from ..base import Target
from ..shared import as_text
from .errors import error_from_body, holds_error
from .fast_decode import read_reply
from .finish_reasons import normalize_finish_reason
from .legacy_functions import to_legacy, uses_converted_functions
from .quirks import finish_reasons
from .variants import set_cost, thinking_text


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
        raise error_from_body(data, response)
    completion = _completion(data, response.body)
    for choice in completion.choices:
        normalize_finish_reason(choice, finish_reasons(target))
    return completion


def _json(body: bytes) -> Any:
    try:
        return loads(body)
    except NotJSONError as exc:
        reason = str(exc)  # raised outside the block, so that `exc` is not chained
    raise APIResponseError(f"the answer is {reason}", body=as_text(body), maybe_billed=True)


def _completion(data: Any, body: bytes) -> ChatCompletion:
    try:
        completion = ChatCompletion.from_dict(data)
        set_cost(completion.usage)
        _require_messages(data)
        for choice in completion.choices:
            _rename_reasoning(choice.message)
            _join_text(choice.message)
    except ShapeError as exc:
        reason = str(exc)
    else:
        if completion.choices:
            completion.raw = data
            return completion
        reason = "choices: missing or empty"
    raise APIResponseError(f"the answer has an unexpected shape: {reason}", body=as_text(body), maybe_billed=True)


def _require_messages(data: dict[str, Any]) -> None:
    """Refuses replies of the legacy completions API, whose choices have `text` in place of a message.

    A choice with neither passes, because Azure's content filter makes such choices.
    """
    for i, choice in enumerate(data.get("choices") or ()):
        if "text" in choice and not choice.get("message"):
            raise ShapeError(f"choices[{i}].message", "an object", choice.get("message"))


def _rename_reasoning(message: AssistantMessage) -> None:
    """Renames `reasoning`, as some compatible servers call it, to LiteLLM's name."""
    if message.reasoning_content is None and isinstance(message.extra.get("reasoning"), str):
        message.reasoning_content = message.extra.pop("reasoning")


def _join_text(message: AssistantMessage) -> None:
    """Turns a content of text and thinking parts, as Mistral sends it, into a text and `reasoning_content`.

    A content with parts of other types stays a list.
    """
    content = message.content
    if content is None or isinstance(content, str):
        return
    thoughts = [thinking_text(part.extra) for part in content if part.type == "thinking"]
    if thoughts and message.reasoning_content is None:
        message.reasoning_content = "".join(thoughts)
    if all(isinstance(part, TextPart) or part.type == "thinking" for part in content):
        texts = [part.text for part in content if isinstance(part, TextPart)]
        message.content = "".join(texts) if texts else None
