"""Events of a tool run, in the order in which they happen."""

from __future__ import annotations

from typing import Any, TypeAlias

import attrs

from ..records import ToolCall
from ..records.chunks import ChatCompletionChunk
from .call_outcome import ToolOutcome
from .run_outcomes import RunOutcome, Turn


@attrs.frozen
class TextDelta:
    """A piece of the text of a streamed turn."""

    text: str
    turn: int


@attrs.frozen
class ReasoningDelta:
    """A piece of the reasoning of a streamed turn."""

    text: str
    turn: int


@attrs.frozen
class CallStarted:
    """A tool begins to run; the arguments are complete."""

    call: ToolCall
    turn: int


@attrs.frozen
class CallFinished:
    """A call has its result."""

    call: ToolCall
    outcome: ToolOutcome
    turn: int


@attrs.frozen
class TurnFinished:
    """A turn has ended: all its calls that this run answers are answered."""

    outcome: Turn
    turn: int


@attrs.frozen
class RunFinished:
    """The run has ended."""

    outcome: RunOutcome[Any]
    turn: int


@attrs.frozen
class ChunkEvent:
    """A chunk of a streamed turn; only for ``events(raw=True)``."""

    chunk: ChatCompletionChunk
    turn: int


ToolEvent: TypeAlias = TextDelta | ReasoningDelta | CallStarted | CallFinished | TurnFinished | RunFinished | ChunkEvent
"""What `ToolRun.events` gives; `turn` of each is an index."""


class JoinedTexts:
    """Puts an empty line between the texts of two turns, which would otherwise run into each other."""

    __slots__ = ("_turn",)

    def __init__(self) -> None:
        self._turn: int | None = None
        """The turn of the last text."""

    @property
    def is_empty(self) -> bool:
        """Whether there was no text yet."""
        return self._turn is None

    def piece(self, delta: TextDelta) -> str:
        """The next piece, with the empty line where another turn has begun."""
        begins, self._turn = self._turn not in (None, delta.turn), delta.turn
        return "\n\n" + delta.text if begins else delta.text
