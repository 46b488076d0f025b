"""Threads of sync functions, and the limit of their number."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread

MAX_THREADS = 16
"""Sync functions of one client that run at the same time."""

_of_loop: anyio.lowlevel.RunVar[anyio.CapacityLimiter] = anyio.lowlevel.RunVar("anycompletion tool threads")


def thread_limit() -> anyio.CapacityLimiter:
    """A limit for the threads of sync functions, such as those of one client."""
    return anyio.CapacityLimiter(MAX_THREADS)


def loop_limiter() -> anyio.CapacityLimiter:
    """The limiter of sync functions that run for no client in this event loop."""
    try:
        return _of_loop.get()
    except LookupError:
        limiter = thread_limit()
        _of_loop.set(limiter)
        return limiter


class ThreadCall:
    """A call of a sync function in a thread, as an awaitable; cancelling it abandons the thread.

    Args:
        function: the function; it runs with the context variables of the task that awaits it.
        limiter: limits the number of threads; None for that of the event loop.
    """

    def __init__(self, function: Callable[[], Any], limiter: anyio.CapacityLimiter | None) -> None:
        self._function = function
        self._limiter = limiter
        self.has_begun = False
        """Whether the function runs, or has run."""
        self.has_returned = False
        self.value: Any = None
        """What the function returned."""

    def __await__(self) -> Generator[Any, None, Any]:
        limiter = loop_limiter() if self._limiter is None else self._limiter
        return anyio.to_thread.run_sync(self._call, abandon_on_cancel=True, limiter=limiter).__await__()

    def _call(self) -> Any:
        self.has_begun = True
        self.value = self._function()
        self.has_returned = True
        return self.value
