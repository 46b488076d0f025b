"""Compiled types of single values: numbers, texts, dates, and values of any type."""

from __future__ import annotations

import datetime
import decimal
import uuid
from typing import Any

import msgspec

from .type_node import SchemaDefs, TypeNode, json_kind

NONE_TYPE = type(None)

_STRINGS = frozenset({"string"})
_SCALARS: dict[type[Any], tuple[dict[str, Any], frozenset[str]]] = {
    str: ({"type": "string"}, _STRINGS),
    int: ({"type": "integer"}, frozenset({"integer"})),
    float: ({"type": "number"}, frozenset({"integer", "number"})),
    bool: ({"type": "boolean"}, frozenset({"boolean"})),
    NONE_TYPE: ({"type": "null"}, frozenset({"null"})),
    datetime.datetime: ({"type": "string", "format": "date-time"}, _STRINGS),
    datetime.date: ({"type": "string", "format": "date"}, _STRINGS),
    datetime.time: ({"type": "string", "format": "time"}, _STRINGS),
    datetime.timedelta: ({"type": "string", "format": "duration"}, _STRINGS),
    uuid.UUID: ({"type": "string", "format": "uuid"}, _STRINGS),
    bytes: ({"type": "string", "contentEncoding": "base64"}, _STRINGS),
    decimal.Decimal: ({"type": "string", "format": "decimal"}, frozenset({"string", "integer", "number"})),
}
"""Type → its JSON Schema and the types of JSON that it is read from."""


def is_scalar(cls: object) -> bool:
    """Whether `ScalarType` compiles the type."""
    return isinstance(cls, type) and cls in _SCALARS


class ScalarType(TypeNode):
    """A compiled type that msgspec decodes by itself, with its limits."""

    is_leaf = True

    def __init__(self, cls: type[Any], wire: Any = None, keywords: dict[str, Any] | None = None) -> None:
        self.cls = cls
        self.wire = cls if wire is None else wire
        schema, self.kinds = _SCALARS[cls]
        self._schema = schema | (keywords or {})
        if cls is decimal.Decimal:
            self.build = self._checked_decimal

    def schema(self, defs: SchemaDefs) -> dict[str, Any]:
        """The JSON Schema."""
        return dict(self._schema)

    def fit(self, data: Any) -> Any:
        """Data of this type; an integral float is an integer, as JSON Schema defines it."""
        if self.cls is int:
            data = as_integer(data)
        if json_kind(data) not in self.kinds:
            raise self.mismatch()
        try:
            msgspec.convert(data, self.wire)
        except msgspec.ValidationError:
            raise self.mismatch() from None
        return data

    def accepts(self, value: Any) -> bool:
        """Whether the value is of the class; True is no integer, an integer is a float, a datetime is no date."""
        if self.cls is float:
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        if self.cls in {int, datetime.date}:
            return isinstance(value, self.cls) and not isinstance(value, (bool, datetime.datetime))
        return isinstance(value, self.cls)

    def decoded_classes(self) -> list[type[Any]]:
        """The class."""
        return [self.cls]

    def dump(self, value: Any) -> Any:
        """The value; decimals are written without an exponent."""
        return f"{value:f}" if self.cls is decimal.Decimal and value.is_finite() else value

    def _checked_decimal(self, value: decimal.Decimal) -> decimal.Decimal:
        if not value.is_finite():
            raise self.mismatch()
        return value


def as_integer(data: Any) -> Any:
    """An integral float as an integer, other data as it is."""
    return int(data) if isinstance(data, float) and data.is_integer() else data


class AnyType(TypeNode):
    """The compiled type of any JSON value."""

    is_leaf = True
    wire = Any

    def schema(self, defs: SchemaDefs) -> dict[str, Any]:
        """The schema that allows everything."""
        return {}

    def fit(self, data: Any) -> Any:
        """The data."""
        return data

    def accepts(self, value: Any) -> bool:
        """True."""
        return True
