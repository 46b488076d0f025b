"""Errors of a single tool call: failures with a text for the model, and arguments that do not fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from ..records import Part, Record


class ToolError(Exception):
    """Failure of a tool with a text for the model, which sees the text of no other exception.

    Args:
        content: a text for the model, or content parts. Without one, the model gets the name of the class only, as of
            any other exception.

    Raises:
        TypeError: `content` is something else, such as another exception: its text may be confidential.
    """

    content: str | Sequence[Part] = ""
    """What the model gets."""

    def __init__(self, content: str | Sequence[Part] = "") -> None:
        found = cast("Any", content)
        if not isinstance(found, (str, Sequence, Record)) or isinstance(found, (bytes, bytearray)):
            raise TypeError(f"ToolError: expected a text for the model, or parts; found {type(found).__name__}")
        super().__init__(content)
        self.content = content

    def __str__(self) -> str:
        return self.content if isinstance(self.content, str) else f"{len(self.content)} content parts"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self!s:.500})"


class ArgumentMismatch(ValueError):
    """Arguments of a call that do not fit the parameters of a tool; its text has nothing that the model wrote."""

    def __init__(self, at: str, expected: str) -> None:
        super().__init__(at, expected)
        self.at = at
        """The place in the arguments: ``$.city``."""
        self.expected = expected

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.at, self.expected))

    def __str__(self) -> str:
        return f"{self.at}: expected {self.expected}"


class CallError(Exception):
    """Failure of a call that is not an exception of its tool: the tool is unknown, the call was denied, or the like."""


class CallDenied(CallError):
    """The call was not approved, which is a decision and no failure of the tool or the model."""


class CallTimeout(CallError, TimeoutError):
    """The tool did not end in time."""
