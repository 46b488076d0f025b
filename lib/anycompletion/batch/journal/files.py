"""The journal's file: created, locked, scanned, truncated; knows where lines end, and not what they contain."""

from __future__ import annotations

import errno
import functools
import logging
import os
import stat
import sys
from pathlib import Path
from typing import NamedTuple

from ...errors import JournalError, printable
from ...logs import log_event
from .index import Index
from .lines import HEAD_SIZE, has_journal_head, may_be_torn, read_trailer

if sys.platform != "win32":
    import fcntl


_BLOCK_SIZE = 1 << 20

_TYPICAL_LINE_SIZE, _MAX_EXPECTED_LINES = 1000, 1 << 20
"""From these, the size of the index is chosen before a file is read."""


def _flags(*names: str) -> int:
    """Flags of `os.open`, as far as the system has them."""
    return sum(getattr(os, name, 0) for name in names)


_WRITE_FLAGS = _flags("O_RDWR", "O_APPEND", "O_CLOEXEC", "O_NOFOLLOW")
_READ_FLAGS = _flags("O_RDONLY", "O_CLOEXEC", "O_BINARY", "O_NONBLOCK")
"""Without O_NONBLOCK, opening a pipe would wait for its writer."""

sync_data = getattr(os, "fdatasync", os.fsync)  # macOS has only fsync


class OpenFile(NamedTuple):
    """A journal's file, locked for this process and ending with a complete line."""

    fd: int
    entries: Index
    size: int
    warnings: list[str]


class ScannedFile(NamedTuple):
    """The lines of a file."""

    entries: Index
    end: int
    """Offset of the end of the last complete line."""
    size: int
    """Offset of the end of the file; a torn line is between the two."""


def open_to_write(path: Path) -> OpenFile:
    """Opens or creates the file (readable by its owner only), locks it, and cuts off a line that a crash left torn.

    What the caller should know is in `warnings`, and logged.

    Raises:
        JournalError: another process uses it, it is damaged in the middle or no journal, another user has put it into a
            folder that others can write, or the system refuses.
    """
    if sys.platform == "win32":
        raise JournalError("a journal needs the file locks of POSIX, which Windows does not have")
    try:
        warnings = _folder_warnings(path.parent)
        fd = _open_or_create(path)
        try:
            warnings += _file_warnings(fd, path)
            _lock(fd, path)
            index, end, size = scan(fd, path)
            if end < size:
                os.ftruncate(fd, end)
                os.fsync(fd)
                warnings.append(f"{_name(path)}: the last {size - end:,} bytes were no complete line and are cut off")
        except BaseException:  # KeyboardInterrupt too: no one else has the descriptor
            close_locked(fd)
            raise
    except OSError as error:
        text = _system_error(path, error)
    else:
        for warning in warnings:
            log_event(logging.WARNING, "journal", "%s", warning, path=str(path))
        return OpenFile(fd, index, end, warnings)
    raise JournalError(text)


def open_to_read(path: Path) -> int:
    """Opens the file without a lock: another process may be writing it.

    Raises:
        JournalError: there is no such file, or the system refuses.
    """
    try:
        return os.open(path, _READ_FLAGS)
    except OSError as error:
        text = _system_error(path, error)
    raise JournalError(text)


def scan(fd: int, path: Path) -> ScannedFile:
    """Checks every line and indexes it by its item. Bytes at the end that are no complete line may come from a crash.

    Raises:
        JournalError: a line before the last is damaged, or the file is no journal (the text has the offset of the
            line), or the system refuses.
    """
    try:
        return _scan(fd, path)
    except OSError as error:
        text = _system_error(path, error)
    raise JournalError(text)


def _scan(fd: int, path: Path) -> ScannedFile:
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise JournalError(f"{_name(path)} is no regular file")
    if not has_journal_head(_read(fd, 0, HEAD_SIZE)):  # a large file of another kind might be a single line
        raise JournalError(f"{_name(path)} is no journal, as its first line shows; name another file")
    index, offset = Index(min(os.fstat(fd).st_size // _TYPICAL_LINE_SIZE, _MAX_EXPECTED_LINES)), 0
    put = index.put
    os.lseek(fd, 0, os.SEEK_SET)
    with open(fd, "rb", buffering=_BLOCK_SIZE, closefd=False) as file:
        for line in file:
            trailer = read_trailer(line)
            if trailer is None:
                if file.read(1):
                    raise JournalError(f"{_name(path)}: the line at byte {offset} is damaged, or was not written here")
                if not may_be_torn(line):
                    raise JournalError(f"{_name(path)}: the last line, at byte {offset}, was not written here")
                return ScannedFile(index, offset, offset + len(line))
            key, request_hash, state = trailer
            length = len(line)
            put(key, request_hash, state, offset, length)
            offset += length
    return ScannedFile(index, offset, offset)


def read_at(fd: int, offset: int, length: int, path: Path) -> bytes:
    """Reads a line that is in the index, and checks it again.

    Raises:
        JournalError: the line was changed since.
    """
    try:
        line = _read(fd, offset, length)
    except OSError as error:
        text = _system_error(path, error)
    else:
        if read_trailer(line) is not None:
            return line
        text = f"{_name(path)}: the line at byte {offset} was changed while the journal was in use"
    raise JournalError(text)


def _read(fd: int, offset: int, length: int) -> bytes:
    # Not pread, which Windows lacks: there, results can be read.
    os.lseek(fd, offset, os.SEEK_SET)
    return os.read(fd, length)


# --- opening -----------------------------------------------------------------------------------------------------


def _open_or_create(path: Path) -> int:
    try:
        return os.open(path, _WRITE_FLAGS)
    except FileNotFoundError:
        fd = os.open(path, _WRITE_FLAGS | os.O_CREAT, 0o600)
    # A crash of the machine might keep the file and lose its name.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return fd


def _folder_warnings(folder: Path) -> list[str]:
    mode = folder.stat().st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        return [f"{_name(folder)}: every user may replace files in this folder, and so the journal"]
    return []


def _file_warnings(fd: int, path: Path) -> list[str]:
    """What another user could do with the file, which decides what is sent again and what the results are.

    Raises:
        JournalError: another user may have made it.
    """
    file, folder, trusted = os.fstat(fd), path.parent.stat(), (0, os.geteuid())
    if file.st_uid not in trusted and (folder.st_uid not in trusted or folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH)):
        raise JournalError(f"{_name(path)} belongs to another user; copy it to a folder of your own if it is yours")
    warnings: list[str] = []
    if file.st_mode & stat.S_IWOTH:
        warnings.append(f"{_name(path)}: every user may write this file, and so change results")
    if file.st_nlink > 1:
        warnings.append(f"{_name(path)}: the file has another name (a hard link), where others may read or change it")
    return warnings


def _lock(fd: int, path: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        text = f"{_name(path)} is in use by {_lock_owner(fd)}"
    else:
        _leave_to_parent_after_fork()
        _locked.add(fd)
        return
    raise JournalError(text)


_locked: set[int] = set()
"""Descriptors of files that this process has locked."""


@functools.cache
def _leave_to_parent_after_fork() -> None:
    """Makes forked children give up their copies of locked descriptors, which would keep the locks."""
    os.register_at_fork(after_in_child=_give_up_locks)


def _give_up_locks() -> None:
    # The numbers stay in use: the child's copy of the writer may still close them.
    null = os.open(os.devnull, os.O_RDWR)
    for fd in _locked:
        os.dup2(null, fd, inheritable=False)
    os.close(null)
    _locked.clear()


def close_locked(fd: int) -> None:
    """Closes a file that `open_to_write` opened, which ends its lock."""
    _locked.discard(fd)
    os.close(fd)


def _lock_owner(fd: int) -> str:
    """The process that has locked the file: this one, or the one in Linux' table of locks (kind, process, inode)."""
    if any(os.path.samestat(os.fstat(own), os.fstat(fd)) for own in _locked):
        return f"another batch of this process ({os.getpid()})"
    inode = str(os.fstat(fd).st_ino)
    try:
        table = Path("/proc/locks").read_text("ascii")
    except OSError:
        table = ""
    for row in table.splitlines():
        fields = row.split()
        if fields[1:2] == ["FLOCK"] and fields[5].rpartition(":")[2] == inode and int(fields[4]) > 0:
            return f"process {fields[4]}"
    return "another process"


# --- texts -------------------------------------------------------------------------------------------------------


def _name(path: Path) -> str:
    return printable(str(path))


def _system_error(path: Path, error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return f"{_name(path)} is a symbolic link, which a journal does not follow"
    return f"{_name(path)}: {error.strerror or type(error).__name__}"
