"""Types as keys and as names; keys refer to classes weakly."""

from __future__ import annotations

import typing
import weakref
from collections.abc import Hashable
from typing import Annotated, Any, Literal

from .type_hints import SELF, TypeVars


def type_signature(hint: Any, variables: TypeVars) -> Hashable:
    """A key that is equal for equal types, and keeps no class alive.

    Raises:
        TypeError: metadata of the type is not hashable.
    """
    if isinstance(hint, type):  # nearly all types that are asked for
        return weak(hint)
    if variables and _is_variable(hint, variables):
        return type_signature(*variables[hint])
    arguments = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if origin is Annotated:
        given: tuple[Any, ...] = hint.__metadata__
        metadata = (*map(type, given), *given)
        hash(metadata)
        return ("Annotated", type_signature(arguments[0], variables), metadata)
    if origin is Literal:
        values: Any = [(type(value), value) for value in arguments]
        return ("Literal", *values)
    if arguments:
        return (weak(origin), *(type_signature(argument, variables) for argument in arguments))
    return weak(hint)


def weak(hint: Any) -> Hashable:
    """A weak reference, for what can have one; equal to other references to the same object."""
    try:
        reference = weakref.ref(hint)
    except TypeError:
        hash(hint)
        return typing.cast("Hashable", hint)
    hash(reference)
    return reference


def is_variable(hint: Any, variables: TypeVars) -> bool:
    """Whether a hint is a type variable, or `Self` in a class."""
    return isinstance(hint, typing.TypeVar) or (hint is SELF and hint in variables)


def _is_variable(hint: Any, variables: TypeVars) -> bool:
    return is_variable(hint, variables) and hint in variables


def type_name(hint: Any, variables: TypeVars) -> str:
    """A type in words that make a name: ``Recipe``, ``list_Recipe``, ``Box_int``, ``Recipe_or_Soup``."""
    if variables and _is_variable(hint, variables):
        return type_name(*variables[hint])
    arguments = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if origin is Annotated:
        return type_name(arguments[0], variables)
    if origin is Literal:
        return "choice"
    if hint is None or hint is type(None):
        return "null"
    names = [type_name(argument, variables) for argument in arguments]
    if is_union(origin):
        return "_or_".join(names)
    return "_".join([str(getattr(origin or hint, "__name__", "value")), *names])


def is_union(origin: Any) -> bool:
    """Whether the origin of a type is that of unions, in either notation."""
    return origin is typing.Union or getattr(origin, "__name__", "") == "UnionType"
