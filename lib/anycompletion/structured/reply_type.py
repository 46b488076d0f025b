"""ReplyType: the type that a call asks for, how it is asked for and checked; makes typed requests and reads replies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

import msgspec

from .._async import is_async_function
from ..errors import InvalidRequestError
from ..providers import Provider
from ..providers.structured_support import STRUCTURED_MODES, ParseMode, StructuredMode
from ..records import ChatCompletion, ChatRequest
from .mismatch import refusal
from .parsed_choices import parsed_completion
from .parsed_completion import ParsedCompletion
from .reading import read_value
from .requests import typed_request
from .route_requests import neutral_request
from .schemas import PreparedSchema, forces_tool, resolve_mode, schema_for
from .types import TypePlan, compile_type

T = TypeVar("T")

_MODES = ("auto", *STRUCTURED_MODES)

_MAX_PREPARED = 256
"""Models of one type whose schemas are kept."""


class TypedRequest(msgspec.Struct, frozen=True, eq=False):
    """A request for a value, and what was decided for it."""

    request: ChatRequest
    mode: StructuredMode
    notes: tuple[str, ...] = ()
    """What the schema that is sent leaves out of the type, for ``info.warnings``."""


class ReplyType(msgspec.Struct, Generic[T], frozen=True, eq=False):
    """What the caller asks of a reply: a type, how it is sent, and a check of the value."""

    plan: TypePlan[T]
    mode: ParseMode = "auto"
    strict: bool | None = None
    validate: Callable[[T], object] | None = None

    def typed(self, request: ChatRequest, provider: Provider, model: str, is_routed: bool = False) -> TypedRequest:
        """A validated request as one for a value of this type.

        Args:
            request: without tools and `response_format`.
            provider: the provider.
            model: the model as the caller wrote it after the provider's name: it may name a variant.
            is_routed: whether the call takes a route, so that the targets have requests of their own.

        Raises:
            UnsupportedParameterError: the provider has no such mode, or cannot be strict with this type.
        """
        if is_routed:
            # Replies are read as in tool mode: the arguments of a call, or else a text as of a prompt.
            return TypedRequest(
                neutral_request(request, self.plan.name, self.plan.schema, self.mode, self.strict), "tool"
            )
        mode, prepared = self.prepared(provider, model)
        forced = mode != "tool" or forces_tool(provider, model, request.given())
        typed = typed_request(request, self.plan.name, prepared.schema, mode, strict=prepared.strict, forced=forced)
        return TypedRequest(typed, mode, prepared.notes)

    def prepared(self, provider: Provider, model: str) -> tuple[StructuredMode, PreparedSchema]:
        """The mode and the schema for a model; made once for each type and model."""
        kept = _PREPARED.setdefault(self.plan.identity, {})
        key = (provider.name, model, self.mode, self.strict)
        found = kept.get(key)
        if found is not None and found[0] is provider:
            return found[1:]
        schema = self.plan.schema
        mode = resolve_mode(provider, model, schema, mode=self.mode, strict=self.strict)
        prepared = schema_for(provider, model, schema, mode=mode, strict=self.strict)
        if len(kept) >= _MAX_PREPARED:
            kept.clear()
        kept[key] = (provider, mode, prepared)
        return mode, prepared

    def read(self, reply: ChatCompletion, typed: TypedRequest) -> ParsedCompletion[T]:
        """A reply to a typed request, with its values.

        Raises:
            ReplyError: no choice is a value of the type.
        """
        return parsed_completion(reply, self.read_text, typed.mode, is_wrapped=self.plan.wrapped, notes=typed.notes)

    def read_stored(self, reply: ChatCompletion) -> ParsedCompletion[T]:
        """A stored reply with its values, however it was asked for.

        Raises:
            ReplyError: no choice is a value of the type.
        """
        # The mode "prompt" accepts what any mode does; the arguments of a call are the text of a stored reply.
        return parsed_completion(reply, self.read_text, "prompt", is_wrapped=self.plan.wrapped)

    def read_text(self, text: str, mode: StructuredMode, warnings: list[str]) -> T:
        """The value in the text of a choice.

        Raises:
            ValueMismatch: there is none.
        """
        value = read_value(text, self.plan, mode, warnings)
        if self.validate is not None:
            try:
                self.validate(value)
            except (ValueError, TypeError) as error:
                refused = refusal(error)
            else:
                return value
            raise refused
        return value


_Key: TypeAlias = tuple[str, str, ParseMode, bool | None]
_PREPARED: WeakKeyDictionary[object, dict[_Key, tuple[Provider, StructuredMode, PreparedSchema]]] = WeakKeyDictionary()
"""Type → provider's name, model, mode and strict → what was prepared for them."""


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
