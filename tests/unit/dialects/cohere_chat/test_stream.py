"""Decoding of Cohere's streams: events → OpenAI's chunks, which accumulate to the reply."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anycompletion.codecs.sse import Event, SSEParser
from anycompletion.dialects.cohere_chat.dialect import DIALECT
from anycompletion.errors import (
    APIResponseError,
    APIStatusError,
    ContextWindowExceededError,
    InternalServerError,
    RateLimitError,
    ServiceUnavailableError,
    StreamInterruptedError,
    UnprocessableEntityError,
)
from anycompletion.http import Headers, HttpResponse
from anycompletion.records import ChatRequest, FunctionDefinition, UserMessage
from anycompletion.records.chunks import Delta, FunctionDelta, ToolCallDelta
from anycompletion.records.logprobs import Logprobs, TokenLogprob
from anycompletion.streaming.accumulator import accumulated
from support.cohere_stream import (
    BLANK,
    CHAT,
    START,
    TARGET,
    USAGE,
    begin,
    call,
    call_end,
    cite,
    end,
    event,
    fragment,
    message_event,
    native_fields,
    piece,
    plan,
    run,
    stop,
)

LEGACY = ChatRequest("command-a", [UserMessage("Hi")], functions=[FunctionDefinition("add")])


def deltas(*events: dict[str, Any], request: ChatRequest = CHAT) -> list[Delta]:
    """The deltas of all chunks except the first one and the last two."""
    first, *middle, _, _ = run(START, *events, stop(), request=request)
    assert first.choices[0].delta == Delta(role="assistant")
    return [chunk.choices[0].delta for chunk in middle]


def test_a_complete_stream() -> None:
    """A plain stream would not have OpenAI's shape."""
    events = [START, begin(0, type="text", text=""), piece(0, text="Hel"), piece(0, text="lo"), end(0), stop()]
    chunks = run(*events)
    head = {"id": "gen_1", "object": "chat.completion.chunk", "created": 0, "model": "command-a"}

    def one(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        native = {} if reason is None else {"native_finish_reason": "COMPLETE"}
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None, **native}]}

    assert [chunk.to_dict() for chunk in chunks] == [
        one({"role": "assistant"}),
        one({"content": "Hel"}),
        one({"content": "lo"}),
        one({}, "stop"),
        {
            **head,
            "choices": [],
            "usage": {
                "prompt_tokens": 3,
                "completion_tokens": 5,
                "total_tokens": 8,
                "prompt_tokens_details": {"cached_tokens": 2},
                "billed_units": {"input_tokens": 1},
            },
        },
    ]
    assert [chunk.raw for chunk in chunks] == [events[0], events[2], events[3], events[5], events[5]]


# --- the end ----------------------------------------------------------------------------------------------------------


def test_done_is_the_end_marker() -> None:
    """The connection would be closed too early, or read after the end."""
    decoder = DIALECT.decoder(CHAT, TARGET)
    decoder.feed(event(START))
    before = decoder.done
    decoder.feed(event(stop()))
    assert (before, decoder.done) == (False, True)
    assert decoder.feed(Event(b"[DONE]")) == ()
    assert decoder.finish() == ()


@pytest.mark.parametrize(
    "events",
    [
        [],
        [START],
        [START, begin(0, type="text", text="")],
        [START, stop(None)],
        [START, {"type": "message-end"}],
    ],
)
@pytest.mark.parametrize("marker", [[], [Event(b"[DONE]")]])
def test_a_stream_without_a_finish_reason_was_interrupted(events: list[dict[str, Any]], marker: list[Event]) -> None:
    """A cut reply would look complete."""
    decoder = DIALECT.decoder(CHAT, TARGET)
    for item in [*map(event, events), *marker]:
        decoder.feed(item)
    with pytest.raises(StreamInterruptedError, match="before the provider sent a finish reason"):
        decoder.finish()


@pytest.mark.parametrize("events", [[begin(0, type="text", text="H"), end(0)], [call(0, "a", "add")], [plan("I")]])
@pytest.mark.parametrize("marker", [Event(b"[DONE]"), event(stop(None)), event({"type": "message-end"})])
def test_an_explicit_end_after_content_is_an_end(events: list[dict[str, Any]], marker: Event) -> None:
    """A complete reply without a finish reason would raise, or a cut one would look complete."""
    decoder = DIALECT.decoder(CHAT, TARGET)
    for item in [START, *events]:
        decoder.feed(event(item))
    with pytest.raises(StreamInterruptedError):
        decoder.finish()
    last = decoder.feed(marker)[-1]
    assert decoder.done
    assert decoder.finish() == ()
    assert not last.choices or last.choices[0].finish_reason is None


def test_a_stream_without_usage_has_no_usage_chunk() -> None:
    """Unknown counts would appear as an empty usage."""
    nothing: tuple[Any, ...] = (None, {})
    for usage in nothing:
        assert run(START, stop(usage=usage))[-1].choices


@pytest.mark.parametrize(
    ("reason", "request_", "expected"),
    [
        ("MAX_TOKENS", CHAT, "length"),
        ("TOOL_CALL", CHAT, "tool_calls"),
        ("TOOL_CALL", LEGACY, "function_call"),
        ("ERROR_TOXIC", CHAT, "content_filter"),
        ("BRAND_NEW", CHAT, "BRAND_NEW"),
    ],
)
def test_finish_reasons(reason: str, request_: ChatRequest, expected: str) -> None:
    """A stream's finish reason would be unknown."""
    last = run(START, stop(reason), request=request_)[-2].choices[0]
    assert (last.finish_reason, last.native_finish_reason) == (expected, reason)


# --- pieces -----------------------------------------------------------------------------------------------------------


def test_thinking_streams_as_reasoning() -> None:
    """Reasoning would be missing, mixed into the reply, or lost when it is sent back."""
    events = [
        begin(0, type="thinking", thinking=""),
        piece(0, thinking="h"),
        piece(0, thinking=""),
        piece(0, thinking="m"),
        end(0),
        begin(1, type="text", text="S"),
        piece(1, text="o."),
        end(1),
    ]
    assert deltas(*events) == [
        Delta(reasoning_content="h"),
        Delta(reasoning_content="m"),
        Delta(content="S"),
        Delta(content="o."),
    ]
    content = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "So."}]
    assert native_fields(*events) == {"cohere": {"content": content}}


def call_delta(index: int, call_id: str | None = None, name: str | None = None, arguments: str | None = None) -> Delta:
    kind = None if call_id is None else "function"
    return Delta(tool_calls=[ToolCallDelta(index, call_id, kind, FunctionDelta(name, arguments))])


def test_tool_calls_have_their_own_indices() -> None:
    """Calls would have gaps in their indices, no text for empty arguments, or mixed pieces."""
    assert deltas(
        call(0, "add_1", "add"),
        fragment(0, ""),
        fragment(0, '{"a":'),
        call(7, "sub_1", "sub", "{"),
        fragment(0, " 1}"),
        call_end(0),
        fragment(7, "}"),
        call_end(7),
        call(8, "now_1", "now"),
        call_end(8),
        call_end(8),
    ) == [
        call_delta(0, "add_1", "add", ""),
        call_delta(0, arguments='{"a":'),
        call_delta(1, "sub_1", "sub", "{"),
        call_delta(0, arguments=" 1}"),
        call_delta(1, arguments="}"),
        call_delta(2, "now_1", "now", ""),
        call_delta(2, arguments="{}"),
    ]


def test_a_call_without_an_end() -> None:
    """Empty arguments would not be JSON, or the first of two calls with one index would not be completed."""
    assert deltas(call(0, "a", "add"), call(0, "b", "sub")) == [
        call_delta(0, "a", "add", ""),
        call_delta(0, arguments="{}"),
        call_delta(1, "b", "sub", ""),
        call_delta(1, arguments="{}"),
    ]


def test_the_plan_comes_with_the_end() -> None:
    """The plan of a multi-step tool use could not be sent back."""
    chunks = run(START, plan("I "), plan("will."), call(0, "a", "add", "{}"), call_end(0), stop("TOOL_CALL"))
    assert chunks[-2].choices[0].delta == Delta(provider_specific_fields={"cohere": {"tool_plan": "I will."}})
    assert accumulated(chunks).choices[0].message.content is None


def test_legacy_calls_stream_in_the_legacy_form() -> None:
    """Code that uses `functions` would get a stream without a function call, or a second call would be lost."""
    first = {"id": "a", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    second = {"id": "b", "type": "function", "function": {"name": "sub", "arguments": '{"x":1}'}}
    events = [call(0, "a", "add"), call_end(0), call(1, "b", "sub"), fragment(1, '{"x":1}'), call_end(1)]
    assert deltas(*events, request=LEGACY) == [
        Delta(function_call=FunctionDelta("add", "")),
        Delta(function_call=FunctionDelta(arguments="{}")),
    ]
    assert native_fields(*events, request=LEGACY) == {"cohere": {"tool_calls": [first, second]}}
    assert native_fields(*events[:2], request=LEGACY) is None


def test_citations_come_with_their_place() -> None:
    """Citations would be lost, or would point to a wrong place in the reply."""
    first = {"start": 0, "end": 2, "text": "Ah", "sources": []}
    second = {"start": 0, "end": 2, "text": "So", "content_index": 1, "type": "TEXT_CONTENT"}
    events = [
        begin(0, type="text", text="Ah. "),
        cite(0, **first),
        end(0),
        begin(1, type="text", text="So."),
        message_event("citation-start", 1, citations=[second]),
        {"type": "citation-end", "index": 1},
    ]
    annotations = [delta.annotations for delta in deltas(*events) if delta.annotations]
    assert annotations == [
        [{"type": "citation", "content_start_index": 0, "content_end_index": 2, "citation": first}],
        [{"type": "citation", "content_start_index": 4, "content_end_index": 6, "citation": second}],
    ]
    assert native_fields(*events)["cohere"]["citations"] == [first, second]


def test_logprobs_come_with_their_text() -> None:
    """Probabilities of a stream would be lost, for example those without a text."""
    item = {"text": "a", "token_ids": [1], "logprobs": [-0.5]}
    chunks = run(START, {**piece(0, text="a"), "logprobs": item}, {**piece(0, text=""), "logprobs": item}, stop())
    expected = Logprobs([TokenLogprob("a", -0.5, extra={"token_ids": [1], "logprobs": [-0.5]})])
    assert [chunk.choices[0].logprobs for chunk in chunks[1:3]] == [expected, expected]
    assert [chunk.choices[0].delta for chunk in chunks[1:3]] == [Delta(content="a"), Delta()]


def test_parts_and_calls_without_a_start_are_read() -> None:
    """The text of a server that leaves out starts or indices would be lost."""
    assert deltas(piece(None, text="a"), piece(3, thinking="b"), piece(None, text="c")) == [
        Delta(content="a"),
        Delta(reasoning_content="b"),
        Delta(content="c"),
    ]
    assert deltas(call(None, "a", "add"), fragment(None, "{}")) == [
        call_delta(0, "a", "add", ""),
        call_delta(0, arguments="{}"),
    ]


def test_unknown_types_are_kept_or_ignored() -> None:
    """A new type of event or part would make every stream raise."""
    events: list[dict[str, Any]] = [
        {"type": "of_tomorrow", "x": 1},
        {"type": "debug", "prompt": "..."},
        begin(0, type="of_tomorrow", text="a", n=1),
        piece(0, text="b", n=2, nothing=None),
        begin(1, type="text", text="x", mood="good"),
    ]
    assert deltas(*events) == [Delta(content="x")]
    assert native_fields(*events) == {
        "cohere": {
            "content": [
                {"type": "of_tomorrow", "text": "ab", "n": 2},
                {"type": "text", "mood": "good", "text": "x"},
            ]
        }
    }


def test_unknown_fields_of_the_message_are_kept() -> None:
    """Fields that Cohere adds later would be lost in streams, where whole replies keep them."""
    start = {**START, "speed": 1, "delta": {"message": {**BLANK, "mood": "good", "nothing": None}}}
    native = {"id": "a", "type": "function", "function": {"name": "add", "arguments": "{}"}, "x": 1, "nothing": None}
    events = [start, message_event("tool-call-start", 0, tool_calls=native), stop("TOOL_CALL", warnings=["w"], y=None)]
    reply = accumulated(run(*events))
    message = reply.choices[0].message
    assert reply.extra == {"speed": 1, "warnings": ["w"]}
    assert message.extra == {"mood": "good"}
    assert [each.extra for each in message.tool_calls or ()] == [{"x": 1}]


@pytest.mark.parametrize("data", [b"", b" ", b"\n", b"null"])
def test_empty_events_are_skipped(data: bytes) -> None:
    """A keep-alive without data would end the stream with an error."""
    assert DIALECT.decoder(CHAT, TARGET).feed(Event(data, "ping")) == ()


def test_an_event_with_only_a_name() -> None:
    """The events of proxies that leave out the type would be ignored."""
    decoder = DIALECT.decoder(CHAT, TARGET)
    data = json.dumps({"index": 0, "delta": {"message": {"content": {"text": "a"}}}}).encode()
    assert [chunk.choices[0].delta for chunk in decoder.feed(Event(data, "content-delta"))] == [Delta(content="a")]


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "cls", "status", "code"),
    [
        (stop("ERROR"), InternalServerError, 500, "ERROR"),
        (stop("ERROR", error="Oh."), InternalServerError, 500, "ERROR"),
        (stop("COMPLETE", error="Oh."), InternalServerError, 500, None),
        (stop("TIMEOUT"), InternalServerError, 504, "TIMEOUT"),
        (
            stop("ERROR", error="Oh.", error_type="INVALID_TOOL_GENERATION"),
            UnprocessableEntityError,
            422,
            "INVALID_TOOL_GENERATION",
        ),
        ({"id": "x", "message": "Oh."}, InternalServerError, 500, None),
        ({"error": "Oh."}, InternalServerError, 500, None),
    ],
)
def test_errors_inside_a_stream(data: dict[str, Any], cls: type[APIStatusError], status: int, code: str | None) -> None:
    """An error after a good status would be ignored, or raised as the wrong class."""
    decoder = DIALECT.decoder(CHAT, TARGET)
    decoder.feed(event(START))
    with pytest.raises(APIStatusError) as caught:
        decoder.feed(event(data))
    assert type(caught.value) is cls
    assert (caught.value.status_code, caught.value.code, caught.value.request_id) == (status, code, data.get("id"))
    assert caught.value.body == json.dumps(data)
    assert not decoder.done


@pytest.mark.parametrize(
    ("data", "cls", "message"),
    [
        ({"type": "error", "error": {"message": "Oh.", "code": 429}}, RateLimitError, "Oh."),
        ({"type": "error", "message": "Oh."}, InternalServerError, "Oh."),
        ({"type": "content-delta", "error": {"message": "Oh."}}, InternalServerError, "Oh."),
        ({"type": "of_tomorrow", "errors": ["Oh."]}, InternalServerError, "Oh."),
        ({"type": "message-end", "error": "Oh.", "delta": {"finish_reason": "COMPLETE"}}, InternalServerError, "Oh."),
        (stop("ERROR", error={"message": "Oh.", "code": "503"}), ServiceUnavailableError, "Oh."),
        ({**stop("ERROR"), "message": "Oh."}, InternalServerError, "Oh."),
        (stop("ERROR_OF_TOMORROW"), InternalServerError, "the generation failed"),
        (stop("ERROR", error="too many tokens: 9"), ContextWindowExceededError, "too many tokens: 9"),
        (
            {"error": "exceeds the available context size"},
            ContextWindowExceededError,
            "exceeds the available context size",
        ),
        ([{"message": "Oh."}, {"message": "No."}], InternalServerError, "Oh.; No."),
        ({"object": "error", "message": "Oh."}, InternalServerError, "Oh."),
        ("Oh.", InternalServerError, "Oh."),
    ],
)
def test_errors_in_any_shape_and_place(data: Any, cls: type[APIStatusError], message: str) -> None:
    """A stream that failed would look complete, or its error would not have the provider's words."""
    decoder = DIALECT.decoder(CHAT, TARGET)
    decoder.feed(event(piece(0, text="half")))
    with pytest.raises(APIStatusError) as caught:
        decoder.feed(Event(json.dumps(data).encode()))
    assert (type(caught.value), caught.value.message) == (cls, message)


def test_an_error_event_that_is_not_json() -> None:
    """The words of a proxy's error would be lost."""
    with pytest.raises(InternalServerError, match=r"Oh no\."):
        DIALECT.decoder(CHAT, TARGET).feed(Event(b"Oh no.", "error"))


@pytest.mark.parametrize(
    "events",
    [
        [Event(b"<html>")],
        [Event(b"[]")],
        [Event(b"7")],
        [Event(b'{"type": "content-delta", "delta": 7}')],
        [Event(b'{"type": "content-delta", "delta": {"message": ["x", "y"]}}')],
        [event(message_event("content-delta", 0, content=7))],
        [event(message_event("tool-call-start", 0, tool_calls="x"))],
        [event(message_event("tool-call-start", 0, calls={}))],
        [event(fragment(0, "{}"))],
        [event(call(0, "a", "add")), event(call_end(0)), event(fragment(0, "{}"))],
        [event(call(0, "a", "add")), event(message_event("tool-call-delta", 0, tool_calls={"function": 7}))],
        [Event(b'{"type": "message-end", "delta": "x"}')],
    ],
)
def test_what_cannot_be_converted_is_an_error(events: list[Event]) -> None:
    """An undocumented exception would be raised, or text would be lost silently."""
    decoder = DIALECT.decoder(CHAT, TARGET)

    def feed() -> None:
        for item in events:
            decoder.feed(item)

    with pytest.raises(APIResponseError, match="cannot be read"):
        feed()


# --- a stream is the reply in pieces ----------------------------------------------------------------------------------

TEXTS = st.text(max_size=6)
CALLS = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["add_1", "add_2", "sub_1"]),
        "type": st.just("function"),
        "function": st.fixed_dictionaries(
            {"name": st.sampled_from(["add", "sub"]), "arguments": TEXTS.map(json.dumps)}
        ),
    }
)
PARTS = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": TEXTS}),
    st.fixed_dictionaries({"type": st.just("thinking"), "thinking": TEXTS}),
)
CITATIONS = st.fixed_dictionaries(
    {"start": st.integers(0, 3), "end": st.integers(3, 6), "text": TEXTS, "sources": st.just([])},
    optional={"content_index": st.integers(0, 2), "type": st.sampled_from(["TEXT_CONTENT", "PLAN"])},
)
MESSAGES = st.fixed_dictionaries(
    {"role": st.just("assistant")},
    optional={
        "content": st.lists(PARTS, max_size=3),
        "tool_calls": st.lists(CALLS, max_size=3, unique_by=lambda native: native["id"]),
        "tool_plan": TEXTS,
        "citations": st.lists(CITATIONS, max_size=2),
    },
)


def streamed(message: dict[str, Any], reason: str = "COMPLETE") -> list[dict[str, Any]]:
    """The events of a reply with this message."""
    events = [START, *map(plan, message.get("tool_plan", ""))]
    for i, part in enumerate(message.get("content", ())):
        name = part["type"]
        events += [begin(i, type=name, **{name: ""}), *(piece(i, **{name: char}) for char in part[name]), end(i)]
    for i, native in enumerate(message.get("tool_calls", ())):
        function = native["function"]
        events += [call(i, native["id"], function["name"])]
        events += [fragment(i, char) for char in function["arguments"]]
        events += [call_end(i)]
    for i, citation in enumerate(message.get("citations", ())):
        events += [cite(i, **citation), {"type": "citation-end", "index": i}]
    return [*events, stop(reason)]


@given(MESSAGES, st.sampled_from([CHAT, LEGACY]), st.sampled_from(["COMPLETE", "TOOL_CALL", "MAX_TOKENS"]))
def test_a_stream_is_the_reply_in_pieces(message: dict[str, Any], request: ChatRequest, reason: str) -> None:
    """The same reply would have other values when it is streamed."""
    whole = {"id": "gen_1", "message": message, "finish_reason": reason, "usage": USAGE}
    response = HttpResponse(200, Headers(), json.dumps(whole).encode())
    expected = DIALECT.decode(response, request, TARGET)
    assert accumulated(run(*streamed(message, reason), request=request)).to_dict() == expected.to_dict()


@given(MESSAGES)
def test_one_byte_at_a_time(message: dict[str, Any]) -> None:
    """The chunks would depend on where the network cuts the bytes."""
    events = streamed(message)
    data = b"".join(
        b"event: %s\ndata: %s\n\n" % (item["type"].encode(), json.dumps(item, ensure_ascii=False).encode())
        for item in events
    )
    framing, decoder = SSEParser(), DIALECT.decoder(CHAT, TARGET)
    chunks = [
        chunk for i in range(len(data)) for found in framing.feed(data[i : i + 1]) for chunk in decoder.feed(found)
    ]
    assert decoder.done
    assert [*chunks, *decoder.finish()] == run(*events)
