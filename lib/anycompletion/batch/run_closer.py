"""Ends a batch: cancels its workers, closes its iterable and its journal, and hands its error to the consumer."""

from __future__ import annotations

import asyncio
import contextlib

from ..errors import JournalError
from .item_source import ItemSource
from .journal import UnwrittenError
from .run_state import RunState
from .worker_pool import WorkerPool


class RunCloser:
    """Closes everything that a batch run uses; each step is done whatever happens to those before it."""

    def __init__(self, source: ItemSource, workers: WorkerPool, state: RunState) -> None:
        self._source = source
        self._workers = workers
        self._state = state

    async def close(self) -> None:
        """Ends workers, source, journal and results, in this order."""
        self._state.halted = True
        # A cancellation ends one of these waits; the steps after it are still done.
        with contextlib.suppress(asyncio.CancelledError):
            async with contextlib.AsyncExitStack() as stack:
                stack.callback(self._end_results)
                stack.push_async_callback(self._close_journal)
                stack.push_async_callback(self._close_source)
                await self._workers.cancel()

    async def _close_source(self) -> None:
        try:
            await self._source.aclose()
        except Exception as error:  # noqa: BLE001 (closing a user's generator may raise anything)
            self._state.record_error(error)

    async def _close_journal(self) -> None:
        state = self._state
        try:
            await state.journal.aclose()
        except UnwrittenError as error:
            state.record_error(error)
            state.unwritten += error.unwritten
        except JournalError as error:
            state.record_error(error)
        if isinstance(state.error, UnwrittenError):
            by_id = {result.custom_id: result for result in state.unwritten}
            state.error = UnwrittenError(state.error.message, by_id.values())
        elif state.unwritten and state.error is not None:
            state.error.add_note(f"and {len(state.unwritten)} results could not be written to the journal")

    def _end_results(self) -> None:
        self._state.progress.finish()
        error, self._state.error = self._state.error, None
        self._state.results.end(error)
