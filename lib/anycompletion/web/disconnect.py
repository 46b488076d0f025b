"""Runs work until a client disconnects; imports no framework."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class ClientDisconnected(Exception):
    """The client of a request has closed its connection."""


async def run_until_disconnect(work: Awaitable[T], *watchers: Coroutine[Any, Any, object]) -> T:
    """The result of `work`; if a watcher ends first, `work` is cancelled and has ended when this raises.

    Args:
        work: becomes a task.
        watchers: each returns when it has noticed that the client disconnected; what it raises is raised.

    Raises:
        ClientDisconnected: a watcher returned first.
    """
    task = asyncio.ensure_future(work)
    tasks = (task, *map(asyncio.ensure_future, watchers))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        # Also where this task itself is cancelled: the tasks it started must not outlive it.
        interrupted = not task.done()
        for each in tasks:
            each.cancel()
        await asyncio.wait(tasks)
        errors = [error for each in tasks if not each.cancelled() and (error := each.exception())]
    if not interrupted:
        return task.result()
    raise errors[-1] if errors else ClientDisconnected
