"""`anycompletion batch`: lines of requests in, lines of answers out, progress on stderr."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from collections.abc import Collection, Mapping
from contextlib import ExitStack, suppress
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, TextIO

from attrs import evolve, frozen
from cyclopts import Parameter
from cyclopts.validators import Number

from .. import AsyncCompletion, CompletionError, ConfigurationError, InvalidRequestError, JournalError, Result
from ..batch import BatchRun, UnwrittenError, read_results
from .batch_input import LineDefaults, LineParser, open_lines
from .batch_progress import FailureReasons, interrupted_summary, show_progress, summary
from .call_options import OTHER_FLAGS, BaseURL, Option, parse_options, split_options
from .common import FAILED, OK, STDIO, CommandLineError, OutputError, client_for, print_note, print_text
from .error_text import for_shell

_OF_STREAMS = ("stream", "stream_options")
_OTHER_FLAGS = {**OTHER_FLAGS, "messages": "the lines of the input", **dict.fromkeys(_OF_STREAMS, "the command chat")}


@frozen
class BatchArguments:
    """The arguments of `anycompletion batch`."""

    requests: str
    defaults: LineDefaults
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
        Write the answers in the order of the requests; not with --journal, which has them in the order of arrival.
    timeout
        Seconds each request may take; default: 600.
    """
    params, call_options = split_options(parse_options(option, _OTHER_FLAGS))
    if timeout is not None:
        call_options["timeout"] = timeout
    defaults = LineDefaults(model, os.environ.get("ANYCOMPLETION_MODEL"), system, params)
    arguments = BatchArguments(requests, defaults, call_options, base_url, concurrency, journal, output, ordered)
    if ordered and journal is not None:
        raise CommandLineError("--ordered: a journal has its answers in the order of arrival; use custom_id")
    _refuse_same_files(arguments)
    return asyncio.run(_run(arguments))


def _refuse_same_files(arguments: BatchArguments) -> None:
    """Raises where writing one of the files would destroy another, whether it is named or redirected."""
    output = arguments.output or (STDIO if arguments.journal is None else None)
    files = {"the requests": arguments.requests, "--journal": arguments.journal, "--output": output}
    used: dict[object, str] = {}
    for role, file in files.items():
        identity = None if file is None else _identity(file, sys.stdout if role == "--output" else sys.stdin)
        if identity in used:
            place = "stdout" if file == STDIO else f"{role} {file}"
            raise CommandLineError(f"{place}: is the file of {used[identity]}; name another file")
        if identity is not None:
            used[identity] = role


def _identity(file: str | Path, stream: TextIO | None) -> object:
    """What all names and redirections of a file have in common; None for a pipe, a device or a terminal."""
    try:
        status = os.stat(stream.fileno() if file == STDIO and stream is not None else file)
    except (OSError, ValueError):  # a new file, or a closed stream
        return None if file == STDIO else os.path.realpath(file)
    return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None


async def _run(arguments: BatchArguments) -> int:
    journal = arguments.journal
    with ExitStack() as stack:
        lines = open_lines(arguments.requests, stack)
        output = _Output(arguments.output or STDIO, stack) if arguments.output or journal is None else None
        async with client_for(arguments.defaults.model or "", arguments.base_url) as (whole_client, model):
            client = whole_client.with_options(**arguments.call_options)
            defaults = evolve(arguments.defaults, model=model or None)
            own = {*defaults.params, *arguments.call_options, model and "model", defaults.system and "messages[0]"}
            run = client.batch(
                LineParser(defaults, lambda request: _check_options(client, request, own)).items(lines),
                concurrency=arguments.concurrency,
                journal=journal,
                ordered=arguments.ordered,
                on_progress=stack.enter_context(show_progress(sys.stderr)),
            )
            reasons = FailureReasons()
            place = arguments.output or journal or STDIO
            if place != STDIO:  # where the errors are shown already
                stack.callback(reasons.print, place)
            try:
                invalid = await _consume(run, output if journal is None else None, reasons)
            except asyncio.CancelledError:
                print_note(interrupted_summary(run.progress, journal))
                raise
            except JournalError as error:
                if isinstance(error, UnwrittenError) or run.progress.done or run.progress.failed:
                    raise
                raise CommandLineError(for_shell(error)) from None  # nothing was sent
        missing = _not_in_journal(journal, invalid)
        if output is not None:
            output.empty_once()
            for result in chain(() if journal is None else read_results(journal), missing):
                output.write(result)
        elif missing:
            print_note(f"{len(missing):,} lines are no valid requests, so that the journal does not have them.")
    print_note(summary(run.progress))
    return FAILED if run.progress.failed or run.progress.skipped_failed else OK


def _check_options(client: AsyncCompletion, request: Mapping[str, Any], own: Collection[str | None]) -> bool:
    """Raises if the command's own options are invalid for a request; sends nothing.

    So this is one error, and not a failed result per line, which a journal would keep for good.

    Args:
        own: the arguments of `request` that are the command's.

    Returns:
        True where they are valid; False where the line has a mistake of its own, so that another line has to show it.
    """
    try:
        client.stream(**{name: value for name, value in request.items() if name not in ("custom_id", *_OF_STREAMS)})
    except (CompletionError, TypeError) as error:
        param = f"{error.param}." if isinstance(error, InvalidRequestError) else ""
        if any(name and param.startswith((f"{name}.", f"{name}[")) for name in own):
            raise
        return False
    return True


async def _consume(run: BatchRun, output: _Output | None, reasons: FailureReasons) -> list[Result]:
    """Writes the results as they come; returns those of invalid requests, which may be in no journal."""
    invalid: list[Result] = []
    async with run:
        async for result in run:
            if isinstance(result.error, ConfigurationError):
                raise result.error
            reasons.add(result)
            if output is not None:
                output.write(result)
            elif isinstance(result.error, InvalidRequestError):
                invalid.append(result)
    return invalid


def _not_in_journal(journal: Path | None, invalid: list[Result]) -> list[Result]:
    """Those results of invalid requests that a journal does not have, because they could not be read."""
    rows = () if journal is None or not invalid else read_results(journal)
    kept = {(row.custom_id, str(row.error)) for row in rows if row.error}
    return [result for result in invalid if (result.custom_id, str(result.error)) not in kept]


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
        self._is_emptied = False

    def empty_once(self) -> None:
        """Removes what the file had before, unless this was called already."""
        if not self._is_emptied and self._file is not None:
            with suppress(OSError):  # a pipe or a device
                self._file.truncate(0)
        self._is_emptied = True

    def write(self, result: Result) -> None:
        """Writes one result.

        Raises:
            OutputError: it cannot be written.
        """
        text = json.dumps(result.to_dict())
        if self._file is None:
            print_text(text, end="\n")
            return
        self.empty_once()
        try:
            print(text, file=self._file, flush=True)
        except OSError as error:
            with suppress(OSError):
                self._file.close()  # which tries again to write what is buffered
            raise OutputError(str(self._error(error))) from None

    def _error(self, error: OSError) -> CommandLineError:
        return CommandLineError(f"--output {self._path}: {error.strerror or error}")
