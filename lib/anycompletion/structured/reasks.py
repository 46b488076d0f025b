"""Re-asks: where a reply does not fit, the same request once more, with that reply and what is wrong with it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

import attrs

from ..errors import BadRequestError, CompletionError, ReplyValidationError
from ..records import ChatCompletion, ChatRequest, Usage
from .parsed_completion import ParsedCompletion
from .reply_type import ReplyType, TypedRequest
from .requests import ANSWER, calls_answer, reask_request

T = TypeVar("T")

_SCHEMA_PARAMS = ("response_format", "output_config", "text.format", "json_schema", "response_json_schema")
"""Parts of the `param` of a provider's error about a schema, or of its message, where providers name none."""


Send: TypeAlias = Callable[[ChatRequest, int], Awaitable[ChatCompletion]]
"""Sends a request; gets how many re-asks it is after the first request."""

Refresh: TypeAlias = Callable[[ChatRequest], Awaitable[ChatCompletion] | None]
"""Sends a request to which a cache has a reply, past that reply; None where the call must not ask anew."""


async def complete_typed(
    send: Send, typed: TypedRequest, asked: ReplyType[T], max_reasks: int = 0, refresh: Refresh | None = None
) -> ParsedCompletion[T]:
    """The reply to a typed request, after up to `max_reasks` further requests where replies do not fit.

    Args:
        send: sends requests.
        typed: the first request.
        asked: the type.
        max_reasks: how many requests may follow.
        refresh: sends a request whose stored reply does not fit; that is no re-ask. None: such a reply counts as any.

    Raises:
        ReplyError: the last reply does not fit, or one was refused or cut.
        CompletionError: what `send` raises, with the last reply as its `.partial`.
    """
    try:
        reply = await send(typed.request, 0)
    except CompletionError as error:
        add_mode_note(error, typed)
        raise
    try:
        return asked.read(reply, typed)
    except ReplyValidationError as error:
        failed = error
    return await _complete_again(send, typed, asked, max_reasks, refresh, failed)


async def _complete_again(
    send: Send,
    typed: TypedRequest,
    asked: ReplyType[T],
    max_reasks: int,
    refresh: Refresh | None,
    failed: ReplyValidationError,
) -> ParsedCompletion[T]:
    """The same after the first reply, which does not fit."""
    began = asyncio.get_running_loop().time() - (failed.elapsed or 0)
    earlier: ReplyValidationError | None = None
    request, reasks, is_refreshed = typed.request, 0, False
    while True:
        is_stored = failed.partial is not None and failed.partial.info.cached
        sent = refresh(request) if refresh is not None and is_stored and not is_refreshed else None
        is_refreshed = sent is not None
        if sent is None and reasks == max_reasks:
            raise failed
        if sent is None:
            # With the last reply only: with all of them, the cost would grow with the square of the re-asks.
            text = "" if failed.partial is None else failed.partial.text
            request = reask_request(typed.request, text, problem_text(failed, typed.request))
            earlier, reasks = failed, reasks + 1
            sent = send(request, reasks)
        try:
            reply = await sent
        except CompletionError as error:
            add_mode_note(error, typed)
            if earlier is not None:
                _add_earlier(error, earlier)
            raise
        if earlier is not None:
            reply = _with_earlier(reply, earlier, reasks, asyncio.get_running_loop().time() - began)
        try:
            return asked.read(reply, typed)
        except ReplyValidationError as error:
            failed = error.with_traceback(None)


def problem_text(failed: ReplyValidationError, request: ChatRequest) -> str:
    """What the model gets to know of its reply; here the words of a check are what helps it."""
    again = (
        f"Call {ANSWER} again, with all of it corrected."
        if calls_answer(request)
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
    if typed.mode != "schema" or not isinstance(error, BadRequestError):
        return
    place = error.param or error.message
    if any(name in place for name in _SCHEMA_PARAMS):
        error.message = f'{error.message} (the provider refuses this schema; mode="tool" may work)'
        error.args = (error.message,)
