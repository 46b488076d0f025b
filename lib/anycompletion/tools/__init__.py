"""Tools made of functions, and the loop that runs them: the types of `client.run_tools`."""

from .approvals import Approval, ApprovalDecision, PendingCall
from .call_outcome import ToolOutcome
from .events import (
    CallFinished,
    CallStarted,
    ChunkEvent,
    ReasoningDelta,
    RunFinished,
    TextDelta,
    ToolEvent,
    TurnFinished,
)
from .run_outcomes import RunOutcome, RunStatus, Turn
from .run_settings import Budget
from .runnable_tool import RunnableTool, tool
from .tool_context import ToolContext
from .tool_errors import ToolError
from .tool_run import ToolRun

__all__ = [
    "Approval",
    "ApprovalDecision",
    "Budget",
    "CallFinished",
    "CallStarted",
    "ChunkEvent",
    "PendingCall",
    "ReasoningDelta",
    "RunFinished",
    "RunOutcome",
    "RunStatus",
    "RunnableTool",
    "TextDelta",
    "ToolContext",
    "ToolError",
    "ToolEvent",
    "ToolOutcome",
    "ToolRun",
    "Turn",
    "TurnFinished",
    "tool",
]
