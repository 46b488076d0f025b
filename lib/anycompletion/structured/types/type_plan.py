"""A type as a plan: its JSON Schema, and values of it out of JSON and back; sends nothing."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Hashable, Sequence
from typing import Any, Generic, TypeVar, cast

import attrs
import msgspec

from .class_fields import ClassField
from .collection_types import ArrayType
from .json_text import check_nesting, read_json
from .type_compiler import TypeCompiler
from .type_node import SchemaDefs, TypeNode, convert, schema_name
from .type_signature import type_name, type_signature

T = TypeVar("T")

_DEEP = 20
"""Levels of JSON that are read whatever the stack: a deeper one may be what exceeded it."""

_WRAPPER = "value"
"""The member of the object around a root that is no object."""


class CompiledType:
    """What is compiled of a type, and kept while its classes exist; refers to them weakly."""

    def __init__(self, name: str, node: TypeNode, refs: list[weakref.ref[Any]], *, may_wrap: bool = True) -> None:
        self.name = name
        self.node = node
        self.refs = refs
        defs = SchemaDefs()
        schema = defs.assemble(node.schema(defs))
        self.wrapped = may_wrap and schema.get("type") != "object"
        if self.wrapped:
            shared = {"$defs": schema.pop("$defs")} if "$defs" in schema else {}
            schema = {"type": "object", "properties": {_WRAPPER: schema}, "required": [_WRAPPER]} | shared
        self.schema = schema
        wire = node.wire
        if self.wrapped:
            wire = msgspec.defstruct("Wrapper", [(_WRAPPER, Any)], gc=False)
            wire.__annotations__[_WRAPPER] = node.wire
        self.decode_wire = msgspec.json.Decoder(wire).decode

    @functools.cached_property
    def element(self) -> CompiledType | None:
        """The items of a list."""
        node = self.node
        while not isinstance(node, ArrayType):
            inner = getattr(node, "inner", None)
            if inner is None:
                return None
            node = inner
        return CompiledType(self.name.removeprefix("list_"), node.item, self.refs, may_wrap=False)

    def decode(self, data: bytes) -> Any:
        """The value of JSON text."""
        check_nesting(data)
        try:
            return self._decode(data)
        except RecursionError:
            # Deep JSON, read by a caller that is deep in its own stack; a constructor may recurse of itself, too.
            check_nesting(data, _DEEP)
            raise

    def _decode(self, data: bytes) -> Any:
        try:
            decoded: Any = self.decode_wire(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            wire_value = self._decode_tolerantly(data)
        else:
            wire_value = decoded.value if self.wrapped else decoded
        return self.node.built(wire_value)

    def _decode_tolerantly(self, data: bytes) -> Any:
        plain = read_json(data)
        if self.wrapped and isinstance(plain, dict) and _WRAPPER in plain:
            plain = cast("dict[str, Any]", plain)[_WRAPPER]
        return convert(self.node.fit(plain), self.node.wire)


@attrs.frozen(eq=False)
class TypePlan(Generic[T]):
    """A type, compiled: what providers are sent, and how values are read."""

    into: Any
    _compiled: CompiledType
    _classes: list[Any] = attrs.field(repr=False)
    """Keeps the classes while the plan is in use."""

    @property
    def identity(self) -> object:
        """An object that all plans of one type share, for weak caches of what depends on the type."""
        return self._compiled

    @property
    def name(self) -> str:
        """Name for messages and for the schema: letters, digits, ``_`` and ``-``, at most 64."""
        return self._compiled.name

    @property
    def schema(self) -> dict[str, Any]:
        """JSON Schema (2020-12) of the object that is sent; shared, so that it must not be changed."""
        return self._compiled.schema

    @property
    def wrapped(self) -> bool:
        """Whether the root is an object made for it, ``{"value": …}``, because the type is no object."""
        return self._compiled.wrapped

    def decode(self, data: bytes) -> T:
        """The value of JSON text; paths of errors are those of the value, without the object around it.

        Raises:
            ValueMismatch: the text is not JSON, does not fit the schema, or the class refuses the values.
        """
        return cast("T", self._compiled.decode(data))

    def encode(self, value: T) -> bytes:
        """The JSON text of a value as a provider would send it."""
        plain = self._compiled.node.dump(value)
        return msgspec.json.encode({_WRAPPER: plain} if self.wrapped else plain)

    def element(self) -> TypePlan[Any] | None:
        """For a list, the plan of its items, which are not wrapped; None for other types."""
        element = self._compiled.element
        return None if element is None else TypePlan(self.into, element, self._classes)


_MAX_KEPT = 1_024
"""Compiled types that are kept; programs have fewer, unless they make types all the time."""

_kept: dict[Hashable, CompiledType] = {}


def compile_type(into: object) -> TypePlan[Any]:
    """The plan of a type.

    Raises:
        InvalidRequestError: values of the type cannot be read from JSON; the text names the path of the field.
    """
    try:
        key = type_signature(into, {})
    except TypeError:  # metadata that is not hashable
        key = None
    if key is not None and (kept := _kept.get(key)) is not None:
        classes: list[Any] = []
        for ref in kept.refs:
            cls = ref()
            if cls is None:  # a class in quotes may be gone, and another be found under its name
                break
            classes.append(cls)
        else:
            return TypePlan(into, kept, classes)
    compiled = _compile(into, key)
    if key is not None:
        while len(_kept) >= _MAX_KEPT:
            _kept.pop(next(iter(_kept)), None)
        _kept[key] = compiled
    return TypePlan(into, compiled, [ref() for ref in compiled.refs])


def compile_members(name: str, fields: Sequence[ClassField]) -> TypePlan[dict[str, Any]]:
    """The plan of an object with these members and no others, whose values are dicts; it is compiled anew each time.

    Args:
        name: the name of the object, for the generated class.
        fields: the members; `argument` is the key in the values.

    Raises:
        InvalidRequestError: values of a member's type cannot be read from JSON; the text names the path.
    """
    compiler = TypeCompiler(lambda _: None)
    node = compiler.compile_members(name, fields)
    compiled = CompiledType(schema_name(name), node, list(compiler.refs.values()))
    return TypePlan(None, compiled, [ref() for ref in compiled.refs])


def _compile(into: object, key: Hashable) -> CompiledType:
    def forget(_: object) -> None:
        _kept.pop(key, None)

    compiler = TypeCompiler(forget)
    node = compiler.compile(into, {}, "$")
    return CompiledType(schema_name(type_name(into, {})), node, list(compiler.refs.values()))
