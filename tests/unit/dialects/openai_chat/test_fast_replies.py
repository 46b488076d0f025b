"""The fast path of whole replies: what it reads, what it leaves to the tolerant path, and that both read the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from anycompletion.dialects.base import Target
from anycompletion.dialects.openai_chat.dialect import DIALECT
from anycompletion.dialects.openai_chat.fast_replies import read_reply
from anycompletion.errors import APIStatusError
from anycompletion.http import Headers, HttpResponse
from anycompletion.records import ChatCompletion, ChatRequest, UserMessage

CHOICE: dict[str, Any] = {
    "index": 0,
    "message": {"role": "assistant", "content": "Hello.", "refusal": None, "annotations": []},
    "logprobs": None,
    "finish_reason": "stop",
}
CALL: dict[str, Any] = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
USAGE: dict[str, Any] = {
    "prompt_tokens": 1,
    "completion_tokens": 2,
    "total_tokens": 3,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 1, "accepted_prediction_tokens": 0},
}
REPLY: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1700000000,
    "model": "gpt-4o",
    "choices": [CHOICE],
    "usage": USAGE,
    "service_tier": "default",
    "system_fingerprint": None,
}


def with_message(**fields: Any) -> dict[str, Any]:
    return REPLY | {"choices": [CHOICE | {"message": CHOICE["message"] | fields}]}


def with_choice(**fields: Any) -> dict[str, Any]:
    return REPLY | {"choices": [CHOICE | fields]}


FAST: list[dict[str, Any]] = [
    REPLY,
    {name: value for name, value in REPLY.items() if name != "usage"},
    REPLY | {"usage": None},
    with_message(content=None, tool_calls=[CALL]),
    with_message(tool_calls=[]),
    with_message(annotations=None, audio=None, function_call=None),
    *(with_choice(finish_reason=reason) for reason in ("length", "tool_calls", "content_filter", None)),
    REPLY | {"choices": [CHOICE, CHOICE | {"index": 1}]},
]

TOLERANT: list[dict[str, Any]] = [
    REPLY | {"choices": [CHOICE, CHOICE]},
    REPLY | {"x_groq": {"id": "req_1"}},
    REPLY | {"created": 1700000000.5},
    REPLY | {"id": 7},
    REPLY | {"usage": []},
    REPLY | {"usage": USAGE | {"queue_time": 0.5}},
    REPLY | {"object": ""},
    with_choice(finish_reason=""),
    with_choice(finish_reason="eos"),
    with_choice(finish_reason=1),
    with_choice(index="0"),
    with_choice(logprobs={"content": None}),
    with_message(content=5),
    with_message(content=[{"type": "text", "text": "Hello."}]),
    with_message(reasoning="Hm."),
    with_message(annotations=[{"type": "url_citation"}]),
    with_message(tool_calls=[CALL | {"id": 7}]),
    with_message(tool_calls=[CALL | {"function": {"name": "f", "arguments": {}}}]),
    with_message(function_call={"name": "f", "arguments": "{}"}),
]

ERRORS: list[dict[str, Any]] = [
    REPLY | {"error": {"message": "Oh."}},
    with_choice(finish_reason="error"),
    with_choice(error={"message": "Oh."}),
    {"object": "error", "message": "Oh."},
]


def decode(body: dict[str, Any]) -> ChatCompletion:
    target = Target(provider="openai", model="m", base_url="https://x")
    response = HttpResponse(200, Headers.of({}), json.dumps(body).encode())
    return DIALECT.decode(response, ChatRequest("m", [UserMessage("Hi")]), target)


@pytest.mark.parametrize("body", FAST)
def test_ordinary_replies_are_read_as_the_tolerant_path_reads_them(body: dict[str, Any]):
    """The reply would depend on the path, or an ordinary one be read slowly."""
    fast = read_reply(json.dumps(body).encode())
    assert fast is not None
    tolerant = decode(body | {"unknown": 1})
    assert tolerant.extra.pop("unknown") == 1
    assert fast == tolerant
    assert fast.raw == body


@pytest.mark.parametrize("body", TOLERANT)
def test_what_differs_from_the_documentation_is_left_to_the_tolerant_path(body: dict[str, Any]):
    """The fast path would lose a field, or refuse a reply."""
    assert read_reply(json.dumps(body).encode()) is None
    assert decode(body).raw == body


@pytest.mark.parametrize("body", ERRORS)
def test_the_fast_path_takes_no_error_for_a_reply(body: dict[str, Any]):
    """A failed generation would look like a short reply."""
    assert read_reply(json.dumps(body).encode()) is None
    with pytest.raises(APIStatusError):
        decode(body)
