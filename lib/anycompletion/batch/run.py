"""BatchRun, the caller's handle of a batch: starts it, gives its results and its progress, ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from os import PathLike, fspath
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self, cast

from .._async import call_in_loop, is_async_function
from ..errors import ClientClosedError, InvalidRequestError
from ..records.results import Result
from .batch_client import BatchClient
from .item_source import ItemSource
from .progress import BatchProgress, ProgressCounter
from .provider_queues import ProviderQueues
from .result_queue import ResultQueue
from .run_journal import RunJournal
from .run_state import RunState
from .scheduler import BatchScheduler

_PREFETCH, _PREFETCH_OF_SEVERAL = 64, 512
"""Items that may be read and wait to be sent: in one queue, in the queues of several providers."""

_MIN_BACKLOG = 256
"""Results that may wait to be taken where the caller chose the concurrency, at least."""

_MAX_UNDELIVERED = 2048
"""Items that may be read while their results are not taken, where the concurrency is adaptive."""


class BatchRun:
    """A batch in progress: an async context manager, and an async iterator over `Result`s.

    Made by `client.batch(...)`, which has the documentation of its arguments. It starts at ``async with``, or when the
    first result is asked for. Leaving ``async with``, `aclose()`, cancelling, dropping the object and closing the
    client end it: connections of requests in flight are closed, the journal has every result that was received, and
    the iterable of requests is closed if it is a generator. Several tasks may iterate over one run; each result goes
    to one of them.
    """

    def __init__(
        self,
        requests: object,
        *,
        client: BatchClient,
        concurrency: object = None,
        journal: object = None,
        ordered: bool = False,
        on_progress: object = None,
        disk_full_timeout: float = 60.0,
        into: str | None = None,
    ) -> None:
        source, limit = ItemSource(requests), _concurrency(concurrency)
        queues = ProviderQueues(limit, client)
        self._client = client
        self._closed = False
        self._task: asyncio.Task[None] | None = None
        self._state = RunState(
            RunJournal(_path(journal), disk_full_timeout, into),
            ResultQueue(ordered=bool(ordered)),
            ProgressCounter(source.total, lambda: queues.in_flight, lambda: queues.paused, _observer(on_progress)),
        )
        self._scheduler = BatchScheduler(
            source,
            client,
            queues,
            self._state,
            prefetch=_PREFETCH_OF_SEVERAL if limit is None else _PREFETCH,
            max_undelivered=_MAX_UNDELIVERED if limit is None else limit + _PREFETCH + max(_MIN_BACKLOG, 2 * limit),
        )

    def __repr__(self) -> str:
        now = self.progress
        state = "closed" if self._closed else "new" if self._task is None else "ended" if self._ended else "running"
        counts = f"{now.done} done, {now.failed} failed, {now.skipped} skipped, {now.in_flight} in flight"
        return f"<{type(self).__name__} {state}: {counts}>"

    @property
    def progress(self) -> BatchProgress:
        """The progress at this moment."""
        return self._state.progress.snapshot()

    @property
    def _ended(self) -> bool:
        return self._task is not None and self._task.done()

    # --- life cycle

    async def __aenter__(self) -> Self:
        if self._task is not None or self._closed:
            raise ClientClosedError("this batch was begun already; make another with client.batch(...)")
        self._start()
        scheduler, results = self._scheduler, self._state.results
        try:
            while not scheduler.is_open and not results.ended:
                await results.wait_for_change()
        except BaseException:  # cancelled while the journal is opened: `__aexit__` is not called then
            self._stop()
            raise
        if not scheduler.is_open:
            self._raise_error()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._end()
        own_error = self._state.results.take_error()
        if own_error is None or isinstance(own_error, ClientClosedError):
            return  # a caller who leaves need not know that the client was closed
        if error is None:
            raise own_error
        error.add_note(f"and then: {own_error}")  # the first error, or a cancellation, is what the caller gets

    async def aclose(self) -> None:
        """Ends the run and waits until its connections and its journal are closed; idempotent.

        Raises:
            JournalError: results could not be written, which `.unwritten` holds.
        """
        await self._end()
        self._raise_error()

    async def _end(self) -> None:
        self._stop()
        if self._task is not None and not self._task.done():
            if self._scheduler.loop is not asyncio.get_running_loop():
                raise ClientClosedError("this batch belongs to another event loop; end it there")
            await asyncio.wait({self._task})

    def _raise_error(self) -> None:
        error = self._state.results.take_error()
        if error is not None:
            raise error

    def _start(self) -> None:
        self._client.check_alive()
        self._task = self._scheduler.start()
        self._client.track_task(self._task)

    def _stop(self) -> None:
        """Cancels the run; destructors call this, so it may be called from any thread."""
        if self._closed:
            return
        self._closed = True
        if self._scheduler.loop is not None and not self._ended:
            call_in_loop(self._scheduler.loop, self._scheduler.stop)

    def __del__(self) -> None:
        if "_scheduler" in self.__dict__:  # else the constructor refused its arguments
            self._stop()

    # --- iteration

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Result:
        if self._closed:
            raise ClientClosedError("this batch was closed; make another with client.batch(...)")
        if self._task is None:
            self._start()
        if self._scheduler.loop is not asyncio.get_running_loop():
            raise ClientClosedError("this batch belongs to another event loop; iterate in the loop it began in")
        result = await self._state.results.get()
        if result is None:
            if self._closed:
                raise ClientClosedError("this batch was closed while a task waited for its next result")
            raise StopAsyncIteration
        self._state.notify()  # reading may go on
        return result


def _concurrency(value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        _refuse("concurrency", f"expected an integer, found {type(value).__name__}")
    if value < 1:
        _refuse("concurrency", "must be at least 1")
    return value


def _path(value: object) -> Path | None:
    if value is None:
        return None
    path = fspath(cast("PathLike[Any]", value)) if isinstance(value, PathLike) else value
    if not isinstance(path, str) or not path:
        _refuse("journal", "expected the path of a file")
    return Path(path)


def _observer(value: object) -> Callable[[BatchProgress], Any] | None:
    if value is None:
        return None
    if not callable(value):
        _refuse("on_progress", f"expected a function, found {type(value).__name__}")
    if is_async_function(value):
        _refuse("on_progress", "is async, but is called and not awaited")
    return cast("Callable[[BatchProgress], Any]", value)


def _refuse(param: str, text: str) -> NoReturn:
    raise InvalidRequestError(f"{param}: {text}", param=param)
