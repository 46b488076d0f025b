"""Tests of the events of a run that are not read yet: their order, the pieces of a chunk, and the observer."""

from __future__ import annotations

from typing import Any

from anycompletion import ChatCompletionChunk
from anycompletion.tools import ChunkEvent, ReasoningDelta, TextDelta, ToolEvent
from anycompletion.tools.event_queue import EventQueue


def chunk(*deltas: dict[str, Any]) -> ChatCompletionChunk:
    """A chunk with these deltas, one for each choice."""
    choices = [{"index": at, "delta": delta, "finish_reason": None} for at, delta in enumerate(deltas)]
    return ChatCompletionChunk.from_dict({"id": "x", "model": "m", "created": 1, "choices": choices})


def drained(queue: EventQueue) -> list[ToolEvent]:
    return [queue.take() for _ in range(len(queue))]


def test_the_pieces_of_a_chunk_are_those_of_its_first_choice() -> None:
    """The text of a choice that was not asked for would be mixed into the answer."""
    queue = EventQueue(None)
    queue.add_chunk(chunk({"content": "4", "reasoning_content": "2 + 2"}, {"content": "5"}), 3, shows_chunk=False)
    assert drained(queue) == [ReasoningDelta("2 + 2", 3), TextDelta("4", 3)]
    assert len(queue) == 0


def test_a_chunk_comes_before_its_pieces() -> None:
    """A relay of chunks would send the text of one before the chunk itself."""
    queue, piece = EventQueue(None), chunk({"content": "4"})
    queue.add_chunk(piece, 0, shows_chunk=True)
    assert drained(queue) == [ChunkEvent(piece, 0), TextDelta("4", 0)]


def test_the_observer_sees_events_but_no_pieces() -> None:
    """An observer of calls and turns would be called for each word."""
    seen: list[ToolEvent] = []
    queue = EventQueue(seen.append)
    queue.add_chunk(chunk({"content": "4"}), 0, shows_chunk=True)
    queue.add(TextDelta("an event", 0))
    assert seen == [TextDelta("an event", 0)]
