"""SQLiteStore: replies in a file that several processes share; the interface to the thread that uses the database."""

from __future__ import annotations

import os
from asyncio import Future
from collections.abc import Awaitable
from os import PathLike
from typing import Any, cast

from .._async import ClosedOnExit
from ..errors import ClientClosedError, InvalidRequestError
from .cache_store import CacheStore
from .memory_store import checked_size
from .sqlite_file import SQLiteFile
from .sqlite_worker import SQLiteWorker


class SQLiteStore(ClosedOnExit, CacheStore):
    """Store in a file, by SQLite, for any number of processes of one machine.

    Args:
        path: the file; it is made at the first use, readable by its owner only. Beside it SQLite keeps two more, with
            ``-wal`` and ``-shm`` at the end of their names.
        max_bytes: size of the stored values, about; the least recently used ones are removed for newer ones. Default
            1 GiB.

    The database is used in a thread of its own, which is started at the first use. A crash may lose the last values,
    never the file. A damaged file is renamed (``….corrupt-1``), with a warning in the log, and a new one is begun. It
    must be on a local disk: the locks of network file systems are not reliable.

    It pickles as its path and size.
    """

    def __init__(self, path: str | PathLike[str], *, max_bytes: int = 1 << 30) -> None:
        given: object = path
        name: object = os.fspath(cast("PathLike[Any]", given)) if isinstance(given, PathLike) else given
        if not isinstance(name, str) or not name or "\0" in name or name == ":memory:":
            raise InvalidRequestError("path: expected the path of a file", param="path")
        self._path = name
        self._max_bytes = checked_size(max_bytes)
        self._worker: SQLiteWorker | None = None
        self._of_parents: list[SQLiteWorker] = []
        """Workers that a parent process made: their connections must not be closed here."""
        self._closed = False

    def __repr__(self) -> str:
        return f"<SQLiteStore {self._path!r}>"

    def __reduce__(self) -> Any:
        return _rebuild, (self._path, self._max_bytes)

    async def get(self, key: str) -> bytes | None:
        """The value, or None.

        Raises:
            sqlite3.Error: the database cannot be read.
        """
        value: bytes | None = await self._submit("get", key)
        return value

    def set(self, key: str, value: bytes, ttl: float | None) -> Awaitable[None]:
        """Stores a value.

        Raises:
            sqlite3.Error: the database cannot be written.
        """
        return self._submit("set", key, value, ttl)

    async def delete(self, key: str) -> None:
        """Removes a value, if there is one."""
        await self._submit("delete", key)

    async def clear(self, namespace: str = "") -> int:
        """Removes all values of a namespace, or for "" all there are; returns their number."""
        count: int = await self._submit("clear", namespace)
        return count

    async def aclose(self) -> None:
        """Finishes what was begun and closes the database; idempotent."""
        self._closed = True
        worker, self._worker = self._worker, None
        if worker is not None and worker.is_of_this_process:
            await worker.aclose()

    def _submit(self, method: str, *arguments: Any) -> Future[Any]:
        if self._closed:
            raise ClientClosedError("this SQLiteStore was closed; close it after the clients that use it")
        worker = self._worker
        if worker is None or not worker.is_of_this_process:
            if worker is not None:
                self._of_parents.append(worker)
            worker = self._worker = SQLiteWorker(SQLiteFile(self._path, self._max_bytes))
        return worker.submit(method, arguments)

    def __del__(self) -> None:
        worker = self.__dict__.get("_worker")
        if worker is not None and worker.is_of_this_process:
            worker.stop()


def _rebuild(path: str, max_bytes: int) -> SQLiteStore:
    return SQLiteStore(path, max_bytes=max_bytes)


__all__ = ["SQLiteStore"]
