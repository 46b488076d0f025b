"""The basic checks of caller input: types, finite numbers, JSON; each error names its parameter.

Threat model: callers pass objects of their own types, whose code runs when they are read and may do anything: raise,
return another type or length than expected, change the object between two reads, or call the client again. Therefore

- types are taken from `type(value)` (`is_instance_strict`); where `isinstance` is used, a false `__class__` leads to an
  error and nothing else;
- values are copied into `dict`, `list`, `str`, `int`, `float` and `bool` themselves (`to_builtin`, `to_json_level`,
  `to_plain_json`), and later code uses the copies only: an enum member becomes its value, a subclass of text or number
  that text or number;
- subclasses of list, tuple, text and number are read with the methods of their base class, so that an iterator without
  an end or an overridden `__str__` has no effect;
- an exception of user code becomes an error that names the place and the exception's class; its message, which may
  repeat the value, is dropped (`describe_or_reraise`);
- nesting is limited, which also stops at values that contain themselves;
- nothing here keeps state between calls, so user code that calls the client again finds nothing half done.

Not covered: user mappings that never end, and user code that blocks.
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
"""Levels of nesting of JSON. Python's own limit is not much larger, and a value that contains itself exceeds any."""

MAX_SCHEMA_DEPTH = 100
"""Levels of nesting of JSON schemas; all providers' limits are far lower."""

_MAX_PATH = 120
"""Characters of a path in an error text."""

_MAX_TYPE_NAME = 60
"""Characters of a type's name in an error text."""

CONTROL = re.compile(r"[\x00-\x1f\x7f]")

SURROGATE_ERROR = "contains a lone surrogate, which UTF-8 cannot encode"

Check: TypeAlias = Callable[[Any, str], Any]

T = TypeVar("T")


def refuse(param: str, text: str) -> NoReturn:
    """Raises InvalidRequestError for `param`, which is shortened and made printable: it may contain keys of a dict."""
    if len(param) > _MAX_PATH:
        param = f"{param[: _MAX_PATH - 1]}…"
    if not param.isprintable():
        param = "".join(char if char.isprintable() else "?" for char in param)
    raise InvalidRequestError(f"{param}: {text}", param=param)


def has_surrogate(text: str) -> bool:
    """Whether `text` contains a lone surrogate, which UTF-8 cannot encode."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def type_name(value: object) -> str:
    """The name of a value's type for error texts; "None" for None."""
    if value is None:
        return "None"
    name: str = type(value).__name__
    return name if name.isidentifier() and len(name) <= _MAX_TYPE_NAME else "an object"


def is_instance_strict(value: object, cls: type[T]) -> TypeGuard[T]:
    """`isinstance` by `type(value)` alone: `__class__`, which may be a property of a user type, is not read."""
    return issubclass(type(value), cls)


def describe_or_reraise(error: Exception) -> str:
    """The error text for a value whose own code raised `error` while it was read; reraises other errors.

    Raises:
        CompletionError, MemoryError: `error` itself: it is an error of this package, or not a failure of the value.
    """
    if isinstance(error, (CompletionError, MemoryError)):
        raise error
    return _TOO_DEEP if isinstance(error, RecursionError) else f"cannot be read: {type_name(error)}"


_TOO_DEEP = "is nested too deeply or contains itself"


# --- JSON -------------------------------------------------------------------------------------------------------------


class ValidationFailure(Exception):
    """An invalid value, with its path relative to the value whose validation began."""

    def __init__(self, text: str, path: str = "") -> None:
        super().__init__(text)
        self.path = path

    def prefix_path(self, step: str) -> None:
        """Puts `step` before the path, on the way up from the invalid value."""
        self.path = step + self.path


class _TooDeep(ValidationFailure):
    """A value that is nested too deeply. It has no path, which would be as long as the nesting is deep."""

    def __init__(self) -> None:
        super().__init__(_TOO_DEEP)

    def prefix_path(self, step: str) -> None:
        pass


def to_plain_json(value: Any, depth: int = MAX_DEPTH) -> Any:
    """A copy of a JSON-serializable value as dicts, lists and scalars of the built-in types.

    JSON-serializable are finite numbers, text, lists and tuples, mappings whose keys are texts or integers, and, as
    objects, records and instances of dataclasses and of attrs classes.

    Raises:
        ValidationFailure: it is not, or is nested more than `depth` levels deep; the path is the place.
    """
    try:
        return _copy_json(value, depth)
    except RecursionError:
        pass  # a record that contains itself, or a caller deep in a recursion
    raise _TooDeep


def _copy_json(value: Any, levels: int) -> Any:
    # One frame per level, and no path until something is wrong: this runs over every schema of every call.
    kind = cast("type[Any]", type(value))
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if kind is float:
        return _finite(value)
    if kind is dict:
        if not levels:
            raise _TooDeep
        copied: dict[str, Any] = {}
        for key, item in value.items():
            name = key if type(key) is str else _json_key(key)
            try:
                copied[name] = _copy_json(item, levels - 1)
            except ValidationFailure as error:
                error.prefix_path(f".{name}")
                raise
        if len(copied) != len(value):
            raise ValidationFailure("has two keys that are the same in JSON")
        return copied
    if kind is list or kind is tuple:
        if not levels:
            raise _TooDeep
        items: list[Any] = []
        for item in value:
            try:
                items.append(_copy_json(item, levels - 1))
            except ValidationFailure as error:
                error.prefix_path(f"[{len(items)}]")
                raise
        return items
    return _copy_json(_read_level(value), levels)


def _finite(number: float) -> float:
    if not isfinite(number):
        raise ValidationFailure("is not a finite number, which JSON cannot represent")
    return number


def _json_key(key: object) -> str:
    """The text that a key of another type becomes in JSON."""
    key = _read(to_builtin, key)
    if type(key) is int:
        return str(key)
    if type(key) is not str:
        raise ValidationFailure("has a key that is no string")
    return key


def _read_level(value: object) -> Any:
    """`to_json_level` of a value that must be JSON-serializable."""
    found = _read(to_json_level, value)
    if found is UNSERIALIZABLE:
        raise ValidationFailure(f"a value of type {type_name(value)} is not JSON-serializable")
    return found


def _read(read: Callable[[Any], Any], value: object) -> Any:
    """`read(value)`, where user code runs; what it raises becomes a `ValidationFailure`."""
    try:
        return read(value)
    except RecursionError:
        raise
    except Exception as error:  # noqa: BLE001 (the caller's own types may fail in any way)
        text = describe_or_reraise(error)
    raise ValidationFailure(text)


UNSERIALIZABLE = object()
"""Returned by `to_json_level` for a value that is not JSON-serializable."""


def to_json_level(value: Any) -> Any:
    """One level of a value as a built-in dict, list or scalar, or `UNSERIALIZABLE`; the values in it stay as they are.

    Raises:
        Exception: any, from the code of user types.
    """
    kind = cast("type[Any]", type(value))
    if kind is dict or kind is list or kind is str or value is None:
        return value
    if issubclass(kind, enum.Enum):
        return to_json_level(value.value)
    if issubclass(kind, (str, int, float)):
        return to_builtin(value)
    if issubclass(kind, (list, tuple)):
        return _list_items(value)
    if issubclass(kind, Record):
        return _record_level(value)
    if issubclass(kind, Mapping):
        return dict[Any, Any](value)
    if attrs.has(kind):
        return {field.name: getattr(value, field.name) for field in attrs.fields(kind)}
    if hasattr(kind, "__dataclass_fields__"):
        import dataclasses  # noqa: PLC0415 (loaded already where there is a dataclass, and not needed elsewhere)

        return {field.name: getattr(value, field.name) for field in dataclasses.fields(kind)}
    return UNSERIALIZABLE


def _record_level(record: Record) -> Any:
    """One level of the record's `to_dict`, which itself would convert the user values below without validation."""
    if isinstance(record, ImageUrl) and record.bare:
        return to_json_level(record.url)
    fields = [field for field in attrs.fields(type(record)) if not field.metadata.get("hidden")]
    level: dict[str, Any] = {field.name: getattr(record, field.name) for field in fields}
    extra: dict[Any, Any] = to_json_level(level.pop("extra", {}))
    shown = {field.name for field in fields if field.metadata.get("nullable")}
    if isinstance(record, FunctionMessage):
        shown.add("content")
    if isinstance(record, ToolCall) and record.custom is not None:
        del level["function"]
    return {name: value for name, value in level.items() if value is not None or name in shown} | extra


def _list_items(value: Any) -> list[Any]:
    """The items of a list or tuple by the base class's iterator: that of a user's subclass may never end."""
    base = cast("Any", list if issubclass(type(value), list) else tuple)
    return list[Any](base.__iter__(value))


def to_builtin(value: Any) -> Any:
    """An enum member as its value, a subclass of text or number as that text or number; other values unchanged."""
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


def check_json(value: Any, param: str, depth: int = MAX_DEPTH) -> Any:
    """`to_plain_json`, whose error names `param`."""
    try:
        return to_plain_json(value, depth)
    except ValidationFailure as error:
        path, text = error.path, str(error)
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
            refuse(param, _range_problem(value, minimum, maximum))
        return value

    return check


def _range_problem(value: int, minimum: int, maximum: int) -> str:
    if maximum < 2**63 - 1:
        return f"must lie between {minimum} and {maximum}"
    return f"must be at least {minimum}" if value < minimum else f"must be at most {maximum}"


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
    """A JSON-serializable object."""
    fields: Any = to_json_level(value)
    if type(fields) is not dict:
        refuse(param, f"expected a dict, found {type_name(value)}")
    return check_json(fields, param, depth)


def check_list(value: Any, param: str) -> Sequence[Any]:
    """A list or tuple."""
    if type(value) is list or type(value) is tuple:
        return cast("Sequence[Any]", value)
    if not isinstance(value, (list, tuple)):
        refuse(param, f"expected a list, found {type_name(value)}")
    return _list_items(value)


def check_strings(value: Any, param: str) -> list[str]:
    """A list of texts."""
    return [check_string(item, f"{param}[{i}]") for i, item in enumerate(check_list(value, param))]
