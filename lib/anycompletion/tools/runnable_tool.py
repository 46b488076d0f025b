"""`@tool`: functions as tools that a model may call, with schema, reader of arguments, and one call of their own."""

from __future__ import annotations

import functools
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, cast, overload

from .._async import is_async_function
from ..errors import InvalidRequestError
from ..records import FunctionDefinition, FunctionTool, ToolCall
from .descriptions import description_of
from .function_schema import ArgumentReader, FunctionSchema, ReadArguments, read_plain
from .tool_calling import MAX_RESULT_CHARS, error_outcome, run_call
from .tool_context import ToolContext
from .tool_errors import ArgumentMismatch
from .tool_results import invalid_arguments, unknown_tool

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from .outcomes import ToolOutcome

    R = TypeVar("R", default=Any, covariant=True)
else:
    from typing import TypeVar

    R = TypeVar("R", covariant=True)

P = ParamSpec("P")

_NAME = r"[a-zA-Z0-9_-]{1,64}"


class RunnableTool(Generic[P, R]):
    """A function that a model may call; still callable as the plain function. Made by `tool` and `from_schema`."""

    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str,
        description: str | None,
        parameters: dict[str, Any],
        reader: ArgumentReader,
        context_parameter: str | None = None,
        strict: bool | None = None,
        timeout: float | None = None,
        sequential: bool = False,
        needs_approval: bool = False,
    ) -> None:
        if not re.fullmatch(_NAME, name):
            text = f"name: {name!r:.80} is no tool's name: letters, digits, _ and -, 64 of them at most"
            raise InvalidRequestError(text, param="name")
        self.name = name
        self.description = description
        self.parameters = parameters
        self.definition = FunctionTool(FunctionDefinition(name, description, parameters, strict))
        self.timeout = timeout
        self.sequential = sequential
        self.needs_approval = needs_approval
        self.function = function
        self.context_parameter = context_parameter
        self.is_async = is_async_function(function)
        self._reader = reader
        functools.update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """What the function returns."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<RunnableTool {self.name!r}>"

    def read_arguments(self, text: str) -> ReadArguments:
        """The arguments in a model's JSON; an empty text is an empty object.

        Raises:
            ArgumentMismatch: they do not fit the parameters.
        """
        return self._reader(text)

    async def run(self, call: ToolCall, *, context: object = None) -> ToolOutcome:
        """Runs the tool for one call of a model; never raises for what the tool or the model did wrong.

        Args:
            call: the call.
            context: what a parameter annotated `ToolContext` gets as its `.value`.
        """
        if call.function.name != self.name:
            return error_outcome(call, unknown_tool([self.name]), None)
        try:
            arguments = self.read_arguments(call.function.arguments)
        except ArgumentMismatch as error:
            return error_outcome(call, invalid_arguments(error), error)
        return await run_call(
            self,
            call,
            arguments,
            context=ToolContext(context, call),
            timeout=None,
            max_result_chars=MAX_RESULT_CHARS,
            threads=None,
        )

    @classmethod
    def from_schema(
        cls,
        name: str,
        parameters: Mapping[str, Any],
        call: Callable[[dict[str, Any]], Awaitable[object]],
        *,
        description: str | None = None,
        strict: bool | None = None,
        timeout: float | None = None,
        sequential: bool = False,
        needs_approval: bool = False,
    ) -> RunnableTool[..., Any]:
        """A tool of a JSON Schema and a function of the arguments, which checks them itself."""
        return RunnableTool(
            call,
            name=name,
            description=description,
            parameters=dict(parameters),
            reader=_PLAIN,
            strict=strict,
            timeout=timeout,
            sequential=sequential,
            needs_approval=needs_approval,
        )

    def call_function(self, arguments: ReadArguments, context: ToolContext[Any]) -> Any:
        """What the function returns for read arguments: a value, or an awaitable."""
        function = cast("Callable[..., Any]", self.function)
        if self._reader is _PLAIN:
            return function(arguments.bound)
        if self.context_parameter is not None:
            return function(**arguments.bound, **{self.context_parameter: context})
        return function(**arguments.bound)


_PLAIN: ArgumentReader = read_plain


@overload
def tool(function: Callable[P, R], /) -> RunnableTool[P, R]: ...
@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    strict: bool | None = None,
    timeout: float | None = None,
    sequential: bool = False,
    needs_approval: bool = False,
    docstrings: bool = False,
) -> Callable[[Callable[P, R]], RunnableTool[P, R]]: ...
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    strict: bool | None = None,
    timeout: float | None = None,
    sequential: bool = False,
    needs_approval: bool = False,
    docstrings: bool = False,
) -> Any:
    """Makes a function a tool; see the arguments of the decorator."""

    def decorate(function: Callable[..., Any]) -> RunnableTool[..., Any]:
        own = name or _name_of(function)
        schema = FunctionSchema(own, function)
        return RunnableTool(
            function,
            name=own,
            description=description or description_of(function),
            parameters=schema.parameters,
            reader=schema.read,
            context_parameter=schema.context_parameter,
            strict=strict,
            timeout=timeout,
            sequential=sequential,
            needs_approval=needs_approval,
        )

    return decorate if function is None else decorate(function)


def _name_of(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = cast("Any", function).func
    return str(getattr(function, "__name__", None) or type(function).__name__)
