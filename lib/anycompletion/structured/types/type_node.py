"""The base class of compiled types, and their JSON Schemas with shared definitions."""

from __future__ import annotations

import abc
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias, TypeGuard, cast

import attrs
import msgspec

from ..mismatch import ValueMismatch
from .schema_words import schema_words

Build: TypeAlias = Callable[[Any], Any]
"""Makes the value of what the decoder returned; raises ValueMismatch."""

ClassRef: TypeAlias = Callable[[], Any]
"""A weak reference to a class of the user's; a plan that is in use keeps the class alive."""

JSON_KINDS = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})


@attrs.frozen
class UnionTag:
    """The member of an object that distinguishes the classes of a union."""

    field: str
    value: str | int
    is_field: bool
    """Whether the class has this field, and its constructor takes it."""


class TypeNode(abc.ABC):
    """A compiled type: a decoder's type, the JSON Schema, and the values on both sides.

    JSON becomes a value in two steps. msgspec decodes it into `wire`, a type without user code, which checks shape and
    limits; `build` then makes the values with the constructors of the user's classes. Where msgspec refuses, `fit`
    reads the same JSON as plain data, converts what JSON Schema allows and msgspec does not, and finds the path of
    what is wrong.
    """

    wire: Any
    """The type for msgspec: neither the user's classes nor generic aliases that Python caches."""
    kinds: frozenset[str] = JSON_KINDS
    """The types of JSON that the node accepts."""
    build: Build | None = None
    """None where the decoded value is the value."""
    is_leaf = False
    """Whether `wire` contains no generated class."""
    tag: UnionTag | None = None
    """What distinguishes an object from the others of its union."""
    must_fit = False
    """Whether `fit` has to check all, because a union tries its members."""

    def require_fit(self) -> None:
        """Lets `fit` check all that there is to check, for a union that tries its members."""
        self.must_fit = True

    @abc.abstractmethod
    def schema(self, defs: SchemaDefs) -> dict[str, Any]:
        """The JSON Schema; classes are references to definitions."""

    @abc.abstractmethod
    def fit(self, data: Any) -> Any:
        """Plain JSON data as data that `wire` accepts.

        Raises:
            ValueMismatch: the data does not fit.
        """

    @abc.abstractmethod
    def accepts(self, value: Any) -> bool:
        """Whether a Python value is one of this type, as far as members of a union must be distinguished."""

    def dump(self, value: Any) -> Any:
        """A value as data that msgspec encodes to JSON."""
        return value

    def decoded_classes(self) -> list[type[Any]]:
        """The classes of what the decoder returns."""
        return [_CLASSES[kind] for kind in sorted(self.kinds)]

    def built(self, wire_value: Any) -> Any:
        """The value of what the decoder returned."""
        return wire_value if self.build is None else self.build(wire_value)

    def read(self, data: Any) -> Any:
        """The value of plain JSON data that no decoder has checked."""
        return self.built(convert(self.fit(data), self.wire))

    def mismatch(self) -> ValueMismatch:
        """The error of a value that is not of this type."""
        return ValueMismatch(schema_words(self.schema(SchemaDefs())))


def convert(data: Any, wire: Any) -> Any:
    """Fitted data as a decoder of `wire` would return it.

    Raises:
        ValueMismatch: the data does not fit.
    """
    try:
        return msgspec.convert(data, wire, str_keys=True)
    except msgspec.ValidationError as exc:
        raise ValueMismatch(str(exc).partition(" - at ")[0].removeprefix("Expected ")) from None


def is_object(data: Any) -> TypeGuard[dict[str, Any]]:
    """Whether plain JSON data is an object."""
    return isinstance(data, dict)


def is_array(data: Any) -> TypeGuard[list[Any]]:
    """Whether plain JSON data is an array."""
    return isinstance(data, list)


def class_union(classes: Iterable[Any]) -> Any:
    """The union of types, without the module typing, which caches its unions."""
    found = list(classes)
    union = found[0]
    for each in found[1:]:
        union = union | each
    return union


def json_kind(data: Any) -> str:
    """The type of plain JSON data, by the name that JSON Schema has for it."""
    return _KINDS[type(data)]


_KINDS: dict[type[Any], str] = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}
_CLASSES = {kind: cls for cls, kind in _KINDS.items()}


class SchemaDefs:
    """The definitions of one JSON Schema: each named type once, under a name of its own."""

    def __init__(self) -> None:
        self._schemas: dict[str, dict[str, Any]] = {}
        self._names: dict[object, str] = {}

    def reference(self, key: object, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """A reference to the definition of `key`, which `make` makes for the first reference."""
        found = self._names.get(key)
        if found is None:
            found = self._names[key] = unused_name(schema_name(name), self._schemas)
            self._schemas[found] = {}  # takes the name while a recursive type is made
            self._schemas[found] = make()
        return {"$ref": f"{_PREFIX}{found}"}

    def assemble(self, root: dict[str, Any]) -> dict[str, Any]:
        """The whole schema of `root`; definitions with one reference take its place."""
        counts = Counter(references(root, self._schemas))
        shared = {name for name, count in counts.items() if count > 1}
        whole = self._inlined(root, shared)
        if "$ref" in whole:  # a recursive type: providers refuse a root that is a reference
            whole = self._inlined(self._schemas[_target(whole)], shared)
        defs = {name: self._inlined(self._schemas[name], shared) for name in self._schemas if name in shared}
        return whole | {"$defs": defs} if defs else whole

    def _inlined(self, schema: dict[str, Any], shared: set[str]) -> dict[str, Any]:
        def inline(each: dict[str, Any]) -> dict[str, Any]:
            while "$ref" in each and (name := _target(each)) not in shared:
                each = self._schemas[name] | {key: item for key, item in each.items() if key != "$ref"}
            return each

        return map_schema(schema, inline)


_PREFIX = "#/$defs/"
_MAX_NAME = 64


def schema_name(text: str) -> str:
    """Text as a name that all providers accept: letters, digits, ``_`` and ``-``, 1 to 64 of them."""
    return re.sub(r"[^a-zA-Z0-9_-]+", "_", text).strip("_")[:_MAX_NAME] or "value"


def unused_name(name: str, taken: Any) -> str:
    """The name, with a number where it is taken."""
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name[: _MAX_NAME - 4]}_{number}"
    return found


def _target(schema: dict[str, Any]) -> str:
    return str(schema["$ref"]).removeprefix(_PREFIX)


def references(root: dict[str, Any], defs: Mapping[str, dict[str, Any]]) -> list[str]:
    """The definition that each reference refers to, of those that can be reached from the root."""
    found: list[str] = []
    waiting, seen = [root], set[str]()

    def note(schema: dict[str, Any]) -> dict[str, Any]:
        if "$ref" in schema and _target(schema) in defs:
            found.append(_target(schema))
        return schema

    while waiting:
        map_schema(waiting.pop(), note)
        for name in found:
            if name not in seen:
                seen.add(name)
                waiting.append(defs[name])
    return found


_MAPS_OF_SCHEMAS = frozenset({"properties", "$defs", "patternProperties", "dependentSchemas"})
_LISTS_OF_SCHEMAS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_SCHEMAS = frozenset({"items", "additionalProperties", "propertyNames", "not", "if", "then", "else", "contains"})


def map_schema(schema: dict[str, Any], change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """A copy of a schema in which `change` replaced each schema, before those inside it."""
    out: dict[str, Any] = {}
    for key, item in change(schema).items():
        if key in _MAPS_OF_SCHEMAS and isinstance(item, dict):
            out[key] = {name: _mapped(each, change) for name, each in cast("dict[str, Any]", item).items()}
        elif key in _LISTS_OF_SCHEMAS and isinstance(item, list):
            out[key] = [_mapped(each, change) for each in cast("list[Any]", item)]
        else:
            out[key] = _mapped(item, change) if key in _SCHEMAS else item
    return out


def _mapped(item: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    return map_schema(cast("dict[str, Any]", item), change) if isinstance(item, dict) else item
