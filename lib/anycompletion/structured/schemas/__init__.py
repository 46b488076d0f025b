"""JSON Schemas of typed replies as each provider takes them, and the mode in which a reply is asked for."""

from .parse_modes import forces_tool, has_broken_rule, resolve_mode
from .prepared_schema import PreparedSchema, SchemaTarget, prepare_schema, schema_for, schema_target

__all__ = [
    "PreparedSchema",
    "SchemaTarget",
    "forces_tool",
    "has_broken_rule",
    "prepare_schema",
    "resolve_mode",
    "schema_for",
    "schema_target",
]
