"""A type as a plan: its JSON Schema, and values of it out of JSON and back; sends nothing."""

from __future__ import annotations

import re
import typing
from typing import Any, Generic, TypeVar, cast

import attrs
import msgspec

from ..errors import InvalidRequestError
from .mismatch import ValueMismatch

T = TypeVar("T")


@attrs.frozen(eq=False)
class TypePlan(Generic[T]):
    """A type, compiled: what providers are sent, and how values are read."""

    into: Any
    name: str
    """Name for messages and for the schema: letters, digits, ``_`` and ``-``, at most 64."""
    schema: dict[str, Any]
    """JSON Schema (2020-12) of the object that is sent; shared, so that it must not be changed."""
    wrapped: bool
    """Whether the root is an object made for it, ``{"value": …}``, because the type is no object."""

    def decode(self, data: bytes) -> T:
        """The value of JSON text.

        Raises:
            ValueMismatch: the text is not JSON, does not fit the schema, or the class refuses the values.
        """
        wire = msgspec.defstruct("Wrapper", [("value", self.into)]) if self.wrapped else self.into
        try:
            value: Any = msgspec.json.decode(data, type=wire)
        except msgspec.ValidationError as exc:
            text, _, path = str(exc).partition(" - at `$")
            parts = tuple(int(index) if index else name for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", path))
            raise ValueMismatch(text.removeprefix("Expected "), "schema", parts) from None
        except msgspec.DecodeError:
            raise ValueMismatch("JSON", "json") from None
        return cast("T", value.value if self.wrapped else value)

    def encode(self, value: T) -> bytes:
        """The JSON text of a value as a provider would send it."""
        return msgspec.json.encode({"value": value} if self.wrapped else value)

    def element(self) -> TypePlan[Any] | None:
        """For a list, the plan of its items, which are not wrapped; None for other types."""
        if typing.get_origin(self.into) is not list:
            return None
        return attrs.evolve(compile_type(typing.get_args(self.into)[0]), wrapped=False)


def compile_type(into: object) -> TypePlan[Any]:
    """The plan of a type.

    Raises:
        InvalidRequestError: values of the type cannot be read from JSON; the text names the path of the field.
    """
    try:
        (schema,), defs = msgspec.json.schema_components([into], ref_template="#/$defs/{name}")
    except TypeError as exc:
        raise InvalidRequestError(f"into: {exc}", param="into") from None
    if "$ref" in schema:
        schema = defs.pop(schema["$ref"].rpartition("/")[2])
    schema = {key: item for key, item in schema.items() if key != "title"}
    wrapped = schema.get("type") != "object"
    if wrapped:
        schema = {"type": "object", "properties": {"value": schema}, "required": ["value"]}
    if defs:
        schema["$defs"] = {name.rpartition("/")[2]: each for name, each in defs.items()}
    name = re.sub(r"\W+", "_", getattr(into, "__name__", "") or str(into))[:64]
    return TypePlan(into, name, schema, wrapped)
