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
from .outcomes import Approval, ApprovalDecision, Budget, PendingCall, RunOutcome, RunStatus, ToolOutcome, Turn
from .run_params import RunParams
from .runnable_tool import RunnableTool, tool
from .tool_context import ToolContext
from .tool_errors import ToolError
from .tool_run import ToolRun
from .tool_set import ToolLike

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
    "RunParams",
    "RunStatus",
    "RunnableTool",
    "TextDelta",
    "ToolContext",
    "ToolError",
    "ToolEvent",
    "ToolLike",
    "ToolOutcome",
    "ToolRun",
    "Turn",
    "TurnFinished",
    "tool",
]
