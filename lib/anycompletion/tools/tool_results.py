"""Content of tool messages: that of a tool's result, and that of each way in which a call can fail."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, cast

import msgspec

from ..codecs.lenient import replace_surrogates
from ..records import Content, FilePart, ImagePart, Part, Record, TextPart, plain
from .tool_errors import ArgumentMismatch

_PARTS = (TextPart, ImagePart, FilePart)
"""The parts that the result of a tool may have."""


def result_content(value: object) -> Content:
    """The value that a tool returned as content: a text as it is, parts as parts, all else as JSON.

    Raises:
        Exception: the value cannot be written as JSON.
    """
    if isinstance(value, str):
        return sendable_text(value)
    parts = _parts(value)
    return json_text(value) if parts is None else parts


def sendable_text(text: str) -> str:
    """`text` with U+FFFD in place of lone surrogates, which no request can have."""
    text = str.__str__(text)
    return text if text.isascii() else cast("str", replace_surrogates(text))


def _parts(value: object) -> Sequence[Part] | None:
    """A part, or a list of parts and texts, as parts; None for another value."""
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
        Exception: it cannot be written as JSON; what user code raises while it is, comes out as it is.
    """
    if isinstance(value, Record) or (isinstance(value, (list, tuple)) and _has_record(cast("Sequence[Any]", value))):
        value = plain(value)
    try:
        return msgspec.json.encode(value, enc_hook=_known).decode()
    except UnicodeEncodeError:
        data = replace_surrogates(msgspec.to_builtins(value, enc_hook=_known, str_keys=True))
        return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _has_record(values: Sequence[Any]) -> bool:
    return any(isinstance(value, Record) for value in values)


def _known(value: Any) -> Any:
    """A value that msgspec does not know as one that it knows: a pydantic model, or a subclass of a plain type."""
    dump = getattr(cast("Any", type(value)), "model_dump", None)
    if dump is not None:
        return dump(value, mode="json")
    for cls in (str, int, float):
        if isinstance(value, cls):
            return cls(value)
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON")


# --- errors, as JSON objects ---


def invalid_arguments(error: ArgumentMismatch) -> dict[str, object]:
    """The error of arguments that do not fit."""
    return {"error": "invalid arguments", "at": error.at, "expected": error.expected}


def unknown_tool(names: Iterable[str]) -> dict[str, object]:
    """The error of a name that no tool has; `names` are those that there are."""
    return {"error": "unknown tool", "tools": list(names)}


def denied(reason: str | None = None) -> dict[str, object]:
    """The error of a call that was not approved."""
    return {"error": "denied"} if reason is None else {"error": "denied", "reason": reason}


def timed_out(seconds: float) -> dict[str, object]:
    """The error of a tool that took too long."""
    return {"error": f"timed out after {seconds:.3g} s"}


def too_long(length: int, limit: int) -> dict[str, object]:
    """The error of a result with more characters than are allowed."""
    return {"error": f"the result is too long: {length} characters, and at most {limit} are allowed"}


def failed(error: BaseException) -> dict[str, object]:
    """The error of a tool that raised an exception, of which the model gets the class only."""
    return {"error": "the tool failed", "type": type(error).__name__}
