"""`anycompletion batch`: lines of requests in, lines of answers out, and how far it is on stderr."""

import asyncio
import json
import os
import stat
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO, cast

from attrs import frozen

from .. import (
    ConfigurationError,
    InvalidRequestError,
    supported_params,
)
from ..batch import BatchItem, BatchItems, BatchProgress, BatchRun, read_results
from .common import FAILED, OK, SIMULATED, CommandLineError, client_for, say

STDIO = "-"

_LONGEST_LINE = 1 << 26
"""Bytes of a line that comes from a pipe."""

_SILENCE = 5.0
"""Seconds between two lines of progress, where it is not drawn."""

Show = Callable[[BatchProgress], None]


@frozen
class Job:
    """What `anycompletion batch` was asked."""

    requests: str
    model: str | None
    """For all lines."""
    default_model: str | None
    """For those that name none."""
    concurrency: int | None
    journal: Path | None
    output: str | None
    ordered: bool


async def run(job: Job) -> int:
    """Does it; returns the exit code."""
    if job.model is not None and not job.model.startswith(SIMULATED):
        supported_params(job.model)  # an unknown provider is a slip of the pen, and not a million failed requests
    with ExitStack() as stack:
        items = _items(job, stack)
        write = _writer(job, stack)
        async with client_for(job.model or "") as (client, model):
            adapter = _Adapter(model or None, job.default_model)
            run = client.batch(
                adapter.adapted(items),
                concurrency=job.concurrency,
                journal=job.journal,
                ordered=job.ordered,
                on_progress=stack.enter_context(_progress(sys.stderr)),
            )
            try:
                await _consume(run, write)
            except asyncio.CancelledError:
                say(_interrupted(run.progress, job.journal))
                raise
    if job.journal is not None and job.output is not None:
        _copy(job.journal, job.output)
    say(_summary(run.progress))
    return FAILED if run.progress.failed or run.progress.skipped_failed else OK


async def _consume(run: BatchRun, write: Callable[[dict[str, Any]], None] | None) -> None:
    async with run:
        async for result in run:
            if isinstance(result.error, ConfigurationError):
                raise result.error
            if write is not None:
                write(result.to_dict())


# --- lines in ---


class _Lines:
    """The lines of a file that may be read twice."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._start = file.tell()
        self.count = sum(1 for line in file if line.strip())

    def __iter__(self) -> Iterator[str]:
        self._file.seek(self._start)
        return iter(self._file)


def _items(job: Job, stack: ExitStack) -> "_Lines | Iterator[str] | AsyncIterator[str]":
    try:
        if job.requests != STDIO:
            return _Lines(stack.enter_context(open(job.requests, encoding="utf-8")))
        if sys.stdin is None or sys.stdin.isatty():  # pyright: ignore[reportUnnecessaryComparison] (there may be none)
            raise CommandLineError("Nothing to ask: name a file of requests, or pipe one in.")
        mode = os.fstat(sys.stdin.fileno()).st_mode
        if stat.S_ISREG(mode):
            return _Lines(sys.stdin)
    except OSError as fault:
        raise CommandLineError(f"{job.requests}: {fault.strerror or fault}") from None
    except UnicodeDecodeError:
        raise CommandLineError(f"{job.requests}: is not text in UTF-8") from None
    # Of other things nobody can wait for more: /dev/null, or a pipe on Windows.
    return _piped() if sys.platform != "win32" and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)) else iter(sys.stdin)


async def _piped() -> AsyncIterator[str]:
    """The lines of stdin as they come: reading them otherwise would stop everything that is under way."""
    reader = asyncio.StreamReader(limit=_LONGEST_LINE)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        while line := await reader.readline():
            yield line.decode("utf-8", "replace")
    finally:
        transport.close()


class _Adapter:
    """Lines → what a batch takes, with the model that was asked for."""

    def __init__(self, model: str | None, default: str | None) -> None:
        self._model = model
        self._default = default
        self._number = 0

    def adapted(self, lines: "_Lines | Iterator[str] | AsyncIterator[str]") -> BatchItems:
        """The items of these lines."""
        if isinstance(lines, _Lines):
            return _Counted(lines, self)
        return self._later(lines) if isinstance(lines, AsyncIterator) else self.now(lines)

    def now(self, lines: Iterable[str]) -> Iterator[BatchItem]:
        """The items of lines that are there."""
        return (item for line in lines if (item := self.item(line)) is not None)

    async def _later(self, lines: AsyncIterator[str]) -> AsyncIterator[BatchItem]:
        async for line in lines:
            if (item := self.item(line)) is not None:
                yield item

    def item(self, line: str) -> BatchItem | None:
        """A line's item; None of an empty one. One that is no object of JSON is an item that fails."""
        self._number += 1
        if not line.strip():
            return None
        try:
            read: object = json.loads(line)
        except (ValueError, RecursionError):
            read = None
        if not isinstance(read, dict):
            return InvalidRequestError(f"line {self._number} is no JSON object")
        item = cast("dict[str, Any]", read)
        body: Any = item.get("body", item)
        if isinstance(body, dict):
            told = cast("dict[str, Any]", body)
            model = self._model or told.get("model") or self._default
            if model is not None:
                told["model"] = model
            if isinstance(told.get("model"), str) and told["model"].startswith(SIMULATED):
                return InvalidRequestError(f"line {self._number}: the simulator is asked by --model {told['model']}")
        return item


class _Counted:
    """The items of a file, whose number is known."""

    def __init__(self, lines: _Lines, adapter: _Adapter) -> None:
        self._lines = lines
        self._adapter = adapter

    def __len__(self) -> int:
        return self._lines.count

    def __iter__(self) -> Iterator[BatchItem]:
        return self._adapter.now(self._lines)


# --- lines out ---


def _writer(job: Job, stack: ExitStack) -> Callable[[dict[str, Any]], None] | None:
    """What writes an answer as it comes. A journal holds those of earlier runs too, and is copied at the end."""
    if job.journal is not None:
        return None
    file = sys.stdout if job.output in (None, STDIO) else stack.enter_context(_opened(job.output))
    return lambda line: print(json.dumps(line), file=file, flush=True)


def _opened(path: str) -> TextIO:
    try:
        return open(path, "w", encoding="utf-8")
    except OSError as fault:
        raise CommandLineError(f"--output {path}: {fault.strerror or fault}") from None


def _copy(journal: Path, output: str) -> None:
    with ExitStack() as stack:
        file = sys.stdout if output == STDIO else stack.enter_context(_opened(output))
        for result in read_results(journal):
            print(json.dumps(result.to_dict()), file=file)


# --- how far it is ---


def _summary(now: BatchProgress) -> str:
    parts = [f"{now.done:,} done", f"{now.failed:,} failed"]
    if now.skipped:
        kept = f", {now.skipped_failed:,} of them failed for good" if now.skipped_failed else ""
        parts.append(f"{now.skipped:,} skipped because the journal has them{kept}")
    if now.prompt_tokens or now.completion_tokens:
        parts.append(f"{now.prompt_tokens:,} + {now.completion_tokens:,} tokens")
    if now.cost is not None:
        parts.append(f"cost {now.cost:,.4f}")
    return f"{'; '.join(parts)}; {now.elapsed:,.1f} s"


def _interrupted(now: BatchProgress, journal: Path | None) -> str:
    if journal is None:
        return f"Interrupted: {_summary(now)}. Without --journal, nothing is kept that was not written."
    return f"Interrupted: {_summary(now)}. What is done is in {journal}; the same command goes on from there."


def _progress(stream: TextIO) -> AbstractContextManager[Show]:
    return _Bar(stream) if stream.isatty() else _Said()


class _Said:
    """Progress as lines, now and then."""

    def __init__(self) -> None:
        self._next = time.monotonic() + _SILENCE

    def __enter__(self) -> Show:
        return self._show

    def __exit__(self, *exc_info: object) -> None:
        pass

    def _show(self, now: BatchProgress) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _SILENCE
            of = "" if now.total is None else f" of {now.total:,}"
            left = "" if now.eta is None else f", {now.eta:,.0f} s left"
            say(f"{now.finished:,}{of}, {now.failed:,} failed, {now.in_flight} in flight, {now.rate:,.1f}/s{left}")


class _Bar:
    """Progress as a bar on a terminal."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console  # noqa: PLC0415 (comes with the extra, which may be missing)
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415 (likewise)

        self._progress = Progress(
            BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), console=Console(file=stream)
        )
        self._task = self._progress.add_task("", total=None)

    def __enter__(self) -> Show:
        self._progress.start()
        return self._show

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def _show(self, now: BatchProgress) -> None:
        parts = [f"{now.failed:,} failed", f"{now.in_flight} in flight", f"{now.rate:,.1f}/s"]
        parts.append(f"{now.prompt_tokens + now.completion_tokens:,} tokens")
        if now.eta is not None:
            parts.append(f"{now.eta:,.0f} s left")
        self._progress.update(self._task, completed=now.finished, total=now.total, description=", ".join(parts))
