"""Whole replies in OpenAI's format whose fields have other types, names or places than OpenAI documents."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anycompletion.dialects.base import Target
from anycompletion.dialects.openai_chat.dialect import DIALECT
from anycompletion.http import Headers, HttpResponse
from anycompletion.records import (
    Annotation,
    ChatCompletion,
    ChatCompletionMessage,
    ChatRequest,
    CustomPart,
    FunctionCall,
    RefusalPart,
    TextPart,
    ToolCall,
    Usage,
    UserMessage,
)

CHAT = ChatRequest("m", [UserMessage("Hi")])
TARGET = Target(provider="openai", model="m", base_url="https://x")


def decode(body: Any) -> ChatCompletion:
    return DIALECT.decode(HttpResponse(200, Headers.of({}), json.dumps(body).encode()), CHAT, TARGET)


def reply(*choices: Any, **fields: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "gpt-4o",
        "choices": list(choices),
        **fields,
    }


def choice(index: Any = 0, **message: Any) -> dict[str, Any]:
    return {"index": index, "message": {"role": "assistant", **message}, "finish_reason": "stop"}


def message_of(**message: Any) -> ChatCompletionMessage:
    return decode(reply(choice(**message))).choices[0].message


# --- content ---


def thinking(value: Any) -> dict[str, Any]:
    return {"type": "thinking", "thinking": value}


def text(value: Any) -> dict[str, Any]:
    return {"type": "text", "text": value}


CONTENTS: list[tuple[Any, ChatCompletionMessage]] = [
    # what is no list
    (5, ChatCompletionMessage("5")),
    (True, ChatCompletionMessage("true")),
    ({"title": "é", "n": 1}, ChatCompletionMessage('{"title":"é","n":1}')),
    # lists that are no parts
    ([], ChatCompletionMessage("")),
    ([None], ChatCompletionMessage("")),
    (["Hi", " you"], ChatCompletionMessage("Hi you")),
    (["Hi", None], ChatCompletionMessage("Hi")),
    (['{"title": "x"}'], ChatCompletionMessage('{"title": "x"}')),
    ([{"title": "x"}], ChatCompletionMessage('[{"title":"x"}]')),
    ([1, 2], ChatCompletionMessage("[1,2]")),
    # texts
    ([text("Hi "), text("you")], ChatCompletionMessage("Hi you")),
    ([text("Hi "), None, "you"], ChatCompletionMessage("Hi you")),
    ([{"text": "Hi"}, {"type": "output_text", "text": 5}], ChatCompletionMessage("Hi5")),
    (['{"type": "text", "text": "Hi"}'], ChatCompletionMessage("Hi")),
    ([[text("Hi "), text("you")]], ChatCompletionMessage("Hi you")),
    ([[1, 2]], ChatCompletionMessage("[[1,2]]")),
    (
        [{"type": None, "text": "Hi"}, {"type": 7, "thinking": "Hm"}],
        ChatCompletionMessage("Hi", reasoning_content="Hm"),
    ),
    # reasoning
    ([thinking("Hm")], ChatCompletionMessage(None, reasoning_content="Hm")),
    ([thinking([text("H"), text("m")]), text("Hi")], ChatCompletionMessage("Hi", reasoning_content="Hm")),
    ([thinking(["H", "m"]), text("Hi")], ChatCompletionMessage("Hi", reasoning_content="Hm")),
    ([thinking(text("Hm")), text("Hi")], ChatCompletionMessage("Hi", reasoning_content="Hm")),
    ([thinking(5), text("Hi")], ChatCompletionMessage("Hi", reasoning_content="")),
    (
        [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]}, text("Hi")],
        ChatCompletionMessage("Hi", reasoning_content="Hm"),
    ),
    ([{"type": "reasoning", "text": "Hm"}, text("Hi")], ChatCompletionMessage("Hi", reasoning_content="Hm")),
    # others
    (
        [text("Hi"), {"type": "reference", "reference_ids": [1]}, text(" you")],
        ChatCompletionMessage("Hi you", annotations=[Annotation("reference", extra={"reference_ids": [1]})]),
    ),
    ([{"type": "refusal", "refusal": "No."}], ChatCompletionMessage(None, "No.")),
    (
        [text("Hi"), {"type": "image_url", "image_url": {"url": "u"}}],
        ChatCompletionMessage("Hi", extra={"images": [{"type": "image_url", "image_url": {"url": "u"}}]}),
    ),
    ([text("Hi"), {"type": "of_tomorrow", "text": "?"}], ChatCompletionMessage("Hi")),
    ([{"type": "of_tomorrow"}], ChatCompletionMessage(None)),
]


@pytest.mark.parametrize(("content", "expected"), CONTENTS)
def test_content_of_any_form_is_a_text(content: Any, expected: ChatCompletionMessage):
    """A content would cost the reply, or be a list where programs expect a text."""
    assert message_of(content=content) == expected


def test_parts_stay_available():
    """A part of a type that OpenAI does not have would be lost."""
    content = ["Hi", text(" you"), {"type": "refusal", "refusal": "No."}, {"type": "of_tomorrow", "x": 1}]
    body = reply(choice(content=content))
    found = decode(body)
    assert found.choices[0].message.parts == [
        TextPart("Hi"),
        TextPart(" you"),
        RefusalPart("No."),
        CustomPart("of_tomorrow", extra={"x": 1}),
    ]
    assert "parts" not in found.to_dict()["choices"][0]["message"]
    assert found.raw == body
    assert message_of(content="Hi").parts is None


def test_parts_add_to_fields_that_a_message_has():
    """A part would replace the field of the message."""
    citation = {"type": "reference", "reference_ids": [1]}
    message = message_of(
        content=[thinking("part"), {"type": "refusal", "refusal": "part"}, citation],
        reasoning_content="own",
        refusal="own",
        annotations=[{"type": "own"}],
    )
    assert (message.reasoning_content, message.refusal) == ("own", "own")
    assert message.annotations == [Annotation("own"), Annotation("reference", extra={"reference_ids": [1]})]


# --- reasoning ---

REASONING: list[tuple[dict[str, Any], str | None, dict[str, Any]]] = [
    ({"reasoning": "r"}, "r", {}),
    ({"reasoning_content": "r"}, "r", {}),
    ({"reasoning_content": "", "reasoning": "r"}, "r", {}),
    ({"reasoning_content": None, "reasoning": "r"}, "r", {}),
    ({"reasoning_content": "a", "reasoning": "b"}, "a", {"reasoning": "b"}),
    ({"reasoning_content": "a", "reasoning": ""}, "a", {"reasoning": ""}),
    ({"reasoning": {"content": "r"}}, "r", {}),
    ({"reasoning": {"effort": "low", "summary": [{"type": "summary_text", "text": "r"}]}}, "r", {}),
    ({"reasoning": [text("r"), thinking("s")]}, "rs", {}),
    ({"reasoning": ["r", None, "s"]}, "rs", {}),
    ({"reasoning_content": {"text": "r"}}, "r", {}),
    ({"reasoning_content": [text("r"), text("s")]}, "rs", {}),
    ({"reasoning_content": {"effort": "low"}}, '{"effort":"low"}', {}),
    ({"reasoning_content": 5}, "5", {}),
    ({"reasoning": None}, None, {"reasoning": None}),
    ({"reasoning": {"effort": "low"}}, None, {"reasoning": {"effort": "low"}}),
    ({"reasoning": True}, None, {"reasoning": True}),
]


@pytest.mark.parametrize(("fields", "reasoning", "extra"), REASONING)
def test_reasoning_of_any_form_has_one_name(fields: dict[str, Any], reasoning: str | None, extra: dict[str, Any]):
    """A server's reasoning would be lost because the field has another name or form."""
    expected = ChatCompletionMessage("x", reasoning_content=reasoning, extra=extra)
    assert message_of(content="x", **fields) == expected


# --- calls ---

CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}

CALLS: list[tuple[Any, list[ToolCall] | None]] = [
    ([CALL | {"function": {"name": "f", "arguments": {"a": 1}}}], [ToolCall("c", FunctionCall("f", '{"a":1}'))]),
    ([CALL | {"function": {"name": "f", "arguments": None}}], [ToolCall("c", FunctionCall("f"))]),
    ([CALL | {"function": {"name": "f"}}], [ToolCall("c", FunctionCall("f"))]),
    ([CALL | {"id": 7}], [ToolCall("7", FunctionCall("f", '{"a":1}'))]),
    ([CALL | {"id": None, "type": None}], [ToolCall("", FunctionCall("f", '{"a":1}'))]),
    (CALL, [ToolCall("c", FunctionCall("f", '{"a":1}'))]),
    ([None, CALL], [ToolCall("c", FunctionCall("f", '{"a":1}'))]),
    ([json.dumps(CALL)], [ToolCall("c", FunctionCall("f", '{"a":1}'))]),
    ([{"id": "c", "name": "f", "arguments": {}}], [ToolCall("c", FunctionCall("f", "{}"))]),
    ([None], None),
    ([], None),
    ({}, None),
    ("", None),
]


@pytest.mark.parametrize(("calls", "expected"), CALLS)
def test_tool_calls_of_any_form(calls: Any, expected: list[ToolCall] | None):
    """A complete call would cost the reply, or be lost."""
    message = message_of(content="x", tool_calls=calls)
    assert (message.tool_calls, message.content) == (expected, "x")


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ({"name": "f", "arguments": {"a": 1}}, FunctionCall("f", '{"a":1}')),
        ([{"name": "f"}], FunctionCall("f")),
        ({}, None),
        ([], None),
        ("", None),
    ],
)
def test_function_calls_of_any_form(call: Any, expected: FunctionCall | None):
    """A complete legacy call would cost the reply."""
    assert message_of(content="x", function_call=call) == ChatCompletionMessage("x", function_call=expected)


# --- choices ---

INDEXES: list[tuple[list[Any], list[int]]] = [
    ([1, 0], [1, 0]),
    (["1", "0"], [1, 0]),
    ([None, None], [0, 1]),
    ([0, 0], [0, 1]),
    ([1, 1, 0], [0, 1, 2]),
    ([0, {}], [0, 1]),
    ([4.0], [4]),
]


@pytest.mark.parametrize(("indexes", "expected"), INDEXES)
def test_choices_have_distinct_indexes(indexes: list[Any], expected: list[int]):
    """A program that finds choices by index would see only one of two."""
    found = decode(reply(*(choice(index, content=str(i)) for i, index in enumerate(indexes))))
    assert [each.index for each in found.choices] == expected
    assert found.texts == [str(i) for i in range(len(indexes))]


CHOICES: list[tuple[Any, str | None]] = [
    ([choice(content="Hi"), None], "Hi"),
    (choice(content="Hi"), "Hi"),
    ([[choice(content="Hi")]], "Hi"),
    ([{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}], "Hi"),
    ([{"index": 0, "message": {"content": "Hi"}, "delta": {"content": ""}, "text": "Hi"}], "Hi"),
    ([{"index": 0, "finish_reason": "content_filter", "content_filter_results": {}}], None),
]


@pytest.mark.parametrize(("choices", "content"), CHOICES)
def test_choices_of_any_form(choices: Any, content: str | None):
    """A message would be lost because its choice has another form."""
    found = decode(reply() | {"choices": choices})
    assert [each.message.content for each in found.choices] == [content]


def test_a_message_called_delta_is_in_the_json_once():
    """A message that was read from `delta` would be in the reply's JSON twice."""
    body = reply({"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"})
    assert decode(body).to_dict()["choices"][0].keys() == {"index", "message", "finish_reason", "logprobs"}


def test_a_reply_in_another_wrapping():
    """A reply in a list, or as JSON text, would be refused."""
    body = reply(choice(content="Hi"))
    assert decode([body]).text == "Hi"
    assert decode([body]).raw == [body]


# --- usage ---

USAGES: list[tuple[Any, Usage | None]] = [
    ({"prompt_tokens": "5", "completion_tokens": 7.5, "total_tokens": None}, Usage(5, 7)),
    ({"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}, Usage(5, 7, 12)),
    ({"prompt_tokens": 5, "prompt_tokens_details": [], "completion_tokens_details": "x"}, Usage(5)),
    ({"prompt_tokens": 5, "cost": "0.25"}, Usage(5, cost=0.25)),
    ({"prompt_tokens": 5, "cost": "free"}, Usage(5)),
    ([{"prompt_tokens": 5}], Usage(5)),
    ({}, Usage()),
    ([], None),
    ("none", None),
    (5, None),
    (None, None),
]


@pytest.mark.parametrize(("usage", "expected"), USAGES)
def test_usage_of_any_form(usage: Any, expected: Usage | None):
    """A count of another type would cost the reply, or be counted wrongly."""
    found = decode(reply(choice(content="Hi"), usage=usage))
    assert (found.usage, found.text) == (expected, "Hi")


# --- any value in any field that the reply can do without ---

FULL = reply(
    choice(
        content="Hello.",
        refusal=None,
        tool_calls=[CALL | {"index": 0}],
        audio={"id": "a", "data": "UklG", "expires_at": 1},
        annotations=[{"type": "url_citation", "url_citation": {"url": "https://x", "start_index": 0}}],
        reasoning_content="Hm.",
        reasoning_details=[{"type": "reasoning.text", "text": "Hm."}],
        images=[{"type": "image_url"}],
    )
    | {"logprobs": {"content": [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [{"token": "b"}]}]}},
    usage={"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 1}, "cost": 0.5},
    service_tier="default",
    system_fingerprint="fp",
    citations=["https://x"],
)

NEEDED = {"choices", "message", "content", "tool_calls", "function", "name", "arguments", "finish_reason", "usage"}


def unneeded(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all fields that the reply can do without."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in items:
        if isinstance(step, str) and (step not in NEEDED or path[-1:] == ("logprobs",)):
            yield (*path, step)
        yield from unneeded(item, (*path, step))


def place_of(path: tuple[Any, ...]) -> tuple[Any, ...]:
    """The path of the field and its parents that another value may change: the outermost one that is not needed."""
    for i, step in enumerate(path):
        if isinstance(step, str) and step not in NEEDED:
            return path[: i + 1]
    return path


def changed(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy of `data` with another value at `path`."""
    copied = copy.deepcopy(data)
    place = copied
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return copied


def without(data: Any, path: tuple[Any, ...]) -> Any:
    """A copy of `data` without the field at `path`."""
    copied = copy.deepcopy(data)
    place = copied
    for step in path[:-1]:
        place = place[step]
    place.pop(path[-1], None)
    return copied


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["7", "{}"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5) | st.just("type"), inner, max_size=2)
    ),
    max_leaves=5,
)


@settings(max_examples=400, derandomize=True, deadline=None)
@given(st.sampled_from(sorted(set(unneeded(FULL)), key=str)), VALUES)
def test_any_value_of_an_unneeded_field_changes_nothing_else(path: tuple[Any, ...], value: Any):
    """A field that is not needed would cost the reply or change another part of it."""
    place = place_of(path)
    found = decode(changed(FULL, path, value)).to_dict()
    assert without(found, place) == without(decode(FULL).to_dict(), place)
