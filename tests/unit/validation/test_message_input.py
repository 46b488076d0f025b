"""Messages as records: the fast path, the general one, and what they keep."""

import types

import pytest

from anycompletion.codecs.json import to_wire
from anycompletion.errors import InvalidRequestError
from anycompletion.records import (
    AssistantMessage,
    CustomCall,
    FunctionCall,
    FunctionMessage,
    TextPart,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from anycompletion.validation.message_input import parse_messages
from support.bad_input import (
    Broken,
    user,
)
from support.validated import build


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
