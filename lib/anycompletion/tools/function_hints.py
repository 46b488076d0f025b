"""What functions say of themselves: whether they are tools at all, their names, and the types of their parameters."""

from __future__ import annotations

import contextlib
import functools
import inspect
import types
import typing
from typing import Any, cast

from ..errors import InvalidRequestError


def check_function(function: object) -> None:
    """Checks that an object can be called as a tool.

    Raises:
        InvalidRequestError: it is no function, or one whose calls have no single result.
    """
    reason = None
    if isinstance(function, type):
        reason = f"the class {function.__qualname__} is no tool; write a function that returns one"
    elif isinstance(function, classmethod):
        name = function_name(cast("Any", function).__func__)
        reason = f"leave the class method {name} as it is, and write tool(Class.{name})"
    elif not callable(function):
        reason = f"expected a function, found {type(function).__name__}"
    elif any(map(_is_generator, (function, getattr(function, "__call__", None)))):  # noqa: B004
        reason = f"{function_name(function)} is a generator, and a tool has one result"
    if reason is not None:
        raise InvalidRequestError(f"function: {reason}", param="function")


def _is_generator(function: object) -> bool:
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def function_name(function: object) -> str:
    """The name of a function; that of its class for an object that can be called."""
    function = _unbound(function)
    return str(getattr(function, "__name__", None) or type(function).__name__)


def function_doc(function: object) -> str | None:
    """The docstring of a function, or of the method by which an object is called."""
    function = _unbound(function)
    if _is_described(function):
        return inspect.getdoc(function)
    return inspect.getdoc(type(function).__call__) or inspect.getdoc(type(function))


def bound_names(function: object) -> set[str]:
    """The names of arguments that `functools.partial` has given already."""
    return set(function.keywords) if isinstance(function, functools.partial) else set()


def resolved_hint(function: object, annotation: Any) -> Any:
    """The type of an annotation, with the names in quotes resolved in the module of the function.

    Raises:
        Exception: what the evaluation of the annotation raises, mostly NameError.
    """
    function = _unbound(function)
    source: Any = inspect.unwrap(cast("Any", function) if _is_described(function) else type(function).__call__)
    known: dict[str, Any] = getattr(source, "__globals__", {})
    enclosed = _enclosed(source) if inspect.isfunction(source) else {}
    holder = type("Holder", (), {"__annotations__": {"value": annotation}})
    return typing.get_type_hints(holder, known, enclosed, include_extras=True)["value"]


def _enclosed(function: types.FunctionType) -> dict[str, Any]:
    """The variables of enclosing functions that a function uses, as far as they have values yet."""
    found: dict[str, Any] = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # an empty cell, as that of the function itself while it is decorated
            found[name] = cell.cell_contents
    return found


def _unbound(function: object) -> object:
    """The function inside of `functools.partial`."""
    while isinstance(function, functools.partial):
        function = cast("functools.partial[Any]", function).func
    return function


def _is_described(function: object) -> bool:
    """Whether the object has the annotations and docstring itself, as functions and their wrappers have."""
    return inspect.isroutine(function) or hasattr(function, "__wrapped__")
