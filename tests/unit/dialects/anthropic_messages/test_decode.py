"""Decoding of Anthropic's replies: a message → OpenAI's record, and encoding the record again."""

import json
from typing import Any

import pytest

from anycompletion.dialects.anthropic_messages.dialect import DIALECT
from anycompletion.dialects.base import Target
from anycompletion.errors import APIResponseError, OverloadedError
from anycompletion.http import Headers, HttpResponse
from anycompletion.records import (
    ChatCompletion,
    ChatCompletionMessage,
    ChatRequest,
    CompletionTokensDetails,
    FunctionDefinition,
    FunctionMessage,
    Message,
    PromptTokensDetails,
    ToolMessage,
    Usage,
    UserMessage,
)

TARGET = Target(provider="anthropic", model="claude-opus-4-6", base_url="https://api.anthropic.com")
CHAT = ChatRequest("claude-opus-4-6", [UserMessage("Hi")], max_tokens=9)
LEGACY = ChatRequest("claude-opus-4-6", [UserMessage("Hi")], max_tokens=9, functions=[FunctionDefinition("add")])

TEXT = {"type": "text", "text": "Hello"}
THINKING = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
REDACTED = {"type": "redacted_thinking", "data": "eA=="}
USE = {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"b": 2, "a": 1}}
SERVER = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
WEB = {
    "type": "web_search_result_location",
    "url": "https://x",
    "title": None,
    "cited_text": "c",
    "encrypted_index": "e",
}
CHAR = {"type": "char_location", "cited_text": "c", "document_index": 0, "start_char_index": 3, "end_char_index": 9}


def native(*content: dict[str, Any], stop_reason: str | None = "end_turn", **members: Any) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-4-6",
        "content": list(content),
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 5},
        **members,
    }


def decode(data: Any, request: ChatRequest = CHAT) -> ChatCompletion:
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return DIALECT.decode(HttpResponse(200, Headers.of({"request-id": "req_1"}), body), request, TARGET)


def message(*content: dict[str, Any], request: ChatRequest = CHAT) -> ChatCompletionMessage:
    return decode(native(*content), request).choices[0].message


def test_a_complete_reply():
    """A plain reply would not have OpenAI's shape."""
    data = native(TEXT)
    reply = decode(data)
    assert reply.to_dict() == {
        "id": "msg_1",
        "object": "chat.completion",
        "created": 0,
        "model": "claude-opus-4-6",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None},
                "finish_reason": "stop",
                "native_finish_reason": "end_turn",
                "logprobs": None,
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8},
    }
    assert reply.raw == data


@pytest.mark.parametrize(
    ("native_reason", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("brand_new", "brand_new"),
        (None, None),
    ],
)
def test_finish_reasons(native_reason: str | None, reason: str | None):
    """The finish reason would be unknown, or a cut reply would look complete."""
    choice = decode(native(TEXT, stop_reason=native_reason)).choices[0]
    assert (choice.finish_reason, choice.native_finish_reason) == (reason, native_reason)


@pytest.mark.parametrize("content", [[TEXT], [THINKING, SERVER]])
def test_a_paused_turn_is_reported_and_goes_back_as_it_came(content: list[dict[str, Any]]) -> None:
    """A run would end in the middle of a turn of Anthropic's own tools, or a reply that is read again would lose it."""
    reply = decode(native(*content, stop_reason="pause_turn"))
    assert reply.choices[0].paused
    assert reply.to_dict()["choices"][0]["paused"] is True
    assert ChatCompletion.from_dict(reply.to_dict()).choices[0] == reply.choices[0]
    blocks = sent_back(reply.message)[0]["content"]
    assert blocks == (content if content != [TEXT] else TEXT["text"])


def test_a_finished_turn_is_not_paused() -> None:
    """Every reply would be asked for again, or each would have a field in its JSON that OpenAI's replies lack."""
    reply = decode(native(TEXT, stop_reason="end_turn"))
    assert not reply.choices[0].paused
    assert "paused" not in reply.to_dict()["choices"][0]


def test_stop_sequence_is_kept():
    """The stop sequence that ended the reply would be lost."""
    assert decode(native(TEXT, stop_reason="stop_sequence", stop_sequence="END")).choices[0].extra == {
        "stop_sequence": "END"
    }


def test_refusal_with_and_without_an_explanation():
    """A refusal would look like an empty reply, or would have an invented explanation."""
    details = {"type": "refusal", "category": "cyber", "explanation": "No."}
    choice = decode(native(stop_reason="refusal", stop_details=details)).choices[0]
    assert (choice.message.content, choice.message.refusal, choice.finish_reason) == (None, "No.", "content_filter")
    assert choice.extra == {"stop_details": details}
    assert decode(native(stop_reason="refusal", stop_details=None)).choices[0].message.refusal is None
    assert decode(native(stop_reason="refusal")).choices[0].message.refusal is None


def test_thinking():
    """Reasoning would be lost, or its blocks would be changed and refused when they are sent back."""
    got = message({**THINKING, "thinking": "a"}, REDACTED, {**THINKING, "thinking": "b"}, TEXT)
    assert got.reasoning_content == "ab"
    assert got.thinking_blocks == [{**THINKING, "thinking": "a"}, REDACTED, {**THINKING, "thinking": "b"}]
    assert got.provider_specific_fields is None


def test_omitted_thinking():
    """Omitted thinking would count as reasoning text, or its signature would be lost."""
    got = message({**THINKING, "thinking": ""}, TEXT)
    assert got.reasoning_content is None
    assert got.thinking_blocks == [{**THINKING, "thinking": ""}]


def test_tool_calls():
    """Calls would lose their order, their arguments' order or their ids."""
    got = decode(native(TEXT, USE, {**USE, "id": "toolu_2", "input": {}}, stop_reason="tool_use")).choices[0]
    assert got.finish_reason == "tool_calls"
    assert [call.to_dict() for call in got.message.tool_calls or ()] == [
        {"id": "toolu_1", "type": "function", "function": {"name": "add", "arguments": '{"b":2,"a":1}'}},
        {"id": "toolu_2", "type": "function", "function": {"name": "add", "arguments": "{}"}},
    ]
    assert got.message.provider_specific_fields is None


def test_legacy_calls_are_answered_in_the_legacy_form():
    """Code that uses `functions` would get a reply without a function call."""
    choice = decode(native(TEXT, USE, stop_reason="tool_use"), LEGACY).choices[0]
    assert choice.finish_reason == "function_call"
    assert choice.message.function_call is not None
    assert choice.message.function_call.to_dict() == {"name": "add", "arguments": '{"b":2,"a":1}'}
    assert choice.message.tool_calls is None
    assert choice.message.provider_specific_fields is None


def test_citations():
    """Citations would be lost, or would point to a wrong place in the reply."""
    got = message(TEXT, {"type": "text", "text": " Wörld", "citations": [WEB, CHAR]})
    assert got.content == "Hello Wörld"
    assert [item.to_dict() for item in got.annotations or ()] == [
        {
            "type": "url_citation",
            "url_citation": {"url": "https://x", "title": "", "start_index": 5, "end_index": 11},
            "cited_text": "c",
            "encrypted_index": "e",
        },
        {
            "type": "char_location",
            "content_start_index": 5,
            "content_end_index": 11,
            "cited_text": "c",
            "document_index": 0,
            "start_char_index": 3,
            "end_char_index": 9,
        },
    ]


SAYABLE = [
    [],
    [TEXT],
    [{**TEXT, "citations": None}],
    [{**TEXT, "citations": []}, USE],
    [THINKING, REDACTED, TEXT, USE, {**USE, "id": "toolu_2"}],
    [USE],
    [THINKING, {"type": "text", "text": ""}, {**USE, "caller": {"type": "direct"}}],
]
UNSAYABLE = [
    [TEXT, TEXT],
    [TEXT, THINKING],
    [USE, TEXT],
    [THINKING, USE, THINKING, {**USE, "id": "toolu_2"}],
    [{**TEXT, "citations": [WEB]}],
    [SERVER, FOUND, TEXT],
    [TEXT, {"type": "container_upload", "file_id": "f"}],
    [{"type": "of_tomorrow", "x": [1]}],
    [{**USE, "caller": {"type": "code_execution_20260120", "tool_id": "srvtoolu_1"}}],
    [{**TEXT, "new_member": 1}],
]


@pytest.mark.parametrize("content", SAYABLE)
def test_no_native_blocks_where_the_fields_are_complete(content: list[dict[str, Any]]):
    """Every reply would contain its content twice."""
    assert message(*content).provider_specific_fields is None


@pytest.mark.parametrize("content", UNSAYABLE)
def test_native_blocks_where_the_fields_are_incomplete(content: list[dict[str, Any]]):
    """What OpenAI's fields cannot express would be lost when the reply is sent back."""
    assert message(*content).provider_specific_fields == {"anthropic_content": content}


def sent_back(reply: ChatCompletionMessage, *more: Message) -> list[dict[str, Any]]:
    request = ChatRequest("claude-opus-4-6", [UserMessage("Hi"), reply, *more], max_tokens=9)
    sent = DIALECT.encode(request, TARGET, {})
    assert sent.body is not None
    assert sent.warnings == []
    return sent.body["messages"][1:]


@pytest.mark.parametrize("content", [content for content in (*SAYABLE, *UNSAYABLE)[1:] if content != TEXT])
def test_replies_are_sent_back_unchanged(content: list[dict[str, Any]]):
    """Anthropic would refuse a turn whose thinking or server tools were changed."""
    got = sent_back(message(*content))[0]["content"]
    if isinstance(got, str):
        got = [{"type": "text", "text": got}]
    expected = [
        {name: value for name, value in block.items() if (name, value) not in OPTIONAL}
        for block in content
        if block != {"type": "text", "text": ""}
    ]
    assert got == expected


OPTIONAL: list[tuple[str, Any]] = [("citations", None), ("citations", []), ("caller", {"type": "direct"})]


def test_a_round_with_tools():
    """The result of a call would lose its call."""
    sent = sent_back(message(THINKING, USE), ToolMessage("3", "toolu_1"))
    assert sent == [
        {"role": "assistant", "content": [THINKING, USE]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "3"}]},
    ]


@pytest.mark.parametrize("content", [[USE], [SERVER, FOUND, USE]])
def test_a_round_with_functions(content: list[dict[str, Any]]):
    """A legacy call and its result would get different ids."""
    asked, answered = sent_back(message(*content, request=LEGACY), FunctionMessage("3", "add"))
    assert asked["content"][-1]["id"] == answered["content"][0]["tool_use_id"]


# --- usage ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {
                "input_tokens": 1,
                "cache_read_input_tokens": 20,
                "cache_creation_input_tokens": 300,
                "output_tokens": 4000,
                "output_tokens_details": {"thinking_tokens": 7, "other": 1},
                "service_tier": "standard",
                "cache_creation": {"ephemeral_5m_input_tokens": 300},
                "server_tool_use": None,
            },
            Usage(
                321,
                4000,
                4321,
                PromptTokensDetails(20, cache_write_tokens=300),
                CompletionTokensDetails(7, extra={"other": 1}),
                extra={"service_tier": "standard", "cache_creation": {"ephemeral_5m_input_tokens": 300}},
            ),
        ),
        ({"input_tokens": 0, "output_tokens": 0, "cache_read_input_tokens": 0}, Usage(0, 0, 0, PromptTokensDetails(0))),
        ({"output_tokens": 5}, Usage(None, 5, None)),
        ({}, Usage()),
        (None, None),
    ],
)
def test_usage(usage: dict[str, Any] | None, expected: Usage | None):
    """Cached tokens would be missing from the counts, or unknown counts would look like zeros."""
    assert decode(native(TEXT, usage=usage)).usage == expected


def test_unknown_members_are_kept():
    """The container id that a later request needs would be lost."""
    container = {"id": "c", "expires_at": "2026-01-01"}
    reply = decode(native(TEXT, container=container, context_management=None, usage={"service_tier": "priority"}))
    assert reply.extra == {"container": container}
    assert reply.service_tier == "priority"


# --- bodies that are not messages -------------------------------------------------------------------------------------


def test_an_error_inside_a_200():
    """An error would be read as an empty reply."""
    with pytest.raises(OverloadedError, match="Busy") as caught:
        decode({"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}})
    assert caught.value.status_code == 529
    assert caught.value.request_id == "req_1"


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"<html>", "not JSON"),
        (b"[]", "body"),
        (b"{}", "content"),
        (native(TEXT, content="text"), "content"),
        (native("text"), r"content\[0\]"),  # type: ignore[arg-type]
        (native({**USE, "input": "x"}), r"content\[0\].input"),
        (native({**USE, "input": [1, 2]}), r"content\[0\].input"),
        (native(stop_reason=None), "stop_reason"),
    ],
)
def test_malformed(body: Any, where: str):
    """An undocumented exception would be raised, or one without the reply's problem."""
    with pytest.raises(APIResponseError, match=where) as caught:
        decode(body)
    assert caught.value.status_code == 200
    assert caught.value.request_id == "req_1"
    assert caught.value.body
