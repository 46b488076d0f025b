"""Decoding of chunks in OpenAI's format in one step, and by the tolerant path for all other JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anycompletion.codecs.lenient import NotJSONError, ShapeError
from anycompletion.dialects.openai_chat import fast_chunks
from anycompletion.dialects.openai_chat.tolerant_chunks import OpenAIErrorInChunk, read_tolerantly
from anycompletion.dialects.shared import set_cost
from anycompletion.records import Usage
from anycompletion.records.chunks import ChatCompletionChunk


def read_fast(data: bytes) -> ChatCompletionChunk | None:
    """One chunk, if the fast path reads it."""
    return fast_chunks.read_chunk(data, fast_chunks.chunk_decoder().decode)


def read_chunk(data: bytes) -> ChatCompletionChunk:
    """One chunk, as a stream's decoder reads it."""
    return read_fast(data) or read_tolerantly(data)


ORDINARY = {
    "plain": '{"id":"i","object":"chat.completion.chunk","created":1,"choices":[{"delta":{"content":"x"}}]}',
    "null usage": '{"id":"i","choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}],"usage":null}',
    "padding": '{"id":"i","choices":[{"index":0,"delta":{"content":"x"}}],"obfuscation":"aB3"}',
    "nulls of vLLM": '{"id":"i","choices":[{"index":0,"delta":{"content":"x"},"stop_reason":null,"token_ids":null}]}',
    "nulls of SGLang": '{"id":"i","choices":[{"index":0,"delta":{"role":null,"content":"x"},"matched_stop":null}]}',
    "no choices": '{"id":"i"}',
    "logprobs": '{"choices":[{"delta":{},"logprobs":{"content":[{"token":"x","logprob":-1}],"refusal":null}}]}',
    "duplicate fields": '{"id":"a","id":"b","choices":[]}',
    "tools": '{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":""}}]}}]}',
    "null error": '{"error":null,"choices":[{"delta":{"content":"x"}}]}',
}

OTHERS = {
    "unknown fields": '{"choices":[{"index":0,"delta":{"content":"x","mood":"fine"},"seen":1}],"provider":"Acme"}',
    "an unknown field of a call": '{"choices":[{"delta":{"tool_calls":[{"index":0,"extra_content":{"a":1}}]}}]}',
    "an unknown field beside usage": '{"choices":[],"usage":{"total_tokens":3},"provider":"Acme"}',
    "an unknown field beside logprobs": '{"choices":[{"index":0,"delta":{},"logprobs":{"content":[]},"seen":1}]}',
    "an unknown field and an odd type": '{"created":"5","choices":[{"index":"1","delta":{"content":7},"a":1}],"b":2}',
    "nulls": '{"id":null,"choices":[{"index":null,"delta":null,"finish_reason":null}],"usage":null,"model":null}',
    "null choices": '{"id":"i","choices":null}',
    "null delta": '{"id":"i","choices":[{"index":0,"delta":null,"seen":1}]}',
    "integral floats": '{"created":5.0,"choices":[{"index":1.0}]}',
    "usage": '{"choices":[],"usage":{"prompt_tokens":1,"queue_time":0.5,"prompt_tokens_details":null}}',
    "usage beside choices": '{"choices":[{"index":0,"delta":{}}],"usage":{"prompt_tokens":1,"cost":{"total":1}}}',
    "bare logprobs": '{"choices":[{"index":0,"delta":{},"logprobs":-1.5}]}',
    "a whole message": '{"choices":[{"index":0,"message":{"role":"assistant","content":"x"}}],"provider":"Acme"}',
    "a text": '{"choices":[{"index":0,"text":"x"}]}',
    "another stop reason": '{"choices":[{"index":0,"delta":{},"stop_reason":"</s>"}]}',
}


@pytest.mark.parametrize("name", [*ORDINARY, *OTHERS])
def test_both_paths_read_the_same_chunk(name: str):
    """A chunk would be decoded differently because of a field that is beside it."""
    data = (ORDINARY | OTHERS)[name].encode()
    found = read_chunk(data)
    assert found == ChatCompletionChunk.from_dict(json.loads(data))
    assert found.native == data
    assert found.raw == json.loads(data)
    assert (read_fast(data) is not None) == (name in ORDINARY)


@pytest.mark.parametrize("name", ORDINARY)
def test_the_tolerant_path_reads_ordinary_chunks_too(name: str):
    """A chunk after one with unknown fields, which takes this path, would be decoded differently."""
    data = ORDINARY[name].encode()
    assert read_tolerantly(data) == read_fast(data)


LOGPROBS: list[tuple[str, bool]] = [
    ('{"content":[{"token":"x","logprob":-1,"bytes":[1],"top_logprobs":[{"token":"x","logprob":-1}]}]}', False),
    ('{"content":null,"refusal":[{"token":"x","logprob":-1,"bytes":null,"top_logprobs":[]}]}', False),
    ("null", False),
    ('{"content":[{"id":5,"token":"x","logprob":-1,"top_logprobs":[]}]}', True),
    ('{"content":[{"token":"x","logprob":-1,"top_logprobs":[{"id":5,"token":"x","logprob":-1}]}]}', True),
    ('{"content":[],"tokens":["x"]}', True),
    ('{"content":[{"token":"x","logprob":null}]}', True),
]


@pytest.mark.parametrize(("logprobs", "has_other"), LOGPROBS)
def test_fields_of_log_probabilities_that_openai_does_not_document(logprobs: str, has_other: bool):
    """llama.cpp's token ids would be lost, or OpenAI's log probabilities be decoded twice."""
    data = f'{{"choices":[{{"delta":{{}}}},{{"delta":{{}},"logprobs":{logprobs}}}]}}'.encode()
    assert fast_chunks.has_unknown_logprob_fields(data) is has_other


def test_usage_keeps_unknown_fields():
    """A provider's own counts would be missing from streams."""
    usage = read_chunk(OTHERS["usage"].encode()).usage
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
        (b"5", "chunk"),
        (b'{"choices":5}', "choices"),
        (b'{"choices":["x"]}', "choices[0]"),
        (b'{"choices":["x"],"provider":"Acme"}', "choices[0]"),
        (b'{"choices":[{"delta":"x"}]}', "choices[0].delta"),
        (b'{"choices":[{"message":"x"}]}', "choices[0].delta"),
        (b'{"choices":[{"delta":{"tool_calls":"x"}}]}', "choices[0].delta.tool_calls"),
    ],
)
def test_chunks_of_another_shape(data: bytes, path: str):
    """A part of a reply would be lost without a word, or reported without its path."""
    with pytest.raises(ShapeError) as caught:
        read_chunk(data)
    assert caught.value.path == path


ERRORS = [
    '{"error":{"message":"m"}}',
    '{"error":"m","choices":[{"delta":{"content":"x"}}]}',
    '{"errors":[{"message":"m"}],"choices":[]}',
    '{"object":"error","message":"m","code":400}',
    '{"base_resp":{"status_code":1004,"status_msg":"m"},"choices":[{"delta":{}}]}',
    '{"choices":[{"index":0,"delta":{},"finish_reason":null,"error":{"message":"m"}}]}',
    '[{"error":{"message":"m"}}]',
    '"m"',
    '{"message":"m"}',
    '{"detail":"m"}',
]


@pytest.mark.parametrize("data", ERRORS)
def test_an_error_in_any_shape(data: str):
    """An error would be read as a chunk without text."""
    with pytest.raises(OpenAIErrorInChunk) as caught:
        read_chunk(data.encode())
    assert caught.value.value == json.loads(data)


@pytest.mark.parametrize("data", [b"", b"<html>", b'{"choices":[', b"[" * 200_000])
def test_chunks_that_are_not_json(data: bytes):
    """A parser's own exception would end a stream."""
    with pytest.raises(NotJSONError):
        read_chunk(data)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    st.binary(max_size=40) | st.sampled_from([*ORDINARY.values(), *OTHERS.values()]).map(str.encode),
    st.integers(0, 60),
    st.binary(max_size=2),
)
def test_any_bytes_in_place_of_a_chunk(data: bytes, place: int, noise: bytes):
    """Some bytes would raise an exception that is not documented."""
    try:
        chunk = read_chunk(data[:place] + noise + data[place:])
    except (NotJSONError, ShapeError, OpenAIErrorInChunk):
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
