"""The thread that uses a SQLite file, and the queue of what it has to do; knows nothing of SQL.

Strategy: the thread takes all jobs that wait at once, runs them in one transaction, and reports their results to the
event loop together: under load, both the commit and the hop between the threads are shared.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from asyncio import AbstractEventLoop, Future
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from .sqlite_file import SQLiteFile

_MAX_JOBS = 256
"""Jobs of one transaction."""


class _Job(NamedTuple):
    """A call of a method of the file."""

    method: str
    arguments: tuple[Any, ...]
    loop: AbstractEventLoop
    future: Future[Any]


class SQLiteWorker:
    """A thread that runs the methods of a file in the order in which they were submitted."""

    def __init__(self, file: SQLiteFile) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._pid = os.getpid()
        self._ended = threading.Event()
        # A daemon, because a program that forgot to close the store must be able to end.
        threading.Thread(target=_work, args=(self._jobs, file, self._ended), name="SQLiteStore", daemon=True).start()

    @property
    def is_of_this_process(self) -> bool:
        """False after a fork: the thread exists in the parent only."""
        return self._pid == os.getpid()

    def submit(self, method: str, arguments: tuple[Any, ...]) -> Future[Any]:
        """Queues a call, and returns the future of its result, which the running event loop sets."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._jobs.put(_Job(method, arguments, loop, future))
        return future

    def stop(self) -> None:
        """Has the thread end after what is queued; may be called from any thread."""
        self._jobs.put(None)

    async def aclose(self) -> None:
        """Ends the thread and waits until the file is closed."""
        self.stop()
        await asyncio.get_running_loop().run_in_executor(None, self._ended.wait)


def _work(jobs: SimpleQueue[_Job | None], file: SQLiteFile, ended: threading.Event) -> None:
    try:
        while (batch := _next_batch(jobs)) is not None:
            _run(batch, file)
            del batch  # while the thread waits, it keeps no value
    finally:
        file.close()
        ended.set()


def _next_batch(jobs: SimpleQueue[_Job | None]) -> list[_Job] | None:
    """The jobs that wait, at least one; None at the end."""
    job = jobs.get()
    if job is None:
        return None
    batch = [job]
    with contextlib.suppress(Empty):
        while len(batch) < _MAX_JOBS:
            job = jobs.get_nowait()
            if job is None:
                jobs.put(None)  # the end comes after this batch
                break
            batch.append(job)
    return batch


def _run(batch: list[_Job], file: SQLiteFile) -> None:
    calls = [(job.method, job.arguments) for job in batch]
    by_loop: dict[AbstractEventLoop, list[tuple[Future[Any], Any]]] = {}
    try:
        found = file.run(calls)
    except Exception as error:  # noqa: BLE001 (the callers get it: a thread that ended would leave them waiting)
        found = [error] * len(batch)
    for job, result in zip(batch, found, strict=True):
        by_loop.setdefault(job.loop, []).append((job.future, result))
    for loop, results in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(_report, results)


def _report(results: list[tuple[Future[Any], Any]]) -> None:
    for future, result in results:
        if future.done():
            continue  # cancelled
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
