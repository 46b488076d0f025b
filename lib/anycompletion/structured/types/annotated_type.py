"""Compiled types with limits and descriptions: msgspec checks the limits that it can, Python the others."""

from __future__ import annotations

import datetime
import decimal
from typing import Annotated, Any

import msgspec

from ..mismatch import ValueMismatch
from .collection_types import ArrayType, MapType, TupleType
from .limits import TypeNotes, ValueLimits
from .scalar_types import ScalarType
from .schema_words import schema_words
from .type_node import SchemaDefs, TypeNode, convert
from .union_type import UnionType

_ORDERED = (int, float, decimal.Decimal, datetime.datetime, datetime.date, datetime.time, datetime.timedelta)
_MAX_INT = 2**63 - 1
"""The largest bound of integers that msgspec takes."""


class AnnotatedType(TypeNode):
    """A compiled type with limits that Python checks, and with more members of its JSON Schema."""

    def __init__(self, inner: TypeNode, notes: TypeNotes) -> None:
        self.inner = inner
        self.wire = inner.wire
        self.kinds = inner.kinds
        self.is_leaf = inner.is_leaf
        self.tag = inner.tag
        self._limits = notes.limits
        self._schema = notes.schema
        self._has_limits = notes.limits != ValueLimits()
        self.build = self._checked if self._has_limits else inner.build

    def require_fit(self) -> None:
        """Lets the type check all."""
        self.inner.require_fit()

    def schema(self, defs: SchemaDefs) -> dict[str, Any]:
        """The schema of the type, with the limits and notes."""
        schema = self.inner.schema(defs)
        limits = self._limits
        if isinstance(self.inner, ScalarType) and self.inner.cls is bytes:
            limits = _base64_limits(limits)
        kind = schema.get("type", "")
        found = schema | limits.keywords(kind) | self._schema
        if words := ", ".join(limits.words(kind)):
            found["description"] = f"{found['description']} ({words})" if "description" in found else words
        return found

    def mismatch(self) -> ValueMismatch:
        """The error of the type, with the limits."""
        if not self._has_limits:
            return self.inner.mismatch()
        schema = self.schema(SchemaDefs())
        return ValueMismatch(", ".join([schema_words(schema), *self._limits.words(schema.get("type", ""))]))

    def fit(self, data: Any) -> Any:
        """Data of the type within the limits."""
        fitted = self.inner.fit(data)
        if self._has_limits and self.is_leaf:
            self._checked(convert(fitted, self.wire))
        return fitted

    def _checked(self, wire_value: Any) -> Any:
        value = self.inner.built(wire_value)
        try:
            is_allowed = self._limits.allow(value)
        except (TypeError, ValueError, ArithmeticError):  # a time with a zone compared to one without
            is_allowed = False
        if not is_allowed:
            raise self.mismatch()
        return value

    def accepts(self, value: Any) -> bool:
        """Whether the type accepts it."""
        return self.inner.accepts(value)

    def decoded_classes(self) -> list[type[Any]]:
        """The classes of the type."""
        return self.inner.decoded_classes()

    def dump(self, value: Any) -> Any:
        """The value as the type writes it."""
        return self.inner.dump(value)


def annotate(node: TypeNode, notes: TypeNotes) -> TypeNode:
    """The compiled type with limits and notes; limits of a union are those of the members that can have them.

    Raises:
        ValueError: no value of the type can have these limits.
    """
    if notes.limits != ValueLimits():
        node = _limited(node, notes.limits)
    return AnnotatedType(node, TypeNotes(schema=notes.schema)) if notes.schema else node


def _limited(node: TypeNode, limits: ValueLimits) -> TypeNode:
    if isinstance(node, UnionType):
        members = [_limited(each, limits) if _applies(each, limits) else each for each in node.members]
        if not any(_applies(each, limits) for each in node.members):
            raise ValueError(f"no member of the union can have the limit {_names(limits)}")
        return UnionType(members)
    if not _applies(node, limits):
        raise ValueError(f"{node.mismatch().expected} cannot have the limit {_names(limits)}")
    meta = _meta(node, limits)
    if meta is None:
        return AnnotatedType(node, TypeNotes(limits))
    kind = node.schema(SchemaDefs())["type"]
    return ScalarType(node.cls, Annotated[node.cls, meta], limits.keywords(kind))  # type: ignore[attr-defined]


def _names(limits: ValueLimits) -> str:
    return ", ".join(sorted(limits.names()))


def _applies(node: TypeNode, limits: ValueLimits) -> bool:
    """Whether values of the type can have these limits."""
    while isinstance(node, AnnotatedType):
        node = node.inner
    cls: Any = node.cls if isinstance(node, ScalarType) else None
    return (
        (not limits.on_numbers or cls in _ORDERED)
        and (not limits.on_sizes or cls in {str, bytes} or isinstance(node, (ArrayType, MapType, TupleType)))
        and (limits.pattern is None or cls is str)
        and (limits.tz is None or cls in {datetime.datetime, datetime.time})
    )


def _meta(node: TypeNode, limits: ValueLimits) -> msgspec.Meta | None:
    """The limits for msgspec; None where Python has to check them."""
    names = limits.names()
    values = {name: getattr(limits, name) for name in names}
    # In unions, msgspec takes the pattern for the type of another member when it frees the memory of both.
    if "pattern" in names:
        return None
    if type(node) is not ScalarType or node.wire is not node.cls or limits.predicates or {"gt", "ge"} <= names:
        return None
    if {"lt", "le"} <= names:
        return None
    is_native = node.cls is str
    if node.cls is int:
        is_native = all(type(value) is int and abs(value) <= _MAX_INT for value in values.values())
    elif node.cls is float and "multiple_of" not in names:
        is_native = all(type(value) in {int, float} for value in values.values())
    return msgspec.Meta(**values) if is_native else None


def _base64_limits(limits: ValueLimits) -> ValueLimits:
    sizes = [None if size is None else (size + 2) // 3 * 4 for size in (limits.min_length, limits.max_length)]
    return ValueLimits(min_length=sizes[0], max_length=sizes[1])
