"""Reads the choices of a reply as values; refusals, cut replies and mismatches become errors with the whole reply."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar, assert_never

import attrs

from ..errors import ReplyError, ReplyRefusedError, ReplyTruncatedError, ReplyValidationError
from ..providers.structured_support import StructuredMode
from ..records import ChatCompletion, Choice
from .mismatch import ValueMismatch
from .parsed_completion import ParsedCompletion
from .partial import partial_data
from .requests import ANSWER

T = TypeVar("T")

ReadText: TypeAlias = Callable[[str, StructuredMode, list[str]], T]
"""Makes the value of a text; gets how the schema was sent, and a list for warnings."""


def parsed_completion(
    reply: ChatCompletion,
    read: ReadText[T],
    mode: StructuredMode,
    *,
    is_wrapped: bool = False,
    notes: Sequence[str] = (),
) -> ParsedCompletion[T]:
    """`reply` with the values of its choices.

    Args:
        reply: a whole reply to a typed request.
        read: makes the value of a choice's text.
        mode: how the schema was sent.
        is_wrapped: whether the value is the member of an object made for it.
        notes: further lines for ``info.warnings``.

    Raises:
        ReplyError: no choice is a value; the error is that of the first one.
    """
    sent: list[StructuredMode] | None = None
    if mode == "tool":
        read_as = [_as_text(each) for each in reply.choices]
        sent = [each[1] for each in read_as]
        reply = attrs.evolve(reply, choices=[each[0] for each in read_as])
    values: list[T] = []
    errors: list[ReplyError] = []
    warnings: list[str] = [*notes]
    for at, choice in enumerate(reply.choices):
        if choice.finish_reason in _INCOMPLETE or choice.message.refusal:
            errors.append(_incomplete(choice, is_wrapped))
            continue
        text = choice.message.content or ""
        try:
            values.append(read(text, mode if sent is None else sent[at], warnings))
        except ValueMismatch as found:
            errors.append(mismatch_error(found, choice.index, text))
    if warnings:
        info = reply.info
        reply = attrs.evolve(reply, info=attrs.evolve(info, warnings=[*info.warnings, *warnings]))
    for error in errors:
        add_details(error, reply)
    if not values:
        raise errors[0] if errors else add_details(ReplyValidationError("the reply has no choice", kind="json"), reply)
    return ParsedCompletion.of(reply, reply.choices, values, errors)


def _as_text(choice: Choice) -> tuple[Choice, StructuredMode]:
    """A choice of a reply in tool mode with the arguments as its content, and the mode in which that is read.

    Without a call of the tool, it is read as the reply to a prompt: its text may be the value.
    """
    call = next((each for each in choice.message.tool_calls or () if each.function.name == ANSWER), None)
    if call is None:
        return choice, "prompt"
    message = attrs.evolve(choice.message, content=call.function.arguments, tool_calls=None, parts=None)
    reason = "stop" if choice.finish_reason in ("tool_calls", "function_call") else choice.finish_reason
    return attrs.evolve(choice, message=message, finish_reason=reason), "tool"


_INCOMPLETE = ("length", "content_filter")
"""Finish reasons of texts that are not whole."""


def _incomplete(choice: Choice, is_wrapped: bool) -> ReplyError:
    """The error of a refusal, or of a text that was cut."""
    message, text = choice.message, choice.message.content or ""
    if message.refusal or choice.finish_reason == "content_filter":
        why = "the model refused" if message.refusal else "a content filter ended the reply"
        return ReplyRefusedError(why, refusal=message.refusal or "", choice=choice.index, text=text)
    why = "the reply was cut at the token limit before its value was complete"
    data = partial_data(text, is_wrapped=is_wrapped)
    return ReplyTruncatedError(why, data=data, choice=choice.index, text=text)


def mismatch_error(found: ValueMismatch, choice: int, text: str) -> ReplyValidationError:
    """The error of a choice whose text does not fit."""
    match found.kind:
        case "json":
            why = f"the reply does not fit: expected {found.expected}"
        case "schema":
            why = f"the reply does not fit: {found.path}: expected {found.expected}"
        case "value":  # the words of a check may repeat the model's
            why = f"the reply does not fit: {found.path}: refused by a check of the value; .expected has its words"
        case _:
            assert_never(found.kind)
    return ReplyValidationError(
        why, path=found.path, kind=found.kind, expected=found.expected, choice=choice, text=text
    )


def add_details(error: ReplyError, reply: ChatCompletion) -> ReplyError:
    """The error, with what is known of the call that brought the reply."""
    info = reply.info
    error.provider, error.model, error.request_id = info.provider, info.model, info.request_id
    error.attempts, error.elapsed, error.headers = info.attempts, info.elapsed, info.headers or None
    error.partial, error.usage, error.maybe_billed = reply, reply.usage, True
    return error
