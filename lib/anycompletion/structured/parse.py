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

    def provider_of(self, model: str, options: OptionValues) -> tuple[Provider, str]:
        """The provider of a model, and the model as it is written after the provider's name."""
        ...


class Dispatcher(ProviderLookup, Protocol):
    """The part of a client that makes its calls."""

    def complete(self, request: ChatRequest, options: OptionValues, started: float = 0.0) -> Awaitable[ChatCompletion]:
        """One whole reply to a call that began at `started`, on the loop's clock."""
        ...

    def complete_again(self, request: ChatRequest, options: OptionValues, started: float) -> Awaitable[ChatCompletion]:
        """One more reply of the call that began at `started`, within the same total timeout."""
        ...


async def parse(
    dispatcher: Dispatcher,
    model: str,
    messages: object,
    into: object,
    arguments: Mapping[str, Any],
    params: Mapping[str, Any],
    started: float,
) -> ParsedCompletion[Any]:
    """The reply to a call of `client.parse`.

    Args:
        dispatcher: makes the calls.
        model, messages, into: as the caller wrote them.
        arguments: `mode`, `strict`, `max_reasks` and `validate`.
        params: the other keywords.
        started: when the call began, on the loop's clock.

    Raises:
        ReplyError: the reply is no value of the type.
        CompletionError: what `create` raises.
    """
    asked, typed, options = typed_call(dispatcher, model, messages, into, arguments, params)
    max_reasks = checked_reasks(arguments["max_reasks"])
    if max_reasks and (typed.request.n or 1) > 1:
        raise InvalidRequestError("max_reasks: works for one choice only; leave out n", param="max_reasks")

    def send(request: ChatRequest, reasks: int) -> Awaitable[ChatCompletion]:
        complete = dispatcher.complete_again if reasks else dispatcher.complete
        return complete(request, options, started)

    def refresh(request: ChatRequest) -> Awaitable[ChatCompletion]:
        return dispatcher.complete_again(request, with_refresh(options), started)

    return await complete_typed(send, typed, asked, max_reasks, refresh if may_refresh(options) else None)


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
    for name in params:
        if name in SET_BY_PARSE:
            raise UsageError(f"parse has no {name!r}: it asks for the type by itself; create(..., {name}=...) has it")
    asked = reply_type(into, arguments)
    request, options = parse_call(model, messages, params)
    return asked, asked.typed(request, *dispatcher.provider_of(request.model, options)), options


def may_refresh(options: OptionValues) -> bool:
    """Whether a call whose stored reply does not fit may ask anew."""
    given = options.get("cache")
    return (given.mode if isinstance(given, CacheControl) else given) != "only"


def with_refresh(options: OptionValues) -> OptionValues:
    """The options of a call that replaces the stored reply of a cache."""
    given = options.get("cache")
    control = attrs.evolve(given, mode="refresh") if isinstance(given, CacheControl) else "refresh"
    return options | OptionValues({"cache": control})


def checked_reasks(value: object) -> int:
    """The argument `max_reasks`, checked.

    Raises:
        InvalidRequestError: it is no number, or out of range.
    """
    if type(value) is not int or not 0 <= value <= _MAX_REASKS:
        raise InvalidRequestError(f"max_reasks: expected a number from 0 to {_MAX_REASKS}", param="max_reasks")
    return value
