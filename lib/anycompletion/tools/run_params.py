"""RunParams: the keyword arguments of `run_tools`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from ..options import CallOptions
from ..records.call_params import SharedParams

if TYPE_CHECKING:
    from .approvals import ApprovalDecision, PendingCall
    from .events import ToolEvent
    from .run_outcomes import Turn
    from .run_settings import Budget


class RunParams(SharedParams, CallOptions, total=False):
    """Keyword arguments of `run_tools` besides model, messages, tools and those for typed replies.

    They are those of `create`, but for what the loop sets itself (`n`, `stream`, `response_format` and the legacy
    `functions`), and the loop's own.
    """

    tool_choice: str | Mapping[str, Any] | None
    """As for `create`. "required" and a named tool hold for the first turn; "auto" follows, else no run would end."""
    parallel_tool_calls: bool | None
    """Whether one reply may call several tools."""
    context: object
    """What tools with a `ToolContext` find in its `value`; it is not sent."""
    max_turns: int
    """Replies that may call tools, at most; `final_answer` and `max_reasks` may add some. Default: 10."""
    final_answer: bool
    """Whether the model is asked for an answer without tools where `max_turns` is reached. Default: False."""
    approve: Callable[[PendingCall], ApprovalDecision | Awaitable[ApprovalDecision]] | None
    """Decides whether a call of a tool with `needs_approval` may run; without it, such a call ends the run "paused"."""
    approve_every: bool
    """Whether `approve` is asked for every call. Default: False."""
    stop_when: Callable[[Turn], bool] | None
    """Called after each turn with calls; True ends the run "stopped"."""
    budget: Budget | None
    """What the run may use; checked before each turn."""
    concurrency: int
    """Calls of one turn that run at the same time. Default: 8."""
    tool_timeout: float | None
    """Seconds that a call may take, where its tool has no timeout of its own. Default: 60."""
    max_result_chars: int
    """Characters of a result; a longer one is an error for the model. Default: 200,000."""
    deadline: float | None
    """Seconds for the whole run; then it ends with `APITimeoutError`, and calls that are running stay open."""
    on_tool_error: Literal["report", "raise"]
    """What happens where a tool raises: "report": the model gets that it failed (default), "raise": the run ends with
    `ToolExecutionError`."""
    on_event: Callable[[ToolEvent], object] | None
    """Called with each event of the run, but for pieces of streamed turns; what it raises is logged."""
