"""A terminal for commands under test: a pseudo-terminal with a keyboard, and the screen that its output makes."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import sys
from collections.abc import Mapping
from typing import Self

_CONTROL = re.compile(r"\x1b\[[?]?(\d*)[;\d]*([A-Za-z])")

_ON_THIS_TERMINAL = (
    "import fcntl, signal, sys, termios; fcntl.ioctl(1, termios.TIOCSCTTY, 0); "
    "signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from anycompletion.cli import main; sys.exit(main())"
)
"""The command as the program in the foreground of its terminal, which so gets the signals of keys."""


def screen(output: str, width: int) -> list[str]:
    """The lines that a terminal of `width` columns shows: moves, erased lines, and text that goes on in a next line.

    A line is full before the cursor is in the next one, so that a newline after a full line makes one line.
    """
    lines, row, column = [""], 0, 0
    position = 0
    while position < len(output):
        control = _CONTROL.match(output, position)
        char = output[position]
        position = control.end() if control else position + 1
        if control:
            count = int(control[1] or 1)
            if control[2] == "A":
                row = max(0, row - count)
            elif control[2] == "K":
                lines[row] = ""
        elif char == "\r":
            column = 0
        elif char == "\n":
            row += 1
        else:
            if column == width:
                row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
            lines[row] = lines[row].ljust(column)[:column] + char + lines[row][column + 1 :]
            column += 1
        lines += [""] * (row + 1 - len(lines))
    return lines


class Terminal:
    """`anycompletion` as a process on a terminal of its own.

    ::

        async with Terminal("chat", "Hi", environment=environment) as terminal:
            await terminal.shows("Hello")
            terminal.press("\\x03")
            assert await terminal.wait() == 130
        print(terminal.lines)

    Args:
        environment: the environment variables of the process.
        width: columns of the terminal.
    """

    def __init__(self, *arguments: str, environment: Mapping[str, str], width: int = 90) -> None:
        self._arguments = arguments
        self._environment = {**environment, "TERM": "xterm", "COLUMNS": str(width), "LINES": "24"}
        self._width = width
        self.output = ""
        """All that was written to it."""

    @property
    def lines(self) -> list[str]:
        """What it shows, without blank lines at the end."""
        return "\n".join(screen(self.output, self._width)).rstrip().split("\n")

    async def __aenter__(self) -> Self:
        self._keyboard, theirs = pty.openpty()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", _ON_THIS_TERMINAL, *self._arguments),
                env=self._environment,
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                start_new_session=True,
            )
        finally:
            os.close(theirs)
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._reading
        os.close(self._keyboard)

    async def _read(self) -> None:
        while data := await asyncio.to_thread(_read_some, self._keyboard):
            self.output += data.decode("utf-8", "replace")

    async def shows(self, text: str) -> None:
        """Waits until `text` was written."""
        async with asyncio.timeout(30):
            while text not in self.output:
                assert not self._reading.done(), self.output
                await asyncio.sleep(0.01)

    def press(self, keys: str) -> None:
        """Types `keys`; Ctrl-C is ``\\x03``."""
        os.write(self._keyboard, keys.encode())

    async def wait(self) -> int:
        """The exit code of the command, whose output is then complete."""
        async with asyncio.timeout(30):
            code = await self._process.wait()
            await self._reading
        return code


def _read_some(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""  # how Linux reports that the other end of the terminal is closed
