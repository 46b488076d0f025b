"""One call of a tool: in the loop or in a thread, within its time, and with every failure as an outcome."""

from __future__ import annotations

import asyncio
import contextlib
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
from .tool_errors import ToolError
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
    """The outcome of one call.

    Raises:
        CancelledError, KeyboardInterrupt, SystemExit, ClientClosedError: nothing else.
    """
    started = time.monotonic()
    limit = _limit(tool.timeout if tool.timeout is not None else timeout, context.deadline)
    running = asyncio.ensure_future(_value(tool, arguments, context, threads))
    try:
        await asyncio.wait((running,), timeout=limit)
    finally:
        if not running.done():
            await _stop(tool, running)
    elapsed = time.monotonic() - started
    if running.cancelled():
        if limit is None or elapsed < limit:
            raise asyncio.CancelledError
        return error_outcome(call, timed_out(limit), TimeoutError(f"timed out after {limit:.3g} s"), elapsed)
    error = running.exception()
    if error is None:
        try:
            content = result_content(running.result())
        except (TypeError, ValueError, RecursionError) as refused:
            error = refused
        else:
            length = text_length(content)
            if length <= max_result_chars:
                return ToolOutcome(call, content, None, elapsed)
            return error_outcome(call, too_long(length, max_result_chars), ValueError("too long"), elapsed)
    if isinstance(error, ToolError):
        return ToolOutcome(call, result_content(error.content), error, elapsed)
    if not isinstance(error, Exception) or isinstance(error, ClientClosedError):
        raise error
    _log.warning("tool %s failed with %s", tool.name, type(error).__name__)
    return error_outcome(call, failed(error), error, elapsed)


def _limit(timeout: float | None, left: float | None) -> float | None:
    limits = [each for each in (timeout, left) if each is not None]
    return min(limits) if limits else None


async def _stop(tool: CallableTool, running: asyncio.Future[Any]) -> None:
    """Cancels a tool, and waits a few seconds for its end."""
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.wait((running,), timeout=GRACE)
    if not running.done():
        _log.warning("tool %s did not end within %g s of being cancelled, and is left behind", tool.name, GRACE)


async def _value(
    tool: CallableTool,
    arguments: ReadArguments,
    context: ToolContext[Any],
    threads: anyio.CapacityLimiter | None,
) -> Any:
    if tool.is_async:
        return await tool.call_function(arguments, context)
    value = await _in_thread(lambda: tool.call_function(arguments, context), threads)
    return await value if inspect.isawaitable(value) else value


async def _in_thread(function: Callable[[], Any], threads: anyio.CapacityLimiter | None) -> Any:
    if threads is None:
        threads = _own_threads()
    return await anyio.to_thread.run_sync(function, abandon_on_cancel=True, limiter=threads)


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
