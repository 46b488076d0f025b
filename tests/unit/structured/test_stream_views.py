"""Tests of the text that views of a typed stream read: each character once, however pieces are kept and joined."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from anycompletion.records.chunks import ChatCompletionChunk, ChunkChoice, Delta
from anycompletion.streaming.accumulator import Accumulator
from anycompletion.structured.stream_views import ChoiceText


async def _read_nothing() -> None:
    raise StopAsyncIteration


@settings(max_examples=50, derandomize=True, deadline=None)
@given(st.lists(st.sampled_from(("", "a", "bc", "x" * 40)), max_size=200), st.lists(st.integers(1, 60), min_size=1))
def test_every_character_is_read_once(pieces: list[str], reads: list[int]) -> None:
    """A part of a reply would be scanned twice or not at all, because the stream has joined its pieces."""
    accumulator = Accumulator()
    text = ChoiceText(_read_nothing, lambda: accumulator.text_pieces(1))
    assert text.new() == ""
    found, left, read = "", 0, 0
    for piece in pieces:
        accumulator.add(ChatCompletionChunk("i", [ChunkChoice(1, Delta(content=piece))]))
        left -= 1
        if left <= 0:
            left, read = reads[read % len(reads)], read + 1
            found += text.new()
    assert found + text.new() == "".join(pieces)
    assert text.new() == ""


async def test_the_end_of_the_stream_is_no_end_of_a_loop() -> None:
    """A view would end at the end of its stream without a last value."""
    assert await ChoiceText(_read_nothing, tuple[str, ...]).read_more() is False
