"""What `client.parse` does: its arguments become a typed request, and the reply to that a value.

Middleware, limits and spans see plain requests and replies: typing happens outside of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any, Protocol, TypeVar

import attrs

from .._boundary import UsageError
from ..cache_control import CacheControl
from ..errors import InvalidRequestError
from ..options import OptionValues
from ..providers import Provider
from ..records import ChatCompletion, ChatRequest
from ..validation import parse_call
from .parsed_completion import ParsedCompletion
from .reasks import complete_typed
from .reply_type import ReplyType, TypedRequest, reply_type

T = TypeVar("T")

SET_BY_PARSE = frozenset(
    ("response_format", "tools", "tool_choice", "functions", "function_call", "parallel_tool_calls")
)
"""Parameters that `parse` has not, because it makes them of the type."""

_MAX_REASKS = 100


class ProviderLookup(Protocol):
    """The part of a client that knows its providers."""

    def provider_of(self, model: str, options: OptionValues) -> tuple[Provider, str, bool]:
        """The provider of a model, the model as it is written after the provider's name, and whether that is a route.

        Of a route, they are those of its first target.
        """
        ...


class Dispatcher(ProviderLookup, Protocol):
    """The part of a client that makes its calls."""

    defaults: OptionValues
    """Options of calls that do not have them."""

    def complete(self, request: ChatRequest, options: OptionValues, started: float = 0.0) -> Awaitable[ChatCompletion]:
        """One whole reply to a call that began at `started`, on the loop's clock."""
        ...

    def complete_again(self, request: ChatRequest, options: OptionValues, started: float) -> Awaitable[ChatCompletion]:
        """One more reply of the call that began at `started`, within the same total timeout."""
        ...


async def parse(
    dispatcher: Dispatcher,
    asked: ReplyType[T],
    typed: TypedRequest,
    options: OptionValues,
    max_reasks: object,
    started: float,
) -> ParsedCompletion[T]:
    """The reply to a call of `client.parse`.

    Args:
        dispatcher: makes the calls.
        asked, typed, options: what `typed_call` returned.
        max_reasks: as the caller wrote it.
        started: when the call began, on the loop's clock.

    Raises:
        ReplyError: the reply is no value of the type.
        CompletionError: what `create` raises.
    """
    reasks = checked_reasks(max_reasks)
    if reasks and (typed.request.n or 1) > 1:
        raise InvalidRequestError("max_reasks: works for one choice only; leave out n", param="max_reasks")

    def send(request: ChatRequest, reasks: int) -> Awaitable[ChatCompletion]:
        complete = dispatcher.complete_again if reasks else dispatcher.complete
        return complete(request, options, started)

    def refresh(request: ChatRequest) -> Awaitable[ChatCompletion] | None:
        renewed = with_refresh(options, dispatcher.defaults)
        return None if renewed is None else dispatcher.complete_again(request, renewed, started)

    return await complete_typed(send, typed, asked, reasks, refresh)


def typed_call(
    dispatcher: ProviderLookup,
    model: str,
    messages: object,
    into: object,
    arguments: Mapping[str, Any],
    params: Mapping[str, Any],
) -> tuple[ReplyType[Any], TypedRequest, OptionValues]:
    """What a call asks for, its request and its options, of the caller's arguments.

    Raises:
        CompletionError: an argument is invalid, or the provider cannot be asked for the type.
        TypeError: an unknown keyword.
    """
    try:
        for name in params:
            if name in SET_BY_PARSE:
                hint = f"it asks for the type by itself; create(..., {name}=...) has it"
                raise UsageError(f"parse has no {name!r}: {hint}")
        asked = reply_type(into, arguments)
        request, options = parse_call(model, messages, params)
    finally:
        del params  # tracebacks have this frame, and keys may be among them
    return asked, asked.typed(request, *dispatcher.provider_of(request.model, options)), options


def with_refresh(options: OptionValues, defaults: OptionValues) -> OptionValues | None:
    """The options of a call that replaces the stored reply of a cache; None for one that must not ask anew."""
    given = (defaults | options).get("cache")
    control = given if isinstance(given, CacheControl) else CacheControl(given or "use")
    return None if control.mode == "only" else options | OptionValues({"cache": attrs.evolve(control, mode="refresh")})


def checked_reasks(value: object) -> int:
    """The argument `max_reasks`, checked.

    Raises:
        InvalidRequestError: it is no number, or out of range.
    """
    if type(value) is not int or not 0 <= value <= _MAX_REASKS:
        raise InvalidRequestError(f"max_reasks: expected a number from 0 to {_MAX_REASKS}", param="max_reasks")
    return value
