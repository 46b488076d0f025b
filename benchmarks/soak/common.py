"""Common parts of the soak tests: figures with bounds, resources of a process, and servers in other processes."""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import importlib
import json
import os
import platform
import resource
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from anycompletion import AsyncCompletion
from anycompletion.client.client import client_state
from anycompletion.transport import Pool

MIB = 1024 * 1024

# --- figures ---------------------------------------------------------------------------------------------------------


class Figure(NamedTuple):
    """A measured value and its bound."""

    label: str
    seen: float
    at_most: float | None = None
    at_least: float | None = None
    unit: str = ""
    machine: bool = False
    """Whether it is time or memory, which depend on the load of the machine: the short form does not judge them."""

    @property
    def holds(self) -> bool:
        """Whether it is within its bound; a figure without one always is."""
        return (self.at_most is None or self.seen <= self.at_most) and (
            self.at_least is None or self.seen >= self.at_least
        )

    def bound(self) -> str:
        """The bound, for the table."""
        if self.at_most is not None:
            return f"≤ {_formatted(self.at_most)} {self.unit}".rstrip()
        return "" if self.at_least is None else f"≥ {_formatted(self.at_least)} {self.unit}".rstrip()

    def verdict(self, *, short: bool) -> str:
        """ok, BROKEN, or that it is not judged."""
        if self.at_most is None and self.at_least is None:
            return ""
        if self.holds:
            return "ok"
        return "above (not judged in the short form)" if short and self.machine else "BROKEN"


def _formatted(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:,.4g}"


def conclude(title: str, figures: Iterable[Figure], *, short: bool) -> int:
    """Prints the figures with their bounds; returns 1 if one is broken."""
    figures = list(figures)
    rows = [(f.label, f"{_formatted(f.seen)} {f.unit}".rstrip(), f.bound(), f.verdict(short=short)) for f in figures]
    wide = [max(len(row[at]) for row in rows) for at in range(3)]
    print(f"{title} ({'short' if short else 'long'} form)")
    print(f"{machine()}\n")
    for label, seen, bound, verdict in rows:
        print(f"  {label:{wide[0]}}  {seen:>{wide[1]}}  {bound:{wide[2]}}  {verdict}".rstrip())
    broken = sum(f.verdict(short=short) == "BROKEN" for f in figures)
    print(f"\n{broken} of {sum(bool(f.bound()) for f in figures)} bounds are broken" if broken else "\nall bounds hold")
    return 1 if broken else 0


def machine() -> str:
    """Python, the number of cores, and the load of the machine."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"Python {platform.python_version()}, {os.cpu_count()} cores, load {load}"


def command(
    name: str,
    description: str | None,
    run: Callable[[argparse.Namespace], int],
    arguments: Sequence[str] | None,
    more: Mapping[str, Mapping[str, Any]] | None = None,
) -> int:
    """Parses the arguments that all commands have, and `more`, and runs."""
    first_line = (description or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.soak.{name}", description=first_line)
    parser.add_argument("--short", action="store_true", help="few repetitions; time and memory are shown, not judged")
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="of whatever is random; default: %(default)s")
    for option, settings in (more or {}).items():
        parser.add_argument(option, **settings)
    return run(parser.parse_args(arguments))


def run_on(loop: str, main: Coroutine[Any, Any, list[Figure]]) -> list[Figure]:
    """Runs `main` on asyncio's own loop or on uvloop's."""
    factory: Any = importlib.import_module("uvloop").new_event_loop if loop == "uvloop" else None
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


# --- resources of a process ------------------------------------------------------------------------------------------


def descriptors() -> int:
    """Open file descriptors of this process, without the one that lists them."""
    return len(os.listdir("/proc/self/fd")) - 1


def resident_bytes() -> int:
    """Resident memory of this process after a full garbage collection."""
    gc.collect()
    return _resident()


def trimmed_resident_bytes() -> int:
    """The same, after the C library has returned free memory to the system, where it can (malloc_trim)."""
    gc.collect()
    trim: Any = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    return _resident()


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def reset_peak() -> int:
    """Forgets the highest resident memory so far; returns what it is now."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", "ascii")
    return peak_bytes()


def peak_bytes() -> int:
    """The highest resident memory since `reset_peak`."""
    lines = Path("/proc/self/status").read_text("ascii", "replace").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


MANY_FILES = 65_536
"""Enough for every figure."""


def allow_files(wanted: int = MANY_FILES) -> int:
    """Sets the limit of open files to `wanted`, or as near as the system lets; returns what it is now."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed


class Delay(NamedTuple):
    """How long a task that was ready to run had to wait, in milliseconds."""

    wall: float = 0.0
    cpu: float = 0.0
    """How long this process ran meanwhile: the rest is the machine's, that ran others."""
    collecting: float = 0.0
    """How long Python collected garbage meanwhile: it looks through everything that is open."""


class Lag:
    """The longest delay of the event loop while the block runs."""

    _EVERY = 0.005

    def __init__(self) -> None:
        self.worst = Delay()
        self._collected = self._since = 0.0

    async def __aenter__(self) -> Self:
        gc.callbacks.append(self._collect)
        self._task = asyncio.ensure_future(self._tick())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        gc.callbacks.remove(self._collect)

    def _collect(self, phase: str, _: dict[str, int]) -> None:
        now = time.perf_counter()
        if phase == "stop":
            self._collected += now - self._since
        self._since = now

    def restart(self) -> Delay:
        """The worst so far, which is forgotten."""
        worst, self.worst = self.worst, Delay()
        return worst

    async def _tick(self) -> None:
        due, cpu = time.perf_counter() + self._EVERY, time.process_time()
        try:
            while True:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                due, cpu = self._see(due, cpu)
        finally:
            # What blocks while the block is being left counts too.
            self._see(due, cpu)

    def _see(self, due: float, cpu: float) -> tuple[float, float]:
        now, used = time.perf_counter(), time.process_time()
        self.worst = max(self.worst, Delay((now - due) * 1000, (used - cpu) * 1000, self._collected * 1000))
        self._collected = 0.0
        return now + self._EVERY, used


# --- the client ------------------------------------------------------------------------------------------------------


def client_to(url: str, **options: Any) -> AsyncCompletion:
    """A client that takes `url` for OpenAI's."""
    return AsyncCompletion(base_urls={"openai": url}, api_keys={"openai": "key"}, **options)


def pools(client: AsyncCompletion) -> list[Pool]:
    """The client's pools."""
    return [state.transport for state in client_state(client).provider_states.values()]


def in_use(client: AsyncCompletion) -> dict[str, int]:
    """Resources of the pools in use: responses, slots of the connection limit, waiters for these, connections."""
    found = {"responses": 0, "slots": 0, "waiters": 0, "connections": 0}
    for pool in pools(client):
        slots: Any = pool.connection_limit  # pyright: ignore[reportPrivateUsage]
        connector: Any = pool._connector  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        found["responses"] += pool.in_flight
        found["slots"] += slots.used
        found["waiters"] += slots.queued
        found["connections"] += 0 if connector is None else len(connector._acquired)  # noqa: SLF001
    return found


# --- a server beside it ----------------------------------------------------------------------------------------------


def python(module: str, *arguments: object) -> list[str]:
    """The command that runs a module as this process was run."""
    warn = [f"-W{option}" for option in sys.warnoptions]
    return [sys.executable, *warn, "-m", f"benchmarks.soak.{module}", *map(str, arguments)]


class Server:
    """Server in another process that runs as long as the block: usually ``Server("server", figure, …)``."""

    def __init__(self, module: str, *arguments: object) -> None:
        self._command = python(module, *arguments)
        self.url = ""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        port = self._process.stdout.readline()
        if not port:
            raise RuntimeError(f"the server did not start: {' '.join(self._command)}")
        self.url = f"http://127.0.0.1:{port.strip()}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # It stops when its input ends.
        self._process.communicate(timeout=30)

    def ask(self, what: str) -> Any:
        """Sends the server a control request and returns its reply; blocks."""
        with urllib.request.urlopen(f"{self.url}/control/{what}", timeout=60) as answer:  # noqa: S310 (it is our own)
            return json.load(answer)
