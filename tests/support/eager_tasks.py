"""Eager tasks for all event loops of a test run: a task begins when it is made, not in the loop's next iteration."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from contextvars import Context
from typing import Any, TypeVar

T = TypeVar("T")


def start_tasks_eagerly() -> None:
    """Gives the loop of every `asyncio.Runner`, and so of `asyncio.run` and of pytest-asyncio, eager tasks.

    Only in the main thread: loops of other threads are those of libraries, such as anyio's portals.

    Raises:
        RuntimeError: Python is older than 3.12, which has no eager tasks.
    """
    eager_task_factory: Any = getattr(asyncio, "eager_task_factory", None)
    if eager_task_factory is None:
        raise RuntimeError("eager tasks need Python 3.12 or newer")
    run = asyncio.Runner.run

    def run_eagerly(runner: asyncio.Runner, main: Coroutine[Any, Any, T], *, context: Context | None = None) -> T:
        if threading.current_thread() is threading.main_thread():
            loop = runner.get_loop()
            # anyio knows asyncio's factory, by which it finds out that tasks begin at once.
            loop.set_task_factory(eager_task_factory if isinstance(loop, asyncio.BaseEventLoop) else _eager_task)
        return run(runner, main, context=context)

    asyncio.Runner.run = run_eagerly  # type: ignore[method-assign]


def _eager_task(
    loop: asyncio.AbstractEventLoop, coroutine: Any, *, eager_start: bool | None = None, **options: Any
) -> asyncio.Task[Any]:
    """`asyncio.eager_task_factory` for uvloop, which passes it an argument that it does not know before Python 3.14."""
    make: Any = asyncio.Task
    task: asyncio.Task[Any] = make(coroutine, loop=loop, eager_start=eager_start is not False, **options)
    return task
