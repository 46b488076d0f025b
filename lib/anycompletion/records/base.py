"""Base class of records: `to_dict()`, and `extra` for unknown JSON fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

import attrs
from attrs import define, field

from .._value import Value

JsonObject: TypeAlias = dict[str, Any]


empty_object = cast("Callable[[], JsonObject]", dict)
"""Factory of an empty object; three times as fast to call as `dict[str, Any]`, and every record has one."""


def extra_field() -> Any:
    """Attribute for the JSON fields that have no attribute of their own."""
    return field(factory=empty_object, kw_only=True)


def plain(value: Any) -> Any:
    """`value` as dicts, lists and scalars, without `None` fields and with `extra` merged in."""
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in cast("Sequence[Any]", value)]
    return value


@define(repr=False, eq=False)
class Record(Value):
    """Base class of all records; `to_dict()` returns OpenAI's JSON."""

    def to_dict(self) -> JsonObject:
        """OpenAI's JSON for this record, without fields that are not set and with `extra` merged in."""
        out: JsonObject = {}
        for attribute in attrs.fields(type(self)):
            name = attribute.name
            if name[0] == "_" or name == "extra" or attribute.metadata.get("hidden"):
                continue
            value = getattr(self, name)
            if value is not None or attribute.metadata.get("nullable"):
                out[name] = plain(value)
        out.update(plain(getattr(self, "extra", {})))
        return out


def nullable(**options: Any) -> Any:
    """Field that OpenAI's JSON shows as null when it is not set."""
    return field(default=None, metadata={"nullable": True}, **options)


def hidden(**options: Any) -> Any:
    """Field that is not part of OpenAI's JSON, nor of equality."""
    return field(metadata={"hidden": True}, eq=False, **options)


def field_names(cls: type[Any]) -> frozenset[str]:
    """Names of the JSON fields that are attributes of `cls`; all others go to `extra`."""
    return frozenset(a.name for a in attrs.fields(cls) if a.name != "extra" and not a.metadata.get("hidden"))
