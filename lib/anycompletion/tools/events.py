"""Events of a tool run, in the order in which they happen."""

from __future__ import annotations

from typing import Any, TypeAlias

import attrs

from ..records import ToolCall
from ..records.chunks import ChatCompletionChunk
from .outcomes import ToolOutcome
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
