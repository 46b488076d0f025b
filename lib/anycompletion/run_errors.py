"""Errors of tool runs, apart from `errors`, which is for all calls.

They are loaded at their first use, as the rest of what tool runs need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import CompletionError

if TYPE_CHECKING:
    from .records.messages import ToolCall


class ToolRunError(CompletionError):
    """A tool run did not finish, so it has no answer; `.status` is how it ended."""

    def __init__(self, message: str = "", *, status: str = "", **details: Any) -> None:
        super().__init__(message, **details)
        self.status = status
        """The run's status: max_turns, stopped, budget, paused or tool_failures."""


class ToolExecutionError(CompletionError):
    """A tool raised an exception in a run with ``on_tool_error="raise"``; `__cause__` is that exception."""

    def __init__(self, message: str = "", *, call: ToolCall | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.call = call
        """The model's call."""
