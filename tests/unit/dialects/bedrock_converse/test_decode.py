"""Decoding of Bedrock's replies and errors, whatever types a server sends."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from anycompletion.dialects.base import Continuation, Target
from anycompletion.dialects.bedrock_converse.dialect import DIALECT
from anycompletion.errors import (
    APIError,
    APIResponseError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ContextWindowExceededError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ServiceUnavailableError,
)
from anycompletion.http import Headers, HttpResponse
from anycompletion.records import ChatCompletion, ChatRequest, FunctionDefinition, ToolCall, UserMessage
from anycompletion.retry_policy import worth_retrying

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
CHAT = ChatRequest("m", [UserMessage("Hi")])
LEGACY = ChatRequest("m", [UserMessage("Hi")], functions=[FunctionDefinition("add")])
USAGE = {"inputTokens": 3, "outputTokens": 5, "totalTokens": 8}
USE = {"toolUse": {"toolUseId": "tooluse_1", "name": "add", "input": {"a": 1}}}
SIGNED = {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "s=="}}}
UNSIGNED = {"reasoningContent": {"reasoningText": {"text": "Hm."}}}
REDACTED = {"reasoningContent": {"redactedContent": "cmVk"}}


def reply(*blocks: Any, reason: Any = "end_turn", **members: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": [*blocks]}
    return {
        "output": {"message": message},
        "stopReason": reason,
        "usage": USAGE,
        "metrics": {"latencyMs": 7},
        **members,
    }


def decode(
    data: Any, *, request: ChatRequest = CHAT, model: str = CLAUDE, headers: Mapping[str, str] | None = None
) -> ChatCompletion:
    target = Target(provider="bedrock", model=model, base_url="https://x.example")
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    found = DIALECT.decode(HttpResponse(200, Headers.of(headers or {"x-amzn-requestid": "r-1"}), raw), request, target)
    assert not isinstance(found, Continuation)
    return found


def native(completion: ChatCompletion) -> Any:
    return (completion.message.provider_specific_fields or {}).get("bedrock_content")


# --- replies ----------------------------------------------------------------------------------------------------------


def test_a_reply_has_openais_fields() -> None:
    """The id, the model or the counts of a reply would be missing; its id is a header, and it has no model."""
    found = decode(reply({"text": "Hello"}, serviceTier={"type": "flex"}))
    assert (found.id, found.model, found.text, found.service_tier) == ("r-1", CLAUDE, "Hello", "flex")
    assert (found.choices[0].finish_reason, found.choices[0].native_finish_reason) == ("stop", "end_turn")
    assert found.extra == {"metrics": {"latencyMs": 7}}
    assert native(found) is None
    assert found.raw["stopReason"] == "end_turn"


REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "a_reason_of_tomorrow": "a_reason_of_tomorrow",
}


@pytest.mark.parametrize("reason", REASONS)
def test_every_stop_reason_has_its_finish_reason(reason: str) -> None:
    """A reply that was cut or filtered would look complete."""
    blocks = [USE] if reason == "tool_use" else [{"text": "x"}]
    choice = decode(reply(*blocks, reason=reason)).choices[0]
    assert (choice.finish_reason, choice.native_finish_reason) == (REASONS[reason], reason)


@pytest.mark.parametrize(
    ("blocks", "reason", "expected", "legacy"),
    [
        ([USE], "end_turn", "tool_calls", "function_call"),
        ([USE], "max_tokens", "length", "length"),
        ([{"text": "x"}], "tool_use", "stop", "stop"),
        ([{"toolUse": {**USE["toolUse"], "type": "server_tool_use"}}], "tool_use", "stop", "stop"),
    ],
)
def test_calls_decide_whether_a_reply_ends_with_calls(
    blocks: list[Any], reason: str, expected: str, legacy: str
) -> None:
    """A loop over the finish reason would not run the calls of a reply, or wait for calls that there are not."""
    for request, finish in ((CHAT, expected), (LEGACY, legacy)):
        choice = decode(reply(*blocks, reason=reason), request=request).choices[0]
        assert (choice.finish_reason, choice.native_finish_reason) == (finish, reason)


@pytest.mark.parametrize("empty", ["", None])
def test_empty_members_do_not_hide_a_call(empty: str | None) -> None:
    """The call of a gateway that writes all members of a block would be lost."""
    others = dict.fromkeys(("text", "image", "reasoningContent", "citationsContent"), empty)
    found = decode(reply({**others, **USE}, reason="tool_use"))
    assert [call.function.name for call in found.message.tool_calls or ()] == ["add"]
    assert native(found) is None


def test_counts_under_their_second_names() -> None:
    """Tokens of the cache would be missing where the first name of their count is null."""
    usage = {
        **USAGE,
        **dict.fromkeys(("cacheReadInputTokens", "cacheWriteInputTokens")),
        "cacheReadInputTokenCount": 7,
        "cacheWriteInputTokenCount": 2,
    }
    found = decode(reply({"text": "x"}, usage=usage)).usage
    assert found is not None
    assert found.prompt_tokens == 12
    assert found.prompt_tokens_details is not None
    assert (found.prompt_tokens_details.cached_tokens, found.prompt_tokens_details.cache_write_tokens) == (7, 2)


@pytest.mark.parametrize("reason", ["malformed_model_output", "malformed_tool_use"])
def test_a_failed_generation_is_an_error(reason: str) -> None:
    """Garbage would look like a complete reply."""
    with pytest.raises(InternalServerError) as caught:
        decode(reply({"text": "x"}, reason=reason))
    assert (caught.value.code, caught.value.maybe_billed) == (reason, True)
    assert caught.value.partial is not None
    assert caught.value.partial.text == "x"


def test_calls_of_the_callers_tools_are_tool_calls() -> None:
    """A call would be lost, or one of Bedrock's own tools would be asked of the caller."""
    own = {"toolUse": {"toolUseId": "s", "name": "nova_grounding", "input": {"q": "x"}, "type": "server_tool_use"}}
    result = {"toolResult": {"toolUseId": "s", "content": [{"text": "[HIDDEN]"}]}}
    typed = {"toolUse": {**USE["toolUse"], "toolUseId": "t2", "type": "tool_use"}}
    found = decode(reply(own, result, {"text": "a"}, USE, typed, reason="tool_use"))
    calls = [(call.id, call.function.name, call.function.arguments) for call in found.message.tool_calls or ()]
    assert calls == [("tooluse_1", "add", '{"a":1}'), ("t2", "add", '{"a":1}')]
    assert native(found) == [own, result, {"text": "a"}, USE, typed]


def test_calls_that_openais_fields_express_need_no_blocks() -> None:
    """Each reply with a call would carry its content twice."""
    typed = {"toolUse": {**USE["toolUse"], "type": "tool_use"}}
    assert native(decode(reply({"text": "a"}, USE, reason="tool_use"))) is None
    assert native(decode(reply({"text": "a"}, typed, reason="tool_use"))) is None


def test_a_legacy_reply_has_the_first_call_only() -> None:
    """The second call has no place in the legacy form, and without a result Bedrock refuses it in the next turn."""
    other = {"toolUse": {**USE["toolUse"], "toolUseId": "t2"}}
    found = decode(reply({"text": "a"}, USE, other, reason="tool_use"), request=LEGACY)
    assert found.message.function_call is not None
    assert found.message.function_call.arguments == '{"a":1}'
    assert found.choices[0].finish_reason == "function_call"
    assert native(found) is None


def test_signed_reasoning_is_thinking() -> None:
    """Claude refuses the next turn without the signature of this one."""
    found = decode(reply(SIGNED, REDACTED, {"text": "So."}))
    assert found.message.reasoning_content == "Hm."
    assert found.message.thinking_blocks == [
        {"type": "thinking", "thinking": "Hm.", "signature": "s=="},
        {"type": "redacted_thinking", "data": "cmVk"},
    ]
    assert native(found) is None


@pytest.mark.parametrize(
    ("model", "block"), [("openai.gpt-oss-20b-1:0", UNSIGNED), ("openai.gpt-5", REDACTED), (CLAUDE, UNSIGNED)]
)
def test_other_reasoning_stays_in_its_own_form(model: str, block: dict[str, Any]) -> None:
    """Reasoning that Anthropic refuses would be sent there as thinking, or not go back to its model."""
    found = decode(reply(block, {"text": "So."}), model=model)
    assert found.message.thinking_blocks is None
    assert native(found) == [block, {"text": "So."}]


def test_cited_texts_are_a_part_of_the_content() -> None:
    """With citations on, the answer stands in the cited blocks only, and would be empty."""
    place = {"documentChar": {"documentIndex": 0, "start": 1, "end": 9}}
    cited = {"citationsContent": {"content": [{"text": "é is "}, {"text": "e."}], "citations": [{"location": place}]}}
    web = {"web": {"url": "https://a.example", "domain": "a.example"}}
    page = {"citationsContent": {"citations": [{"location": web, "title": "A"}]}}
    found = decode(reply({"text": "So "}, cited, page, {"text": "!"}))
    assert found.text == "So é is e.!"
    assert [each.to_dict() for each in found.message.annotations or ()] == [
        {"type": "documentChar", "content_start_index": 3, "content_end_index": 10, "location": place},
        {
            "type": "url_citation",
            "url_citation": {"url": "https://a.example", "title": "A", "start_index": 10, "end_index": 10},
            "domain": "a.example",
        },
    ]
    assert native(found) == [{"text": "So "}, cited, page, {"text": "!"}]


def test_images_are_data_urls() -> None:
    """An image that a model made would be lost."""
    image = {"image": {"format": "png", "source": {"bytes": "AAAA"}}}
    found = decode(reply(image))
    assert found.message.extra == {
        "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
    }
    assert native(found) == [image]


def test_counts_include_the_cache() -> None:
    """A cached prompt would look nearly free of tokens."""
    usage = {
        **USAGE,
        "totalTokens": 18,
        "cacheReadInputTokens": 4,
        "cacheWriteInputTokens": 6,
        "cacheReadInputTokenCount": 4,
        "cacheWriteInputTokenCount": 6,
        "cacheDetails": [{"ttl": "5m", "inputTokens": 6}],
        "serverToolUsage": {},
    }
    additional = {"usage": {"output_tokens_details": {"thinking_tokens": 2}}}
    found = decode(reply({"text": "x"}, usage=usage, additionalModelResponseFields=additional)).usage
    assert found is not None
    assert (found.prompt_tokens, found.completion_tokens, found.total_tokens) == (13, 5, 18)
    assert found.prompt_tokens_details is not None
    assert found.completion_tokens_details is not None
    details = found.prompt_tokens_details
    assert (details.cached_tokens, details.cache_write_tokens) == (4, 6)
    assert found.completion_tokens_details.reasoning_tokens == 2
    assert found.extra == {"cacheDetails": [{"ttl": "5m", "inputTokens": 6}]}


def test_a_guardrails_trace_is_kept() -> None:
    """The reason why a reply was filtered would be lost."""
    trace = {"guardrail": {"actionReason": "Guardrail masked."}}
    assert decode(reply({"text": "{NAME}"}, reason="guardrail_intervened", trace=trace)).extra["trace"] == trace


# --- odd types --------------------------------------------------------------------------------------------------------

ODD: dict[str, tuple[Any, str]] = {
    "a text as a number": (reply({"text": 7}), "7"),
    "content as an object": ({**reply(), "output": {"message": {"content": {"text": "a"}}}}, "a"),
    "nulls in content": (reply(None, {"text": "a"}), "a"),
    "a message as a list of one": ({**reply(), "output": {"message": [{"content": [{"text": "a"}]}]}}, "a"),
    "usage as text": (reply({"text": "a"}, usage="7"), "a"),
    "usage of texts": (reply({"text": "a"}, usage={"inputTokens": "7", "outputTokens": None}), "a"),
    "a reason as a list of one": (reply({"text": "a"}, reason=["end_turn"]), "a"),
    "no reason": (reply({"text": "a"}, reason=None), "a"),
    "metrics as text": (reply({"text": "a"}, metrics="x"), "a"),
    "a tier as text": (reply({"text": "a"}, serviceTier="x"), "a"),
    "an unknown block": (reply({"text": "a"}, {"smell": {}}), "a"),
    "an empty block": (reply({"text": "a"}, {}), "a"),
    "null fields": (reply({"text": "a", "image": None, "toolUse": None}), "a"),
    "an image as text": (reply({"text": "a"}, {"image": "x"}), "a"),
    "reasoning that is empty": (reply({"text": "a"}, {"reasoningContent": {}}), "a"),
    "reasoning as numbers": (reply({"text": "a"}, {"reasoningContent": {"reasoningText": {"text": 7}}}), "a"),
    "citations as text": (reply({"text": "a"}, {"citationsContent": {"content": "x", "citations": "y"}}), "a"),
    "a citation without a place": (reply({"citationsContent": {"content": [{"text": "a"}], "citations": [{}]}}), "a"),
    "additional fields as text": (reply({"text": "a"}, additionalModelResponseFields="x"), "a"),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_field_costs_no_reply(name: str) -> None:
    """A reply that was paid for would be lost for a field that has no use."""
    data, text = ODD[name]
    found = decode(data)
    assert found.text == text
    assert ChatCompletion.from_dict(found.to_dict()).text == text


ODD_CALLS: dict[str, Any] = {
    "input as text": {"toolUseId": "t", "name": "add", "input": '{"a":1}'},
    "an id as a number": {"toolUseId": 7, "name": "add", "input": {"a": 1}},
    "a call as a list of one": [{"toolUseId": "t", "name": "add", "input": {"a": 1}}],
}


@pytest.mark.parametrize("name", ODD_CALLS)
def test_an_odd_call_is_converted(name: str) -> None:
    """A call that was paid for would be lost."""
    (call,) = decode(reply({"toolUse": ODD_CALLS[name]}, reason="tool_use")).message.tool_calls or [ToolCall("")]
    assert (call.function.name, json.loads(call.function.arguments)) == ("add", {"a": 1})
    assert isinstance(call.id, str)


UNREADABLE: dict[str, Any] = {
    "nothing": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "no output": {"stopReason": "end_turn"},
    "output as text": {**reply(), "output": "x"},
    "a block as text": reply("x"),
    "input as a list": reply({"toolUse": {"toolUseId": "t", "name": "a", "input": [1]}}),
    "neither content nor reason": reply(reason=None),
    "nested too deeply": b'{"output":' + b"[" * 300 + b"]" * 300 + b"}",
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_reply_that_cannot_be_read_is_an_error(name: str) -> None:
    """Half a reply would look complete, or another exception would reach the caller."""
    with pytest.raises(APIResponseError) as caught:
        decode(UNREADABLE[name])
    assert caught.value.maybe_billed
    assert caught.value.request_id == "r-1"


# --- errors -----------------------------------------------------------------------------------------------------------


def error(status: int, name: str = "", message: str = "Oops.", **members: Any) -> APIError:
    headers = {"x-amzn-requestid": "r-1"}
    if name:
        headers["x-amzn-errortype"] = f"{name}:http://internal.amazon.com/coral/com.amazon.bedrock/"
    body = json.dumps({"message": message, **members}).encode()
    return DIALECT.error(HttpResponse(status, Headers.of(headers), body))


ERRORS: dict[str, tuple[APIError, type[APIError], bool]] = {
    "validation": (error(400, "ValidationException"), BadRequestError, False),
    "a long prompt": (
        error(400, "ValidationException", "The model returned the following errors: Input Tokens Exceeded: 9 > 1"),
        ContextWindowExceededError,
        False,
    ),
    "a long prompt for Claude": (
        error(400, "ValidationException", "Input is too long for requested model."),
        ContextWindowExceededError,
        False,
    ),
    "quota": (error(400, "ServiceQuotaExceededException"), QuotaExceededError, False),
    "tokens per day": (
        error(429, "ThrottlingException", "Too many tokens per day, please wait."),
        QuotaExceededError,
        False,
    ),
    "throttling": (error(429, "ThrottlingException"), RateLimitError, True),
    "a model that is not ready": (error(429, "ModelNotReadyException"), ServiceUnavailableError, True),
    "an incomplete signature": (error(400, "IncompleteSignatureException"), AuthenticationError, False),
    "an unknown key": (error(403, "UnrecognizedClientException"), AuthenticationError, False),
    "a wrong signature": (error(403, "InvalidSignatureException"), AuthenticationError, False),
    "an expired token": (error(403, "ExpiredTokenException"), AuthenticationError, False),
    "no token": (error(403, "MissingAuthenticationTokenException"), AuthenticationError, False),
    "access": (error(403, "AccessDeniedException"), PermissionDeniedError, False),
    "no model": (error(404, "ResourceNotFoundException"), NotFoundError, False),
    "a slow model": (error(408, "ModelTimeoutException"), InternalServerError, True),
    "a failed model": (error(424, "ModelErrorException"), InternalServerError, True),
    "a model that refused": (error(424, "ModelErrorException", originalStatusCode=422), BadRequestError, False),
    "the server": (error(500, "InternalServerException"), InternalServerError, True),
    "a failure": (error(500, "InternalFailure"), InternalServerError, True),
    "capacity": (error(503, "ServiceUnavailableException"), ServiceUnavailableError, True),
    "an unknown name": (error(403, "NewException"), PermissionDeniedError, False),
    "no name": (error(429), RateLimitError, True),
    "a name in the body": (error(403, __type="com.amazon#ExpiredTokenException"), AuthenticationError, False),
    "another body": (
        DIALECT.error(HttpResponse(502, Headers.of({}), b"<html><title>Bad Gateway</title></html>")),
        InternalServerError,
        True,
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_have_their_class(name: str) -> None:
    """A call would be repeated in vain, or not be repeated; a program would catch another error."""
    found, cls, is_repeated = ERRORS[name]
    assert type(found) is cls
    assert worth_retrying(found) is is_repeated


def test_an_error_has_its_name_and_its_request() -> None:
    """AWS's support could not find the request."""
    found = error(400, "ValidationException")
    assert (found.code, found.type, found.status_code, found.request_id, found.message) == (
        "ValidationException",
        "ValidationException",
        400,
        "r-1",
        "Oops.",
    )
    capital = DIALECT.error(HttpResponse(403, Headers.of({}), b'{"Message": "Forbidden."}'))
    assert capital.message == "Forbidden."


def test_a_failed_model_may_have_been_paid_for() -> None:
    """A caller who pays for each request would not learn that this one may have cost something."""
    found = error(424, "ModelErrorException", originalMessage="CUDA out of memory")
    assert (found.message, found.maybe_billed) == ("CUDA out of memory", True)


@pytest.mark.parametrize(
    "body",
    [
        {"message": "Too many requests", "__type": "ThrottlingException"},
        {"Output": {"__type": "com.amazon.coral.service#UnknownOperationException"}, "Version": "1.0"},
        {"message": "Not here."},
    ],
)
def test_an_error_with_a_good_status_is_an_error(body: dict[str, Any]) -> None:
    """A gateway's error would be a reply without content."""
    with pytest.raises(APIStatusError):
        decode(body)
