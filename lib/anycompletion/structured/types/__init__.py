"""Types compiled for typed replies: JSON Schema, and values out of JSON and back."""

from ..mismatch import MismatchKind, ValueMismatch
from .type_plan import TypePlan, compile_type

__all__ = ["MismatchKind", "TypePlan", "ValueMismatch", "compile_type"]
