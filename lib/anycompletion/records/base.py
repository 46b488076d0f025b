"""Base class of records: `to_dict()`, pydantic's names for it, and `extra` for unknown JSON fields."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, cast

import attrs
from attrs import field

from .._value import Value

JsonObject: TypeAlias = dict[str, Any]
"""A JSON object, as `to_dict` returns it."""


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
    dump = getattr(cast("Any", type(value)), "model_dump", None)  # message objects of other SDKs
    return value if dump is None else plain(dump(value))


class ModelMethods:
    """The methods of pydantic's models, for code that was written for other SDKs, and pydantic's hook for fields.

    Pydantic models have the records as fields, and FastAPI returns them: as their JSON. Neither is imported here.
    """

    __slots__ = ()

    def to_dict(self) -> JsonObject:
        """OpenAI's JSON."""
        raise NotImplementedError  # each kind of record has its own; an abstract class cannot be a base of Structs

    def model_dump(self, **_options: Any) -> JsonObject:
        """`to_dict()`; pydantic's options are accepted and change nothing."""
        return self.to_dict()

    def model_dump_json(self, *, indent: int | None = None, **_options: Any) -> str:
        """`to_dict()` as a JSON text; pydantic's options other than `indent` are accepted and change nothing."""
        return json.dumps(self.to_dict(), indent=indent, separators=None if indent else (",", ":"), ensure_ascii=False)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Pydantic's schema, as its documented data: takes the record or a dict, and serializes as `to_dict()`."""
        as_dict = {"type": "dict", "keys_schema": {"type": "str"}}
        return {
            "type": "function-wrap",
            "function": {"type": "no-info", "function": cls._validated},
            "schema": as_dict,
            "serialization": {"type": "function-plain", "function": cls.to_dict, "return_schema": as_dict},
        }

    @classmethod
    def _validated(cls, value: Any, handler: Callable[[Any], Any]) -> Any:
        if isinstance(value, cls):
            return value
        source = handler(value)
        read = getattr(cls, "from_dict", None)
        try:
            return cls._of_fields(source) if read is None else read(source)
        except TypeError as error:
            raise ValueError(f"no {cls.__name__}: {error}") from None

    @classmethod
    def _of_fields(cls, source: JsonObject) -> Any:
        known = field_names(cls)
        extra = {name: value for name, value in source.items() if name not in known}
        return cls(**{name: value for name, value in source.items() if name in known}, extra=extra)  # type: ignore[call-arg]

    if not TYPE_CHECKING:  # nothing should take a record for an iterable

        def __iter__(self) -> Iterator[tuple[str, Any]]:
            """The items of `to_dict()`, from which FastAPI makes the JSON of a value without a declared type."""
            return iter(self.to_dict().items())


class Record(ModelMethods, Value):
    """Base class of all records; `to_dict()` returns OpenAI's JSON."""

    __slots__ = ()

    if TYPE_CHECKING:
        __attrs_attrs__: ClassVar[Any]  # each record is an attrs class

    def to_dict(self) -> JsonObject:
        """OpenAI's JSON for this record, without fields that are not set and with `extra` merged in."""
        out: JsonObject = {}
        for attribute in self._attributes():
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
