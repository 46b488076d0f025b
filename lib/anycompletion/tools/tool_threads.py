"""Threads of sync functions, and the limit of their number."""

from __future__ import annotations

from collections.abc import Callable
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
    """A call of a sync function in a thread, which `run` waits for; cancelling that abandons the thread.

    Args:
        function: the function; it runs with the context variables of the task that awaits it.
        limiter: limits the number of threads; None for that of the event loop.
        on_begin: called in the event loop when there is a thread for the function.
    """

    def __init__(
        self, function: Callable[[], Any], limiter: anyio.CapacityLimiter | None, on_begin: Callable[[], object]
    ) -> None:
        self._function = function
        self._limiter = limiter
        self._on_begin = on_begin
        self.is_running = False
        """Whether the function has begun and not ended."""
        self.has_returned = False
        self.value: Any = None
        """What the function returned."""

    async def run(self) -> Any:
        """What the function returns, after waiting for a thread."""
        async with loop_limiter() if self._limiter is None else self._limiter:
            self._on_begin()
            # The thread is counted already, by the limiter above.
            return await anyio.to_thread.run_sync(self._call, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1))

    def _call(self) -> Any:
        self.is_running = True
        try:
            self.value = self._function()
            self.has_returned = True
        finally:
            self.is_running = False
        return self.value
