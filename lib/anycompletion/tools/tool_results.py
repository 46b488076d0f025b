"""Content of tool messages: that of a tool's result, and that of each way in which a call can fail."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import msgspec

from ..codecs.lenient import replace_surrogates
from ..records import AudioPart, Content, FilePart, ImagePart, Part, TextPart
from ..records.base import ModelMethods
from .tool_errors import ArgumentMismatch

_PARTS = (TextPart, ImagePart, FilePart)
"""The parts that the result of a tool may have."""


def result_content(value: object) -> Content:
    """The value that a tool returned as content: a text as it is, parts as parts, all else as JSON.

    Raises:
        Exception: the value cannot be written as JSON, or has an invalid part.
    """
    if isinstance(value, str):
        return sendable_text(value)
    if isinstance(value, _PARTS):
        return _checked_parts([value])
    if isinstance(value, (list, tuple)):
        items = cast("Sequence[object]", value)
        if any(isinstance(item, _PARTS) for item in items):
            return _checked_parts([_as_part(item) for item in items])
    return json_text(cast("object", value))


def sendable_text(text: str) -> str:
    """`text` with U+FFFD in place of lone surrogates, which no request can have."""
    text = str.__str__(text)
    return text if text.isascii() else cast("str", replace_surrogates(text))


def _as_part(item: object) -> Part:
    """An item beside parts: a text, or the JSON of another value, becomes a part with text."""
    if isinstance(item, _PARTS):
        return item
    return TextPart(item if isinstance(item, str) else json_text(item))


def _checked_parts(parts: list[Part]) -> list[Part]:
    """Parts that requests can have, as the parts of a caller's messages are checked.

    Raises:
        Exception: one of them is invalid.
    """
    from ..validation.structure import structure  # noqa: PLC0415 (loads cattrs, which results without parts do not need)

    checked: list[Part] = structure(parts, Content, "result")
    found = [part.to_dict() for part in checked]
    sendable = replace_surrogates(found)
    return checked if sendable == found else cast("list[Part]", structure(sendable, Content, "result"))


def text_length(content: Content) -> int:
    """Characters of the text in a content; images and files do not count."""
    if isinstance(content, str):
        return len(content)
    return sum(len(part.text) for part in content if isinstance(part, TextPart))


def json_text(value: object) -> str:
    """A value as JSON text.

    Raises:
        Exception: it cannot be written as JSON, as bytes, NaN and infinity; what user code raises while it is written,
            comes out as it is.
    """
    data = msgspec.to_builtins(_with_plain_records(value), enc_hook=_known, builtin_types=_BYTES, str_keys=True)
    # json refuses bytes and numbers that are not finite, for which msgspec has base64 and null.
    return sendable_text(json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")))


_BYTES = (bytes, bytearray, memoryview)


def _with_plain_records(value: Any) -> Any:
    """A value whose records, which msgspec would write with all their attributes, are plain data."""
    if isinstance(value, AudioPart):
        raise TypeError("audio cannot be in the result of a tool")
    if isinstance(value, ModelMethods):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {key: _with_plain_records(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, (list, tuple)):
        return [_with_plain_records(item) for item in cast("Sequence[Any]", value)]
    return value


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
