"""Decoding of chunks in OpenAI's format: the fast path, the tolerant path, and members that only some servers send."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anycompletion.codecs.lenient import NotJSONError, ShapeError
from anycompletion.dialects.openai_chat import fast_decode
from anycompletion.dialects.openai_chat.variants import set_cost
from anycompletion.records import ChatCompletionChunk, Usage

CHUNKS = {
    "plain": '{"id":"i","object":"chat.completion.chunk","created":1,"choices":[{"delta":{"content":"x"}}]}',
    "unknown members": '{"choices":[{"index":0,"delta":{"content":"x","mood":"fine"},"seen":1}],"obfuscation":"abc"}',
    "nulls": '{"id":null,"choices":[{"index":null,"delta":null,"finish_reason":null}],"usage":null,"model":null}',
    "no choices": '{"id":"i"}',
    "null choices": '{"id":"i","choices":null}',
    "integral floats": '{"created":5.0,"choices":[{"index":1.0}]}',
    "usage": '{"choices":[],"usage":{"prompt_tokens":1,"queue_time":0.5,"prompt_tokens_details":null}}',
    "usage beside choices": '{"choices":[{"index":0,"delta":{}}],"usage":{"prompt_tokens":1,"cost":{"total":1}}}',
    "logprobs": '{"choices":[{"delta":{},"logprobs":{"content":[{"token":"x","logprob":-1}],"refusal":null}}]}',
    "bare logprobs": '{"choices":[{"index":0,"delta":{},"logprobs":-1.5}]}',
    "duplicate members": '{"id":"a","id":"b","choices":[]}',
    "tools": '{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":""}}]}}]}',
}


def read_chunk(data: bytes) -> ChatCompletionChunk:
    """One chunk, as a stream's decoder reads it."""
    return fast_decode.read_chunk(data, fast_decode.chunk_decoder().decode)


@pytest.mark.parametrize("name", CHUNKS)
def test_both_paths_read_the_same_chunk(name: str):
    """The fast path would decode a chunk differently from the tolerant one."""
    data = CHUNKS[name].encode()
    fast, tolerant = read_chunk(data), ChatCompletionChunk.from_dict(json.loads(data))
    for choice in tolerant.choices:
        if name != "bare logprobs":  # which only the tolerant path decodes
            choice.extra = None  # the fast path leaves unknown members to `raw`
    assert fast == tolerant
    assert fast.native == data
    assert fast.raw == json.loads(data)


def test_usage_keeps_unknown_fields():
    """A provider's own counts would be missing from streams."""
    usage = read_chunk(CHUNKS["usage"].encode()).usage
    assert usage is not None
    assert usage.extra == {"queue_time": 0.5}


def test_a_chunk_with_bad_bytes():
    """One invalid byte would end a stream."""
    chunk = read_chunk(b'{"choices":[{"index":0,"delta":{"content":"a\xffb"}}]}')
    assert chunk.choices[0].delta.content == "a\ufffdb"
    assert chunk.raw["choices"][0]["delta"]["content"] == "a\ufffdb"


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (b"[]", "chunk"),
        (b"null", "chunk"),
        (b'{"choices":{}}', "choices"),
        (b'{"choices":[{"delta":{"content":5}}]}', "choices[0].delta.content"),
        (b'{"choices":[{"index":"0"}]}', "choices[0].index"),
        (b'{"usage":{"total_tokens":"3"}}', "usage.total_tokens"),
    ],
)
def test_chunks_of_another_shape(data: bytes, path: str):
    """A wrong type would be reported without its path."""
    with pytest.raises(ShapeError) as caught:
        read_chunk(data)
    assert caught.value.path == path


@pytest.mark.parametrize("data", [b"", b"<html>", b'{"choices":[', b"[" * 200_000])
def test_chunks_that_are_not_json(data: bytes):
    """A parser's own exception would end a stream."""
    with pytest.raises(NotJSONError):
        read_chunk(data)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    st.binary(max_size=40) | st.sampled_from(list(CHUNKS.values())).map(str.encode),
    st.integers(0, 60),
    st.binary(max_size=2),
)
def test_any_bytes_in_place_of_a_chunk(data: bytes, place: int, noise: bytes):
    """Some bytes would raise an exception that is not documented."""
    try:
        chunk = read_chunk(data[:place] + noise + data[place:])
    except (NotJSONError, ShapeError):
        return
    chunk.to_dict()


# --- cost ---

TICKS: list[tuple[Any, float | None]] = [
    (37_756_000, 0.0037756),
    (0, None),
    (10**400, None),
    ("many", None),
    (None, None),
]


@pytest.mark.parametrize(("ticks", "dollars"), TICKS)
def test_ticks_are_the_cost(ticks: Any, dollars: float | None) -> None:
    """xAI's cost would be missing, Azure's 0 would be taken for a cost, or an unreadable value would lose the reply."""
    data = json.dumps({"usage": {"cost_in_usd_ticks": ticks}}).encode()
    usage = read_chunk(data).usage
    assert usage == Usage(cost=dollars, extra={"cost_in_usd_ticks": ticks})


def test_a_reported_cost_wins_over_ticks() -> None:
    """A reported cost in dollars would be replaced."""
    usage = Usage(cost=0.5, extra={"cost_in_usd_ticks": 10_000_000_000})
    set_cost(usage)
    assert usage.cost == 0.5
