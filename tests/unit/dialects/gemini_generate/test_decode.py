"""Decoding of Gemini's responses: Google's JSON → the completion."""

import base64
import tracemalloc
from typing import Any

import pytest

from anycompletion.dialects.gemini_generate.grounding import MAX_ANNOTATIONS, GeminiTexts, read_annotations
from anycompletion.errors import APIResponseError, BadRequestError, InternalServerError, RateLimitError
from anycompletion.records.logprobs import TokenLogprob, TopLogprob
from support.gemini_replies import COUNTS, LEGACY, MODEL, candidate, decode, event, read, response, streamed

CALL = {"functionCall": {"name": "add", "args": {"a": 1}}}
SIGNED = {**CALL, "thoughtSignature": "AA-_"}


def test_a_complete_reply() -> None:
    """A plain reply would not have OpenAI's shape."""
    reply = decode(response(candidate({"text": "Hello"}), createTime="2026-08-19T14:40:24.559908Z"))
    assert reply.to_dict() == {
        "id": "r1",
        "object": "chat.completion",
        "created": 1787150424,
        "model": MODEL,
        "createTime": "2026-08-19T14:40:24.559908Z",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None},
                "finish_reason": "stop",
                "logprobs": None,
                "native_finish_reason": "STOP",
            }
        ],
        "usage": {
            "prompt_tokens": 3,
            "completion_tokens": 2,
            "total_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
    }
    assert reply.raw["candidates"][0]["finishReason"] == "STOP"


# --- parts ------------------------------------------------------------------------------------------------------------


def test_thoughts_are_reasoning() -> None:
    """Thoughts would be a part of the content, or be lost."""
    parts = ({"text": "hm", "thought": True}, {"text": "Hel"}, {"text": "lo", "thoughtSignature": "AA"})
    message = read(*parts).message
    assert (message.content, message.reasoning_content) == ("Hello", "hm")
    assert message.provider_specific_fields == {"gemini_content": [*parts]}


@pytest.mark.parametrize(
    "parts",
    [
        [{"text": "Hello"}],
        [{"text": "Hello"}, CALL, CALL],
        [CALL, {"functionCall": {"name": "now"}}],
        [{"text": ""}, {"text": "Hello"}],
        [],
    ],
)
def test_what_openais_fields_express_is_not_kept_twice(parts: list[dict[str, Any]]) -> None:
    """Every reply would take twice its memory."""
    assert read(*parts).message.provider_specific_fields is None


@pytest.mark.parametrize(
    "parts",
    [
        [SIGNED],
        [{"functionCall": {"name": "add", "id": "f1"}}],
        [{"text": "a"}, {"text": "b"}],
        [CALL, {"text": "a"}],
        [{"text": "", "thoughtSignature": "AA"}],
        [{"executableCode": {"language": "PYTHON", "code": "1"}}, {"codeExecutionResult": {"outcome": "OUTCOME_OK"}}],
        [{"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "id": "x"}, "thoughtSignature": "AA"}],
        [{"newKind": {"x": 1}}],
        [{"thought": True}],
    ],
)
def test_what_they_do_not_express_is_kept(parts: list[dict[str, Any]]) -> None:
    """A signature, an id, executed code or a part of an unknown kind could not be sent back."""
    assert read(*parts).message.provider_specific_fields == {"gemini_content": parts}
    assert read(*parts, vertex=True).message.provider_specific_fields == {
        "gemini_content": parts,
        "gemini_backend": "vertex",
    }


def test_calls() -> None:
    """Calls would lose their arguments, signatures or ids, or end as a normal stop."""
    reply = read({"text": "I add."}, SIGNED, {"functionCall": {"name": "now", "id": "f2"}})
    first, second = reply.message.tool_calls or ()
    assert first.to_dict() == {
        "id": "call_r1_0",
        "type": "function",
        "function": {"name": "add", "arguments": '{"a":1}'},
        "extra_content": {"google": {"thought_signature": "AA-_"}},
    }
    assert (second.id, second.function.name, second.function.arguments, second.extra) == ("f2", "now", "{}", {})
    assert reply.choices[0].finish_reason == "tool_calls"


def test_signatures_of_vertex_ai_have_its_name() -> None:
    """A signature would be sent to the service that refuses it."""
    (call,) = read(SIGNED, vertex=True).message.tool_calls or ()
    assert call.extra == {"extra_content": {"vertex": {"thought_signature": "AA-_"}}}


def test_legacy_functions() -> None:
    """A caller of `functions` would get `tool_calls`."""
    reply = read(SIGNED, CALL, request=LEGACY)
    message = reply.message
    assert message.tool_calls is None
    assert message.function_call is not None
    assert (message.function_call.name, message.function_call.arguments) == ("add", '{"a":1}')
    assert message.provider_specific_fields == {"gemini_content": [SIGNED, CALL]}
    assert reply.choices[0].finish_reason == "function_call"


def test_further_legacy_calls_are_kept() -> None:
    """A second call, for which the legacy form has no place, would be lost."""
    for reply in (read(CALL, CALL, request=LEGACY), streamed(event(CALL, CALL, reason="STOP"), request=LEGACY)):
        assert reply.message.provider_specific_fields == {"gemini_content": [CALL, CALL]}


def test_images() -> None:
    """Images would be lost, or those of the reasoning be shown."""
    png = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    message = read({**png, "thought": True}, png).message
    assert message.extra == {"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}


def test_audio_in_pieces() -> None:
    """Audio in several parts would not be base64."""
    kind = "audio/L16;codec=pcm;rate=24000"
    pieces = [b"a", b"bc", b"defgh"]
    parts = [{"inlineData": {"mimeType": kind, "data": base64.b64encode(piece).decode()}} for piece in pieces]
    audio = read(*parts).message.audio
    assert audio is not None
    assert base64.b64decode(audio.data or "", validate=True) == b"abcdefgh"
    assert audio.extra == {"mime_type": kind}
    broken = read({"inlineData": {"mimeType": kind, "data": "A"}}).message.audio
    assert broken is not None
    assert broken.data == "A"


# --- ends -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("native", "reason"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("CONTINUATION", "length"),
        ("SAFETY", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("IMAGE_ANYTHING_NEW", "content_filter"),
        ("NO_IMAGE", "content_filter"),
        ("SOMETHING_NEW", "stop"),
    ],
)
def test_finish_reasons(native: str, reason: str) -> None:
    """A filtered or truncated reply would look complete, or a new reason would cost the reply."""
    choice = read({"text": "x"}, reason=native).choices[0]
    assert (choice.finish_reason, choice.native_finish_reason) == (reason, native)


@pytest.mark.parametrize("native", [None, "", "FINISH_REASON_UNSPECIFIED", 0])
def test_no_finish_reason_is_no_stop(native: Any) -> None:
    """A reply that has not ended would look complete."""
    choice = read({"text": "x"}, reason=native).choices[0]
    assert (choice.finish_reason, choice.native_finish_reason) == (None, None)


def test_numbers_of_reasons() -> None:
    """A server that sends numbers for names would have unknown reasons."""
    assert read({"text": "x"}, finishReason=2).choices[0].finish_reason == "length"


@pytest.mark.parametrize(
    "native", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE", "TOO_MANY_TOOL_CALLS"]
)
def test_a_failed_generation_is_an_error(native: str) -> None:
    """A reply without its call would look like a normal, empty one."""
    body = response({"finishReason": native, "finishMessage": "Malformed: print("}, candidate({"text": "x"}, index=1))
    with pytest.raises(InternalServerError) as caught:
        decode(body)
    error = caught.value
    assert (error.message, error.code, error.status_code, error.maybe_billed) == (
        "Malformed: print(",
        native,
        500,
        True,
    )
    assert error.retryable
    assert error.partial is not None
    assert [choice.finish_reason for choice in error.partial.choices] == [None, "stop"]


def test_a_missing_signature_is_the_callers_mistake() -> None:
    """A request that fails each time would be repeated."""
    with pytest.raises(BadRequestError) as caught:
        read(reason="MISSING_THOUGHT_SIGNATURE")
    assert caught.value.status_code == 400


@pytest.mark.parametrize("candidates", [{}, {"candidates": []}, {"candidates": None}])
def test_a_blocked_prompt_is_filtered(candidates: dict[str, Any]) -> None:
    """A blocked prompt would be an error without a cause, or an empty reply."""
    feedback = {"blockReason": "SAFETY", "blockReasonMessage": "Blocked."}
    reply = decode({"promptFeedback": feedback, **candidates})
    choice = reply.choices[0]
    assert (choice.finish_reason, choice.native_finish_reason) == ("content_filter", "SAFETY")
    assert (choice.message.content, choice.message.refusal) == (None, "Blocked.")
    assert reply.extra == {"promptFeedback": feedback}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"candidates": []},
        {"promptFeedback": {"blockReason": "BLOCKED_REASON_UNSPECIFIED"}},
        {"promptFeedback": {"blockReason": ""}},
        {"promptFeedback": {"safetyRatings": []}},
        {"usageMetadata": {"totalTokenCount": 3}},
        {"candidates": [{}]},
        {"candidates": [{"content": {"parts": ["x"]}}]},
        {"candidates": [{"content": {"parts": [{"functionCall": {}}]}}]},
        {"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": 5}}]}}]},
        {"candidates": 7},
        [],
        [{"candidates": []}],
        "text",
        b"\xff",
    ],
)
def test_a_reply_of_another_shape_is_an_error(body: Any) -> None:
    """A reply that cannot be read would be an empty one."""
    with pytest.raises(APIResponseError if body != "text" else Exception):
        decode(body)


def test_a_reply_without_content_is_legal() -> None:
    """A reply that the model ended at once would be an error."""
    for content in ({"content": {}}, {}, {"content": {"role": "model"}}):
        reply = decode(response({"finishReason": "STOP", **content}))
        assert (reply.message.content, reply.choices[0].finish_reason) == (None, "stop")


def test_a_blocked_prompt_ends_candidates_without_a_reason() -> None:
    """A blocked prompt would be an unreadable reply, and be paid for again."""
    feedback = {"blockReason": "PROHIBITED_CONTENT", "blockReasonMessage": "Blocked."}
    for content in ({}, {"safetyRatings": []}, candidate({"text": "a"}, reason=None)):
        choice = decode(response(content, promptFeedback=feedback)).choices[0]
        assert (choice.finish_reason, choice.native_finish_reason) == ("content_filter", "PROHIBITED_CONTENT")
        assert choice.message.refusal == "Blocked."
    assert decode(response(candidate(), promptFeedback=feedback)).choices[0].finish_reason == "stop"


def test_an_error_inside_a_good_status() -> None:
    """An error would be read as a reply without candidates."""
    body = {"error": {"code": 429, "message": "Slow down.", "status": "RESOURCE_EXHAUSTED"}}
    for each in (body, [body]):
        with pytest.raises(RateLimitError) as caught:
            decode(each)
        assert (caught.value.message, caught.value.status_code) == ("Slow down.", 429)


# --- several candidates and responses ---------------------------------------------------------------------------------


def test_several_candidates() -> None:
    """Candidates would be mixed up; that with index 0 has none."""
    reply = decode(response(candidate({"text": "a"}), candidate({"text": "b"}, index=1, avgLogprobs=-0.5)))
    assert [(choice.index, choice.message.content) for choice in reply.choices] == [(0, "a"), (1, "b")]
    assert reply.choices[1].extra == {"avgLogprobs": -0.5}
    swapped = decode(response(candidate({"text": "b"}, index=1), candidate({"text": "a"})))
    assert [(choice.index, choice.message.content) for choice in swapped.choices] == [(0, "a"), (1, "b")]


def test_an_array_of_responses_is_one_reply() -> None:
    """A server that answers with an array would cost the reply."""
    first = {"candidates": [{"content": {"parts": [{"text": "Hel"}]}}], "usageMetadata": {"trafficType": "X"}}
    last = response(candidate({"text": "lo"}, reason="STOP"))
    reply = decode([first, last])
    assert (reply.text, reply.id, reply.choices[0].finish_reason) == ("Hello", "r1", "stop")
    assert reply.usage is not None
    assert reply.usage.total_tokens == 5
    assert reply.message.provider_specific_fields is None
    assert reply.raw == [first, last]


def test_an_error_inside_an_array_of_responses() -> None:
    """The status of an error, and what came before it, would be lost."""
    failed = {"error": {"code": 429, "message": "Slow down.", "status": "RESOURCE_EXHAUSTED"}}
    with pytest.raises(RateLimitError) as caught:
        decode([response(candidate({"text": "a"}, reason=None)), failed])
    assert (caught.value.message, caught.value.status_code) == ("Slow down.", 429)
    assert caught.value.partial is not None
    assert caught.value.partial.text == "a"
    with pytest.raises(RateLimitError) as caught:
        decode([{"usageMetadata": COUNTS}, failed])
    assert caught.value.partial is None


def test_a_time_without_a_zone_is_utc() -> None:
    """A reply would be older or newer on machines in other zones."""
    reply = decode(response(candidate({"text": "x"}), createTime="2026-01-01T00:00:00"))
    assert reply.created == 1767225600


# --- usage ------------------------------------------------------------------------------------------------------------


THOUGHT = {"promptTokenCount": 3, "thoughtsTokenCount": 7, "totalTokenCount": 12}


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (
            {"promptTokenCount": 3, "candidatesTokenCount": 2, "thoughtsTokenCount": 7, "totalTokenCount": 12},
            (3, 9, 12, 7, 0),
        ),
        (
            {"promptTokenCount": 3, "candidatesTokenCount": 9, "thoughtsTokenCount": 7, "totalTokenCount": 12},
            (3, 9, 12, 7, 0),
        ),
        ({"promptTokenCount": 3, "candidatesTokenCount": 4}, (3, 4, 7, 0, 0)),
        ({"promptTokenCount": 3, "toolUsePromptTokenCount": 4, "totalTokenCount": 7}, (7, 0, 7, 0, 0)),
        ({"promptTokenCount": 3, "cachedContentTokenCount": 2, "totalTokenCount": 3}, (3, 0, 3, 0, 2)),
        ({"promptTokenCount": "3", "totalTokenCount": 3.0}, (3, 0, 3, 0, 0)),
    ],
)
def test_usage(counts: dict[str, Any], expected: tuple[int, ...]) -> None:
    """Tokens of thoughts or of search results would not be counted, or be counted twice."""
    usage = decode(response(candidate({"text": "x"}), usageMetadata=counts)).usage
    assert usage is not None
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    assert prompt is not None
    assert completion is not None
    found = (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)
    assert (*found, completion.reasoning_tokens, prompt.cached_tokens) == expected


def test_other_counts_are_kept() -> None:
    """The kind of traffic and the tokens by modality would be lost."""
    details = [{"modality": "TEXT", "tokenCount": 1}, {"modality": "AUDIO", "tokenCount": 2}]
    counts = {"promptTokenCount": 3, "totalTokenCount": 3, "promptTokensDetails": details, "trafficType": "ON_DEMAND"}
    reply = decode(response(candidate({"text": "x"}), usageMetadata={**counts, "serviceTier": "flex"}))
    assert reply.usage is not None
    assert reply.usage.extra == {"promptTokensDetails": details, "trafficType": "ON_DEMAND"}
    assert reply.usage.prompt_tokens_details is not None
    assert reply.usage.prompt_tokens_details.audio_tokens == 2
    assert reply.service_tier == "flex"


@pytest.mark.parametrize("usage", [None, {}, {"trafficType": "X"}, "x"])
def test_no_counts_are_no_usage(usage: Any) -> None:
    """Unknown counts would be zeros."""
    assert decode(response(candidate({"text": "x"}), usageMetadata=usage)).usage is None


# --- citations and log probabilities ----------------------------------------------------------------------------------


def grounded(*supports: dict[str, Any]) -> dict[str, Any]:
    chunks = [{"web": {"uri": "https://a", "title": "A"}}, {"retrievedContext": {"uri": "gs://b"}}, {"web": {}}]
    return {"groundingMetadata": {"groundingChunks": chunks, "groundingSupports": list(supports)}}


def support(start: int, end: int, text: str | None, *indices: int, **fields: Any) -> dict[str, Any]:
    segment = {"startIndex": start, "endIndex": end, **({} if text is None else {"text": text}), **fields}
    return {"segment": segment, "groundingChunkIndices": list(indices)}


def cited(*parts: dict[str, Any], **fields: Any) -> list[Any]:
    found = read(*parts, **fields).message.annotations or []
    urls = [annotation.url_citation for annotation in found]
    return [url and (url.url, url.title, url.start_index, url.end_index) for url in urls]


def test_grounding_counts_bytes() -> None:
    """Citations would mark the wrong characters of a text beyond ASCII."""
    assert cited({"text": "é🎈 yes, no"}, **grounded(support(7, 10, "yes", 0, 1), support(12, 14, "no", 2))) == [
        ("https://a", "A", 3, 6),
        ("gs://b", "", 3, 6),
    ]


def test_places_are_found_by_their_text() -> None:
    """A place that is wrong would mark other words; one that cannot be found would be guessed."""
    parts = ({"text": "hm", "thought": True}, {"text": "ab"}, {"text": "cd"})
    supports = (
        support(9, 99, "cd", 0),
        support(0, 2, "zz", 0),
        support(0, 2, None, 0),
        support(0, 2, "cd", 0, partIndex=2),
    )
    assert [place[2:] for place in cited(*parts, **grounded(*supports))] == [(2, 4), (None, None), (0, 2), (2, 4)]


def test_a_place_inside_a_character_costs_nothing() -> None:
    """Bytes that do not begin a character would cost the reply, or move the places after them."""
    text = "é" * 5000
    assert cited({"text": text}, **grounded(support(9001, 9004, None, 0), support(8000, 9000, None, 0))) == [
        ("https://a", "A", 4501, 4502),
        ("https://a", "A", 4000, 4500),
    ]


def test_annotations_are_limited() -> None:
    """A few bytes could stand for many annotations, and fill the memory."""
    many = [0] * (MAX_ANNOTATIONS + 5)
    assert len(cited({"text": "ab"}, **grounded(support(0, 2, None, *many)))) == MAX_ANNOTATIONS
    texts = GeminiTexts(["ab"])
    tracemalloc.start()
    try:
        metadata = grounded(support(0, 2, None, *[0] * 1_000_000))
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[1]
        found = read_annotations(metadata, texts)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert (len(found), peak < 50_000_000) == (MAX_ANNOTATIONS, True)


def test_quoted_texts_are_searched_within_limits() -> None:
    """Many wrong places in a long text would stop the program for minutes."""
    texts = GeminiTexts(["a" * 20_000_000 + "b"])
    places = [texts.place({"text": "b"}) for _ in range(20)]
    assert (places[0], places[-1]) == ((20_000_000, 20_000_001), None)


def test_citations() -> None:
    """Sources that the model repeats would be lost."""
    sources = [{}, {"startIndex": 1, "endIndex": 3, "uri": "https://c"}, {"uri": "https://d", "title": "D"}]
    for name in ("citations", "citationSources"):
        found = cited({"text": "abcd"}, citationMetadata={name: sources})
        assert found == [("https://c", "", 1, 3), ("https://d", "D", None, None)]


def test_grounding_of_odd_shapes_costs_nothing() -> None:
    """A citation of an odd shape would cost the reply."""
    for metadata in ({"groundingChunks": 1, "groundingSupports": [{"groundingChunkIndices": ["x", 99, -1]}]}, {}, []):
        reply = read({"text": "x"}, groundingMetadata=metadata)
        assert (reply.text, reply.message.annotations) == ("x", None)


def test_logprobs() -> None:
    """Log probabilities would be lost, or alternatives belong to another token."""
    result = {
        "chosenCandidates": [{"token": "a", "tokenId": 1, "logProbability": -0.5}, {"token": "b"}],
        "topCandidates": [{"candidates": [{"token": "a", "logProbability": -0.5}, {"token": "c"}]}, {}],
    }
    logprobs = read({"text": "ab"}, logprobsResult=result).choices[0].logprobs
    assert logprobs is not None
    top = [TopLogprob("a", -0.5), TopLogprob("c", 0.0)]
    assert logprobs.content == [TokenLogprob("a", -0.5, top_logprobs=top), TokenLogprob("b", 0.0)]
