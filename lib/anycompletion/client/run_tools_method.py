"""The method of AsyncCompletion for tool runs; what it does is in `tools`, loaded at its first use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from .._boundary import hides_frames
from ..records import Messages, ToolLike
from .batch_method import UNTYPED, refuse_typing
from .dispatch import CallDispatcher

if TYPE_CHECKING:
    from typing_extensions import TypeForm

    from ..structured import ParseMode, SupportsValidateJSON
    from ..tools.run_params import RunParams
    from ..tools.tool_run import ToolRun

T = TypeVar("T")


class RunToolsMethod:
    """Base class of `AsyncCompletion`: the loop over tools."""

    _dispatcher: CallDispatcher

    @overload
    def run_tools(
        self, model: str, messages: Messages, tools: Sequence[ToolLike], **params: Unpack[RunParams]
    ) -> ToolRun[None]: ...
    @overload
    def run_tools(
        self,
        model: str,
        messages: Messages,
        tools: Sequence[ToolLike],
        *,
        into: type[T] | SupportsValidateJSON[T],
        mode: ParseMode = "auto",
        strict: bool | None = None,
        max_reasks: int = 0,
        validate: Callable[[T], object] | None = None,
        **params: Unpack[RunParams],
    ) -> ToolRun[T]: ...
    @overload
    def run_tools(
        self,
        model: str,
        messages: Messages,
        tools: Sequence[ToolLike],
        *,
        into: TypeForm[T],
        mode: ParseMode = "auto",
        strict: bool | None = None,
        max_reasks: int = 0,
        validate: Callable[[T], object] | None = None,
        **params: Unpack[RunParams],
    ) -> ToolRun[T]: ...
    @hides_frames
    def run_tools(
        self,
        model: str,
        messages: Messages,
        tools: Sequence[ToolLike],
        *,
        into: Any = UNTYPED,
        mode: ParseMode = "auto",
        strict: bool | None = None,
        max_reasks: int = 0,
        validate: Callable[[Any], object] | None = None,
        **params: Unpack[RunParams],
    ) -> ToolRun[Any]:
        """Calls the model until it answers without calls of tools; the calls in its replies are executed.

        The run is awaited (``outcome = await client.run_tools(...)``), or read turn by turn, as events or as text; see
        `ToolRun`. The arguments are checked now, and it starts when it is first read.

        Args:
            model: as for `create`.
            messages: as for `create`. Where they end with calls that are not answered, as those of a run that was
                paused, cancelled or killed, these calls are executed first.
            tools: functions, decorated with `anycompletion.tools.tool` or not, and definitions as for `create`. A call
                of a tool of which only the definition is known ends the run "stopped".
            into: the type of the answer, as for `parse`; `RunOutcome.parsed` is the value.
            mode: as for `parse`, like the next three arguments; only with `into`.
            strict: whether the provider has to guarantee the form.
            max_reasks: how often the model is asked again where its answer does not fit.
            validate: a function of the value that raises ValueError or TypeError where it is wrong.
            **params: as for `create`, and the loop's own, which `RunParams` lists: `max_turns`, `approve`, `budget` ….

        Raises:
            InvalidRequestError: an argument is invalid; `.param` names it.
            UnsupportedParameterError: the provider has no tools.
            TypeError: an unknown keyword.
            APIError: while it runs: as `create`, with the conversation so far in `.messages` of the run.
            ToolExecutionError: while it runs: a tool raised, with ``on_tool_error="raise"``.
            ReplyError: while it runs: the answer is no value of `into`, as for `parse`.
        """
        from .run_turns import tool_run  # noqa: PLC0415 (few ms, and many programs have no tools)

        answer_options = {"mode": mode, "strict": strict, "max_reasks": max_reasks, "validate": validate}
        if into is UNTYPED:
            refuse_typing(answer_options)
        else:
            answer_options["into"] = into
        try:
            return tool_run(self, self._dispatcher, model, messages, tools, params, answer_options)
        finally:
            del params  # as in `create`
