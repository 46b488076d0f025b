"""The journal of one batch run, which may have none; keeps the ids of the run's items apart in either case."""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path

from ..records.results import Result
from .items import RequestSource
from .journal import ItemKey, ItemKeys, Journal, State


class RunJournal:
    """Optional journal of a batch run: without a path, nothing is written and no item is finished already.

    Args:
        path: the journal's file.
        disk_full_timeout: seconds that results wait for space on a full disk.
        into: digest of the type that all replies are to be, where they have one.
    """

    def __init__(self, path: Path | None, disk_full_timeout: float, into: str | None = None) -> None:
        self._path = path
        self._disk_full_timeout = disk_full_timeout
        self._journal: Journal | None = None
        self._into = into
        self._keys = ItemKeys()

    @property
    def full(self) -> bool:
        """Whether results wait for space on the disk, so that no new request should start."""
        return self._journal is not None and self._journal.full

    async def open(self) -> None:
        """Opens the file in a thread, because that may take seconds.

        A cancellation waits for the thread and closes what it opened: no one else has a reference to it.

        Raises:
            JournalError: another process uses the file, it is damaged or no journal, or the system refuses.
        """
        if self._path is None:
            return
        open_it = functools.partial(Journal.open, self._path, disk_full_timeout=self._disk_full_timeout)
        opening = asyncio.get_running_loop().run_in_executor(None, open_it)
        cancelled: asyncio.CancelledError | None = None
        while not opening.done():
            try:
                await asyncio.wait({opening})
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is None:
            self._journal = opening.result()
            self._keys = ItemKeys(self._journal.count, self._into)
            return
        if opening.exception() is None:
            opening.result().close()
        raise cancelled

    def identify(self, request: RequestSource, custom_id: str | None) -> ItemKey | None:
        """The key of the next item; None without a journal, where only the id is checked, if there is one.

        Raises:
            InvalidRequestError: the id was used before in this run or is unusable, or the request is not
                JSON-serializable.
        """
        if self._journal is not None:
            return self._keys.next_key(request)
        if custom_id is not None:
            self._keys.register(custom_id)
        return None

    def final_state(self, key: ItemKey | None) -> State | None:
        """How an earlier run finished the item; None if it is to be sent.

        Raises:
            JournalError: the item has the id of one with another request.
        """
        if self._journal is None or key is None:
            return None
        state = self._journal.state(key)
        return None if state is State.RETRYABLE else state

    async def append(self, key: ItemKey | None, result: Result) -> None:
        """Writes the result of an item.

        Raises:
            UnwrittenError: the disk stayed full, or the journal is closed or broken.
        """
        if self._journal is not None and key is not None:
            await self._journal.append(key, result)

    async def aclose(self) -> None:
        """Writes what waits, syncs and closes the file.

        Raises:
            UnwrittenError: some results could not be written.
            JournalError: what was written may not have reached the disk.
        """
        if self._journal is not None:
            await self._journal.aclose()
