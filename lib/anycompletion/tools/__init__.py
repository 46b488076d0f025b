"""Tools made of functions, and the loop that runs them: the types of `client.run_tools`."""

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
from .outcomes import ToolOutcome
from .run_outcomes import Approval, ApprovalDecision, Budget, PendingCall, RunOutcome, RunStatus, Turn
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
