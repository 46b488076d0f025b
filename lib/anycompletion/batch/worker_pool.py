"""Sends the items of a batch, as many at a time as their providers take, and writes each result before it is given out.

Strategy: a task per item, in a context of its own, so that no item sees the context variables that another one has set.
"""

from __future__ import annotations

import asyncio
import contextvars
from functools import partial

from ..errors import APIError, APIStatusError, ClientClosedError, CompletionError, ReplyError
from ..records import ChatRequest
from ..records.results import Result
from ..retry_policy import MAX_HINT, is_load_refusal, shows_outage, worth_retrying
from .batch_client import BatchClient
from .items import validate_item
from .journal import UnwrittenError
from .provider_queues import ProviderQueue, ProviderQueues, WorkItem
from .run_state import RunState


class WorkerPool:
    """The tasks that send the items of a batch and write the results to its journal."""

    def __init__(self, client: BatchClient, queues: ProviderQueues, state: RunState) -> None:
        self._client = client
        self._queues = queues
        self._state = state
        self.waiting = 0
        """Items in all queues."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._to_start: dict[ProviderQueue, None] = {}
        """Queues whose workers are to be started."""
        self._is_starting = False
        self._disk_was_full = False
        """Whether an item was not started because the disk is full."""
        self._context = contextvars.copy_context()

    def use_current_context(self) -> None:
        """Sends the items in copies of the present context, that of the caller who starts the batch."""
        self._context = contextvars.copy_context()

    @property
    def has_several_queues(self) -> bool:
        """Whether the items have several providers, whose limits are independent."""
        return len(self._queues.all) > 1

    @property
    def is_idle(self) -> bool:
        """Whether nothing is in flight or waits."""
        return not self._tasks and not self.waiting

    def submit(self, item: WorkItem) -> None:
        """Queues an item; it is sent at once if the limit of its provider allows that."""
        queue = self._queues.of(item.request)
        queue.waiting.append(item)
        self.waiting += 1
        self._start_workers(queue)

    def halt(self, error: BaseException) -> None:
        """Drops the items that wait and starts no new ones; those in flight are finished, because they are paid for."""
        self._queues.clear()
        self.waiting = 0
        self._state.halt(error)

    async def cancel(self) -> None:
        """Cancels what is in flight and waits for its end."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # --- workers

    def _start_workers(self, queue: ProviderQueue) -> None:
        """Starts a worker for each item that the queue's limit allows, also those of queues that share it."""
        self._to_start[queue] = None
        if self._is_starting:
            return  # a worker that ended while it was started, as eager tasks do: without this they would be nested
        self._is_starting = True
        try:
            while self._to_start:
                self._start_workers_of(self._to_start.popitem()[0])
        finally:
            self._is_starting = False

    def _start_workers_of(self, queue: ProviderQueue) -> None:
        loop = asyncio.get_running_loop()
        while (ready := queue.next_queue) is not None and (item := self._take(ready)) is not None:
            task = loop.create_task(self._work(ready, item), context=self._context.copy())
            self._tasks.add(task)
            task.add_done_callback(self._on_worker_done)
        if self._state.halted or self._state.journal.full:
            return
        for each in queue.sharing:
            if each.outage.is_active and each.may_start_more and not each.in_flight and each.timer is None:
                each.timer = loop.call_later(each.outage.remaining, self._resume, each, context=self._context.copy())

    def _resume(self, queue: ProviderQueue) -> None:
        queue.timer = None
        self._start_workers(queue)

    def _take(self, queue: ProviderQueue) -> WorkItem | None:
        if self._state.halted:
            return None
        if self._state.journal.full:
            self._disk_was_full = True
            return None
        item = queue.take()
        if item is not None:
            self.waiting -= 1
            self._state.notify()
        return item

    async def _work(self, queue: ProviderQueue, item: WorkItem) -> None:
        result = None
        try:
            result = await self._send(queue, item)
            if result is not None and not await self._write(item, result):
                result = None
        finally:
            queue.in_flight -= 1
        if result is not None:
            self._state.deliver(item.number, result)
        self._start_workers(queue)
        if self._disk_was_full and not self._state.journal.full:
            self._disk_was_full = False
            for each in self._queues.all:
                self._start_workers(each)

    async def _send(self, queue: ProviderQueue, item: WorkItem) -> Result | None:
        """The item's result; None where there is none: it returned to its queue, or the run is halted."""
        answered = False
        request = item.request if isinstance(item.request, ChatRequest) else None
        try:
            valid = validate_item(item.request)
            request = request or valid
            on_load_refusal = partial(queue.limit.on_throttled, item.number)
            completion = await self._client.complete(valid, item.options, on_load_refusal)
            if not completion.info.cached:  # a stored reply shows nothing of the provider
                answered = True
                queue.record_answer()
            return Result(completion, None, item.custom_id, request)
        except ClientClosedError as error:
            self.halt(error.with_traceback(None))
            return None
        except CompletionError as error:
            answered = _is_answer(error)
            if self._return_to_queue(queue, item, error):
                return None
            # Without the frames: they reference the request, and a run may keep many errors.
            return Result(None, error.with_traceback(None), item.custom_id, request)
        except Exception as error:  # noqa: BLE001 (a bug, or an error of user code, which the consumer must get)
            self.halt(error)
            return None
        finally:
            queue.limit.on_end(answered=answered)

    def _return_to_queue(self, queue: ProviderQueue, item: WorkItem, error: CompletionError) -> bool:
        """Records what an error shows of the provider; returns whether the item is sent again after an outage."""
        if not isinstance(error, APIError):
            if isinstance(error, ReplyError):
                queue.record_answer()
            return False
        hint = self._long_hint(item, error)
        if hint is not None:
            was_paused = bool(queue.outage.remaining)
            if not queue.outage.on_long_hint(hint) or self._state.halted or not queue.take_back(item):
                return False
            self.waiting += 1
            if not was_paused:
                self._state.progress.report(at_once=True)
            return True
        if is_load_refusal(error):
            queue.record_refusal()
        elif shows_outage(error):
            queue.record_failure()
        else:
            if isinstance(error, APIStatusError):
                queue.record_answer()
            return False
        if self._state.halted or not worth_retrying(error) or not queue.take_back(item):
            return False
        self.waiting += 1
        return True

    def _long_hint(self, item: WorkItem, error: APIError) -> float | None:
        """The seconds that the provider asks to wait, if that is longer than a call may wait; else None."""
        hint = error.retry_after
        if hint is None or not is_load_refusal(error) or not worth_retrying(error):
            return None
        total = self._client.total_timeout(item.options)
        is_long = hint > MAX_HINT or (total is not None and (error.elapsed or 0.0) + hint >= total)
        return hint if is_long else None

    async def _write(self, item: WorkItem, result: Result) -> bool:
        """Writes a result to the journal; if that fails, halts the run and returns False."""
        try:
            await self._state.journal.append(item.key, result)
        except UnwrittenError as error:
            self._state.unwritten.append(result)
            self.halt(error)
            return False
        return True

    def _on_worker_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            if not self._state.halted:
                self.halt(CompletionError("a call of this batch was cancelled, and not by the batch"))
        elif (error := task.exception()) is not None:
            self.halt(error)
        self._state.notify()


def _is_answer(error: CompletionError) -> bool:
    """Whether the provider has answered and is not overloaded: with a refusal, or with a reply that does not fit."""
    if isinstance(error, ReplyError):
        return True
    return isinstance(error, APIStatusError) and not is_load_refusal(error) and not shows_outage(error)
