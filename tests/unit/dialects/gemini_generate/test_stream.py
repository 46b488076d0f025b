"""Decoding of Gemini's streams: events → OpenAI's chunks, which add up to the reply."""

import base64
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anycompletion.codecs.sse import MAX_EVENT, Event
from anycompletion.dialects.gemini_generate.dialect import DIALECT
from anycompletion.dialects.gemini_generate.growing_candidate import GeminiGrowingCandidate
from anycompletion.errors import (
    APIResponseError,
    InternalServerError,
    ServiceUnavailableError,
    StreamInterruptedError,
)
from anycompletion.records import AssistantMessage
from anycompletion.records.chunks import Delta, FunctionDelta, ToolCallDelta
from support.gemini_replies import (
    CHAT,
    COUNTS,
    LEGACY,
    MODEL,
    candidate,
    chunks_of,
    contents,
    event,
    read,
    response,
    streamed,
    target,
)

USER = {"role": "user", "content": "Hi"}
CALL = {"functionCall": {"name": "add", "args": {"a": 1}}}
STOP = event({"text": ""}, reason="STOP")


def deltas(*events: dict[str, Any]) -> list[Delta]:
    """The deltas of the chunks of a stream that ends with STOP."""
    return [chunk.choices[0].delta for chunk in chunks_of(*events, STOP)]


def test_a_complete_stream() -> None:
    """A plain stream would not have OpenAI's shape."""
    last = {**event({"text": "lo"}, reason="STOP"), "usageMetadata": COUNTS}
    chunks = chunks_of(event({"text": "Hel"}), last)
    assert [chunk.choices[0].delta if chunk.choices else None for chunk in chunks] == [
        Delta(role="assistant", content="Hel"),
        Delta(content="lo"),
        None,
    ]
    assert (chunks[1].choices[0].finish_reason, chunks[1].choices[0].native_finish_reason) == ("stop", "STOP")
    assert {(chunk.id, chunk.model) for chunk in chunks} == {("r1", MODEL)}
    assert chunks[2].usage is not None
    assert chunks[2].usage.total_tokens == 5
    assert chunks[0].raw == event({"text": "Hel"})


def test_a_stream_adds_up_to_the_whole_reply() -> None:
    """A streamed reply would lack what a whole one has."""
    parts = [
        {"text": "hm", "thought": True},
        {"text": "Hello"},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        {**CALL, "thoughtSignature": "AA"},
        {"text": "", "thoughtSignature": "BB"},
    ]
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://a", "title": "A"}}],
        "groundingSupports": [{"segment": {"endIndex": 5, "text": "Hello"}, "groundingChunkIndices": [0]}],
    }
    fields = {"groundingMetadata": grounding, "safetyRatings": [{"category": "X"}]}
    whole = read(*parts, **fields)
    pieces = [event(part, groundingMetadata={}) for part in parts]
    found = streamed(*pieces, {**response(candidate(**fields)), "createTime": None})
    assert found.to_dict() == whole.to_dict()


def test_texts_in_pieces_are_one_part() -> None:
    """A text would be sent back in as many parts as it had events."""
    pieces = [{"text": "h", "thought": True}, {"text": "m", "thought": True}, {"text": "a"}, {"text": "b"}]
    reply = streamed(*map(event, pieces), event({"text": "", "thoughtSignature": "AA"}, reason="STOP"))
    assert (reply.message.reasoning_content, reply.message.content) == ("hm", "ab")
    assert reply.message.provider_specific_fields == {
        "gemini_content": [
            {"text": "hm", "thought": True},
            {"text": "ab"},
            {"text": "", "thoughtSignature": "AA"},
        ]
    }
    plain = streamed(event({"text": "a"}), event({"text": "b"}), STOP)
    assert plain.message.provider_specific_fields is None


def test_a_signature_after_the_finish_reason() -> None:
    """A signature that comes late would be lost, or the parts before it be sent twice."""
    reply = streamed(
        event({**CALL, "thoughtSignature": "AA"}, reason="STOP"), event({"text": "", "thoughtSignature": "BB"})
    )
    assert reply.message.provider_specific_fields == {
        "gemini_content": [{**CALL, "thoughtSignature": "AA"}, {"text": "", "thoughtSignature": "BB"}]
    }


def test_a_reason_in_every_event() -> None:
    """What the last events have would be lost, or what the first ones have be sent again with each event."""
    ratings = {"safetyRatings": [{"category": "X"}]}
    chunks = {"groundingChunks": [{"web": {"uri": "https://a", "title": "A"}}]}
    supports = [{"segment": {"endIndex": 2, "text": "ab"}, "groundingChunkIndices": [0]}]
    grounding = {"groundingMetadata": {**chunks, "groundingSupports": supports}}
    events = [
        event({"text": "a"}, reason="STOP", groundingMetadata=chunks, **ratings),
        event({"text": "b"}, reason="STOP", **ratings),
        event({"text": "", "thoughtSignature": "AA"}, reason="STOP", **grounding),
    ]
    reply = streamed(*events)
    assert reply.choices[0].extra == {**ratings, **grounding}
    assert [item.url_citation and item.url_citation.end_index for item in reply.message.annotations or ()] == [2]
    assert reply.message.provider_specific_fields == {
        "gemini_content": [{"text": "ab"}, {"text": "", "thoughtSignature": "AA"}]
    }


@given(st.lists(st.sampled_from(["text", "thought", "signed", "call", "code"]), max_size=12), st.booleans())
def test_native_parts_go_back_as_they_came(kinds: list[str], vertex: bool) -> None:
    """A signature would be lost, moved, repeated or merged with another part."""
    made = {
        "text": {"text": "a"},
        "thought": {"text": "b", "thought": True},
        "signed": {"text": "c", "thoughtSignature": "AA-_"},
        "call": {"functionCall": {"name": "add", "args": {}}, "thoughtSignature": "BB/+"},
        "code": {"executableCode": {"code": "1"}},
    }
    parts = [made[kind] for kind in kinds]
    reply = streamed(*(event(part) for part in parts), STOP, vertex=vertex)
    if reply.message.provider_specific_fields is None:
        assert set(kinds) <= {"text"}
        return
    message = AssistantMessage.from_dict(reply.message.to_dict())
    turn = contents(USER, message, vertex=vertex)[1]["parts"]
    merged: list[dict[str, Any]] = []
    for part in [*parts, {"text": ""}]:
        last = merged[-1] if merged else {}
        if part.keys() == last.keys() and part.keys() in ({"text"}, {"text", "thought"}):
            merged[-1] = {**part, "text": last["text"] + part["text"]}
        else:
            merged.append(part)
    assert turn == merged
    other = contents(USER, message, vertex=not vertex, model="gemini-2.5-flash")
    assert "AA-_" not in json.dumps(other)
    assert "BB/+" not in json.dumps(other)


# --- calls ------------------------------------------------------------------------------------------------------------


def test_calls_in_several_events() -> None:
    """Calls of a stream would get one number, or end as a normal stop."""
    chunks = chunks_of(event(CALL, CALL), event({"functionCall": {"name": "now", "id": "f3"}}), STOP)
    calls = [call for chunk in chunks for choice in chunk.choices for call in choice.delta.tool_calls or ()]
    assert calls == [
        ToolCallDelta(0, "call_r1_0", "function", FunctionDelta("add", '{"a":1}')),
        ToolCallDelta(1, "call_r1_1", "function", FunctionDelta("add", '{"a":1}')),
        ToolCallDelta(2, "f3", "function", FunctionDelta("now", "{}")),
    ]
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_legacy_functions() -> None:
    """A caller of `functions` would get `tool_calls`, or two calls in the place of one."""
    reply = streamed(event(CALL), event({"functionCall": {"name": "sub"}}), STOP, request=LEGACY)
    assert reply.message.tool_calls is None
    assert reply.message.function_call is not None
    assert (reply.message.function_call.name, reply.message.function_call.arguments) == ("add", '{"a":1}')
    assert reply.choices[0].finish_reason == "function_call"


def partial(*pieces: dict[str, Any], more: bool = True, **fields: Any) -> dict[str, Any]:
    call = {"partialArgs": list(pieces), **({"willContinue": True} if more else {}), **fields}
    return event({"functionCall": call})


def test_arguments_in_pieces() -> None:
    """Arguments that stream in pieces would be lost or be put together wrongly."""
    begin = {"functionCall": {"name": "add", "willContinue": True}, "thoughtSignature": "AA"}
    events = [
        event(begin),
        partial({"jsonPath": "$.a.b[0]", "stringValue": "He", "willContinue": True}),
        partial({"jsonPath": "$.a.b[0]", "stringValue": "llo"}),
        partial({"jsonPath": "$.a.b[1]", "numberValue": 2}, {"jsonPath": "$.c", "boolValue": False}),
        partial({"jsonPath": "$['d e']", "nullValue": "NULL_VALUE"}),
        event({"functionCall": {}}),
        event({"functionCall": {"name": "now", "willContinue": True}}),
    ]
    reply = streamed(*events, STOP)
    first, second = reply.message.tool_calls or ()
    args = {"a": {"b": ["Hello", 2]}, "c": False, "d e": None}
    assert (first.id, first.function.name, json.loads(first.function.arguments)) == ("call_r1_0", "add", args)
    assert (second.function.name, second.function.arguments) == ("now", "{}")
    assert reply.message.provider_specific_fields == {
        "gemini_content": [
            {"functionCall": {"name": "add", "args": args}, "thoughtSignature": "AA"},
            {"functionCall": {"name": "now", "args": {}}},
            {"text": ""},
        ]
    }


def test_a_call_in_pieces_keeps_what_its_parts_have() -> None:
    """A signature that comes late, or arguments that come first, would be lost."""
    begin = {"functionCall": {"name": "add", "args": {"z": 1}, "willContinue": True}}
    later = {"functionCall": {"partialArgs": [{"jsonPath": "$.a", "numberValue": 2}], "willContinue": True}}
    reply = streamed(
        event(begin), event({**later, "thoughtSignature": "AA"}), event({"functionCall": {}, "other": 1}), STOP
    )
    (call,) = reply.message.tool_calls or ()
    assert json.loads(call.function.arguments) == {"z": 1, "a": 2}
    assert call.extra == {"extra_content": {"google": {"thought_signature": "AA"}}}
    native = {"functionCall": {"name": "add", "args": {"z": 1, "a": 2}}, "thoughtSignature": "AA", "other": 1}
    assert reply.message.provider_specific_fields == {"gemini_content": [native, {"text": ""}]}


def test_a_call_with_pieces_begins_at_once() -> None:
    """A reader would learn of a call only when its arguments are complete."""
    begin, *_ = deltas(event({"functionCall": {"name": "add", "willContinue": True}}))
    assert begin.tool_calls == [ToolCallDelta(0, "call_r1_0", "function", FunctionDelta("add", ""))]


@pytest.mark.parametrize(
    "piece",
    [
        {"jsonPath": "", "stringValue": "x"},
        {"jsonPath": "$", "numberValue": 1},
        {"jsonPath": "$[0]", "numberValue": 1},
        {"jsonPath": "$.a[5]", "numberValue": 1},
        {"jsonPath": "$.a[", "numberValue": 1},
        {"jsonPath": "$.a", "other": 1},
        {"jsonPath": "$" + ".a" * 500, "numberValue": 1},
    ],
)
def test_arguments_without_a_place_are_an_error(piece: dict[str, Any]) -> None:
    """An argument would be lost, or fill the memory."""
    begin = event({"functionCall": {"name": "add", "willContinue": True}})
    with pytest.raises(APIResponseError):
        chunks_of(begin, partial(piece), STOP)


# --- media ------------------------------------------------------------------------------------------------------------


def test_audio_in_pieces() -> None:
    """Audio of a stream would not be base64."""
    kind, pieces = "audio/L16;rate=24000", [b"a", b"bcde", b"f" * 7]
    data = [{"inlineData": {"mimeType": kind, "data": base64.b64encode(piece).decode()}} for piece in pieces]
    audio = streamed(*map(event, data), STOP).message.audio
    assert audio is not None
    assert base64.b64decode(audio.data or "", validate=True) == b"".join(pieces)
    assert audio.extra == {"mime_type": kind}
    assert streamed(event(*data), STOP).message.audio == audio


def test_the_time_for_audio_grows_with_its_size() -> None:
    """An event with many pieces of audio would stop the program for minutes."""
    part = {"inlineData": {"mimeType": "audio/L16", "data": base64.b64encode(b"a" * 750).decode()}}

    def seconds(count: int) -> float:
        growing, pieces = GeminiGrowingCandidate(0, False, "google"), candidate(*[part] * count)
        started = time.process_time()
        growing.add(pieces, "r1")
        return time.process_time() - started

    # Four times the audio: four times the time, where joining each piece to the others would take sixteen times.
    assert min(seconds(40_000) for _ in range(3)) < 10 * min(seconds(10_000) for _ in range(3))


def test_an_event_may_hold_a_large_image() -> None:
    """An image in the largest size would end the stream with an error."""
    data = "A" * (MAX_EVENT + 4)
    framing = DIALECT.framing()
    image = event({"inlineData": {"mimeType": "image/png", "data": data}})
    (found,) = framing.feed(b"data: " + json.dumps(image).encode() + b"\r\n\r\n")
    assert framing.error is None
    assert len(found.data) > MAX_EVENT


# --- ends -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "events",
    [
        [],
        [event({"text": "a"})],
        [event(CALL)],
        [{"usageMetadata": COUNTS}],
        [{"promptFeedback": {"blockReason": "BLOCK_REASON_UNSPECIFIED"}}],
        [response(candidate({"text": "a"}), candidate({"text": "b"}, reason=None, index=1))],
        [b"[DONE]"],
    ],
)
def test_a_stream_without_its_end_is_interrupted(events: list[Any]) -> None:
    """A partial reply would look complete."""
    with pytest.raises(StreamInterruptedError):
        chunks_of(*events)


def test_done_after_content_is_an_end() -> None:
    """A gateway's own end marker would cost the reply."""
    reply = streamed(event({"text": "a"}), b"", b"null", b"[DONE]", event({"text": "b"}))
    assert (reply.text, reply.choices[0].finish_reason) == ("a", None)


def test_a_blocked_prompt_is_filtered() -> None:
    """A blocked prompt would look like an interrupted stream."""
    feedback = {"blockReason": "PROHIBITED_CONTENT", "blockReasonMessage": "Blocked."}
    reply = streamed({"promptFeedback": feedback}, {"usageMetadata": COUNTS})
    choice = reply.choices[0]
    assert (choice.finish_reason, choice.native_finish_reason) == ("content_filter", "PROHIBITED_CONTENT")
    assert choice.message.refusal == "Blocked."
    assert reply.extra == {"promptFeedback": feedback}
    assert reply.usage is not None


@pytest.mark.parametrize("begun", [[{"candidates": [{}]}], [event({"text": "a"})], [{"candidates": [{"index": 0}]}]])
def test_a_prompt_that_is_blocked_amid_a_stream(begun: list[Any]) -> None:
    """A block would be retried as an interrupted stream, and be paid for again."""
    feedback = {"blockReason": "PROHIBITED_CONTENT", "blockReasonMessage": "Blocked."}
    choice = streamed(*begun, {"promptFeedback": feedback}).choices[0]
    assert (choice.finish_reason, choice.native_finish_reason) == ("content_filter", "PROHIBITED_CONTENT")
    assert (choice.message.role, choice.message.refusal) == ("assistant", "Blocked.")


def test_feedback_beside_a_reply_is_no_block() -> None:
    """A reply would be replaced by the ratings of its prompt."""
    reply = streamed({"promptFeedback": {"safetyRatings": []}}, event({"text": "a"}), STOP)
    assert (reply.text, reply.choices[0].finish_reason) == ("a", "stop")


def test_a_failed_generation_raises_after_what_came() -> None:
    """A failed call would look like a normal stop, or what came before it would be lost."""
    decoder = DIALECT.decoder(CHAT, target(stream=True))
    failed = event({"text": "a"}, reason="MALFORMED_FUNCTION_CALL", finishMessage="Malformed.")
    (chunk,) = decoder.feed(Event(json.dumps(failed).encode()))
    assert (chunk.choices[0].delta.content, chunk.choices[0].finish_reason) == ("a", None)
    assert decoder.done
    with pytest.raises(InternalServerError) as caught:
        decoder.finish()
    assert (caught.value.message, caught.value.code) == ("Malformed.", "MALFORMED_FUNCTION_CALL")


def test_an_error_inside_a_stream() -> None:
    """An error of the server would be read as a truncation."""
    failed = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
    for each in (failed, [failed]):
        with pytest.raises(ServiceUnavailableError) as caught:
            chunks_of(event({"text": "a"}), json.dumps(each).encode())
        assert (caught.value.message, caught.value.status_code) == ("The model is overloaded.", 503)


def test_an_error_without_a_field_name_is_an_error() -> None:
    """Google's errors amid a stream, which are bare JSON, would be skipped."""
    framing, decoder = DIALECT.framing(), DIALECT.decoder(CHAT, target(stream=True))
    body = b'data: {"candidates":[{"content":{"parts":[{"text":"a"}]}}]}\r\n\r\n{"error":{"code":500,"message":"x"}}\n'
    with pytest.raises(InternalServerError):
        for each in framing.feed(body):
            decoder.feed(each)


@pytest.mark.parametrize(
    "data", [b"{", b"7", b'"text"', b'{"candidates":7}', b'{"candidates":[{"content":{"parts":[1]}}]}']
)
def test_an_event_that_cannot_be_read_is_an_error(data: bytes) -> None:
    """An event would be skipped without notice."""
    with pytest.raises((APIResponseError, InternalServerError)):
        chunks_of(data)


def test_endless_candidates_are_an_error() -> None:
    """A server could fill the memory with candidates."""
    with pytest.raises(APIResponseError):
        chunks_of(response(*(candidate({"text": "a"}, index=index) for index in range(2000))))


# --- several candidates, usage ----------------------------------------------------------------------------------------


def test_several_candidates() -> None:
    """Candidates would be mixed up, or end the stream with the first of them."""
    first = response(candidate({"text": "a"}, reason=None), candidate({"text": "b"}, reason=None, index=1))
    reply = streamed(first, event(CALL, reason="STOP", index=1), event({"text": "c"}, reason="MAX_TOKENS"))
    assert [(choice.index, choice.message.content, choice.finish_reason) for choice in reply.choices] == [
        (0, "ac", "length"),
        (1, "b", "tool_calls"),
    ]


def test_candidates_in_another_order() -> None:
    """Candidates would be mixed up: that with index 0 has none, wherever it stands."""
    first = response(candidate({"text": "a"}, reason=None), candidate({"text": "b"}, reason=None, index=1))
    reply = streamed(first, response(candidate({"text": "B"}, index=1), candidate({"text": "A"})))
    assert [(choice.index, choice.message.content) for choice in reply.choices] == [(0, "aA"), (1, "bB")]


def test_the_last_counts_are_the_usage() -> None:
    """Provisional counts would be added to the final ones, or a count that the last event lacks be kept."""
    early = {"promptTokenCount": 15, "candidatesTokenCount": 21, "totalTokenCount": 36}
    last = {"promptTokenCount": 13, "totalTokenCount": 13, "serviceTier": "standard"}
    reply = streamed(
        {**event({"text": "a"}), "usageMetadata": {"trafficType": "X"}},
        {**event({"text": "b"}), "usageMetadata": early},
        {**STOP, "usageMetadata": early},
        {"usageMetadata": last},
        {"usageMetadata": {"trafficType": "X"}},
    )
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.total_tokens) == (13, 0, 13)
    assert reply.service_tier == "standard"


def test_counts_without_their_total_are_the_usage() -> None:
    """The counts of a server that sends no total would be lost."""
    for name in ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount"):
        reply = streamed(event({"text": "a"}), {**event({"text": "b"}), "usageMetadata": {name: 3}}, STOP)
        assert reply.usage is not None
        assert reply.usage.total_tokens == 3


def test_logprobs_of_pieces_add_up() -> None:
    """Log probabilities of a stream would be lost."""
    results = [{"logprobsResult": {"chosenCandidates": [{"token": token, "logProbability": -1}]}} for token in "ab"]
    reply = streamed(event({"text": "a"}, **results[0]), event({"text": "b"}, reason="STOP", **results[1]))
    logprobs = reply.choices[0].logprobs
    assert logprobs is not None
    assert [token.token for token in logprobs.content or ()] == ["a", "b"]
