"""Functions as the parameters of a tool: JSON Schema out of a signature, and arguments out of a model's JSON."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Protocol, cast

from ..errors import InvalidRequestError
from ..structured.partial import PlainData
from ..structured.reading import read_value
from ..structured.types import ABSENT, ClassField, TypePlan, ValueMismatch, compile_members
from .tool_context import ToolContext
from .tool_errors import ArgumentMismatch, ToolError


class ReadArguments:
    """The arguments of one call, read and checked.

    Args:
        text: the JSON that the model wrote.
        bound: keyword arguments for the function.
    """

    __slots__ = ("_text", "bound")

    def __init__(self, text: str, bound: dict[str, Any]) -> None:
        self._text = text
        self.bound = bound

    @property
    def plain(self) -> dict[str, Any]:
        """The arguments as plain JSON data, read anew each time."""
        return _read(self._text, PlainData(is_wrapped=False))


class ArgumentReader(Protocol):
    """What reads the arguments of a tool."""

    def __call__(self, text: str) -> ReadArguments:
        """The arguments in a model's JSON.

        Raises:
            ArgumentMismatch: they do not fit.
        """
        ...


def read_plain(text: str) -> ReadArguments:
    """The arguments as plain data, for a tool that checks them itself.

    Raises:
        ArgumentMismatch: the text is no JSON object.
    """
    return ReadArguments(text, _read(text, PlainData(is_wrapped=False)))


def _read(text: str, plan: Any) -> dict[str, Any]:
    """The value of a plan.

    Raises:
        ArgumentMismatch: the text does not fit.
    """
    try:
        return cast("dict[str, Any]", read_value(text if text.strip() else "{}", plan, "tool", []))
    except ValueMismatch as error:
        # The text of a constructor's exception may quote anything; the model gets that of a ToolError, and no other.
        expected = "another value, because this one was refused" if error.kind == "value" else error.expected
        mismatch, cause = ArgumentMismatch(error.path, expected), error.__cause__
    except ToolError as error:
        mismatch, cause = ArgumentMismatch("$", str(error)), error
    except Exception as error:  # noqa: BLE001 (constructors of the parameters' types may raise anything)
        mismatch, cause = ArgumentMismatch("$", "arguments that the tool accepts"), error
    raise mismatch from cause


class FunctionSchema:
    """The parameters of a function.

    Attributes:
        parameters: their JSON Schema.
        context_parameter: the name of the parameter that gets the `ToolContext`.
    """

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.context_parameter: str | None = None
        fields = list(self._fields(name, function))
        try:
            self._plan: TypePlan[dict[str, Any]] = compile_members(name, fields)
        except InvalidRequestError as error:
            path, _, reason = error.message.removeprefix("into: $.").partition(": ")
            raise refusal(name, path, reason) from None
        self.parameters: dict[str, Any] = self._plan.schema

    def read(self, text: str) -> ReadArguments:
        """The arguments in a model's JSON, as the function takes them.

        Raises:
            ArgumentMismatch: they do not fit.
        """
        return ReadArguments(text, _read(text, self._plan))

    def _fields(self, name: str, function: Callable[..., Any]) -> Iterator[ClassField]:
        hints = _hints(name, function)
        for parameter in inspect.signature(function).parameters.values():
            _check_kind(name, parameter)
            if parameter.name not in hints:
                raise refusal(name, parameter.name, "has no annotation")
            hint = hints[parameter.name]
            if _is_context(hint):
                self.context_parameter = parameter.name
                continue
            default = ABSENT if parameter.default is parameter.empty else parameter.default
            yield ClassField(
                parameter.name,
                parameter.name,
                parameter.name,
                hint,
                {},
                required=default is ABSENT,
                default=default,
            )


def refusal(name: str, parameter: str, reason: str) -> InvalidRequestError:
    """The error of a function that cannot be a tool."""
    return InvalidRequestError(f"{name}: {parameter}: {reason}", param=parameter)


_KINDS: Mapping[Any, str] = {
    inspect.Parameter.POSITIONAL_ONLY: "is positional-only, and arguments of a model have names",
    inspect.Parameter.VAR_POSITIONAL: "takes any number of arguments; write a list",
    inspect.Parameter.VAR_KEYWORD: "takes arguments of any name; write a dict",
}


def _check_kind(name: str, parameter: inspect.Parameter) -> None:
    reason = _KINDS.get(parameter.kind)
    if reason is not None:
        raise refusal(name, parameter.name, reason)


def _is_context(hint: Any) -> bool:
    if typing.get_origin(hint) is Annotated:
        hint = typing.get_args(hint)[0]
    return hint is ToolContext or typing.get_origin(hint) is ToolContext


def _hints(name: str, function: Callable[..., Any]) -> dict[str, Any]:
    while isinstance(function, functools.partial):
        function = function.func
    if not inspect.isroutine(function):
        function = cast("Any", type(function)).__call__
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception as error:  # noqa: BLE001 (annotations in quotes are code)
        raise refusal(name, "annotations", f"cannot be read: {error}") from None
