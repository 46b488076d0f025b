"""JSON Schemas of typed replies as each provider takes them, and the mode in which a reply is asked for."""

from .parse_modes import forces_tool, resolve_mode
from .prepared_schema import PreparedSchema, schema_for, strict_tool_problem

__all__ = ["PreparedSchema", "forces_tool", "resolve_mode", "schema_for", "strict_tool_problem"]
