"""Tolerant reading of a model's JSON: what msgspec refuses although its meaning is clear, as JSON that msgspec reads.

That is integral numbers with a fraction or an exponent (``1.0``, ``1e3``: integers for JSON Schema), lone surrogates
(read as U+FFFD) and raw control characters in texts. NaN, Infinity and nesting deeper than `MAX_DEPTH` are refused, as
no provider's schema allows them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NoReturn

import msgspec

from ..codecs.lenient import NotJSONError, check_structure, may_be_large

_LONGEST_INTEGER = 18
"""Digits that surely fit into 64 bits, with which msgspec encodes integers."""

_MAX_EXPONENT = 400
"""Powers of ten up to which an integral number is written with all its digits; no float is larger."""

_MAX_STARTS = 16
"""Brackets in a text that are tried as the begin of a value; each costs a part of the text's length."""

_encode = msgspec.json.Encoder().encode


def check_depth(data: bytes) -> None:
    """Checks JSON before it is decoded; costs next to nothing for nearly all replies.

    Raises:
        NotJSONError: it is nested too deeply, or has too many values.
    """
    if may_be_large(data):
        check_structure(data)


def plain_json(text: str) -> bytes:
    """A JSON text as JSON that msgspec reads.

    Raises:
        NotJSONError: it is no JSON.
    """
    check_depth(text.encode("utf-8", "replace"))
    try:
        value = _DECODER.decode(text)
    except (ValueError, RecursionError):
        raise NotJSONError("not JSON") from None
    return _encoded(value)


def values_in(text: str) -> Iterator[tuple[bytes, int, int]]:
    """The JSON objects and arrays in a text, none of them inside another, each with its begin and its end.

    Raises:
        NotJSONError: the text is nested too deeply.
    """
    check_depth(text.encode("utf-8", "replace"))
    end = 0
    for _ in range(_MAX_STARTS):
        found = re.compile(r"[{\[]").search(text, end)
        if found is None:
            return
        start = found.start()
        try:
            value, end = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            end = start + 1
            continue
        yield _encoded(value), start, end


def _encoded(value: Any) -> bytes:
    try:
        return _encode(value)
    except UnicodeEncodeError:
        return _encode(_without_lone_surrogates(value))


def _without_lone_surrogates(value: Any) -> Any:
    match value:
        case str():
            return re.sub("[\ud800-\udfff]", "\ufffd", value)
        case list():
            return [_without_lone_surrogates(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        case dict():
            return {_without_lone_surrogates(key): _without_lone_surrogates(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
        case _:
            return value


# --- numbers, which are kept as they are written ---


def _integer(digits: str) -> Any:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else msgspec.Raw(digits.encode())


def _number(text: str) -> Any:
    """A number with a fraction or an exponent; an integral one as an integer."""
    try:
        number = Decimal(text)
    except ArithmeticError:  # an exponent of many digits
        return msgspec.Raw(text.encode())
    is_integral = number.adjusted() <= _MAX_EXPONENT and number == number.to_integral_value()
    return msgspec.Raw((f"{number:.0f}" if is_integral else text).encode())


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_number, parse_constant=_refuse, strict=False)
