"""OpenAI's replies → records; a 200 that holds an error is that error."""

from __future__ import annotations

from typing import Any, cast

from ...convert import loads
from ...errors import APIResponseError
from ...lenient import NotJSONError, ShapeError
from ...records import AssistantMessage, ChatCompletion, ChatRequest
from ...wire import HttpResponse, Target
from .faults import as_text, error_of, holds_error
from .legacy import speaks_legacy, to_legacy


def decode(response: HttpResponse, request: ChatRequest, target: Target) -> ChatCompletion:
    """The reply; `.raw` is its JSON."""
    data = _json(response.body)
    if isinstance(data, dict) and holds_error(cast("dict[str, Any]", data)):
        raise error_of(data, response)
    completion = _completion(data)
    if speaks_legacy(request, target):
        to_legacy(completion)
    return completion


def _json(body: bytes) -> Any:
    try:
        return loads(body)
    except NotJSONError as fault:
        reason = str(fault)
    raise APIResponseError(f"the answer is {reason}", body=as_text(body), maybe_billed=True)


def _completion(data: Any) -> ChatCompletion:
    try:
        completion = ChatCompletion.from_dict(data)
    except ShapeError as fault:
        reason = str(fault)
    else:
        if completion.choices:
            for choice in completion.choices:
                _name_reasoning(choice.message)
            completion.raw = data
            return completion
        reason = "choices: missing or empty"
    raise APIResponseError(f"the answer has an unexpected shape: {reason}", maybe_billed=True)


def _name_reasoning(message: AssistantMessage) -> None:
    """Some compatible servers call it `reasoning`; LiteLLM's name is ours."""
    if message.reasoning_content is None and isinstance(message.extra.get("reasoning"), str):
        message.reasoning_content = message.extra.pop("reasoning")
