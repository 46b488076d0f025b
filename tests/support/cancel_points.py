"""Runs a coroutine repeatedly and interferes at its k-th suspension point, for each k.

A suspension point is one suspension of the coroutine's own task, or of any task that it starts. `at_every_point` runs
the coroutine repeatedly, with an `Act` one point later each time, until a run ends before its point. An act happens
either as the wait begins, or as late as possible: when the awaited result is there, before the waiter resumes. A run
counts the iterations of the event loop that it needed to end after that, which do not depend on the clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from contextlib import asynccontextmanager
from contextvars import Context, ContextVar, copy_context
from typing import Any, NamedTuple

MAX_ITERATIONS = 30
"""Iterations of the event loop within which a cancelled run ends; twice the maximum observed."""

_HANG = 10.0
"""Seconds after which a run counts as hanging."""

Act = Callable[["asyncio.Task[Any]"], object]
"""Interference with the task that runs the coroutine."""

Work = Callable[[], Coroutine[Any, Any, Any]]
"""Makes the coroutine of each run."""


def cancel(task: asyncio.Task[Any]) -> None:
    """Cancels the task."""
    task.cancel()


def cancel_twice(task: asyncio.Task[Any]) -> None:
    """Cancels the task, and again one iteration of the event loop later."""
    task.cancel()
    task.get_loop().call_soon(task.cancel)


class Run(NamedTuple):
    """End of one run."""

    point: int
    late: bool
    task: asyncio.Task[Any]
    reached: bool
    """Whether the run came to its suspension point."""
    acted: bool
    """Whether the act happened; a late one does not where the run ends with that wait."""
    iterations: int
    """Iterations of the event loop from the act to the end."""

    def __str__(self) -> str:
        return f"suspension point {self.point}, {'as the wait ended' if self.late else 'as the wait began'}"


class _Steps:
    """Counts the suspension points of one run, and acts at one of them."""

    def __init__(self, point: int, late: bool, act: Act) -> None:
        self._point = point
        self._late = late
        self._act = act
        self.count = 0
        self.task: asyncio.Task[Any]
        self.acted = False
        self.iterations = 0

    def on_suspend(self, awaited: object) -> None:
        """Handles that one of the run's tasks starts to wait for a future, or for the loop's next iteration (None)."""
        if self.task.done():
            return
        self.count += 1
        if self.count != self._point:
            return
        if not self._late:
            self._interfere()
        elif isinstance(awaited, asyncio.Future):
            awaited.add_done_callback(self._interfere)
        else:
            self.task.get_loop().call_soon(self._interfere)

    def _interfere(self, _: object = None) -> None:
        if not self.task.done():
            self.acted = True
            self._act(self.task)
            self._tick()

    def _tick(self) -> None:
        if not self.task.done():
            self.iterations += 1
            self.task.get_loop().call_soon(self._tick)


_STEPS: ContextVar[_Steps | None] = ContextVar("_STEPS", default=None)
"""The run that the current code belongs to; a task inherits it from the task that starts it."""


class _Counted(Coroutine[Any, Any, Any]):
    """Coroutine that reports each of its suspensions.

    It is not an `async def` around the other one, which would not close it where it never starts.
    """

    def __init__(self, work: Coroutine[Any, Any, Any], steps: _Steps) -> None:
        self._work = work
        self._steps = steps

    def send(self, value: Any) -> Any:
        return self._report(self._work.send(value))

    def throw(self, *error: Any) -> Any:
        return self._report(self._work.throw(*error))

    def close(self) -> None:
        self._work.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._work.__await__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._work, name)  # the frame of a task's coroutine stays visible

    def _report(self, awaited: Any) -> Any:
        self._steps.on_suspend(awaited)
        return awaited


def _task(
    loop: asyncio.AbstractEventLoop,
    work: Coroutine[Any, Any, Any],
    *,
    context: Context | None = None,
    **options: Any,  # those of the running Python and event loop: `name`, since 3.13 also `eager_start`
) -> asyncio.Task[Any]:
    steps = _STEPS.get() if context is None else context.get(_STEPS)
    counted = work if steps is None else _Counted(work, steps)
    return asyncio.Task(counted, loop=loop, context=context, **options)


@asynccontextmanager
async def _counting() -> AsyncIterator[asyncio.AbstractEventLoop]:
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()
    loop.set_task_factory(_task)  # type: ignore[arg-type]
    try:
        yield loop
    finally:
        loop.set_task_factory(before)


async def run_to(work: Work, point: int, act: Act = cancel, *, late: bool = False) -> Run:
    """Runs `work` in a new task and acts at a suspension point."""
    steps = _Steps(point, late, act)
    async with _counting() as loop:
        context = copy_context()
        context.run(_STEPS.set, steps)
        steps.task = loop.create_task(work(), context=context)
        done, _ = await asyncio.wait({steps.task}, timeout=_HANG)
    run = Run(point, late, steps.task, steps.count >= point, steps.acted, steps.iterations)
    assert done, f"{run}: it hangs"
    return run


async def at_every_point(
    work: Work,
    check: Callable[[Run], Awaitable[object]],
    act: Act = cancel,
    *,
    late: bool = False,
) -> int:
    """Runs `work` once for every suspension point, and calls `check` for each run in which `act` happened.

    Returns the number of suspension points.
    """
    point = 1
    while (run := await run_to(work, point, act, late=late)).reached:
        if run.acted:
            await check(run)
        else:
            run.task.result()
        point += 1
    run.task.result()
    return point - 1
