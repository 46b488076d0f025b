"""One call of a tool: in the event loop or in a thread, within its time, and with every failure as an outcome."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Iterable
from logging import DEBUG, WARNING
from typing import Any, Protocol, cast

import anyio

from ..codecs import json
from ..errors import ClientClosedError
from ..logs import log_tool_event
from ..records import Content, ToolCall
from .argument_reading import ArgumentReader, ParsedArguments
from .call_outcome import ToolOutcome
from .tool_context import ToolContext
from .tool_errors import ArgumentMismatch, CallError, CallTimeout, ToolError
from .tool_results import (
    failed,
    invalid_arguments,
    result_content,
    sendable_text,
    text_length,
    timed_out,
    too_long,
    unknown_tool,
)
from .tool_threads import ThreadCall


class CallableTool(Protocol):
    """What this module needs of a tool."""

    @property
    def name(self) -> str:
        """The name that the model calls."""
        ...

    @property
    def timeout(self) -> float | None:
        """Seconds that a call may take; None for those of the run."""
        ...

    @property
    def is_async(self) -> bool:
        """Whether the function runs in the loop, and not in a thread."""
        ...

    def call_function(self, arguments: ParsedArguments, context: ToolContext[Any]) -> Any:
        """What the function returns: a value, or an awaitable."""
        ...


MAX_RESULT_CHARS = 200_000
"""Characters that a result may have by default."""

GRACE = 5.0
"""Seconds that a tool which was cancelled has to end."""


def error_outcome(
    call: ToolCall, content: dict[str, object], error: BaseException | None = None, elapsed: float = 0.0
) -> ToolOutcome:
    """The outcome of a call that failed; `content` is what the model gets."""
    return ToolOutcome(call, sendable_text(json.dumps(content).decode()), error, elapsed)


def unknown_tool_outcome(call: ToolCall, names: Iterable[str]) -> ToolOutcome:
    """The outcome of a call of a tool that there is not; `names` are those that there are."""
    return error_outcome(call, unknown_tool(names), CallError("there is no tool of this name"))


def arguments_or_outcome(call: ToolCall, read: ArgumentReader) -> ParsedArguments | ToolOutcome:
    """The arguments of a call, or an outcome with the reason why they do not fit."""
    try:
        return read(call.function.arguments)
    except ArgumentMismatch as mismatch:
        return error_outcome(call, invalid_arguments(mismatch), mismatch)


class RunningCall:
    """A call of a tool that has begun: it ends, times out or is cancelled, and `on_end` is called once.

    Args:
        tool: the tool.
        call: the call, for the outcome.
        arguments: of the call.
        context: for a tool that wants it.
        timeout: seconds that the tool may run, where it has no limit of its own. The time that a sync tool waits
            for a thread does not count.
        max_result_chars: characters of a result.
        threads: limit of the threads of sync tools; None for that of calls without a client.
        on_end: called with the outcome; with the exception where the call was cancelled, and where the tool raised
            KeyboardInterrupt, SystemExit or ClientClosedError.
    """

    def __init__(
        self,
        tool: CallableTool,
        call: ToolCall,
        arguments: ParsedArguments,
        *,
        context: ToolContext[Any],
        timeout: float | None,
        max_result_chars: int,
        threads: anyio.CapacityLimiter | None,
        on_end: Callable[[ToolOutcome | BaseException], object],
    ) -> None:
        self._tool = tool
        self._call = call
        self._arguments = arguments
        self._context = context
        self._timeout = tool.timeout if tool.timeout is not None else timeout
        self._max_result_chars = max_result_chars
        self._threads = threads
        self._on_end: Callable[[ToolOutcome | BaseException], object] | None = on_end
        self._timed_out = self._cancelled = False
        self._returned_type: str | None = None
        """The name of the type of the value that the function returned, once it has."""
        self._started = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None
        if tool.is_async:
            self._begin()
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"tool {tool.name}")
        self._task.add_done_callback(self._on_done)

    def runs_in(self, task: asyncio.Task[Any] | None) -> bool:
        """Whether the tool runs in this task."""
        return task is self._task

    def cancel(self) -> None:
        """Cancels the tool, once: a tool that goes on for some seconds is left."""
        if self._cancelled or self._task.done():
            return
        self._cancelled = True
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(GRACE, self._leave)
        self._task.cancel()

    def _begin(self) -> None:
        """Starts the time of the function."""
        if not self._cancelled:
            self._started, limit = time.monotonic(), self._timeout
            self._timer = None if limit is None else asyncio.get_running_loop().call_later(limit, self._time_out)

    def _time_out(self) -> None:
        self._timed_out = not self._task.done()
        self.cancel()

    def _leave(self) -> None:
        """Goes on without a tool that did not end when it was cancelled."""
        text, name = "tool %s did not end within %g s of its cancellation, and goes on", self._tool.name
        log_tool_event(WARNING, "tool_left_behind", text, name, GRACE, tool=name)
        _left.add(self._task)
        self._end(self._timeout_outcome() if self._timed_out else asyncio.CancelledError())

    def _on_done(self, task: asyncio.Task[ToolOutcome]) -> None:
        _left.discard(task)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if self._timer is not None:
            self._timer.cancel()
        if error is None:
            self._end(task.result())
        elif self._timed_out:
            self._end(self._timeout_outcome())
        elif self._cancelled or (task.cancelled() and task.cancelling()):
            self._end(asyncio.CancelledError())
        elif isinstance(error, (Exception, *_FAILURES)) and not isinstance(error, ClientClosedError):
            self._end(self._error_outcome(error))
        else:
            self._end(error)

    def _end(self, ended: ToolOutcome | BaseException) -> None:
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end(ended)

    # --- the task of the tool, whose exceptions are failures of the tool, also those of methods of its result ---

    async def _run(self) -> ToolOutcome:
        try:
            value = await self._value()
        except ToolError as error:
            content = _error_content(error)
            if content is None:
                raise
            return self._content_outcome(content, error)
        self._returned_type = type(value).__name__
        return self._content_outcome(result_content(value), None)

    async def _value(self) -> object:
        """What the function returns, awaited; one in a thread may return an awaitable as well."""
        if self._tool.is_async:
            return await cast("Awaitable[object]", self._tool.call_function(self._arguments, self._context))
        in_thread = ThreadCall(
            lambda: self._tool.call_function(self._arguments, self._context), self._threads, self._begin
        )
        try:
            returned: object = await in_thread.run()
        except asyncio.CancelledError:
            # A function that has ended may not run again when the run is resumed, so its value is kept.
            if not in_thread.has_returned:
                if in_thread.is_running:
                    text, name = "the thread of tool %s goes on after its cancellation", self._tool.name
                    log_tool_event(WARNING, "tool_thread_abandoned", text, name, tool=name)
                raise
            returned = in_thread.value
        return await cast("Awaitable[object]", returned) if inspect.isawaitable(returned) else returned

    # --- outcomes ---

    def _content_outcome(self, content: Content, error: ToolError | None) -> ToolOutcome:
        length = text_length(content)
        if length > self._max_result_chars:
            problem = too_long(length, self._max_result_chars)
            return self._failed_outcome(problem, error or CallError("the result is too long"))
        return ToolOutcome(self._call, content, error, self._elapsed)

    def _error_outcome(self, error: BaseException) -> ToolOutcome:
        name, tool, returned = type(error).__name__, self._tool.name, self._returned_type
        # Without the text and the traceback, which may hold a secret or what the model wrote.
        if returned is None:
            log_tool_event(WARNING, "tool_failed", "tool %s failed with %s", tool, name, tool=tool, error=name)
        else:
            text = "tool %s returned a value of type %s that cannot be sent as a result: %s"
            log_tool_event(
                WARNING, "tool_result_refused", text, tool, returned, name, tool=tool, result=returned, error=name
            )
        log_tool_event(DEBUG, "tool_traceback", "traceback of tool %s", tool, tool=tool, exc_info=error)
        return self._failed_outcome(failed(error), error)

    def _timeout_outcome(self) -> ToolOutcome:
        limit = self._timeout or 0.0
        return self._failed_outcome(timed_out(limit), CallTimeout(f"timed out after {limit:.3g} s"))

    def _failed_outcome(self, content: dict[str, object], error: BaseException) -> ToolOutcome:
        return error_outcome(self._call, content, error, self._elapsed)

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._started


_FAILURES = (asyncio.CancelledError, GeneratorExit)
"""Exceptions that are failures of a tool that raises them, as any `Exception` is: the run was not cancelled."""

_left: set[asyncio.Task[Any]] = set()
"""Tools that did not end when they were cancelled; event loops keep no strong reference to tasks."""


async def run_call(
    tool: CallableTool,
    call: ToolCall,
    arguments: ParsedArguments,
    *,
    context: ToolContext[Any],
    timeout: float | None,
    max_result_chars: int,
    threads: anyio.CapacityLimiter | None,
) -> ToolOutcome:
    """The outcome of one call; the arguments are those of `RunningCall`.

    Raises:
        CancelledError, KeyboardInterrupt, SystemExit, ClientClosedError: nothing else.
    """
    ended: asyncio.Future[ToolOutcome | BaseException] = asyncio.get_running_loop().create_future()
    running = RunningCall(
        tool,
        call,
        arguments,
        context=context,
        timeout=timeout,
        max_result_chars=max_result_chars,
        threads=threads,
        on_end=ended.set_result,
    )
    try:
        await asyncio.wait((ended,))
    except asyncio.CancelledError:
        running.cancel()
        await asyncio.wait((ended,))
        raise
    outcome = ended.result()
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def _error_content(error: ToolError) -> Content | None:
    """What the model gets of a `ToolError`; None where that is nothing, or nothing that a message can hold."""
    try:
        return result_content(error.content) if error.content else None
    except Exception:  # noqa: BLE001 (methods of the content may raise anything)
        return None
