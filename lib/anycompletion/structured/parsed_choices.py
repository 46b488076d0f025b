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
from .requests import ANSWER

T = TypeVar("T")

ReadText: TypeAlias = Callable[[str, StructuredMode, list[str]], T]
"""Makes the value of a text; gets how the schema was sent, and a list for warnings."""


def parsed_completion(
    reply: ChatCompletion, read: ReadText[T], mode: StructuredMode, notes: Sequence[str] = ()
) -> ParsedCompletion[T]:
    """`reply` with the values of its choices.

    Args:
        reply: a whole reply to a typed request.
        read: makes the value of a choice's text.
        mode: how the schema was sent.
        notes: further lines for ``info.warnings``.

    Raises:
        ReplyError: no choice is a value; the error is that of the first one.
    """
    if mode == "tool":
        reply = attrs.evolve(reply, choices=[_with_arguments_as_text(each) for each in reply.choices])
    values: list[T] = []
    errors: list[ReplyError] = []
    warnings: list[str] = [*notes]
    for choice in reply.choices:
        try:
            values.append(_read_choice(choice, read, mode, warnings))
        except ReplyError as failure:
            errors.append(failure)
    if warnings:
        info = reply.info
        reply = attrs.evolve(reply, info=attrs.evolve(info, warnings=[*info.warnings, *warnings]))
    for error in errors:
        _add_details(error, reply)
    if not values:
        raise errors[0] if errors else _add_details(ReplyValidationError("the reply has no choice", kind="json"), reply)
    return ParsedCompletion.of(reply, reply.choices, values, errors)


def _with_arguments_as_text(choice: Choice) -> Choice:
    """A choice whose content is the arguments of its call of `answer`; itself where it has no such call."""
    call = next((each for each in choice.message.tool_calls or () if each.function.name == ANSWER), None)
    if call is None:
        return choice
    message = attrs.evolve(choice.message, content=call.function.arguments, tool_calls=None, parts=None)
    ended = choice.finish_reason in ("tool_calls", "function_call")
    return attrs.evolve(choice, message=message, finish_reason="stop" if ended else choice.finish_reason)


def _read_choice(choice: Choice, read: ReadText[T], mode: StructuredMode, warnings: list[str]) -> T:
    message, text = choice.message, choice.message.content or ""
    if message.refusal or choice.finish_reason == "content_filter":
        why = "the model refused" if message.refusal else "a content filter ended the reply"
        raise ReplyRefusedError(why, refusal=message.refusal or "", choice=choice.index, text=text)
    if choice.finish_reason == "length":
        why = "the reply was cut at the token limit before its value was complete"
        raise ReplyTruncatedError(why, data=None, choice=choice.index, text=text)
    try:
        # Where the tool was not called, the text may be the answer, as in a prompt's reply.
        return read(text, "prompt" if mode == "tool" and message.tool_calls is None else mode, warnings)
    except ValueMismatch as error:
        found = error
    raise _mismatch_error(found, choice.index, text)


def _mismatch_error(found: ValueMismatch, choice: int, text: str) -> ReplyValidationError:
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


def _add_details(error: ReplyError, reply: ChatCompletion) -> ReplyError:
    info = reply.info
    error.provider, error.model, error.request_id = info.provider, info.model, info.request_id
    error.attempts, error.elapsed, error.headers = info.attempts, info.elapsed, info.headers or None
    error.partial, error.usage, error.maybe_billed = reply, reply.usage, True
    return error
