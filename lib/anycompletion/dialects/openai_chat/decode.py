"""OpenAI's replies → records; a 200 that holds an error is that error."""

from __future__ import annotations

from typing import Any, cast

from ...codecs.json import loads
from ...codecs.lenient import NotJSONError, ShapeError
from ...errors import APIResponseError
from ...http import HttpResponse
from ...records import AssistantMessage, ChatCompletion, ChatRequest, TextPart
from ..base import Target
from .errors import as_text, error_of, holds_error
from .fast_decode import read_reply
from .legacy_functions import to_legacy, uses_legacy_functions
from .variants import set_cost, thinking_text


def decode(response: HttpResponse, request: ChatRequest, target: Target) -> ChatCompletion:
    """The reply; `.raw` is its JSON."""
    completion = read_reply(response.body) or _read(response)
    if uses_legacy_functions(request, target):
        to_legacy(completion)
    return completion


def _read(response: HttpResponse) -> ChatCompletion:
    """The tolerant way, for all that a server may say besides what OpenAI documents."""
    data = _json(response.body)
    if isinstance(data, dict) and holds_error(cast("dict[str, Any]", data)):
        raise error_of(data, response)
    return _completion(data, response.body)


def _json(body: bytes) -> Any:
    try:
        return loads(body)
    except NotJSONError as fault:
        reason = str(fault)
    raise APIResponseError(f"the answer is {reason}", body=as_text(body), maybe_billed=True)


def _completion(data: Any, body: bytes) -> ChatCompletion:
    try:
        completion = ChatCompletion.from_dict(data)
        set_cost(completion.usage)
        _require_messages(data)
        for choice in completion.choices:
            _name_reasoning(choice.message)
            _say_as_text(choice.message)
            choice.finish_reason = choice.finish_reason or None  # Snowflake says "" where there is none
    except ShapeError as fault:
        reason = str(fault)
    else:
        if completion.choices:
            completion.raw = data
            return completion
        reason = "choices: missing or empty"
    raise APIResponseError(f"the answer has an unexpected shape: {reason}", body=as_text(body), maybe_billed=True)


def _require_messages(data: dict[str, Any]) -> None:
    """A text instead of a message is the answer of another API; Azure's filter leaves a choice with neither."""
    for i, choice in enumerate(data.get("choices") or ()):
        if "text" in choice and not choice.get("message"):
            raise ShapeError(f"choices[{i}].message", "an object", choice.get("message"))


def _name_reasoning(message: AssistantMessage) -> None:
    """Some compatible servers call it `reasoning`; LiteLLM's name is ours."""
    if message.reasoning_content is None and isinstance(message.extra.get("reasoning"), str):
        message.reasoning_content = message.extra.pop("reasoning")


def _say_as_text(message: AssistantMessage) -> None:
    """Mistral says text and thinking as parts; OpenAI's replies have a text, and LiteLLM's name for the other.

    Parts of other types stay, and so does the list that they stand in.
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
