"""Lenient reading of Anthropic's replies and streams: odd types of fields cost neither a reply nor its parts."""

import copy
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anycompletion.codecs.sse import Event
from anycompletion.dialects.anthropic_messages.dialect import DIALECT
from anycompletion.dialects.base import Target
from anycompletion.errors import APIResponseError, APIStatusError, CompletionError, StreamInterruptedError
from anycompletion.http import Headers, HttpResponse
from anycompletion.records import ChatCompletion, ChatCompletionMessage, ChatRequest, Usage, UserMessage
from anycompletion.streaming.accumulator import Accumulator

TARGET = Target(provider="anthropic", model="asked", base_url="https://api.anthropic.com")
CHAT = ChatRequest("asked", [UserMessage("Hi")], max_tokens=9)

THINKING = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
REDACTED = {"type": "redacted_thinking", "data": "eA=="}
TEXT = {"type": "text", "text": "Hello"}
USE = {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1}}
CONTENT = [THINKING, REDACTED, TEXT, USE]
WEB = "web_search_result_location"
REPLY: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": CONTENT,
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 5},
}


def decode(data: Any) -> ChatCompletion:
    return DIALECT.decode(HttpResponse(200, Headers(), json.dumps(data).encode()), CHAT, TARGET)


def changed(data: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """A copy with one place replaced; `...` leaves it out."""
    copied = copy.deepcopy(data)
    inner = copied
    for step in path[:-1]:
        inner = inner[step]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return copied


# --- whole replies ----------------------------------------------------------------------------------------------------

ODD = [None, ..., 7, True, {"x": 1}, ["x"], [], "7"]
UNNEEDED: list[tuple[str | int, ...]] = [
    ("role",),
    ("stop_sequence",),
    ("content", 0, "type"),
    ("content", 1, "type"),
    ("content", 2, "type"),
    ("content", 3, "type"),
]


@pytest.mark.parametrize("path", UNNEEDED)
@pytest.mark.parametrize("value", ODD[:-1], ids=repr)
def test_unneeded_fields_of_a_reply(path: tuple[str | int, ...], value: Any):
    """An unneeded field would cost a paid reply, or its type a part of it."""
    got, expected = decode(changed(REPLY, path, value)), decode(REPLY)
    assert got.choices[0].message == expected.choices[0].message
    assert (got.choices[0].finish_reason, got.usage) == ("tool_calls", expected.usage)


@pytest.mark.parametrize("name", ["id", "model", "type", "container", "context_management"])
@pytest.mark.parametrize("value", ODD, ids=repr)
def test_other_fields_of_a_reply_change_only_themselves(name: str, value: Any):
    """An odd id, model or container would cost the reply."""
    got = decode(changed({**REPLY, "container": {"id": "c"}, "context_management": {}}, (name,), value))
    assert got.choices == decode(REPLY).choices


CONVERSIONS: list[tuple[tuple[str | int, ...], Any, Any]] = [
    (("id",), 7, "7"),
    (("model",), None, "asked"),
    (("content", 3, "input"), '{"a":1}', {"a": 1}),
    (("content", 3, "input"), [{"a": 1}], {"a": 1}),
    (("content", 3, "input"), None, {}),
    (("content", 3, "input"), ..., {}),
    (("content", 3, "input"), "", {}),
    (("content", 3, "id"), 7, "7"),
    (("content", 3, "id"), None, ""),
    (("content", 3, "name"), ["add"], "add"),
    (("content", 2, "text"), 7, "7"),
    (("content", 2, "text"), {"x": 1}, '{"x":1}'),
    (("content", 2, "text"), ["Hel", "lo"], "Hello"),
    (("content", 2, "citations"), {"type": "char_location"}, [{"type": "char_location"}]),
    (("content", 2, "citations"), 7, []),
    (("content", 2, "citations"), [None, 7, {"url": "https://x"}], [{"url": "https://x", "type": WEB}]),
    (("content", 0, "thinking"), ["h", "m"], "hm"),
    (("content", 0, "signature"), 7, "7"),
    (("content", 2), [TEXT], TEXT),
    (("content", 2), json.dumps(TEXT), TEXT),
    (("content",), [None, *CONTENT, None], CONTENT),
    (("stop_reason",), ["tool_use"], "tool_use"),
    (("usage",), [{"input_tokens": 3, "output_tokens": 5}], REPLY["usage"]),
    (("usage",), {"input_tokens": "3", "output_tokens": 5.5}, REPLY["usage"]),
    (("usage",), 7, None),
]


@pytest.mark.parametrize(("path", "value", "read_as"), CONVERSIONS, ids=[str(case[:2]) for case in CONVERSIONS])
def test_conversions(path: tuple[str | int, ...], value: Any, read_as: Any):
    """A value whose meaning is clear would be refused, lost, or read as something else."""
    assert decode(changed(REPLY, path, value)) == decode(changed(REPLY, path, read_as))


def test_control_characters_and_a_byte_order_mark():
    """Raw control characters in a text would cost the reply."""
    body = b"\xef\xbb\xbf" + json.dumps(REPLY).replace("Hello", "a\x07b").encode()
    reply = DIALECT.decode(HttpResponse(200, Headers(), body), CHAT, TARGET)
    assert reply.text == "a\x07b"


# --- streams ----------------------------------------------------------------------------------------------------------


def piece(index: Any, **delta: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def begin(index: Any, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def end(index: Any) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


START: dict[str, Any] = {
    "type": "message_start",
    "message": {**REPLY, "content": [], "stop_reason": None, "usage": {"input_tokens": 3, "output_tokens": 1}},
}
FINISH: dict[str, Any] = {
    "type": "message_delta",
    "delta": {"stop_reason": "tool_use", "stop_sequence": None},
    "usage": {"output_tokens": 5},
}
STOP: dict[str, Any] = {"type": "message_stop"}
EVENTS: list[dict[str, Any]] = [
    START,
    {"type": "ping"},
    begin(0, type="thinking", thinking="", signature=""),
    piece(0, type="thinking_delta", thinking="h"),
    piece(0, type="thinking_delta", thinking="m"),
    piece(0, type="signature_delta", signature="c2ln"),
    end(0),
    begin(1, **REDACTED),
    end(1),
    begin(2, type="text", text=""),
    piece(2, type="text_delta", text="Hel"),
    piece(2, type="text_delta", text="lo"),
    end(2),
    begin(3, type="tool_use", id="toolu_1", name="add", input={}),
    piece(3, type="input_json_delta", partial_json='{"a":'),
    piece(3, type="input_json_delta", partial_json="1}"),
    end(3),
    FINISH,
    STOP,
]


def event(data: Any, name: str | None = None) -> Event:
    return Event(json.dumps(data).encode(), data.get("type", "") if name is None else name)


def read(*events: Event) -> ChatCompletion:
    accumulator, decoder = Accumulator(), DIALECT.decoder(CHAT, TARGET)
    for found in events:
        for chunk in decoder.feed(found):
            accumulator.add(chunk)
    for chunk in decoder.finish():
        accumulator.add(chunk)
    return accumulator.completion()


def stream(*events: dict[str, Any]) -> ChatCompletion:
    return read(*map(event, events))


def message(*events: dict[str, Any], reason: str = "end_turn") -> ChatCompletionMessage:
    return stream(START, *events, {**FINISH, "delta": {"stop_reason": reason}}, STOP).choices[0].message


def test_the_stream_of_these_tests_is_their_reply():
    """The tests below would compare other things."""
    assert stream(*EVENTS).to_dict() == decode(REPLY).to_dict()


@pytest.mark.parametrize("kind", [None, ..., 7, {"x": 1}, [], [7]], ids=repr)
def test_event_types_from_the_names_of_events(kind: Any):
    """A stream whose events name their type only in the line `event:` would be lost."""
    events = [event(changed(data, ("type",), kind), data["type"]) for data in EVENTS]
    assert read(*events) == decode(REPLY)


@pytest.mark.parametrize("name", ["", "message", "content_block_delta", "of_tomorrow"])
def test_event_types_without_the_names_of_events(name: str):
    """A stream whose lines `event:` are missing or wrong would be lost."""
    assert read(*(event(data, name) for data in EVENTS)) == decode(REPLY)


def test_event_types_from_the_fields():
    """A stream without any type of events would be lost."""
    events = [event(changed(data, ("type",), ...), "") for data in EVENTS[:-1]]
    assert read(*events) == decode(REPLY)


@pytest.mark.parametrize("kind", [None, ..., 7, {"x": 1}, []], ids=repr)
@pytest.mark.parametrize("field", ["content_block", "delta"])
def test_types_of_blocks_and_deltas_from_their_fields(field: str, kind: Any):
    """A damaged type of a block or delta would cost its text, its thinking or its call."""
    events = [changed(data, (field, "type"), kind) if "index" in data and field in data else data for data in EVENTS]
    assert stream(*events) == decode(REPLY)


@pytest.mark.parametrize("number", [str, float, lambda index: [index]])
def test_indices_in_other_forms(number: Any):
    """An index as text would cost the stream."""
    events = [changed(data, ("index",), number(data["index"])) if "index" in data else data for data in EVENTS]
    assert stream(*events) == decode(REPLY)


@pytest.mark.parametrize("value", [None, ..., {"x": 1}], ids=repr)
@pytest.mark.parametrize("kind", ["content_block_start", "content_block_delta", "content_block_stop", ""])
def test_missing_indices(kind: str, value: Any):
    """A delta without the number of its block would cost the stream."""
    events = [
        changed(data, ("index",), value) if "index" in data and kind in ("", data["type"]) else data for data in EVENTS
    ]
    assert stream(*events) == decode(REPLY)


@pytest.mark.parametrize("place", [i for i, data in enumerate(EVENTS) if data["type"] == "content_block_stop"])
def test_missing_ends_of_blocks(place: int):
    """A block without its end would be lost."""
    assert stream(*EVENTS[:place], *EVENTS[place + 1 :]) == decode(REPLY)


def test_missing_starts_of_blocks():
    """Text and thinking without the start of their blocks would be lost."""
    got = message(piece(0, type="thinking_delta", thinking="hm"), piece(1, type="text_delta", text="Hello"))
    assert (got.reasoning_content, got.content) == ("hm", "Hello")
    assert got.thinking_blocks == [{"type": "thinking", "thinking": "hm"}]


@pytest.mark.parametrize(
    "events",
    [
        [begin(0, type="thinking", thinking="h"), begin(0, type="text", text="Hel")],
        [begin(0, type="thinking", thinking="h"), begin(0, **USE), begin(0, type="text", text="Hel")],
    ],
)
def test_blocks_of_different_types_under_one_index(events: list[dict[str, Any]]):
    """The pieces of two blocks would become one text."""
    got = message(
        *events,
        piece(0, type="thinking_delta", thinking="m"),
        piece(0, type="text_delta", text="lo"),
        piece(0, type="signature_delta", signature="c2ln"),
    )
    assert (got.reasoning_content, got.content) == ("hm", "Hello")
    assert got.thinking_blocks == [THINKING]
    assert len(got.tool_calls or ()) == len(events) - 2


CONVERTED_PIECES: list[tuple[int, tuple[str, ...], Any]] = [
    (3, ("delta", "thinking"), ["h"]),
    (10, ("delta", "text"), ["H", "el"]),
    (10, ("delta",), [{"type": "text_delta", "text": "Hel"}]),
    (10, ("delta",), '{"type":"text_delta","text":"Hel"}'),
    (13, ("content_block", "input"), None),
    (13, ("content_block", "input"), ""),
    (13, ("content_block",), [EVENTS[13]["content_block"]]),
    (17, ("usage",), [{"output_tokens": "5"}]),
    (17, ("usage", "output_tokens"), 5.0),
    (17, ("delta",), [FINISH["delta"]]),
    (17, ("delta", "stop_reason"), ["tool_use"]),
    (0, ("message", "content"), None),
    (0, ("message", "content"), 7),
    (0, ("message", "usage"), [{"input_tokens": "3"}]),
    (0, ("message",), json.dumps(START["message"])),
    (1, ("type",), "of_tomorrow"),
]


@pytest.mark.parametrize(("place", "path", "value"), CONVERTED_PIECES)
def test_conversions_in_a_stream(place: int, path: tuple[str, ...], value: Any):
    """A value whose meaning is clear would cost the stream."""
    events = [*EVENTS[:place], changed(EVENTS[place], path, value), *EVENTS[place + 1 :]]
    assert stream(*events) == decode(REPLY)


@pytest.mark.parametrize("given", [{"a": 1}, '{"a": 1}', [{"a": 1}]])
def test_an_input_that_is_complete_at_the_start(given: Any):
    """The arguments of a call without pieces would be lost."""
    got = message(begin(0, type="tool_use", id="t", name="add", input=given), end(0))
    assert [call.function.arguments for call in got.tool_calls or ()] == ['{"a":1}']


@pytest.mark.parametrize("partial", [{"a": 1}, ['{"a":', "1}"]])
def test_pieces_of_an_input_in_other_forms(partial: Any):
    """The arguments of a call would cost the stream, because they are no text."""
    got = message(begin(0, **{**USE, "input": {}}), piece(0, type="input_json_delta", partial_json=partial))
    assert [call.function.arguments for call in got.tool_calls or ()] == ['{"a":1}']


def test_control_characters_in_an_event():
    """A raw control character in an event would cost the stream."""
    raw = json.dumps(piece(0, type="text_delta", text="a?b")).replace("?", "\x07").encode()
    got = read(event(START), event(begin(0, **TEXT | {"text": ""})), Event(raw), event(FINISH), event(STOP))
    assert got.text == "a\x07b"


def test_fields_of_unknown_deltas_are_kept():
    """A block that Anthropic adds later would be sent back without what its deltas contain."""
    got = message(
        begin(0, type="compaction", content=None),
        piece(0, type="compaction_delta", content="The story "),
        piece(0, type="compaction_delta", content="so far"),
        end(0),
        begin(1, **TEXT),
        end(1),
    )
    assert got.content == "Hello"
    assert got.provider_specific_fields == {
        "anthropic_content": [{"type": "compaction", "content": "The story so far"}, TEXT]
    }


def test_a_signature_in_pieces():
    """A signature in two pieces would lose one, and Anthropic would refuse the turn that is sent back."""
    start = begin(0, type="thinking", thinking="", signature="")
    pieces = [piece(0, type="signature_delta", signature=part) for part in ("c2", "ln")]
    text = begin(1, **TEXT)
    server = begin(2, type="server_tool_use", id="srvtoolu_1", name="web_search", input={})
    got = message(start, piece(0, type="thinking_delta", thinking="hm"), *pieces, end(0), text, end(1), server, end(2))
    assert got.provider_specific_fields is not None
    assert got.provider_specific_fields["anthropic_content"][0] == THINKING
    assert got.thinking_blocks == [THINKING]


def test_unknown_fields_of_a_streamed_message_are_kept():
    """What a whole reply has besides its content would be missing from the reply of a stream."""
    kept = {"container": {"id": "c"}, "context_management": {"applied_edits": []}, "x_start": 1}
    whole = decode({**REPLY, **kept, "x_null": None})
    events = [
        changed(START, ("message", "x_start"), 1),
        *EVENTS[1:-2],
        {**FINISH, "delta": {**FINISH["delta"], "container": {"id": "c"}, "x_null": None}}
        | {"context_management": {"applied_edits": []}},
        STOP,
    ]
    assert whole.extra == kept
    assert stream(*events).to_dict() == whole.to_dict()


# --- ends -------------------------------------------------------------------------------------------------------------

DONE = Event(b"[DONE]")


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([*EVENTS, DONE], "tool_calls"),
        ([*EVENTS[:-1], DONE], "tool_calls"),
        ([*EVENTS[:-2], DONE], None),
        ([*EVENTS[:-2], STOP], None),
        ([*EVENTS[:-1]], "tool_calls"),
        ([changed(START, ("message", "stop_reason"), "tool_use"), *EVENTS[1:-2], DONE], "tool_calls"),
    ],
)
def test_ends(events: list[Any], reason: str | None):
    """A complete reply would be an error because of the form of its end."""
    reply = read(*(found if isinstance(found, Event) else event(found) for found in events))
    assert reply.choices[0].finish_reason == reason
    assert reply.choices[0].message == decode(REPLY).choices[0].message
    assert reply.usage is not None
    assert reply.usage.prompt_tokens == 3


def test_a_block_after_the_stop_reason() -> None:
    """A reply that goes on after its stop reason would look complete where it is cut."""
    events = [*map(event, [*EVENTS[:-1], begin(9, type="text", text="more")])]
    with pytest.raises(StreamInterruptedError):
        read(*events)
    assert read(*events, event(STOP)).choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize("events", [[DONE], [event(START), DONE], [*map(event, EVENTS[:-2])]])
def test_no_ends(events: list[Event]):
    """An empty or cut reply would look complete."""
    with pytest.raises(StreamInterruptedError):
        read(*events)


def test_events_after_the_end_are_ignored():
    """Bytes after the end marker would cost a complete reply."""
    assert read(*map(event, EVENTS), DONE, Event(b"<html>"), event({"type": "error"})) == decode(REPLY)


@pytest.mark.parametrize("data", [b"", b" ", b"null"])
def test_empty_events_are_skipped(data: bytes):
    """An empty event would cost the stream."""
    assert read(event(EVENTS[0]), Event(data), Event(b"ping", "ping"), *map(event, EVENTS[1:])) == decode(REPLY)


@pytest.mark.parametrize("start", [begin, lambda index, **_: piece(index, type="text_delta", text="x")])
def test_blocks_that_never_end_are_an_error(start: Any):
    """A server that opens blocks without end could keep the event loop busy for minutes."""
    decoder = DIALECT.decoder(CHAT, TARGET)
    decoder.feed(event(EVENTS[0]))
    with pytest.raises(APIResponseError, match="1000 open blocks"):
        for index in range(10_000):
            decoder.feed(event(start(index, type="text", text="x")))


def test_many_blocks_take_linear_time():
    """Each block would take longer than the one before."""
    decoder = DIALECT.decoder(CHAT, TARGET)
    begun = time.process_time()
    for index in range(20_000):
        decoder.feed(event(begin(index, type="text", text="x")))
        decoder.feed(event(end(index)))
    assert time.process_time() - begun < 5


# --- errors -----------------------------------------------------------------------------------------------------------

BUSY = {"type": "overloaded_error", "message": "Busy"}
ERRORS: list[tuple[Any, str, str | None, int]] = [
    ({"type": "error", "error": BUSY}, "Busy", "overloaded_error", 529),
    ({"error": BUSY}, "Busy", "overloaded_error", 529),
    (BUSY, "Busy", "overloaded_error", 529),
    ([{"type": "error", "error": BUSY}], "Busy", "overloaded_error", 529),
    ([{"error": BUSY}, {"error": BUSY}], "Busy", "overloaded_error", 529),
    (json.dumps({"error": BUSY}), "Busy", "overloaded_error", 529),
    ({"type": "error", "error": json.dumps(BUSY)}, "Busy", "overloaded_error", 529),
    ({"type": "error", "error": [BUSY]}, "Busy", "overloaded_error", 529),
    ({"type": "error", "error": "Busy"}, "Busy", None, 500),
    ({"error": "Busy"}, "Busy", None, 500),
    ({"errors": [{"message": "Busy", "code": "b"}]}, "Busy", "b", 500),
    ({"object": "error", "message": "Busy", "code": 503}, "Busy", "503", 503),
    ({"error": {"message": "Busy", "type": "server_error", "code": "rate_limit_exceeded"}}, "Busy", None, 429),
    ({"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, "insufficient balance", "1008", 500),
    ({"message": "Busy", "code": 503}, "Busy", "503", 503),
    ({"detail": "Busy"}, "Busy", None, 500),
    ({**REPLY, "error": BUSY}, "Busy", "overloaded_error", 529),
    ({**REPLY, "stop_reason": "error"}, "the generation failed: error", "error", 500),
]


@pytest.mark.parametrize(("data", "text", "code", "status"), ERRORS, ids=[str(case[0])[:60] for case in ERRORS])
def test_errors_of_any_shape_in_a_good_status(data: Any, text: str, code: str | None, status: int):
    """An error would be read as a reply, or its words would be lost."""
    with pytest.raises(APIStatusError) as caught:
        decode(data)
    assert caught.value.message == text
    assert caught.value.status_code == status
    if code is not None:
        assert caught.value.code == code


@pytest.mark.parametrize("name", ["", "error", "message", "content_block_delta", "ping"])
@pytest.mark.parametrize(
    ("data", "text", "code", "status"), ERRORS[:-2], ids=[str(case[0])[:60] for case in ERRORS[:-2]]
)
def test_errors_of_any_shape_in_a_stream(data: Any, text: str, code: str | None, status: int, name: str):
    """An error in a stream would be ignored, or its words would be lost."""
    with pytest.raises(APIStatusError) as caught:
        read(*map(event, EVENTS[:5]), Event(json.dumps(data).encode(), name))
    assert caught.value.message == text
    assert caught.value.status_code == status
    if code is not None:
        assert caught.value.code == code


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({**piece(0, type="text_delta", text="x"), "error": BUSY}, "Busy"),
        ({**START, "error": BUSY}, "Busy"),
        ({"type": "message_start", "message": {"type": "error", "error": BUSY}}, "Busy"),
        ({**FINISH, "delta": {"stop_reason": "error"}}, "the generation failed: error"),
        ({**FINISH, "delta": {"stop_reason": None, "error": BUSY}}, "Busy"),
    ],
)
def test_errors_inside_events(data: Any, text: str):
    """An error beside or inside of other fields would be ignored."""
    with pytest.raises(APIStatusError, match=text):
        read(event(START), event(data))


def test_an_error_that_is_no_json():
    """The words of an event `error` would be lost because they are no JSON."""
    with pytest.raises(APIStatusError, match="upstream failed"):
        read(event(START), Event(b"upstream failed", "error"))


@pytest.mark.parametrize("value", [None, False, "", {}, [], 0], ids=repr)
def test_empty_errors_are_none(value: Any):
    """A reply with an empty field `error` would be an error."""
    assert decode({**REPLY, "error": value}).choices == decode(REPLY).choices
    events = [{**data, "error": value} for data in EVENTS]
    assert stream(*events).choices == decode(REPLY).choices


def test_texts_in_unknown_events_are_no_errors():
    """A notice that Anthropic adds later would end the stream."""
    assert stream(START, {"type": "notice", "message": "Hello", "title": "x"}, *EVENTS[1:]) == decode(REPLY)


def test_an_empty_reply_without_a_reason():
    """A reply without anything would look like a success."""
    assert stream(START, {**FINISH, "delta": {"stop_reason": "end_turn"}}, STOP).usage == Usage(3, 5, 8)
    with pytest.raises(StreamInterruptedError):
        stream(START, {**FINISH, "delta": {"stop_reason": {"x": 1}}}, STOP)


# --- anything ---------------------------------------------------------------------------------------------------------

FIELDS = st.sampled_from(
    [
        "type",
        "index",
        "delta",
        "content_block",
        "message",
        "usage",
        "content",
        "text",
        "thinking",
        "signature",
        "input",
        "partial_json",
        "citation",
        "citations",
        "id",
        "name",
        "data",
        "stop_reason",
        "stop_details",
        "error",
        "role",
    ]
)
WORDS = st.sampled_from(
    [data["type"] for data in EVENTS] + [part["type"] for part in CONTENT] + ["text_delta", "", "x"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 3) | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_any_body_is_a_reply_or_an_error(body: Any):
    """A body that no one expects would raise an undocumented exception."""
    for data in (body, {**REPLY, "content": body}, {**REPLY, "content": [body]}, {**REPLY, "usage": body}):
        try:
            reply = decode(data)
        except CompletionError:
            continue
        json.dumps(reply.to_dict())
        earlier = reply.choices[0].message
        again = ChatRequest("asked", [UserMessage("Hi"), earlier, UserMessage("Ho")], max_tokens=9)
        assert DIALECT.encode(again, TARGET, {})


@given(st.lists(st.tuples(st.sampled_from(range(len(EVENTS))), FIELDS, VALUES), min_size=1, max_size=3))
def test_any_events_are_a_reply_or_an_error(changes: list[tuple[int, str, Any]]):
    """Events that no one expects would raise an undocumented exception."""
    events = copy.deepcopy(EVENTS)
    for place, name, value in changes:
        inner = events[place].get("content_block", events[place].get("delta", events[place].get("message")))
        for holder in (events[place], inner):
            if isinstance(holder, dict) and name in holder:
                holder[name] = value
    try:
        reply = read(*(event(data, named["type"]) for data, named in zip(events, EVENTS, strict=True)))
    except CompletionError:
        return
    json.dumps(reply.to_dict())
