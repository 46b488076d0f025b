"""Tools from functions, and the loop that runs them: public names."""

from .outcomes import ToolOutcome
from .runnable_tool import RunnableTool, tool
from .tool_context import ToolContext
from .tool_errors import ToolError

__all__ = ["RunnableTool", "ToolContext", "ToolError", "ToolOutcome", "tool"]
