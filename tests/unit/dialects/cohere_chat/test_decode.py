"""Decoding of Cohere's replies: a message → OpenAI's record, and encoding the record again."""

import json
import math
from typing import Any

import pytest

from anycompletion.dialects.base import Target
from anycompletion.dialects.cohere_chat.dialect import DIALECT
from anycompletion.errors import (
    APIResponseError,
    APIStatusError,
    ContextWindowExceededError,
    InternalServerError,
    RateLimitError,
    ServiceUnavailableError,
    UnprocessableEntityError,
)
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
from anycompletion.records.logprobs import Logprobs, TokenLogprob

TARGET = Target(provider="cohere", model="command-a", base_url="https://api.cohere.com")
CHAT = ChatRequest("command-a", [UserMessage("Hi")])
LEGACY = ChatRequest("command-a", [UserMessage("Hi")], functions=[FunctionDefinition("add")])

TEXT = {"type": "text", "text": "Hello"}
THINKING = {"type": "thinking", "thinking": "hm"}
CALL = {"id": "add_1", "type": "function", "function": {"name": "add", "arguments": '{"b":2,"a":1}'}}
SECOND = {**CALL, "id": "add_2"}
SOURCE = {"type": "document", "id": "doc:0", "document": {"id": "doc:0", "text": "..."}}


def native(*content: dict[str, Any], reason: str | None = "COMPLETE", **members: Any) -> dict[str, Any]:
    message = {"role": "assistant", **({"content": list(content)} if content else {}), **members}
    usage = {"billed_units": {"input_tokens": 2}, "tokens": {"input_tokens": 3, "output_tokens": 5}}
    return {"id": "gen_1", "message": message, "finish_reason": reason, "usage": usage}


def decode(data: Any, request: ChatRequest = CHAT) -> ChatCompletion:
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return DIALECT.decode(HttpResponse(200, Headers.of({"x-debug-trace-id": "trace"}), body), request, TARGET)


def message(*content: dict[str, Any], request: ChatRequest = CHAT, **members: Any) -> ChatCompletionMessage:
    return decode(native(*content, **members), request).choices[0].message


def test_a_complete_reply() -> None:
    """A plain reply would not have OpenAI's shape."""
    data = native(TEXT)
    reply = decode(data)
    assert reply.to_dict() == {
        "id": "gen_1",
        "object": "chat.completion",
        "created": 0,
        "model": "command-a",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None},
                "finish_reason": "stop",
                "native_finish_reason": "COMPLETE",
                "logprobs": None,
            }
        ],
        "usage": {
            "prompt_tokens": 3,
            "completion_tokens": 5,
            "total_tokens": 8,
            "billed_units": {"input_tokens": 2},
        },
    }
    assert reply.raw == data


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("COMPLETE", "stop"),
        ("STOP_SEQUENCE", "stop"),
        ("MAX_TOKENS", "length"),
        ("TOOL_CALL", "tool_calls"),
        ("ERROR_TOXIC", "content_filter"),
        ("ERROR_LIMIT", "length"),
        ("BRAND_NEW", "BRAND_NEW"),
        (None, None),
    ],
)
def test_finish_reasons(reason: str | None, expected: str | None) -> None:
    """The finish reason would be unknown, or a cut reply would look complete."""
    choice = decode(native(TEXT, reason=reason)).choices[0]
    assert (choice.finish_reason, choice.native_finish_reason) == (expected, reason)


def test_texts_are_joined_and_thinking_is_separate() -> None:
    """A reply in several parts would be cut, or mixed with the reasoning."""
    got = message({**THINKING, "thinking": "a"}, TEXT, {**THINKING, "thinking": "b"}, {**TEXT, "text": "!"})
    assert (got.content, got.reasoning_content) == ("Hello!", "ab")
    assert got.thinking_blocks is None  # blocks are signed, and other providers refuse them without a signature


def test_a_text_as_content() -> None:
    """A content that is a plain text would look empty."""
    assert decode({**native(), "message": {"content": "Hello"}}).text == "Hello"


@pytest.mark.parametrize("content", [[], [TEXT], [{"type": "text", "text": ""}]])
def test_no_native_fields_where_the_fields_are_complete(content: list[dict[str, Any]]) -> None:
    """Every reply would contain its content twice."""
    assert message(*content, tool_plan="", citations=[]).provider_specific_fields is None
    assert message(*content, tool_calls=[CALL]).provider_specific_fields is None


UNSAYABLE: list[tuple[list[dict[str, Any]], dict[str, Any]]] = [
    ([THINKING], {}),
    ([THINKING, TEXT], {}),
    ([TEXT, TEXT], {}),
    ([{**TEXT, "new_member": 1}], {}),
    ([{"type": "of_tomorrow", "x": [1]}], {}),
    ([], {"tool_plan": "I will add."}),
    ([TEXT], {"citations": [{"start": 0, "end": 5, "text": "Hello", "sources": [SOURCE]}]}),
    ([THINKING], {"tool_plan": "I will add.", "citations": [{"type": "PLAN"}]}),
]


@pytest.mark.parametrize(("content", "members"), UNSAYABLE)
def test_native_fields_where_the_fields_are_incomplete(content: list[dict[str, Any]], members: dict[str, Any]) -> None:
    """What OpenAI's fields cannot express would be lost when the reply is sent back."""
    kept = {"content": content} if content and content != [TEXT] else {}
    assert message(*content, **members).provider_specific_fields == {"cohere": {**kept, **members}}


def sent_back(reply: ChatCompletionMessage, *more: Message) -> list[dict[str, Any]]:
    sent = DIALECT.encode(ChatRequest("command-a", [UserMessage("Hi"), reply, *more]), TARGET, {})
    assert sent.body is not None
    assert sent.warnings == []
    messages: list[dict[str, Any]] = sent.body["messages"][1:]
    return messages


@pytest.mark.parametrize(("content", "members"), UNSAYABLE)
def test_replies_are_sent_back_unchanged(content: list[dict[str, Any]], members: dict[str, Any]) -> None:
    """Cohere would not recognise its own turn in a tool use of several steps."""
    data = native(*content, tool_calls=[CALL, SECOND], **members)["message"]
    got = sent_back(decode({**native(), "message": data}).choices[0].message, ToolMessage("3", "add_1"))
    expected = {**data, "content": "Hello"} if content == [TEXT] else data
    assert got == [expected, {"role": "tool", "tool_call_id": "add_1", "content": "3"}]


def test_a_reply_kept_as_json_is_sent_back_unchanged() -> None:
    """A conversation kept as JSON would lose its plan and its thinking."""
    reply = decode(native(THINKING, TEXT, tool_plan="p", tool_calls=[CALL]))
    again = ChatCompletion.from_dict(json.loads(json.dumps(reply.to_dict())))
    assert sent_back(again.choices[0].message) == sent_back(reply.choices[0].message)


def test_tool_calls() -> None:
    """Calls would lose their order, their ids, or empty arguments."""
    bare = {"id": "now_1", "type": "function", "function": {"name": "now", "arguments": ""}}
    got = decode(native(tool_calls=[CALL, bare], reason="TOOL_CALL")).choices[0]
    assert got.finish_reason == "tool_calls"
    assert [call.to_dict() for call in got.message.tool_calls or ()] == [
        CALL,
        {**bare, "function": {"name": "now", "arguments": "{}"}},
    ]


def test_legacy_calls_are_answered_in_the_legacy_form() -> None:
    """Code that uses `functions` would get a reply without a function call."""
    choice = decode(native(tool_calls=[CALL], reason="TOOL_CALL"), LEGACY).choices[0]
    assert choice.finish_reason == "function_call"
    assert choice.message.function_call is not None
    assert choice.message.function_call.to_dict() == CALL["function"]
    assert choice.message.tool_calls is None
    assert choice.message.provider_specific_fields is None


def test_calls_beyond_the_legacy_form_are_kept() -> None:
    """Calls for which the legacy form has no place would be lost."""
    got = message(tool_calls=[CALL, SECOND], request=LEGACY)
    assert got.provider_specific_fields == {"cohere": {"tool_calls": [CALL, SECOND]}}


def test_a_round_with_functions() -> None:
    """A legacy call and its result would get different ids."""
    asked, answered = sent_back(message(tool_calls=[CALL], request=LEGACY), FunctionMessage("3", "add"))
    assert asked["tool_calls"][0]["id"] == answered["tool_call_id"]


def test_citations() -> None:
    """Citations would be lost, or would point to a wrong place in the reply."""
    first = {"start": 0, "end": 5, "text": "Hello", "sources": [SOURCE]}
    second = {"start": 1, "end": 3, "text": "Wö", "sources": [], "type": "TEXT_CONTENT", "content_index": 2}
    plan = {"start": 0, "end": 1, "text": "I", "type": "PLAN"}
    thought = {"start": 0, "end": 1, "text": "h", "type": "THINKING_CONTENT", "content_index": 1}
    content = (TEXT, THINKING, {"type": "text", "text": " Wörld"})
    got = message(*content, citations=[first, second, plan, thought])
    assert [item.to_dict() for item in got.annotations or ()] == [
        {"type": "citation", "content_start_index": 0, "content_end_index": 5, "citation": first},
        {"type": "citation", "content_start_index": 6, "content_end_index": 8, "citation": second},
        {"type": "citation", "citation": plan},
        {"type": "citation", "citation": thought},
    ]
    assert got.content is not None
    assert isinstance(got.content, str)
    assert got.content[6:8] == "Wö"


# --- counts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {
                "billed_units": {"input_tokens": 2.0, "search_units": 1},
                "tokens": {"input_tokens": 30.0, "output_tokens": 5.0, "reasoning_tokens": 4, "image_tokens": 7},
                "cached_tokens": 16.0,
            },
            Usage(
                30,
                5,
                35,
                PromptTokensDetails(16, image_tokens=7),
                CompletionTokensDetails(4),
                extra={"billed_units": {"input_tokens": 2.0, "search_units": 1}},
            ),
        ),
        (
            {"tokens": {"input_tokens": 0, "output_tokens": 0}, "cached_tokens": 0},
            Usage(0, 0, 0, PromptTokensDetails(0)),
        ),
        ({"tokens": {"output_tokens": 5, "x": 1}}, Usage(None, 5, None, extra={"tokens": {"x": 1}})),
        ({"tokens": {"input_tokens": 1.5, "output_tokens": "4"}}, Usage(1, 4, 5)),
        ({"tokens": {"input_tokens": {}}, "cached_tokens": ["2"]}, Usage(None, None, None, PromptTokensDetails(2))),
        ('{"tokens": {"input_tokens": 3}}', Usage(3)),
        (["x", "y"], None),
        ({"billed_units": {"input_tokens": 2}, "tokens": None}, Usage(extra={"billed_units": {"input_tokens": 2}})),
        ({}, None),
        (None, None),
    ],
)
def test_usage(usage: Any, expected: Usage | None) -> None:
    """Counts would be floats or billed units, or unknown counts would look like zeros."""
    got = decode({**native(TEXT), "usage": usage}).usage
    assert got == expected
    assert got is None or type(got.prompt_tokens) in (int, type(None))


def test_logprobs() -> None:
    """Probabilities would be lost, or those of several tokens would look like one token's."""
    data = native(TEXT) | {
        "logprobs": [
            {"text": "Hel", "token_ids": [7], "logprobs": [-0.5]},
            {"text": "lo", "token_ids": [8, 9], "logprobs": [-0.25, -1]},
        ]
    }
    assert decode(data).choices[0].logprobs == Logprobs(
        [
            TokenLogprob("Hel", -0.5, extra={"token_ids": [7], "logprobs": [-0.5]}),
            TokenLogprob("lo", -1.25, extra={"token_ids": [8, 9], "logprobs": [-0.25, -1]}),
        ]
    )
    assert decode(native(TEXT) | {"logprobs": []}).choices[0].logprobs is None


@pytest.mark.parametrize("numbers", [None, [], ["x"], [-1, None], {}])
def test_a_missing_logprob_is_not_a_number(numbers: Any) -> None:
    """A piece without a number would look certain, or would be missing between its neighbours."""
    logprobs = decode(native(TEXT) | {"logprobs": [{"text": "x", "logprobs": numbers}]}).choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert math.isnan(logprobs.content[0].logprob)


def test_unknown_members_are_kept() -> None:
    """Members that Cohere adds later would be lost."""
    reply = decode({**native(TEXT, mood="good", nothing=None), "speed": 1, "nothing": None})
    assert reply.extra == {"speed": 1}
    assert reply.choices[0].message.extra == {"mood": "good"}
    call = {**CALL, "x": 1, "function": {**CALL["function"], "y": 2}}  # type: ignore[dict-item]
    assert message(tool_calls=[call]).tool_calls[0].to_dict() == call  # type: ignore[index]


# --- bodies that are not messages -------------------------------------------------------------------------------------

FAILED: list[tuple[Any, type[APIStatusError], int, str | None, str]] = [
    (native(TEXT, reason="ERROR"), InternalServerError, 500, "ERROR", "the generation failed"),
    (native(TEXT, reason="TIMEOUT"), InternalServerError, 504, "TIMEOUT", "the generation ran into a timeout"),
    (
        {"finish_reason": "ERROR", "error": "Bad tools.", "error_type": "INVALID_TOOL_GENERATION"},
        UnprocessableEntityError,
        422,
        "INVALID_TOOL_GENERATION",
        "Bad tools.",
    ),
    (native(TEXT, reason="ERROR_OF_TOMORROW"), InternalServerError, 500, "ERROR_OF_TOMORROW", "the generation failed"),
    (native(TEXT, reason="error"), InternalServerError, 500, "error", "the generation failed"),
    (native(TEXT) | {"error": "Oh."}, InternalServerError, 500, None, "Oh."),
    (native(TEXT) | {"errors": [{"message": "Oh.", "code": "c"}]}, InternalServerError, 500, "c", "Oh."),
    ({"finish_reason": "ERROR", "message": "Oh."}, InternalServerError, 500, "ERROR", "Oh."),
    ({"id": "gen_1", "message": "Oh."}, InternalServerError, 500, None, "Oh."),
    ({"id": "gen_1", "message": "too many tokens: 9"}, ContextWindowExceededError, 400, None, "too many tokens: 9"),
    ({"error": {"message": "Slow down.", "code": 429}}, RateLimitError, 429, "429", "Slow down."),
    ({"error": '{"message": "Busy.", "code": "503"}'}, ServiceUnavailableError, 503, "503", "Busy."),
    ({"object": "error", "message": "Oh.", "type": "t"}, InternalServerError, 500, "t", "Oh."),
    ({"detail": "Oh."}, InternalServerError, 500, None, "Oh."),
    ([{"error": "Oh."}], InternalServerError, 500, None, "Oh."),
    ("Oh.", InternalServerError, 500, None, "Oh."),
]


@pytest.mark.parametrize(("data", "cls", "status", "code", "text"), FAILED)
def test_a_failure_inside_a_200(data: Any, cls: type[APIStatusError], status: int, code: str | None, text: str) -> None:
    """A failed generation would be read as an empty or a complete reply."""
    with pytest.raises(APIStatusError) as caught:
        decode(data)
    error = caught.value
    assert type(error) is cls
    assert (error.message, error.status_code, error.code, error.request_id) == (text, status, code, "trace")
    assert error.body == json.dumps(data)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"<html>", "not JSON"),
        (b"[]", "body"),
        (b"7", "body"),
        (b"{}", "message"),
        (b'{"message": []}', "message"),
        (b'{"message": "Hello", "finish_reason": "COMPLETE"}', "message"),
        (native(7), r"content\[0\]"),  # type: ignore[arg-type]
        (native(content=True), "content"),
        (native(tool_calls="x"), "tool_calls"),
        (native(tool_calls=["x"]), r"tool_calls\[0\]"),
        (native(tool_calls=[{"id": "a", "function": "f"}]), r"tool_calls\[0\].function"),
    ],
)
def test_what_cannot_be_converted_is_an_error(body: Any, where: str) -> None:
    """A part of the reply would be lost silently, or an undocumented exception would be raised."""
    with pytest.raises(APIResponseError, match=where) as caught:
        decode(body)
    assert caught.value.status_code == 200
    assert caught.value.request_id == "trace"
    assert caught.value.body


# --- fields of another type ------------------------------------------------------------------------------------------

ARGUMENTS = {"name": "add", "arguments": '{"a":1}'}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Hello", "Hello"),
        (TEXT, "Hello"),
        ([[TEXT]], "Hello"),
        ([None, TEXT], "Hello"),
        (["Hel", "lo"], "Hello"),
        ([json.dumps(TEXT)], "Hello"),
        ([{"type": "text", "text": ["Hel", "lo"]}], "Hello"),
        ([{"type": "text", "text": 7}], "7"),
        ([{"type": "text", "text": {"a": 1}}], '{"a":1}'),
        ([{"type": "text", "text": None}], None),
        ([{"type": 7, "text": "Hello"}], "Hello"),
        ([{"type": None, "text": "Hello"}], "Hello"),
        ([{"type": ["text"], "text": "Hello"}], "Hello"),
        ([{"text": "Hello"}], "Hello"),
    ],
)
def test_texts_in_other_forms(content: Any, text: str | None) -> None:
    """A text in another form would cost the reply."""
    assert message(content=content).content == text


@pytest.mark.parametrize("part", [{"thinking": "hm"}, {"type": 1, "thinking": ["h", "m"]}, {**THINKING, "x": None}])
def test_thinking_in_other_forms_is_sent_back_in_coheres(part: Any) -> None:
    """Cohere would refuse its own turn for a type that it did not send."""
    got = message(part, TEXT)
    assert got.reasoning_content == "hm"
    assert sent_back(got) == [{"role": "assistant", "content": [THINKING, TEXT]}]


@pytest.mark.parametrize(
    ("calls", "call_id", "function"),
    [
        ({"id": "a", "function": ARGUMENTS}, "a", ARGUMENTS),
        ([None, {"id": "a", "function": ARGUMENTS}], "a", ARGUMENTS),
        ([json.dumps({"id": "a", "function": ARGUMENTS})], "a", ARGUMENTS),
        ([{"id": 7, "type": 7, "function": [ARGUMENTS]}], "7", ARGUMENTS),
        ([{"id": {}, "function": json.dumps(ARGUMENTS)}], "", ARGUMENTS),
        ([{"id": "a", "function": {"name": "add", "arguments": {"a": 1}}}], "a", ARGUMENTS),
        ([{"id": "a", "function": {"name": ["add"], "arguments": ['{"a"', ":1}"]}}], "a", ARGUMENTS),
        ([{"id": "a", "function": {"name": "add", "arguments": None}}], "a", {"name": "add", "arguments": "{}"}),
    ],
)
def test_calls_in_other_forms(calls: Any, call_id: str, function: dict[str, str]) -> None:
    """A call in another form would cost the reply."""
    got = message(tool_calls=calls).tool_calls
    assert got is not None
    assert [(call.id, call.type, call.function.to_dict()) for call in got] == [(call_id, "function", function)]


ODD: list[Any] = [None, True, 7, 1.5, "odd", [], ["odd", "odd"], {"odd": 1}]


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("name", ["id", "usage", "logprobs", "finish_reason", "object", "detail", "title", "new"])
def test_an_odd_field_of_the_reply_costs_nothing(name: str, value: Any) -> None:
    """A field that is not needed would cost a paid reply."""
    assert decode({**native(TEXT), name: value}).choices[0].message.content == "Hello"


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("name", ["role", "tool_plan", "citations", "new"])
def test_an_odd_field_of_the_message_costs_nothing(name: str, value: Any) -> None:
    """A field that is not needed would cost a paid message."""
    assert message(TEXT, **{name: value}).content == "Hello"


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("name", ["start", "end", "content_index", "type", "sources", "new"])
def test_an_odd_field_of_a_citation_costs_nothing(name: str, value: Any) -> None:
    """A field that is not needed would cost the reply, or the citation."""
    citation = {"start": 0, "end": 2, "text": "He", name: value}
    (got,) = message(TEXT, citations=[citation]).annotations or ()
    assert got.extra["citation"] == citation
