"""Tests of the accumulator: a sequence of chunks becomes the same completion, however its text is split."""

from __future__ import annotations

import copy
import itertools
import pickle
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from anycompletion.errors import APIResponseError
from anycompletion.records import (
    Annotation,
    Audio,
    ChatCompletion,
    ChatCompletionMessage,
    Choice,
    CustomCall,
    FunctionCall,
    ToolCall,
    UrlCitation,
    Usage,
)
from anycompletion.records.chunks import (
    ChatCompletionChunk,
    ChunkChoice,
    CustomDelta,
    Delta,
    FunctionDelta,
    ToolCallDelta,
)
from anycompletion.records.logprobs import Logprobs, TokenLogprob
from anycompletion.streaming.accumulator import MAX_TEXT, Accumulator


def accumulated(*chunks: ChatCompletionChunk) -> Accumulator:
    accumulator = Accumulator()
    for chunk in chunks:
        accumulator.add(chunk)
    return accumulator


def chunk(*choices: ChunkChoice, **members: Any) -> ChatCompletionChunk:
    return ChatCompletionChunk("i", list(choices), 5, "m", **members)


def message(*deltas: Delta) -> ChatCompletionMessage:
    return accumulated(*(chunk(ChunkChoice(0, delta)) for delta in deltas)).completion().choices[0].message


def call(
    index: int | None = None, id: str | None = None, name: str | None = None, arguments: str | None = None
) -> Delta:
    function = None if name is None and arguments is None else FunctionDelta(name, arguments)
    return Delta(tool_calls=[ToolCallDelta(index, id, "function" if id else None, function)])


MESSAGES: dict[str, tuple[list[Delta], ChatCompletionMessage]] = {
    "nothing": ([Delta()], ChatCompletionMessage()),
    "text": (
        [Delta(role="assistant", content=""), Delta(content="Hel"), Delta(content="lo")],
        ChatCompletionMessage("Hello"),
    ),
    "only the role": ([Delta(role="assistant")], ChatCompletionMessage()),
    "an empty text is a text": ([Delta(content="")], ChatCompletionMessage("")),
    "another role": ([Delta(role="critic", content="x"), Delta(role="")], ChatCompletionMessage("x", role="critic")),
    "a refusal": ([Delta(refusal="I "), Delta(refusal="won't")], ChatCompletionMessage(refusal="I won't")),
    "reasoning": (
        [Delta(reasoning_content="H"), Delta(reasoning_content="m")],
        ChatCompletionMessage(reasoning_content="Hm"),
    ),
    "a tool call in pieces": (
        [call(0, "c", "add", ""), call(0, arguments='{"a"'), call(0, arguments=": 1}")],
        ChatCompletionMessage(tool_calls=[ToolCall("c", FunctionCall("add", '{"a": 1}'))]),
    ),
    "two tool calls that interleave": (
        [call(1, "b", "g", "1"), call(0, "a", "f", "2"), call(1, arguments="3"), call(0, arguments="4")],
        ChatCompletionMessage(
            tool_calls=[ToolCall("a", FunctionCall("f", "24")), ToolCall("b", FunctionCall("g", "13"))]
        ),
    ),
    "gaps between the indexes": (
        [call(7, "a", "f", "1"), call(10**9, "b", "g", "2")],
        ChatCompletionMessage(
            tool_calls=[ToolCall("a", FunctionCall("f", "1")), ToolCall("b", FunctionCall("g", "2"))]
        ),
    ),
    "no indexes, a new id starts a call": (
        [call(None, "a", "f", "1"), call(None, None, None, "2"), call(None, "a", None, "3"), call(None, "b", "g", "4")],
        ChatCompletionMessage(
            tool_calls=[ToolCall("a", FunctionCall("f", "123")), ToolCall("b", FunctionCall("g", "4"))]
        ),
    ),
    "neither index nor id, a second name starts a call": (
        [call(None, None, "f", "1"), call(None, None, None, "2"), call(None, None, "g", "3")],
        ChatCompletionMessage(tool_calls=[ToolCall("", FunctionCall("f", "12")), ToolCall("", FunctionCall("g", "3"))]),
    ),
    "no indexes, the name comes late": (
        [call(None, None, None, "1"), call(None, None, "f", "2")],
        ChatCompletionMessage(tool_calls=[ToolCall("", FunctionCall("f", "12"))]),
    ),
    "id and name repeated": (
        [call(0, "a", "f", "1"), call(0, "a", "f", "2")],
        ChatCompletionMessage(tool_calls=[ToolCall("a", FunctionCall("f", "12"))]),
    ),
    "the name comes late": (
        [call(0, "a", None, "1"), call(0, None, "f", None)],
        ChatCompletionMessage(tool_calls=[ToolCall("a", FunctionCall("f", "1"))]),
    ),
    "a call without a function": ([call(0, "a")], ChatCompletionMessage(tool_calls=[ToolCall("a", FunctionCall(""))])),
    "a custom call": (
        [
            Delta(tool_calls=[ToolCallDelta(0, "c", "custom", custom=CustomDelta("grep", "a"))]),
            Delta(tool_calls=[ToolCallDelta(0, custom=CustomDelta(input="+"))]),
        ],
        ChatCompletionMessage(tool_calls=[ToolCall("c", type="custom", custom=CustomCall("grep", "a+"))]),
    ),
    "an unknown type": (
        [Delta(tool_calls=[ToolCallDelta(0, "c", "web", FunctionDelta("w", "x"))])],
        ChatCompletionMessage(tool_calls=[ToolCall("c", FunctionCall("w", "x"), "web")]),
    ),
    "a legacy function call": (
        [Delta(function_call=FunctionDelta("f", "")), Delta(function_call=FunctionDelta(None, "{}"))],
        ChatCompletionMessage(function_call=FunctionCall("f", "{}")),
    ),
    "audio": (
        [
            Delta(audio={"id": "a", "data": "UklG"}),
            Delta(audio={"data": "Rg", "transcript": "Hi"}),
            Delta(audio={"id": None}),
            Delta(audio={"transcript": " you", "expires_at": 9, "unknown": 1}),
        ],
        ChatCompletionMessage(audio=Audio("a", "UklGRg", "Hi you", 9, extra={"unknown": 1})),
    ),
    "annotations": (
        [
            Delta(annotations=[{"type": "url_citation", "url_citation": {"url": "u"}}]),
            Delta(annotations=[{"type": "unknown_type", "x": 1}, {"type": 5}]),
        ],
        ChatCompletionMessage(
            annotations=[
                Annotation("url_citation", UrlCitation("u")),
                Annotation("unknown_type", extra={"x": 1}),
                Annotation("5"),
            ]
        ),
    ),
    "thinking in pieces": (
        [
            Delta(thinking_blocks=[{"index": 0, "type": "thinking", "thinking": "H"}]),
            Delta(thinking_blocks=[{"index": 0, "thinking": "m"}, {"index": 1, "type": "redacted", "data": "x"}]),
            Delta(thinking_blocks=[{"index": 0, "signature": "s"}]),
        ],
        ChatCompletionMessage(
            thinking_blocks=[
                {"type": "thinking", "thinking": "Hm", "signature": "s"},
                {"type": "redacted", "data": "x"},
            ]
        ),
    ),
    "reasoning details": (
        [
            Delta(reasoning_details=[{"index": 0, "text": "a", "id": "1"}, {"index": 0, "text": "b", "id": "2"}]),
            Delta(reasoning_details=[{"index": 1, "summary": "c"}, {"index": 1, "summary": "d", "text": "e"}]),
        ],
        ChatCompletionMessage(
            reasoning_details=[
                {"index": 0, "text": "ab", "id": "2"},
                {"index": 1, "summary": "cd", "text": "e"},
            ]
        ),
    ),
    "two types under one index are two blocks": (
        [
            Delta(reasoning_details=[{"index": 0, "type": "reasoning.text", "text": "a"}]),
            Delta(reasoning_details=[{"index": 0, "type": "reasoning.encrypted", "data": "X"}]),
            Delta(reasoning_details=[{"index": 0, "type": "reasoning.text", "text": "b", "signature": "s"}]),
            Delta(reasoning_details=[{"index": 0, "signature": "t"}]),
        ],
        ChatCompletionMessage(
            reasoning_details=[
                {"index": 0, "type": "reasoning.text", "text": "ab", "signature": "st"},
                {"index": 0, "type": "reasoning.encrypted", "data": "X"},
            ]
        ),
    ),
    "a type that comes late": (
        [Delta(thinking_blocks=[{"index": 0, "thinking": "a"}, {"index": 0, "type": "thinking", "thinking": "b"}])],
        ChatCompletionMessage(thinking_blocks=[{"thinking": "ab", "type": "thinking"}]),
    ),
    "a signature in pieces": (
        [Delta(thinking_blocks=[{"index": 0, "signature": each}]) for each in ("a", "b", None)],
        ChatCompletionMessage(thinking_blocks=[{"signature": "ab"}]),
    ),
    "a signature that is repeated": (
        [Delta(thinking_blocks=[{"index": 0, "signature": "abc", "text": "x"}])] * 2,
        ChatCompletionMessage(thinking_blocks=[{"signature": "abc", "text": "xx"}]),
    ),
    "encrypted data in pieces": (
        [Delta(reasoning_details=[{"type": "reasoning.encrypted", "index": 0, "data": each}]) for each in ("a", "b")],
        ChatCompletionMessage(reasoning_details=[{"type": "reasoning.encrypted", "index": 0, "data": "ab"}]),
    ),
    "thinking in pieces without an index": (
        [
            Delta(thinking_blocks=[{"type": "thinking", "thinking": "H", "signature": ""}]),
            Delta(thinking_blocks=[{"type": "thinking", "thinking": "m"}]),
            Delta(thinking_blocks=[{"type": "thinking", "signature": "s"}]),
            Delta(thinking_blocks=[{"type": "thinking", "thinking": "Oh"}]),
            Delta(thinking_blocks=[{"type": "redacted_thinking", "data": "x"}]),
            Delta(thinking_blocks=[{"type": "redacted_thinking", "data": "y"}]),
        ],
        ChatCompletionMessage(
            thinking_blocks=[
                {"type": "thinking", "thinking": "Hm", "signature": "s"},
                {"type": "thinking", "thinking": "Oh"},
                {"type": "redacted_thinking", "data": "x"},
                {"type": "redacted_thinking", "data": "y"},
            ]
        ),
    ),
    "whole blocks in one delta": (
        [Delta(thinking_blocks=[{"type": "thinking", "thinking": "a"}, {"type": "thinking", "thinking": "b"}])],
        ChatCompletionMessage(
            thinking_blocks=[{"type": "thinking", "thinking": "a"}, {"type": "thinking", "thinking": "b"}]
        ),
    ),
    "null stands for nothing new": (
        [Delta(reasoning_details=[{"index": 0, "text": "a", "id": "i"}, {"index": 0, "text": None, "id": None}])],
        ChatCompletionMessage(reasoning_details=[{"index": 0, "text": "a", "id": "i"}]),
    ),
    "blocks without an index are separate blocks": (
        [
            Delta(
                reasoning_details=[{"index": 1, "text": "a"}, {"text": "b"}, {"text": "c"}, {"index": [1], "text": "d"}]
            )
        ],
        ChatCompletionMessage(
            reasoning_details=[{"index": 1, "text": "a"}, {"text": "b"}, {"text": "c"}, {"index": [1], "text": "d"}]
        ),
    ),
    "a value of another type replaces the old one": (
        [Delta(reasoning_details=[{"index": 0, "text": None}, {"index": 0, "text": "a"}, {"index": 0, "text": 5}])],
        ChatCompletionMessage(reasoning_details=[{"index": 0, "text": 5}]),
    ),
    "provider-specific fields": (
        [Delta(provider_specific_fields={"a": 1, "b": 1}), Delta(provider_specific_fields={"b": 2})],
        ChatCompletionMessage(provider_specific_fields={"a": 1, "b": 2}),
    ),
    "lists of provider-specific fields": (
        [Delta(provider_specific_fields={"parts": [1]}), Delta(provider_specific_fields={"parts": [2]})],
        ChatCompletionMessage(provider_specific_fields={"parts": [1, 2]}),
    ),
    "lists and texts beyond OpenAI's": (
        [
            Delta(extra={"images": [1], "note": "a", "id": "i", "channel": "analysis"}),
            Delta(extra={"images": [2], "note": "b", "id": "i", "channel": "final"}),
        ],
        ChatCompletionMessage(extra={"images": [1, 2], "note": "ab", "id": "i", "channel": "final"}),
    ),
    "objects beyond OpenAI's": (
        [
            Delta(extra={"meta": {"a": {"x": 1, "l": [1]}, "b": "p"}}),
            Delta(extra={"meta": {"a": {"y": 2, "l": [2]}, "b": "q"}}),
        ],
        ChatCompletionMessage(extra={"meta": {"a": {"x": 1, "y": 2, "l": [2]}, "b": "q"}}),
    ),
    "other values beyond OpenAI's": (
        [Delta(extra={"token_id": 1, "odd": "a"}), Delta(extra={"token_id": 2, "odd": {"b": 1}})],
        ChatCompletionMessage(extra={"token_id": 2, "odd": {"b": 1}}),
    ),
    "fields of a tool call beyond OpenAI's": (
        [
            Delta(tool_calls=[ToolCallDelta(0, "c", extra={"extra_content": {"google": {"s": "x"}}, "status": "a"})]),
            Delta(tool_calls=[ToolCallDelta(0, extra={"extra_content": {"other": 1}, "status": "b", "list": [1]})]),
            Delta(tool_calls=[ToolCallDelta(0, extra={"list": [2]})]),
        ],
        ChatCompletionMessage(
            tool_calls=[
                ToolCall(
                    "c",
                    FunctionCall(""),
                    extra={"extra_content": {"google": {"s": "x"}, "other": 1}, "status": "b", "list": [1, 2]},
                )
            ]
        ),
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_deltas_become_the_message_of_a_plain_reply(name: str) -> None:
    """A streamed message would differ from that of a plain reply."""
    deltas, expected = MESSAGES[name]
    assert message(*deltas) == expected


UNEXPECTED: list[Delta] = [
    Delta(audio={"data": 5}),
    Delta(audio={"data": "x", "transcript": ["y"]}),
    Delta(audio={"id": {}, "expires_at": "soon"}),
    Delta(annotations=[{}]),
    Delta(annotations=[{"type": None, "url_citation": "u"}]),
    Delta(thinking_blocks=[{}]),
    Delta(reasoning_details=[{"index": {}, "text": "x"}, {"index": None}, {"index": 1.5}, {"index": True}]),
    Delta(tool_calls=[]),
    Delta(tool_calls=[ToolCallDelta(-1)]),
    Delta(function_call=FunctionDelta()),
]


def test_deltas_of_unexpected_types_are_accepted() -> None:
    """One member of an unexpected type would end a stream with a TypeError."""
    for deltas in itertools.product(UNEXPECTED, repeat=2):
        reply = accumulated(*(chunk(ChunkChoice(0, delta)) for delta in deltas)).completion()
        assert reply.to_dict()["choices"][0]["index"] == 0


def test_interleaved_choices_are_separated() -> None:
    """The texts of several choices would be mixed up."""
    pieces = [
        (index, letter)
        for letters in zip("first", "other", "third", strict=True)
        for index, letter in enumerate(letters)
    ]
    pieces.reverse()
    accumulator = accumulated(*(chunk(ChunkChoice(index, Delta(content=letter))) for index, letter in pieces))
    accumulator.add(chunk(*(ChunkChoice(index, finish_reason="stop") for index in (2, 0))))
    reply = accumulator.completion()
    assert [choice.index for choice in reply.choices] == [0, 1, 2]
    assert reply.texts == ["tsrif", "rehto", "driht"]
    assert accumulator.finish_reasons == {0: "stop", 1: None, 2: "stop"}


def test_members_beside_the_message_are_kept() -> None:
    """Finish reasons, log probabilities, or the id, model and usage of the reply would be lost."""
    first = TokenLogprob("a", -1.0)
    accumulator = accumulated(
        ChatCompletionChunk("", [], 0, "", usage=None),
        chunk(ChunkChoice(0, Delta(content="a"), logprobs=Logprobs([first]), extra={"f": 1})),
        ChatCompletionChunk("other", [ChunkChoice(0, logprobs=Logprobs([first], [first]))], 9, "other"),
        chunk(ChunkChoice(0, logprobs=Logprobs()), service_tier="flex", system_fingerprint="fp"),
        chunk(ChunkChoice(0, finish_reason="stop", native_finish_reason="end_turn", extra={"g": 2})),
        chunk(ChunkChoice(0)),
        chunk(usage=Usage(1)),
        chunk(usage=Usage(1, 2, 3)),
    )
    assert accumulator.usage == Usage(1, 2, 3)
    assert accumulator.completion() == ChatCompletion(
        "i",
        [
            Choice(
                0,
                ChatCompletionMessage("a"),
                "stop",
                Logprobs([first, first], [first]),
                "end_turn",
                extra={"f": 1, "g": 2},
            )
        ],
        "m",
        5,
        usage=Usage(1, 2, 3),
        service_tier="flex",
        system_fingerprint="fp",
    )


def test_an_accumulator_has_started_after_its_first_chunk() -> None:
    """An error before the first chunk would have an empty partial reply."""
    assert not Accumulator().started
    assert not accumulated(ChatCompletionChunk()).started
    assert accumulated(chunk()).started
    assert accumulated(ChatCompletionChunk(choices=[ChunkChoice()])).started
    assert Accumulator().completion() == ChatCompletion("", [], "")
    assert Accumulator().finish_reasons == {}


def test_results_of_content_filters_are_kept() -> None:
    """The results of Azure's content filters would be missing in streamed replies."""
    reply = accumulated(
        chunk(prompt_filter_results=[{"prompt_index": 0}]),
        chunk(ChunkChoice(0, content_filter_results={"hate": {"filtered": False}})),
        chunk(ChunkChoice(0, content_filter_results={"sexual": {"filtered": True}}, finish_reason="content_filter")),
    ).completion()
    assert reply.extra == {"prompt_filter_results": [{"prompt_index": 0}]}
    assert reply.choices[0].extra == {
        "content_filter_results": {"hate": {"filtered": False}, "sexual": {"filtered": True}}
    }


CHUNK_EXTRAS: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "the last value": ([{"provider": "A"}, {"provider": "B"}], {"provider": "B"}),
    "the last list": ([{"citations": ["a"]}, {"citations": ["a", "b"]}], {"citations": ["a", "b"]}),
    "a repeated list": ([{"citations": ["a"]}] * 3, {"citations": ["a"]}),
    "objects": ([{"x": {"id": 1, "l": [1]}}, {"x": {"usage": 2, "l": [2]}}], {"x": {"id": 1, "usage": 2, "l": [2]}}),
}


@pytest.mark.parametrize("name", CHUNK_EXTRAS)
def test_fields_of_chunks_beyond_openais(name: str) -> None:
    """Citations that are repeated in every chunk would multiply, or a provider's fields be missing in the reply."""
    extras, expected = CHUNK_EXTRAS[name]
    assert accumulated(*(chunk(extra=extra) for extra in extras)).completion().extra == expected


def test_fields_of_choices_beyond_openais() -> None:
    """The token ids of all chunks but the last would be lost."""
    extras: list[dict[str, Any]] = [{"token_ids": [1, 2], "seed": 1}, {"token_ids": [3], "seed": 2}]
    reply = accumulated(*(chunk(ChunkChoice(0, extra=extra)) for extra in extras)).completion()
    assert reply.choices[0].extra == {"token_ids": [1, 2, 3], "seed": 2}


def test_fields_of_log_probabilities_beyond_openais() -> None:
    """A server's own form of log probabilities would be missing in streams."""
    pieces = [Logprobs(extra={"tokens": [each]}) for each in "ab"]
    reply = accumulated(*(chunk(ChunkChoice(0, logprobs=piece)) for piece in pieces)).completion()
    assert reply.choices[0].logprobs == Logprobs(extra={"tokens": ["a", "b"]})


def test_raw_is_the_json_that_the_chunks_add_up_to() -> None:
    """Code that reads the provider's fields from `raw` would find nothing in the reply of a stream."""
    reply = accumulated(
        chunk(ChunkChoice(0, Delta(content="a", extra={"images": [1]})), extra={"provider": "A"}),
        chunk(ChunkChoice(0, Delta(content="b"), "stop")),
    ).completion()
    merged = ChatCompletion("i", [], "m")
    merged.keep_raw_of([copy.deepcopy(reply)])
    for each in (reply, pickle.loads(pickle.dumps(reply)), copy.copy(reply)):  # noqa: S301
        assert each.raw["provider"] == "A"
        assert each.raw["choices"][0]["message"] == {
            "role": "assistant",
            "content": "ab",
            "refusal": None,
            "images": [1],
        }
        assert each.raw is each.raw
    assert merged.raw == [reply.raw]
    assert ChatCompletion("i", [], "m").raw is None


def test_usage_of_zeros_replaces_nothing() -> None:
    """The usage of a stream whose last chunk has zeros would be lost."""
    accumulator = accumulated(*(chunk(usage=usage) for usage in (Usage(5, 1, 6), Usage(0, 0, 0), Usage())))
    assert accumulator.usage == accumulator.completion().usage == Usage(5, 1, 6)


def test_a_whole_message_beside_the_deltas_is_ignored() -> None:
    """Some servers send one with every chunk: the last one, perhaps empty, would replace the accumulated message."""
    sent = [("Hel", {"role": "assistant", "content": "Hel"}), ("lo.", {"content": ""}), ("", 7)]
    reply = accumulated(
        *(chunk(ChunkChoice(0, Delta(content=text), extra={"message": m, "text": text, "a": 1})) for text, m in sent)
    )
    choice = reply.completion().to_dict()["choices"][0]
    assert choice["message"] == {"role": "assistant", "content": "Hello.", "refusal": None}
    assert choice["a"] == 1
    assert "text" not in choice


def test_later_chunks_do_not_change_a_snapshot() -> None:
    """A reply that was taken from the middle of a stream would go on changing."""
    pieces = [
        Delta(content="a", refusal="r", reasoning_content="t", annotations=[{"type": "x"}]),
        Delta(thinking_blocks=[{"index": 0, "thinking": "a"}], reasoning_details=[{"index": 0, "text": "a"}]),
        Delta(audio={"data": "a"}, provider_specific_fields={"a": [1]}, tool_calls=[ToolCallDelta(0, "c")]),
        Delta(extra={"a": [1], "b": "c", "d": {"e": [1]}}, tool_calls=[ToolCallDelta(0, extra={"a": [1]})]),
    ]
    chunks = [
        chunk(ChunkChoice(0, piece, logprobs=Logprobs([TokenLogprob("a", 0.0)]), extra={"a": 1})) for piece in pieces
    ]
    chunks.append(chunk(ChunkChoice(0, content_filter_results={"hate": {}}), prompt_filter_results=[{"a": 1}]))
    before = [piece.to_dict() for piece in chunks]
    accumulator = accumulated(*chunks)
    snapshot = accumulator.completion()
    data = snapshot.to_dict()
    for repeated in chunks:
        accumulator.add(repeated)
    accumulator.add(chunk(ChunkChoice(0, content_filter_results={"violence": {}}), prompt_filter_results=[{"b": 1}]))
    assert snapshot.to_dict() == data != accumulator.completion().to_dict()
    snapshot.choices[0].extra["b"] = 2
    assert "b" not in accumulator.completion().choices[0].extra
    assert [piece.to_dict() for piece in chunks] == before


def test_a_long_text_takes_little_more_memory_than_its_characters() -> None:
    """Ten thousand streams would take ten times the memory of their texts."""
    accumulator = Accumulator()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(20_000):
        accumulator.add(chunk(ChunkChoice(0, Delta(content=f"{number:05}", reasoning_content=f"{number:04} "))))
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    message = accumulator.completion().choices[0].message
    assert message.content == "".join(f"{number:05}" for number in range(20_000))
    assert message.reasoning_content == "".join(f"{number:04} " for number in range(20_000))
    assert after - before < 4 * len(message.content)


def test_accumulating_takes_linear_time() -> None:
    """A long reply with log probabilities, reasoning, annotations or audio would get slower with every token."""
    delta = Delta(
        content="x",
        reasoning_content="y",
        refusal="z",
        annotations=[{"type": "t"}],
        thinking_blocks=[{"index": 0, "type": "thinking", "thinking": "y" * 8}],
        audio={"data": "A" * 8},
    )
    one = ChunkChoice(0, delta, logprobs=Logprobs([TokenLogprob("x", -1.0)]))
    start = time.process_time()
    reply = accumulated(*itertools.repeat(chunk(one), 50_000)).completion()
    assert time.process_time() - start < 5
    message = reply.choices[0].message
    assert message.audio is not None
    assert len(reply.text) == len(message.annotations or ()) == len(message.audio.data or "") / 8 == 50_000
    assert message.thinking_blocks == [{"type": "thinking", "thinking": "y" * 400_000}]


@pytest.mark.parametrize(
    "one",
    [
        lambda i: ChunkChoice(0, Delta(extra={"x": {str(i): i}})),
        lambda i: ChunkChoice(0, extra={"x": {str(i): i}}),
        lambda i: ChunkChoice(0, content_filter_results={str(i): {}}),
        lambda i: ChunkChoice(0, Delta(reasoning_details=[{"index": 0, "type": str(i), "text": "x"}])),
    ],
    ids=["a delta's field", "a choice's field", "filter results", "reasoning"],
)
def test_many_fields_and_blocks_take_linear_time(one: Callable[[int], ChunkChoice]) -> None:
    """A server whose chunks all have new names could keep the event loop busy for minutes."""
    start = time.process_time()
    reply = accumulated(*(chunk(one(i)) for i in range(50_000))).completion()
    assert time.process_time() - start < 5
    assert len(str(reply.to_dict())) > 50_000 * 5


def test_a_merged_object_is_no_part_of_a_chunk_or_an_earlier_reply() -> None:
    """A later chunk would change an earlier one, or a snapshot that the caller has kept."""
    chunks = [chunk(ChunkChoice(0, Delta(extra={"x": {"y": {str(i): i}}})), extra={"x": {str(i): i}}) for i in range(3)]
    accumulator = accumulated(*chunks[:2])
    snapshot = accumulator.completion()
    accumulator.add(chunks[2])
    assert snapshot.choices[0].message.extra == {"x": {"y": {"0": 0, "1": 1}}}
    assert snapshot.extra == {"x": {"0": 0, "1": 1}}
    assert type(snapshot.extra["x"]) is dict
    assert [each.extra for each in chunks] == [{"x": {"0": 0}}, {"x": {"1": 1}}, {"x": {"2": 2}}]
    assert chunks[0].choices[0].delta.extra == {"x": {"y": {"0": 0}}}


# --- bounds ---------------------------------------------------------------------------------------------------------

PIECE = "x" * (MAX_TEXT // 16)


def growing(delta: Delta, **members: Any) -> list[ChatCompletionChunk]:
    """Chunks of one delta, which add up to more than a reply may have."""
    return 18 * [chunk(ChunkChoice(0, delta), **members)]


GROWING: dict[str, list[ChatCompletionChunk]] = {
    "content": growing(Delta(content=PIECE)),
    "choices": [chunk(ChunkChoice(index, Delta(content=PIECE))) for index in range(18)],
    "reasoning": growing(Delta(reasoning_content=PIECE)),
    "refusal": growing(Delta(refusal=PIECE)),
    "arguments": growing(Delta(tool_calls=[ToolCallDelta(0, function=FunctionDelta(arguments=PIECE))])),
    "calls": [chunk(ChunkChoice(0, Delta(tool_calls=[ToolCallDelta(i, id=PIECE)]))) for i in range(18)],
    "custom": growing(Delta(tool_calls=[ToolCallDelta(0, custom=CustomDelta(input=PIECE))])),
    "function": growing(Delta(function_call=FunctionDelta(arguments=PIECE))),
    "thinking": growing(Delta(thinking_blocks=[{"type": "thinking", "index": 0, "thinking": PIECE}])),
    "details": growing(Delta(reasoning_details=[{"type": "reasoning.text", "index": 0, "text": PIECE}])),
    "annotations": growing(Delta(annotations=[{"type": "a", "text": PIECE}])),
    "unknown text": growing(Delta(extra={"a": PIECE})),
    "unknown list": growing(Delta(extra={"a": [PIECE]})),
    "provider's": growing(Delta(provider_specific_fields={"a": [{"b": PIECE}]})),
    "of a choice": 18 * [chunk(ChunkChoice(0, Delta(), extra={"a": [PIECE]}))],
    "of a chunk": [chunk(extra={f"a{i}": PIECE}) for i in range(18)],
    "in an object": [chunk(extra={"a": {f"b{i}": PIECE}}) for i in range(18)],
    "audio": 4 * growing(Delta(audio={"data": PIECE})),
    "images": 4 * growing(Delta(extra={"images": [{"url": "data:" + PIECE}]})),
}
"""Streams without end, by what they send."""


@pytest.mark.parametrize("case", GROWING)
def test_a_stream_without_end_is_an_error(case: str) -> None:
    """A server could fill the memory."""
    accumulator = Accumulator()
    added = 0
    with pytest.raises(APIResponseError, match="larger than this client keeps"):
        for each in GROWING[case]:
            accumulator.add(each)
            added += 1
    assert added >= (60 if case in ("audio", "images") else 14)
    ends = Accumulator(keep_text=False)
    for each in GROWING[case]:
        ends.add(each)


def test_values_that_replace_each_other_do_not_count() -> None:
    """A server that repeats its citations in each chunk would seem to send too much."""
    accumulator = Accumulator()
    for each in 40 * [chunk(ChunkChoice(0, Delta(content="a")), extra={"citations": [PIECE]})]:
        accumulator.add(each)
    assert accumulator.completion().choices[0].message.content == "a" * 40
