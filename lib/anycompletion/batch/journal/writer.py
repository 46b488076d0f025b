"""The journal of a run: looked up before an item is sent, written before its result is given out; sends nothing."""

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
from ...records import ChatRequest
from ...records.results import Result
from .files import close_locked, open_to_read, open_to_write, read_at, scan, sync_data
from .index import Entry, Index, State
from .item_keys import ItemKey, shown
from .lines import UnwrittenError, read_line, state_of, write_line

Fsync: TypeAlias = Literal["none", "group", "each"]
"""When lines reach the disk and not only the system: at close, every second or 100 lines, before `append` returns."""

_GROUP_LINES = 100
_GROUP_SECONDS = 1.0
_DEFAULT_TIMEOUT = 60.0
_RETRY_PAUSE = 0.25
"""Seconds between two attempts to write to a full disk."""

_TRANSIENT = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""Errors of a full or failing disk, which may be repaired while the results wait; others may not."""


@define(eq=False)
class _PendingLine:
    """A line that is to be written."""

    key: ItemKey
    result: Result
    line: bytes
    end: int | None = None
    """Position of its end in the file, once it is written."""


class Journal:
    """A file with the result of every item of a batch, so that an interrupted run can be resumed.

    ``entry`` and ``state`` look up what an earlier run did with an item, ``append`` writes a result. A result that was
    appended survives the end of the process at any moment; with fsync ``group`` (the default) at most a second of
    results is lost when the machine itself crashes, with ``each`` none.

    A journal belongs to the event loop that appends to it, and to one process: others are refused while it is open.

    The states of writing, and of bringing what is written to the disk::

        writing ──(disk full)──▶ full ──(disk_full_timeout, or another error)──▶ broken
           ▲                      │
           └──(a retry succeeds)──┘

        synced ──(a line)──▶ timer runs ──(1 s, or 100 lines)──▶ fsync in a thread ──(it fails)──▶ broken
           ▲                                                            │
           └─────────────────────────(it succeeds)──────────────────────┘

    In state *full* (`_pending` is not empty), `append` waits and retries, and lines are written in their order. In
    state *broken* (`_error` is set), nothing is written any more and `append` raises. From any state, `aclose` and
    `close` write and sync once more, and close the file.
    """

    def __init__(self, path: Path, *, fsync: Fsync, disk_full_timeout: float) -> None:
        self._path = path
        self._fsync: Fsync = fsync
        self._disk_full_timeout = disk_full_timeout
        self._fd = -1
        opened = open_to_write(path)
        self._fd = opened.fd
        self._index: Index = opened.entries
        self._size = opened.size
        self.warnings: list[str] = opened.warnings
        """What the caller should know: a torn line was cut off, every user may write to the folder."""
        self._pending: deque[_PendingLine] = deque()
        self._full_since: float | None = None
        self._next_attempt = 0.0
        self._reason = ""
        self._error: str | None = None
        """Why nothing can be written any more."""
        self._durable = opened.size
        self._unsynced = 0
        self._timer: asyncio.TimerHandle | None = None
        self._syncing: asyncio.Future[int] | None = None
        self._closed = False
        self._fd_lock = threading.Lock()

    @classmethod
    def open(
        cls, path: str | PathLike[str], *, fsync: Fsync = "group", disk_full_timeout: float = _DEFAULT_TIMEOUT
    ) -> Self:
        """Opens or creates a journal; a million lines take some seconds, so a running loop calls it in a thread.

        A line that a crash left torn is cut off, which `warnings` and the log report. `disk_full_timeout` is the
        number of seconds for which `append` waits for space on a full disk.

        Raises:
            JournalError: another process has the journal open (the text has its id), a line before the last is
                damaged (the text has its offset), the file is a link or no journal, or the system refuses.
        """
        return cls(Path(path), fsync=fsync, disk_full_timeout=disk_full_timeout)

    @property
    def count(self) -> int:
        """Number of items in the journal."""
        return len(self._index)

    @property
    def full(self) -> bool:
        """Whether results wait for space on the disk: no new work should begin."""
        return bool(self._pending)

    # --- look-up

    def entry(self, key: ItemKey) -> Entry | None:
        """The entry of an item that this run or an earlier one finished; that of its last line.

        Raises:
            JournalError: the item has the id of one with another request.
        """
        entry = self._index.get(key.key)
        if entry is None or entry.request_hash == key.request_hash:
            return entry
        raise JournalError(
            f"the request of {shown(key.custom_id)} is not the one that was answered (byte {entry.offset} of the "
            "journal): give the changed item another id, or the run another journal",
            param="custom_id",
        )

    def state(self, key: ItemKey) -> State | None:
        """The state of an item; faster than `entry`, because a resumed run looks up a million items.

        Raises:
            JournalError: the item has the id of one with another request.
        """
        state = self._index.state(key.key, key.request_hash)
        if state is None:
            self.entry(key)
        return state

    def read(self, entry: Entry, request: ChatRequest | None = None) -> Result:
        """The result of an entry: a reply without `.raw` and headers, or an error without body and headers.

        Raises:
            JournalError: the journal is closed, or the line was changed since.
        """
        if self._closed:
            raise JournalError("the journal is closed")
        result = read_line(read_at(self._fd, entry.offset, entry.length, self._path))
        result.request = request
        return result

    # --- writing

    async def append(self, key: ItemKey, result: Result) -> None:
        """Writes a result with one system call; once it returns, the result survives a kill of the process.

        While the disk is full it waits and retries. If it is cancelled meanwhile, later calls and `aclose` write the
        result.

        Raises:
            UnwrittenError: the disk stayed full, or the journal is closed or broken; it has all pending results.
        """
        pending = _PendingLine(key, result, write_line(key, result))
        self._pending.append(pending)
        self._write_pending()
        while pending.end is None:
            if self._error is not None or self._closed:
                raise self._unwritten()
            await asyncio.sleep(_RETRY_PAUSE)
            self._write_pending()
        self._schedule_sync()
        if self._fsync == "each":
            await self._wait_for_sync(pending, pending.end)

    def _write_pending(self) -> None:
        """Writes the pending lines in their order, as long as there is space."""
        if self._error is not None or self._closed or time.monotonic() < self._next_attempt:
            return
        while self._pending:
            first = self._pending[0]
            if not self._write(first.line):
                self._on_disk_full(time.monotonic())
                return
            key, offset = first.key, self._size
            self._size += len(first.line)
            first.end = self._size
            self._index.put(key.key, key.request_hash, state_of(first.result), offset, len(first.line))
            self._unsynced += 1
            self._pending.popleft()
        self._full_since, self._next_attempt = None, 0.0

    def _write(self, line: bytes) -> bool:
        """Writes all of the line, or nothing and returns False."""
        try:
            written = os.write(self._fd, line)
            if written == len(line):
                return True
            self._reason = "the disk is full"
        except OSError as error:
            self._reason = error.strerror or type(error).__name__
            if error.errno not in _TRANSIENT:
                self._break(self._reason)
        try:
            os.ftruncate(self._fd, self._size)
        except OSError as error:
            self._break(f"{self._reason}, and half a line cannot be removed: {error.strerror}")
        return False

    def _on_disk_full(self, now: float) -> None:
        # A little less than the pause of `append`, so that each pause ends with an attempt.
        self._next_attempt = now + _RETRY_PAUSE / 2
        if self._full_since is None:
            self._full_since = now
        elif now - self._full_since >= self._disk_full_timeout:
            self._break(f"{self._reason}, for {self._disk_full_timeout:g} seconds")

    def _break(self, reason: str) -> None:
        if self._error is None:
            self._error = f"the journal cannot be written: {reason}"

    def _unwritten(self) -> UnwrittenError:
        return UnwrittenError(self._error or "the journal is closed", [pending.result for pending in self._pending])

    # --- reaching the disk

    def _schedule_sync(self) -> None:
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
        error = done.exception()
        if error is not None:
            # Never retried: a second fsync may succeed although the pages of the first are lost.
            self._break(f"it may not have reached the disk ({error})")
            return
        self._durable = done.result()
        self._schedule_sync()

    def _sync(self, size: int) -> int:
        """In a thread: brings at least the first `size` bytes of the file to the disk."""
        with self._fd_lock:
            if self._fd >= 0:
                _sync(self._fd, size)
        return size

    async def _wait_for_sync(self, pending: _PendingLine, end: int) -> None:
        while self._durable < end:
            if self._error is not None or self._closed:
                raise UnwrittenError(self._error or "the journal was closed meanwhile", [pending.result])
            self._schedule_sync()
            if self._syncing is not None:
                await asyncio.wait({self._syncing})

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- closing

    async def aclose(self) -> None:
        """Writes pending results, brings all to the disk and closes the file, which is closed even if that fails.

        Raises:
            UnwrittenError: some results could not be written.
            JournalError: what was written may not have reached the disk.
        """
        if self._closed:
            return
        self._begin_close()
        try:
            await asyncio.get_running_loop().run_in_executor(None, self._sync_and_close)
        finally:
            self._sync_and_close()  # if it was cancelled: waits for the thread, or does its work
        self._raise_errors()

    def close(self) -> None:
        """`aclose` without an event loop; blocks until the disk has all."""
        if self._closed:
            return
        self._begin_close()
        self._sync_and_close()
        self._raise_errors()

    def _begin_close(self) -> None:
        self._stop_timer()
        self._next_attempt = 0.0
        self._write_pending()
        self._closed = True

    def _sync_and_close(self) -> None:
        with self._fd_lock:
            if self._fd < 0:
                return
            fd, self._fd = self._fd, -1
            try:
                if self._fsync != "none" and self._durable < self._size and self._error is None:
                    _sync(fd, self._size)
                    self._durable = self._size
            except OSError as error:
                self._break(f"it may not have reached the disk ({error})")
            finally:
                close_locked(fd)

    def _raise_errors(self) -> None:
        if self._pending:
            raise self._unwritten()
        if self._error is not None:
            raise JournalError(self._error)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.aclose()
        except JournalError as own_error:
            if error is None:
                raise
            error.add_note(f"and then: {own_error}")  # the first error, or a cancellation, is what the caller gets

    def __del__(self) -> None:
        if self._fd >= 0:
            close_locked(self._fd)
            self._fd = -1
            warnings.warn(f"a journal was never closed: {self._path}", ResourceWarning, stacklevel=1, source=self)


def _sync(fd: int, size: int) -> None:
    """Raises OSError if the data may not be on the disk, or not in a file that still has a name."""
    status = os.fstat(fd)
    if status.st_nlink == 0:
        raise OSError("its file was deleted")
    if status.st_size < size:
        raise OSError("its file was truncated by another process")
    sync_data(fd)


def read_results(path: str | PathLike[str]) -> Iterator[Result]:
    """The results in a journal, one per item, in the order in which the items first ended.

    It takes no lock, so a run may be writing meanwhile: lines that are appended after the first result was asked for
    are not read, nor is an incomplete one. Requests are not in the journal, so `Result.request` is None.

    Raises:
        JournalError: there is no such file, it is no journal, or a line before the last is damaged.
    """
    where = Path(path)
    fd = open_to_read(where)
    try:
        for entry in scan(fd, where).entries:
            yield read_line(read_at(fd, entry.offset, entry.length, where))
    finally:
        os.close(fd)
