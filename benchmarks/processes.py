"""Processes of a benchmark: the loopback server, and one worker per contender."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from benchmarks import peers
from benchmarks.contenders import BARE, Contender
from benchmarks.question import Figures
from benchmarks.system import fetch

Json = dict[str, Any]


class BenchmarkError(Exception):
    """A measurement failed."""


def python_for(contender: Contender) -> Path:
    """The interpreter of a contender's environment; this process's own where the baseline's is not installed."""
    python = peers.python_of(contender.environment)
    if python is not None:
        return python
    if contender.environment == BARE.environment:
        return Path(sys.executable)
    raise BenchmarkError(
        f"{contender.environment} is not installed: python -m benchmarks.peers install --only {contender.environment}"
    )


def environment(contender: Contender | None, library: Path) -> dict[str, str]:
    """Environment variables of a child process: no proxies, no keys, the working tree first on the path."""
    kept = {
        name: os.environ[name] for name in ("PATH", "HOME", "LANG", "SYSTEMROOT", "TEMP", "TMP") if name in os.environ
    }
    extra = peers.Environment(()) if contender is None else peers.ENVIRONMENTS[contender.environment]
    path = [str(peers.ROOT), str(library)]
    return {**kept, **extra.variables, "PYTHONPATH": os.pathsep.join(path)}


class Worker:
    """Process that runs the jobs of one contender."""

    def __init__(self, contender: Contender, root: str, core: int | None, library: Path) -> None:
        self.contender = contender
        self._errors: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 (lives as long as the process)
        where = library if contender.library is None else Path(contender.library)
        self._process = subprocess.Popen(
            [
                *(str(python_for(contender)), "-P", "-m", "benchmarks.worker", contender.adapter, root),
                *("--options", json.dumps(dict(contender.options)), "--loop", contender.loop),
                *("--versions", json.dumps(contender.distributions)),
                *(() if core is None else ("--core", str(core))),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment(contender, where),
        )
        try:
            self.hello = self._read_reply(120)
        except BaseException:  # no caller can stop the process yet
            self.stop()
            raise

    def ask(self, job: Mapping[str, Any]) -> Figures:
        """Runs a job and returns its figures."""
        assert self._process.stdin is not None
        if self._process.poll() is not None:
            raise BenchmarkError(f"{self.contender.name} ended in an earlier case")
        self._process.stdin.write(json.dumps(dict(job)) + "\n")
        self._process.stdin.flush()
        reply = self._read_reply(job["limit"] + 30)
        if "error" in reply:
            raise BenchmarkError(f"{self.contender.name} failed at {dict(job)}:\n{reply['error']}")
        figures: Figures = reply["figures"]
        return figures

    def _read_reply(self, limit: float) -> Json:
        assert self._process.stdout is not None
        if sys.platform != "win32":
            ready, _, _ = select.select([self._process.stdout], [], [], limit)
            if not ready:
                self.stop()
                raise BenchmarkError(f"{self.contender.name} sent no reply for {limit:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise BenchmarkError(f"{self.contender.name} ended:\n{self._errors.read()[-4000:]}")
        reply: Json = json.loads(line)
        return reply

    def stop(self) -> None:
        """Stops the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            if pipe is not None:
                pipe.close()


class Server:
    """Process of the loopback server."""

    def __init__(self, core: int | None) -> None:
        python = peers.python_of("bare")
        loop = "asyncio" if python is None or sys.platform == "win32" else "uvloop"
        self._process = subprocess.Popen(
            [
                *(str(python or sys.executable), "-P", "-m", "benchmarks.server", "--loop", loop),
                *(() if core is None else ("--core", str(core))),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(None, peers.LIBRARY),
        )
        assert self._process.stdout is not None
        self.root = f"http://127.0.0.1:{int(self._process.stdout.readline())}"

    def cpu(self) -> float:
        """CPU seconds that the server has used so far."""
        return float(fetch(self.root, "/cost")["cpu"])

    def stop(self) -> None:
        """Stops the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
