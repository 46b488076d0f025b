"""Outcomes of tool calls, with the messages that answer them."""

from __future__ import annotations

import attrs

from ..records import Content, FunctionMessage, TextPart, ToolCall, ToolMessage

LEGACY = "function_call"
"""The type of a call that a model made in the form of `functions`, which has no id."""


@attrs.frozen(eq=False)
class ToolOutcome:
    """What came of one tool call."""

    call: ToolCall = attrs.field(repr=lambda call: call.function.name or call.type)
    content: Content = attrs.field(repr=False)
    """What the model gets: the result, or an error as a JSON object."""
    error: BaseException | None = attrs.field(default=None, repr=lambda error: type(error).__name__)
    """The exception of a call that failed. Its text may be confidential, and is in no message."""
    elapsed: float = 0.0
    """Seconds that the call took."""

    @property
    def message(self) -> ToolMessage | FunctionMessage:
        """The message that answers the call, to append to the transcript."""
        if self.call.type == LEGACY:
            return FunctionMessage(_text(self.content), self.call.function.name)
        return ToolMessage(self.content, self.call.id)


def _text(content: Content) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part.text for part in content if isinstance(part, TextPart))
