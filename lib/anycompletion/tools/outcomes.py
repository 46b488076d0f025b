"""Outcomes of tool calls."""

from __future__ import annotations

import attrs

from ..records import Content, ToolCall, ToolMessage


@attrs.frozen(eq=False)
class ToolOutcome:
    """What came of one tool call."""

    call: ToolCall
    content: Content
    error: BaseException | None = attrs.field(default=None, repr=False)
    elapsed: float = 0.0

    @property
    def message(self) -> ToolMessage:
        """The message that answers the call."""
        return ToolMessage(self.content, self.call.id)
