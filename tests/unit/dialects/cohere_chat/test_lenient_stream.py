"""Cohere's streams as servers really send them: fields of another type, and parts and calls that are mixed up."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anycompletion.codecs.json import dumps
from anycompletion.codecs.sse import Event
from anycompletion.dialects.cohere_chat.dialect import DIALECT
from anycompletion.errors import APIError
from anycompletion.http import Headers, HttpResponse
from anycompletion.records import ChatCompletion, ChatRequest, UserMessage
from anycompletion.records.chunks import ChatCompletionChunk
from anycompletion.streaming.accumulator import accumulated
from support.cohere_stream import (
    CHAT,
    START,
    TARGET,
    USAGE,
    begin,
    call,
    call_end,
    cite,
    end,
    fragment,
    message_event,
    native_fields,
    piece,
    plan,
    run,
    stop,
)

ODD: list[Any] = [None, True, 7, 1.5, "odd", [], ["odd", "odd"], {"odd": 1}]
WHOLE = [
    START,
    plan("I."),
    begin(0, type="thinking", thinking=""),
    piece(0, thinking="hm"),
    end(0),
    begin(1, type="text", text=""),
    piece(1, text="So"),
    cite(0, start=0, end=2, text="So", content_index=1),
    piece(1, text="."),
    end(1),
    call(0, "a", "add"),
    fragment(0, "{}"),
    call_end(0),
    call(1, "b", "now"),
    fragment(1, '{"x":'),
    fragment(1, "1}"),
    call_end(1),
    stop("TOOL_CALL"),
]


@pytest.mark.parametrize("value", [*ODD, "missing"])
@pytest.mark.parametrize("number", range(len(WHOLE) - 1))
@pytest.mark.parametrize("name", ["index", "type"])
def test_an_odd_index_or_type_of_an_event_costs_nothing(name: str, number: int, value: Any) -> None:
    """A stream would end, or would lose or mix its parts, for the type of a field that its reply can do without."""
    if name == "index" and "index" not in WHOLE[number]:
        pytest.skip("has none")
    changed = {**WHOLE[number], name: value}
    if value == "missing":
        del changed[name]
    decoder = DIALECT.decoder(CHAT, TARGET)
    chunks: list[ChatCompletionChunk] = []
    for i, item in enumerate(WHOLE):
        data = changed if i == number else item
        chunks += decoder.feed(Event(json.dumps(data).encode(), item["type"] if i == number else ""))
    got, expected = accumulated(chunks), accumulated(run(*WHOLE))
    (choice,), (wanted,) = got.choices, expected.choices
    assert (got.text, got.id, choice.finish_reason) == (expected.text, expected.id, wanted.finish_reason)
    assert choice.message.reasoning_content == wanted.message.reasoning_content
    assert choice.message.tool_calls == wanted.message.tool_calls


@pytest.mark.parametrize("number", [i for i, item in enumerate(WHOLE) if not item["type"].endswith("-end")])
def test_an_event_without_type_and_name_is_read_by_its_fields(number: int) -> None:
    """The text of a proxy that leaves out the types would be lost."""
    nameless = [{**item, "type": ""} if i == number else item for i, item in enumerate(WHOLE)]
    assert accumulated(run(*nameless)).to_dict() == accumulated(run(*WHOLE)).to_dict()


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize(
    "odd",
    [
        lambda value: {**START, "id": value},
        lambda value: {**START, "delta": value},
        plan,
        lambda value: {**piece(0, text=""), "logprobs": value},
        lambda value: message_event("citation-start", 0, citations=value),
        lambda value: {"type": "citation-end", "index": value},
        lambda value: {"type": "debug", "prompt": value},
        lambda value: {"type": "of_tomorrow", "message": value},
    ],
)
def test_an_odd_field_of_an_event_costs_nothing(odd: Any, value: Any) -> None:
    """A field that is not needed would cost a paid stream."""
    events = [START, begin(0, type="text", text=""), piece(0, text="Hel"), odd(value), piece(0, text="lo"), stop()]
    assert accumulated(run(*events)).text == "Hello"


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("name", ["usage", "logprobs", "detail", "title", "new"])
def test_an_odd_field_of_the_end_costs_nothing(name: str, value: Any) -> None:
    """A field that is not needed, or that is an error's elsewhere, would cost a paid stream."""
    for last in (stop(**{name: value}), {**stop(), name: value}):
        reply = accumulated(run(START, piece(0, text="Hello"), last))
        assert (reply.text, reply.choices[0].finish_reason) == ("Hello", "stop")


@pytest.mark.parametrize("data", [b"", b" ", b"null"])
def test_empty_events_are_skipped(data: bytes) -> None:
    """A sign of life would cost the stream."""
    decoder = DIALECT.decoder(CHAT, TARGET)
    for each in (START, piece(0, text="Hello"), stop()):
        assert not decoder.feed(Event(data))
        decoder.feed(Event(json.dumps(each).encode()))
    decoder.finish()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Hi", "Hi"),
        ([{"text": "Hi"}], "Hi"),
        (["H", {"text": "i"}, None], "Hi"),
        ('{"text": "Hi"}', "Hi"),
        ({"text": ["H", "i"]}, "Hi"),
        ({"text": 7}, "7"),
        ({"text": {"a": 1}}, '{"a":1}'),
        (None, ""),
    ],
)
def test_pieces_in_other_forms(content: Any, text: str) -> None:
    """A text in another form would cost the stream."""
    assert accumulated(run(START, message_event("content-delta", 0, content=content), stop())).text == text


@pytest.mark.parametrize(
    "one",
    [
        lambda i: piece(i, text="x"),
        lambda i: call(i, str(i), "add"),
        lambda i: message_event("tool-call-delta", i, tool_calls={"function": {"name": str(i), "arguments": "{}"}}),
    ],
    ids=["parts", "calls", "calls without a start"],
)
def test_many_parts_and_calls_take_linear_time(one: Any) -> None:
    """A server whose events all have new numbers could keep the event loop busy for minutes."""
    begun = time.process_time()
    run(START, *map(one, range(20_000)), stop())
    assert time.process_time() - begun < 5


def test_texts_and_thinking_under_one_index_stay_apart() -> None:
    """Thinking would be mixed into the text where a server reuses an index."""
    events = [
        begin(0, type="thinking", thinking=""),
        begin(0, type="text", text=""),
        piece(0, thinking="h"),
        piece(0, text="S"),
        piece(0, thinking="m", text="o."),
    ]
    reply = accumulated(run(START, *events, stop())).choices[0].message
    assert (reply.content, reply.reasoning_content) == ("So.", "hm")
    content = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "So."}]
    assert native_fields(*events) == {"cohere": {"content": content}}


def only_id(call_id: str, arguments: str) -> dict[str, Any]:
    return message_event("tool-call-delta", None, tool_calls={"id": call_id, "function": {"arguments": arguments}})


def named(index: int | None, name: str, arguments: str) -> dict[str, Any]:
    return message_event("tool-call-delta", index, tool_calls={"function": {"name": name, "arguments": arguments}})


@pytest.mark.parametrize(
    ("events", "calls"),
    [
        ([call(0, "a", "add"), call(0, "b", "now"), fragment(0, "{}")], [("a", "add", "{}"), ("b", "now", "{}")]),
        ([call(0, "a", "add"), fragment(1, '{"x":1}')], [("a", "add", '{"x":1}')]),
        (
            [call(0, "a", "add"), call(1, "b", "now"), only_id("a", '{"x":1}')],
            [("a", "add", '{"x":1}'), ("b", "now", "{}")],
        ),
        ([call(0, "a", "add"), fragment(0, '{"x":1}'), call(3, "a", "add", '{"x": 1}')], [("a", "add", '{"x":1}')]),
        ([call(0, "a", "add"), call(3, "a", "add", '{"x": 1}')], [("a", "add", '{"x": 1}')]),
        ([call(0, "a", "add", '{"x":1}'), call(3, "a", "add", '{"x":1}')], [("a", "add", '{"x":1}')]),
        (
            [call(0, "a", "add"), fragment(0, "{}"), call(1, "a", "now"), fragment(1, '{"x":1}')],
            [("a", "add", "{}"), ("a", "now", '{"x":1}')],
        ),
        (
            [call(0, "a", "add"), fragment(0, "{}"), call_end(0), call(1, "a", "add"), fragment(1, '{"x":1}')],
            [("a", "add", "{}"), ("a", "add", '{"x":1}')],
        ),
        ([call(0, "a", "add"), fragment(0, "1"), fragment(0, "1")], [("a", "add", "11")]),
        ([named(0, "add", '{"x"'), named(0, "add", ":1}")], [("", "add", '{"x":1}')]),
        ([named(None, "add", "{}"), named(None, "now", "{}")], [("", "add", "{}"), ("", "now", "{}")]),
        ([call(0, "a", ""), named(0, "add", '{"x":1}')], [("a", "add", '{"x":1}')]),
        ([call(0, "a", "add", {"x": 1})], [("a", "add", '{"x":1}')]),  # type: ignore[arg-type]
        ([call(0, 7, "add", "{}")], [("7", "add", "{}")]),  # type: ignore[arg-type]
    ],
)
def test_calls_are_distinguished_by_id_index_and_name(
    events: list[dict[str, Any]], calls: list[tuple[str, str, str]]
) -> None:
    """Two calls would melt into one, or one would become two."""
    reply = accumulated(run(START, *events, stop("TOOL_CALL"))).choices[0].message
    got = [(each.id, each.function.name, each.function.arguments) for each in reply.tool_calls or ()]
    assert got == calls


# --- any JSON ---------------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["text", "thinking", "type", "id", "function", "arguments"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just('{"text": "x"}'),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["text", "thinking", "type", "id", "function", "arguments"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
"""JSON whose objects have fields with a meaning."""


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The paths of all fields and items of a JSON value."""
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in items:
        yield (*path, step)
        yield from places(item, (*path, step))


def replaced(value: Any, path: tuple[str | int, ...], new: Any) -> Any:
    """A copy with another value at `path`."""
    step, *rest = path
    copy = value.copy()
    copy[step] = replaced(value[step], tuple(rest), new) if rest else new
    return copy


PLACES = [(i, path) for i, item in enumerate(WHOLE) for path in places(item)]
CALLS = [{"id": "a", "type": "function", "function": {"name": "add", "arguments": "{}"}, "new": 1}]
REPLY = {
    "id": "gen_1",
    "message": {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "So."}],
        "tool_calls": CALLS,
        "tool_plan": "I.",
        "citations": [{"start": 0, "end": 2, "text": "So", "content_index": 1, "type": "TEXT_CONTENT"}],
    },
    "finish_reason": "TOOL_CALL",
    "usage": USAGE,
    "logprobs": [{"text": "So", "token_ids": [1], "logprobs": [-0.5]}],
}


@given(st.sampled_from(PLACES), JSON, st.booleans())
def test_any_json_in_an_event_raises_only_documented_exceptions(
    place: tuple[int, tuple[str | int, ...]], new: Any, named: bool
) -> None:
    """Some event would raise an undocumented exception, or make a reply that cannot be written as JSON."""
    number, path = place
    decoder, chunks = DIALECT.decoder(CHAT, TARGET), []
    try:
        for i, item in enumerate(WHOLE):
            data = replaced(item, path, new) if i == number else item
            chunks += decoder.feed(Event(json.dumps(data).encode(), item["type"] if named else ""))
        decoder.finish()
    except APIError:
        return
    dumps(accumulated(chunks).to_dict())


@given(st.sampled_from([*places(REPLY)]), JSON)
def test_any_json_in_a_reply_raises_only_documented_exceptions(path: tuple[str | int, ...], new: Any) -> None:
    """Some reply would raise an undocumented exception, or could not be written as JSON or sent back."""
    body = json.dumps(replaced(REPLY, path, new)).encode()
    try:
        reply = DIALECT.decode(HttpResponse(200, Headers(), body), CHAT, TARGET)
    except APIError:
        return
    assert isinstance(reply, ChatCompletion)
    dumps(reply.to_dict())
    DIALECT.encode(ChatRequest("command-a", [UserMessage("Hi"), reply.choices[0].message]), TARGET, {})
