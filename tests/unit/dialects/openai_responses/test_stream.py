"""Decoding of the Responses API's streams: events → OpenAI's chunks, which accumulate to the reply."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anycompletion import errors
from anycompletion.codecs.sse import Event
from anycompletion.dialects.openai_responses.dialect import DIALECT
from anycompletion.records import ChatRequest
from support.openai_responses import (
    CHAT,
    CUSTOM_TOOL,
    LEGACY,
    SEARCH,
    TARGET,
    call,
    custom_call,
    events_of,
    message,
    part,
    reasoning,
    reply,
    request,
    response,
    run,
    streamed,
)

CITED = part("Text", annotations=[{"type": "url_citation", "url": "https://a", "title": "A", "start_index": 1}])
FILE = part("", annotations=[{"type": "file_citation", "file_id": "f", "index": 0}])
REFUSAL = {"type": "refusal", "refusal": "I will not."}
CUSTOM = request(tools=[CUSTOM_TOOL])
END = {"type": "response.completed", "response": response()}

OUTPUTS: dict[str, tuple[list[dict[str, Any]], ChatRequest]] = {
    "text": ([message("Hello there")], CHAT),
    "nothing": ([], CHAT),
    "texts": ([message("One", "more"), message("Two")], CHAT),
    "commentary": ([message("Note", phase="commentary"), message("Text", phase="final_answer")], CHAT),
    "summary": ([reasoning("One", "Two"), message("Text")], CHAT),
    "reasoning": ([reasoning(content=[{"type": "reasoning_text", "text": "Hm, hm"}]), message("Text")], CHAT),
    "encrypted": ([reasoning(), message("Text")], CHAT),
    "refusal": ([message(REFUSAL)], CHAT),
    "annotations": ([message("One"), message("x", CITED, FILE)], CHAT),
    "calls": ([reasoning("Sum"), call(arguments='{"a":1}'), call("sub", "{}", "call_2")], CHAT),
    "text and calls": ([message("Text"), call(), call("sub", "[1, 2]", "call_2")], CHAT),
    "search": ([reasoning("Sum"), SEARCH, message(CITED)], CHAT),
    "custom": ([custom_call()], CUSTOM),
    "custom call of the server": ([custom_call("x_search"), message("Text")], CUSTOM),
    "legacy": ([call(arguments='{"a":1}')], LEGACY),
    "an unknown item": ([{"type": "new", "id": "new_1", "text": "x"}, message("Text")], CHAT),
}


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize("name", OUTPUTS)
def test_a_stream_is_the_whole_reply(name: str, size: int) -> None:
    """The same response would be another one if it is streamed."""
    items, asked = OUTPUTS[name]
    assert streamed(*events_of(*items, size=size), asked=asked).to_dict() == reply(*items, asked=asked).to_dict()


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_stream_without_deltas_is_the_whole_reply(name: str) -> None:
    """A server that sends only whole items would send an empty answer."""
    items, asked = OUTPUTS[name]
    events = [each for each in events_of(*items) if not each["type"].endswith((".delta", "annotation.added"))]
    assert streamed(*events, asked=asked).to_dict() == reply(*items, asked=asked).to_dict()


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_stream_of_its_end_alone_is_the_whole_reply(name: str) -> None:
    """A server that sends only the whole response would send an empty answer."""
    items, asked = OUTPUTS[name]
    events = events_of(*items)
    assert streamed(events[0], events[-1], asked=asked).to_dict() == reply(*items, asked=asked).to_dict()


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_stream_without_ends_of_items_is_the_whole_reply(name: str) -> None:
    """What only the end has, such as encrypted reasoning, would be lost."""
    items, asked = OUTPUTS[name]
    events = [each for each in events_of(*items) if each["type"] != "response.output_item.done"]
    whole = reply(*items, asked=asked)
    found = streamed(*events, asked=asked)
    assert found.choices[0].message.to_dict() == whole.choices[0].message.to_dict()


def test_each_delta_is_a_chunk_at_once() -> None:
    """Text would appear late."""
    events = events_of(message("Hello there"), size=3)
    decoder = DIALECT.decoder(CHAT, TARGET)
    found = [len(decoder.feed(Event(json.dumps(each).encode(), each["type"]))) for each in events]
    # created, item added, 4 deltas, text done, item done, completed: finish reason and usage
    assert found == [0, 0, 1, 1, 1, 1, 0, 0, 2]
    assert decoder.done


def test_the_first_chunk_has_the_role_and_all_have_the_id() -> None:
    """Clients that build a message from chunks would build one without a role."""
    chunks = run(*events_of(message("Hello")))
    assert [chunk.choices[0].delta.role for chunk in chunks if chunk.choices] == ["assistant", None, None]
    assert {(chunk.id, chunk.model, chunk.created) for chunk in chunks} == {
        ("resp_1", "gpt-5.2-2025-12-11", 1741476777)
    }


def test_items_whose_events_are_interleaved() -> None:
    """Arguments of two calls at once would be mixed."""
    added = "response.output_item.added"
    delta = "response.function_call_arguments.delta"
    first, second = call(arguments='{"a":1}'), call("sub", '{"b":2}', "call_2")
    found = streamed(
        {"type": added, "output_index": 0, "item": {**first, "arguments": ""}},
        {"type": added, "output_index": 1, "item": {**second, "arguments": ""}},
        {"type": delta, "output_index": 0, "delta": '{"a":'},
        {"type": delta, "output_index": 1, "delta": '{"b":'},
        {"type": delta, "output_index": 0, "delta": "1}"},
        {"type": delta, "output_index": 1, "delta": "2}"},
        {"type": "response.output_item.done", "output_index": 1, "item": second},
        {"type": "response.output_item.done", "output_index": 0, "item": first},
        {"type": "response.completed", "response": response(first, second)},
    )
    assert found.choices[0].message.to_dict() == reply(first, second).choices[0].message.to_dict()


def test_an_incomplete_response() -> None:
    """An answer that was cut off would look complete."""
    events = events_of(message("Hel"), status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    assert streamed(*events).choices[0].finish_reason == "length"
    events = events_of(message("Hel"), status="incomplete")
    assert streamed(*events).choices[0].native_finish_reason == "incomplete"


def test_log_probabilities_come_with_their_text() -> None:
    """Those of a stream would be lost, or be mixed with the commentary's."""
    token = {"token": "Hi", "bytes": [72, 105], "logprob": -0.5, "top_logprobs": []}
    events = events_of(message("Note", phase="commentary"), message("Hi", id="msg_2"), size=9)
    events = [each | {"logprobs": [token]} if each["type"].endswith("text.delta") else each for each in events]
    logprobs = streamed(*events).choices[0].logprobs
    assert logprobs is not None
    assert [each.token for each in logprobs.content or ()] == ["Hi"]


@pytest.mark.parametrize("index", [None, "x", [], {}, True])
def test_items_without_a_number_are_in_order(index: Any) -> None:
    """The end of an item would be a second one, and its text be doubled."""
    events = [each | {"output_index": index} if "output_index" in each else each for each in events_of(message("Hi"))]
    assert streamed(*events).to_dict() == reply(message("Hi")).to_dict()


def without(field: str, *events: dict[str, Any]) -> list[dict[str, Any]]:
    """The events without a field."""
    return [{name: value for name, value in each.items() if name != field} for each in events]


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("known", [0, 1])
def test_items_that_only_the_end_has_are_delivered(name: str, known: int) -> None:
    """A text, or a second call, that no event had would be lost, and the stream end as complete."""
    items, asked = OUTPUTS[name]
    events = events_of(*items[:known])
    end = {"type": "response.completed", "response": response(*items)}
    found = streamed(*events[:-1], end, asked=asked)
    assert found.to_dict() == reply(*items, asked=asked).to_dict()


def test_the_end_repeats_items_under_other_ids() -> None:
    """A server that changes ids in its last event would send everything twice."""
    items = [reasoning("Sum", id="rs_0"), message("Text"), call()]
    events = events_of(*items)
    end = response(message("Text", id="msg_9"), call(id="fc_9", call_id="call_9"))
    found = streamed(*events[:-1], {"type": "response.completed", "response": end}, asked=CHAT)
    assert found.choices[0].message.to_dict() == reply(*items).choices[0].message.to_dict()


@pytest.mark.parametrize("left_out", ["delta", "item.done", "part of the deltas"])
@pytest.mark.parametrize("name", ["text", "texts", "refusal", "text and calls", "custom", "legacy", "commentary"])
def test_whole_parts_have_what_no_delta_had(name: str, left_out: str) -> None:
    """A server that sends no deltas, or no ends of items, would send an empty answer; a lost delta would stay lost."""
    items, asked = OUTPUTS[name]
    events: list[dict[str, Any]] = []
    for each in events_of(*items, size=2):
        kind = each["type"]
        is_second = kind.endswith(".delta") and bool(events) and events[-1]["type"] == kind
        if (left_out == "delta" and kind.endswith(".delta")) or (left_out == "part of the deltas" and is_second):
            continue
        if left_out == "item.done" and (kind.endswith(".delta") or kind == "response.output_item.done"):
            continue
        events.append(each)
    if left_out == "item.done":
        events[-1] = {"type": "response.completed", "response": response()}
    found = streamed(*events, asked=asked).choices[0].message
    expected = reply(*items, asked=asked).choices[0].message
    for field in ("content", "refusal", "tool_calls", "function_call", "reasoning_content"):
        assert getattr(found, field) == getattr(expected, field)


def test_a_part_of_the_content_has_what_no_delta_had() -> None:
    """The text of a server that ends parts only would be lost."""
    events = events_of(message("Hello"))[:2]
    done = {"type": "response.content_part.done", "output_index": 0, "content_index": 0, "part": part("Hello")}
    assert streamed(*events, done, done, END).text == "Hello"


@pytest.mark.parametrize("field", ["output_index", "item_id"])
def test_calls_that_grow_at_once_have_a_number_or_an_id(field: str) -> None:
    """Arguments would go to the wrong call, and calls appear twice."""
    first, second = call(arguments='{"a":1}'), call("sub", '{"b":2}', "call_2")
    start, *events, end = events_of(first, second, size=2)
    ordered = sorted(events, key=lambda each: each["type"].rpartition(".")[2] == "done")
    ordered.sort(key=lambda each: each["type"] != "response.output_item.added")
    deltas = [each for each in ordered if each["type"].endswith(".delta")]
    mixed = [deltas[i] for i in sorted(range(len(deltas)), key=lambda i: i % 4)]
    others = [each for each in ordered if not each["type"].endswith(".delta")]
    found = streamed(*without(field, start, *others[:2], *mixed, *others[2:], end))
    assert found.choices[0].message.to_dict() == reply(first, second).choices[0].message.to_dict()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (call(arguments='{"a":1}'), call("sub", '{"b":2}', "call_2")),
        (message("One"), message("Another", id="msg_2")),
    ],
)
def test_two_items_under_one_number_are_two(first: dict[str, Any], second: dict[str, Any]) -> None:
    """The second one would be taken for the first one, and its texts be mixed with those of the first one."""
    events = [each | {"output_index": 0} if "output_index" in each else each for each in events_of(first, second)]
    begins = [each for each in events if each["type"] == "response.output_item.added"]
    others = [each for each in events[1:] if each["type"] != "response.output_item.added"]
    found = streamed(events[0], *begins, *others)
    assert found.choices[0].message.to_dict() == reply(first, second).choices[0].message.to_dict()


@pytest.mark.parametrize("name", ["calls", "custom", "legacy"])
@pytest.mark.parametrize("field", ["", "output_index"])
def test_arguments_before_their_call_are_kept(name: str, field: str) -> None:
    """A call would have no arguments, or half of them."""
    items, asked = OUTPUTS[name]
    events = events_of(*items)
    late = [at for at, each in enumerate(events) if each["type"] == "response.output_item.added"]
    for at in reversed(late):
        events.insert(at + 1, events.pop(at))
    found = streamed(*without(field, *events), asked=asked)
    assert found.choices[0].message.to_dict() == reply(*items, asked=asked).choices[0].message.to_dict()


@pytest.mark.parametrize("item", [message("Hello"), call(arguments='{"a":1}')])
def test_a_whole_that_is_not_what_was_sent_is_an_error(item: dict[str, Any]) -> None:
    """An answer whose beginning or middle was lost would look complete."""
    events = events_of(item)
    del events[2]
    with pytest.raises(errors.APIResponseError, match="begins with the pieces before it"):
        streamed(*events)


@pytest.mark.parametrize("item", [message("Hello \n"), call(arguments='{"a": 1}')])
def test_a_whole_without_blanks_is_what_was_sent(item: dict[str, Any]) -> None:
    """A server that writes its JSON anew, or without blanks at the end, would fail a whole answer."""
    events = events_of(item)
    field = "arguments" if "arguments" in item else "content"
    short = call(arguments='{"a":1}') if field == "arguments" else message("Hello")
    events = [each for each in events if not each["type"].endswith("text.done")]
    events[-2] |= {"item": short}
    assert streamed(*events[:-1], END | {"response": response(short)}).choices[0].finish_reason


# --- ends and errors --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("last", [1, 2, 4, -1])
def test_a_cut_stream_is_an_error(last: int) -> None:
    """Half an answer would look complete."""
    with pytest.raises(errors.StreamInterruptedError) as caught:
        run(*events_of(message("Hello there"))[:last])
    assert caught.value.maybe_billed


def test_an_end_marker_alone_is_no_end() -> None:
    """Half an answer of a gateway that always sends the marker would look complete."""
    decoder = DIALECT.decoder(CHAT, TARGET)
    for each in events_of(message("Hello"))[:-1]:
        decoder.feed(Event(json.dumps(each).encode(), each["type"]))
    assert not decoder.feed(Event(b"[DONE]", ""))
    assert decoder.done
    with pytest.raises(errors.StreamInterruptedError):
        decoder.finish()


def test_nothing_after_the_end_is_read() -> None:
    """A second end would count the tokens twice."""
    events = events_of(message("Hello"))
    assert len(run(*events, events[-1], {"type": "error", "message": "No."})) == len(run(*events))


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"type": "error", "code": "rate_limit_exceeded", "message": "Slow."}, errors.RateLimitError),
        ({"type": "error", "error": {"code": "server_error", "message": "Oh."}}, errors.InternalServerError),
        ({"error": {"code": "server_error", "message": "Oh."}}, errors.InternalServerError),
        (
            {"type": "response.failed", "response": {"error": {"code": "server_error", "message": "Oh."}}},
            errors.InternalServerError,
        ),
        (
            {"type": "response.error", "error": {"code": "server_error", "message": "Oh."}},
            errors.InternalServerError,
        ),
        ({"type": "response.error", "code": "server_error", "message": "Oh."}, errors.InternalServerError),
        ({"type": "response.failed", "response": {}}, errors.InternalServerError),
        ({"type": "response.failed"}, errors.InternalServerError),
        (
            {"type": "response.completed", "response": {"status": "failed", "error": {"message": "Oh."}}},
            errors.APIStatusError,
        ),
        ({"type": "response.cancelled", "response": {"status": "cancelled"}}, errors.APIResponseError),
        ({"type": "response.completed", "response": {"status": "cancelled"}}, errors.APIResponseError),
    ],
)
@pytest.mark.parametrize("after", [0, 1, 4])
def test_errors_in_streams(event: dict[str, Any], kind: type[errors.APIError], after: int) -> None:
    """A generation that failed would be an answer, or a cut stream without a reason."""
    with pytest.raises(kind):
        run(*events_of(message("Hello there"))[:after], event)


@pytest.mark.parametrize(
    "data",
    [b"{", b"[1]", b'"Some text"', b"1", b'{"type": "response.output_item.added", "item": 1}', b"\xff"],
)
def test_events_that_cannot_be_read(data: bytes) -> None:
    """A part of the answer would be missing without an error."""
    with pytest.raises(errors.APIError):
        DIALECT.decoder(CHAT, TARGET).feed(Event(data, ""))


@pytest.mark.parametrize("data", [b"", b"null", b"{}", b'{"type": "response.new_thing", "x": 1}', b'{"type": 1}'])
def test_events_without_meaning_are_ignored(data: bytes) -> None:
    """A sign of life, or what OpenAI adds later, would break every stream."""
    decoder = DIALECT.decoder(CHAT, TARGET)
    assert not decoder.feed(Event(data, "keepalive"))
    events = events_of(message("Hello"))
    assert [chunk for each in events for chunk in decoder.feed(Event(json.dumps(each).encode(), ""))]


def test_the_name_of_an_event_decides_where_its_data_has_no_type() -> None:
    """A server that names events only would send an empty answer."""
    decoder = DIALECT.decoder(CHAT, TARGET)
    found: list[Any] = []
    for each in events_of(message("Hello")):
        data = {name: value for name, value in each.items() if name != "type"}
        found += decoder.feed(Event(json.dumps(data).encode(), each["type"]))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in found if chunk.choices) == "Hello"


def test_an_error_is_recognized_by_the_name_of_its_event() -> None:
    """An error in plain text would be a cut stream without a reason."""
    with pytest.raises(errors.APIStatusError, match="Out of memory"):
        DIALECT.decoder(CHAT, TARGET).feed(Event(b"Out of memory", "error"))


@given(st.data())
def test_no_stream_breaks_the_decoder(data: st.DataObject) -> None:
    """A server that leaves out, doubles, or changes events would raise an error that is none of the package's."""
    items, asked = OUTPUTS[data.draw(st.sampled_from(sorted(OUTPUTS)))]
    events = [each for each in events_of(*items) for _ in range(data.draw(st.sampled_from((1, 1, 1, 0, 2))))]
    for at in data.draw(st.lists(st.integers(0, len(events) - 1), max_size=3)) if events else ():
        field = data.draw(st.sampled_from(sorted(events[at])))
        value = data.draw(st.sampled_from((None, 1, "x", [], {}, [1], {"type": 1}, True)))
        events[at] = {**events[at], field: value}
    try:
        streamed(*events, asked=asked).to_dict()
    except errors.APIError:
        pass
