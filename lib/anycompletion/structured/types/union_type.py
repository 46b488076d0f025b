"""The compiled type of a union: members are distinguished by the type of JSON, by a tag, or by what fits."""

from __future__ import annotations

import decimal
import json
import types
from collections.abc import Iterable
from typing import Any, cast

from ..mismatch import ValueMismatch
from .collection_types import ArrayType, MapType
from .scalar_types import NONE_TYPE, AnyType, ScalarType, as_integer
from .type_node import SchemaDefs, TypeNode, class_union, convert, is_object, json_kind

_MOST_GENERAL = 3
_GENERAL_SCALARS = {str: 2, decimal.Decimal: 1, float: 1}


class UnionType(TypeNode):
    """The compiled type of two or more types.

    msgspec decodes unions of which each member has its own type of JSON, and unions of tagged objects. For all others
    the decoder returns plain data, and the members are tried, the more general ones last.
    """

    def __init__(self, members: Iterable[TypeNode]) -> None:
        self.members = list(members)
        self.kinds = frozenset[str]().union(*(member.kinds for member in self.members))
        self.is_leaf = all(member.is_leaf for member in self.members)
        self._in_order = sorted(self.members, key=_generality)
        tagged = [(member.tag, member) for member in self.members if member.tag is not None]
        self._tag_field = tagged[0][0].field if len(tagged) > 1 else None
        self._by_tag = {tag.value: member for tag, member in tagged}
        if _is_native(self.members):
            self.wire = class_union(member.wire for member in self.members)
            self._builds = {cls: member.build for member in self.members for cls in member.decoded_classes()}
            if any(self._builds.values()):
                self.build = self._built_by_class
        else:
            self.wire = Any
            self.build = self.read
            for member in self.members:
                if member.tag is None:
                    member.require_fit()

    def schema(self, defs: SchemaDefs) -> dict[str, Any]:
        """The schemas of the members."""
        return {"anyOf": [member.schema(defs) for member in self.members]}

    def mismatch(self) -> ValueMismatch:
        """The error that lists what the members expect."""
        return ValueMismatch(" or ".join(dict.fromkeys(member.mismatch().expected for member in self.members)))

    def fit(self, data: Any) -> Any:
        """Data that fits the first member that it can fit."""
        return self._select(data)[1]

    def read(self, data: Any) -> Any:
        """The value of plain JSON data, of the first member that it fits."""
        member, fitted = self._select(data)
        return member.built(convert(fitted, member.wire))

    def _select(self, data: Any) -> tuple[TypeNode, Any]:
        if self._tag_field is not None and is_object(data) and (found := self._tagged(data)) is not None:
            return found, found.fit(data)
        if "number" not in self.kinds:
            data = as_integer(data)
        kind = json_kind(data)
        failures: list[ValueMismatch] = []
        for member in self._in_order:
            if kind in member.kinds and not (kind == "object" and member.tag is not None and self._tag_field):
                try:
                    return member, member.fit(data)
                except ValueMismatch as exc:
                    failures.append(exc)
        if not failures:
            raise self.mismatch()
        closest = max(failures, key=lambda exc: len(exc.parts))
        raise closest if closest.parts or len(failures) == 1 else self.mismatch()

    def _tagged(self, data: dict[str, Any]) -> TypeNode | None:
        tag = data.get(cast("str", self._tag_field))
        found = self._by_tag.get(tag) if isinstance(tag, (str, int)) and not isinstance(tag, bool) else None
        if found is None and not any("object" in each.kinds for each in self.members if each.tag is None):
            tags = ", ".join(json.dumps(value, ensure_ascii=False) for value in self._by_tag)
            raise ValueMismatch(f"one of {tags}", parts=(cast("str", self._tag_field),))
        return found

    def _built_by_class(self, wire_value: Any) -> Any:
        build = self._builds[type(wire_value)]
        return wire_value if build is None else build(wire_value)

    def decoded_classes(self) -> list[type[Any]]:
        """The classes of the members."""
        return [cls for member in self.members for cls in member.decoded_classes()]

    def accepts(self, value: Any) -> bool:
        """Whether a member accepts it."""
        return any(member.accepts(value) for member in self.members)

    def dump(self, value: Any) -> Any:
        """The value as the first member that accepts it writes it."""
        for member in self._in_order:
            if member.accepts(value):
                return member.dump(value)
        raise TypeError(f"a {type(value).__name__} is no value of this union")


def _generality(node: TypeNode) -> int:
    """How much else a type accepts of its type of JSON."""
    match node:
        case AnyType():
            return _MOST_GENERAL
        case MapType():
            return 2
        case ArrayType():
            return _generality(node.item)
        case ScalarType():
            return _GENERAL_SCALARS.get(node.cls, 0)
        case _:
            return 0


def _is_native(members: list[TypeNode]) -> bool:
    """Whether msgspec decodes the union."""
    if any(member.wire is Any for member in members):
        return False
    # Python caches the unions of its typing module, and would keep the user's classes alive.
    if not all(member.is_leaf for member in members) and not all(map(_has_plain_wire, members)):
        return False
    plain = [member for member in members if member.tag is None]
    numbers = {member.cls for member in plain if isinstance(member, ScalarType)} & {int, float}
    kinds = [kind for member in plain for kind in member.kinds]
    if numbers == {int, float}:
        kinds.remove("integer")
    if len(plain) < len(members):
        kinds.append("object")
    classes = [cls for member in members for cls in member.decoded_classes()]
    if tuple in classes and set(classes) - {tuple, NONE_TYPE}:
        return False  # garbage collection of a tuple beside a type with limits ends the process in msgspec
    return len(kinds) == len(set(kinds)) and len(classes) == len(set(classes))


def _has_plain_wire(member: TypeNode) -> bool:
    return isinstance(member.wire, (type, types.GenericAlias, types.UnionType))
