"""`@tool`: functions as tools that a model may call, with the schema and the reader of their arguments."""

from __future__ import annotations

import functools
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, cast, overload

from .._async import is_async_function
from ..errors import InvalidRequestError
from ..records import FunctionDefinition, FunctionTool, ToolCall
from ..structured.schemas import strict_tool_problem
from .argument_reading import ArgumentReader, ParsedArguments
from .descriptions import parameter_descriptions, tool_description
from .function_hints import check_function, function_doc, function_name
from .function_schema import FunctionSchema
from .given_schema import SchemaReader, checked_schema
from .keyword_checks import flag_problem, seconds_problem
from .running_call import MAX_RESULT_CHARS, arguments_or_outcome, run_call, unknown_tool_outcome
from .tool_context import ToolContext

if TYPE_CHECKING:
    from typing_extensions import ParamSpec as ParamSpecWithDefault
    from typing_extensions import TypeVar

    from .call_outcome import ToolOutcome

    P = ParamSpecWithDefault("P", default=...)
    R = TypeVar("R", default=Any, covariant=True)
else:
    from typing import TypeVar

    P = ParamSpec("P")
    R = TypeVar("R", covariant=True)

_P = ParamSpec("_P")
_R = TypeVar("_R")

_NAME = r"[a-zA-Z0-9_-]{1,64}"


class RunnableTool(Generic[P, R]):
    """A function that a model may call. It can be called as the function itself; `tool` and `from_schema` make it."""

    name: str
    """The name by which the model calls it."""
    description: str | None
    """What the model reads about it."""
    parameters: dict[str, Any]
    """JSON Schema of the arguments; must not be changed."""
    definition: FunctionTool
    """What requests hold of the tool; must not be changed."""
    timeout: float | None
    """Seconds that a call may take; None for what the run allows."""
    sequential: bool
    """Whether no other call of the same turn may run at the same time."""
    needs_approval: bool
    """Whether a run asks before it calls the tool."""

    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str,
        description: str | None,
        parameters: dict[str, Any],
        reader: ArgumentReader,
        takes_dict: bool = False,
        context_parameter: str | None = None,
        strict: bool | None = None,
        timeout: float | None = None,
        sequential: bool = False,
        needs_approval: bool = False,
    ) -> None:
        self.name = _checked_name(name)
        _check_options(description, strict, timeout, sequential=sequential, needs_approval=needs_approval)
        if strict and (reason := strict_tool_problem(parameters)) is not None:
            raise InvalidRequestError(f"{name}: strict: its schema cannot be strict: {reason}", param="strict")
        self.description = description
        self.parameters = parameters
        self.definition = FunctionTool(FunctionDefinition(name, description, parameters, strict, portable=True))
        self.timeout = timeout
        self.sequential = sequential
        self.needs_approval = needs_approval
        self.is_async = is_async_function(function)
        """Whether the function runs in the event loop, and not in a thread."""
        self._function = function
        self._takes_dict = takes_dict
        self._context_parameter = context_parameter
        self._reader = reader
        functools.update_wrapper(
            self, function, updated=()
        )  # without attributes, which may have the names of those above

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """What the function returns."""
        return self._function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<RunnableTool {self.name!r}>"

    def read_arguments(self, text: str) -> ParsedArguments:
        """The arguments in a model's JSON; an empty text is an empty object.

        Raises:
            ArgumentMismatch: they do not fit the parameters.
        """
        return self._reader(text)

    async def run(self, call: ToolCall, *, context: object = None) -> ToolOutcome:
        """Runs the tool for one call, in a loop of one's own.

        What the model or the function does wrong becomes an outcome with an error as its content; an exception of the
        function is its `.error`.

        Args:
            call: the call of the model.
            context: what a parameter annotated `ToolContext` gets as its `.value`.

        Raises:
            ClientClosedError: the function made a call with a client that was closed.
        """
        if call.function.name != self.name:
            return unknown_tool_outcome(call, [self.name])
        arguments = arguments_or_outcome(call, self.read_arguments)
        if not isinstance(arguments, ParsedArguments):
            return arguments
        return await run_call(
            self,
            call,
            arguments,
            context=ToolContext(context, call),
            timeout=None,
            max_result_chars=MAX_RESULT_CHARS,
            threads=None,
        )

    def call_function(self, arguments: ParsedArguments, context: ToolContext[Any]) -> Any:
        """What the function returns for arguments that were read: a value, or an awaitable."""
        function = cast("Callable[..., Any]", self._function)
        if self._takes_dict:
            return function(arguments.values)
        if self._context_parameter is None:
            return function(**arguments.values)
        return function(**arguments.values, **{self._context_parameter: context})

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
        """A tool of a JSON Schema, and of a function that gets the arguments as one dict and checks them itself.

        The provider is sent the schema; the function gets the JSON object that the model wrote, whether it fits or not.
        With a `ToolError`, the model gets what is wrong with it.

        Args:
            name: the name by which the model calls it.
            parameters: JSON Schema of type object.
            call: an async function of the arguments, which are JSON data that was not compared with the schema.
            description: what the model reads about the tool.
            strict: whether the provider has to guarantee that arguments fit the schema. Default: no.
            timeout: as for `tool`.
            sequential: as for `tool`.
            needs_approval: as for `tool`.

        Raises:
            InvalidRequestError: the name, the schema or another argument is invalid.
        """
        if not callable(call):
            raise InvalidRequestError(f"call: expected a function, found {type(call).__name__}", param="call")
        schema = checked_schema(_checked_name(name), parameters)
        return RunnableTool(
            call,
            name=name,
            description=description,
            parameters=schema,
            reader=SchemaReader(schema, drops_nulls=bool(strict)),
            takes_dict=True,
            strict=False if strict is None else strict,
            timeout=timeout,
            sequential=sequential,
            needs_approval=needs_approval,
        )


def _checked_name(name: str) -> str:
    if not isinstance(cast("object", name), str) or not re.fullmatch(_NAME, name):
        text = f"name: {name!r:.80} is no name of a tool, which has 1 to 64 of a-z, A-Z, 0-9, _ and -"
        raise InvalidRequestError(text, param="name")
    return name


def _check_options(
    description: object, strict: object, timeout: object, *, sequential: object, needs_approval: object
) -> None:
    if description is not None and not isinstance(description, str):
        raise InvalidRequestError(
            f"description: expected a text, found {type(description).__name__}", param="description"
        )
    if strict is not None and type(strict) is not bool:
        raise InvalidRequestError("strict: expected True, False or None", param="strict")
    problems = {
        "timeout": seconds_problem(timeout),
        "sequential": flag_problem(sequential),
        "needs_approval": flag_problem(needs_approval),
    }
    for param, problem in problems.items():
        if problem is not None:
            raise InvalidRequestError(f"{param}: expected {problem}", param=param)


@overload
def tool(function: Callable[_P, _R], /) -> RunnableTool[_P, _R]: ...
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
) -> Callable[[Callable[_P, _R]], RunnableTool[_P, _R]]: ...
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
    """A function as a tool that a model may call: ``@tool``, ``@tool(timeout=5)`` or ``tool(function)``.

    The annotations of the parameters become the schema, with texts from ``Annotated[str, "City and country"]``. A
    parameter annotated `ToolContext` is passed in and is not in the schema. Plain functions run in threads, async ones
    in the event loop. Bound methods, `functools.partial` and objects that can be called are functions, too. Defaults
    that are plain data are in the schema; objects are not.

    Args:
        function: the function.
        name: the name by which the model calls it. Default: that of the function.
        description: what the model reads about it. Default: the docstring up to its first section.
        strict: whether the provider has to guarantee that arguments fit the schema. Default: where OpenAI's strict
            schemas can say the same; off at Anthropic, whose requests may have few strict tools.
        timeout: seconds that a call may take. Default: what the run allows.
        sequential: whether no other call of the same turn may run at the same time.
        needs_approval: whether a run asks before it calls the tool.
        docstrings: whether parameters without a text in their annotation get that of the docstring's section about
            them. Needs the extra ``docstrings``.

    Raises:
        InvalidRequestError: the function cannot be a tool; `.param` names the parameter.
    """

    def decorate(function: Callable[..., Any]) -> RunnableTool[..., Any]:
        check_function(function)
        own_name = _checked_name(function_name(function) if name is None else name)
        docstring = function_doc(function)
        schema = FunctionSchema(own_name, function, parameter_descriptions(docstring) if docstrings else {})
        return RunnableTool(
            function,
            name=own_name,
            description=tool_description(docstring) if description is None else description,
            parameters=schema.parameters,
            reader=schema.read,
            context_parameter=schema.context_parameter,
            strict=strict,
            timeout=timeout,
            sequential=sequential,
            needs_approval=needs_approval,
        )

    return decorate if function is None else decorate(function)


def as_tool(function: Callable[..., Any]) -> RunnableTool[..., Any]:
    """A `RunnableTool` itself, and any other function as one.

    Raises:
        InvalidRequestError: the function cannot be a tool.
    """
    return cast("RunnableTool[..., Any]", function) if isinstance(function, RunnableTool) else tool(function)
