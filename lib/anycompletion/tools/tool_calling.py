"""One call of a tool: in the loop or in a thread, within its time, and with every failure as an outcome."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

import anyio.lowlevel
import anyio.to_thread

from ..codecs import json
from ..errors import ClientClosedError
from ..records import ToolCall
from .function_schema import ReadArguments
from .outcomes import ToolOutcome
from .tool_context import ToolContext
from .tool_errors import CallError, CallTimeout, ToolError
from .tool_results import failed, result_content, sendable_text, text_length, timed_out, too_long


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


MAX_THREADS = 16
"""Threads in which the sync tools of one client run."""

MAX_RESULT_CHARS = 200_000

GRACE = 5.0
"""Seconds that a cancelled tool has to end."""

_log = logging.getLogger("anycompletion.tools")

_default_threads: anyio.lowlevel.RunVar[anyio.CapacityLimiter] = anyio.lowlevel.RunVar("anycompletion tool threads")


def error_outcome(
    call: ToolCall, content: dict[str, object], error: BaseException | None, elapsed: float = 0.0
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

    def cancel(self) -> None:
        """Cancels the tool, once: a tool that goes on for some seconds is left."""
        if self._cancelled or self._on_end is None:
            return
        self._cancelled = True
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(GRACE, self._leave)
        self._task.cancel()

    def _time_out(self) -> None:
        self._timed_out = True
        self.cancel()

    def _leave(self) -> None:
        """Goes on without a tool that did not end when it was cancelled."""
        _log.warning("tool %s did not end within %g s of its cancellation, and is left", self._tool.name, GRACE)
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
        except (TypeError, ValueError, RecursionError) as refused:
            return self._error_outcome(refused)
        length = text_length(content)
        if length > self._max_result_chars:
            error = CallError("the result is too long")
            return self._failed_outcome(too_long(length, self._max_result_chars), error)
        return ToolOutcome(self._call, content, None, self._elapsed)

    def _error_outcome(self, error: Exception) -> ToolOutcome:
        if isinstance(error, ToolError):
            return ToolOutcome(self._call, result_content(error.content), error, self._elapsed)
        _log.warning("tool %s failed with %s", self._tool.name, type(error).__name__)
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
    if tool.is_async:
        return await tool.call_function(arguments, context)
    value = await _in_thread(tool, arguments, context, threads)
    return await value if inspect.isawaitable(value) else value


async def _in_thread(
    tool: CallableTool,
    arguments: ReadArguments,
    context: ToolContext[Any],
    threads: anyio.CapacityLimiter | None,
) -> Any:
    begun, returned = False, list[Any]()

    def work() -> None:
        nonlocal begun
        begun = True
        returned.append(tool.call_function(arguments, context))

    try:
        await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=threads or _own_threads())
    except asyncio.CancelledError:
        # A function that has ended may not run again when the run is resumed, so its value is kept.
        if not returned:
            if begun:
                _log.warning("the thread of tool %s goes on after its cancellation", tool.name)
            raise
    return returned[0]


def thread_limit() -> anyio.CapacityLimiter:
    """A new limit of the threads of sync tools."""
    return anyio.CapacityLimiter(MAX_THREADS)


def _own_threads() -> anyio.CapacityLimiter:
    """The limiter of calls without a client, one for each event loop."""
    try:
        return _default_threads.get()
    except LookupError:
        limiter = thread_limit()
        _default_threads.set(limiter)
        return limiter
