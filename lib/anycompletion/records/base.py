"""Base class of records: `to_dict()`, equality, repr, and `extra` for unknown JSON fields.

Importing the package makes about 40 records, so this module saves time per class: one `__eq__` and one `__repr__` for
all, where attrs would generate them for each (a fifth of the time of an import), and factories that are faster to call
than `dict[str, Any]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

import attrs
from attrs import define, field

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
class Record:
    """Base class of all records; `to_dict()` returns OpenAI's JSON."""

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, a.name) == getattr(other, a.name) for a in attrs.fields(type(self)) if a.eq)

    __hash__ = None  # type: ignore[assignment]  # records are mutable

    def __repr__(self) -> str:
        shown = (
            f"{attribute.name}={value!r}"
            for attribute in attrs.fields(type(self))
            if attribute.repr and (value := getattr(self, attribute.name)) is not None and value != {}
        )
        return f"{type(self).__name__}({', '.join(shown)})"

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
