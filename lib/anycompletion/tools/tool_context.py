"""ToolContext: what a tool gets besides the arguments that the model wrote."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic

from ..records import Message, ToolCall

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    C = TypeVar("C", default=object, covariant=True)
else:
    from typing import TypeVar

    C = TypeVar("C", covariant=True)


class ToolContext(Generic[C]):
    """What the caller and the run say to a tool; a parameter with this annotation gets it, and the model never sees it.

    Args:
        value: what was given as ``context=``.
        call: the call that the tool answers.
        turn: index of the turn, from 0.
        messages: the transcript up to the call.
        ends_at: when the run has to end, on the clock of `time.monotonic`.
    """

    __slots__ = ("_ends_at", "call", "messages", "turn", "value")

    def __init__(
        self,
        value: C,
        call: ToolCall,
        turn: int = 0,
        messages: Sequence[Message] = (),
        *,
        ends_at: float | None = None,
    ) -> None:
        self.value = value
        self.call = call
        self.turn = turn
        self.messages = messages
        self._ends_at = ends_at

    @property
    def deadline(self) -> float | None:
        """Seconds that are left of the run, not less than 0; None if it has no deadline."""
        return None if self._ends_at is None else max(self._ends_at - time.monotonic(), 0.0)

    def __repr__(self) -> str:
        # Without the value, which may hold secrets, and the messages.
        return f"<ToolContext of {self.call.function.name!r}, turn {self.turn}>"
