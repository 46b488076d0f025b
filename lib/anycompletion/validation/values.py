"""The checks every parameter is made of: types, finite numbers, JSON; each refusal names its parameter.

What passes comes out as Python's own types, so that whatever reads it later meets no code of the caller's: an enum's
member is its value, and a subclass of text or number is that text or number.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any, NoReturn, TypeAlias, TypeGuard, TypeVar, cast

import attrs

from ..errors import CompletionError, InvalidRequestError
from ..records import FunctionMessage, ImageUrl, Record, ToolCall

MAX_DEPTH = 500
"""Nesting of JSON. Python itself cannot go much deeper, and what holds itself is deeper than any number."""

MAX_SCHEMA_DEPTH = 100
"""Nesting of JSON schemas; no provider takes nearly as much."""

_LONGEST = 120
"""Characters of a path in a refusal."""

_LONGEST_TYPE = 60
"""Characters of a type's name in a refusal."""

CONTROL = re.compile(r"[\x00-\x1f\x7f]")

SURROGATE = re.compile("[\ud800-\udfff]")

Check: TypeAlias = Callable[[Any, str], Any]

T = TypeVar("T")


def refuse(param: str, text: str) -> NoReturn:
    """Raises InvalidRequestError for `param`; keys of the caller's that are in it are cut and made printable."""
    if len(param) > _LONGEST:
        param = f"{param[: _LONGEST - 1]}…"
    if not param.isprintable():
        param = "".join(char if char.isprintable() else "?" for char in param)
    raise InvalidRequestError(f"{param}: {text}", param=param)


def type_name(value: object) -> str:
    """A value's type, as callers know it."""
    if value is None:
        return "null"
    name: str = type(value).__name__
    return name if name.isidentifier() and len(name) <= _LONGEST_TYPE else "an object"


def is_instance_strict(value: object, cls: type[T]) -> TypeGuard[T]:
    """`isinstance` that does not ask the value, which may have its own ideas of what it is."""
    return issubclass(type(value), cls)


def failure(fault: Exception) -> str:
    """What to say of a value of the caller's that raised `fault` while it was looked at.

    Raises:
        CompletionError, MemoryError: `fault`, where it is no failure of the value's.
    """
    if isinstance(fault, (CompletionError, MemoryError)):
        raise fault
    return _TOO_DEEP if isinstance(fault, RecursionError) else f"cannot be read: {type_name(fault)}"


_TOO_DEEP = "is nested too deeply or holds itself"


# --- JSON -------------------------------------------------------------------------------------------------------------


class ValidationFailure(Exception):
    """A value that does not fit, with its path below the place where structuring began."""

    def __init__(self, text: str, path: str = "") -> None:
        super().__init__(text)
        self.path = path

    def below(self, step: str) -> None:
        """The value stands below `step`."""
        self.path = step + self.path


class _TooDeep(ValidationFailure):
    """Its path would be as deep, so there is none."""

    def __init__(self) -> None:
        super().__init__(_TOO_DEEP)

    def below(self, step: str) -> None:
        pass


def plain_json(value: Any, depth: int = MAX_DEPTH) -> Any:
    """A copy of `value` as dicts, lists and scalars of Python's own types, if JSON can say it.

    JSON can say finite numbers, text, lists and tuples, objects whose keys are texts or integers, and as objects also
    records and instances of dataclasses and of attrs classes.

    Raises:
        Misfit: it cannot, or is nested more than `depth` deep; the path is the place.
    """
    try:
        return _plain(value, depth)
    except RecursionError:
        pass  # a record that holds itself, or a caller who is deep in a recursion
    raise _TooDeep


def _plain(value: Any, room: int) -> Any:
    # One frame per level, and no path before there is something to say: this walks through every schema of every call.
    kind = cast("type[Any]", type(value))
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if kind is float:
        if not isfinite(value):
            raise ValidationFailure("is not a finite number, which JSON cannot say")
        return value
    if kind is dict:
        if not room:
            raise _TooDeep
        members: dict[str, Any] = {}
        for key, item in value.items():
            name = key if type(key) is str else _name_of(key)
            try:
                members[name] = _plain(item, room - 1)
            except ValidationFailure as fault:
                fault.below(f".{name}")
                raise
        if len(members) != len(value):
            raise ValidationFailure("has two keys that are the same in JSON")
        return members
    if kind is list or kind is tuple:
        if not room:
            raise _TooDeep
        items: list[Any] = []
        for item in value:
            try:
                items.append(_plain(item, room - 1))
            except ValidationFailure as fault:
                fault.below(f"[{len(items)}]")
                raise
        return items
    return _plain(_readable(value), room)


def _name_of(key: object) -> str:
    """What a key that is no plain text is in JSON."""
    key = _read(to_builtin, key)
    if type(key) is int:
        return str(key)
    if type(key) is not str:
        raise ValidationFailure("has a key that is no string")
    return key


def _readable(value: object) -> Any:
    """`contents` of a value of the caller's that must have some."""
    found = _read(to_json_level, value)
    if found is NOTHING:
        raise ValidationFailure(f"a value of type {type_name(value)} cannot be said in JSON")
    return found


def _read(read: Callable[[Any], Any], value: object) -> Any:
    """`read(value)`, where code of the caller's runs, which may fail in any way."""
    try:
        return read(value)
    except RecursionError:
        raise
    except Exception as fault:  # noqa: BLE001 (the caller's own types may fail in any way)
        text = failure(fault)
    raise ValidationFailure(text)


NOTHING = object()
"""What is in a value that JSON cannot say."""


def to_json_level(value: Any) -> Any:
    """One level of a value in JSON's own types: a dict, a list or a scalar, or `NOTHING`.

    Raises:
        Exception: whatever the caller's own types raise.
    """
    kind = cast("type[Any]", type(value))
    if kind is dict or kind is list or kind is str or value is None:
        return value
    if issubclass(kind, enum.Enum):
        return to_json_level(value.value)
    if issubclass(kind, (str, int, float)):
        return to_builtin(value)
    if issubclass(kind, (list, tuple)):
        return _items(value)
    if issubclass(kind, Record):
        return _members(value)
    if issubclass(kind, Mapping):
        return dict[Any, Any](value)
    if attrs.has(kind):
        return {field.name: getattr(value, field.name) for field in attrs.fields(kind)}
    if hasattr(kind, "__dataclass_fields__"):
        import dataclasses  # noqa: PLC0415 (whoever has a dataclass has loaded it; nobody else needs it)

        return {field.name: getattr(value, field.name) for field in dataclasses.fields(kind)}
    return NOTHING


def _members(record: Record) -> Any:
    """One level of the record's `to_dict`, which itself would go on to whatever the caller put below."""
    if isinstance(record, ImageUrl) and record.bare:
        return to_json_level(record.url)
    fields = [field for field in attrs.fields(type(record)) if not field.metadata.get("hidden")]
    members: dict[str, Any] = {field.name: getattr(record, field.name) for field in fields}
    extra: dict[Any, Any] = to_json_level(members.pop("extra", {}))
    shown = {field.name for field in fields if field.metadata.get("nullable")}
    if isinstance(record, FunctionMessage):
        shown.add("content")
    if isinstance(record, ToolCall) and record.custom is not None:
        del members["function"]
    return {name: value for name, value in members.items() if value is not None or name in shown} | extra


def _items(value: Any) -> list[Any]:
    """The list's or tuple's own items: what a subclass of the caller's walks through may have no end."""
    base = cast("Any", list if issubclass(type(value), list) else tuple)
    return list[Any](base.__iter__(value))


def to_builtin(value: Any) -> Any:
    """An enum's member as its value, and a subclass of text or number as the text or number; all else as it is."""
    kind = cast("type[Any]", type(value))
    if kind is str or kind is int or kind is float or kind is bool:
        return value
    if issubclass(kind, enum.Enum):
        return to_builtin(value.value)
    if issubclass(kind, str):
        return str.__str__(value)
    if issubclass(kind, int):
        return value if kind is bool else int.__int__(value)
    return float.__float__(value) if issubclass(kind, float) else value


def checked_json(value: Any, param: str, depth: int = MAX_DEPTH) -> Any:
    """A copy of `value` as dicts, lists and scalars, if JSON can say it; `param` is what a refusal names."""
    try:
        return plain_json(value, depth)
    except ValidationFailure as fault:
        path, text = fault.path, str(fault)
    refuse(param + path, text)


# --- checks -----------------------------------------------------------------------------------------------------------


def check_number(value: Any, param: str) -> Any:
    """A finite number, not a bool."""
    value = to_builtin(value)
    if type(value) is not float and type(value) is not int:
        refuse(param, f"expected a number, found {type_name(value)}")
    if type(value) is float and not isfinite(value):
        refuse(param, "is not a finite number")
    return value


def check_integer(minimum: int, maximum: int) -> Check:
    """An integer in a range, not a bool."""

    def check(value: Any, param: str) -> Any:
        value = to_builtin(value)
        if type(value) is not int:
            refuse(param, f"expected an integer, found {type_name(value)}")
        if not minimum <= value <= maximum:
            refuse(param, f"must lie between {minimum} and {maximum}")
        return value

    return check


def check_flag(value: Any, param: str) -> Any:
    """True or False."""
    value = to_builtin(value)
    if type(value) is not bool:
        refuse(param, f"expected True or False, found {type_name(value)}")
    return value


def check_string(value: Any, param: str) -> Any:
    """Text."""
    value = to_builtin(value)
    if type(value) is not str:
        refuse(param, f"expected a string, found {type_name(value)}")
    return value


def check_object(value: Any, param: str, depth: int = MAX_DEPTH) -> Any:
    """An object that JSON can say."""
    members: Any = to_json_level(value)
    if type(members) is not dict:
        refuse(param, f"expected a dict, found {type_name(value)}")
    return checked_json(members, param, depth)


def check_list(value: Any, param: str) -> Sequence[Any]:
    """A list or tuple."""
    if type(value) is list or type(value) is tuple:
        return cast("Sequence[Any]", value)
    if not isinstance(value, (list, tuple)):
        refuse(param, f"expected a list, found {type_name(value)}")
    return _items(value)


def check_strings(value: Any, param: str) -> list[str]:
    """A list of texts."""
    return [check_string(item, f"{param}[{i}]") for i, item in enumerate(check_list(value, param))]
