"""Runs one batch: connects the reader of its items, the workers that send them and the closer that ends it.

It never references the `BatchRun`, so that dropping the run stops the batch.
"""

from __future__ import annotations

import asyncio
import contextlib

from ..errors import ClientClosedError
from .batch_client import BatchClient
from .item_reader import ItemReader
from .item_source import ItemSource
from .provider_queues import ProviderQueues
from .run_closer import RunCloser
from .run_state import RunState
from .worker_pool import WorkerPool


class BatchScheduler:
    """One batch in progress. Its task opens the journal, reads all items, waits for the workers and closes everything.

    Args:
        prefetch: items that may wait to be sent.
        max_undelivered: items that may be read while their results have not been taken.
    """

    def __init__(
        self,
        source: ItemSource,
        client: BatchClient,
        queues: ProviderQueues,
        state: RunState,
        *,
        prefetch: int,
        max_undelivered: int,
    ) -> None:
        self.is_open = False
        """Whether the journal is open, if there is one, and reading has begun."""
        self.loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._state = state
        self._workers = WorkerPool(client, queues, state)
        self._reader = ItemReader(source, self._workers, state, prefetch=prefetch, max_undelivered=max_undelivered)
        self._closer = RunCloser(source, self._workers, state)

    def start(self) -> asyncio.Task[None]:
        """Starts the batch and returns its task, which the caller must reference."""
        self.loop = asyncio.get_running_loop()
        self._state.progress.start(self.loop.time)
        self._workers.use_current_context()
        self._task = self.loop.create_task(self._run())
        self._task.add_done_callback(self._on_done)
        return self._task

    def stop(self) -> None:
        """Cancels everything and drops results that were not taken; only in the event loop of the batch."""
        self._state.stopped = self._state.halted = True
        self._state.results.discard()
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        try:
            await self._state.journal.open()
            self.is_open = True
            self._state.results.notify_all()
            await self._reader.read()
            await self._wait_for_workers()
        except asyncio.CancelledError:
            if not self._state.stopped:
                self._state.record_error(ClientClosedError("the client was closed while this batch was under way"))
        except Exception as error:  # noqa: BLE001 (the caller's iterable may raise anything; the consumer gets it)
            self._state.record_error(error)
            with contextlib.suppress(asyncio.CancelledError):
                await self._wait_for_workers()  # what was read before gets its results
        await self._closer.close()

    async def _wait_for_workers(self) -> None:
        while not self._workers.is_idle:
            await self._state.wait_until(lambda: self._workers.is_idle)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        failure = None if task.cancelled() else task.exception()
        if not self._state.results.ended:  # it was cancelled before its first step, or user code ended it
            error = failure or ClientClosedError("the client was closed before this batch began")
            self._state.record_error(error)
            self._state.results.end(None if self._state.stopped else self._state.error)
