"""Interferes with a coroutine at the k-th place where it waits, for each k in turn; knows nothing of clients.

A place is one suspension: of the coroutine's own task, or of any task that it starts. `at_every_place` runs the
coroutine again and again, and lets an `Act` happen one place later each time, until a run ends before its place comes.
An act happens either as the wait begins, or as late as can be: when what was waited for is there, and the waiter is
about to be told. A run tells how many turns of the event loop it went on for after that: those are few or many
whatever the clock says.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from contextlib import asynccontextmanager
from contextvars import Context, ContextVar, copy_context
from typing import Any, NamedTuple

FEW_TURNS = 30
"""Turns of the loop within which a run ends that was cancelled; the most that was seen is half of it."""

_HANG = 10.0
"""Seconds after which a run that goes on is called hanging."""

Act = Callable[["asyncio.Task[Any]"], object]
"""What happens to the task that runs the coroutine."""

Work = Callable[[], Coroutine[Any, Any, Any]]
"""Makes the coroutine, anew for each run."""


def cancel(task: asyncio.Task[Any]) -> None:
    """A cancel."""
    task.cancel()


def cancel_twice(task: asyncio.Task[Any]) -> None:
    """A cancel, and another one turn later."""
    task.cancel()
    task.get_loop().call_soon(task.cancel)


class Run(NamedTuple):
    """How one run ended."""

    place: int
    late: bool
    task: asyncio.Task[Any]
    reached: bool
    """Whether its place came."""
    acted: bool
    """Whether the act happened; a late one finds nobody there where the run ends with that wait."""
    turns: int
    """Turns of the loop from the act to the end."""

    def __str__(self) -> str:
        return f"place {self.place}, {'as the wait ended' if self.late else 'as the wait began'}"


class _Steps:
    """Counts the places of one run, and acts at one of them."""

    def __init__(self, place: int, late: bool, act: Act) -> None:
        self._place = place
        self._late = late
        self._act = act
        self.count = 0
        self.task: asyncio.Task[Any]
        self.acted = False
        self.turns = 0

    def waits(self, what: object) -> None:
        """One of the run's tasks is about to wait for `what`: a future, or nothing but its next turn."""
        if self.task.done():
            return
        self.count += 1
        if self.count != self._place:
            return
        if not self._late:
            self._go()
        elif isinstance(what, asyncio.Future):
            what.add_done_callback(self._go)
        else:
            self.task.get_loop().call_soon(self._go)

    def _go(self, _: object = None) -> None:
        if not self.task.done():
            self.acted = True
            self._act(self.task)
            self._tick()

    def _tick(self) -> None:
        if not self.task.done():
            self.turns += 1
            self.task.get_loop().call_soon(self._tick)


_STEPS: ContextVar[_Steps | None] = ContextVar("_STEPS", default=None)
"""The run that this code belongs to; tasks inherit it from those that start them."""


class _Counted(Coroutine[Any, Any, Any]):
    """A coroutine that tells of each of its waits. No coroutine around it: one that never starts would not close it."""

    def __init__(self, work: Coroutine[Any, Any, Any], steps: _Steps) -> None:
        self._work = work
        self._steps = steps

    def send(self, value: Any) -> Any:
        return self._told(self._work.send(value))

    def throw(self, *fault: Any) -> Any:
        return self._told(self._work.throw(*fault))

    def close(self) -> None:
        self._work.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._work.__await__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._work, name)  # whoever looks at a task's coroutine sees how far it is

    def _told(self, what: Any) -> Any:
        self._steps.waits(what)
        return what


def _task(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], context: Context | None = None
) -> asyncio.Task[Any]:
    steps = _STEPS.get() if context is None else context.get(_STEPS)
    return asyncio.Task(work if steps is None else _Counted(work, steps), loop=loop, context=context)


@asynccontextmanager
async def _counting() -> AsyncIterator[asyncio.AbstractEventLoop]:
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()
    loop.set_task_factory(_task)  # type: ignore[arg-type]
    try:
        yield loop
    finally:
        loop.set_task_factory(before)


async def run_to(work: Work, place: int, act: Act = cancel, *, late: bool = False) -> Run:
    """Runs `work` in a task of its own and acts at that place."""
    steps = _Steps(place, late, act)
    async with _counting() as loop:
        context = copy_context()
        context.run(_STEPS.set, steps)
        steps.task = loop.create_task(work(), context=context)
        done, _ = await asyncio.wait({steps.task}, timeout=_HANG)
    run = Run(place, late, steps.task, steps.count >= place, steps.acted, steps.turns)
    assert done, f"{run}: it hangs"
    return run


async def at_every_place(
    work: Work,
    check: Callable[[Run], Awaitable[object]],
    act: Act = cancel,
    *,
    late: bool = False,
) -> int:
    """Runs `work` once for every place, and tells `check` of each run in which `act` happened.

    Returns the number of places.
    """
    place = 1
    while (run := await run_to(work, place, act, late=late)).reached:
        if run.acted:
            await check(run)
        else:
            run.task.result()
        place += 1
    run.task.result()
    return place - 1
