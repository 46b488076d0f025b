"""Compiled types of collections: lists, sets, tuples, and dicts with keys of any name."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable
from typing import Any, cast

import msgspec

from ..mismatch import ANY_KEY, ValueMismatch
from .type_node import SchemaDefs, TypeNode, is_array, is_object


class ArrayType(TypeNode):
    """The compiled type of a list, set or tuple of any length; items are decoded as a list."""

    kinds = frozenset({"array"})

    def __init__(self, item: TypeNode, make: Callable[[Iterable[Any]], Any], accepted: tuple[type[Any], ...]) -> None:
        self.item = item
        self.wire = types.GenericAlias(list, (item.wire,))
        self.is_leaf = item.is_leaf
        self._make = make
        self._accepted = accepted
        if item.build is not None:
            self.build = self._built_items
        elif make is not list:
            self.build = self._made

    def schema(self, defs: SchemaDefs) -> dict[str, Any]:
        """The JSON Schema; items of sets are unique."""
        unique = {"uniqueItems": True} if self._make in {set, frozenset} else {}
        return {"type": "array", "items": self.item.schema(defs)} | unique

    def mismatch(self) -> ValueMismatch:
        """The error of data that is no array."""
        return ValueMismatch("array")

    def fit(self, data: Any) -> Any:
        """A list whose items fit."""
        if not is_array(data):
            raise self.mismatch()
        return _each(self.item.fit, data)

    def _built_items(self, wire_value: Any) -> Any:
        return self._made(_each(self.item.build, wire_value))

    def _made(self, items: list[Any]) -> Any:
        if self._make is list:
            return items
        try:
            return self._make(items)
        except TypeError as exc:  # an unhashable item of a set
            raise ValueMismatch(str(exc), "value") from exc

    def accepts(self, value: Any) -> bool:
        """Whether it is such a collection, and its items are accepted."""
        return isinstance(value, self._accepted) and all(map(self.item.accepts, value))

    def dump(self, value: Any) -> Any:
        """The items as a list."""
        return [self.item.dump(item) for item in value]


def _each(change: Any, items: Any) -> list[Any]:
    """The changed items; the length of the list is the index of the item that fails."""
    out: list[Any] = []
    try:
        for item in items:
            out.append(change(item))
    except ValueMismatch as exc:
        raise exc.within(len(out)) from exc.__cause__
    return out


class TupleType(TypeNode):
    """The compiled type of a tuple with a type for each item."""

    kinds = frozenset({"array"})

    def __init__(self, items: list[TypeNode]) -> None:
        self._items = items
        self.wire = types.GenericAlias(tuple, tuple(item.wire for item in items))
        self.is_leaf = all(item.is_leaf for item in items)
        if any(item.build for item in items):
            self.build = self._built_items

    def schema(self, defs: SchemaDefs) -> dict[str, Any]:
        """The JSON Schema, with one schema per item."""
        size = len(self._items)
        schema: dict[str, Any] = {"type": "array", "minItems": size, "maxItems": size}
        return schema | ({"prefixItems": [item.schema(defs) for item in self._items], "items": False} if size else {})

    def mismatch(self) -> ValueMismatch:
        """The error of data that is no array of this size."""
        return ValueMismatch(f"array of {len(self._items)} items")

    def fit(self, data: Any) -> Any:
        """A list of this size whose items fit."""
        if not is_array(data) or len(data) != len(self._items):
            raise self.mismatch()
        return self._with_nodes(lambda pair: pair[0].fit(pair[1]), data)

    def _built_items(self, wire_value: Any) -> Any:
        return tuple(self._with_nodes(lambda pair: pair[0].built(pair[1]), wire_value))

    def _with_nodes(self, change: Callable[[tuple[TypeNode, Any]], Any], items: Any) -> list[Any]:
        return _each(change, zip(self._items, items, strict=True))

    def accepts(self, value: Any) -> bool:
        """Whether it is a tuple of this size whose items are accepted."""
        if not isinstance(value, tuple) or len(items := cast("tuple[Any, ...]", value)) != len(self._items):
            return False
        return all(node.accepts(item) for node, item in zip(self._items, items, strict=True))

    def decoded_classes(self) -> list[type[Any]]:
        """The decoder makes the tuple."""
        return [tuple]

    def dump(self, value: Any) -> Any:
        """The items as a list."""
        return [node.dump(item) for node, item in zip(self._items, value, strict=True)]


class MapType(TypeNode):
    """The compiled type of a dict with keys of any name."""

    kinds = frozenset({"object"})

    def __init__(self, key: TypeNode, value: TypeNode) -> None:
        self._key = key
        self._value = value
        self.wire = types.GenericAlias(dict, (key.wire, value.wire))
        self._key_wire = types.GenericAlias(dict, (key.wire, None))
        self.is_leaf = value.is_leaf
        if key.build is not None or value.build is not None:
            self.build = self._built_items

    def schema(self, defs: SchemaDefs) -> dict[str, Any]:
        """The JSON Schema; limits of keys are those of their texts."""
        schema: dict[str, Any] = {"type": "object", "additionalProperties": self._value.schema(defs) or True}
        keys = self._key.schema(defs)
        names = {name: item for name, item in keys.items() if name != "type"}
        return schema | ({"propertyNames": names} if keys.get("type") == "string" and names else {})

    def mismatch(self) -> ValueMismatch:
        """The error of data that is no object."""
        return ValueMismatch("object")

    def fit(self, data: Any) -> Any:
        """A dict whose keys and values fit."""
        if not is_object(data):
            raise self.mismatch()
        out: dict[str, Any] = {}
        for key, value in data.items():
            try:
                msgspec.convert({key: None}, self._key_wire, str_keys=True)
                out[key] = self._value.fit(value)
            except msgspec.ValidationError:
                raise ValueMismatch(f"member whose name is {self._key.mismatch().expected}") from None
            except ValueMismatch as exc:
                raise exc.within(ANY_KEY) from None
        return out

    def _built_items(self, wire_value: Any) -> Any:
        try:
            return {self._key.built(key): self._value.built(value) for key, value in wire_value.items()}
        except ValueMismatch as exc:
            raise exc.within(ANY_KEY) from exc.__cause__

    def accepts(self, value: Any) -> bool:
        """Whether it is a dict whose values are accepted."""
        return is_object(value) and all(map(self._value.accepts, value.values()))

    def dump(self, value: Any) -> Any:
        """The dict with keys and values as in JSON."""
        return {self._key.dump(key): self._value.dump(item) for key, item in value.items()}
