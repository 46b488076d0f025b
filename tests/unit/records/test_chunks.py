"""Chunks: OpenAI's JSON and back, lenient reading, the raw event that stays with each, pickles and copies."""

import copy
import pickle
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anycompletion.codecs.lenient import NotJSONError, ShapeError
from anycompletion.records import PromptTokensDetails, Usage
from anycompletion.records.chunks import (
    ChatCompletionChunk,
    ChunkChoice,
    CustomDelta,
    Delta,
    FunctionDelta,
    ToolCallDelta,
)
from anycompletion.records.latest_usage import latest_usage
from anycompletion.records.logprobs import Logprobs, TokenLogprob


def test_the_repr_shows_what_a_chunk_has() -> None:
    """A printed chunk would be twenty times `=None`, and its text hard to find."""
    calls = [
        ToolCallDelta(0, "c1", function=FunctionDelta("weather", '{"ci')),
        ToolCallDelta(1, custom=CustomDelta("x")),
    ]
    deltas = [Delta(content="Hel"), Delta(tool_calls=calls), Delta()]
    choices = [ChunkChoice(i, delta) for i, delta in enumerate(deltas)]
    choices[2].finish_reason = "stop"
    chunk = ChatCompletionChunk(id="c", choices=choices[:1], model="m", system_fingerprint="fp")
    assert repr(chunk) == "<ChatCompletionChunk 'm', 0: content='Hel'>"
    chunk = ChatCompletionChunk(choices=choices[1:], model="m", usage=Usage(1, 2))
    assert repr(chunk) == (
        "<ChatCompletionChunk 'm', 1: call 0 'weather' '{\"ci' call 1 'x', 2: finish_reason='stop', usage 1+2>"
    )
    assert repr(ChatCompletionChunk(choices=[ChunkChoice()])) == "<ChatCompletionChunk '', 0: nothing>"
    call = ToolCallDelta(index=0, function=FunctionDelta(arguments="{}"))
    assert repr(call) == "ToolCallDelta(index=0, function=FunctionDelta(arguments='{}'))"


def test_the_repr_of_a_chunk_fits_into_a_line() -> None:
    """A chunk with a long text, log probabilities or a content filter's results would fill the terminal."""
    chunk = ChatCompletionChunk(id="c" * 40, choices=[ChunkChoice(delta=Delta(content="x" * 200))], model="m")
    assert len(repr(chunk)) == 120
    assert repr(chunk).startswith("<ChatCompletionChunk 'm', 0: content='xxx")
    assert repr(chunk).endswith("x…>")


FULL: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1700000000,
    "model": "gpt-4o",
    "choices": [
        {
            "index": 0,
            "delta": {
                "role": "assistant",
                "content": "Hel",
                "refusal": "No",
                "tool_calls": [
                    {
                        "index": 0,
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "add", "arguments": "{"},
                        "extra_content": {"google": {"thought_signature": "c2ln"}},
                    },
                    {"index": 1, "id": "call_2", "type": "custom", "custom": {"name": "grep", "input": "a"}},
                ],
                "function_call": {"name": "old", "arguments": "{"},
                "audio": {"id": "a", "data": "UklG"},
                "annotations": [{"type": "url_citation"}],
                "reasoning_content": "Hm",
                "reasoning": "Hm",
                "thinking_blocks": [{"index": 0, "type": "thinking", "thinking": "Hm"}],
                "reasoning_details": [{"type": "reasoning.text"}],
                "provider_specific_fields": {"a": 1},
                "images": [{"type": "image_url", "image_url": {"url": "data:,"}}],
            },
            "finish_reason": "stop",
            "logprobs": {
                "content": [{"token": "Hel", "logprob": -0.5, "bytes": None, "top_logprobs": []}],
                "refusal": None,
            },
            "native_finish_reason": "end_turn",
            "content_filter_results": {"hate": 0},
            "paused": True,
            "seen": 1,
        }
    ],
    "prompt_filter_results": [{"prompt_index": 0}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "queue_time": 0.5},
    "service_tier": "default",
    "system_fingerprint": "fp_1",
    "provider": "Acme",
    "citations": ["https://x"],
}


def test_round_trip_of_a_full_chunk():
    """A relay would lose members."""
    assert ChatCompletionChunk.from_dict(FULL).to_dict() == FULL


def test_members_become_attributes():
    """Code written for OpenAI's SDK would not find the attributes it reads."""
    chunk = ChatCompletionChunk.from_dict(FULL)
    delta = chunk.choices[0].delta
    assert (chunk.id, chunk.model, chunk.created) == ("chatcmpl-1", "gpt-4o", 1700000000)
    assert (delta.role, delta.content, delta.refusal) == ("assistant", "Hel", "No")
    assert delta.tool_calls == [
        ToolCallDelta(
            0,
            "call_1",
            "function",
            FunctionDelta("add", "{"),
            extra={"extra_content": {"google": {"thought_signature": "c2ln"}}},
        ),
        ToolCallDelta(1, "call_2", "custom", custom=CustomDelta("grep", "a")),
    ]
    assert chunk.choices[0].logprobs == Logprobs([TokenLogprob("Hel", -0.5)])
    assert chunk.choices[0].content_filter_results == {"hate": 0}
    assert delta.extra == {"images": [{"type": "image_url", "image_url": {"url": "data:,"}}]}
    assert chunk.choices[0].extra == {"seen": 1}
    assert chunk.extra == {"provider": "Acme", "citations": ["https://x"]}
    assert chunk.prompt_filter_results == [{"prompt_index": 0}]
    assert chunk.usage == Usage(1, 2, 3, extra={"queue_time": 0.5})


def test_an_empty_chunk_has_all_required_fields():
    """The JSON would lack members that OpenAI's chunks always have."""
    assert ChatCompletionChunk("i", [ChunkChoice()], 5, "m").to_dict() == {
        "id": "i",
        "object": "chat.completion.chunk",
        "created": 5,
        "model": "m",
        "choices": [{"index": 0, "delta": {}, "finish_reason": None, "logprobs": None}],
    }


LENIENT: list[tuple[dict[str, Any], ChatCompletionChunk]] = [
    ({}, ChatCompletionChunk()),
    (dict.fromkeys(FULL), ChatCompletionChunk()),
    ({"choices": [{}], "unknown": 1}, ChatCompletionChunk(choices=[ChunkChoice()], extra={"unknown": 1})),
    ({"unknown": None, "obfuscation": "x"}, ChatCompletionChunk()),
    ({"choices": None}, ChatCompletionChunk()),
    ({"choices": [None, {"index": 1}, None]}, ChatCompletionChunk(choices=[ChunkChoice(1)])),
    ({"choices": [{"delta": {"tool_calls": [None]}}]}, ChatCompletionChunk(choices=[ChunkChoice()])),
    (
        {"choices": [{"index": 0, "stop_reason": None, "token_ids": [1], "matched_stop": 5}]},
        ChatCompletionChunk(choices=[ChunkChoice(extra={"token_ids": [1], "matched_stop": 5})]),
    ),
    (
        {"choices": [{"message": {"role": "assistant", "content": "x"}}]},
        ChatCompletionChunk(choices=[ChunkChoice(0, Delta(role="assistant", content="x"))]),
    ),
    ({"choices": [{"text": "x"}]}, ChatCompletionChunk(choices=[ChunkChoice(0, Delta(content="x"))])),
    (
        {"choices": [{"delta": {}, "text": "x", "message": {"content": "x"}}]},
        ChatCompletionChunk(choices=[ChunkChoice(extra={"text": "x", "message": {"content": "x"}})]),
    ),
    ({"choices": [dict.fromkeys(("index", "delta", "logprobs"))]}, ChatCompletionChunk(choices=[ChunkChoice()])),
    (
        {"choices": [{"delta": dict.fromkeys(FULL["choices"][0]["delta"])}]},
        ChatCompletionChunk(choices=[ChunkChoice()]),
    ),
    ({"choices": [{"delta": {"tool_calls": []}}]}, ChatCompletionChunk(choices=[ChunkChoice()])),
    (
        {"choices": [{"index": 1.0, "delta": {"tool_calls": [{}]}}]},
        ChatCompletionChunk(choices=[ChunkChoice(1, Delta(tool_calls=[ToolCallDelta()]))]),
    ),
    (
        {"choices": [{"logprobs": -0.5}]},
        ChatCompletionChunk(choices=[ChunkChoice(extra={"logprobs": -0.5})]),
    ),
    (
        {"usage": {"cost": {"total_cost": 1}}},
        ChatCompletionChunk(usage=Usage(cost=1.0, extra={"cost": {"total_cost": 1}})),
    ),
]


@pytest.mark.parametrize(("data", "chunk"), LENIENT)
def test_null_and_missing_fields(data: dict[str, Any], chunk: ChatCompletionChunk):
    """A stream would fail at a null or a missing member."""
    assert ChatCompletionChunk.from_dict(data) == chunk


def put(path: str, value: Any) -> dict[str, Any]:
    """`FULL` with another value at `path`."""
    data = copy.deepcopy(FULL)
    place: Any = data
    *steps, last = (
        int(step) if step.isdigit() else step for step in path.replace("[", ".").replace("]", "").split(".")
    )
    for step in steps:
        place = place[step]
    place[last] = value
    return data


CHOICE = "choices[0]"
DELTA = f"{CHOICE}.delta"
CALL = f"{DELTA}.tool_calls[0]"
CONVERTED: list[tuple[str, Any, Any]] = [
    # what the reply consists of: a value of another type has a meaning
    ("choices", FULL["choices"][0], FULL["choices"]),
    (CHOICE, [FULL["choices"][0]], FULL["choices"][0]),
    (DELTA, [FULL["choices"][0]["delta"]], FULL["choices"][0]["delta"]),
    (f"{DELTA}.content", 5, "5"),
    (f"{DELTA}.content", True, "true"),
    (f"{DELTA}.content", {"city": "Oslo"}, '{"city":"Oslo"}'),
    (f"{DELTA}.content", ["Hel", "lo"], "Hello"),
    (f"{DELTA}.refusal", 1, "1"),
    (f"{DELTA}.reasoning_content", ["H", "m"], "Hm"),
    (f"{DELTA}.reasoning", {"a": 1}, '{"a":1}'),
    (f"{CALL}.function.arguments", {"city": "Oslo"}, '{"city":"Oslo"}'),
    (f"{CALL}.function.arguments", [1], "[1]"),
    (f"{CALL}.function.name", 1, "1"),
    (f"{DELTA}.tool_calls[1].custom.input", 1, "1"),
    (f"{DELTA}.function_call.arguments", {}, "{}"),
    # labels and counts: numbers and their texts are the same
    ("id", 1, "1"),
    ("model", 1, "1"),
    ("created", "1700000000", 1700000000),
    ("created", 1700000000.5, 1700000000),
    (f"{CHOICE}.index", "0", 0),
    (f"{CHOICE}.finish_reason", 1, "1"),
    (f"{CALL}.index", "0", 0),
    (f"{CALL}.id", 7, "7"),
    ("service_tier", 1, "1"),
    ("usage.total_tokens", "3", 3),
    ("prompt_filter_results", {"prompt_index": 0}, [{"prompt_index": 0}]),
    (f"{DELTA}.annotations", {"type": "x"}, [{"type": "x"}]),
    (f"{DELTA}.thinking_blocks", [None, {"index": 0}], [{"index": 0}]),
]


@pytest.mark.parametrize(("path", "value", "same"), CONVERTED)
def test_a_value_of_another_type_is_converted(path: str, value: Any, same: Any):
    """A stream would fail, or lose a part of its reply, because a server writes a value in another way."""
    assert ChatCompletionChunk.from_dict(put(path, value)) == ChatCompletionChunk.from_dict(put(path, same))


UNNEEDED: list[tuple[str, Any]] = [
    ("id", {}),
    ("object", []),
    ("created", "now"),
    ("created", []),
    ("model", {"name": "m"}),
    ("usage", 1),
    ("service_tier", {}),
    ("system_fingerprint", {"a": 1}),
    ("prompt_filter_results", 5),
    (f"{CHOICE}.index", {}),
    (f"{CHOICE}.finish_reason", {}),
    (f"{CHOICE}.native_finish_reason", {}),
    (f"{CHOICE}.content_filter_results", 5),
    (f"{CHOICE}.paused", "no"),
    (f"{DELTA}.role", {}),
    (f"{DELTA}.audio", "UklG"),
    (f"{DELTA}.annotations", "x"),
    (f"{DELTA}.thinking_blocks", "Hm"),
    (f"{DELTA}.reasoning_details", 5),
    (f"{DELTA}.provider_specific_fields", "x"),
    (f"{CALL}.index", "first"),
    (f"{CALL}.id", {}),
    (f"{CALL}.type", []),
]


@pytest.mark.parametrize(("path", "value"), UNNEEDED)
def test_a_field_that_cannot_be_read_costs_itself_only(path: str, value: Any):
    """A paid stream would be lost because of a time stamp."""
    chunk = ChatCompletionChunk.from_dict(put(path, value))
    assert chunk == ChatCompletionChunk.from_dict(put(path, None))


REFUSED: list[tuple[str, Any]] = [
    ("choices", "x"),
    (CHOICE, "x"),
    (DELTA, "Hel"),
    (f"{DELTA}.tool_calls", "add"),
    (CALL, "add"),
    (f"{CALL}.function", "add"),
    (f"{DELTA}.tool_calls[1].custom", "x"),
    (f"{DELTA}.function_call", "old"),
]


@pytest.mark.parametrize(("path", "value"), REFUSED)
def test_what_has_no_meaning_is_refused_with_its_path(path: str, value: Any):
    """A part of the reply would be lost without a word, or be reported without its path."""
    with pytest.raises(ShapeError) as caught:
        ChatCompletionChunk.from_dict(put(path, value))
    assert caught.value.path == path


USAGES: list[tuple[list[Usage], Usage]] = [
    ([Usage(5, 1, 6), Usage(5, 2, 7)], Usage(5, 2, 7)),
    ([Usage(0, 0, 0), Usage(5, 1, 6)], Usage(5, 1, 6)),
    ([Usage(5, 1, 6), Usage(0, 0, 0)], Usage(5, 1, 6)),
    ([Usage(5, 1, 6), Usage()], Usage(5, 1, 6)),
    ([Usage(5), Usage(None, 2)], Usage(5, 2)),
    ([Usage(5, 0, 5), Usage(0, 2, 2)], Usage(5, 2, 7)),
    ([Usage(0, 0, 0)], Usage(0, 0, 0)),
    (
        [Usage(5, 1, 6, PromptTokensDetails(4, extra={"a": 1})), Usage(0, 2, 2, PromptTokensDetails(0, 3))],
        Usage(5, 2, 7, PromptTokensDetails(4, 3, extra={"a": 1})),
    ),
    ([Usage(5, 1, 6, PromptTokensDetails(4)), Usage(5, 2, 7)], Usage(5, 2, 7, PromptTokensDetails(4))),
    (
        [Usage(5, 1, 6, PromptTokensDetails(4)), Usage(5, 2, 7, PromptTokensDetails(3))],
        Usage(5, 2, 7, PromptTokensDetails(3)),
    ),
    ([Usage(5, 1, 6, cost=0.5), Usage(5, 2, 7)], Usage(5, 2, 7, cost=0.5)),
    ([Usage(5, extra={"a": 1, "b": 2}), Usage(5, extra={"a": 0, "b": 3})], Usage(5, extra={"a": 1, "b": 3})),
]


@pytest.mark.parametrize(("reports", "expected"), USAGES)
def test_usage_that_comes_several_times(reports: list[Usage], expected: Usage):
    """Zeros at the end of a stream would replace its usage, or the counts of one half those of the other."""
    usage: Usage | None = None
    before = copy.deepcopy(reports)
    for report in reports:
        usage = latest_usage(usage, report)
    assert usage == expected
    assert reports == before


def test_a_chunk_that_is_not_an_object():
    """A list or a null in place of a chunk would raise another exception."""
    for value in ([], "x", None, 1):
        with pytest.raises(ShapeError, match=r"^chunk: expected an object"):
            ChatCompletionChunk.from_dict(value)


# --- raw ---

RAW: list[tuple[Any, Any]] = [
    (None, None),
    ("plain text", "plain text"),
    (b'{"a": [1, null]}', {"a": [1, None]}),
    (b'{"a": "\xff"}', {"a": "\ufffd"}),
    (b'"\\ud800"', "\ufffd"),
    (b"1e400", float("inf")),
    (b"[]", []),
]


@pytest.mark.parametrize(("native", "raw"), RAW)
def test_raw(native: Any, raw: Any):
    """Members beyond OpenAI's would be lost, or `raw` would raise."""
    chunk = ChatCompletionChunk(native=native)
    assert chunk.raw == raw
    assert "native" not in chunk.to_dict()


def test_raw_of_bytes_that_are_not_json():
    """A chunk made by hand would raise another exception."""
    with pytest.raises(NotJSONError):
        _ = ChatCompletionChunk(native=b"<html>").raw


@pytest.mark.parametrize("native", [None, "text", b'{"a": 1}'])
def test_pickles_and_copies_keep_the_raw_event(native: Any):
    """A chunk from another process would lose the provider's event."""
    chunk = ChatCompletionChunk.from_dict(FULL)
    chunk.native = native
    for copied in (pickle.loads(pickle.dumps(chunk)), copy.copy(chunk), copy.deepcopy(chunk)):  # noqa: S301
        assert copied == chunk
        assert copied.native == native
        assert copied.raw == chunk.raw
        assert copied.to_dict() == FULL


def test_equality():
    """Equal chunks of two providers would differ, or different chunks be equal."""
    one, other = ChatCompletionChunk.from_dict(FULL), ChatCompletionChunk.from_dict(FULL)
    one.native = b"{}"
    assert one == other
    other.choices[0].delta.content = "lo"
    assert one != other
    assert ChatCompletionChunk() != ChatCompletionChunk(extra={"provider": "Acme"})
    assert one != FULL
    assert one.__eq__(FULL) is NotImplemented
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)


def test_structs_compare_and_leave_out_defaults():
    """Deltas could not be compared, or their JSON would have members that are not set."""
    assert Delta(content="x") == Delta(content="x")
    assert Delta(content="x") != Delta(content="y")
    assert msgspec.to_builtins(Delta(content="")) == {"content": ""}
    assert msgspec.to_builtins(ToolCallDelta(0, function=FunctionDelta(arguments="{"))) == {
        "index": 0,
        "function": {"arguments": "{"},
    }


# --- round trips by hypothesis ---

TEXT = st.text(max_size=6)
SOME_TEXT = st.none() | TEXT
OBJECTS = st.none() | st.lists(st.dictionaries(TEXT, SOME_TEXT, max_size=2), max_size=2)
FUNCTIONS = st.none() | st.builds(FunctionDelta, SOME_TEXT, SOME_TEXT)
CALLS = st.builds(
    ToolCallDelta,
    st.none() | st.integers(0, 9),
    SOME_TEXT,
    SOME_TEXT,
    FUNCTIONS,
    st.none() | st.builds(CustomDelta, SOME_TEXT, SOME_TEXT),
    st.none() | st.just({"extra_content": {"a": 1}}),
)
DELTAS = st.builds(
    Delta,
    role=SOME_TEXT,
    content=SOME_TEXT,
    refusal=SOME_TEXT,
    tool_calls=st.none() | st.lists(CALLS, min_size=1, max_size=2),
    function_call=FUNCTIONS,
    audio=st.none() | st.dictionaries(TEXT, TEXT, max_size=2),
    annotations=OBJECTS,
    reasoning_content=SOME_TEXT,
    thinking_blocks=OBJECTS,
    reasoning_details=OBJECTS,
    provider_specific_fields=st.none() | st.dictionaries(TEXT, TEXT, max_size=2),
    extra=st.none() | st.just({"images": [{"index": 0}], "mood": "fine"}),
)
LOGPROBS = st.builds(Logprobs, st.none() | st.lists(st.builds(TokenLogprob, TEXT, st.floats(-9, 0)), max_size=2))
CHUNKS = st.builds(
    ChatCompletionChunk,
    TEXT,
    st.lists(
        st.builds(
            ChunkChoice,
            st.integers(0, 9),
            DELTAS,
            SOME_TEXT,
            st.none() | LOGPROBS,
            SOME_TEXT,
            st.none() | st.just({"x": 1}),
            st.none() | st.just({"hate": {"filtered": False}}),
        ),
        max_size=2,
    ),
    st.integers(0, 9),
    TEXT,
    prompt_filter_results=OBJECTS,
    usage=st.none() | st.builds(Usage, st.none() | st.integers(0, 9), extra=st.just({"a": 1})),
    service_tier=SOME_TEXT,
    system_fingerprint=SOME_TEXT,
    extra=st.none() | st.just({"provider": "Acme", "x_groq": {"id": "r"}}),
)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(CHUNKS)
def test_round_trip_of_any_chunk(chunk: ChatCompletionChunk):
    """A recorded stream would change when it is replayed."""
    data = chunk.to_dict()
    assert ChatCompletionChunk.from_dict(data) == chunk
    assert ChatCompletionChunk.from_dict(msgspec.json.decode(msgspec.json.encode(data))).to_dict() == data
    assert pickle.loads(pickle.dumps(chunk)) == chunk == copy.deepcopy(chunk)  # noqa: S301
