"""What `client.parse` does: one typed call, and where re-asks are allowed, others with the last reply and its error.

Middleware, limits and spans see plain requests and replies: typing happens outside of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar

import attrs

from .._boundary import UsageError
from ..errors import BadRequestError, CompletionError, InvalidRequestError, ReplyValidationError
from ..options import OptionValues
from ..providers import Provider
from ..providers.structured_support import StructuredMode
from ..records import ChatCompletion, ChatRequest, Usage
from ..validation import parse_call
from .parsed_completion import ParsedCompletion
from .reply_type import ReplyType, TypedRequest, reply_type
from .requests import ANSWER, reask_request

T = TypeVar("T")

_SET_BY_PARSE = frozenset(
    ("response_format", "tools", "tool_choice", "functions", "function_call", "parallel_tool_calls")
)
"""Parameters that `parse` has not, because it makes them of the type."""

_SCHEMA_PARAMS = ("response_format", "output_config")
"""Begin of the `param` of a provider's error about a schema."""

_MAX_REASKS = 100


class Dispatcher(Protocol):
    """The part of a client that makes its calls."""

    def complete(self, request: ChatRequest, options: OptionValues, started: float = 0.0) -> Awaitable[ChatCompletion]:
        """One whole reply to a call that began at `started`, on the loop's clock."""
        ...

    def complete_again(self, request: ChatRequest, options: OptionValues, started: float) -> Awaitable[ChatCompletion]:
        """One more reply of the call that began at `started`, within the same total timeout."""
        ...

    def provider_of(self, model: str, options: OptionValues) -> tuple[Provider, str]:
        """The provider of a model, and the model as it is written after the provider's name."""
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
    for name in params:
        if name in _SET_BY_PARSE:
            raise UsageError(f"parse has no {name!r}: it asks for the type by itself; create(..., {name}=...) has it")
    asked = reply_type(into, arguments)
    max_reasks = _checked_reasks(arguments["max_reasks"])
    request, options = parse_call(model, messages, params)
    if max_reasks and (request.n or 1) > 1:
        raise InvalidRequestError("max_reasks: works for one choice only; leave out n", param="max_reasks")
    typed = asked.typed(request, *dispatcher.provider_of(request.model, options))

    def send(request: ChatRequest, reasks: int) -> Awaitable[ChatCompletion]:
        complete = dispatcher.complete_again if reasks else dispatcher.complete
        return complete(request, options, started)

    return await complete_typed(send, typed, asked, max_reasks)


def _checked_reasks(value: object) -> int:
    if type(value) is not int or not 0 <= value <= _MAX_REASKS:
        raise InvalidRequestError(f"max_reasks: expected a number from 0 to {_MAX_REASKS}", param="max_reasks")
    return value


async def complete_typed(
    send: Callable[[ChatRequest, int], Awaitable[ChatCompletion]],
    typed: TypedRequest,
    asked: ReplyType[T],
    max_reasks: int = 0,
) -> ParsedCompletion[T]:
    """The reply to a typed request, after up to `max_reasks` further requests where replies do not fit.

    Args:
        send: sends a request; gets how many were sent before it.
        typed: the request.
        asked: the type.
        max_reasks: how many requests may follow the first.

    Raises:
        ReplyError: the last reply does not fit, or one was refused or cut.
        CompletionError: what `send` raises, with the last reply as its `.partial`.
    """
    request, failed = typed.request, None
    began = asyncio.get_running_loop().time()
    for reasks in range(max_reasks + 1):
        try:
            reply = await send(request, reasks)
        except CompletionError as error:
            _add_mode_note(error, typed)
            if failed is not None:
                _add_earlier(error, failed)
            raise
        if failed is not None:
            reply = _with_earlier(reply, failed, reasks, asyncio.get_running_loop().time() - began)
        try:
            return asked.read(reply, typed)
        except ReplyValidationError as error:
            if reasks == max_reasks:
                raise
            failed = error
        # Only the last reply: with all of them, the cost would grow with the square of the re-asks.
        request = reask_request(
            typed.request, failed.partial.text if failed.partial else "", _problem(failed, typed.mode)
        )
    raise AssertionError("the last round returns or raises")


def _problem(failed: ReplyValidationError, mode: StructuredMode) -> str:
    """What the model gets to know of its reply; here the words of a check are what helps it."""
    again = (
        f"Call {ANSWER} again, with all of it corrected."
        if mode == "tool"
        else "Reply again, with all of it corrected."
    )
    what = failed.expected if failed.kind == "value" else f"expected {failed.expected}"
    return f"That reply does not fit: {failed.path}: {what}. {again}"


def _with_earlier(reply: ChatCompletion, failed: ReplyValidationError, reasks: int, elapsed: float) -> ChatCompletion:
    """A reply with the tokens and attempts of the replies before it."""
    info = attrs.evolve(
        reply.info,
        attempts=failed.attempts + reply.info.attempts,
        elapsed=elapsed,
        reasks=reasks,
        warnings=[*reply.info.warnings],
    )
    usages = [each for each in (failed.usage, reply.usage) if each is not None]
    usage = Usage.total_of(usages) if len(usages) == 2 else None
    return attrs.evolve(reply, usage=usage, info=info)


def _add_earlier(error: CompletionError, failed: ReplyValidationError) -> None:
    """Adds to the error of a re-ask what was paid for before it."""
    error.attempts += failed.attempts
    error.maybe_billed = True
    if error.partial is None:
        error.partial = failed.partial


def _add_mode_note(error: CompletionError, typed: TypedRequest) -> None:
    """Adds to the refusal of a schema what to try."""
    if typed.mode == "schema" and isinstance(error, BadRequestError) and (error.param or "").startswith(_SCHEMA_PARAMS):
        error.message = f'{error.message} (the provider refuses this schema; mode="tool" may work)'
        error.args = (error.message,)
