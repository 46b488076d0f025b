"""The compiled type of a class: a generated Struct for the decoder, and values by the class's own constructor."""

from __future__ import annotations

import json
from typing import Any

import attrs
import msgspec
from msgspec import UNSET
from msgspec.structs import astuple

from ..mismatch import ValueMismatch, refusal
from .class_fields import ABSENT, ClassField, ClassSpec
from .type_node import ClassRef, SchemaDefs, TypeNode, UnionTag, is_object, schema_name


@attrs.define
class _Member:
    """One member of the object in JSON."""

    json_name: str
    argument: str
    attribute: str
    node: TypeNode
    required: bool
    null_is_absent: bool
    """Whether null stands for a member that is left out: schemas of some providers cannot leave one out."""
    schema: dict[str, Any]
    """What the schema of the member has besides that of its type."""


class ObjectType(TypeNode):
    """The compiled type of a class, with the tag that it has in a union."""

    kinds = frozenset({"object"})

    def __init__(self, spec: ClassSpec, name: str, ref: ClassRef, tag: UnionTag | None) -> None:
        self.name = name
        self.tag = tag
        self.json_names = [field.json_name for field in spec.fields]
        self._ref = ref
        self._is_dict = spec.is_dict
        self._is_generic = spec.is_generic
        self._forbid_unknown = spec.forbid_unknown
        self._description = spec.description
        self._members: list[_Member] = []
        self._builders: list[tuple[int, str, Any]] = []
        self._nulls: list[int] = []
        self._constants: dict[str, Any] = {}
        fields = [field for field in spec.fields if tag is None or field.json_name != tag.field]
        self._arguments = [field.argument for field in fields]
        self._has_optional = not all(field.required for field in fields)
        self._by_position = all(field.positional for field in fields) and len(fields) == len(spec.fields)
        if tag is not None and tag.is_field:
            argument = next(field.argument for field in spec.fields if field.json_name == tag.field)
            self._constants[argument] = tag.value
        self.wire = msgspec.defstruct(
            schema_name(name).replace("-", "_"),
            [(f"f{i}", Any) if field.required else (f"f{i}", Any, UNSET) for i, field in enumerate(fields)],
            rename={f"f{i}": field.json_name for i, field in enumerate(fields)},
            kw_only=True,
            gc=False,
            forbid_unknown_fields=spec.forbid_unknown,
            tag_field=None if tag is None else tag.field,
            tag=None if tag is None else tag.value,
        )
        self.build = self._built_object

    def add_member(self, field: ClassField, node: TypeNode, schema: dict[str, Any]) -> None:
        """Adds the next member in the order of the fields, without the tag."""
        index = len(self._members)
        null_is_absent = not field.required and "null" not in node.kinds
        member = _Member(field.json_name, field.argument, field.attribute, node, field.required, null_is_absent, schema)
        self._members.append(member)
        self.wire.__annotations__[f"f{index}"] = node.wire | None if null_is_absent else node.wire
        if node.build is not None:
            self._builders.append((index, field.json_name, node.build))
        if null_is_absent:
            self._nulls.append(index)
        if field.default is not ABSENT and (default := _json_default(node, field.default)) is not ABSENT:
            member.schema = {"default": default} | schema

    def schema(self, defs: SchemaDefs) -> dict[str, Any]:
        """A reference to the definition of the class."""
        return defs.reference(self, self.name, lambda: self._object_schema(defs))

    def _object_schema(self, defs: SchemaDefs) -> dict[str, Any]:
        properties: dict[str, Any] = {}
        required: list[str] = []
        if self.tag is not None:
            kind = "string" if isinstance(self.tag.value, str) else "integer"
            properties[self.tag.field] = {"type": kind, "const": self.tag.value}
            required.append(self.tag.field)
        for member in self._members:
            properties[member.json_name] = member.node.schema(defs) | member.schema
            if member.required:
                required.append(member.json_name)
        schema: dict[str, Any] = {"type": "object"}
        if self._description:
            schema["description"] = self._description
        schema |= {"properties": properties, "required": required}
        return schema | ({"additionalProperties": False} if self._forbid_unknown else {})

    def mismatch(self) -> ValueMismatch:
        """The error of data that is no object."""
        return ValueMismatch("object")

    def fit(self, data: Any) -> Any:
        """An object whose members fit; those that the class does not have are left out."""
        if not is_object(data):
            raise self.mismatch()
        out: dict[str, Any] = {}
        if self.tag is not None:
            if data.get(self.tag.field, self.tag.value) != self.tag.value:
                raise ValueMismatch(json.dumps(self.tag.value), parts=(self.tag.field,))
            out[self.tag.field] = self.tag.value
        for member in self._members:
            value = data.get(member.json_name, ABSENT)
            if value is ABSENT and member.required:
                expected = f"{member.node.mismatch().expected}, which is missing"
                raise ValueMismatch(expected, parts=(member.json_name,))
            if value is ABSENT or (value is None and member.null_is_absent):
                continue
            try:
                out[member.json_name] = member.node.fit(value)
            except ValueMismatch as exc:
                raise exc.within(member.json_name) from None
        if self._forbid_unknown and not data.keys() <= out.keys() | {each.json_name for each in self._members}:
            raise ValueMismatch("no members besides those of the schema")
        return out

    def _built_object(self, wire_value: Any) -> Any:
        values: Any = astuple(wire_value)
        if self._builders or self._nulls:
            values = list(values)
            for index in self._nulls:
                if values[index] is None:
                    values[index] = UNSET
            for index, name, build in self._builders:
                if values[index] is not UNSET:
                    try:
                        values[index] = build(values[index])
                    except ValueMismatch as exc:
                        raise exc.within(name) from exc.__cause__
        is_full = not self._has_optional or all(value is not UNSET for value in values)
        if self._is_dict:
            return self._keywords(values)
        cls = self._ref()
        try:
            return cls(*values) if is_full and self._by_position else cls(**self._keywords(values))
        except (ValueError, TypeError) as exc:
            raise refusal(exc) from exc

    def _keywords(self, values: Any) -> dict[str, Any]:
        pairs = zip(self._arguments, values, strict=True)
        return self._constants | {name: value for name, value in pairs if value is not UNSET}

    def accepts(self, value: Any) -> bool:
        """Whether it is an instance of the class, or a dict with the keys of the TypedDict."""
        if not self._is_dict:
            return isinstance(value, self._ref()) and (not self._is_generic or self._accepts_members(value))
        if not is_object(value) or any(value.get(name) != tag for name, tag in self._constants.items()):
            return False
        required = {member.argument for member in self._members if member.required}
        return required <= value.keys() <= {*self._constants, *self._arguments}

    def _accepts_members(self, value: Any) -> bool:
        return all(member.node.accepts(getattr(value, member.attribute, None)) for member in self._members)

    def decoded_classes(self) -> list[type[Any]]:
        """The generated class."""
        return [self.wire]

    def dump(self, value: Any) -> Any:
        """The members as a dict, the tag first."""
        out: dict[str, Any] = {} if self.tag is None else {self.tag.field: self.tag.value}
        for member in self._members:
            item = value.get(member.argument, UNSET) if self._is_dict else getattr(value, member.attribute)
            if item is not UNSET:
                out[member.json_name] = member.node.dump(item)
        return out


def _json_default(node: TypeNode, default: Any) -> Any:
    """A default as JSON data; `ABSENT` for one that JSON cannot express."""
    try:
        plain = msgspec.json.decode(msgspec.json.encode(node.dump(default)))
        node.fit(plain)
    except (TypeError, ValueError, AttributeError, RecursionError, msgspec.MsgspecError):
        return ABSENT
    return plain
