"""EventQueue: the events of a run that happened and were not read yet, and its observer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ..logs import observer_failed
from ..records.chunks import ChatCompletionChunk
from .events import ChunkEvent, ReasoningDelta, TextDelta, ToolEvent


class EventQueue:
    """Events in their order. It stays short: only the tools of a turn go on while it is not read."""

    __slots__ = ("_events", "_observer")

    def __init__(self, observer: Callable[[ToolEvent], object] | None) -> None:
        self._events: deque[ToolEvent] = deque()
        self._observer = observer

    def __len__(self) -> int:
        return len(self._events)

    def take(self) -> ToolEvent:
        """Removes and returns the first event."""
        return self._events.popleft()

    def add(self, event: ToolEvent) -> None:
        """Adds an event, which the observer sees as well."""
        self._events.append(event)
        if self._observer is not None:
            try:
                self._observer(event)
            except (Exception, GeneratorExit) as error:  # noqa: BLE001 (an observer's failure is logged, whatever it is)
                observer_failed("on_event", error)

    def add_chunk(self, chunk: ChatCompletionChunk, turn: int, *, shows_chunk: bool) -> None:
        """Adds the events of a chunk of a streamed turn, which the observer does not see."""
        if shows_chunk:
            self._events.append(ChunkEvent(chunk, turn))
        for choice in chunk.choices:
            if choice.index != 0:
                continue
            if choice.delta.reasoning_content:
                self._events.append(ReasoningDelta(choice.delta.reasoning_content, turn))
            if choice.delta.content:
                self._events.append(TextDelta(choice.delta.content, turn))
