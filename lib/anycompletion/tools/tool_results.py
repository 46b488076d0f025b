"""Content of tool messages: that of a tool's result, and that of each way in which a call can fail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import msgspec

from ..records import Content, FilePart, ImagePart, Part, Record, TextPart
from .tool_errors import ArgumentMismatch

_PARTS = (TextPart, ImagePart, FilePart)


def result_content(value: object) -> Content:
    """The value that a tool returned as the content of a tool message: text, or content parts.

    Raises:
        TypeError, ValueError, RecursionError: the value cannot be written as JSON.
    """
    if isinstance(value, str):
        return sendable_text(str.__str__(value))
    parts = _parts(value)
    return json_text(value) if parts is None else parts


def sendable_text(text: str) -> str:
    """`text` with U+FFFD in place of lone surrogates, which no request can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _parts(value: object) -> list[Part] | None:
    """Content parts, or texts among them, as parts; None for another value."""
    if isinstance(value, _PARTS):
        return [value]
    if not isinstance(value, (list, tuple)):
        return None
    items = cast("Sequence[object]", value)
    if not any(isinstance(item, _PARTS) for item in items):
        return None
    if not all(isinstance(item, (*_PARTS, str)) for item in items):
        return None
    return [TextPart(sendable_text(item)) if isinstance(item, str) else cast("Part", item) for item in items]


def text_length(content: Content) -> int:
    """Characters of the text in a content; images and files do not count."""
    if isinstance(content, str):
        return len(content)
    return sum(len(part.text) for part in content if isinstance(part, TextPart))


def json_text(value: object) -> str:
    """A value as JSON text.

    Raises:
        TypeError, ValueError, RecursionError: it cannot be written as JSON.
    """
    if isinstance(value, Record):
        value = value.to_dict()
    return msgspec.json.encode(value, enc_hook=_plain).decode()


def _plain(value: Any) -> Any:
    """A value that msgspec does not know as one that it does: models of pydantic, and subclasses of plain types."""
    dump = getattr(cast("Any", type(value)), "model_dump", None)
    if dump is not None:
        return dump(value, mode="json")
    for plain in (str, int, float):
        if isinstance(value, plain):
            return plain(value)
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON")


# --- errors, as JSON objects ---


def invalid_arguments(error: ArgumentMismatch) -> dict[str, object]:
    """The arguments do not fit."""
    return {"error": "invalid arguments", "at": error.at, "expected": error.expected}


def unknown_tool(names: Iterable[str]) -> dict[str, object]:
    """There is no tool of this name; `names` are those that there are."""
    return {"error": "unknown tool", "tools": list(names)}


def denied(reason: str | None = None) -> dict[str, object]:
    """The call was not approved."""
    return {"error": "denied"} if reason is None else {"error": "denied", "reason": reason}


def timed_out(seconds: float) -> dict[str, object]:
    """The tool did not answer in time."""
    return {"error": f"timed out after {seconds:.3g} s"}


def too_long(length: int, limit: int) -> dict[str, object]:
    """The result has more characters than allowed."""
    return {"error": f"the result is too long: {length} characters, where {limit} are allowed"}


def failed(error: BaseException) -> dict[str, object]:
    """The tool raised an exception, of which the model gets to know the class only."""
    return {"error": "the tool failed", "type": type(error).__name__}
