"""asyncio helpers that several packages share: FIFO queues of waiters, interruptible waits, calls across threads."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
from collections import OrderedDict
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast

T = TypeVar("T")


def is_async_function(value: object) -> bool:
    """Whether a call of `value` has to be awaited: an ``async def``, or an object whose ``__call__`` is one.

    That of a `functools.partial` is as that of the function in it.
    """
    while isinstance(value, functools.partial):
        value = cast("functools.partial[object]", value).func
    return any(map(inspect.iscoroutinefunction, (value, getattr(value, "__call__", None))))  # noqa: B004


def check_plain_function(value: object, name: str) -> None:
    """Raises a TypeError where `value` is no function, or an async one, which its caller would not await."""
    if not callable(value):
        raise TypeError(f"{name}: expected a function, found {type(value).__name__}")
    if is_async_function(value):
        raise TypeError(f"{name}: the function is async, and would never be awaited; write a plain one")


class ClosedOnExit:
    """Base class of async context managers that are closed when the block ends."""

    __slots__ = ()

    async def aclose(self) -> None:
        """Closes it; each class has its own."""
        raise NotImplementedError  # an abstract class would be another metaclass, for each that inherits

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


class WaiterQueue(OrderedDict["asyncio.Future[None]", "T | None"], Generic[T]):
    """FIFO queue of tasks that wait to be woken one by one, each with an optional item that describes its wait.

    A waiter that is cancelled leaves the queue at once, in constant time: thousands may give up together. One that is
    cancelled after it was woken, but before it ran, cannot use what it was woken for, and passes it on by `on_lost`::

        waiter = queue.enqueue(item)
        ...  # set a timer, if one is needed: it must find the waiter in the queue
        await queue.wait(waiter, on_lost=self.release)

    `wake_first` and `wake_all` wake waiters, `first` is the item of the one that is next, `len` counts them.
    """

    __slots__ = ()

    @property
    def first(self) -> T | None:
        """The item of the waiter that is woken next; None if the queue is empty."""
        waiter = self._next()
        return None if waiter is None else self[waiter]

    def enqueue(self, item: T | None = None) -> asyncio.Future[None]:
        """Adds a waiter at the end of the queue; `wait` must follow."""
        waiter = asyncio.get_running_loop().create_future()
        self[waiter] = item
        return waiter

    async def wait(self, waiter: asyncio.Future[None], *, on_lost: Callable[[], object] | None = None) -> None:
        """Waits until `waiter` is woken. Cancelling removes it from the queue.

        Args:
            on_lost: called if the waiter was woken and is cancelled before it runs.
        """
        try:
            await waiter
        except asyncio.CancelledError:
            self.pop(waiter, None)
            if on_lost is not None and not waiter.cancelled():
                on_lost()
            raise

    def wake_first(self) -> bool:
        """Wakes the first waiter and removes it; returns False if the queue is empty."""
        waiter = self._next()
        if waiter is None:
            return False
        del self[waiter]
        waiter.set_result(None)
        return True

    def wake_all(self) -> None:
        """Wakes all waiters, in their order."""
        while self.wake_first():
            pass

    def _next(self) -> asyncio.Future[None] | None:
        """The first waiter that was not cancelled."""
        while self:
            waiter = next(iter(self))
            if not waiter.done():
                return waiter
            del self[waiter]  # cancelled, and its task did not run yet
        return None


class Interruptible:
    """Context manager whose body `interrupt` ends by cancelling its task; that cancellation does not leave it.

    As with `asyncio.timeout`, cancellations from elsewhere pass through, also where both come at the same time::

        with Interruptible() as body:
            await something()
        if body.interrupted:
            raise ...
    """

    __slots__ = ("_cancelling", "_task", "interrupted")

    def __init__(self) -> None:
        self._task: asyncio.Task[Any] | None = None
        self._cancelling = 0
        self.interrupted = False
        """Whether `interrupt` was called."""

    def __enter__(self) -> Interruptible:
        self._task = running_task()
        self._cancelling = self._task.cancelling()
        return self

    @property
    def is_executing(self) -> bool:
        """Whether the body is not suspended, so that this is called by it, or by a task that it began eagerly.

        A cancellation would then come at the next suspension, which may be one after the body.
        """
        task = self._task
        if task is None:
            return False
        return task is asyncio.current_task() or getattr(task.get_coro(), "cr_running", False)

    def interrupt(self) -> None:
        """Ends the body, from a callback or another task of the same event loop; once, and only while it runs."""
        if self._task is not None and not self.interrupted:
            self.interrupted = True
            self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        task, self._task = self._task, None
        if task is None or not self.interrupted:
            return False
        return take_back_cancellation(task, self._cancelling) and isinstance(error, asyncio.CancelledError)


def take_back_cancellation(task: asyncio.Task[Any], cancelling: int) -> bool:
    """Takes back a cancellation of our own; returns whether it was the only one, so that the task may go on.

    Args:
        cancelling: `task.cancelling()` before the wait that the cancellation ended.
    """
    return task.uncancel() <= cancelling


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that runs in this thread; None if there is none."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def running_task() -> asyncio.Task[Any]:
    """The task that runs this code."""
    task = asyncio.current_task()
    assert task is not None, "coroutines of this package run in tasks"
    return task


def call_in_loop(loop: asyncio.AbstractEventLoop, callback: Callable[..., object], *args: Any) -> None:
    """Calls `callback(*args)` in the thread of `loop`: at once if that is this one, else soon; not if it is closed.

    For methods that close something and that destructors call, which Python may run in any thread.
    """
    if running_loop() is loop:
        callback(*args)
        return
    with contextlib.suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(callback, *args)
