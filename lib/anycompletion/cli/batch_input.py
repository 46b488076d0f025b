"""The input of `anycompletion batch`: lines of a file, a pipe or stdin as batch items; answers nothing itself."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, BinaryIO, TypeAlias, cast

from attrs import frozen

from .. import InvalidRequestError
from ..batch import BatchItem, BatchItems
from .common import SIMULATED, STDIO, CommandLineError, decode_text

_MAX_LINE = 1 << 26
"""Bytes of a line that comes from a pipe."""


class _FileLines:
    """The lines of a file, which is read twice: once to count and check them."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._start = file.tell()
        self.count = 0
        for number, line in enumerate(file, 1):
            self.count += bool(decode_text(line, f"{name}: line {number}").strip())

    def __iter__(self) -> Iterator[bytes]:
        self._file.seek(self._start)
        return iter(self._file)


_Lines: TypeAlias = "_FileLines | Iterator[bytes] | AsyncIterator[bytes]"


def open_lines(requests: str, stack: ExitStack) -> _Lines:
    """The lines of a file, or of stdin for "-"; `stack` closes the file.

    Raises:
        CommandLineError: it cannot be read, or is not text in UTF-8.
    """
    try:
        if requests != STDIO:
            return _FileLines(stack.enter_context(open(requests, "rb")), requests)
        if sys.stdin is None or sys.stdin.isatty():  # pyright: ignore[reportUnnecessaryComparison] (there may be none)
            raise CommandLineError(
                "Nothing to ask: name a file of requests, as in anycompletion batch questions.jsonl, or pipe one in."
            )
        mode = os.fstat(sys.stdin.fileno()).st_mode
        if stat.S_ISREG(mode):
            return _FileLines(sys.stdin.buffer, "stdin")
    except OSError as error:
        raise CommandLineError(f"{requests}: {error.strerror or error}") from None
    # An event loop cannot wait for other files, such as /dev/null, nor for pipes on Windows.
    is_pipe = sys.platform != "win32" and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode))
    return _read_pipe() if is_pipe else iter(sys.stdin.buffer)


async def _read_pipe() -> AsyncIterator[bytes]:
    """The lines of stdin as they arrive; a blocking read would stop all requests in flight."""
    reader = asyncio.StreamReader(limit=_MAX_LINE)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        while line := await reader.readline():
            yield line
    except ValueError:
        raise CommandLineError(f"stdin: a line has more than {_MAX_LINE:,} bytes; name a file instead") from None
    finally:
        transport.close()


@frozen
class LineDefaults:
    """What the command's flags put into the requests."""

    model: str | None
    """For all requests."""
    default_model: str | None
    """For requests without a model."""
    system: str | None
    """A system message before those of each request."""
    params: Mapping[str, Any]
    """Parameters for all requests, in place of their own."""


class LineParser:
    """Parses lines to batch items and puts the flags' values into them."""

    def __init__(self, defaults: LineDefaults, check: Callable[[Mapping[str, Any]], bool]) -> None:
        """Parses lines; `check` gets the arguments of each request until it returns True, and may raise."""
        self._defaults = defaults
        self._check = check
        self._is_checked = False
        self._number = 0
        self._parsed_any = False

    def items(self, lines: _Lines) -> BatchItems:
        """The items of `lines`; of a file, with their number.

        Iterating raises a CommandLineError where the first request has no model, and what the check raises.
        """
        if isinstance(lines, _FileLines):
            return _FileItems(lines, self)
        return self._parse_async(lines) if isinstance(lines, AsyncIterator) else self.parse_all(lines)

    def parse_all(self, lines: Iterable[bytes]) -> Iterator[BatchItem]:
        """The items of lines that can be read without waiting."""
        return (item for line in lines if (item := self._parse(line)) is not None)

    async def _parse_async(self, lines: AsyncIterator[bytes]) -> AsyncIterator[BatchItem]:
        async for line in lines:
            if (item := self._parse(line)) is not None:
                yield item

    def _parse(self, data: bytes) -> BatchItem | None:
        """The item of a line; None for an empty line, an error (an item that fails) for one that is no JSON object."""
        self._number += 1
        place = f"line {self._number}"
        try:
            line = decode_text(data, place)
        except CommandLineError as error:
            return InvalidRequestError(str(error))
        if not line.strip():
            return None
        try:
            parsed: object = json.loads(line)
        except (ValueError, RecursionError):
            parsed = None
        if not isinstance(parsed, dict):
            return InvalidRequestError(f"{place} is no JSON object; write one request per line")
        item = cast("dict[str, Any]", parsed)
        body: Any = item.get("body", item)
        if isinstance(body, dict):
            arguments = cast("dict[str, Any]", body)
            self._complete(arguments, place)
            self._is_checked = self._is_checked or self._check(arguments)
            model: object = arguments.get("model")
            if isinstance(model, str) and model.startswith(SIMULATED):
                return InvalidRequestError(f"{place}: the simulator is asked by --model {model}")
        return item

    def _complete(self, body: dict[str, Any], place: str) -> None:
        """Puts the flags' values into the arguments of a request.

        Raises:
            CommandLineError: the first request has no model; if a later one has none, its result is an error.
        """
        defaults = self._defaults
        model = defaults.model or body.get("model") or defaults.default_model
        if model is not None:
            body["model"] = model
        elif not self._parsed_any:
            raise CommandLineError(
                f"{place} has no model: give --model, such as openai/gpt-4o-mini, or set ANYCOMPLETION_MODEL, or "
                "write one into each request"
            )
        self._parsed_any = True
        body |= defaults.params
        messages: object = body.get("messages")
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        if defaults.system is not None and isinstance(messages, list):
            body["messages"] = [{"role": "system", "content": defaults.system}, *cast("list[Any]", messages)]


class _FileItems:
    """The items of a file, whose number is known."""

    def __init__(self, lines: _FileLines, parser: LineParser) -> None:
        self._lines = lines
        self._parser = parser

    def __len__(self) -> int:
        return self._lines.count

    def __iter__(self) -> Iterator[BatchItem]:
        return self._parser.parse_all(self._lines)
