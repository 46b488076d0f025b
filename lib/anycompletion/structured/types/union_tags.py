"""Tags of unions: which member of an object distinguishes the classes of a union."""

from __future__ import annotations

import typing
from collections.abc import Hashable, Iterator
from typing import Annotated, Any, Literal

import attrs

from .class_fields import ClassSpec
from .pydantic_type import PydanticSource, PydanticType
from .type_hints import wrapper_name
from .type_node import UnionTag, unused_name


@attrs.frozen
class UnionClass:
    """A class in a union, with what is read of it."""

    key: Hashable
    name: str
    spec: ClassSpec | PydanticSource
    literals: dict[str, str | int]
    """The members that have one possible value."""

    @property
    def is_object(self) -> bool:
        """Whether its values are objects, as not all types of pydantic's are."""
        return not isinstance(self.spec, PydanticSource) or PydanticType(self.spec).kinds == frozenset({"object"})

    @property
    def own_name(self) -> str:
        """The name of the class, without those of its type arguments."""
        return self.name if isinstance(self.spec, PydanticSource) else self.spec.cls.__name__

    @property
    def member_names(self) -> set[str]:
        """The names of all members in JSON."""
        if isinstance(self.spec, PydanticSource):
            return PydanticType(self.spec).member_names()
        return {field.json_name for field in self.spec.fields}


def literal_value(hint: Any) -> str | int | None:
    """The only value of a `Literal` of one text or number; None for other types."""
    while typing.get_origin(hint) is not None and typing.get_origin(hint) is not Literal:
        if typing.get_origin(hint) is not Annotated and not wrapper_name(hint):
            return None
        hint = typing.get_args(hint)[0]
    values = typing.get_args(hint)
    return values[0] if len(values) == 1 and type(values[0]) in {str, int} else None


def choose_tags(classes: list[UnionClass]) -> list[UnionTag]:
    """The tag of each class of a union.

    A field that each has with its own value, as a `Literal`; the tags that msgspec Structs have; else a member made for
    it, with the name of the class; of two generics of one class, with their type arguments.

    Raises:
        ValueError: a Struct has no tag, or the tags conflict.
    """
    for field in classes[0].literals:
        values = [each.literals.get(field) for each in classes]
        if None not in values and len(set(values)) == len(values) and len({type(value) for value in values}) == 1:
            return [UnionTag(field, value, is_field=True) for value in values if value is not None]
    structs = [each.spec for each in classes if isinstance(each.spec, ClassSpec) and each.spec.is_struct]
    if any(spec.tag is None for spec in structs):
        raise ValueError("Structs in a union need `tag=True`, or a field each whose type is a Literal of its own")
    fields = {spec.tag_field for spec in structs if spec.tag_field is not None}
    if len(fields) > 1:
        raise ValueError("the Structs of a union need the same `tag_field`")
    taken = set[str]().union(*(each.member_names for each in classes))
    field = fields.pop() if fields else next(name for name in _tag_names() if name not in taken)
    if field in taken:
        raise ValueError(f"a class has a field of the name {field!r}, which is the tag of another")
    tags: list[UnionTag] = []
    used = {spec.tag for spec in structs}
    own_names = [each.own_name for each in classes]
    for each in classes:
        own = each.spec.tag if isinstance(each.spec, ClassSpec) else None
        name = each.own_name if own_names.count(each.own_name) == 1 else each.name
        value = unused_name(name, used) if own is None else own
        used.add(value)
        tags.append(UnionTag(field, value, is_field=False))
    if len({(type(tag.value), tag.value) for tag in tags}) < len(tags) or len({type(tag.value) for tag in tags}) > 1:
        raise ValueError("the tags of a union must differ, and be all texts or all integers")
    return tags


def _tag_names() -> Iterator[str]:
    yield from ("type", "kind")
    name = "_type"
    while True:
        yield name
        name += "_"
