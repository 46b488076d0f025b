"""The checks every parameter is made of: types, finite numbers, JSON; each refusal names its parameter."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeAlias, cast

from ..errors import InvalidRequestError
from ..records import Record, plain

MAX_DEPTH = 200
"""Nesting of JSON in tools, schemas and extra_body."""

_LONGEST = 120
"""Characters of a path in a refusal."""

CONTROL = re.compile(r"[\x00-\x1f\x7f]")

SURROGATE = re.compile("[\ud800-\udfff]")

Check: TypeAlias = Callable[[Any, str], Any]


def refuse(param: str, text: str) -> NoReturn:
    """Raises InvalidRequestError for `param`; keys of the caller's that are in it are cut and made printable."""
    if len(param) > _LONGEST:
        param = f"{param[: _LONGEST - 1]}…"
    param = param.encode("utf-8", "replace").decode()
    raise InvalidRequestError(f"{param}: {text}", param=param)


def kind_of(value: object) -> str:
    """A value's type, as callers know it."""
    return "null" if value is None else type(value).__name__


class Misfit(Exception):
    """A value that does not fit, with its path below the place where structuring began."""

    def __init__(self, text: str, path: str = "") -> None:
        super().__init__(text)
        self.path = path


def plain_json(value: Any) -> Any:
    """A copy of `value` as dicts, lists and scalars, if JSON can say it.

    Raises:
        Misfit: it cannot; the path is the place.
    """
    try:
        _check_json(value, "")
    except RecursionError:
        raise Misfit(_TOO_DEEP) from None  # a record that holds itself
    return plain(value)


_TOO_DEEP = "is nested too deeply or holds itself"


def _check_json(value: Any, path: str, depth: int = 0) -> None:
    """Passes what JSON can say: finite numbers, text, lists, objects with text or integer keys, and records.

    Raises:
        Misfit: it cannot, or it is nested more than 200 deep (which is how a cycle shows).
    """
    kind = cast("type[Any]", type(value))
    if kind is str or kind is int or kind is bool or value is None:
        return
    if depth > MAX_DEPTH:
        raise Misfit(_TOO_DEEP)  # the path would be as deep
    if kind is dict or isinstance(value, Mapping):
        mapping = cast("Mapping[Any, Any]", value)
        for key, item in mapping.items():
            if type(key) is not str and (not isinstance(key, (str, int)) or isinstance(key, bool)):
                raise Misfit("has a key that is no string", path)
            _check_json(item, f"{path}.{key}", depth + 1)
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(cast("Sequence[Any]", value)):
            _check_json(item, f"{path}[{i}]", depth + 1)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise Misfit("is not a finite number, which JSON cannot say", path)
    elif isinstance(value, Record):
        _check_json(value.to_dict(), path, depth + 1)
    elif not isinstance(value, (str, int)):
        raise Misfit(f"a value of type {kind.__name__} cannot be said in JSON", path)


def checked_json(value: Any, param: str) -> Any:
    """A copy of `value` as dicts, lists and scalars, if JSON can say it; `param` is what a refusal names."""
    try:
        return plain_json(value)
    except Misfit as fault:
        path, text = fault.path, str(fault)
    refuse(param + path, text)


def check_number(value: Any, param: str) -> Any:
    """A finite number, not a bool."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        refuse(param, f"expected a number, found {kind_of(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        refuse(param, "is not a finite number")
    return value


def check_integer(minimum: int, maximum: int) -> Check:
    """An integer in a range, not a bool."""

    def check(value: Any, param: str) -> Any:
        if isinstance(value, bool) or not isinstance(value, int):
            refuse(param, f"expected an integer, found {kind_of(value)}")
        if not minimum <= value <= maximum:
            refuse(param, f"must lie between {minimum} and {maximum}")
        return value

    return check


def check_flag(value: Any, param: str) -> Any:
    """True or False."""
    if not isinstance(value, bool):
        refuse(param, f"expected True or False, found {kind_of(value)}")
    return value


def check_string(value: Any, param: str) -> Any:
    """Text."""
    if not isinstance(value, str):
        refuse(param, f"expected a string, found {kind_of(value)}")
    return value


def check_object(value: Any, param: str) -> Any:
    """A dict that JSON can say."""
    if not isinstance(value, Mapping):
        refuse(param, f"expected a dict, found {kind_of(value)}")  # pyright: ignore[reportUnknownArgumentType]
    return checked_json(value, param)


def check_list(value: Any, param: str) -> Sequence[Any]:
    """A list or tuple."""
    if not isinstance(value, (list, tuple)):
        refuse(param, f"expected a list, found {kind_of(value)}")
    return cast("Sequence[Any]", value)


def check_strings(value: Any, param: str) -> list[str]:
    """A list of texts."""
    return [check_string(item, f"{param}[{i}]") for i, item in enumerate(check_list(value, param))]
