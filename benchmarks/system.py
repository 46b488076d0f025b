"""The machine: cores, limits of open files, event loops, costs of a process, and a description for the results."""

from __future__ import annotations

import asyncio
import gc
import http.client
import importlib
import json
import os
import platform
import sys
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

_FILES = 8192


def cores() -> tuple[int | None, int | None]:
    """The client's core and the server's; both None with a single core or where processes cannot be pinned."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    usable = sorted(os.sched_getaffinity(0))
    return (usable[-1], usable[0]) if len(usable) > 1 else (None, None)


def pin(core: int | None) -> None:
    """Keeps this process on one core."""
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


@contextmanager
def on_core(core: int | None) -> Generator[None, None, None]:
    """Pins the processes started in the block to a core."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    pin(core)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def allow_many_files() -> None:
    """Raises the soft limit of open files, up to the hard limit."""
    try:
        resource: Any = importlib.import_module("resource")
    except ImportError:  # no such limit on Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def runner(loop: str) -> asyncio.Runner:
    """A runner on asyncio's own loop or on uvloop's."""
    if loop == "uvloop":
        return asyncio.Runner(loop_factory=importlib.import_module("uvloop").new_event_loop)
    return asyncio.Runner()


def run(main: Coroutine[Any, Any, T], loop: str) -> T:
    """Runs `main` to its end."""
    with runner(loop) as running:
        return running.run(main)


def cpu_seconds() -> float:
    """User and system time of this process, all its threads included."""
    try:
        resource: Any = importlib.import_module("resource")
    except ImportError:
        spent = os.times()
        return spent.user + spent.system
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return float(usage.ru_utime + usage.ru_stime)


def resident_bytes() -> int:
    """Resident memory of this process after a full garbage collection."""
    gc.collect()
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except OSError as error:
        raise RuntimeError("this question reads /proc/self/statm, which only Linux has") from error
    return pages * os.sysconf("SC_PAGE_SIZE")


def fetch(root: str, path: str) -> dict[str, Any]:
    """Response of the loopback server to a GET request; blocks."""
    connection = http.client.HTTPConnection(root.removeprefix("http://"), timeout=30)
    try:
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())  # type: ignore[no-any-return]
    finally:
        connection.close()


def machine() -> dict[str, Any]:
    """Description of the machine for the results."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "pinned": cores()[0] is not None,
        "load": [round(value, 2) for value in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "driver_python": platform.python_version(),
    }


def _cpu_model() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return platform.processor() or sys.platform
    names = (line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
