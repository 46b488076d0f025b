"""Types compiled for typed replies: JSON Schema, and values out of JSON and back."""

from ..mismatch import MismatchKind, ValueMismatch
from .class_fields import ABSENT, ClassField, stated_default
from .type_plan import TypePlan, compile_members, compile_type

__all__ = [
    "ABSENT",
    "ClassField",
    "MismatchKind",
    "TypePlan",
    "ValueMismatch",
    "compile_members",
    "compile_type",
    "stated_default",
]
