"""The database of a SQLiteStore: its table, what is removed from it, and what happens when the file is damaged.

Used by one thread. A connection is opened at the first use, and again after the file had to be replaced.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import sys
import time
import zlib
from collections.abc import Generator, Sequence
from typing import Any

from ..logs import log_event
from .cache_store import is_in_namespace

if sys.platform != "win32":
    import fcntl

_TABLE = """
CREATE TABLE IF NOT EXISTS replies (
    key TEXT PRIMARY KEY, value BLOB NOT NULL, expires REAL, used REAL NOT NULL, size INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS replies_by_use ON replies (used, size);
CREATE INDEX IF NOT EXISTS replies_by_end ON replies (expires) WHERE expires IS NOT NULL;
"""

_BUSY_TIMEOUT = 5.0
"""Seconds to wait for another process that writes."""

_LOCK_INTERVAL = 0.005
"""Seconds between two attempts to lock a folder."""

_WRITES_PER_SWEEP = 500
"""Writes after which what has expired, and what is too much, is removed."""

_SHARE_PER_SWEEP = 20
"""The same by size: a twentieth of the store."""

_KEPT_AT_SWEEP = 0.9
"""Share of the size that remains where something has to be removed."""

_USE_INTERVAL = 60.0
"""Seconds after which the time of the last use is written again."""

_ROWS = 1000
"""Rows that are read at once to find what to remove."""

_DAMAGED = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))

_CHECKSUM = 4
"""Bytes of the CRC-32 before each value: SQLite does not notice when a disk changes what is inside one."""

_MAX_COPIES = 1000
"""Damaged files that are kept beside the good one."""

Call = tuple[str, tuple[Any, ...]]
"""Name and arguments of a method."""


class SQLiteFile:
    """A database file of values by key."""

    def __init__(self, path: str, max_bytes: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        """Of the file that is open: another process may have replaced it."""
        self._writes = self._written = 0
        """Number and bytes of the values that were written since the last sweep."""

    def run(self, calls: Sequence[Call]) -> list[Any]:
        """The results of the calls, or the errors that they raised; in one transaction, unless one fails."""
        if len(calls) > 1:
            try:
                with self._transaction(calls):
                    return [getattr(self, method)(*arguments) for method, arguments in calls]
            except Exception as error:  # noqa: BLE001 (one of the calls may be at fault, in any way: each is tried alone)
                self._recover(error)
        return [self._run_alone(method, arguments) for method, arguments in calls]

    def _run_alone(self, method: str, arguments: tuple[Any, ...]) -> Any:
        for is_last in (False, True):
            try:
                with self._transaction([(method, arguments)]):
                    return getattr(self, method)(*arguments)
            except Exception as error:  # noqa: BLE001 (the caller gets it, and the thread goes on)
                if is_last or not self._recover(error):
                    return error
        raise AssertionError("the last round returns")

    # --- values ---

    def get(self, key: str) -> bytes | None:
        """The value, unless it has expired."""
        row = self._execute("SELECT value, expires, used FROM replies WHERE key = ?", key).fetchone()
        if row is None:
            return None
        stored, expires, used = row
        now = time.time()
        value: bytes = stored[_CHECKSUM:]
        if (expires is not None and expires <= now) or _checksum(value) != stored[:_CHECKSUM]:
            self.delete(key)
            return None
        if now - used > _USE_INTERVAL:
            with contextlib.suppress(sqlite3.OperationalError):  # the disk is full, or another process writes
                self._execute("UPDATE replies SET used = ? WHERE key = ?", now, key)
        return value

    def set(self, key: str, value: bytes, ttl: float | None) -> None:
        """Stores a value."""
        size = len(key) + len(value)
        if size > self._max_bytes // 4:
            self.delete(key)
            return
        now = time.time()
        row = (key, _checksum(value) + value, None if ttl is None else now + ttl, now, size)
        self._execute("INSERT OR REPLACE INTO replies VALUES (?, ?, ?, ?, ?)", *row)
        self._writes += 1
        self._written += size
        if self._writes >= _WRITES_PER_SWEEP or self._written >= self._max_bytes // _SHARE_PER_SWEEP:
            self._writes = self._written = 0
            self._sweep()

    def delete(self, key: str) -> None:
        """Removes a value."""
        self._execute("DELETE FROM replies WHERE key = ?", key)

    def clear(self, namespace: str) -> int:
        """Removes all values of a namespace, or for "" all there are; returns their number."""
        if not namespace:
            return self._execute("DELETE FROM replies").rowcount
        start = namespace + ":"
        # ";" is the character after ":".
        rows = self._execute("SELECT key FROM replies WHERE key >= ? AND key < ?", start, namespace + ";").fetchall()
        keys = [key for (key,) in rows if is_in_namespace(key, namespace)]
        for key in keys:
            self.delete(key)
        return len(keys)

    def close(self) -> None:
        """Closes the database."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _sweep(self) -> None:
        """Removes what has expired, and the least recently used values where there are too many bytes."""
        self._execute("DELETE FROM replies WHERE expires <= ?", time.time())
        (size,) = self._execute("SELECT coalesce(sum(size), 0) FROM replies").fetchone()
        if size <= self._max_bytes:
            return
        too_much = size - int(self._max_bytes * _KEPT_AT_SWEEP)
        while too_much > 0:
            rows = self._execute("SELECT rowid, size FROM replies ORDER BY used LIMIT ?", _ROWS).fetchall()
            for rowid, each in rows:
                if too_much <= 0:
                    return
                self._execute("DELETE FROM replies WHERE rowid = ?", rowid)
                too_much -= each
            if not rows:
                return

    # --- the connection ---

    @contextlib.contextmanager
    def _transaction(self, calls: Sequence[Call]) -> Generator[None, None, None]:
        if all(method == "get" for method, _ in calls):  # which need not wait for another process that writes
            self._open()
            yield
            return
        if not self._is_in_place():
            self.close()
        connection = self._open()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:  # whatever ended it, the next statement must not join its transaction
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def _execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        return self._open().execute(statement, values)

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None:
            return self._connection
        with _locked_folder(self._path):  # if two connections prepare a new file at once, one of them fails
            if not os.path.exists(self._path):
                # Made here, because SQLite would make it readable by all; its other files get the same mode.
                os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            self._inode = os.stat(self._path).st_ino
            connection = self._connection = sqlite3.connect(
                self._path, timeout=_BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
            )
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(_TABLE)
        return connection

    # --- damage ---

    def _recover(self, error: Exception) -> bool:
        """Replaces the file if the error shows that it is damaged; returns whether trying again makes sense."""
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
            return False
        self.close()
        with _locked_folder(self._path):
            if self._is_in_place():  # else another one has replaced it, and the new one is good
                self._set_aside()
        return True

    def _is_in_place(self) -> bool:
        """Whether the file at the path is the one that was opened last: users and other processes replace files."""
        try:
            return os.stat(self._path).st_ino == self._inode
        except FileNotFoundError:
            return False

    def _set_aside(self) -> None:
        copies = (f"{self._path}.corrupt-{number}" for number in range(1, _MAX_COPIES))
        copy = next((name for name in copies if not os.path.exists(name)), f"{self._path}.corrupt-{_MAX_COPIES}")
        # The file itself last: once it is gone, another process may begin a new one, with such files of its own.
        for end in ("-wal", "-shm", ""):
            with contextlib.suppress(FileNotFoundError):
                os.replace(self._path + end, copy + end)
        text = "the cache %s was damaged: it is now %s, and a new one is begun"
        log_event(logging.WARNING, "cache_damaged", text, self._path, copy)


def _checksum(value: bytes) -> bytes:
    return zlib.crc32(value).to_bytes(_CHECKSUM, "big")


@contextlib.contextmanager
def _locked_folder(path: str) -> Generator[None]:
    """Lets one process, or thread, at a time work on the files of the folder, where the system has such locks.

    The folder is locked and not the database: to close a file ends all locks that the process has on it, SQLite's as
    well (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """
    folder = None
    with contextlib.suppress(PermissionError):  # which may not be read; on Windows, none may
        folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
    if folder is None:
        yield
        return
    try:
        _lock(folder)
        yield
    finally:
        _unlock(folder)
        os.close(folder)


def _lock(folder: int) -> None:
    """Locks a folder; not where others have it locked for too long, or where the file system has no such locks."""
    deadline = time.monotonic() + _BUSY_TIMEOUT
    while sys.platform != "win32" and time.monotonic() < deadline:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(_LOCK_INTERVAL)
        except OSError:
            return


def _unlock(folder: int) -> None:
    """Ends the lock, which would last as long as a forked process has the descriptor."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_UN)
