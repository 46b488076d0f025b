"""Whether a message agrees with the native content that goes back with it, or its caller has edited it. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..records import AssistantTurn, ChatCompletionMessage, FunctionCall, RefusalPart, TextPart
from .base import EncodingReport
from .shared import loads_or_none


def is_edited(message: AssistantTurn, native: ChatCompletionMessage | None, path: str, report: EncodingReport) -> bool:
    """Whether a message has another text or other calls than its native content; reported with a warning.

    Args:
        message: the message as it is sent.
        native: the message that the native content makes, with all its calls, whose ids may be others: `given_ids` has
            the present ones. None if the content cannot be read.
        path: the place of the native content.
        report: gets the warning.
    """
    if native is not None and _text(message) == _text(native) and _has_calls_of(message, native):
        return False
    report.warn(f"{path} left out: the message was changed, and no longer agrees with it")
    return True


def given_ids(message: AssistantTurn, native: Iterable[str]) -> Iterator[str]:
    """The ids of a message's calls, one for each call of its native content, which had the ids `native`.

    A loop over tools replaces an id that several calls have; the older form of calls has none.
    """
    given = iter(message.tool_calls or ())
    for own in native:
        call = next(given, None)
        yield own if call is None else call.id or own


def _text(message: AssistantTurn) -> str:
    content = message.content or ""
    if isinstance(content, str):
        return content
    texts = (
        part.text if isinstance(part, TextPart) else part.refusal if isinstance(part, RefusalPart) else ""
        for part in content
    )
    return "".join(texts)


def _has_calls_of(message: AssistantTurn, native: ChatCompletionMessage) -> bool:
    expected = native.tool_calls or []
    if message.function_call is not None and not message.tool_calls:
        # The legacy form has a place for one call, and no ids.
        return bool(expected) and _same_function(message.function_call, expected[0].function)
    calls = message.tool_calls or []
    return len(calls) == len(expected) and all(
        call.custom is None and _same_function(call.function, own.function)
        for call, own in zip(calls, expected, strict=True)
    )


def _same_function(given: FunctionCall, native: FunctionCall) -> bool:
    return given.name == native.name and _arguments(given.arguments) == _arguments(native.arguments)


def _arguments(text: str) -> object:
    """The value of arguments; {} for an empty text, which means none, and the text itself where it is no JSON."""
    if not text.strip():
        return {}
    value: object = loads_or_none(text.encode("utf-8", "replace"))
    return text if value is None else value
