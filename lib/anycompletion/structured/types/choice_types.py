"""Compiled types of given values: `Literal` and enums."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Any, Literal

from ..mismatch import ValueMismatch
from .scalar_types import NONE_TYPE, as_integer
from .schema_words import schema_words
from .type_node import ClassRef, SchemaDefs, TypeNode, class_union, json_kind

_JSON_TYPES = frozenset({str, int, float, bool, NONE_TYPE})


def json_values(values: Iterable[Any]) -> list[Any]:
    """The values, enum members as what they stand for in JSON.

    Raises:
        TypeError: a value is no text, number, boolean or null, or there is none.
    """
    found = [value.value if isinstance(value, enum.Enum) else value for value in values]
    for value in found:
        if type(value) not in _JSON_TYPES:
            raise TypeError(f"the value {value!r} is no text, number, boolean or None")
    if not found:
        raise TypeError("an enum without members has no values")
    return found


def values_schema(values: list[Any]) -> dict[str, Any]:
    """The JSON Schema of given values; its type is named where they have one type."""
    kinds = {json_kind(value) for value in values}
    schema: dict[str, Any] = {"type": kinds.pop()} if len(kinds) == 1 else {}
    return schema | ({"const": values[0]} if len(values) == 1 else {"enum": values})


class LiteralType(TypeNode):
    """The compiled type of a `Literal`, whose values may be members of enums."""

    is_leaf = True

    def __init__(self, values: tuple[Any, ...], enums: dict[type[Any], ClassRef]) -> None:
        self.values = json_values(values)
        self.kinds = frozenset(json_kind(value) for value in self.values)
        self._members: dict[Any, ClassRef] = {
            (type(plain), plain): enums[type(value)]
            for value, plain in zip(values, self.values, strict=True)
            if isinstance(value, enum.Enum)
        }
        types: set[Any] = {type(value) for value in self.values}
        is_plain = types <= {str, int, NONE_TYPE}  # msgspec has no literals of booleans
        self.wire = Literal[tuple(self.values)] if is_plain else class_union(sorted(types, key=repr))
        if self._members or not is_plain:
            self.build = self._member

    def schema(self, defs: SchemaDefs) -> dict[str, Any]:
        """The JSON Schema."""
        return values_schema(self.values)

    def fit(self, data: Any) -> Any:
        """One of the values."""
        data = as_integer(data) if "number" not in self.kinds else data
        self._check(data)
        return data

    def _check(self, data: Any) -> None:
        if not any(type(data) is type(value) and data == value for value in self.values):
            raise self.mismatch()

    def _member(self, data: Any) -> Any:
        self._check(data)
        ref = self._members.get((type(data), data))
        return data if ref is None else ref()(data)

    def accepts(self, value: Any) -> bool:
        """Whether it is one of the values."""
        plain = value.value if isinstance(value, enum.Enum) else value
        return any(type(plain) is type(each) and plain == each for each in self.values)

    def dump(self, value: Any) -> Any:
        """The value in JSON."""
        return value.value if isinstance(value, enum.Enum) else value


class EnumType(TypeNode):
    """The compiled type of an enum, by the values of its members."""

    is_leaf = True

    def __init__(self, cls: type[enum.Enum], ref: ClassRef, description: str | None) -> None:
        self._ref = ref
        self._name = cls.__name__
        values = json_values(list[Any](cls))
        self._schema = values_schema(values) | ({"description": description} if description else {})
        self.kinds = frozenset(json_kind(value) for value in values)
        self.wire = class_union(sorted({type(value) for value in values}, key=repr))
        self.build = self._member

    def schema(self, defs: SchemaDefs) -> dict[str, Any]:
        """A reference to the definition of the enum."""
        return defs.reference(self, self._name, lambda: dict(self._schema))

    def mismatch(self) -> ValueMismatch:
        """The error that lists the values."""
        return ValueMismatch(schema_words(self._schema))

    def fit(self, data: Any) -> Any:
        """A value that the enum accepts."""
        data = as_integer(data) if "number" not in self.kinds else data
        if json_kind(data) not in self.kinds:
            raise self.mismatch()
        self._member(data)
        return data

    def _member(self, data: Any) -> Any:
        try:
            return self._ref()(data)  # calls `_missing_`, where the enum has it
        except (ValueError, TypeError):
            raise self.mismatch() from None

    def accepts(self, value: Any) -> bool:
        """Whether it is a member."""
        return isinstance(value, self._ref())

    def dump(self, value: Any) -> Any:
        """The value of the member."""
        return value.value
