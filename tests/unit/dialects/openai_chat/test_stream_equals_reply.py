"""The reply of a stream equals the whole reply with the same data, however the data is cut into chunks."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from anycompletion.codecs.sse import Event
from anycompletion.dialects.base import Target
from anycompletion.dialects.openai_chat.dialect import DIALECT
from anycompletion.http import Headers, HttpResponse
from anycompletion.records import ChatCompletion, ChatRequest
from anycompletion.records.chunks import ChatCompletionChunk
from anycompletion.streaming.accumulator import accumulated

CHAT = ChatRequest("m", "Hi")
TARGET = Target(provider="openai", model="m", base_url="https://x", stream=True)

TEXT = st.text(st.sampled_from('ab é😀𝄞\n"\\{}'), max_size=8)
LABEL = st.text(st.sampled_from("abc"), min_size=1, max_size=3)
ODD = st.sampled_from([0, 1.5, True, "x", {"a": {"b": [1]}}, {"a": 1}])
"""Values of fields that OpenAI does not document; those of lists are in `LISTS`."""
LISTS = st.lists(st.sampled_from([1, "x", {"a": 1}]), min_size=1, max_size=3)

CALLS = st.lists(
    st.fixed_dictionaries(
        {"id": st.uuids().map(str), "type": st.just("function")},
        optional={"extra_content": st.just({"google": {"thought_signature": "c2ln"}})},
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda call: call["id"],
).flatmap(
    lambda calls: st.tuples(
        *(
            st.fixed_dictionaries({"name": LABEL, "arguments": TEXT}).map(
                lambda function, call=call: call | {"function": function}
            )
            for call in calls
        )
    ).map(list)
)
BLOCKS = st.lists(
    st.one_of(
        st.fixed_dictionaries({"type": st.just("reasoning.text"), "text": TEXT, "signature": st.just("sig")}),
        st.fixed_dictionaries({"type": st.just("reasoning.encrypted"), "data": LABEL}),
    ),
    min_size=1,
    max_size=3,
).map(lambda blocks: [{"index": i, **block} for i, block in enumerate(blocks)])
MESSAGES = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": st.none() | TEXT},
    optional={
        "refusal": TEXT,
        "reasoning_content": TEXT,
        "tool_calls": CALLS,
        "annotations": st.lists(
            st.fixed_dictionaries({"type": LABEL, "start": st.integers(0, 9)}), min_size=1, max_size=2
        ),
        "reasoning_details": BLOCKS,
        "images": LISTS,
        "mood": ODD,
        "note": TEXT,
    },
)
TOKENS = st.lists(
    st.fixed_dictionaries(
        {"token": TEXT, "logprob": st.sampled_from([-1.0, -0.5]), "bytes": st.none(), "top_logprobs": st.just([])},
        optional={"id": st.integers(0, 9)},
    ),
    min_size=1,
    max_size=3,
)
CHOICES = st.fixed_dictionaries(
    {"message": MESSAGES, "finish_reason": st.sampled_from(["stop", "length", "tool_calls", "content_filter"])},
    optional={
        "logprobs": st.fixed_dictionaries({"content": TOKENS, "refusal": st.none()}),
        "stop_reason": ODD,
        "token_ids": LISTS,
    },
)
USAGES = st.fixed_dictionaries(
    {name: st.integers(1, 9) for name in ("prompt_tokens", "completion_tokens", "total_tokens")},
    optional={
        "prompt_tokens_details": st.just({"cached_tokens": 1, "video_tokens": 2}),
        "queue_time": st.just(0.5),
        "cost": st.just(0.25),
    },
)
REPLIES = st.fixed_dictionaries(
    {
        "id": LABEL,
        "object": st.just("chat.completion"),
        "created": st.integers(1, 9),
        "model": LABEL,
        "choices": st.lists(CHOICES, min_size=1, max_size=2),
    },
    optional={
        "usage": USAGES,
        "service_tier": LABEL,
        "system_fingerprint": LABEL,
        "provider": ODD,
        "citations": LISTS,
    },
).map(lambda reply: reply | {"choices": [{"index": i, **choice} for i, choice in enumerate(reply["choices"])]})

Draw = Callable[[st.SearchStrategy[Any]], Any]


def cut(draw: Draw, value: Any) -> list[Any]:
    """A text or a list in one to three pieces."""
    if not isinstance(value, (str, list)) or len(value) < 2:
        return [value]
    places = sorted(draw(st.sets(st.integers(1, len(value) - 1), max_size=2)))
    return [value[start:end] for start, end in zip([0, *places], [*places, None], strict=True)]


def calls_in_pieces(draw: Draw, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The deltas of tool calls: the head of each, then its arguments."""
    deltas: list[dict[str, Any]] = []
    for index, call in enumerate(calls):
        first, *rest = cut(draw, call["function"]["arguments"])
        head = {**call, "index": index, "function": {"name": call["function"]["name"], "arguments": first}}
        deltas.append({"tool_calls": [head]})
        deltas += ({"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in rest)
    return deltas


def blocks_in_pieces(draw: Draw, blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The deltas of reasoning blocks, whose texts are cut."""
    deltas: list[dict[str, Any]] = []
    for block in blocks:
        first, *rest = cut(draw, block.get("text", ""))
        deltas.append({"reasoning_details": [block | ({"text": first} if "text" in block else {})]})
        deltas += ({"reasoning_details": [{"index": block["index"], "text": piece}]} for piece in rest)
    return deltas


def fragments(draw: Draw, choice: dict[str, Any]) -> list[dict[str, Any]]:
    """The fragments of a choice in the order of a stream."""
    message: dict[str, Any] = dict(choice["message"])
    deltas: list[dict[str, Any]] = [{"role": message.pop("role")}]
    for name, value in message.items():
        if name == "tool_calls":
            deltas += calls_in_pieces(draw, value)
        elif name == "reasoning_details":
            deltas += blocks_in_pieces(draw, value)
        else:
            deltas += ({name: piece} for piece in cut(draw, value))
    found = [{"index": choice["index"], "delta": delta, "finish_reason": None} for delta in deltas]
    for name in ("logprobs", "token_ids"):
        if name not in choice:
            continue
        pieces = cut(draw, choice[name] if name == "token_ids" else choice[name]["content"])
        found += (
            {"index": choice["index"], "delta": {}, name: piece if name == "token_ids" else {"content": piece}}
            for piece in pieces
        )
    end = {name: value for name, value in choice.items() if name not in ("message", "logprobs", "token_ids")}
    return [*found, end | {"delta": {}}]


def events_of(draw: Draw, reply: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of a stream with the reply's data, in which the choices interleave."""
    waiting = [fragments(draw, choice) for choice in reply["choices"]]
    around = {name: value for name, value in reply.items() if name not in ("choices", "usage")}
    around["object"] = "chat.completion.chunk"
    events: list[dict[str, Any]] = []
    while waiting:
        turn = draw(st.integers(0, len(waiting) - 1))
        events.append(around | {"choices": [waiting[turn].pop(0)]})
        waiting = [rest for rest in waiting if rest]
    return [*events, around | {"choices": [], "usage": reply["usage"]}] if "usage" in reply else events


def streamed(events: list[dict[str, Any]], *, ensure_ascii: bool) -> ChatCompletion:
    """The reply that the events add up to."""
    decoder = DIALECT.decoder(CHAT, TARGET)
    chunks: list[ChatCompletionChunk] = []
    for event in events:
        chunks += decoder.feed(Event(json.dumps(event, ensure_ascii=ensure_ascii).encode()))
    decoder.feed(Event(b"[DONE]"))
    end = decoder.finish()
    assert isinstance(end, tuple)
    return accumulated([*chunks, *end])


@settings(max_examples=150, derandomize=True, deadline=None)
@given(REPLIES, st.data())
def test_a_stream_adds_up_to_the_whole_reply(reply: dict[str, Any], data: st.DataObject) -> None:
    """A part of the reply, or its form, would depend on whether it is streamed."""
    whole = DIALECT.decode(HttpResponse(200, Headers(), json.dumps(reply).encode()), CHAT, TARGET)
    assert isinstance(whole, ChatCompletion)
    events = events_of(data.draw, reply)
    for ensure_ascii in (True, False):
        found = streamed(events, ensure_ascii=ensure_ascii)
        assert found == whole
        assert found.to_dict() == whole.to_dict() == found.raw


@settings(max_examples=50, derandomize=True, deadline=None)
@given(REPLIES, st.data())
def test_relayed_chunks_add_up_to_the_whole_reply(reply: dict[str, Any], data: st.DataObject) -> None:
    """A reader of relayed events would get less than the first reader."""
    decoder = DIALECT.decoder(CHAT, TARGET)
    chunks = [
        chunk.to_dict()
        for event in events_of(data.draw, reply)
        for chunk in decoder.feed(Event(json.dumps(event).encode()))
    ]
    whole = DIALECT.decode(HttpResponse(200, Headers(), json.dumps(reply).encode()), CHAT, TARGET)
    assert streamed(chunks, ensure_ascii=True) == whole
