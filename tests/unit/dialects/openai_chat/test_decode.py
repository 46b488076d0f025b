"""Decoding of OpenAI's replies: a body → the record or the error."""

import json
from typing import Any

import pytest

from anycompletion.dialects.base import Target
from anycompletion.dialects.openai_chat.dialect import DIALECT
from anycompletion.dialects.openai_chat.quirks import Quirks
from anycompletion.errors import APIResponseError, APIStatusError, InternalServerError, RateLimitError
from anycompletion.http import Headers, HttpResponse
from anycompletion.records import (
    ChatCompletion,
    ChatRequest,
    FunctionCall,
    FunctionDefinition,
    ToolCall,
    Usage,
    UserMessage,
)

CHAT = ChatRequest("m", [UserMessage("Hi")])
TARGET = Target(provider="openai", model="m", base_url="https://x")
REPLY: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1700000000,
    "model": "gpt-4o",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello.", "refusal": None},
            "finish_reason": "stop",
            "logprobs": None,
        }
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}


def decode(body: Any, request: ChatRequest = CHAT, target: Target = TARGET, status: int = 200) -> ChatCompletion:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return DIALECT.decode(HttpResponse(status, Headers.of({"x-request-id": "req_1"}), raw), request, target)


def choice(**message: Any) -> dict[str, Any]:
    return {**REPLY, "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}]}


def test_a_reply():
    """A reply would be decoded into other values."""
    reply = decode(REPLY)
    assert reply.to_dict() == REPLY
    assert reply.raw == REPLY
    assert reply.text == "Hello."


def test_an_empty_finish_reason_is_none():
    """A reply would seem to have an unknown finish reason."""
    body = choice(content="x")
    body["choices"][0]["finish_reason"] = ""
    assert decode(body).choices[0].finish_reason is None


NOT_QUITE_JSON: list[tuple[bytes, bytes, str]] = [
    (b"Hello.", b"H\xffllo.", "H\ufffdllo."),
    (b"Hello.", b"H\\ud800llo.", "H\ufffdllo."),
    (b"Hello.", b"Hel\tlo\x1b.\n", "Hel\tlo\x1b.\n"),
    (b"1700000000", b"NaN", "Hello."),
    (b'{"id"', b'\xef\xbb\xbf{"id"', "Hello."),
]


@pytest.mark.parametrize(("correct", "wrong", "text"), NOT_QUITE_JSON)
def test_bytes_that_are_not_quite_json(correct: bytes, wrong: bytes, text: str):
    """One byte that JSON does not allow would lose a reply that was billed."""
    assert decode(json.dumps(REPLY).encode().replace(correct, wrong)).text == text


BAD: list[tuple[Any, str]] = [
    (b"", "the answer is not JSON"),
    (b"<html>portal</html>", "the answer is not JSON"),
    (b'{"choices": [', "the answer is not JSON"),
    (b"[" * 100_000, "the answer is nested too deeply"),
    ([], "the answer has an unexpected shape: completion: expected an object, found list"),
    (5, "the answer has an unexpected shape: completion: expected an object, found int"),
    (None, "the answer has an unexpected shape: completion: expected an object, found NoneType"),
    ({}, "the answer has an unexpected shape: choices: missing or empty"),
    ({"choices": None}, "the answer has an unexpected shape: choices: missing or empty"),
    ({"choices": []}, "the answer has an unexpected shape: choices: missing or empty"),
    ({"choices": [None]}, "the answer has an unexpected shape: choices: missing or empty"),
    ({"error": None}, "the answer has an unexpected shape: choices: missing or empty"),
    ({"choices": "x"}, "the answer has an unexpected shape: choices: expected an array, found str"),
    ({"choices": ["x"]}, "the answer has an unexpected shape: choices[0]: expected an object, found str"),
    ({"choices": {}}, "the answer has an unexpected shape: choices[0].message: expected an object, found NoneType"),
    ({"choices": [{}]}, "the answer has an unexpected shape: choices[0].message: expected an object, found NoneType"),
    (
        {"choices": [{"message": None, "finish_reason": ""}]},
        "the answer has an unexpected shape: choices[0].message: expected an object, found NoneType",
    ),
    (
        {"choices": [{"index": 0, "text": "Hello", "finish_reason": "stop"}]},
        "the answer has an unexpected shape: choices[0].message: expected an object, found NoneType",
    ),
    (
        {"choices": [{"message": "Hello"}]},
        "the answer has an unexpected shape: choices[0].message: expected an object, found str",
    ),
    (
        choice(tool_calls=[{"function": "add"}]),
        "the answer has an unexpected shape: choices[0].message.tool_calls[0].function: expected an object, found str",
    ),
]


@pytest.mark.parametrize(("body", "text"), BAD)
def test_bodies_that_are_not_replies(body: Any, text: str):
    """A portal's page or a broken server would raise an undocumented exception, or give an empty reply."""
    with pytest.raises(APIResponseError) as caught:
        decode(body)
    error = caught.value
    assert error.message == text
    assert error.maybe_billed
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert error.body == raw.decode()[:2048]
    assert error.__context__ is None


IN_200: list[tuple[dict[str, Any], type[APIStatusError], int | None]] = [
    ({"error": {"message": "Oh.", "code": 502}}, InternalServerError, 502),
    ({"error": {"message": "Oh.", "code": "429"}}, RateLimitError, 429),
    ({"error": {"message": "Oh.", "code": "rate_limit_exceeded"}}, RateLimitError, 200),
    ({"error": {"message": "Oh."}, "choices": None}, InternalServerError, 200),
    ({"error": "Oh."}, InternalServerError, 200),
    ({"error": "Oh.", "code": 429}, RateLimitError, 429),
]


@pytest.mark.parametrize(("body", "cls", "status"), IN_200)
def test_an_error_inside_a_200(body: dict[str, Any], cls: type[APIStatusError], status: int | None):
    """A gateway's failure would look like a reply without choices."""
    with pytest.raises(cls) as caught:
        decode(body)
    error = caught.value
    assert type(error) is cls
    assert (error.message, error.status_code, error.request_id) == ("Oh.", status, "req_1")
    assert error.body == json.dumps(body)


def test_an_empty_error_member_is_ignored():
    """Every reply of a server that always sends an error member would be an error."""
    for nothing in (None, "", {}, False):
        assert decode({**REPLY, "error": nothing}).text == "Hello."


# --- the legacy form ---

LEGACY = ChatRequest("m", [UserMessage("Hi")], functions=[FunctionDefinition("f")])
TOOLS = Target(provider="p", model="m", base_url="https://x", quirks=Quirks(functions_as_tools=True))


def test_functions_are_answered_as_functions():
    """Code that uses functions would get a reply with tool calls."""
    calls = [{"id": str(i), "type": "function", "function": {"name": "f", "arguments": "{}"}} for i in range(2)]
    body = choice(tool_calls=calls)
    body["choices"][0]["finish_reason"] = "tool_calls"
    reply = decode(body, LEGACY, TOOLS)
    first = reply.choices[0]
    assert first.message.function_call == FunctionCall("f", "{}")
    assert first.message.tool_calls == [ToolCall("1", FunctionCall("f", "{}"))]
    assert (first.finish_reason, first.native_finish_reason) == ("function_call", "tool_calls")
    body["choices"][0]["message"]["tool_calls"].pop()
    body["choices"][0]["finish_reason"] = "stop"
    first = decode(body, LEGACY, TOOLS).choices[0]
    assert (first.message.tool_calls, first.finish_reason) == (None, "stop")


def test_tools_are_answered_as_tools():
    """Code that uses tools would get a reply with a function call."""
    body = choice(tool_calls=[{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}])
    for request, target in ((CHAT, TOOLS), (LEGACY, TARGET)):
        message = decode(body, request, target).choices[0].message
        assert message.function_call is None
        assert message.tool_calls == [ToolCall("1", FunctionCall("f", "{}"))]
    assert decode(REPLY, LEGACY, TOOLS).choices[0].message.function_call is None


def test_a_reply_of_the_older_completions_api_is_refused() -> None:
    """A base URL with the wrong path would give replies without a text instead of an error."""
    body = (
        b'{"id": "cmpl-1", "object": "text_completion", "choices": [{"index": 0, "text": "Hello", "logprobs": null}]}'
    )
    with pytest.raises(APIResponseError, match=r"choices\[0\]\.message"):
        decode(body)


def test_ticks_are_the_cost() -> None:
    """xAI's cost would be missing from complete replies."""
    usage = {"cost_in_usd_ticks": 37_756_000}
    assert decode({**REPLY, "usage": usage}).usage == Usage(cost=0.0037756, extra=usage)
