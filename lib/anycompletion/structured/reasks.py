"""Re-asks: where a reply does not fit, the same request once more, with that reply and what is wrong with it."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import TypeVar

import attrs

from ..errors import BadRequestError, CompletionError, ReplyValidationError
from ..providers.structured_support import StructuredMode
from ..records import ChatCompletion, ChatRequest, Usage
from .parsed_completion import ParsedCompletion
from .reply_type import ReplyType, TypedRequest
from .requests import ANSWER, reask_request

T = TypeVar("T")

_SCHEMA_PARAMS = ("response_format", "output_config")
"""Begin of the `param` of a provider's error about a schema."""


async def complete_typed(
    send: Callable[[ChatRequest, int], Awaitable[ChatCompletion]],
    typed: TypedRequest,
    asked: ReplyType[T],
    max_reasks: int = 0,
    refresh: Callable[[ChatRequest], Awaitable[ChatCompletion]] | None = None,
) -> ParsedCompletion[T]:
    """The reply to a typed request, after up to `max_reasks` further requests where replies do not fit.

    Args:
        send: sends a request; gets how many were sent before it.
        typed: the request.
        asked: the type.
        max_reasks: how many requests may follow the first.
        refresh: sends a request whose stored reply, out of a cache, does not fit; that is no re-ask. None leaves it.

    Raises:
        ReplyError: the last reply does not fit, or one was refused or cut.
        CompletionError: what `send` raises, with the last reply as its `.partial`.
    """
    request = typed.request
    failed: ReplyValidationError | None = None
    began = asyncio.get_running_loop().time()
    reasks = 0
    while True:
        read = functools.partial(_read, typed, asked, failed, reasks, began)
        latest = await read(send(request, reasks))
        if isinstance(latest, ReplyValidationError) and refresh is not None and _is_stored(latest):
            latest = await read(refresh(request))
        if isinstance(latest, ParsedCompletion):
            return latest
        if reasks == max_reasks:
            raise latest
        # Only the last reply: with all of them, the cost would grow with the square of the re-asks.
        failed, reasks = latest, reasks + 1
        text = "" if failed.partial is None else failed.partial.text
        request = reask_request(typed.request, text, _problem(failed, typed.mode))


async def _read(
    typed: TypedRequest,
    asked: ReplyType[T],
    failed: ReplyValidationError | None,
    reasks: int,
    began: float,
    sent: Awaitable[ChatCompletion],
) -> ParsedCompletion[T] | ReplyValidationError:
    """The reply to a request that was sent after `failed`, or why it does not fit."""
    try:
        reply = await sent
    except CompletionError as error:
        add_mode_note(error, typed)
        if failed is not None:
            _add_earlier(error, failed)
        raise
    if failed is not None:
        reply = _with_earlier(reply, failed, reasks, asyncio.get_running_loop().time() - began)
    try:
        return asked.read(reply, typed)
    except ReplyValidationError as error:
        return error.with_traceback(None)


def _is_stored(error: ReplyValidationError) -> bool:
    return error.partial is not None and error.partial.info.cached


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


def add_mode_note(error: CompletionError, typed: TypedRequest) -> None:
    """Adds to the refusal of a schema what to try."""
    if typed.mode == "schema" and isinstance(error, BadRequestError) and (error.param or "").startswith(_SCHEMA_PARAMS):
        error.message = f'{error.message} (the provider refuses this schema; mode="tool" may work)'
        error.args = (error.message,)
