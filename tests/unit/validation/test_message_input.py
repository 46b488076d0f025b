"""Messages as records: the fast path, the general one, and what they keep."""

import types
from typing import Any

import pytest

from anycompletion.codecs.json import to_wire
from anycompletion.errors import InvalidRequestError
from anycompletion.records import (
    AssistantMessage,
    ChatCompletion,
    ChatCompletionMessage,
    Choice,
    CustomCall,
    FunctionCall,
    FunctionMessage,
    TextPart,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from anycompletion.validation.message_input import parse_messages, with_call_ids
from support.bad_input import (
    Broken,
    user,
)
from support.validated import build


def reply() -> ChatCompletion:
    """A reply with one choice."""
    return ChatCompletion("id", [Choice(0, ChatCompletionMessage("Hello!"), "stop")], "gpt-4o")


def test_the_simplest_messages_become_records() -> None:
    """The fast path for simple messages would return other records than the general one."""
    for role in ("user", "assistant", "system", "developer"):
        fast = parse_messages([{"role": role, "content": "x"}])
        assert fast == parse_messages([types.MappingProxyType({"role": role, "content": "x"})])
        assert fast[0].to_dict() == {"role": role, "content": "x"}
    message = UserMessage("x")
    assert parse_messages([message])[0] is message
    assert parse_messages("x") == [UserMessage("x")]


def test_explicit_nulls_and_unknown_keys_are_sent() -> None:
    """A provider-specific member would silently be dropped."""
    written = [
        {"role": "user", "content": "x", "name": None, "cache_control": {"type": "ephemeral"}},
        {"role": "assistant", "content": None, "refusal": None, "x": [None]},
        {"role": "user", "content": [{"type": "text", "text": "x", "y": None}, {"type": "new", "z": {"a": None}}]},
        {"role": "of_tomorrow", "content": None},
    ]
    assert [to_wire(message) for message in parse_messages(written)] == written
    tools = [
        {"type": "function", "function": {"name": "f", "strict": None, "x": None}, "y": 1},
        {"type": "t", "z": None},
    ]
    assert to_wire(build(tools=tools).tools) == tools


def test_valid_records_pass_unchanged() -> None:
    """A valid record would be refused, or changed."""
    message = AssistantMessage(
        "x",
        tool_calls=[ToolCall("c", FunctionCall("f", "{}")), ToolCall("d", type="custom", custom=CustomCall("g", "x"))],
    )
    assert parse_messages([message, ToolMessage([TextPart("x")], "c"), FunctionMessage(None, "f")]) == [
        message,
        ToolMessage([TextPart("x")], "c"),
        FunctionMessage(None, "f"),
    ]


def test_a_mapping_that_cannot_be_read() -> None:
    """An exception of a user type would propagate from a converter, without a place."""
    with pytest.raises(InvalidRequestError) as caught:
        build(messages=user([Broken(type="text")]))
    place = "messages[0].content[0]"
    assert (caught.value.param, str(caught.value)) == (place, f"{place}: cannot be read: LookupError")


CALL = {"type": "function", "function": {"name": "f", "arguments": "{}"}}


def roles_and_ids(messages: list[Any]) -> list[Any]:
    """The ids of each message's calls, or that of a result."""
    return [
        [call.id for call in message.tool_calls or ()] if message.role == "assistant" else message.tool_call_id
        for message in messages
        if message.role != "user"
    ]


def test_calls_and_results_without_ids_are_paired_in_order() -> None:
    """A conversation with a server that has no ids could not go on at another one."""
    conversation: list[Any] = [
        {"role": "user", "content": "Hi."},
        {"role": "assistant", "tool_calls": [CALL, {**CALL, "id": "own"}, {**CALL, "id": ""}]},
        {"role": "tool", "content": "1", "tool_call_id": ""},
        {"role": "tool", "content": "2", "tool_call_id": "own"},
        {"role": "tool", "content": "3"},
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "content": "4"},
    ]
    given = parse_messages(conversation)
    paired = with_call_ids(given)
    assert paired is not None
    ids = ["call_1_0", "own", "call_1_2"]
    assert roles_and_ids(paired) == [ids, *ids, ["call_5_0"], "call_5_0"]
    assert with_call_ids(paired) is None
    assert roles_and_ids(given) == [["", "own", ""], "", "own", "", [""], ""]
    assert roles_and_ids(with_call_ids(given[:5]) or []) == [ids, *ids]


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([{"role": "tool", "content": "1"}], "messages[0].tool_call_id"),
        ([{"role": "assistant", "tool_calls": [CALL]}], "messages[0].tool_calls[0].id"),
        (
            [{"role": "assistant", "tool_calls": [CALL, CALL]}, {"role": "tool", "content": "1"}],
            "messages[0].tool_calls[1].id",
        ),
        (
            [{"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "content": "1", "tool_call_id": "c"}],
            "messages[0].tool_calls[0].id",
        ),
    ],
)
def test_a_call_or_result_without_a_counterpart_is_refused(messages: list[Any], param: str) -> None:
    """A forgotten id would be replaced by one that links nothing, and the provider refuse it."""
    with pytest.raises(InvalidRequestError) as caught:
        with_call_ids(parse_messages(messages))
    assert caught.value.param == param


NO_LISTS: dict[str, tuple[Any, str]] = {
    "a record": (UserMessage("Hi"), "found UserMessage; pass a list of messages: [message]"),
    "a message of a reply": (reply().choices[0].message, "; pass a list of messages: [message]"),
    "a dict": ({"role": "user", "content": "Hi"}, "found dict; pass a list of messages: [message]"),
    "a reply": (reply(), "found ChatCompletion; pass a list of messages: [reply.choices[0].message, ...]"),
    "an iterator": (iter([UserMessage("Hi")]), "; pass list(messages)"),
    "a number": (5, "expected a string or a list, found int"),
}
"""Case → messages that are no list, and the end of the error."""


@pytest.mark.parametrize("case", NO_LISTS)
def test_messages_that_are_no_list_are_refused_with_what_to_write(case: str) -> None:
    """The advice for a single message would be the one for an iterator, which makes another error of it."""
    messages, text = NO_LISTS[case]
    with pytest.raises(InvalidRequestError) as caught:
        parse_messages(messages)
    assert str(caught.value).endswith(text)


def test_a_reply_among_messages_is_refused_with_what_to_write() -> None:
    """The error would not say that a reply's message goes into a conversation."""
    with pytest.raises(InvalidRequestError, match=r"found ChatCompletion; write reply\.choices\[0\]\.message"):
        parse_messages([UserMessage("Hi"), reply()])
