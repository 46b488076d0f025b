"""Progress and summary of `anycompletion batch` on stderr: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TextIO

from .. import CompletionError, Result
from ..batch import BatchProgress
from .common import print_note
from .error_text import for_shell

_INTERVAL = 5.0
"""Seconds between two lines of progress."""

ShowProgress = Callable[[BatchProgress], None]


def show_progress(stream: TextIO | None) -> AbstractContextManager[ShowProgress]:
    """Context manager whose value shows the progress of a batch."""
    return _ProgressBar(stream) if stream is not None and stream.isatty() else _ProgressLines()


def summary(progress: BatchProgress) -> str:
    """The counts, tokens and cost of a batch as a line of text."""
    parts = [f"{progress.done:,} answered", f"{progress.failed:,} failed"]
    if progress.skipped:
        failed = f", {progress.skipped_failed:,} of them failed for good" if progress.skipped_failed else ""
        parts.append(f"{progress.skipped:,} finished before (the journal has them{failed})")
    if progress.prompt_tokens or progress.completion_tokens:
        parts.append(f"{progress.prompt_tokens:,} tokens in, {progress.completion_tokens:,} out")
    if progress.cost is not None:
        parts.append(f"cost {progress.cost:,.4f}")
    return f"{'; '.join(parts)}; {progress.elapsed:,.1f} s"


def interrupted_summary(progress: BatchProgress, journal: Path | None) -> str:
    """The summary of an interrupted batch, with what was kept."""
    if journal is None:
        return f"Interrupted: {summary(progress)}. With --journal, the same command would go on from here."
    return f"Interrupted: {summary(progress)}. The answers are in {journal}; the same command goes on from there."


class FailureReasons:
    """The first failed items of a batch with their errors, one for each kind of error."""

    def __init__(self) -> None:
        self._first: dict[tuple[type[CompletionError], str], str] = {}
        """Class and message of an error → the item that had it first, with the text of the error."""
        self._count = 0

    def add(self, result: Result) -> None:
        """Counts the error of a result, if it has one."""
        if result.error is None:
            return
        self._count += 1
        kind = type(result.error), result.error.message
        if kind not in self._first and len(self._first) < _MAX_REASONS:
            item = "" if result.custom_id is None else f"{result.custom_id}: "
            self._first[kind] = f"{item}{for_shell(result.error)}"

    def print(self, place: object) -> None:
        """Prints them; `place` is the file that has all of them."""
        for line in self._first.values():
            print_note(line)
        others = self._count - len(self._first)
        if others:
            print_note(f"{others:,} more failed; {place} has their errors")


_MAX_REASONS = 3
"""Kinds of errors that are shown."""


def _paused(progress: BatchProgress) -> str:
    """Clause about the providers whose items wait; "" where none do."""
    return "".join(f", {name} paused for {seconds:,.0f} s" for name, seconds in progress.paused.items())


class _ProgressLines:
    """Progress as a line every few seconds."""

    def __init__(self) -> None:
        self._next = time.monotonic() + _INTERVAL

    def __enter__(self) -> ShowProgress:
        return self._show

    def __exit__(self, *exc_info: object) -> None:
        pass

    def _show(self, progress: BatchProgress) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _INTERVAL
            of = "" if progress.total is None else f" of {progress.total:,}"
            left = "" if progress.eta is None else f", {progress.eta:,.0f} s left"
            counts = f"{progress.finished:,}{of}, {progress.failed:,} failed, {progress.in_flight} in flight"
            print_note(f"{counts}, {progress.rate:,.1f}/s{left}{_paused(progress)}")


class _ProgressBar:
    """Progress as a bar on a terminal."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console  # noqa: PLC0415 (slow to import, and only this needs it)
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415 (as above)

        self._progress = Progress(
            BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), console=Console(file=stream)
        )
        self._task = self._progress.add_task("", total=None)

    def __enter__(self) -> ShowProgress:
        self._progress.start()
        return self._show

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def _show(self, progress: BatchProgress) -> None:
        parts = [f"{progress.failed:,} failed", f"{progress.in_flight} in flight", f"{progress.rate:,.1f}/s"]
        parts.append(f"{progress.prompt_tokens + progress.completion_tokens:,} tokens")
        if progress.eta is not None:
            parts.append(f"{progress.eta:,.0f} s left")
        description = ", ".join(parts) + _paused(progress)
        self._progress.update(self._task, completed=progress.finished, total=progress.total, description=description)
