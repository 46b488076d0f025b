"""JSON text of a model as plain data, tolerant of what models write; knows no types."""

from __future__ import annotations

import json
import math
from codecs import BOM_UTF8
from typing import Any

from ...codecs import lenient
from ..mismatch import ValueMismatch


def check_nesting(data: bytes, max_depth: int = lenient.MAX_DEPTH) -> None:
    """Checks JSON before it is decoded.

    Raises:
        ValueMismatch: the JSON is nested too deeply, or has too many values.
    """
    if max_depth < lenient.MAX_DEPTH or (len(data) > lenient.SHALLOW and lenient.may_be_large(data)):
        try:
            lenient.check_structure(data, max_depth=max_depth)
        except lenient.NotJSONError:
            expected = f"JSON of at most {max_depth} levels and {lenient.MAX_SEPARATORS:,} values"
            raise ValueMismatch(expected, "json") from None


def read_json(data: bytes) -> Any:
    """The value of JSON text, with numbers as they are written: ``1.0`` is a float.

    Integers may have thousands of digits, texts may have raw control characters, lone surrogates are replaced by
    U+FFFD, and of two members of the same name the last one counts.

    Raises:
        ValueMismatch: the text is not JSON, or has NaN, Infinity, or a number that is larger than a float can be.
    """
    try:
        return lenient.replace_surrogates(_DECODER.decode(data.removeprefix(BOM_UTF8).decode("utf-8", "replace")))
    except (ValueError, RecursionError):
        raise ValueMismatch("JSON", "json") from None


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("too large")
    return number


def _refuse(name: str) -> float:
    raise ValueError(name)


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_refuse, strict=False)
