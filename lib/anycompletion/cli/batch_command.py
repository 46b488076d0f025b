"""`anycompletion batch`: lines of requests in, lines of answers out, progress on stderr."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Annotated, Any, TextIO

from attrs import evolve, frozen
from cyclopts import Parameter
from cyclopts.validators import Number

from .. import APIError, AsyncCompletion, ConfigurationError, Result
from ..batch import BatchRun, read_results
from ..testing import FakeProvider
from .batch_input import LineDefaults, LineParser, open_lines
from .batch_progress import FailureReasons, interrupted_summary, show_progress, summary
from .call_options import OTHER_FLAGS, BaseURL, Option, parse_options, split_options
from .common import FAILED, OK, STDIO, CommandLineError, OutputError, client_for, print_note, print_text

_OTHER_FLAGS = {**OTHER_FLAGS, "messages": "the lines of the input", "stream": "the command chat"}


@frozen
class BatchArguments:
    """The arguments of `anycompletion batch`."""

    requests: str
    lines: LineDefaults
    call_options: dict[str, Any]
    """Options of how all requests are sent."""
    base_url: str | None
    concurrency: int | None
    journal: Path | None
    output: str | None
    ordered: bool


def batch(
    requests: str = STDIO,
    /,
    *,
    model: Annotated[str | None, Parameter(("--model", "-m"))] = None,
    system: Annotated[str | None, Parameter(("--system", "-s"))] = None,
    option: Option = (),
    concurrency: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    journal: Path | None = None,
    output: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    ordered: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    timeout: float | None = None,
    base_url: BaseURL = None,
) -> int:
    """Sends a file of requests, many at a time, and writes the answers as lines of JSON.

    Each line of the input is one request, such as {"custom_id": "1", "messages": "What is salt?"}, or an input line of
    OpenAI's Batch API. The answers are output lines of OpenAI's Batch API, with the same custom_id, in the order in
    which they arrive. Without custom_id, use --ordered to know which answer is whose. Ctrl-C and crashes lose nothing
    that is in a journal: the same command goes on from there, skips what is answered, and repeats what failed for a
    reason that may pass.

    Parameters
    ----------
    requests
        A file of requests in UTF-8; - is stdin.
    model
        provider/model for all requests, in place of their own; default: their own, or ANYCOMPLETION_MODEL. With
        sim/openai a simulator on this machine answers, without a key.
    system
        A system message before the messages of each request.
    concurrency
        How many requests are in flight at most; by default as many as each provider takes.
    journal
        The file that keeps the answers, and from which an interrupted batch goes on.
    output
        The file to which the answers are written, when they arrive or, with a journal, at the end; what it has is
        replaced. - is stdout, which is the default without a journal.
    ordered
        Write the answers in the order of the requests.
    timeout
        Seconds each request may take; default: 600.
    """
    params, call_options = split_options(parse_options(option, _OTHER_FLAGS))
    if timeout is not None:
        call_options["timeout"] = timeout
    lines = LineDefaults(model, os.environ.get("ANYCOMPLETION_MODEL"), system, params)
    arguments = BatchArguments(requests, lines, call_options, base_url, concurrency, journal, output, ordered)
    _refuse_same_files(arguments)
    return asyncio.run(_run(arguments))


def _refuse_same_files(arguments: BatchArguments) -> None:
    """Raises where writing one of the files would destroy another."""
    named = {"the requests": arguments.requests, "--journal": arguments.journal, "--output": arguments.output}
    paths = {name: Path(path) for name, path in named.items() if path is not None and path != STDIO}
    pairs = [("the requests", "--journal"), ("the requests", "--output"), ("--journal", "--output")]
    for first, second in pairs:
        if first in paths and second in paths and _is_same(paths[first], paths[second]):
            raise CommandLineError(f"{second} {paths[second]}: is the file of {first}; name another file")


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return path.absolute() == other.absolute()


async def _run(arguments: BatchArguments) -> int:
    with ExitStack() as stack:
        lines = open_lines(arguments.requests, stack)
        write = None if arguments.journal is not None else _Output(arguments.output or STDIO, stack)
        async with client_for(arguments.lines.model or "", arguments.base_url) as (client, model):
            if model:
                await _check_options(model, arguments)
            parser = LineParser(evolve(arguments.lines, model=model or None))
            run = client.with_options(**arguments.call_options).batch(
                parser.items(lines),
                concurrency=arguments.concurrency,
                journal=arguments.journal,
                ordered=arguments.ordered,
                on_progress=stack.enter_context(show_progress(sys.stderr)),
            )
            reasons = FailureReasons()
            place = arguments.journal or arguments.output or STDIO
            if place != STDIO:  # where the errors are shown already
                stack.callback(reasons.print, place)
            try:
                await _consume(run, write, reasons)
                if write is not None:
                    write.start()
            except asyncio.CancelledError:
                print_note(interrupted_summary(run.progress, arguments.journal))
                raise
    if arguments.journal is not None and arguments.output is not None:
        _copy_journal(arguments.journal, arguments.output)
    print_note(summary(run.progress))
    return FAILED if run.progress.failed or run.progress.skipped_failed else OK


async def _check_options(model: str, arguments: BatchArguments) -> None:
    """Raises where no request could be sent with the command's options, which a journal would keep as final failures.

    A misspelt provider, too, is so one error, and not a million failed requests. Nothing is sent.
    """
    options: Any = {**arguments.lines.params, **arguments.call_options, "extra_body": None, "timeout": None}
    async with AsyncCompletion(providers=[FakeProvider(name="*")]) as client:
        with suppress(APIError):  # of what only the real provider can know
            await client.create(model, "Hello!", **options)


async def _consume(run: BatchRun, write: _Output | None, reasons: FailureReasons) -> None:
    async with run:
        async for result in run:
            if isinstance(result.error, ConfigurationError):
                raise result.error
            reasons.add(result)
            if write is not None:
                write(result)


# --- output ---


class _Output:
    """Writes answers as lines of JSON to stdout or a file, whose earlier content is kept until the first answer.

    With a journal, it gets the answers at the end: the journal has those of earlier runs, too.
    """

    def __init__(self, path: str, stack: ExitStack) -> None:
        self._path = path
        self._file: TextIO | None = None
        if path != STDIO:
            try:
                self._file = stack.enter_context(open(path, "a", encoding="utf-8"))  # noqa: SIM115 (the stack closes it)
            except OSError as error:
                raise self._error(error) from None
        self._started = False

    def start(self) -> None:
        """Removes what the file had before."""
        if not self._started and self._file is not None:
            with suppress(OSError):  # a pipe or a device
                self._file.truncate(0)
        self._started = True

    def __call__(self, result: Result) -> None:
        """Writes one result.

        Raises:
            OutputError: it cannot be written.
        """
        text = json.dumps(result.to_dict())
        if self._file is None:
            print_text(text, end="\n")
            return
        self.start()
        try:
            print(text, file=self._file, flush=True)
        except OSError as error:
            with suppress(OSError):
                self._file.close()  # which tries again to write what is buffered
            raise OutputError(str(self._error(error))) from None

    def _error(self, error: OSError) -> CommandLineError:
        return CommandLineError(f"--output {self._path}: {error.strerror or error}")


def _copy_journal(journal: Path, output: str) -> None:
    with ExitStack() as stack:
        write = _Output(output, stack)
        write.start()
        for result in read_results(journal):
            write(result)
