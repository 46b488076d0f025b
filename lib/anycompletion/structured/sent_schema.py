"""The schema that a provider would be sent for a type, for tests and tools; sends nothing."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from ..providers import known_providers, resolve_model
from .schemas import resolve_mode, schema_for
from .types import compile_type

if TYPE_CHECKING:
    from typing_extensions import TypeForm

_ANY_MODEL = "any"
"""A name that no rule about a provider's models is for."""

T_co = TypeVar("T_co", covariant=True)


class SupportsValidateJSON(Protocol[T_co]):
    """A type in the form of a pydantic ``TypeAdapter``."""

    def validate_json(self, data: str | bytes, /) -> T_co:
        """The value of JSON text."""
        ...

    def json_schema(self) -> dict[str, Any]:
        """The JSON Schema of the type."""
        ...


@overload
def response_schema(
    into: type[Any] | SupportsValidateJSON[Any], *, provider: str = "openai", strict: bool | None = None
) -> dict[str, Any]: ...
@overload
def response_schema(into: TypeForm[Any], *, provider: str = "openai", strict: bool | None = None) -> dict[str, Any]: ...
def response_schema(into: object, *, provider: str = "openai", strict: bool | None = None) -> dict[str, Any]:
    """The JSON Schema that a provider is sent for a type; in the modes json and prompt, as a part of the prompt.

    Args:
        into: the type, as `parse` takes it.
        provider: a provider's name, or a model with its provider's name, where the models of a provider differ.
        strict: as in `parse`.

    Raises:
        InvalidRequestError: the type cannot be read from JSON, or the provider is unknown.
        UnsupportedParameterError: `strict` is asked for where it cannot be.
    """
    name, slash, own = provider.partition("/")
    row, model = resolve_model(own if slash else _ANY_MODEL, name, known_providers())
    schema = compile_type(into).schema
    mode = resolve_mode(row, model, schema, strict=strict)
    return copy.deepcopy(schema_for(row, model, schema, mode=mode, strict=strict).schema)
