"""BatchRun: what the caller holds of a batch; iterates, tells how far it is, ends it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from os import PathLike, fspath
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self, cast

from ..errors import ClientClosedError, InvalidRequestError
from ..ratelimit.adaptive_concurrency import AdaptiveConcurrency
from ..records import Result
from .item_source import ItemSource
from .progress import BatchProgress
from .provider_queues import ConcurrencyLimit, ProviderQueues
from .scheduler import BatchClient, BatchScheduler

_AHEAD, _AHEAD_OF_SEVERAL = 64, 512
"""Items that may be read and wait for their turn: of one lane, of several."""

_LEAST_BACKLOG = 256
_WINDOW = 2048
"""Items that are read and not taken, where the concurrency is found out."""


class BatchRun:
    """Many requests under way: an async context manager, and an async iterator over `Result`s.

    Made by `client.batch(...)`, which says what it does. It begins at ``async with``, or with the first result that is
    asked for. Leaving ``async with``, `aclose()`, cancelling, dropping the object and closing the client end it: the
    connections of what is under way are closed, the journal has every result that was there, the iterable of requests
    is closed where it is a generator. Several tasks may iterate over one run; each result goes to one of them.
    """

    def __init__(
        self,
        requests: object,
        *,
        client: BatchClient,
        adaptive: Callable[[], ConcurrencyLimit] = AdaptiveConcurrency,
        concurrency: object = None,
        journal: object = None,
        ordered: bool = False,
        on_progress: object = None,
        patience: float = 60.0,
    ) -> None:
        wanted = _concurrency(concurrency)
        self._client = client
        self._closed = False
        self._driver: asyncio.Task[None] | None = None
        self._engine = BatchScheduler(
            ItemSource(requests),
            client=client,
            lanes=ProviderQueues(wanted, client.provider_of, adaptive),
            journal=_path(journal),
            ordered=bool(ordered),
            ahead=_AHEAD_OF_SEVERAL if wanted is None else _AHEAD,
            window=_WINDOW if wanted is None else wanted + _AHEAD + max(_LEAST_BACKLOG, 2 * wanted),
            observer=_observer(on_progress),
            patience=patience,
        )

    def __repr__(self) -> str:
        now = self.progress
        state = "closed" if self._closed else "new" if self._driver is None else "ended" if self._ended else "running"
        counts = f"{now.done} done, {now.failed} failed, {now.skipped} skipped, {now.in_flight} in flight"
        return f"<BatchRun {state}: {counts}>"

    @property
    def progress(self) -> BatchProgress:
        """How far it is now."""
        return self._engine.progress()

    @property
    def _ended(self) -> bool:
        return self._driver is not None and self._driver.done()

    # --- life

    async def __aenter__(self) -> Self:
        if self._driver is not None or self._closed:
            raise ClientClosedError("this batch was begun already; make another with client.batch(...)")
        self._start()
        try:
            while not self._engine.is_open and not self._engine.outlet.ended:
                await self._engine.outlet.wait_for_change()
        except BaseException:  # cancelled while the journal is opened: nobody will leave what was not entered
            self._stop()
            raise
        if not self._engine.is_open:
            self._raise_fault()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._shut()
        fault = self._engine.outlet.fault()
        if fault is None or isinstance(fault, ClientClosedError):
            return  # of a client that was closed, there is nothing to say to one who leaves
        if error is None:
            raise fault
        error.add_note(f"and then: {fault}")  # a cancel, or what went wrong first, goes on as what it is

    async def aclose(self) -> None:
        """Ends the run and waits until its connections and its journal are closed; idempotent.

        Raises:
            JournalError: results could not be written, which `.unwritten` holds.
        """
        await self._shut()
        self._raise_fault()

    async def _shut(self) -> None:
        self._stop()
        if self._driver is not None and not self._driver.done():
            if self._engine.loop is not asyncio.get_running_loop():
                raise ClientClosedError("this batch belongs to another event loop; end it there")
            await asyncio.wait({self._driver})

    def _raise_fault(self) -> None:
        fault = self._engine.outlet.fault()
        if fault is not None:
            raise fault

    def _start(self) -> None:
        self._client.check_alive()
        self._driver = self._engine.start()
        self._client.track_task(self._driver)

    def _stop(self) -> None:
        """Ends the work; may be called from any thread, as destructors are."""
        if self._closed:
            return
        self._closed = True
        loop = self._engine.loop
        if self._driver is None or loop is None or self._driver.done() or loop.is_closed():
            return
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if here is loop:
            self._engine.stop()
        else:
            loop.call_soon_threadsafe(self._engine.stop)

    def __del__(self) -> None:
        if "_engine" in self.__dict__:  # else its arguments were refused
            self._stop()

    # --- iterating

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Result:
        if self._closed:
            raise ClientClosedError("this batch was closed; make another with client.batch(...)")
        if self._driver is None:
            self._start()
        engine = self._engine
        if engine.loop is not asyncio.get_running_loop():
            raise ClientClosedError("this batch belongs to another event loop; iterate in the loop it began in")
        result = await engine.outlet.get()
        if result is None:
            if self._closed:
                raise ClientClosedError("this batch was closed while somebody waited for its next result")
            raise StopAsyncIteration
        engine.taken()
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
    if inspect.iscoroutinefunction(value):
        _refuse("on_progress", "is async, and nobody would await it")
    return cast("Callable[[BatchProgress], Any]", value)


def _refuse(param: str, text: str) -> NoReturn:
    raise InvalidRequestError(f"{param}: {text}", param=param)
