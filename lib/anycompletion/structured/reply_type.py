"""ReplyType: the type that a call asks for, how it is asked for and checked; makes typed requests and reads replies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, Literal, Protocol, TypeAlias, TypeVar

import attrs

from .._async import is_async_function
from ..errors import InvalidRequestError
from ..providers import Provider
from ..records import ChatCompletion, ChatRequest
from .mismatch import ValueMismatch
from .parsed_choices import parsed_completion
from .parsed_completion import ParsedCompletion
from .reading import read_value
from .requests import Mode, can_force_tool, typed_request
from .types import TypePlan, compile_type

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

ParseMode: TypeAlias = Literal["auto", "schema", "tool", "json", "prompt"]
"""How the type is sent: "schema" as the format of the reply, "tool" as the parameters of a function that has to be
called, "json" in the prompt with the provider's JSON mode, "prompt" in the prompt alone; "auto" is what suits the
provider."""

_MODES = ("auto", "schema", "tool", "json", "prompt")


class SupportsValidateJSON(Protocol[T_co]):
    """A validator of JSON with a schema; pydantic's `TypeAdapter` is one."""

    def validate_json(self, data: str | bytes, /) -> T_co:
        """The value of the JSON."""
        ...

    def json_schema(self) -> dict[str, Any]:
        """The JSON Schema."""
        ...


@attrs.frozen(eq=False)
class TypedRequest:
    """A request for a value, and what was decided for it."""

    request: ChatRequest
    mode: Mode
    notes: tuple[str, ...] = ()
    """What the schema that is sent leaves out of the type, for ``info.warnings``."""


@attrs.frozen(eq=False)
class ReplyType(Generic[T]):
    """What the caller asks of a reply: a type, how it is sent, and a check of the value."""

    plan: TypePlan[T]
    mode: ParseMode = "auto"
    strict: bool | None = None
    validate: Callable[[T], object] | None = None

    def typed(self, request: ChatRequest, provider: Provider, model: str) -> TypedRequest:
        """A validated request as one for a value of this type.

        Args:
            request: without tools and `response_format`.
            provider: the provider, as the variant that is asked.
            model: the provider's own name of the model.

        Raises:
            UnsupportedParameterError: the provider has no such mode, or cannot be strict with this type.
        """
        mode: Mode = "schema" if self.mode == "auto" else self.mode
        forced = mode != "tool" or can_force_tool(request, provider.dialect, model)
        typed = typed_request(request, self.plan.name, self.plan.schema, mode, strict=self.strict, forced=forced)
        return TypedRequest(typed, mode)

    def read(self, reply: ChatCompletion, typed: TypedRequest) -> ParsedCompletion[T]:
        """A reply to a typed request, with its values.

        Raises:
            ReplyError: no choice is a value of the type.
        """
        return parsed_completion(reply, self.read_text, typed.mode)

    def read_text(self, text: str, mode: Mode, warnings: list[str]) -> T:
        """The value in the text of a choice.

        Raises:
            ValueMismatch: there is none.
        """
        value = read_value(text, self.plan, mode, warnings)
        if self.validate is not None:
            try:
                self.validate(value)
            except (ValueError, TypeError) as error:
                problem = str(error)
            else:
                return value
            raise ValueMismatch(problem, "value")
        return value


def reply_type(into: object, options: Mapping[str, Any]) -> ReplyType[Any]:
    """The arguments `into`, `mode`, `strict` and `validate` of a call, checked.

    Raises:
        InvalidRequestError: one of them is invalid; `.param` names it.
    """
    mode, strict, validate = options["mode"], options["strict"], options["validate"]
    if mode not in _MODES:
        raise InvalidRequestError(f"mode: expected one of {', '.join(_MODES)}", param="mode")
    if strict is not None and type(strict) is not bool:
        raise InvalidRequestError("strict: expected True, False or None", param="strict")
    if validate is not None and (not callable(validate) or is_async_function(validate)):
        raise InvalidRequestError("validate: expected a plain function of the value", param="validate")
    return ReplyType(compile_type(into), mode, strict, validate)
