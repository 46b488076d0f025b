"""Reads a value out of a model's text: finds the JSON in it, which the type then decodes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Protocol, TypeVar

from ..providers.structured_support import StructuredMode
from .mismatch import ValueMismatch
from .partial import utf8

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

_FENCE = r"```[\w+-]*[ \t]*\r?\n(.*?)\r?\n?[ \t]*```"

_MAX_STARTS = 16
"""Brackets in a text that are tried as the begin of a value; each costs a part of the text's length."""


class SupportsDecode(Protocol[T_co]):
    """What makes a value of JSON, as a `TypePlan` does."""

    def decode(self, data: bytes) -> T_co:
        """The value.

        Raises:
            ValueMismatch: the JSON does not fit.
        """
        ...


def read_value(text: str, plan: SupportsDecode[T], mode: StructuredMode, warnings: list[str]) -> T:
    """The value in the text of a reply.

    Args:
        text: the content, or the arguments of the tool `answer`.
        plan: the type.
        mode: how the schema was sent. In the modes "json" and "prompt" there may be text around the value.
        warnings: gets a line where something was left out.

    Raises:
        ValueMismatch: there is no JSON, or it does not fit.
    """
    try:
        # Nearly all replies are JSON alone, and end here.
        return plan.decode(utf8(text))
    except ValueMismatch as error:
        if error.kind != "json":
            raise
        problem = error
    inner = text.strip("\ufeff \t\r\n")
    fenced = re.fullmatch(_FENCE, inner, re.DOTALL)
    if fenced is not None:
        inner = fenced[1]
        try:
            return plan.decode(utf8(inner))
        except ValueMismatch as error:
            if error.kind != "json":
                raise
    if mode in ("json", "prompt"):
        return _read_first_value(inner, plan, warnings, problem)
    raise problem


def _read_first_value(text: str, plan: SupportsDecode[T], warnings: list[str], problem: ValueMismatch) -> T:
    """The first value in the text that fits.

    Raises:
        ValueMismatch: none fits; the error is that of the first one, or `problem` if there is none.
    """
    first_error: ValueMismatch | None = None
    for start, end in _values_in(text):
        try:
            value = plan.decode(utf8(text[start:end]))
        except ValueMismatch as error:
            first_error = first_error or error
            continue
        warnings.append(f"{start + len(text) - end} characters around the JSON of the reply were left out")
        return value
    raise first_error or problem


def _values_in(text: str) -> Iterator[tuple[int, int]]:
    """Begin and end of the JSON objects and arrays in a text, none of them inside another.

    JSON that is broken ends the search: what it contains would be taken for the value itself.
    """
    end = 0
    for _ in range(_MAX_STARTS):
        found = re.compile(r"[{\[]").search(text, end)
        if found is None:
            return
        try:
            _, end = _DECODER.raw_decode(text, found.start())
        except (ValueError, RecursionError):
            if re.compile(_BEGIN).match(text, found.start()):
                return
            end = found.end()
        else:
            yield found.start(), end


_BEGIN = r"\{\s*\"|\[\s*[{\[\"]"
"""Begin of an object or array, unlike brackets of prose."""

_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, strict=False)
"""Finds where values end; they are decoded as the type demands."""
