"""Lenient reading of a provider's JSON: keeps as much as possible and never guesses a value.

Missing, null and unknown fields are accepted. A wrong type is a `ShapeError` that names the path, because a guess
would lose data silently.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, cast

_LARGEST = 10**300
"""Larger integers cannot be converted to floats, and sums of them not to JSON."""


class ShapeError(ValueError):
    """A value in a provider's JSON has the wrong type; `.path` is its path."""

    def __init__(self, path: str, wanted: str, found: object) -> None:
        super().__init__(f"{path}: expected {wanted}, found {type(found).__name__}")
        self.path = path


def as_object(value: object, path: str) -> dict[str, Any]:
    """The JSON object at `path`."""
    if not isinstance(value, dict):
        raise ShapeError(path, "an object", value)
    return cast("dict[str, Any]", value)


def as_optional_object(value: object, path: str) -> dict[str, Any] | None:
    """The JSON object at `path`, or None for null."""
    return None if value is None else as_object(value, path)


def as_list(value: object, path: str) -> list[Any]:
    """The JSON array at `path`; null reads as an empty one."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise ShapeError(path, "an array", value)
    return cast("list[Any]", value)


def as_str(value: object, path: str) -> str:
    """The string at `path`; null reads as empty."""
    return as_optional_str(value, path) or ""


def as_optional_str(value: object, path: str) -> str | None:
    """The string at `path`, or None for null."""
    if value is None or isinstance(value, str):
        return value
    raise ShapeError(path, "a string", value)


def as_optional_int(value: object, path: str) -> int | None:
    """The integer at `path` (a float without a fraction counts), or None for null."""
    if value is None:
        return None
    if type(value) is int and -_LARGEST <= value <= _LARGEST:
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise ShapeError(path, "an integer", value)


def as_optional_float(value: object, path: str) -> float | None:
    """The number at `path`, or None for null."""
    if value is None or type(value) is float:
        return value
    if type(value) is int and -_LARGEST <= value <= _LARGEST:
        return float(value)
    raise ShapeError(path, "a number", value)


def unknown_fields(data: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """The fields of `data` that are not in `known`."""
    if data.keys() <= known:
        return {}
    return {key: value for key, value in data.items() if key not in known}


MAX_DEPTH = 200
"""Levels of nesting; printing, copying and comparing a deeper value would exceed Python's recursion limit."""


class NotJSONError(ValueError):
    """A provider's bytes are not JSON, or JSON that is nested too deeply."""


def loads(data: bytes) -> Any:
    """The value of JSON bytes, like `codecs.json.loads`; slow, but accepts all that msgspec refuses.

    Raises:
        NotJSONError: the bytes are not JSON, or nested too deeply.
    """
    try:
        value = _DECODER.decode(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as exc:
        reason = "nested too deeply" if isinstance(exc, RecursionError) else "not JSON"
    else:
        check_depth(data, value)
        return _without_surrogates(value)
    raise NotJSONError(reason)


def _integer(digits: str) -> float:
    """The integer, or a float if it has more digits than Python converts."""
    try:
        return int(digits)
    except ValueError:
        return float(digits)


_DECODER = json.JSONDecoder(parse_int=_integer)


SHALLOW = 2 * MAX_DEPTH
"""Bytes; shorter JSON cannot have enough brackets to be too deep."""


def may_be_deep(data: bytes) -> bool:
    """Whether JSON bytes have enough brackets to be too deep; a quick check that nearly all JSON passes."""
    return len(data) > SHALLOW and data.count(b"[") + data.count(b"{") > MAX_DEPTH


def check_depth(data: bytes, value: Any) -> None:
    """Checks the depth of `value`, which was decoded from `data`, level by level.

    Raises:
        NotJSONError: there are more than MAX_DEPTH levels.
    """
    if not may_be_deep(data):
        return
    level: list[Any] = [[value]]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for outer in level for inner in _items(outer) if isinstance(inner, (list, dict))]
        if not level:
            return
    raise NotJSONError("nested too deeply")


def _items(value: Any) -> Iterable[Any]:
    return cast("dict[str, Any]", value).values() if isinstance(value, dict) else value


_SURROGATE = "[\ud800-\udfff]"


def _without_surrogates(value: Any) -> Any:
    match value:
        case str():
            return re.sub(_SURROGATE, "\ufffd", value)
        case list():
            return [_without_surrogates(item) for item in cast("list[Any]", value)]
        case dict():
            return {
                _without_surrogates(key): _without_surrogates(item)
                for key, item in cast("dict[str, Any]", value).items()
            }
        case _:
            return value
