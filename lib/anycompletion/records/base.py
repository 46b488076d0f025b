"""What every record has: `to_dict()`, an `extra` for the unknown; knows no field of its own."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, cast

import attrs
from attrs import define, field

JsonObject: TypeAlias = dict[str, Any]


def extra_field() -> Any:
    """The field that keeps what no other field takes."""
    return field(factory=nothing, kw_only=True)


def nothing() -> JsonObject:
    """An empty object: dict[str, Any] is three times as slow to call, and every record has one."""
    return {}


def plain(value: Any) -> Any:
    """`value` as dicts, lists and scalars: `None` fields left out, `extra` merged in."""
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in cast("Sequence[Any]", value)]
    return value


@define(repr=False, eq=False)
class Record:
    """Base of all records: `to_dict()` gives OpenAI's JSON."""

    # One __eq__ and one __repr__ for all: attrs would generate 40 of each at import, a fifth of what an import costs.

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, a.name) == getattr(other, a.name) for a in attrs.fields(type(self)) if a.eq)

    __hash__ = None  # type: ignore[assignment]  # mutable records have none

    def __repr__(self) -> str:
        shown = (
            f"{attribute.name}={value!r}"
            for attribute in attrs.fields(type(self))
            if attribute.repr and (value := getattr(self, attribute.name)) is not None and value != {}
        )
        return f"{type(self).__name__}({', '.join(shown)})"

    def to_dict(self) -> JsonObject:
        """OpenAI's JSON for this record; what nobody set is left out, `extra` is merged in."""
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
    """A field that OpenAI's JSON shows as null when it is empty."""
    return field(default=None, metadata={"nullable": True}, **options)


def hidden(**options: Any) -> Any:
    """A field that is ours: not part of OpenAI's JSON, nor of equality."""
    return field(metadata={"hidden": True}, eq=False, **options)


def names(cls: type[Any]) -> frozenset[str]:
    """The JSON members that fields of `cls` take; all others go to `extra`."""
    return frozenset(a.name for a in attrs.fields(cls) if a.name != "extra" and not a.metadata.get("hidden"))
