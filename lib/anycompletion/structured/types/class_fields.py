"""The fields of a user's class, one for each argument of its constructor; makes no values.

Dataclasses, attrs classes, NamedTuples, TypedDicts and msgspec Structs.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import inspect
import typing
import uuid
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Annotated, Any, cast

import attrs
import msgspec

from .type_hints import TypeVars, class_hints, evaluated, is_typed_dict, wrapper_name

ABSENT: Any = msgspec.NODEFAULT
"""In place of a default where there is none, or where it is made anew for each value."""

_EMPTY_FACTORIES: tuple[Any, ...] = (list, dict, set, frozenset, tuple)


@attrs.frozen
class ClassField:
    """One argument of a class's constructor."""

    argument: str
    """Its name for the constructor; the key of a TypedDict."""
    attribute: str
    """Its name in values of the class."""
    json_name: str
    hint: Any
    variables: TypeVars
    required: bool
    default: Any = ABSENT
    positional: bool = True
    """Whether the constructor takes it by position, in the order of the fields."""
    description: str | None = None


@attrs.frozen
class ClassSpec:
    """What is read of a user's class."""

    cls: Any
    fields: list[ClassField]
    is_dict: bool = False
    forbid_unknown: bool = False
    tag_field: str | None = None
    tag: str | int | None = None
    is_generic: bool = False
    """Whether the class has type variables, so that its values are of different types."""
    is_struct: bool = False
    description: str | None = None


def read_class(cls: Any, variables: TypeVars) -> ClassSpec | None:
    """The fields of a class; None for a class of another kind.

    Raises:
        NameError: an annotation cannot be resolved.
    """
    if is_typed_dict(cls):
        return ClassSpec(cls, list(_typed_dict(cls, variables)), is_dict=True, description=class_description(cls))
    reader = _reader(cls)
    if reader is None:
        return None
    fields = list(reader(cls, class_hints(cls, variables)))
    if not (isinstance(cls, type) and issubclass(cls, msgspec.Struct)):
        return ClassSpec(cls, fields, is_generic=bool(variables), description=class_description(cls))
    config = cls.__struct_config__
    return ClassSpec(
        cls,
        fields,
        forbid_unknown=config.forbid_unknown_fields,
        tag_field=config.tag_field,
        tag=config.tag,
        is_generic=bool(variables),
        is_struct=True,
        description=class_description(cls),
    )


_Hints = Mapping[str, tuple[Any, TypeVars]]


def _reader(cls: Any) -> Callable[[Any, _Hints], Iterator[ClassField]] | None:
    known: Any = cls
    if not isinstance(cls, type):
        return None
    if issubclass(known, msgspec.Struct):
        return _struct
    if attrs.has(known):
        return _attrs_class
    if dataclasses.is_dataclass(known):
        return _dataclass
    if hasattr(known, "_field_defaults") and issubclass(known, tuple):
        return _named_tuple
    return None


def class_description(cls: Any) -> str | None:
    """The class's own docstring; None where there is none, or where it was generated from the fields."""
    text = cast("str | None", cls.__dict__.get("__doc__"))
    if text is None or text.startswith(f"{cls.__name__}("):
        return None
    return inspect.cleandoc(text) or None


def _dataclass(cls: Any, hints: _Hints) -> Iterator[ClassField]:
    for field in cast("dict[str, Any]", cls.__dataclass_fields__).values():
        if not field.init or field.name not in hints or _is_class_variable(hints[field.name][0]):
            continue
        hint, variables = hints[field.name]
        factory = None if field.default_factory is dataclasses.MISSING else field.default_factory
        default = ABSENT if field.default is dataclasses.MISSING else field.default
        yield ClassField(
            field.name,
            field.name,
            field.name,
            cast("Any", hint).type if isinstance(hint, dataclasses.InitVar) else hint,
            variables,
            required=default is ABSENT and factory is None,
            default=_plain_default(default, factory),
            positional=not field.kw_only,
            description=getattr(field, "doc", None),
        )


def _is_class_variable(hint: Any) -> bool:
    return hint is typing.ClassVar or typing.get_origin(hint) is typing.ClassVar


def _attrs_class(cls: Any, hints: _Hints) -> Iterator[ClassField]:
    for field in attrs.fields(cls):
        if not field.init:
            continue
        hint, variables = hints.get(field.name, (field.type or Any, cast("TypeVars", {})))
        if field.converter is not None:
            hint = _converter_hint(cls, field) or hint
        factory = field.default.factory if isinstance(field.default, attrs.Factory) else None  # type: ignore[arg-type]
        yield ClassField(
            field.alias or field.name,
            field.name,
            field.alias or field.name,
            hint,
            variables,
            required=field.default is attrs.NOTHING,
            default=_plain_default(ABSENT if factory or field.default is attrs.NOTHING else field.default, factory),
            positional=not field.kw_only,
        )


def _converter_hint(cls: Any, field: attrs.Attribute[Any]) -> Any:
    """The type that a converter takes, where its annotation is more specific than `Any`."""
    found = inspect.get_annotations(cls.__init__).get(field.alias or field.name)
    try:
        if isinstance(found, str):
            given = cast("Any", field).converter
            converter: Any = getattr(given, "converter", given)
            found = next(iter(typing.get_type_hints(converter, include_extras=True).values()), None)
        elif found is not None:  # attrs's `optional` may leave a name in quotes in it
            found = evaluated(found, cls.__module__)
    except (NameError, TypeError):
        return None
    return None if found in {Any, object} else found


def _named_tuple(cls: Any, hints: _Hints) -> Iterator[ClassField]:
    for name in cls._fields:
        hint, variables = hints.get(name, (Any, cast("TypeVars", {})))
        required = name not in cls._field_defaults
        default = cls._field_defaults.get(name, ABSENT)
        yield ClassField(name, name, name, hint, variables, required, _plain_default(default, None))


def _struct(cls: Any, hints: _Hints) -> Iterator[ClassField]:
    for field in msgspec.structs.fields(cls):
        hint, variables = hints[field.name]
        factory = None if field.default_factory is msgspec.NODEFAULT else field.default_factory
        default = ABSENT if field.default in (msgspec.NODEFAULT, msgspec.UNSET) else field.default
        yield ClassField(
            field.name,
            field.name,
            field.encode_name,
            hint,
            variables,
            required=field.required,
            default=_plain_default(default, factory),
            positional=False,
        )


def _typed_dict(cls: Any, variables: TypeVars) -> Iterator[ClassField]:
    for name, (hint, known) in class_hints(cls, variables).items():
        # The sets of keys that the class has are wrong where its annotations are in quotes.
        wrappers = set(_wrappers(hint))
        required = "Required" in wrappers or ("NotRequired" not in wrappers and name in cls.__required_keys__)
        yield ClassField(name, name, name, hint, known, required)


def _wrappers(hint: Any) -> Iterator[str]:
    """The names of what is around a type: `Required`, `NotRequired`, `ReadOnly`, `Annotated`."""
    while typing.get_origin(hint) is Annotated or wrapper_name(hint):
        yield wrapper_name(hint)
        hint = typing.get_args(hint)[0]


def _plain_default(default: Any, factory: Any) -> Any:
    """The default, if it is the same for each value; factories are not called, as they may be random, except these."""
    return factory() if factory in _EMPTY_FACTORIES else stated_default(default)


def stated_default(default: Any) -> Any:
    """A default that a schema states, which is plain data; `ABSENT` for an object, whose fields are not for a model."""
    return default if _is_plain(default) else ABSENT


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_plain, cast("Mapping[Any, Any]", value).values()))
    if isinstance(value, (list, tuple, AbstractSet)):
        is_named = hasattr(cast("object", value), "_fields")
        return not is_named and all(map(_is_plain, cast("list[Any]", value)))
    return isinstance(value, _PLAIN)


_PLAIN = (
    *(str, int, float, bool, bytes, type(None), enum.Enum),
    *(datetime.date, datetime.time, datetime.timedelta, decimal.Decimal, uuid.UUID),
)
