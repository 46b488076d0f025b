"""Reads the items of a batch as far as needed and submits them to the workers; sends and writes nothing itself."""

from __future__ import annotations

import asyncio

from .._async import Interruptible
from ..errors import CompletionError
from ..records import ChatRequest
from ..records.results import Result
from .item_source import ItemSource
from .items import RequestSource, read_item
from .provider_queues import WorkItem
from .run_state import RunState
from .worker_pool import WorkerPool

_END = object()

_TIME_SLICE = 0.01
"""Seconds for which items are read before other tasks run: a resumed run may skip a million items."""

_ITEMS_PER_CLOCK_READ = 32

_MIN_TAKEN = 32
"""Results that must be taken before reading goes on, so that it does not start and stop for each one."""


class ItemReader:
    """Reads items until enough of them wait; skips those that the journal has, and reports unreadable ones.

    Args:
        prefetch: items that may wait in the workers' queues.
        max_undelivered: items that may be read while their results have not been taken.
    """

    def __init__(
        self,
        source: ItemSource,
        workers: WorkerPool,
        state: RunState,
        *,
        prefetch: int,
        max_undelivered: int,
    ) -> None:
        self._source = source
        self._workers = workers
        self._state = state
        self._prefetch = prefetch
        self._max_undelivered = max_undelivered
        self._count = 0
        """Items that were read and not skipped; the number of the next one."""

    async def read(self) -> None:
        """Reads until the items end or the run is halted. Raises what the iterable raises.

        Raises:
            JournalError: an item has the id of one with another request.
        """
        loop, state, source = asyncio.get_running_loop(), self._state, self._source
        is_sync, next_now = source.is_sync, source.next_now
        slice_start, until_clock_read = loop.time(), _ITEMS_PER_CLOCK_READ
        while not state.halted:
            if self._workers.waiting >= self._prefetch:
                await state.wait_until(self._may_prefetch)
            elif self._undelivered >= self._max_undelivered:
                await state.wait_until(self._may_deliver)
            else:
                item = next_now(_END) if is_sync else await self._wait_for_item()
                if item is _END:
                    return
                self._admit(item)
                until_clock_read -= 1
                if until_clock_read:
                    continue
                until_clock_read = _ITEMS_PER_CLOCK_READ
                if loop.time() - slice_start < _TIME_SLICE:
                    continue
                self._state.progress.report()
                await asyncio.sleep(0)
            slice_start = loop.time()

    async def _wait_for_item(self) -> object:
        with Interruptible() as wait:
            self._state.item_wait = wait
            item = await self._source.next(_END)
            if not wait.interrupted:
                return item
        return _END

    # --- back-pressure

    @property
    def _undelivered(self) -> int:
        return self._count - self._state.results.taken

    def _may_prefetch(self) -> bool:
        # A single queue is refilled when it is half empty. Of several, one may be full while another is idle.
        low = self._prefetch - 1 if self._workers.has_several_queues else self._prefetch // 2
        return self._state.halted or self._workers.waiting <= low

    def _may_deliver(self) -> bool:
        return self._state.halted or self._undelivered <= self._max_undelivered - _MIN_TAKEN

    # --- items

    def _admit(self, item: object) -> None:
        """Submits an item to the workers, unless it cannot be read or an earlier run has finished it."""
        request: RequestSource | None
        error: CompletionError | None
        key = None
        custom_id, request, error, options = read_item(item)
        if request is not None:
            try:
                key = self._state.journal.identify(request, custom_id)
            except CompletionError as invalid:
                error = invalid.with_traceback(None)
        if error is not None or request is None:
            result = Result(None, error, custom_id, request if isinstance(request, ChatRequest) else None)
            self._state.deliver(self._next_number(), result)
            return
        final = self._state.journal.final_state(key)
        if final is not None:
            self._state.progress.skip(final)
        else:
            custom_id = custom_id if key is None else key.custom_id
            self._workers.submit(WorkItem(self._next_number(), custom_id, request, key, options=options))

    def _next_number(self) -> int:
        self._count += 1
        return self._count - 1
