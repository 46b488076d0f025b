"""Type hints of a class with the values of its type variables; imports nothing of the user's."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias, cast

TypeVars: TypeAlias = Mapping[Any, Any]
"""Type variable → its type, and the variables of that one."""

_NO_VARIABLES: TypeVars = {}

SELF: Any = vars(typing)["Self"]
"""The type variable of a class for itself."""


def class_hints(cls: type[Any], variables: TypeVars) -> dict[str, tuple[Any, TypeVars]]:
    """The annotations of a class and its bases, each with the type variables of the class that has it.

    Raises:
        NameError: an annotation in quotes has a name that the class's module does not have.
    """
    # A class inside a function refers to itself by a name that its module does not have, or has for another class.
    itself = {cls.__name__: cls} if "<locals>" in cls.__qualname__ else None
    try:
        hints = typing.get_type_hints(cls, localns=itself, include_extras=True)
    except NameError:
        hints = typing.get_type_hints(cls, localns={**vars(cls), cls.__name__: cls}, include_extras=True)
    owners = list(_generic_bases(cls, variables))
    if is_typed_dict(cls):
        owners.reverse()  # a TypedDict repeats the annotations of its bases
    out: dict[str, tuple[Any, TypeVars]] = {}
    own = [(inspect.get_annotations(owner), known) for owner, known in owners]
    for name, hint in hints.items():
        out[name] = (hint, next((known for names, known in own if name in names), _NO_VARIABLES))
    return out


def is_typed_dict(cls: Any) -> bool:
    """Whether a class is a TypedDict, of the module typing or of typing_extensions."""
    return hasattr(cls, "__required_keys__") and isinstance(cls, type) and issubclass(cls, dict)


def wrapper_name(hint: Any) -> str:
    """The name of a marker around a type that does not change its values; "" for types without one."""
    origin = typing.get_origin(hint)
    name = getattr(origin, "_name", None) or getattr(origin, "__name__", "")
    return name if name in _WRAPPERS else ""


_WRAPPERS = frozenset({"Required", "NotRequired", "ReadOnly", "Final"})


def type_arguments(origin: Any, arguments: tuple[Any, ...], outer: TypeVars) -> TypeVars:
    """The type variables of a generic class that is given arguments, which may have variables of an outer class."""
    parameters = cast(
        "tuple[Any, ...]", getattr(origin, "__parameters__", ()) or getattr(origin, "__type_params__", ())
    )
    itself = types.GenericAlias(origin, arguments) if arguments else origin
    known: dict[Any, Any] = {SELF: (itself, outer)}
    known.update((name, (argument, outer)) for name, argument in zip(parameters, arguments, strict=False))
    return known


def resolved_alias(alias: Any) -> Any:
    """The type that a type alias stands for, with the types of the names that are in quotes.

    Raises:
        NameError: the module of the alias does not have a name.
    """
    return evaluated(alias.__value__, alias.__module__)


def evaluated(hint: Any, module: str) -> Any:
    """A type with the types of the names in it that are in quotes.

    Raises:
        NameError: the module does not have a name.
    """
    holder = type("Holder", (), {"__annotations__": {"value": hint}, "__module__": module})
    return typing.get_type_hints(holder, include_extras=True)["value"]


def _generic_bases(cls: type[Any], variables: TypeVars) -> Iterator[tuple[type[Any], TypeVars]]:
    """The class and all its bases, each with its type variables."""
    yield cls, variables
    for base in getattr(cls, "__dict__", {}).get("__orig_bases__", cls.__bases__):
        origin = typing.get_origin(base) or base
        if isinstance(origin, type) and origin not in {object, typing.Generic}:
            known = {**type_arguments(origin, typing.get_args(base), variables), SELF: variables[SELF]}
            yield from _generic_bases(cast("type[Any]", origin), known)
