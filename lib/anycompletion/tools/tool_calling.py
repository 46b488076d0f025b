"""One call of a tool: in the event loop or in a thread, within its time, and with every failure as an outcome."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from logging import WARNING
from typing import Any, Protocol, cast

import anyio

from ..codecs import json
from ..errors import ClientClosedError
from ..logs import log_tool_event
from ..records import Content, ToolCall
from .function_schema import ReadArguments
from .outcomes import ToolOutcome
from .tool_context import ToolContext
from .tool_errors import CallError, CallTimeout, ToolError
from .tool_results import failed, result_content, sendable_text, text_length, timed_out, too_long
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

    def call_function(self, arguments: ReadArguments, context: ToolContext[Any]) -> Any:
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


class RunningCall:
    """A call of a tool that has begun: it ends, times out or is cancelled, and `on_end` is called once.

    Args:
        tool: the tool.
        call: the call, for the outcome.
        arguments: of the call.
        context: for a tool that wants it.
        timeout: seconds that the tool may run, where it has no limit of its own; never past the deadline of `context`.
        max_result_chars: characters of a result.
        threads: limit of the threads of sync tools; None for that of calls without a client.
        on_end: called with the outcome; with the exception where the call was cancelled, and where the tool raised
            CancelledError, KeyboardInterrupt, SystemExit or ClientClosedError.
    """

    def __init__(
        self,
        tool: CallableTool,
        call: ToolCall,
        arguments: ReadArguments,
        *,
        context: ToolContext[Any],
        timeout: float | None,
        max_result_chars: int,
        threads: anyio.CapacityLimiter | None,
        on_end: Callable[[ToolOutcome | BaseException], object],
    ) -> None:
        self._tool = tool
        self._call = call
        self._max_result_chars = max_result_chars
        self._on_end: Callable[[ToolOutcome | BaseException], object] | None = on_end
        self._limit = _limit(tool.timeout if tool.timeout is not None else timeout, context.deadline)
        self._timed_out = self._cancelled = False
        self._started = time.monotonic()
        loop = asyncio.get_running_loop()
        value = _value(tool, arguments, context, threads)
        self._task: asyncio.Task[Any] = loop.create_task(value, name=f"tool {tool.name}")
        self._timer = None if self._limit is None else loop.call_later(self._limit, self._time_out)
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

    def _time_out(self) -> None:
        self._timed_out = not self._task.done()
        self.cancel()

    def _leave(self) -> None:
        """Goes on without a tool that did not end when it was cancelled."""
        text, name = "tool %s did not end within %g s of its cancellation, and goes on", self._tool.name
        log_tool_event(WARNING, "tool_left_behind", text, name, GRACE, tool=name)
        _left.add(self._task)
        self._end(self._timeout_outcome() if self._timed_out else asyncio.CancelledError())

    def _on_done(self, task: asyncio.Task[Any]) -> None:
        _left.discard(task)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if self._timer is not None:
            self._timer.cancel()
        if error is None:
            self._end(self._value_outcome(task.result()))
        elif self._timed_out:
            self._end(self._timeout_outcome())
        elif self._cancelled:
            self._end(asyncio.CancelledError())
        elif isinstance(error, ClientClosedError) or not isinstance(error, Exception):
            self._end(error)
        else:
            self._end(self._error_outcome(error))

    def _end(self, ended: ToolOutcome | BaseException) -> None:
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end(ended)

    # --- outcomes ---

    def _value_outcome(self, value: object) -> ToolOutcome:
        try:
            content = result_content(value)
        except Exception as refused:  # noqa: BLE001 (methods of the value may raise anything)
            return self._error_outcome(refused)
        return self._content_outcome(content, None)

    def _content_outcome(self, content: Content, error: ToolError | None) -> ToolOutcome:
        length = text_length(content)
        if length > self._max_result_chars:
            problem = too_long(length, self._max_result_chars)
            return self._failed_outcome(problem, error or CallError("the result is too long"))
        return ToolOutcome(self._call, content, error, self._elapsed)

    def _error_outcome(self, error: Exception) -> ToolOutcome:
        if isinstance(error, ToolError) and error.content:
            try:
                content = result_content(error.content)
            except Exception:  # noqa: BLE001 (as for a value)
                pass
            else:
                return self._content_outcome(content, error)
        name, tool = type(error).__name__, self._tool.name
        # Without the text and the traceback, which may hold a secret or what the model wrote.
        log_tool_event(WARNING, "tool_failed", "tool %s failed with %s", tool, name, tool=tool, error=name)
        return self._failed_outcome(failed(error), error)

    def _timeout_outcome(self) -> ToolOutcome:
        limit = self._limit or 0.0
        return self._failed_outcome(timed_out(limit), CallTimeout(f"timed out after {limit:.3g} s"))

    def _failed_outcome(self, content: dict[str, object], error: Exception) -> ToolOutcome:
        return error_outcome(self._call, content, error, self._elapsed)

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._started


_left: set[asyncio.Task[Any]] = set()
"""Tools that did not end when they were cancelled; event loops keep no strong reference to tasks."""


async def run_call(
    tool: CallableTool,
    call: ToolCall,
    arguments: ReadArguments,
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


def _limit(timeout: float | None, left: float | None) -> float | None:
    limits = [each for each in (timeout, left) if each is not None]
    return min(limits) if limits else None


async def _value(
    tool: CallableTool,
    arguments: ReadArguments,
    context: ToolContext[Any],
    threads: anyio.CapacityLimiter | None,
) -> Any:
    """What the function returns, awaited; one in a thread may return an awaitable as well."""
    if tool.is_async:
        return await cast("Awaitable[object]", tool.call_function(arguments, context))
    in_thread = ThreadCall(lambda: tool.call_function(arguments, context), threads)
    try:
        returned: object = await in_thread
    except asyncio.CancelledError:
        # A function that has ended may not run again when the run is resumed, so its value is kept.
        if not in_thread.has_returned:
            if in_thread.has_begun:
                text = "the thread of tool %s goes on after its cancellation"
                log_tool_event(WARNING, "tool_thread_abandoned", text, tool.name, tool=tool.name)
            raise
        returned = in_thread.value
    return await cast("Awaitable[object]", returned) if inspect.isawaitable(returned) else returned
