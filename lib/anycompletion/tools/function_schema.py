"""Parameters of functions: their JSON Schema out of the signature, and their values out of a model's JSON."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

from ..errors import InvalidRequestError
from ..structured.types import ABSENT, ClassField, TypePlan, compile_members, stated_default
from .argument_reading import ParsedArguments, read_as
from .function_hints import bound_names, function_name, resolved_hint
from .tool_context import ToolContext


class FunctionSchema:
    """The parameters of a function that the model fills in.

    Args:
        name: the name of the tool, for errors.
        function: the function.
        descriptions: texts for parameters that have none in their annotation.

    Raises:
        InvalidRequestError: the function has a parameter that cannot be read from JSON; `.param` is its name.
    """

    def __init__(self, name: str, function: Callable[..., Any], descriptions: Mapping[str, str]) -> None:
        self.context_parameter: str | None = None
        """The name of the parameter that gets the `ToolContext`."""
        fields = list(self._fields(name, function))
        try:
            self._plan: TypePlan[dict[str, Any]] = compile_members(name, fields)
        except InvalidRequestError as error:
            path, _, reason = error.message.removeprefix("into: $.").partition(": ")
            raise refusal(name, path, reason) from None
        self.parameters: dict[str, Any] = self._plan.schema
        """Their JSON Schema."""
        for parameter, text in descriptions.items():
            if parameter in self.parameters["properties"]:
                self.parameters["properties"][parameter].setdefault("description", text)

    def read(self, text: str) -> ParsedArguments:
        """The arguments in a model's JSON, as the function takes them.

        Raises:
            ArgumentMismatch: they do not fit.
        """
        return ParsedArguments(text, read_as(text, self._plan))

    def _fields(self, name: str, function: Callable[..., Any]) -> Iterator[ClassField]:
        given = bound_names(function)
        for index, parameter in enumerate(_signature(name, function).parameters.values()):
            own = parameter.name
            if own in given:
                continue
            if parameter.annotation is parameter.empty and index == 0 and own in {"self", "cls"}:
                bound = f"object.{function_name(function)}"
                instead = f"leave the method as it is, and write tool({bound}) or tools=[{bound}]"
                raise refusal(name, own, f"is no argument of a model; {instead}")
            if parameter.kind in _KINDS:
                raise refusal(name, own, _KINDS[parameter.kind])
            if parameter.annotation is parameter.empty:
                raise refusal(name, own, "has no annotation")
            try:
                hint = resolved_hint(function, parameter.annotation)
            except Exception as error:  # noqa: BLE001 (annotations in quotes are code)
                reason = f"its annotation cannot be read ({type(error).__name__}: {error})"
                raise refusal(name, own, f"{reason}; names in it must be known in the function's module") from None
            if _is_context(hint):
                if self.context_parameter is not None:
                    raise refusal(name, own, f"gets a ToolContext, as {self.context_parameter} does already")
                self.context_parameter = own
                continue
            is_required = parameter.default is parameter.empty
            default = ABSENT if is_required else stated_default(parameter.default)
            yield ClassField(own, own, own, hint, {}, required=is_required, default=default)


def refusal(name: str, parameter: str, reason: str) -> InvalidRequestError:
    """The error of a function that cannot be a tool."""
    return InvalidRequestError(f"{name}: {parameter}: {reason}", param=parameter.partition("[")[0].partition(".")[0])


_KINDS: Mapping[Any, str] = {
    inspect.Parameter.POSITIONAL_ONLY: "is positional-only, and a model's arguments have names",
    inspect.Parameter.VAR_POSITIONAL: "takes any number of arguments; use one parameter with a list",
    inspect.Parameter.VAR_KEYWORD: "takes arguments of any name; use one parameter with a dict",
}


def _signature(name: str, function: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        text = f"{name}: has no signature that can be read; use RunnableTool.from_schema"
        raise InvalidRequestError(text, param="function") from None


def _is_context(hint: Any) -> bool:
    """Whether a parameter gets the `ToolContext`, which may be optional."""
    if typing.get_origin(hint) is Annotated:
        hint = typing.get_args(hint)[0]
    members: tuple[Any, ...] = (hint, *typing.get_args(hint))
    return any(each is ToolContext or typing.get_origin(each) is ToolContext for each in members)
