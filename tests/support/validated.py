"""Requests as validation makes them of a caller's arguments."""

from typing import Any

from anycompletion.codecs.json import to_wire
from anycompletion.records import (
    PARAM_NAMES,
    ChatRequest,
)
from anycompletion.validation import check_options
from anycompletion.validation.call_arguments import split_keywords
from anycompletion.validation.request_checks import build_request


def build(**params: Any) -> ChatRequest:
    """The request that `create` makes of its arguments."""
    model, messages = params.pop("model", "openai/gpt-4o"), params.pop("messages", "Hi")
    params.pop("stream", None)  # not a part of the request
    wire, options = split_keywords(params)
    check_options(options)
    return build_request(model, messages, wire)


def body_of(made: ChatRequest) -> dict[str, Any]:
    """The request as the body in OpenAI's format."""
    wire = {name: to_wire(getattr(made, name)) for name in PARAM_NAMES if getattr(made, name) is not None}
    return {"model": made.model, "messages": [to_wire(message) for message in made.messages], **wire}
