"""The work of a batch: reads items, keeps as many under way as may be, writes each result down before it is told.

It never holds the `BatchRun`, so that dropping the run ends the work.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import functools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from ..errors import (
    ClientClosedError,
    CompletionError,
    JournalError,
    OverloadedError,
    QuotaExceededError,
    RateLimitError,
)
from ..logs import observer_failed
from ..records import ChatCompletion, ChatRequest, Result
from .item_source import ItemSource
from .items import RequestSource, read_item, validate_item
from .journal import ItemKey, ItemKeys, Journal, State, UnwrittenError
from .progress import BatchProgress, ProgressCounter
from .provider_queues import ProviderQueue, ProviderQueues, WorkItem
from .result_queue import ResultQueue


class BatchClient(Protocol):
    """The client of a batch, which references this object until the run ends."""

    def complete(self, request: ChatRequest, on_throttled: Callable[[], None] | None) -> Awaitable[ChatCompletion]:
        """Sends a validated request; calls `on_throttled` for each attempt that ended with 429 or 529."""
        ...

    def provider_of(self, model: str) -> str:
        """The name of the provider that serves `model`; "" where it is unknown."""
        ...

    def track_task(self, task: asyncio.Task[None]) -> None:
        """References the run's task until it ends, and cancels it when the client is closed."""

    def check_alive(self) -> None:
        """Raises ClientClosedError where the client is closed."""


_END = object()

_SLICE = 0.01
"""Seconds that items are read on end before the event loop has a turn: a resumed run may skip a million."""

_PATIENT = 32
"""Items between two looks at the clock."""

_TELL = 0.1
"""Seconds between two reports of progress."""


_ROOM = 32
"""Results that are taken before it is worth while to read on."""


class _WaitingFor(enum.Enum):
    """What the driver waits for."""

    NOTHING = enum.auto()
    TURNS = enum.auto()
    """That items got their turn."""
    ROOM = enum.auto()
    """That results were taken."""
    END = enum.auto()
    """That all is done."""
    ITEM = enum.auto()
    """The next item, of an iterable that takes its time."""


class BatchScheduler:
    """One batch under way."""

    def __init__(
        self,
        source: ItemSource,
        *,
        client: BatchClient,
        lanes: ProviderQueues,
        journal: Path | None,
        ordered: bool,
        ahead: int,
        window: int,
        observer: Callable[[BatchProgress], None] | None,
        patience: float,
    ) -> None:
        self._source = source
        self._client = client
        self._lanes = lanes
        self._path = journal
        self._journal: Journal | None = None
        self._labels = ItemKeys()
        self.outlet = ResultQueue(ordered=ordered)
        self._tally = ProgressCounter(source.total)
        self._ahead = ahead
        """Items that may wait for their turn."""
        self._window = window
        """Items that may be read before the first of them is taken."""
        self._observer = observer
        self._patience = patience
        """Seconds that results wait for a full disk."""
        self._next_tell = 0.0
        self._number = 0
        """Of the next item that is not skipped: how many were read."""
        self._waiting = 0
        self._workers: set[asyncio.Task[None]] = set()
        self._driver: asyncio.Task[None] | None = None
        self._sleeper: asyncio.Future[None] | None = None
        self._wants = _WaitingFor.NOTHING
        self._fault: BaseException | None = None
        self._unwritten: list[Result] = []
        self._held_up = False
        """Whether something did not begin because the disk is full."""
        self._halted = False
        """Nothing new begins."""
        self._stopped = False
        """The caller wants no more."""
        self._over_at: float | None = None
        self.is_open = False
        self.loop: asyncio.AbstractEventLoop | None = None

    # --- from outside

    def start(self) -> asyncio.Task[None]:
        """Begins; whoever calls keeps the task."""
        self.loop = asyncio.get_running_loop()
        self._tally.begin(self.loop.time())
        self._driver = self.loop.create_task(self._drive())
        self._driver.add_done_callback(self._gone)
        return self._driver

    def stop(self) -> None:
        """Ends everything at once; in the engine's own loop."""
        self._stopped = self._halted = True
        self.outlet.discard()
        if self._driver is not None:
            self._driver.cancel()

    def progress(self) -> BatchProgress:
        """How far it is."""
        now = self._over_at or (0.0 if self.loop is None else self.loop.time())
        return self._tally.progress(self._lanes.in_flight, now)

    def taken(self) -> None:
        """A result was taken, so that there may be room to read on."""
        if self._wants is _WaitingFor.ROOM and self._number - self.outlet.taken <= self._window - _ROOM:
            self._wake()

    # --- the driver

    async def _drive(self) -> None:
        try:
            if self._path is not None:
                self._journal = await _opened(self._path, self._patience)
                self._labels = ItemKeys(self._journal.count)
            self.is_open = True
            self.outlet.wake_all()
            await self._read()
            await self._drained()
        except asyncio.CancelledError:
            if self._halted and not self._stopped:
                await self._finish_begun()
            elif not self._stopped:
                self._note(ClientClosedError("the client was closed while this batch was under way"))
        except Exception as fault:  # noqa: BLE001 (the caller's iterable may raise anything, and its consumer is told)
            self._note(fault)
            await self._finish_begun()
        await self._close()

    async def _drained(self) -> None:
        while self._workers or self._waiting:
            await self._sleep(_WaitingFor.END)

    async def _finish_begun(self) -> None:
        """What was read before the fault still gets its results."""
        with contextlib.suppress(asyncio.CancelledError):
            await self._drained()

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        source, outlet, turn, left = self._source, self.outlet, loop.time(), _PATIENT
        next_now, is_sync = source.next_now, source.is_sync
        while not self._halted:
            if self._waiting >= self._ahead:
                await self._sleep(_WaitingFor.TURNS)
            elif self._number - outlet.taken >= self._window:
                await self._sleep(_WaitingFor.ROOM)
            else:
                item = next_now(_END) if is_sync else await self._awaited(source)
                if item is _END:
                    return
                self._admit(item)
                left -= 1
                if left:
                    continue
                left = _PATIENT
                if loop.time() - turn < _SLICE:
                    continue
                self._tell()
                await asyncio.sleep(0)
            turn = loop.time()

    async def _awaited(self, source: ItemSource) -> object:
        self._wants = _WaitingFor.ITEM
        try:
            return await source.next(_END)
        finally:
            self._wants = _WaitingFor.NOTHING

    async def _sleep(self, wants: _WaitingFor) -> None:
        """Until what the driver waits for may have happened."""
        self._sleeper = asyncio.get_running_loop().create_future()
        self._wants = wants
        try:
            await self._sleeper
        finally:
            self._sleeper, self._wants = None, _WaitingFor.NOTHING

    def _wake(self) -> None:
        if self._sleeper is not None and not self._sleeper.done():
            self._sleeper.set_result(None)

    # --- items

    def _admit(self, item: object) -> None:
        """Sends an item when it is its turn, unless it needs no sending."""
        request: RequestSource | None
        error: CompletionError | None
        custom_id, request, error = read_item(item)
        label = None
        if request is not None:
            try:
                if self._journal is not None:
                    label = self._labels.next_key(request)
                    custom_id = label.custom_id
                elif custom_id is not None:
                    self._labels.register(custom_id)
            except CompletionError as fault:
                error = fault.with_traceback(None)
        if error is not None or request is None:
            record = request if isinstance(request, ChatRequest) else None
            self._hand_out(self._count_item(), Result(None, error, custom_id, record))
            return
        if label is not None and self._is_known(label):
            return
        lane = self._lanes.of(request)
        lane.waiting.append(WorkItem(self._count_item(), custom_id, request, label))
        self._waiting += 1
        self._fill(lane)

    def _count_item(self) -> int:
        self._number += 1
        return self._number - 1

    def _is_known(self, label: ItemKey) -> bool:
        """Whether an earlier run has finished this item, for good or for bad."""
        assert self._journal is not None
        state = self._journal.state(label)
        if state is None or state is State.RETRYABLE:
            return False
        self._tally.skipped += 1
        if state is State.FAILED:
            self._tally.skipped_failed += 1
        return True

    # --- workers

    def _fill(self, lane: ProviderQueue) -> None:
        """Gives every free place of the lane a worker."""
        while (job := self._take(lane)) is not None:
            task = asyncio.get_running_loop().create_task(self._work(lane, job))
            self._workers.add(task)
            task.add_done_callback(self._worker_gone)

    def _fill_all(self) -> None:
        """There may be room on the disk again."""
        self._held_up = False
        for lane in self._lanes.all:
            self._fill(lane)

    def _take(self, lane: ProviderQueue) -> WorkItem | None:
        if self._halted:
            return None
        if self._journal is not None and self._journal.full:
            self._held_up = True
            return None
        job = lane.take()
        if job is not None:
            self._waiting -= 1
            # One lane is filled up half a store at a time; of several, one may be full, and what is free is elsewhere.
            if self._wants is _WaitingFor.TURNS and (len(self._lanes.all) > 1 or self._waiting <= self._ahead // 2):
                self._wake()
        return job

    async def _work(self, lane: ProviderQueue, first: WorkItem) -> None:
        """Sends one item after another."""
        job: WorkItem | None = first
        while job is not None:
            result = None
            try:
                result = await self._answered(lane, job)
                if result is not None and job.label is not None and not await self._written(job.label, result):
                    result = None
            finally:
                lane.in_flight -= 1
            if result is not None:
                self._hand_out(job.number, result)
            job = self._take(lane)
            if lane.waiting and lane.in_flight < lane.limit.limit:
                self._fill(lane)
            if self._held_up:
                self._fill_all()

    async def _answered(self, lane: ProviderQueue, item: WorkItem) -> Result | None:
        """The item's result; None where there is none, which ends the run."""
        refused = False
        request = item.request if isinstance(item.request, ChatRequest) else None
        try:
            valid = validate_item(item.request)
            request = request or valid
            completion = await self._client.complete(valid, lane.on_refused)
            return Result(completion, None, item.custom_id, request)
        except ClientClosedError as closed:
            self._halt(closed.with_traceback(None))
            return None
        except CompletionError as error:
            refused = _is_refusal(error)
            # Without the frames: they reference the request, and a run may keep many errors.
            return Result(None, error.with_traceback(None), item.custom_id, request)
        except Exception as error:  # noqa: BLE001 (a bug, or an error of user code, which the consumer must get)
            self._halt(error)
            return None
        finally:
            lane.limit.on_end(refused=refused)

    async def _written(self, label: ItemKey, result: Result) -> bool:
        """Whether the result is in the journal; if it cannot be, nothing new begins."""
        assert self._journal is not None
        try:
            await self._journal.append(label, result)
        except UnwrittenError as fault:
            self._unwritten.append(result)
            self._halt(fault)
            return False
        return True

    def _hand_out(self, number: int, result: Result) -> None:
        assert self.loop is not None
        self._tally.count(result, self.loop.time())
        self.outlet.put(number, result)
        if self._observer is not None:
            self._tell()

    def _worker_gone(self, task: asyncio.Task[None]) -> None:
        self._workers.discard(task)
        if task.cancelled():
            if not self._halted:
                self._halt(CompletionError("a call of this batch was cancelled, and not by the batch"))
        elif (fault := task.exception()) is not None:
            self._halt(fault)
        if self._wants is _WaitingFor.END and not self._workers:
            self._wake()

    # --- the end

    def _note(self, fault: BaseException) -> None:
        """What the consumer will be told; the first fault wins."""
        if self._fault is None:
            self._fault = fault

    def _halt(self, fault: BaseException) -> None:
        """Nothing new begins; what is under way ends, for it is paid."""
        self._note(fault)
        self._halted = True
        for lane in self._lanes.all:
            lane.waiting.clear()
        self._waiting = 0
        if self._wants is _WaitingFor.ITEM and self._driver is not None:
            self._driver.cancel()  # the next item may never come
        self._wake()

    async def _close(self) -> None:
        # A cancel ends one of these waits; what comes after it is done all the same.
        with contextlib.suppress(asyncio.CancelledError):
            async with contextlib.AsyncExitStack() as stack:
                stack.callback(self._end)
                stack.push_async_callback(self._close_journal)
                stack.push_async_callback(self._close_source)
                await self._end_workers()

    async def _end_workers(self) -> None:
        self._halted = True
        for task in self._workers:
            task.cancel()
        if self._workers:
            await asyncio.wait(self._workers)

    async def _close_source(self) -> None:
        try:
            await self._source.aclose()
        except Exception as fault:  # noqa: BLE001 (the caller's generator may raise anything as it is closed)
            self._note(fault)

    async def _close_journal(self) -> None:
        if self._journal is None:
            return
        try:
            await self._journal.aclose()
        except UnwrittenError as fault:
            self._note(fault)
            self._unwritten += fault.unwritten
        except JournalError as fault:
            self._note(fault)
        if isinstance(self._fault, UnwrittenError):
            every = {result.custom_id: result for result in self._unwritten}
            self._fault = UnwrittenError(self._fault.message, every.values())
        elif self._unwritten and self._fault is not None:
            self._fault.add_note(f"and {len(self._unwritten)} results could not be written to the journal")

    def _end(self) -> None:
        self._over_at = None if self.loop is None else self.loop.time()
        self._tell(last=True)
        self.outlet.end(self._fault)
        self._fault = None

    def _gone(self, driver: asyncio.Task[None]) -> None:
        """Cancelled before its first step, the driver could tell nobody."""
        if not self.outlet.ended:
            self._note(ClientClosedError("the client was closed before this batch began"))
            self.outlet.end(None if self._stopped else self._fault)
        if not driver.cancelled():
            driver.exception()

    # --- telling

    def _tell(self, *, last: bool = False) -> None:
        if self._observer is None or self.loop is None:
            return
        now = self.loop.time()
        if not last and now < self._next_tell:
            return
        self._next_tell = now + _TELL
        try:
            self._observer(self.progress())
        except Exception as fault:  # noqa: BLE001 (an observer's failure is logged, whatever it is, and the run goes on)
            observer_failed("on_progress", fault)


def _is_refusal(error: CompletionError) -> bool:
    return isinstance(error, (RateLimitError, OverloadedError)) and not isinstance(error, QuotaExceededError)


async def _opened(path: Path, patience: float) -> Journal:
    """Opens a journal, which may take seconds, in a thread; cancelled meanwhile, it closes what was opened."""
    open_it = functools.partial(Journal.open, path, patience=patience)
    opening = asyncio.get_running_loop().run_in_executor(None, open_it)
    told: asyncio.CancelledError | None = None
    while not opening.done():
        try:
            await asyncio.wait({opening})
        except asyncio.CancelledError as cancel:
            told = cancel
    if told is None:
        return opening.result()
    if opening.exception() is None:
        opening.result().close()
    raise told
