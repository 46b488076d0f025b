"""Reads a value out of a model's text: first as it is, then tolerantly; never repairs JSON that is incomplete."""

from __future__ import annotations

import re
from typing import Protocol, TypeVar

from ..codecs.lenient import NotJSONError
from ..providers.structured_support import StructuredMode
from .mismatch import ValueMismatch
from .tolerant_json import check_depth, plain_json, values_in

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class SupportsDecode(Protocol[T_co]):
    """What makes a value of JSON, as a `TypePlan` does."""

    def decode(self, data: bytes) -> T_co:
        """The value.

        Raises:
            ValueMismatch: the JSON does not fit.
        """
        ...


NO_JSON = "a JSON object"
"""What is expected of a text that has no JSON."""

_FENCE = r"```[\w+-]*[ \t]*\r?\n(.*?)\r?\n?[ \t]*```"


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
        # Nearly all replies are JSON as the schema demands it, and end here.
        data = text.encode()
        check_depth(data)
        return plan.decode(data)
    except (UnicodeEncodeError, NotJSONError):
        pass
    except ValueMismatch as error:
        if error.kind == "value":
            raise
    return _read_tolerantly(text, plan, mode, warnings)


def _read_tolerantly(text: str, plan: SupportsDecode[T], mode: StructuredMode, warnings: list[str]) -> T:
    stripped = text.strip("\ufeff \t\r\n")
    fenced = re.fullmatch(_FENCE, stripped, re.DOTALL)
    inner = stripped if fenced is None else fenced[1]
    try:
        data = plain_json(inner)
    except NotJSONError as error:
        if mode in ("schema", "tool"):
            raise ValueMismatch(_problem(inner, error), "json") from None
    else:
        return plan.decode(data)
    return _read_first_value(inner, plan, warnings)


def _read_first_value(text: str, plan: SupportsDecode[T], warnings: list[str]) -> T:
    """The first value in the text that fits; if none does, the error of the first one."""
    first_error: ValueMismatch | None = None
    try:
        for data, start, end in values_in(text):
            try:
                value = plan.decode(data)
            except ValueMismatch as error:
                first_error = first_error or error
                continue
            warnings.append(f"{start + len(text) - end} characters around the JSON of the reply were left out")
            return value
    except NotJSONError as error:
        raise ValueMismatch(_problem(text, error), "json") from None
    raise first_error or ValueMismatch(NO_JSON, "json")


def _problem(text: str, error: NotJSONError) -> str:
    return NO_JSON if str(error) == "not JSON" or not text else f"JSON that is not {error}"
