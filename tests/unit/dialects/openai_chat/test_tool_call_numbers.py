"""Tool calls of streams: distinguished by index, id and name together, whichever of them a server sends."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anycompletion.codecs.sse import Event
from anycompletion.dialects.base import Target
from anycompletion.dialects.openai_chat.dialect import DIALECT
from anycompletion.dialects.openai_chat.tool_call_numbers import OpenAIToolCallNumbers
from anycompletion.records import ChatRequest
from anycompletion.records.chunks import ChatCompletionChunk, FunctionDelta, ToolCallDelta
from anycompletion.streaming.accumulator import accumulated

CHAT = ChatRequest("m", "Hi")
TARGET = Target(provider="openai", model="m", base_url="https://x", stream=True)

NOTHING: Any = object()
"""Stands for a field that is not sent."""


def part(index: Any = NOTHING, id: Any = NOTHING, name: Any = NOTHING, arguments: Any = NOTHING) -> dict[str, Any]:
    """A fragment of a call as a server sends it."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not NOTHING}
    found = {key: value for key, value in (("index", index), ("id", id)) if value is not NOTHING}
    return found | ({"function": function} if function else {})


def calls_of(*deltas: list[dict[str, Any]], choice: int = 0) -> list[tuple[str, str, str]]:
    """Id, name and arguments of the calls that deltas, of one event each, add up to."""
    decoder = DIALECT.decoder(CHAT, TARGET)
    chunks: list[ChatCompletionChunk] = []
    for delta in deltas:
        event = {"choices": [{"index": choice, "delta": {"tool_calls": delta}}]}
        chunks += decoder.feed(Event(json.dumps(event).encode()))
    calls = accumulated(chunks).choices[0].message.tool_calls or ()
    return [(call.id, call.function.name, call.function.arguments) for call in calls]


X, Y = '{"x":1}', '{"y":2}'

CALLS: dict[str, tuple[list[list[dict[str, Any]]], list[tuple[str, str, str]]]] = {
    "as OpenAI": (
        [[part(0, "a", "f", "")], [part(0, arguments='{"x"')], [part(0, arguments=":1}")], [part(1, "b", "g", Y)]],
        [("a", "f", X), ("b", "g", Y)],
    ),
    "interleaved": (
        [[part(0, "a", "f", '{"x"'), part(1, "b", "g", '{"y"')], [part(1, arguments=":2}"), part(0, arguments=":1}")]],
        [("a", "f", X), ("b", "g", Y)],
    ),
    # --- no index ---
    "no index": (
        [[part(id="a", name="f", arguments=X)], [part(id="b", name="g", arguments=Y)]],
        [("a", "f", X), ("b", "g", Y)],
    ),
    "no index, two in one delta": (
        [[part(id="a", name="f", arguments=X), part(id="b", name="g", arguments=Y)]],
        [("a", "f", X), ("b", "g", Y)],
    ),
    "no index, in fragments": (
        [
            [part(id="a", name="f", arguments="")],
            [part(arguments='{"x"')],
            [part(arguments=":1}")],
            [part(id="b", name="f", arguments=Y)],
        ],
        [("a", "f", X), ("b", "f", Y)],
    ),
    "no index, arguments before the name": (
        [[part(id="a", arguments='{"x"')], [part(id="a", name="f", arguments=":1}")]],
        [("a", "f", X)],
    ),
    "neither index nor id, another name": (
        [[part(name="f", arguments=X)], [part(name="g", arguments=Y)]],
        [("", "f", X), ("", "g", Y)],
    ),
    "neither index nor id, the same name": (
        [[part(name="f", arguments=X)], [part(name="f", arguments=Y)]],
        [("", "f", X), ("", "f", Y)],
    ),
    "neither index nor id, two in one delta": (
        [[part(name="f", arguments=X), part(name="g", arguments=Y)]],
        [("", "f", X), ("", "g", Y)],
    ),
    "neither index nor id, the name in every fragment": (
        [[part(name="f", arguments='{"x"')], [part(name="f", arguments=":1}")]],
        [("", "f", X)],
    ),
    "neither index nor id, arguments before the name": (
        [[part(arguments='{"x"')], [part(name="f", arguments=":1}")], [part(name="g", arguments=Y)]],
        [("", "f", X), ("", "g", Y)],
    ),
    # --- odd indexes and ids ---
    "an index as text": ([[part("0", "a", "f", '{"x"')], [part("0", arguments=":1}")]], [("a", "f", X)]),
    "an index that is a name": (
        [[part("first", "a", "f", '{"x"')], [part("first", arguments=":1}")], [part("second", "b", "g", Y)]],
        [("a", "f", X), ("b", "g", Y)],
    ),
    "an index that is an object": ([[part({}, "a", "f", '{"x"')], [part({}, arguments=":1}")]], [("a", "f", X)]),
    "an index of null": ([[part(None, "a", "f", '{"x"')], [part(None, None, None, ":1}")]], [("a", "f", X)]),
    "indexes from 1": ([[part(1, "a", "f", X)], [part(2, "b", "g", Y)]], [("a", "f", X), ("b", "g", Y)]),
    "numeric ids": ([[part(0, 7, "f", X)], [part(1, 0, "g", Y)]], [("7", "f", X), ("0", "g", Y)]),
    "numeric ids without index": (
        [[part(id=7, name="f", arguments=X)], [part(id=8, name="g", arguments=Y)]],
        [("7", "f", X), ("8", "g", Y)],
    ),
    "empty ids and names": (
        [[part(0, "a", "f", "")], [part(0, "", "", '{"x"')], [part(0, "", "", ":1}")]],
        [("a", "f", X)],
    ),
    "arguments as an object": ([[part(0, "a", "f", {"x": 1})]], [("a", "f", X)]),
    "an object in place of the list": ([part(0, "a", "f", X)], [("a", "f", X)]),  # type: ignore[list-item]
    # --- one index for all ---
    "all have index 0": ([[part(0, "a", "f", X)], [part(0, "b", "g", Y)]], [("a", "f", X), ("b", "g", Y)]),
    "all have index 0, in fragments": (
        [[part(0, "a", "f", "")], [part(0, arguments=X)], [part(0, "b", "g", "")], [part(0, arguments=Y)]],
        [("a", "f", X), ("b", "g", Y)],
    ),
    "all have index 0 and no id": (
        [[part(0, name="f", arguments=X)], [part(0, name="g", arguments=Y)]],
        [("", "f", X), ("", "g", Y)],
    ),
    "all have index 0, no id and one name": (
        [[part(0, name="f", arguments=X)], [part(0, name="f", arguments=Y)]],
        [("", "f", X), ("", "f", Y)],
    ),
    "all have index -1": ([[part(-1, "a", "f", X)], [part(-1, "b", "g", Y)]], [("a", "f", X), ("b", "g", Y)]),
    "an index that another call got as its number": (
        [[part(0, "a", "f", X)], [part(0, "b", "g", Y)], [part(1, "c", "h", "{}")]],
        [("a", "f", X), ("b", "g", Y), ("c", "h", "{}")],
    ),
    # --- two indexes for one call ---
    "the head has index 0, its arguments index 1": (
        [[part(0, "a", "f", X)], [part(0, "b", "g", "")], [part(1, arguments='{"y"')], [part(1, arguments=":2}")]],
        [("a", "f", X), ("b", "g", Y)],
    ),
    "the call is sent again under another index": (
        [[part(0, "a", "f", "")], [part(0, "a", arguments=X)], [part(1, "a", "f", X)]],
        [("a", "f", X)],
    ),
    "the call is sent again in fragments": (
        [[part(0, "a", "f", X)], [part(1, "a", "f", "")], [part(1, arguments='{"x"')], [part(1, arguments=":1}")]],
        [("a", "f", X)],
    ),
    "the call is sent again under its own index": ([[part(0, "a", "f", X)], [part(0, "a", "f", X)]], [("a", "f", X)]),
    "the call is sent again without an index": (
        [[part(id="a", name="f", arguments=X)], [part(id="a", name="f", arguments=X)]],
        [("a", "f", X)],
    ),
    "a call of another function has the same id": (
        [[part(0, "a", "f", X)], [part(1, "a", "g", Y)]],
        [("a", "f", X), ("a", "g", Y)],
    ),
    "another call of the function has the same id, and begins with the same arguments": (
        [
            [part(0, "a", "f", "")],
            [part(0, arguments='{"x":1}')],
            [part(1, "a", "f", "")],
            [part(1, arguments='{"x":')],
            [part(1, arguments="2}")],
            [part(2, "a", "f", '{"x"'), part(3, "b", "g", "{}")],
            [part(2, "a", arguments=":3")],
            [part(2, arguments="}")],
        ],
        [("a", "f", '{"x":1}'), ("a", "f", '{"x":2}'), ("a", "f", '{"x":3}'), ("b", "g", "{}")],
    ),
    "another call of the function has the same id": (
        [[part(0, "a", "f", X)], [part(1, "a", "f", Y)]],
        [("a", "f", X), ("a", "f", Y)],
    ),
    # --- repeated ids and names ---
    "the id in every fragment": (
        [
            [part(0, "a", "f", '{"x"')],
            [part(0, "a", arguments=":1}")],
            [part(1, "b", "g", '{"y"')],
            [part(1, "b", arguments=":2}")],
        ],
        [("a", "f", X), ("b", "g", Y)],
    ),
    "id and name in every fragment": (
        [[part(0, "a", "f", '{"x"')], [part(0, "a", "f", ":1}")]],
        [("a", "f", X)],
    ),
    "id and name in every fragment, all with index 0": (
        [
            [part(0, "a", "f", '{"x"')],
            [part(0, "a", "f", ":1}")],
            [part(0, "b", "f", '{"y"')],
            [part(0, "b", "f", ":2}")],
        ],
        [("a", "f", X), ("b", "f", Y)],
    ),
    "the name in every fragment, the last one without arguments": (
        [
            [part(0, "a", "f", "")],
            [part(0, name="f", arguments=X)],
            [part(0, name="f", arguments="")],
            [part(1, "b", "f", "")],
            [part(1, name="f", arguments=Y)],
            [part(1, name="f")],
        ],
        [("a", "f", X), ("b", "f", Y)],
    ),
    "the name in every fragment, all with index 0 and no id": (
        [
            [part(0, name="f", arguments="")],
            [part(0, name="f", arguments=X)],
            [part(0, name="f", arguments="")],
            [part(0, name="f", arguments=Y)],
            [part(0, name="f", arguments="")],
        ],
        [("", "f", X), ("", "f", Y)],
    ),
    "heads without arguments, all with index 0 and no id": (
        [
            [part(0, name="f", arguments="")],
            [part(0, arguments=X)],
            [part(0, name="f", arguments="")],
            [part(0, arguments=Y)],
        ],
        [("", "f", X), ("", "f", Y)],
    ),
    "the id alone distinguishes the calls": (
        [
            [part(id="a", name="f", arguments='{"x"'), part(id="b", name="g", arguments='{"y"')],
            [part(id="a", arguments=":1}"), part(id="b", arguments=":2}")],
        ],
        [("a", "f", X), ("b", "g", Y)],
    ),
    "a new id for every fragment": (
        [[part(0, "a", "f", '{"x"')], [part(0, "b", arguments=":1}")]],
        [("a", "f", X)],
    ),
    "a late id": ([[part(0, name="f", arguments='{"x"')], [part(0, "a", arguments=":1}")]], [("a", "f", X)]),
    "a late name": ([[part(0, "a", arguments='{"x"')], [part(0, name="f", arguments=":1}")]], [("a", "f", X)]),
    "a head alone": ([[part(0, "a", "f")]], [("a", "f", "")]),
    "an id alone": ([[part(0, "a")]], [("a", "", "")]),
}


@pytest.mark.parametrize("name", CALLS)
def test_fragments_become_calls(name: str) -> None:
    """Two calls would melt into one whose arguments are no JSON, or one be two, so that its tool runs twice."""
    deltas, expected = CALLS[name]
    assert calls_of(*deltas) == expected
    assert calls_of(*deltas, choice=3) == expected


@pytest.mark.parametrize("name", CALLS)
def test_numbers_are_distinct(name: str) -> None:
    """A reader who distinguishes the calls of chunks by their index would take two calls for one."""
    deltas, expected = CALLS[name]
    decoder = DIALECT.decoder(CHAT, TARGET)
    numbers: set[int | None] = set()
    for delta in deltas:
        event = {"choices": [{"index": 0, "delta": {"tool_calls": delta}}]}
        for chunk in decoder.feed(Event(json.dumps(event).encode())):
            numbers.update(call.index for call in chunk.choices[0].delta.tool_calls or ())
    assert None not in numbers
    assert len(numbers) == len(expected)


def test_custom_calls_are_distinguished_too() -> None:
    """The free texts of two custom tools would melt into one."""
    deltas = [
        [{"index": 0, "id": "a", "type": "custom", "custom": {"name": "sh", "input": "ls"}}],
        [{"index": 0, "id": "b", "type": "custom", "custom": {"name": "sh", "input": "pwd"}}],
        [{"index": 1, "id": "b", "type": "custom", "custom": {"name": "sh", "input": "pwd"}}],
    ]
    decoder = DIALECT.decoder(CHAT, TARGET)
    events = [Event(json.dumps({"choices": [{"delta": {"tool_calls": delta}}]}).encode()) for delta in deltas]
    calls = accumulated(chunk for event in events for chunk in decoder.feed(event)).choices[0].message.tool_calls or ()
    assert [(call.id, call.custom and call.custom.input) for call in calls] == [("a", "ls"), ("b", "pwd")]


def test_choices_have_their_own_calls() -> None:
    """The calls of two choices would be mixed up."""
    decoder = DIALECT.decoder(CHAT, TARGET)
    event = {"choices": [{"index": i, "delta": {"tool_calls": [part(0, f"c{i}", "f", X)]}} for i in (0, 1)]}
    reply = accumulated(decoder.feed(Event(json.dumps(event).encode())))
    found = [[call.id for call in choice.message.tool_calls or ()] for choice in reply.choices]
    assert found == [["c0"], ["c1"]]


@pytest.mark.parametrize("call_id", ["a", None])
@pytest.mark.parametrize("ending", ["x", "}"])
@pytest.mark.parametrize("indexes", [1, 200_000])
def test_long_arguments_take_linear_time(call_id: str | None, ending: str, indexes: int) -> None:
    """A call with long arguments, whose id and name are in every fragment, would get slower with each of them."""
    numbers = OpenAIToolCallNumbers()
    numbers.number([ToolCallDelta(0, "a", "function", FunctionDelta("f", '{"a": "'))])
    start = time.process_time()
    for number in range(200_000):
        fragment = FunctionDelta("f", "x" * 9 + ending)
        numbers.number([ToolCallDelta(number % indexes, call_id, "function", fragment)])
    assert time.process_time() - start < 5


FRAGMENTS = st.builds(
    part,
    st.sampled_from([NOTHING, None, 0, 1, -1, "0", "x", 1.5]),
    st.sampled_from([NOTHING, None, "", "a", "b", 0]),
    st.sampled_from([NOTHING, None, "", "f", "g"]),
    st.sampled_from([NOTHING, None, "", X, Y, '{"x"', ":1}", {"x": 1}]),
)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.lists(FRAGMENTS, max_size=3), max_size=5))
def test_no_arguments_are_lost(deltas: list[list[dict[str, Any]]]) -> None:
    """Some order of fragments would raise an exception, or lose a fragment that is no repetition."""
    found = calls_of([part(0, "begin", "h", "{")], *deltas)
    assert found[0][:2] == ("begin", "h")
    texts = "".join(arguments for _, _, arguments in found)
    for delta in deltas:
        for each in delta:
            arguments = each.get("function", {}).get("arguments")
            if isinstance(arguments, str):
                assert arguments in texts
