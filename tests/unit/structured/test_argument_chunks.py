"""Tests of chunks whose content is the arguments of the tool `answer`."""

from __future__ import annotations

from typing import Any

import pytest

from anycompletion.calls.chunk_source import ChunkSource
from anycompletion.dialects.base import Chunks
from anycompletion.errors import CompletionError
from anycompletion.records import ReplyInfo
from anycompletion.records.chunks import ChatCompletionChunk, ChunkChoice, Delta, FunctionDelta, ToolCallDelta
from anycompletion.structured.argument_chunks import ArgumentChunks


class Scripted(ChunkSource):
    """A source with some reads."""

    def __init__(self, *reads: Chunks) -> None:
        self._reads = list(reads)
        self._info = ReplyInfo("p", "m")
        self.events: list[str] = []

    @property
    def info(self) -> ReplyInfo:
        return self._info

    async def open(self) -> None:
        self.events.append("open")

    async def next(self) -> Chunks | None:
        return self._reads.pop(0) if self._reads else None

    def settled_next(self) -> Any:
        self.events.append("settled")
        return self.next

    def close(self, end: CompletionError | None = None) -> None:
        self.events.append(f"close {end}")

    async def wait_closed(self) -> None:
        self.events.append("closed")


def chunk(reason: str | None = None, index: int = 0, **delta: Any) -> ChatCompletionChunk:
    return ChatCompletionChunk("i", [ChunkChoice(index, Delta(**delta), reason)], 5, "m")


def call(arguments: str | None, name: str | None = None, index: int | None = 0) -> list[ToolCallDelta]:
    return [ToolCallDelta(index, None, None, FunctionDelta(name, arguments))]


async def changed(*chunks: ChatCompletionChunk) -> list[ChatCompletionChunk]:
    found: list[ChatCompletionChunk] = []
    source = ArgumentChunks(Scripted(chunks))
    while (read := await source.next()) is not None:
        found += read
    return found


CASES: dict[str, tuple[list[ChatCompletionChunk], list[ChatCompletionChunk]]] = {
    "arguments in pieces": (
        [
            chunk(role="assistant"),
            chunk(tool_calls=call("", "answer")),
            chunk(tool_calls=call("{")),
            chunk("tool_calls"),
        ],
        [chunk(role="assistant"), chunk(content=""), chunk(content="{"), chunk("stop")],
    ),
    "a whole reply": ([chunk("tool_calls", tool_calls=call("{}", "answer"))], [chunk("stop", content="{}")]),
    "text before the call": (
        [chunk(content="So: "), chunk(tool_calls=call("{}", "answer")), chunk("tool_calls")],
        [chunk(), chunk(content="{}"), chunk("stop")],
    ),
    "text after the call": (
        [chunk(tool_calls=call("{}", "answer")), chunk(content="There."), chunk("stop")],
        [chunk(content="{}"), chunk(), chunk("stop")],
    ),
    "no call": (
        [chunk(content="I "), chunk(content="won't."), chunk("stop")],
        [chunk(), chunk(), chunk("stop", content="I won't.")],
    ),
    "another call": (
        [chunk(tool_calls=call("{}", "other")), chunk("tool_calls")],
        [chunk(tool_calls=call("{}", "other")), chunk("tool_calls")],
    ),
    "a second call of it": (
        [
            chunk(tool_calls=call("{}", "answer")),
            chunk(tool_calls=call('{"a"', "answer", index=1)),
            chunk("tool_calls"),
        ],
        [chunk(content="{}"), chunk(), chunk("stop")],
    ),
    "a call without an index": (
        [chunk(tool_calls=call(None, "answer", index=None)), chunk(tool_calls=call("{}", index=None))],
        [chunk(content=""), chunk(content="{}")],
    ),
    "the token limit": ([chunk("length", tool_calls=call("{", "answer"))], [chunk("length", content="{")]),
    "several choices": (
        [chunk(tool_calls=call("{", "answer")), chunk(index=1, content="No."), chunk("stop", index=1)],
        [chunk(content="{"), chunk(index=1), chunk("stop", index=1, content="No.")],
    ),
    "a chunk without choices": ([ChatCompletionChunk("i", [])], [ChatCompletionChunk("i", [])]),
}
"""Case → chunks of a provider, and those that replace them."""


@pytest.mark.parametrize("case", CASES)
async def test_the_arguments_become_the_content(case: str) -> None:
    """The reply of a model that calls the tool would look different from that of another, or a part of it be lost."""
    chunks, expected = CASES[case]
    before = [each.to_dict() for each in chunks]
    assert await changed(*chunks) == expected
    assert [each.to_dict() for each in chunks] == before


async def test_other_data_of_a_chunk_is_kept() -> None:
    """Logprobs, reasoning or the provider's own data would be lost in one mode only."""
    given = chunk("tool_calls", tool_calls=call("{}", "answer"), reasoning_content="Hm.")
    given.native, given.choices[0].native_finish_reason = b"{}", "end"
    (found,) = await changed(given)
    assert (found.native, found.choices[0].native_finish_reason) == (b"{}", "end")
    assert found.choices[0].delta == Delta(content="{}", reasoning_content="Hm.")


async def test_the_source_is_passed_on() -> None:
    """A stream that is closed would go on, or have no details of its call."""
    inner = Scripted([chunk(content="x")], [chunk(tool_calls=call("{}", "answer"))])
    source = ArgumentChunks(inner)
    assert source.info is inner.info
    await source.open()
    assert await source.next() == [chunk()]
    assert not source.has_answer
    settled = source.settled_next()
    assert await settled() == [chunk(content="{}")]
    assert source.has_answer
    source.close(CompletionError("left"))
    await source.wait_closed()
    assert inner.events == ["open", "settled", "close left", "closed"]
