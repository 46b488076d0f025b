"""Decoding of Anthropic's streams: events → OpenAI's chunks, which accumulate to the reply."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anycompletion.codecs.sse import Event, SSEParser
from anycompletion.dialects.anthropic_messages.dialect import DIALECT
from anycompletion.dialects.base import Decoder, Target
from anycompletion.errors import APIResponseError, APIStatusError, OverloadedError, StreamInterruptedError
from anycompletion.http import Headers, HttpResponse
from anycompletion.records import ChatCompletion, ChatRequest, FunctionDefinition, UserMessage
from anycompletion.records.chunks import ChatCompletionChunk, Delta, FunctionDelta, ToolCallDelta
from anycompletion.streaming.accumulator import accumulated

TARGET = Target(provider="anthropic", model="asked", base_url="https://api.anthropic.com", stream=True)
CHAT = ChatRequest("claude-opus-4-6", [UserMessage("Hi")], max_tokens=9)
LEGACY = ChatRequest("claude-opus-4-6", [UserMessage("Hi")], max_tokens=9, functions=[FunctionDefinition("add")])

STOP = {"type": "message_stop"}
PING = {"type": "ping"}


def event(data: Any) -> Event:
    return Event(json.dumps(data).encode(), data.get("type", ""))


def start(**members: Any) -> dict[str, Any]:
    usage = {"input_tokens": 3, "cache_read_input_tokens": 2, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4-6", "content": []}
    return {"type": "message_start", "message": {**message, "stop_reason": None, "usage": usage, **members}}


def begin(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def piece(index: int, kind: str, **delta: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **delta}}


def end(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def stop(reason: str | None = "end_turn", **members: Any) -> dict[str, Any]:
    delta = {"stop_reason": reason, "stop_sequence": None, **members}
    return {"type": "message_delta", "delta": delta, "usage": {"input_tokens": None, "output_tokens": 5}}


def run(*events: dict[str, Any], request: ChatRequest = CHAT) -> list[ChatCompletionChunk]:
    decoder: Decoder = DIALECT.decoder(request, TARGET)
    chunks = [chunk for data in events for chunk in decoder.feed(event(data))]
    return [*chunks, *decoder.finish()]


def deltas(*events: dict[str, Any], request: ChatRequest = CHAT) -> list[Delta]:
    """The deltas of all chunks except the first one and the last two."""
    first, *middle, _, _ = run(start(), *events, stop(), STOP, request=request)
    assert first.choices[0].delta == Delta(role="assistant")
    return [chunk.choices[0].delta for chunk in middle]


def reply(data: dict[str, Any], request: ChatRequest = CHAT) -> ChatCompletion:
    return DIALECT.decode(HttpResponse(200, Headers(), json.dumps(data).encode()), request, TARGET)


def test_a_complete_stream():
    """A plain stream would not have OpenAI's shape."""
    events = [
        start(),
        begin(0, type="text", text=""),
        PING,
        piece(0, "text_delta", text="Hel"),
        piece(0, "text_delta", text="lo"),
        end(0),
        stop(),
        STOP,
    ]
    chunks = run(*events)
    head = {"id": "msg_1", "object": "chat.completion.chunk", "created": 0, "model": "claude-opus-4-6"}

    def one(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        native = {} if reason is None else {"native_finish_reason": "end_turn"}
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
                "prompt_tokens": 5,
                "completion_tokens": 5,
                "total_tokens": 10,
                "prompt_tokens_details": {"cached_tokens": 2},
            },
        },
    ]
    assert [chunk.raw for chunk in chunks] == [events[0], events[3], events[4], events[6], events[7]]


def test_done_only_after_message_stop():
    """The connection would be closed too early, or read after the end."""
    decoder = DIALECT.decoder(CHAT, TARGET)
    for data in (start(), stop()):
        decoder.feed(event(data))
        assert not decoder.done
    decoder.feed(event(STOP))
    assert decoder.done
    assert decoder.feed(Event(b"[DONE]")) == ()
    assert decoder.finish() == []


def test_a_stop_reason_completes_a_stream_without_message_stop():
    """A stream that ends after its stop reason would raise, or its usage would be lost."""
    chunks = run(start(), stop("max_tokens"))
    assert chunks[-2].choices[0].finish_reason == "length"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 5


SERVER_TOOL = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}

CONTINUED: dict[str, tuple[list[dict[str, Any]], str, str]] = {
    "a call": (
        [begin(1, type="tool_use", id="c", name="add", input={}), end(1), stop("tool_use")],
        "tool_calls",
        "tool_use",
    ),
    "a block of Anthropic's own": ([begin(1, **SERVER_TOOL), end(1), stop("max_tokens")], "length", "max_tokens"),
    "a text without a start": ([piece(1, "text_delta", text="!"), stop("max_tokens")], "length", "max_tokens"),
    "a text without a second reason": ([piece(1, "text_delta", text="!")], "stop", "pause_turn"),
}
"""What follows a stop reason, and the finish reason of the whole stream."""


@pytest.mark.parametrize("name", CONTINUED)
@pytest.mark.parametrize("first", [{"type": "text", "text": "Hi"}, SERVER_TOOL])
def test_content_after_a_stop_reason_ends_with_the_next_one(name: str, first: dict[str, Any]) -> None:
    """A turn that goes on after a pause would end as paused, although the model calls a tool."""
    events, finish, native = CONTINUED[name]
    chunks = run(start(), begin(0, **first), end(0), stop("pause_turn"), *events, STOP)
    choice = accumulated(chunks).choices[0]
    assert (choice.finish_reason, choice.native_finish_reason) == (finish, native)
    assert choice.paused is (native == "pause_turn")
    fields = choice.message.provider_specific_fields
    if first is SERVER_TOOL:
        assert fields is not None
        assert [block["type"] for block in fields["anthropic_content"]][:1] == ["server_tool_use"]
        assert len(fields["anthropic_content"]) == 2


def test_content_after_the_last_stop_reason_needs_another_one() -> None:
    """A stream that was cut in what follows a stop reason would look complete."""
    with pytest.raises(StreamInterruptedError):
        run(start(), stop("pause_turn"), piece(0, "text_delta", text="a"))


@pytest.mark.parametrize(
    "events",
    [
        [],
        [start()],
        [start(stop_reason="tool_use")],
        [start(), begin(0, type="text", text="H")],
        [start(), stop(None)],
        [start(), STOP],
    ],
)
def test_a_stream_without_a_stop_reason_was_interrupted(events: list[dict[str, Any]]):
    """A cut reply would look complete."""
    with pytest.raises(StreamInterruptedError, match="before the provider sent a finish reason"):
        run(*events)


def test_tool_calls_have_their_own_indices():
    """Calls would have the indices of content blocks, with gaps."""
    assert deltas(
        begin(0, type="text", text="Well"),
        end(0),
        begin(1, type="tool_use", id="toolu_1", name="add", input={}),
        piece(1, "input_json_delta", partial_json=""),
        piece(1, "input_json_delta", partial_json='{"a":'),
        piece(1, "input_json_delta", partial_json=" 1}"),
        end(1),
        begin(2, type="tool_use", id="toolu_2", name="sub", input={}),
        end(2),
        begin(3, type="tool_use", id="toolu_3", name="mul", input={"b": 2}),
        end(3),
    ) == [
        Delta(content="Well"),
        call(0, "toolu_1", "add", ""),
        call(0, arguments='{"a":'),
        call(0, arguments=" 1}"),
        call(1, "toolu_2", "sub", ""),
        call(1, arguments="{}"),
        call(2, "toolu_3", "mul", ""),
        call(2, arguments='{"b":2}'),
    ]


def call(index: int, call_id: str | None = None, name: str | None = None, arguments: str | None = None) -> Delta:
    kind = None if call_id is None else "function"
    return Delta(tool_calls=[ToolCallDelta(index, call_id, kind, FunctionDelta(name, arguments))])


def test_legacy_calls_stream_in_the_legacy_form():
    """Code that uses `functions` would get a stream without a function call."""
    chunks = run(
        start(),
        begin(0, type="tool_use", id="toolu_1", name="add", input={}),
        piece(0, "input_json_delta", partial_json="{}"),
        end(0),
        begin(1, type="tool_use", id="toolu_2", name="sub", input={}),
        end(1),
        stop("tool_use"),
        STOP,
        request=LEGACY,
    )
    choice = accumulated(chunks).choices[0]
    assert choice.finish_reason == "function_call"
    assert choice.message.tool_calls is None
    assert choice.message.function_call is not None
    assert choice.message.function_call.to_dict() == {"name": "add", "arguments": "{}"}
    assert choice.message.provider_specific_fields is not None  # the second call, for which the form has no place


def test_thinking_streams_as_text_and_as_blocks():
    """Reasoning would be missing, or its blocks could not be assembled."""
    assert deltas(
        begin(0, type="thinking", thinking="", signature=""),
        piece(0, "thinking_delta", thinking="h"),
        piece(0, "thinking_delta", thinking=""),
        piece(0, "thinking_delta", thinking="m"),
        piece(0, "signature_delta", signature="c2ln"),
        end(0),
        begin(1, type="redacted_thinking", data="eA=="),
        end(1),
        begin(2, type="text", text="So."),
        end(2),
    ) == [
        Delta(thinking_blocks=[{"index": 0, "type": "thinking", "thinking": "", "signature": ""}]),
        Delta(reasoning_content="h", thinking_blocks=[{"index": 0, "type": "thinking", "thinking": "h"}]),
        Delta(reasoning_content="m", thinking_blocks=[{"index": 0, "type": "thinking", "thinking": "m"}]),
        Delta(thinking_blocks=[{"index": 0, "signature": "c2ln"}]),
        Delta(thinking_blocks=[{"index": 1, "type": "redacted_thinking", "data": "eA=="}]),
        Delta(content="So."),
    ]


def test_citations_come_with_their_place():
    """Citations would be sent before their place is known."""
    web = {"type": "web_search_result_location", "url": "https://x", "title": "T", "cited_text": "c"}
    assert deltas(
        begin(0, type="text", text="Ah. "),
        end(0),
        begin(1, type="text", text="", citations=[]),
        piece(1, "citations_delta", citation=web),
        piece(1, "text_delta", text="So."),
        end(1),
    )[-1] == Delta(
        annotations=[
            {
                "type": "url_citation",
                "url_citation": {"url": "https://x", "title": "T", "start_index": 4, "end_index": 7},
                "cited_text": "c",
            }
        ]
    )


def test_refusal():
    """A refusal in a stream would look like an empty reply."""
    details = {"type": "refusal", "category": None, "explanation": "No."}
    last = run(start(), stop("refusal", stop_details=details), STOP)[-2].choices[0]
    assert (last.finish_reason, last.native_finish_reason, last.delta) == (
        "content_filter",
        "refusal",
        Delta(refusal="No."),
    )
    assert run(start(), stop("refusal"), STOP)[-2].choices[0].delta.refusal is None


def test_usage_is_cumulative():
    """Counts would be added twice, or a null would erase a count."""
    first = start(usage={"input_tokens": 3, "cache_read_input_tokens": 9, "output_tokens": 2, "service_tier": "batch"})
    second = stop()
    second["usage"] = {"input_tokens": None, "cache_read_input_tokens": 0, "output_tokens": 5}
    last = run(first, second, STOP)[-1]
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (12, 5)
    assert last.service_tier == "batch"


@pytest.mark.parametrize(
    ("earlier", "later", "expected"),
    [
        ({"input_tokens": 3, "output_tokens": 1}, {"input_tokens": 0, "output_tokens": 5}, (3, 5)),
        ({"input_tokens": 0, "output_tokens": 0}, {"input_tokens": 3, "output_tokens": 5}, (3, 5)),
        ({"input_tokens": 3, "output_tokens": 4}, {"input_tokens": 0, "output_tokens": 0}, (3, 4)),
        ({"input_tokens": 3, "output_tokens": 4}, {}, (3, 4)),
        ({"input_tokens": 3, "output_tokens": 4}, None, (3, 4)),
        ({}, {"input_tokens": 3, "output_tokens": 5}, (3, 5)),
        (
            {"input_tokens": 2, "cache_creation_input_tokens": 7, "output_tokens": 1},
            {"input_tokens": 2, "cache_read_input_tokens": 7, "cache_creation_input_tokens": 0, "output_tokens": 5},
            (9, 5),
        ),
    ],
)
def test_an_empty_usage_replaces_nothing(earlier: Any, later: Any, expected: tuple[int, int]):
    """Counts would be lost because servers send zeros in the event that does not count, or counted twice."""
    second = stop()
    second["usage"] = later
    usage = run(start(usage=earlier), second, STOP)[-1].usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == expected


def test_a_stream_without_usage_has_no_usage_chunk():
    """Unknown counts would appear as an empty usage."""
    assert run(start(usage=None), {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, STOP)[-1].choices


def test_a_stop_reason_at_the_start():
    """A turn that is complete at its start would raise because it has no message_delta."""
    choice = run(start(stop_reason="stop_sequence", stop_sequence="END"), STOP)[-2].choices[0]
    assert (choice.finish_reason, choice.native_finish_reason) == ("stop", "stop_sequence")
    assert choice.extra == {"stop_sequence": "END"}


def test_blocks_that_are_complete_at_the_start():
    """The calls of a turn that a server tool resumes would be lost."""
    use = {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1}}
    got = accumulated(run(start(content=[use]), begin(0, type="text", text="x"), end(0), stop("tool_use"), STOP))
    assert [item.function.arguments for item in got.choices[0].message.tool_calls or ()] == ['{"a":1}']
    assert got.choices[0].message.content == "x"


def test_a_call_cut_off_in_the_middle():
    """Arguments that the limit cut off would make the end of the stream raise."""
    chunks = run(
        start(),
        begin(0, type="tool_use", id="toolu_1", name="add", input={}),
        piece(0, "input_json_delta", partial_json='{"a'),
        stop("max_tokens"),
        STOP,
    )
    message = accumulated(chunks).choices[0].message
    assert [item.function.arguments for item in message.tool_calls or ()] == ['{"a']
    assert message.provider_specific_fields is None


def test_unknown_types_are_ignored():
    """A new type of event, block or delta would make every stream raise."""
    assert deltas(
        {"type": "of_tomorrow", "x": 1},
        begin(0, type="block_of_tomorrow", x=1),
        piece(0, "delta_of_tomorrow", x=2),
        end(0),
        end(7),
        begin(1, type="text", text=""),
        piece(1, "delta_of_tomorrow", x=2),
        piece(1, "text_delta", text="x"),
        end(1),
    ) == [Delta(content="x")]


def test_a_reused_index_ends_the_block_before():
    """A block without a stop event would be missing from the content that is sent back."""
    first, second = begin(0, type="text", text="a"), begin(0, type="text", text="b")
    got = accumulated(run(start(), first, second, end(0), stop(), STOP))
    assert got.choices[0].message.content == "ab"
    assert got.choices[0].message.provider_specific_fields == {
        "anthropic_content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    }


@pytest.mark.parametrize(
    ("data", "cls", "status"),
    [
        ({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, OverloadedError, 529),
        ({"type": "error", "error": {"type": "new_error", "message": "?"}, "request_id": "req_2"}, APIStatusError, 500),
    ],
)
def test_errors_inside_a_stream(data: dict[str, Any], cls: type[APIStatusError], status: int):
    """An error after a good status would be ignored, or raised as the wrong class."""
    decoder = DIALECT.decoder(CHAT, TARGET)
    decoder.feed(event(start()))
    with pytest.raises(cls) as caught:
        decoder.feed(event(data))
    assert caught.value.status_code == status
    assert caught.value.request_id == data.get("request_id")
    assert caught.value.body == json.dumps(data)


def test_an_error_with_only_an_event_name():
    """The errors of proxies that leave out the type would be ignored."""
    with pytest.raises(OverloadedError):
        DIALECT.decoder(CHAT, TARGET).feed(Event(b'{"error": {"type": "overloaded_error"}}', "error"))


@pytest.mark.parametrize(
    "events",
    [
        [Event(b"<html>")],
        [Event(b"[]")],
        [Event(b"7")],
        [event({"type": "content_block_start", "index": 0})],
        [event({"type": "content_block_start", "index": 0, "content_block": 7})],
        [event(piece(0, "input_json_delta", partial_json="{}"))],
        [event(begin(0, type="text", text="")), event({"type": "content_block_delta", "index": 0})],
        [event(begin(0, type="text", text="")), event({"type": "content_block_delta", "index": 0, "delta": {}})],
        [event(begin(0, type="tool_use", id="t", name="f", input=7)), event(end(0))],
        [event({"type": "message_delta", "delta": 7})],
    ],
)
def test_malformed(events: list[Event]):
    """An undocumented exception would be raised, or text would be lost silently."""
    decoder = DIALECT.decoder(CHAT, TARGET)

    def feed() -> None:
        for item in events:
            decoder.feed(item)

    with pytest.raises(APIResponseError, match="cannot be read"):
        feed()


def test_a_malformed_input_at_the_end():
    """An input that cannot be read would raise an undocumented exception at the end of the stream."""
    decoder = DIALECT.decoder(CHAT, TARGET)
    decoder.feed(event(begin(0, type="tool_use", id="t", name="f", input=7)))
    with pytest.raises(APIResponseError, match="input"):
        decoder.feed(event(stop()))


# --- a stream is the reply in pieces ----------------------------------------------------------------------------------

NAMES = st.sampled_from(["add", "sub"])
TEXTS = st.text(max_size=6)
INPUTS = st.dictionaries(TEXTS, st.none() | st.integers(-9, 9) | TEXTS, max_size=2)
PLACES = st.sampled_from(["char_location", "web_search_result_location"])
CITATIONS = st.fixed_dictionaries({"type": PLACES, "x": TEXTS})


def blocks() -> st.SearchStrategy[list[dict[str, Any]]]:
    kind = st.just
    tools = {"id": st.sampled_from(["toolu_1", "toolu_2"]), "name": NAMES, "input": INPUTS}
    return st.lists(
        st.one_of(
            st.fixed_dictionaries({"type": kind("text"), "text": TEXTS}),
            st.fixed_dictionaries({"type": kind("text"), "text": TEXTS, "citations": st.lists(CITATIONS, max_size=2)}),
            st.fixed_dictionaries({"type": kind("thinking"), "thinking": TEXTS, "signature": TEXTS}),
            st.fixed_dictionaries({"type": kind("redacted_thinking"), "data": TEXTS}),
            st.fixed_dictionaries({"type": kind("tool_use"), **tools}),
            st.fixed_dictionaries({"type": kind("server_tool_use"), **tools}),
            st.fixed_dictionaries({"type": kind("web_search_tool_result"), "content": st.just([{"x": 1}])}),
        ),
        max_size=5,
    )


def streamed(content: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events of a reply with this content."""
    events = [start()]
    for i, block in enumerate(content):
        match block:
            case {"type": "text", "text": text}:
                empty: dict[str, Any] = {"citations": []} if "citations" in block else {}
                events += [begin(i, type="text", text="", **empty)]
                events += [piece(i, "citations_delta", citation=item) for item in block.get("citations", ())]
                events += [piece(i, "text_delta", text=part) for part in text]
            case {"type": "thinking", "thinking": text}:
                events += [begin(i, type="thinking", thinking="", signature="")]
                events += [piece(i, "thinking_delta", thinking=part) for part in text]
                events += [piece(i, "signature_delta", signature=block["signature"])]
            case {"type": "tool_use" | "server_tool_use"}:
                events += [begin(i, **{**block, "input": {}})]
                written = json.dumps(block["input"], separators=(",", ":"), ensure_ascii=False)
                events += [piece(i, "input_json_delta", partial_json=part) for part in written if block["input"]]
            case _:
                events += [begin(i, **block)]
        events += [end(i)]
    return [*events, stop(), STOP]


@given(blocks(), st.sampled_from([CHAT, LEGACY]))
def test_a_stream_is_the_reply_in_pieces(content: list[dict[str, Any]], request: ChatRequest):
    """The same reply would have other values when it is streamed."""
    whole = start(content=content, stop_reason="end_turn")["message"]
    whole["usage"] = {**whole["usage"], "output_tokens": 5}
    expected = reply(whole, request)
    got = accumulated(run(*streamed(content), request=request))
    assert got.to_dict() == expected.to_dict()


@given(blocks())
def test_one_byte_at_a_time(content: list[dict[str, Any]]):
    """The chunks would depend on where the network cuts the bytes."""
    events = streamed(content)
    data = b"".join(
        b"event: %s\r\ndata: %s\r\n\r\n" % (item["type"].encode(), json.dumps(item, ensure_ascii=False).encode())
        for item in events
    )
    framing, decoder = SSEParser(), DIALECT.decoder(CHAT, TARGET)
    chunks = [
        chunk for i in range(len(data)) for found in framing.feed(data[i : i + 1]) for chunk in decoder.feed(found)
    ]
    assert decoder.done
    assert [*chunks, *decoder.finish()] == run(*events)
