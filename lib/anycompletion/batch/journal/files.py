"""The journal's file: created, locked, scanned and cut; knows how lines end, not what they say."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path
from typing import NamedTuple

from ...errors import JournalError, printable
from ...logs import log
from .index import Index
from .lines import HEAD_SIZE, begins_right, may_be_torn, read_trailer

if sys.platform != "win32":
    import fcntl


_BLOCK = 1 << 20

_USUAL_LINE, _MOST_EXPECTED = 1000, 1 << 20
"""Bytes of a line, and lines, for which room is made before a file is read."""


def _flags(*names: str) -> int:
    """Flags of `os.open`, as far as the system has them."""
    return sum(getattr(os, name, 0) for name in names)


_WRITING = _flags("O_RDWR", "O_APPEND", "O_CLOEXEC", "O_NOFOLLOW")
_READING = _flags("O_RDONLY", "O_CLOEXEC", "O_BINARY", "O_NONBLOCK")
"""Without the last, opening a pipe would wait for its writer."""

sync_data = getattr(os, "fdatasync", os.fsync)  # macOS has only the latter


class Opened(NamedTuple):
    """A journal's file, locked for this process and ending in a whole line."""

    fd: int
    known: Index
    size: int
    warnings: list[str]


class Scan(NamedTuple):
    """What a file holds."""

    known: Index
    end: int
    """Where the last whole line ends."""
    size: int
    """Where the file ends; what stands between the two was cut short."""


def open_to_write(path: Path) -> Opened:
    """Opens the file, or creates it for its owner alone; locks it; cuts a line that a crash left unfinished.

    What the caller should know is in `warnings`, and logged.

    Raises:
        JournalError: another process has it, it is damaged in the middle or no journal, or the system refuses.
    """
    if sys.platform == "win32":
        raise JournalError("a journal needs the file locks of POSIX, which Windows does not have")
    try:
        warnings = _of_folder(path.parent)
        fd = _open_or_create(path)
        try:
            _lock(fd, path)
            known, end, size = scan(fd, path)
            if end < size:
                os.ftruncate(fd, end)
                os.fsync(fd)
                warnings.append(f"{_name(path)}: the last {size - end:,} bytes were no whole line and are cut off")
        except BaseException:  # whatever it was, Ctrl-C too, nobody else knows the descriptor
            os.close(fd)
            raise
    except OSError as fault:
        text = _refusal(path, fault)
    else:
        for warning in warnings:
            log.warning("%s", warning, extra={"event": "journal", "path": str(path)})
        return Opened(fd, known, end, warnings)
    raise JournalError(text)


def open_to_read(path: Path) -> int:
    """Opens the file, whoever writes to it.

    Raises:
        JournalError: there is none, or the system refuses.
    """
    try:
        return os.open(path, _READING)
    except OSError as fault:
        text = _refusal(path, fault)
    raise JournalError(text)


def scan(fd: int, path: Path) -> Scan:
    """Checks every line and notes which item it is of. Bytes at the end that are no whole line may be a crash's.

    Raises:
        JournalError: a line before the last is not whole, or the file is none of ours (the text has the line's first
            byte), or the system refuses.
    """
    try:
        return _scan(fd, path)
    except OSError as fault:
        text = _refusal(path, fault)
    raise JournalError(text)


def _scan(fd: int, path: Path) -> Scan:
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise JournalError(f"{_name(path)} is no regular file")
    if not begins_right(_read(fd, 0, HEAD_SIZE)):  # else a large file of another kind might be one line
        raise JournalError(f"{_name(path)} is no journal: see its first line")
    known, at = Index(min(os.fstat(fd).st_size // _USUAL_LINE, _MOST_EXPECTED)), 0
    put = known.put
    os.lseek(fd, 0, os.SEEK_SET)
    with open(fd, "rb", buffering=_BLOCK, closefd=False) as file:
        for line in file:
            trailer = read_trailer(line)
            if trailer is None:
                if file.read(1):
                    raise JournalError(f"{_name(path)}: the line at byte {at} is damaged, or was not written here")
                if not may_be_torn(line):
                    raise JournalError(f"{_name(path)}: the last line, at byte {at}, was not written here")
                return Scan(known, at, at + len(line))
            key, request_hash, state = trailer
            length = len(line)
            put(key, request_hash, state, at, length)
            at += length
    return Scan(known, at, at)


def read_at(fd: int, offset: int, length: int, path: Path) -> bytes:
    """A line that a scan or a write noted, checked again.

    Raises:
        JournalError: the line is not there any more.
    """
    try:
        line = _read(fd, offset, length)
    except OSError as fault:
        text = _refusal(path, fault)
    else:
        if read_trailer(line) is not None:
            return line
        text = f"{_name(path)}: the line at byte {offset} was changed while the journal was in use"
    raise JournalError(text)


def _read(fd: int, offset: int, length: int) -> bytes:
    # Not pread, which Windows lacks: results can be read there.
    os.lseek(fd, offset, os.SEEK_SET)
    return os.read(fd, length)


# --- opening -----------------------------------------------------------------------------------------------------


def _open_or_create(path: Path) -> int:
    try:
        return os.open(path, _WRITING)
    except FileNotFoundError:
        fd = os.open(path, _WRITING | os.O_CREAT, 0o600)
    # A crash of the machine might keep the file and lose its name.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return fd


def _of_folder(folder: Path) -> list[str]:
    mode = folder.stat().st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        return [f"{_name(folder)}: everybody may replace files in this folder, and so the journal"]
    return []


def _lock(fd: int, path: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        text = f"{_name(path)} is in use by {_holder(fd)}"
    else:
        return
    raise JournalError(text)


def _holder(fd: int) -> str:
    """Who has locked the file, as far as Linux says: a table of locks, each with kind, process and inode."""
    inode = str(os.fstat(fd).st_ino)
    try:
        table = Path("/proc/locks").read_text("ascii")
    except OSError:
        table = ""
    for row in table.splitlines():
        fields = row.split()
        if fields[1:2] == ["FLOCK"] and fields[5].rpartition(":")[2] == inode and int(fields[4]) > 0:
            pid = int(fields[4])
            return f"this process ({pid})" if pid == os.getpid() else f"process {pid}"
    return "another process"


# --- texts -------------------------------------------------------------------------------------------------------


def _name(path: Path) -> str:
    return printable(str(path))


def _refusal(path: Path, fault: OSError) -> str:
    if fault.errno == errno.ELOOP:
        return f"{_name(path)} is a symbolic link, which a journal does not follow"
    return f"{_name(path)}: {fault.strerror or type(fault).__name__}"
