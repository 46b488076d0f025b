"""`anycompletion batch`: lines of requests in, lines of answers out, progress on stderr."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, TextIO, TypeAlias, cast

from attrs import frozen
from cyclopts import Parameter
from cyclopts.validators import Number

from .. import ConfigurationError, InvalidRequestError, supported_params
from ..batch import BatchItem, BatchItems, BatchRun, read_results
from .batch_progress import interrupted_summary, show_progress, summary
from .common import FAILED, OK, SIMULATED, CommandLineError, client_for, print_note

STDIO = "-"

_MAX_LINE = 1 << 26
"""Bytes of a line that comes from a pipe."""


@frozen
class BatchArguments:
    """The arguments of `anycompletion batch`."""

    requests: str
    model: str | None
    """For all lines."""
    default_model: str | None
    """For lines without a model."""
    concurrency: int | None
    journal: Path | None
    output: str | None
    ordered: bool


def batch(
    requests: Annotated[str, Parameter(allow_leading_hyphen=True)] = "-",
    /,
    *,
    model: Annotated[str | None, Parameter(("--model", "-m"))] = None,
    concurrency: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    journal: Path | None = None,
    output: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    ordered: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Asks many questions, so many at a time, and writes a line of JSON for each answer.

    Each line of the input is one request: an input line of OpenAI's Batch API, or {"custom_id": …, "messages": …}.
    The answers are output lines of OpenAI's Batch API. With a journal, the same command goes on where it was
    interrupted: what is answered is skipped, what failed for a reason that may pass is asked again.

    Parameters
    ----------
    requests
        A file of requests; - is stdin.
    model
        provider/model for all requests, in place of their own; default: their own, or ANYCOMPLETION_MODEL. With
        sim/openai a simulator on this machine answers.
    concurrency
        How many requests are in flight at most; by default as many as each provider takes.
    journal
        The file that keeps the answers.
    output
        Where the answers are written; - is stdout, which is the default without a journal.
    ordered
        Write the answers in the order of the requests.
    """
    default_model = os.environ.get("ANYCOMPLETION_MODEL")
    return asyncio.run(_run(BatchArguments(requests, model, default_model, concurrency, journal, output, ordered)))


async def _run(arguments: BatchArguments) -> int:
    if arguments.model is not None and not arguments.model.startswith(SIMULATED):
        supported_params(arguments.model)  # a misspelt provider is one error, and not a million failed requests
    with ExitStack() as stack:
        lines = _open_lines(arguments, stack)
        write = _open_writer(arguments, stack)
        async with client_for(arguments.model or "") as (client, model):
            parser = _LineParser(model or None, arguments.default_model)
            run = client.batch(
                parser.items(lines),
                concurrency=arguments.concurrency,
                journal=arguments.journal,
                ordered=arguments.ordered,
                on_progress=stack.enter_context(show_progress(sys.stderr)),
            )
            try:
                await _consume(run, write)
            except asyncio.CancelledError:
                print_note(interrupted_summary(run.progress, arguments.journal))
                raise
    if arguments.journal is not None and arguments.output is not None:
        _copy_journal(arguments.journal, arguments.output)
    print_note(summary(run.progress))
    return FAILED if run.progress.failed or run.progress.skipped_failed else OK


async def _consume(run: BatchRun, write: Callable[[dict[str, Any]], None] | None) -> None:
    async with run:
        async for result in run:
            if isinstance(result.error, ConfigurationError):
                raise result.error
            if write is not None:
                write(result.to_dict())


# --- input ---


class _FileLines:
    """The lines of a file, which is read twice: once to count them."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._start = file.tell()
        self.count = sum(1 for line in file if line.strip())

    def __iter__(self) -> Iterator[str]:
        self._file.seek(self._start)
        return iter(self._file)


_Lines: TypeAlias = "_FileLines | Iterator[str] | AsyncIterator[str]"


def _open_lines(arguments: BatchArguments, stack: ExitStack) -> _Lines:
    try:
        if arguments.requests != STDIO:
            return _FileLines(stack.enter_context(open(arguments.requests, encoding="utf-8")))
        if sys.stdin is None or sys.stdin.isatty():  # pyright: ignore[reportUnnecessaryComparison] (there may be none)
            raise CommandLineError("Nothing to ask: name a file of requests, or pipe one in.")
        mode = os.fstat(sys.stdin.fileno()).st_mode
        if stat.S_ISREG(mode):
            return _FileLines(sys.stdin)
    except OSError as error:
        raise CommandLineError(f"{arguments.requests}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise CommandLineError(f"{arguments.requests}: is not text in UTF-8") from None
    # An event loop cannot wait for other files, such as /dev/null, nor for pipes on Windows.
    is_pipe = sys.platform != "win32" and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode))
    return _read_pipe() if is_pipe else iter(sys.stdin)


async def _read_pipe() -> AsyncIterator[str]:
    """The lines of stdin as they arrive; a blocking read would stop all requests in flight."""
    reader = asyncio.StreamReader(limit=_MAX_LINE)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        while line := await reader.readline():
            yield line.decode("utf-8", "replace")
    finally:
        transport.close()


class _LineParser:
    """Parses lines to batch items and puts the chosen model into them."""

    def __init__(self, model: str | None, default_model: str | None) -> None:
        self._model = model
        self._default_model = default_model
        self._number = 0

    def items(self, lines: _Lines) -> BatchItems:
        """The items of `lines`; of a file, with their number."""
        if isinstance(lines, _FileLines):
            return _FileItems(lines, self)
        return self._parse_async(lines) if isinstance(lines, AsyncIterator) else self.parse_all(lines)

    def parse_all(self, lines: Iterable[str]) -> Iterator[BatchItem]:
        """The items of lines that can be read without waiting."""
        return (item for line in lines if (item := self._parse(line)) is not None)

    async def _parse_async(self, lines: AsyncIterator[str]) -> AsyncIterator[BatchItem]:
        async for line in lines:
            if (item := self._parse(line)) is not None:
                yield item

    def _parse(self, line: str) -> BatchItem | None:
        """The item of a line; None for an empty line, an error (an item that fails) for one that is no JSON object."""
        self._number += 1
        if self._number == 1:
            line = line.removeprefix("\ufeff")  # the byte-order mark that some editors and spreadsheets write
        if not line.strip():
            return None
        try:
            parsed: object = json.loads(line)
        except (ValueError, RecursionError):
            parsed = None
        if not isinstance(parsed, dict):
            return InvalidRequestError(f"line {self._number} is no JSON object")
        item = cast("dict[str, Any]", parsed)
        body: Any = item.get("body", item)
        if isinstance(body, dict):
            arguments = cast("dict[str, Any]", body)
            model = self._model or arguments.get("model") or self._default_model
            if model is not None:
                arguments["model"] = model
            if isinstance(model, str) and model.startswith(SIMULATED):
                return InvalidRequestError(f"line {self._number}: the simulator is asked by --model {model}")
        return item


class _FileItems:
    """The items of a file, whose number is known."""

    def __init__(self, lines: _FileLines, parser: _LineParser) -> None:
        self._lines = lines
        self._parser = parser

    def __len__(self) -> int:
        return self._lines.count

    def __iter__(self) -> Iterator[BatchItem]:
        return self._parser.parse_all(self._lines)


# --- output ---


def _open_writer(arguments: BatchArguments, stack: ExitStack) -> Callable[[dict[str, Any]], None] | None:
    """Writes an answer as it arrives. None with a journal: it has the answers of earlier runs too, and is copied."""
    if arguments.journal is not None:
        return None
    file = sys.stdout if arguments.output in (None, STDIO) else stack.enter_context(_open_output(arguments.output))
    return lambda line: print(json.dumps(line), file=file, flush=True)


def _open_output(path: str) -> TextIO:
    try:
        return open(path, "w", encoding="utf-8")
    except OSError as error:
        raise CommandLineError(f"--output {path}: {error.strerror or error}") from None


def _copy_journal(journal: Path, output: str) -> None:
    with ExitStack() as stack:
        file = sys.stdout if output == STDIO else stack.enter_context(_open_output(output))
        for result in read_results(journal):
            print(json.dumps(result.to_dict()), file=file)
