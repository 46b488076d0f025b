"""JSON: bytes to values and back, and records as dicts in OpenAI's format."""

from __future__ import annotations

import enum
import json as stdlib_json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anycompletion.codecs import json
from anycompletion.codecs.json import NotJSONError, PlainMessage, dumps, loads, to_wire
from anycompletion.records import (
    Annotation,
    AssistantMessage,
    Audio,
    CustomCall,
    CustomMessage,
    CustomPart,
    CustomTool,
    DeveloperMessage,
    FilePart,
    FileRef,
    FunctionCall,
    FunctionDefinition,
    FunctionMessage,
    FunctionTool,
    ImagePart,
    ImageUrl,
    SystemMessage,
    TextPart,
    ToolCall,
    ToolMessage,
    UrlCitation,
    UserMessage,
)


class Text(str):
    __slots__ = ()


class Number(float):
    pass


class Count(int):
    pass


class Words(enum.StrEnum):
    USER = "user"


DUMPED: list[tuple[Any, bytes]] = [
    ({"a": [1, 2.5, None, True, "é"]}, '{"a":[1,2.5,null,true,"é"]}'.encode()),
    (("x", 1), b'["x",1]'),
    ({1: "x"}, b'{"1":"x"}'),
    ("\x00\u2028", b'"\\u0000\xe2\x80\xa8"'),
    (10**30, b"1" + b"0" * 30),
    ([Text("x"), Number(0.5), Count(3)], b'["x",0.5,3]'),
    ({Text("k"): Text("é")}, '{"k":"é"}'.encode()),
    ({"role": Words.USER}, b'{"role":"user"}'),
    ([PlainMessage("user", "Hi")], b'[{"role":"user","content":"Hi"}]'),
    ([PlainMessage("user", "Hi"), Number(0.5)], b'[{"role":"user","content":"Hi"},0.5]'),
]


@pytest.mark.parametrize(("value", "data"), DUMPED)
def test_values_become_bytes(value: Any, data: bytes):
    """A body would differ from the caller's values."""
    assert dumps(value) == data


@pytest.mark.parametrize(
    "value",
    [object(), {"a": object()}, {1j: 1}, "\ud800", {"\ud800": 1}, [Text("\ud800")], [Text("x"), math.nan], lambda: 1],
)
def test_values_that_are_not_json(value: Any):
    """Invalid JSON would be sent, or an undocumented exception be raised."""
    with pytest.raises((TypeError, ValueError)):
        dumps(value)


def test_cycles():
    """A list that contains itself would crash the process."""
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(RecursionError):
        dumps(cycle)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(VALUES)
def test_round_trip_of_any_json(value: Any):
    """A value would change in transit."""
    assert loads(dumps(value)) == value == stdlib_json.loads(dumps(value))


LOADED: list[tuple[bytes, Any]] = [
    (b'{"a": 1}', {"a": 1}),
    (b'"\xff"', "\ufffd"),
    (b'"\\ud83d"', "\ufffd"),
    (b"1e400", math.inf),
    (b"-Infinity", -math.inf),
    (b"1" * 400, int("1" * 400)),
    (b'\xef\xbb\xbf{"a": "b\tc\x1b"}', {"a": "b\tc\x1b"}),
]


@pytest.mark.parametrize(("data", "value"), LOADED)
def test_bytes_become_values(data: bytes, value: Any):
    """One invalid byte would make a whole reply fail."""
    assert loads(data) == value


@pytest.mark.parametrize("data", [b"", b"<html>", b"{", b'{"a": 1} {', b"[" * 200_000])
def test_bytes_that_are_not_json(data: bytes):
    """The parser's own exception would reach the caller."""
    with pytest.raises(NotJSONError):
        loads(data)


# --- records ---

WIRE: list[tuple[Any, Any]] = [
    (UserMessage("x"), {"role": "user", "content": "x"}),
    (SystemMessage("x"), {"role": "system", "content": "x"}),
    (DeveloperMessage("x", role="of_tomorrow"), {"role": "of_tomorrow", "content": "x"}),
    (UserMessage("x", "Zoe"), {"role": "user", "content": "x", "name": "Zoe"}),
    (UserMessage("x", extra={"name": None, "y": 1}), {"role": "user", "content": "x", "name": None, "y": 1}),
    (
        UserMessage([TextPart("x", extra={"cache_control": {"type": "ephemeral"}}), ImagePart(ImageUrl("u", "low"))]),
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}},
                {"type": "image_url", "image_url": {"url": "u", "detail": "low"}},
            ],
        },
    ),
    (FilePart(FileRef(file_id="f")), {"type": "file", "file": {"file_id": "f"}}),
    (CustomPart("video", extra={"url": "v"}), {"type": "video", "url": "v"}),
    (CustomMessage("critic", extra={"content": "x"}), {"role": "critic", "content": "x"}),
    (ToolMessage("r", "c"), {"role": "tool", "content": "r", "tool_call_id": "c"}),
    (FunctionMessage(None, "f"), {"role": "function", "content": None, "name": "f"}),
    (AssistantMessage("x"), {"role": "assistant", "content": "x"}),
    (AssistantMessage(extra={"content": None}), {"role": "assistant", "content": None}),
    (
        AssistantMessage(
            tool_calls=[
                ToolCall("1", FunctionCall("f", "{}")),
                ToolCall("2", type="custom", custom=CustomCall("g", "x"), extra={"z": 1}),
            ],
            audio=Audio("a"),
            annotations=[Annotation("url_citation", UrlCitation("u"))],
            thinking_blocks=[{"type": "thinking"}],
        ),
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "2", "type": "custom", "custom": {"name": "g", "input": "x"}, "z": 1},
            ],
            "audio": {"id": "a"},
            "annotations": [{"type": "url_citation", "url_citation": {"url": "u", "title": ""}}],
            "thinking_blocks": [{"type": "thinking"}],
        },
    ),
    (
        [FunctionTool(FunctionDefinition("f", parameters={"type": "object"})), CustomTool("web", extra={"size": 1})],
        [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}, {"type": "web", "size": 1}],
    ),
    (CustomTool(extra={"google_search": {}}), {"google_search": {}}),
    ({"a": UserMessage("x")}, {"a": {"role": "user", "content": "x"}}),
    ("x", "x"),
    (None, None),
]


@pytest.mark.parametrize(("value", "wire"), WIRE)
def test_records_become_dicts(value: Any, wire: Any):
    """A request would have a member that no caller wrote, or lack one."""
    assert to_wire(value) == wire
    assert loads(dumps(to_wire(value))) == wire


def test_records_are_not_changed():
    """Encoding a request would change the caller's messages."""
    message = AssistantMessage(tool_calls=[ToolCall("2", type="custom", custom=CustomCall("g"))], extra={"a": 1})
    before = message.to_dict()
    wire = to_wire(message)
    wire["a"] = 2
    wire["tool_calls"].clear()
    assert message.to_dict() == before


def test_exported_names() -> None:
    """A name in `__all__` would be missing."""
    assert all(hasattr(json, name) for name in json.__all__)
