"""Lenient reading of a provider's JSON: a value of another type is converted where its meaning is clear.

Two families of functions. `as_object`, `as_list`, `as_str` and `as_optional_str` read what a reply consists of:
choices, messages, texts, tool calls, names, arguments. A value that cannot be converted is a `ShapeError` that names
the path, because to leave it out would lose a part of the reply silently. The `optional_*` functions read everything
else, where no type may cost a paid reply: a value that cannot be converted reads as None.

Conversions, in both families: a list of one is its item, an object in place of a list is a list of one, nulls in lists
are left out, numbers and their text are the same, fractions of counts are cut, the JSON text of an object is that
object.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from codecs import BOM_UTF8
from collections.abc import Callable
from typing import Any, TypeVar, cast

T = TypeVar("T")

_LARGEST = 10**300
"""Larger integers cannot be converted to floats, and sums of them not to JSON."""


class ShapeError(ValueError):
    """A value in a provider's JSON has a type that cannot be converted; `.path` is its path."""

    def __init__(self, path: str, wanted: str, found: object) -> None:
        super().__init__(f"{path}: expected {wanted}, found {type(found).__name__}")
        self.path = path


# --- parts of the reply: converted, or a ShapeError ---


def as_object(value: object, path: str) -> dict[str, Any]:
    """The JSON object at `path`."""
    found = optional_object(value)
    if found is None:
        raise ShapeError(path, "an object", value)
    return found


def as_optional_object(value: object, path: str) -> dict[str, Any] | None:
    """The JSON object at `path`, or None for null."""
    return None if value is None else as_object(value, path)


def as_list(value: object, path: str) -> list[Any]:
    """The JSON array at `path`; null reads as an empty one."""
    found = [] if value is None else optional_list(value)
    if found is None:
        raise ShapeError(path, "an array", value)
    return found


def as_str(value: object) -> str:
    """A text: null reads as empty, a list of texts as their sum, all else as its JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, list):
        items = [item for item in cast("list[object]", value) if item is not None]
        if all(isinstance(item, str) for item in items):
            return "".join(cast("list[str]", items))
    return _json_text(cast("object", value))


def as_optional_str(value: object) -> str | None:
    """A text as `as_str` reads it, or None for null."""
    return None if value is None else as_str(value)


# --- everything else: converted, or None ---


def optional_object(value: object) -> dict[str, Any] | None:
    """A JSON object, as it is, as the only item of a list, or as JSON text; None for all else."""
    if isinstance(value, dict):
        return cast("dict[str, Any]", value)
    if isinstance(value, list):
        items = cast("list[object]", value)
        return optional_object(items[0]) if len(items) == 1 else None
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            return optional_object(loads(value.encode("utf-8", "replace")))
        except NotJSONError:
            return None
    return None


def optional_list(value: object) -> list[Any] | None:
    """A JSON array without its nulls, or a list of one object; None for all else."""
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        return None
    items = cast("list[Any]", value)
    return [item for item in items if item is not None] if None in items else items


def optional_objects(value: object) -> list[dict[str, Any]] | None:
    """The objects of a JSON array, without what is none; None where it is no array."""
    items = optional_list(value)
    if items is None:
        return None
    return [found for item in items if (found := optional_object(item)) is not None]


def optional_str(value: object) -> str | None:
    """A text, or a number as its text; None for all else."""
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _json_text(value)
    return _only_item(value, optional_str)


def optional_int(value: object) -> int | None:
    """A whole number, without its fraction if it has one, or the number in a text; None for all else."""
    if type(value) is int:
        return value if -_LARGEST <= value <= _LARGEST else None
    if value is None:
        return None
    if isinstance(value, float):
        return int(value) if math.isfinite(value) else None
    if isinstance(value, str):
        return optional_int(_number(value))
    return _only_item(value, optional_int)


def optional_float(value: object) -> float | None:
    """A number, or the number in a text; None for all else."""
    if type(value) is float:
        return value
    if type(value) is int:
        return float(value) if -_LARGEST <= value <= _LARGEST else None
    if isinstance(value, str):
        return optional_float(_number(value))
    return _only_item(value, optional_float)


def _only_item(value: object, read: Callable[[object], T | None]) -> T | None:
    """What `read` makes of the only item of a list."""
    items = cast("list[object]", value) if isinstance(value, list) else ()
    return read(items[0]) if len(items) == 1 else None


def _number(text: str) -> float | None:
    text = text.strip()
    if not re.fullmatch(_NUMBER, text, re.ASCII):
        return None
    return int(text) if text.lstrip("+-").isdigit() else float(text)


_NUMBER = r"[+-]?\d{1,300}(\.\d{0,300})?([eE][+-]?\d{1,3})?"


def _json_text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def unknown_fields(data: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """The fields of `data` that are not in `known`."""
    if data.keys() <= known:
        return {}
    return {key: value for key, value in data.items() if key not in known}


MAX_DEPTH = 200
"""Levels of nesting; printing, copying and comparing a deeper value would exceed Python's recursion limit, and decoding
it could exceed the stack, which ends the process."""

MAX_SEPARATORS = 5_000_000
"""Commas and opening brackets outside of texts; the values that they separate take much more memory than their JSON."""


class NotJSONError(ValueError):
    """A provider's bytes are not JSON, or JSON that is nested too deeply or has too many values."""


def loads(data: bytes, *, keep_surrogates: bool = False) -> Any:
    """The value of JSON bytes, like `codecs.json.loads`; slow, but accepts all that msgspec refuses.

    That is a byte-order mark, control characters in texts, invalid UTF-8, lone surrogates, NaN and any number.

    Args:
        data: the bytes.
        keep_surrogates: keep lone surrogates, which may be halves of one character, instead of replacing them by
            U+FFFD.

    Raises:
        NotJSONError: the bytes are not JSON, nested too deeply, or too many values.
    """
    if may_be_large(data):
        check_structure(data)
    try:
        value = _DECODER.decode(data.removeprefix(BOM_UTF8).decode("utf-8", "replace"))
    except (ValueError, RecursionError) as exc:
        reason = "nested too deeply" if isinstance(exc, RecursionError) else "not JSON"
    else:
        return value if keep_surrogates else replace_surrogates(value)
    raise NotJSONError(reason)


def _integer(digits: str) -> float:
    """The integer, or a float if it has more digits than Python converts."""
    try:
        return int(digits)
    except ValueError:
        return float(digits)


_DECODER = json.JSONDecoder(parse_int=_integer, strict=False)


SHALLOW = 2 * MAX_DEPTH
"""Bytes; decoding shorter JSON takes neither a deep stack nor much memory, whatever it is."""


def may_be_large(data: bytes, max_separators: int = MAX_SEPARATORS) -> bool:
    """Whether JSON may exceed the limits of `check_structure`; a quick check that nearly all JSON passes."""
    if len(data) <= SHALLOW:
        return False
    opened = data.count(b"[") + data.count(b"{")
    return opened > MAX_DEPTH or (len(data) > max_separators and opened + data.count(b",") > max_separators)


def check_structure(data: bytes, max_separators: int = MAX_SEPARATORS, max_depth: int = MAX_DEPTH) -> None:
    """Checks JSON before it is decoded; takes a fraction of the time of decoding, and no recursion.

    Raises:
        NotJSONError: there are more than `max_depth` levels, or more than `max_separators` commas and opening brackets
            outside of texts.
    """
    # Without escapes, and with only what is structure or quotes, nearly all texts are two quotes.
    marks = data.replace(rb"\\", b"").replace(rb"\"", b"").translate(_SIGNS, _NO_MARKS).replace(b'""', b"")
    marks = re.sub(rb'"[^"]*"?', b"", marks)
    brackets = marks.replace(b",", b"")
    if len(marks) - brackets.count(_CLOSING) > max_separators:
        raise NotJSONError("too many values")
    if max(itertools.accumulate(memoryview(brackets).cast("b")), default=0) > max_depth:
        raise NotJSONError("nested too deeply")


_CLOSING = b"\xff"
_SIGNS = bytes.maketrans(b"[{]}", b"\1\1" + 2 * _CLOSING)
"""Brackets → 1 or -1 as signed bytes, whose sums are the levels."""
_NO_MARKS = bytes(set(range(256)) - set(b'[]{},"'))


_SURROGATE = "[\ud800-\udfff]"


def replace_surrogates(value: Any) -> Any:
    """JSON data with U+FFFD in place of lone surrogates."""
    match value:
        case str():
            return re.sub(_SURROGATE, "\ufffd", value)
        case list():
            return [replace_surrogates(item) for item in cast("list[Any]", value)]
        case dict():
            return {
                replace_surrogates(key): replace_surrogates(item) for key, item in cast("dict[str, Any]", value).items()
            }
        case _:
            return value
