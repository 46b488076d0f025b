"""The journal of a run: asked before an item is sent, written before its result is told; reads no clock but its own."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
import time
import warnings
from collections import deque
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeAlias

from attrs import define

from ...errors import JournalError
from ...records import ChatRequest, Result
from .files import open_to_read, open_to_write, read_at, scan, sync_data
from .index import Entry, Index, State
from .item_keys import ItemKey, shown
from .lines import UnwrittenError, read_line, state_of, write_line

Fsync: TypeAlias = Literal["none", "group", "each"]
"""When lines reach the disk and not only the system: at close, every second or 100 lines, before `append` returns."""

_GROUP_LINES = 100
_GROUP_SECONDS = 1.0
_DEFAULT_TIMEOUT = 60.0
_PAUSE = 0.25
"""Seconds between two tries to write to a full disk."""

_MAY_PASS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""A disk that is full or sulks may be put right while the results wait; anything else may not."""


@define(eq=False)
class _Record:
    """A line on its way into the file."""

    label: ItemKey
    result: Result
    line: bytes
    end: int | None = None
    """Where it ends in the file, once it is there."""


class Journal:
    """One file that holds the result of every item of a batch, so that a run that was cut off can go on.

    ``seen`` says what an earlier run knows of an item, ``append`` writes down how one ended. A result that was
    appended survives the end of the process at any moment; with fsync ``group`` (the default) at most a second of
    results is lost when the machine itself goes down, with ``each`` none.

    A journal belongs to the event loop that appends to it, and to one process: others are refused while it is open.
    """

    def __init__(self, path: Path, *, fsync: Fsync, disk_full_timeout: float) -> None:
        self._path = path
        self._fsync: Fsync = fsync
        self._disk_full_timeout = disk_full_timeout
        self._fd = -1
        opened = open_to_write(path)
        self._fd = opened.fd
        self._index: Index = opened.known
        self._size = opened.size
        self.warnings: list[str] = opened.warnings
        """What the caller should know: an unfinished line was cut off, everybody may write to the folder."""
        self._held: deque[_Record] = deque()
        self._full_since: float | None = None
        self._next_try = 0.0
        self._reason = ""
        self._fault: str | None = None
        """Why nothing can be written any more."""
        self._durable = opened.size
        self._unsynced = 0
        self._timer: asyncio.TimerHandle | None = None
        self._syncing: asyncio.Future[int] | None = None
        self._closed = False
        self._using_fd = threading.Lock()

    @classmethod
    def open(
        cls, path: str | PathLike[str], *, fsync: Fsync = "group", disk_full_timeout: float = _DEFAULT_TIMEOUT
    ) -> Self:
        """Opens a journal or begins one; a million lines take some seconds, so a running loop calls it in a thread.

        A line that a crash left unfinished is cut off, which `warnings` and the log report. `disk_full_timeout` is the
        number of seconds for which `append` waits for space on a full disk.

        Raises:
            JournalError: another process has the journal open (the text has its id), a line before the last is
                damaged (the text has its first byte), the file is a link or no journal, or the system refuses.
        """
        return cls(Path(path), fsync=fsync, disk_full_timeout=disk_full_timeout)

    @property
    def count(self) -> int:
        """How many items the journal knows."""
        return len(self._index)

    @property
    def full(self) -> bool:
        """True while results wait for room on the disk: no new work should begin."""
        return bool(self._held)

    # --- what is known

    def seen(self, label: ItemKey) -> Entry | None:
        """How the item ended, if it did: in an earlier run, or in this one. The last line of an item counts.

        Raises:
            JournalError: the item has the id of one with another request.
        """
        entry = self._index.get(label.key)
        if entry is None or entry.request_hash == label.request_hash:
            return entry
        raise JournalError(
            f"the request of {shown(label.custom_id)} is not the one that was answered (byte {entry.offset} of the "
            "journal): give the changed item another id, or the run another journal",
            param="custom_id",
        )

    def state(self, label: ItemKey) -> State | None:
        """How the item ended, if it did; all that a run that resumes needs of a million items, so that it is quick.

        Raises:
            JournalError: the item has the id of one with another request.
        """
        state = self._index.state(label.key, label.request_hash)
        if state is None:
            self.seen(label)
        return state

    def read(self, entry: Entry, request: ChatRequest | None = None) -> Result:
        """The result that `seen` told of; of a reply all but `.raw` and headers, of an error all but body and headers.

        Raises:
            JournalError: the journal is closed, or its line is not there any more.
        """
        if self._closed:
            raise JournalError("the journal is closed")
        result = read_line(read_at(self._fd, entry.offset, entry.length, self._path))
        result.request = request
        return result

    # --- writing

    async def append(self, label: ItemKey, result: Result) -> None:
        """Writes a result down, with one write; what returned is there when the process is killed.

        While the disk is full it waits and tries again. Cancelled meanwhile, it leaves the result to later calls and
        to `aclose`.

        Raises:
            UnwrittenError: the disk stayed full, or the journal is closed or broken; it has all waiting results.
        """
        record = _Record(label, result, write_line(label, result))
        self._held.append(record)
        self._write_held()
        while record.end is None:
            if self._fault is not None or self._closed:
                raise self._unwritten()
            await asyncio.sleep(_PAUSE)
            self._write_held()
        self._plan_sync()
        if self._fsync == "each":
            await self._synced(record, record.end)

    def _write_held(self) -> None:
        """Writes what waits, in its order, as far as there is room."""
        if self._fault is not None or self._closed or time.monotonic() < self._next_try:
            return
        while self._held:
            record = self._held[0]
            if not self._write(record.line):
                self._wait_for_room(time.monotonic())
                return
            label, offset = record.label, self._size
            self._size += len(record.line)
            record.end = self._size
            self._index.put(label.key, label.request_hash, state_of(record.result), offset, len(record.line))
            self._unsynced += 1
            self._held.popleft()
        self._full_since, self._next_try = None, 0.0

    def _write(self, line: bytes) -> bool:
        """Writes the line, all of it or nothing."""
        try:
            written = os.write(self._fd, line)
            if written == len(line):
                return True
            self._reason = "the disk is full"
        except OSError as fault:
            self._reason = fault.strerror or type(fault).__name__
            if fault.errno not in _MAY_PASS:
                self._break(self._reason)
        try:
            os.ftruncate(self._fd, self._size)
        except OSError as fault:
            self._break(f"{self._reason}, and half a line cannot be taken back: {fault.strerror}")
        return False

    def _wait_for_room(self, now: float) -> None:
        # A little less than the pause of those who wait, so that each wait ends in a try.
        self._next_try = now + _PAUSE / 2
        if self._full_since is None:
            self._full_since = now
        elif now - self._full_since >= self._disk_full_timeout:
            self._break(f"{self._reason}, for {self._disk_full_timeout:g} seconds")

    def _break(self, reason: str) -> None:
        if self._fault is None:
            self._fault = f"the journal cannot be written: {reason}"

    def _unwritten(self) -> UnwrittenError:
        return UnwrittenError(self._fault or "the journal is closed", [record.result for record in self._held])

    # --- reaching the disk

    def _plan_sync(self) -> None:
        if self._fsync == "none" or self._unsynced == 0 or self._syncing is not None or self._closed:
            return
        if self._fsync == "each" or self._unsynced >= _GROUP_LINES:
            self._start_sync()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_GROUP_SECONDS, self._start_sync)

    def _start_sync(self) -> None:
        self._stop_timer()
        self._unsynced = 0
        self._syncing = asyncio.get_running_loop().run_in_executor(None, self._sync, self._size)
        self._syncing.add_done_callback(self._on_synced)

    def _on_synced(self, done: asyncio.Future[int]) -> None:
        self._syncing = None
        if done.cancelled():
            return
        fault = done.exception()
        if fault is not None:
            # Never tried again: a second fsync may succeed although the first one's pages are lost.
            self._break(f"it may not have reached the disk ({fault})")
            return
        self._durable = done.result()
        self._plan_sync()

    def _sync(self, size: int) -> int:
        """In a thread: brings the file to the disk, at least up to `size`."""
        with self._using_fd:
            if self._fd >= 0:
                _sync(self._fd, size)
        return size

    async def _synced(self, record: _Record, end: int) -> None:
        while self._durable < end:
            if self._fault is not None or self._closed:
                raise UnwrittenError(self._fault or "the journal was closed meanwhile", [record.result])
            self._plan_sync()
            if self._syncing is not None:
                await asyncio.wait({self._syncing})

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- the end

    async def aclose(self) -> None:
        """Writes what waits, brings all to the disk and closes the file; however it ends, the file is closed.

        Raises:
            UnwrittenError: some results could not be written.
            JournalError: what was written may not have reached the disk.
        """
        if self._closed:
            return
        self._last_writes()
        try:
            await asyncio.get_running_loop().run_in_executor(None, self._finish)
        finally:
            self._finish()  # for the cancelled: waits for the thread, or does its work
        self._report()

    def close(self) -> None:
        """`aclose` for where there is no event loop; waits for the disk."""
        if self._closed:
            return
        self._last_writes()
        self._finish()
        self._report()

    def _last_writes(self) -> None:
        self._stop_timer()
        self._next_try = 0.0
        self._write_held()
        self._closed = True

    def _finish(self) -> None:
        with self._using_fd:
            if self._fd < 0:
                return
            fd, self._fd = self._fd, -1
            try:
                if self._fsync != "none" and self._durable < self._size and self._fault is None:
                    _sync(fd, self._size)
                    self._durable = self._size
            except OSError as fault:
                self._break(f"it may not have reached the disk ({fault})")
            finally:
                os.close(fd)

    def _report(self) -> None:
        if self._held:
            raise self._unwritten()
        if self._fault is not None:
            raise JournalError(self._fault)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.aclose()
        except JournalError as fault:
            if error is None:
                raise
            error.add_note(f"and then: {fault}")  # a cancel, or what went wrong first, goes on as what it is

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            warnings.warn(f"a journal was never closed: {self._path}", ResourceWarning, stacklevel=1, source=self)


def _sync(fd: int, size: int) -> None:
    """Raises OSError when the data may not be on the disk, or not in a file that anybody will find."""
    status = os.fstat(fd)
    if status.st_nlink == 0:
        raise OSError("its file was deleted")
    if status.st_size < size:
        raise OSError("its file was cut by somebody else")
    sync_data(fd)


def read_results(path: str | PathLike[str]) -> Iterator[Result]:
    """The results in a journal, one for each item, in the order in which the items first ended.

    It needs no lock, so a run may be writing meanwhile: what is appended after the first result was asked for is not
    read, nor is a line that is not whole yet. Requests are not in the journal, so `Result.request` is None.

    Raises:
        JournalError: there is no such file, it is no journal, or a line before the last is damaged.
    """
    where = Path(path)
    fd = open_to_read(where)
    try:
        for entry in scan(fd, where).known:
            yield read_line(read_at(fd, entry.offset, entry.length, where))
    finally:
        os.close(fd)
