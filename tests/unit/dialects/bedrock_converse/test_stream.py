"""Decoding of Bedrock's streams: events → OpenAI's chunks, which accumulate to the reply that a whole response has."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anycompletion.codecs.aws_eventstream import AwsEvent, AwsEventStreamParser
from anycompletion.codecs.sse import Event
from anycompletion.dialects.base import Continuation, Target
from anycompletion.dialects.bedrock_converse.dialect import DIALECT
from anycompletion.errors import (
    APIResponseError,
    APIStatusError,
    BadRequestError,
    InternalServerError,
    RateLimitError,
    ServiceUnavailableError,
    StreamInterruptedError,
)
from anycompletion.http import Headers, HttpResponse
from anycompletion.records import ChatCompletion, ChatRequest, FunctionDefinition, ToolCall, UserMessage
from anycompletion.records.chunks import ChatCompletionChunk
from anycompletion.streaming.accumulator import accumulated
from anycompletion.testing.formats import aws_eventstream

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
CHAT = ChatRequest("m", [UserMessage("Hi")])
LEGACY = ChatRequest("m", [UserMessage("Hi")], functions=[FunctionDefinition("add")])
START = ("messageStart", {"role": "assistant", "p": "abc"})
USAGE = {"inputTokens": 3, "outputTokens": 5, "totalTokens": 8}
METADATA = ("metadata", {"usage": USAGE, "metrics": {"latencyMs": 7}, "p": "abcdef"})

Sent = tuple[str, dict[str, Any]]


def begin(index: Any, **start: Any) -> Sent:
    return "contentBlockStart", {"contentBlockIndex": index, "start": start}


def piece(index: Any, **delta: Any) -> Sent:
    return "contentBlockDelta", {"contentBlockIndex": index, "delta": delta}


def end(index: Any) -> Sent:
    return "contentBlockStop", {"contentBlockIndex": index}


def stop(reason: Any = "end_turn", **members: Any) -> Sent:
    return "messageStop", {"stopReason": reason, **members}


def run(*events: Sent, request: ChatRequest = CHAT, model: str = CLAUDE) -> list[ChatCompletionChunk]:
    target = Target(provider="bedrock", model=model, base_url="https://x.example", stream=True)
    decoder, chunks = DIALECT.decoder(request, target), list[ChatCompletionChunk]()
    for name, data in events:
        chunks += decoder.feed(AwsEvent(json.dumps(data).encode(), name))
    last = decoder.finish()
    assert not isinstance(last, Continuation)
    return [*chunks, *last]


def whole(*blocks: Any, reason: Any = "end_turn", request: ChatRequest = CHAT, model: str = CLAUDE) -> ChatCompletion:
    """The reply with these blocks, as a whole response."""
    data = {
        "output": {"message": {"role": "assistant", "content": [*blocks]}},
        "stopReason": reason,
        "usage": USAGE,
        "metrics": {"latencyMs": 7},
    }
    target = Target(provider="bedrock", model=model, base_url="https://x.example")
    found = DIALECT.decode(HttpResponse(200, Headers.of({}), json.dumps(data).encode()), request, target)
    assert isinstance(found, ChatCompletion)
    return found


# --- streams and whole replies ----------------------------------------------------------------------------------------

TEXT = [piece(0, text="Hel"), piece(0, text=""), piece(0, text="lo"), end(0)]
CALLS = [
    begin(0, toolUse={"toolUseId": "t0", "name": "add"}),
    piece(0, toolUse={"input": '{"a"'}),
    piece(0, toolUse={"input": ": 1}"}),
    end(0),
    begin(1, toolUse={"toolUseId": "t1", "name": "now"}),
    end(1),
]
USES = [
    {"toolUse": {"toolUseId": "t0", "name": "add", "input": {"a": 1}}},
    {"toolUse": {"toolUseId": "t1", "name": "now", "input": {}}},
]
THINKING = [
    piece(0, reasoningContent={"text": "H"}),
    piece(0, reasoningContent={"text": "m."}),
    piece(0, reasoningContent={"signature": "s="}),
    piece(0, reasoningContent={"signature": "="}),
    end(0),
]
SIGNED = {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "s=="}}}
PLACE = {"location": {"documentChar": {"documentIndex": 0, "start": 1, "end": 9}}, "title": "a"}
SERVER_USE = {"toolUseId": "s0", "name": "nova_grounding", "type": "server_tool_use"}
SERVER_RESULT = {"toolUseId": "s0", "status": "success", "type": "nova_grounding_result"}

SAME: dict[str, tuple[list[Sent], list[Any], str]] = {
    "text": (TEXT, [{"text": "Hello"}], "end_turn"),
    "no content": ([], [], "guardrail_intervened"),
    "calls": (CALLS, USES, "tool_use"),
    "text and calls": (
        [
            piece(0, text="So"),
            end(0),
            *[(name, {**data, "contentBlockIndex": data["contentBlockIndex"] + 1}) for name, data in CALLS],
        ],
        [{"text": "So"}, *USES],
        "tool_use",
    ),
    "thinking": ([*THINKING, piece(1, text="So"), end(1)], [SIGNED, {"text": "So"}], "end_turn"),
    "redacted thinking": (
        [piece(0, reasoningContent={"redactedContent": "cmVk"}), end(0), piece(1, text="So"), end(1)],
        [{"reasoningContent": {"redactedContent": "cmVk"}}, {"text": "So"}],
        "end_turn",
    ),
    "redacted thinking in pieces": (
        [
            piece(0, reasoningContent={"redactedContent": "cmU="}),
            piece(0, reasoningContent={"redactedContent": "ZA=="}),
            end(0),
        ],
        [{"reasoningContent": {"redactedContent": "cmVk"}}],
        "end_turn",
    ),
    "unsigned reasoning": (
        [piece(0, reasoningContent={"text": "Hm."}), end(0), piece(1, text="So"), end(1)],
        [{"reasoningContent": {"reasoningText": {"text": "Hm."}}}, {"text": "So"}],
        "end_turn",
    ),
    "citations": (
        [piece(0, text="So "), end(0), piece(1, citation=PLACE), piece(1, text="é"), piece(1, text="!"), end(1)],
        [{"text": "So "}, {"citationsContent": {"content": [{"text": "é!"}], "citations": [PLACE]}}],
        "end_turn",
    ),
    "tools of the server": (
        [
            begin(0, toolUse=SERVER_USE),
            piece(0, toolUse={"input": '{"q": "x"}'}),
            end(0),
            begin(1, toolResult=SERVER_RESULT),
            piece(1, toolResult=[{"json": {"a": 1}}]),
            piece(1, toolResult=[{"text": "b"}]),
            end(1),
            begin(2, toolUse={"toolUseId": "t0", "name": "now", "type": "tool_use"}),
            end(2),
        ],
        [
            {"toolUse": {**SERVER_USE, "input": {"q": "x"}}},
            {"toolResult": {**SERVER_RESULT, "content": [{"json": {"a": 1}}, {"text": "b"}]}},
            {"toolUse": {"toolUseId": "t0", "name": "now", "type": "tool_use", "input": {}}},
        ],
        "tool_use",
    ),
    "images": (
        [begin(0, image={"format": "png"}), piece(0, image={"source": {"bytes": "AAAA"}}), end(0)],
        [{"image": {"format": "png", "source": {"bytes": "AAAA"}}}],
        "end_turn",
    ),
    "blocks without their ends": (
        [piece(0, text="So"), begin(1, toolUse={"toolUseId": "t1", "name": "now"})],
        [{"text": "So"}, USES[1]],
        "tool_use",
    ),
}


@pytest.mark.parametrize("model", [CLAUDE, "openai.gpt-oss-20b-1:0", "my-deployment"])
@pytest.mark.parametrize("request_", [CHAT, LEGACY], ids=["tools", "functions"])
@pytest.mark.parametrize("name", SAME)
def test_a_stream_adds_up_to_the_whole_reply(name: str, request_: ChatRequest, model: str) -> None:
    """A part of the reply, or what goes back with the next turn, would depend on whether it was streamed."""
    events, blocks, reason = SAME[name]
    chunks = run(START, *events, stop(reason), METADATA, request=request_, model=model)
    streamed, expected = accumulated(chunks).to_dict(), whole(*blocks, reason=reason, request=request_, model=model)
    found = expected.to_dict()
    for each in (streamed, found):  # JSON of arguments may be spaced otherwise
        for call in each["choices"][0]["message"].get("tool_calls") or ():
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
        function = each["choices"][0]["message"].get("function_call")
        if function:
            function["arguments"] = json.loads(function["arguments"])
    assert streamed == found


def test_each_piece_is_a_chunk_at_once() -> None:
    """A stream would be delivered in lumps."""
    chunks = run(START, *TEXT, stop(), METADATA)
    assert [chunk.choices[0].delta.content for chunk in chunks if chunk.choices] == [None, "Hel", "lo", None]
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices] == [None, None, None, "stop"]
    assert chunks[-1].usage is not None
    assert chunks[1].raw == TEXT[0][1]


def test_calls_are_numbered_by_their_own_order() -> None:
    """The first call after a text would be the second one."""
    events = [
        piece(0, text="So"),
        end(0),
        begin(1, toolUse=SERVER_USE),
        end(1),
        begin(2, toolUse={"toolUseId": "t", "name": "f"}),
    ]
    chunks = run(START, *events, stop("tool_use"))
    calls = [call for chunk in chunks for choice in chunk.choices for call in choice.delta.tool_calls or ()]
    assert [call.index for call in calls] == [0, 0]


def test_the_id_of_a_stream_is_in_its_headers() -> None:
    """A stream would have no id, which its events do not have."""
    target = Target(provider="bedrock", model=CLAUDE, base_url="https://x.example", stream=True)
    decoder: Any = DIALECT.decoder(CHAT, target)
    decoder.read_headers(Headers.of({"x-amzn-requestid": "r-1"}))
    (chunk,) = decoder.feed(AwsEvent(b'{"role":"assistant"}', "messageStart"))
    assert chunk.id == "r-1"


def test_the_metadata_of_a_stream_are_kept() -> None:
    """A guardrail's trace would be lost, or the padding be kept."""
    trace = {"guardrail": {"actionReason": "Guardrail masked."}}
    metadata = ("metadata", {**METADATA[1], "trace": trace, "serviceTier": {"type": "flex"}})
    found = accumulated(run(START, *TEXT, stop(additionalModelResponseFields={"a": 1}), metadata))
    assert found.extra == {"metrics": {"latencyMs": 7}, "trace": trace, "additionalModelResponseFields": {"a": 1}}
    assert found.service_tier == "flex"


# --- ends -------------------------------------------------------------------------------------------------------------


def test_a_stream_ends_with_its_stop_and_its_metadata() -> None:
    """The connection would stay open, or the usage would be lost."""
    target = Target(provider="bedrock", model=CLAUDE, base_url="https://x.example", stream=True)
    for order in ([stop(), METADATA], [METADATA, stop()]):
        decoder = DIALECT.decoder(CHAT, target)
        done = []
        for name, data in [START, *TEXT, *order]:
            decoder.feed(AwsEvent(json.dumps(data).encode(), name))
            done.append(decoder.done)
        assert done == [False] * (len(done) - 1) + [True]


@pytest.mark.parametrize("events", [[], [START], [START, *TEXT], [START, *TEXT, METADATA]], ids=len)
def test_a_stream_without_its_stop_is_interrupted(events: list[Sent]) -> None:
    """Half a text would look complete, or the metadata would be taken for the end."""
    with pytest.raises(StreamInterruptedError):
        run(*events)


def test_a_stream_without_its_metadata_is_complete() -> None:
    """A reply that is whole would be lost for its counts."""
    found = accumulated(run(START, *TEXT, stop()))
    assert (found.text, found.usage, found.choices[0].finish_reason) == ("Hello", None, "stop")


@given(st.integers(0, 10_000))
def test_a_cut_stream_is_interrupted_wherever_it_is_cut(at: int) -> None:
    """A stream that the network cuts inside a message would look complete."""
    events = [START, *TEXT, stop(), METADATA]
    frames = [aws_eventstream.event(name, json.dumps(data).encode()) for name, data in events]
    complete = len(b"".join(frames[:-1]))
    at %= complete + 1
    framing, target = AwsEventStreamParser(), Target(provider="b", model=CLAUDE, base_url="https://x.example")
    decoder = DIALECT.decoder(CHAT, target)
    for event in framing.feed(b"".join(frames)[:at]):
        decoder.feed(event)
    assert framing.finish() == []
    if at == complete:
        assert decoder.finish() == ()
    else:
        with pytest.raises(StreamInterruptedError):
            decoder.finish()


# --- errors -----------------------------------------------------------------------------------------------------------

EXCEPTIONS: dict[str, tuple[dict[str, Any], type[APIStatusError], int]] = {
    "throttlingException": ({"message": "Slow down."}, RateLimitError, 429),
    "validationException": ({"message": "Slow down."}, BadRequestError, 400),
    "internalServerException": ({"message": "Slow down."}, InternalServerError, 500),
    "serviceUnavailableException": ({"message": "Slow down."}, ServiceUnavailableError, 503),
    "modelTimeoutException": ({"message": "Slow down."}, InternalServerError, 408),
    "modelStreamErrorException": (
        {"message": "x", "originalMessage": "Slow down.", "originalStatusCode": 500},
        InternalServerError,
        424,
    ),
    "anExceptionOfTomorrow": ({"message": "Slow down."}, InternalServerError, 500),
}


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_an_exception_is_raised(name: str) -> None:
    """An exception inside a stream would be ignored, and half a text look complete."""
    data, cls, status = EXCEPTIONS[name]
    framing, target = AwsEventStreamParser(), Target(provider="b", model=CLAUDE, base_url="https://x.example")
    decoder = DIALECT.decoder(CHAT, target)
    (event,) = framing.feed(aws_eventstream.exception(name, json.dumps(data).encode()))
    with pytest.raises(cls) as caught:
        decoder.feed(event)
    assert type(caught.value) is cls
    assert (caught.value.status_code, caught.value.code, caught.value.message) == (status, name, "Slow down.")


def test_a_model_that_refused_in_a_stream_is_a_bad_request() -> None:
    """A request that the model refuses each time would be repeated."""
    target = Target(provider="b", model=CLAUDE, base_url="https://x.example")
    data = {"message": "x", "originalStatusCode": 400, "originalMessage": "No."}
    event = AwsEvent(json.dumps(data).encode(), "modelStreamErrorException", "exception")
    with pytest.raises(BadRequestError, match=r"No\."):
        DIALECT.decoder(CHAT, target).feed(event)


def test_an_error_message_is_raised() -> None:
    """An error that has headers only would be an event without content."""
    headers = {":message-type": "error", ":error-code": "InternalFailure", ":error-message": "Oops."}
    (event,) = AwsEventStreamParser().feed(aws_eventstream.message(b"", headers))
    target = Target(provider="b", model=CLAUDE, base_url="https://x.example")
    with pytest.raises(InternalServerError) as caught:
        DIALECT.decoder(CHAT, target).feed(event)
    assert (caught.value.code, caught.value.message) == ("InternalFailure", "Oops.")


@pytest.mark.parametrize("reason", ["malformed_model_output", "malformed_tool_use"])
def test_a_failed_generation_is_raised(reason: str) -> None:
    """Garbage would look like a complete reply."""
    with pytest.raises(InternalServerError) as caught:
        run(START, *TEXT, stop(reason))
    assert (caught.value.code, caught.value.maybe_billed) == (reason, True)


UNREADABLE = {
    "no JSON": ("contentBlockDelta", b"{"),
    "no object": ("contentBlockDelta", b"[1]"),
    "a delta that is none": ("contentBlockDelta", b'{"delta": 7}'),
    "a call that has not started": (
        "contentBlockDelta",
        b'{"contentBlockIndex": 9, "delta": {"toolUse": {"input": "x"}}}',
    ),
    "a call as text": ("contentBlockStart", b'{"contentBlockIndex": 9, "start": {"toolUse": "x"}}'),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_event_that_cannot_be_read_is_an_error(name: str) -> None:
    """A part of the reply would be lost silently, or another exception would reach the caller."""
    kind, data = UNREADABLE[name]
    target = Target(provider="b", model=CLAUDE, base_url="https://x.example")
    with pytest.raises(APIResponseError, match="an event of Bedrock's stream cannot be read"):
        DIALECT.decoder(CHAT, target).feed(AwsEvent(data, kind))


# --- odd events -------------------------------------------------------------------------------------------------------

ODD: dict[str, list[Sent]] = {
    "an index as text": [piece("0", text="Hello"), end("0")],
    "no index": [piece(None, text="Hel"), piece(None, text="lo"), end(None)],
    "an unknown event": [("smell", {"a": 1}), *TEXT],
    "an event without a name": [("", {"a": 1}), *TEXT],
    "an unknown delta": [piece(0, smell={"a": 1}), *TEXT],
    "an empty delta": [piece(0), *TEXT],
    "an unknown start": [begin(0, smell={}), *TEXT],
    "no start": [("contentBlockStart", {"contentBlockIndex": 0}), *TEXT],
    "an end without a start": [end(7), *TEXT],
    "a number as text": [piece(0, text=["Hel", "lo"]), end(0)],
    "odd metadata": [*TEXT, ("metadata", {"usage": "x", "metrics": 7, "serviceTier": 3})],
    "a citation that is none": [piece(0, citation="x"), *TEXT],
    "a result that is none": [piece(1, toolResult="x"), *TEXT],
    "an image that is none": [piece(1, image="x"), *TEXT],
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_event_costs_no_reply(name: str) -> None:
    """A reply that was paid for would be lost for a field that has no use."""
    assert accumulated(run(START, *ODD[name], stop())).text == "Hello"


def test_text_and_reasoning_of_one_index_are_two_blocks() -> None:
    """Reasoning would be a part of the answer."""
    events = [piece(0, reasoningContent={"text": "Hm."}), piece(0, text="Hello"), end(0)]
    found = accumulated(run(START, *events, stop()))
    assert (found.text, found.message.reasoning_content) == ("Hello", "Hm.")


def test_cut_arguments_are_delivered_and_not_sent_back() -> None:
    """A call whose input the token limit cut would be sent back as another call, or cost the reply."""
    events = [piece(0, reasoningContent={"text": "Hm."}), end(0), begin(1, toolUse={"toolUseId": "t", "name": "f"})]
    found = accumulated(run(START, *events, piece(1, toolUse={"input": '{"a'}), stop("max_tokens")))
    (call,) = found.message.tool_calls or [ToolCall("")]
    assert call.function.arguments == '{"a'
    assert found.message.provider_specific_fields is None


def test_too_many_open_blocks_are_an_error() -> None:
    """A hostile server could make each event slower than the one before."""
    with pytest.raises(APIResponseError):
        run(START, *(begin(index, toolResult={"toolUseId": "t"}) for index in range(1001)))


def test_an_event_of_another_parser_is_read() -> None:
    """An event that a test or a tool makes without headers could not be decoded."""
    target = Target(provider="b", model=CLAUDE, base_url="https://x.example")
    (chunk,) = DIALECT.decoder(CHAT, target).feed(
        Event(b'{"delta":{"text":"a"},"contentBlockIndex":0}', "contentBlockDelta")
    )
    assert chunk.choices[0].delta.content == "a"


# --- servers that differ from AWS -------------------------------------------------------------------------------------


def test_calls_decide_whether_a_stream_ends_with_calls() -> None:
    """A loop over the finish reason would not run the calls of a stream, or wait for calls that there are not."""
    for events, reason, expected in ((CALLS, "end_turn", "tool_calls"), (TEXT, "tool_use", "stop")):
        choice = run(START, *events, stop(reason), METADATA)[-2].choices[0]
        assert (choice.finish_reason, choice.native_finish_reason) == (expected, reason)


@pytest.mark.parametrize("empty", ["", None])
def test_empty_members_of_a_delta_do_not_hide_the_others(empty: str | None) -> None:
    """The input of a call would be lost, where a gateway writes all members of a delta."""
    delta = {"text": empty, "reasoningContent": empty, "toolUse": {"input": '{"a": 1}'}}
    found = run(START, CALLS[0], piece(0, **delta), end(0), stop("tool_use"), METADATA)
    (call,) = accumulated(found).message.tool_calls or ()
    assert call.function.arguments == '{"a": 1}'


def test_calls_without_numbers_follow_each_other() -> None:
    """The first of two calls without numbers would have no arguments, or those of the second."""
    calls = [
        ("contentBlockStart", {"start": {"toolUse": {"toolUseId": "t0", "name": "now"}}}),
        ("contentBlockStart", {"start": {"toolUse": {"toolUseId": "t1", "name": "add"}}}),
        ("contentBlockDelta", {"delta": {"toolUse": {"input": '{"a": 1}'}}}),
        ("contentBlockStop", {}),
    ]
    found = accumulated(run(START, *calls, stop("tool_use"), METADATA)).message.tool_calls or ()
    assert [(call.id, call.function.arguments) for call in found] == [("t0", "{}"), ("t1", '{"a": 1}')]


def test_reasoning_in_the_form_of_whole_replies() -> None:
    """Reasoning and its signature would be lost, where a gateway sends them as whole replies have them."""
    pieces = [
        piece(0, reasoningContent={"reasoningText": {"text": "H"}}),
        piece(0, reasoningContent={"reasoningText": {"text": "m.", "signature": "s=="}}),
        end(0),
    ]
    message = accumulated(run(START, *pieces, piece(1, text="So"), stop(), METADATA)).message
    expected = accumulated(run(START, *THINKING, piece(1, text="So"), stop(), METADATA)).message
    assert message == expected
    assert message.thinking_blocks


def test_a_second_end_and_an_empty_delta_change_nothing() -> None:
    """A reader would see a second finish reason, or a paid reply would be lost for a sign of life."""
    empty = ("contentBlockDelta", {"contentBlockIndex": 0, "delta": None})
    chunks = run(START, empty, *TEXT, stop(), stop("max_tokens"), METADATA)
    finished = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert finished == ["stop"]
    assert accumulated(chunks).text == "Hello"


def test_an_exception_that_is_sent_as_an_event_is_raised() -> None:
    """A stream that failed would end as an interrupted one, without the reason."""
    with pytest.raises(InternalServerError, match="down") as caught:
        run(START, ("internalServerException", {"message": "down"}))
    assert caught.value.code == "internalServerException"
    with pytest.raises(RateLimitError):
        run(START, ("throttlingException", {"message": "slow down"}))


def test_a_delta_of_no_call_names_its_number() -> None:
    """A report of the error would not say which block is missing."""
    with pytest.raises(APIResponseError, match="tool call that has started, not 3"):
        run(START, piece(3, toolUse={"input": "{"}))
