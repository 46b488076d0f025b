"""Commands on a terminal: Ctrl-C while a reply, choices or a batch arrive."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from anycompletion.testing import SimulatorServer
from cli.test_cli import BARE, environment_of
from support.terminal import Terminal, screen

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")

CTRL_C = "\x03"

SCREENS = {
    "lines": ("a\r\nb\r\n", ["a", "b", ""]),
    "a full line and a newline": ("abcd\r\ne", ["abcd", "e"]),
    "a line that is too long": ("abcdef", ["abcd", "ef"]),
    "erased lines": ("a\r\nb\r\x1b[2K\x1b[1A\x1b[2Kc", ["c", ""]),
    "text over text": ("abc\rx", ["xbc"]),
    "colours": ("\x1b[1;31ma\x1b[0m\x1b[?25l", ["a"]),
}
"""Case → output, and the screen of four columns that it makes."""


@pytest.mark.parametrize("case", SCREENS)
def test_a_screen_is_what_a_terminal_shows(case: str) -> None:
    """The tests below would see another screen than users do."""
    output, lines = SCREENS[case]
    assert screen(output, 4) == lines


@pytest.fixture
async def slow() -> AsyncIterator[SimulatorServer]:
    """A simulator whose replies take minutes."""
    async with SimulatorServer(reply="Once upon a time", chunk_delay=0.05, chunks=2000) as server:
        yield server


async def test_ctrl_c_leaves_the_columns_once_and_whole(slow: SimulatorServer) -> None:
    """The ^C of the terminal would move the columns, and a border of them would stay on the screen twice."""
    environment = BARE | environment_of(slow)
    async with Terminal("chat", "Hi", "-m", "openai/gpt-4o-mini", "-n", "3", environment=environment) as terminal:
        await terminal.shows("upon")
        terminal.press(CTRL_C)
        assert await terminal.wait() == 130
    lines = terminal.lines
    for border, times in (("╭", 3), ("╰", 3), ("Traceback", 0)):
        assert sum(line.count(border) for line in lines) == times, "\n".join(lines)
    assert "Once upon" in "\n".join(lines)
    assert lines[-1].count("╯") == 3
    assert terminal.output.rindex("\x1b[?25h") > terminal.output.rindex("\x1b[?25l"), "the cursor is shown again"


async def test_ctrl_c_leaves_a_reply_with_a_newline(slow: SimulatorServer) -> None:
    """The shell's prompt would begin in the middle of a line."""
    environment = BARE | environment_of(slow)
    async with Terminal("chat", "Hi", "-m", "openai/gpt-4o-mini", environment=environment) as terminal:
        await terminal.shows("upon")
        terminal.press(CTRL_C)
        assert await terminal.wait() == 130
    assert terminal.output.endswith("\r\n")
    assert "Traceback" not in terminal.output


async def test_ctrl_c_ends_a_batch_with_its_counts_and_the_cursor(slow: SimulatorServer, tmp_path: Path) -> None:
    """An interrupted batch would print a traceback, no counts, or leave a terminal without a cursor."""
    requests = tmp_path / "q.jsonl"
    requests.write_text("".join(f'{{"custom_id": "{number}", "messages": "Hi"}}\n' for number in range(50)), "utf-8")
    environment = BARE | environment_of(slow)
    slow.latency = 0.3
    arguments = ("batch", str(requests), "-m", "openai/gpt-4o-mini", "--concurrency", "2")
    async with Terminal(*arguments, "--output", str(tmp_path / "out"), environment=environment) as terminal:
        await terminal.shows("in flight")
        terminal.press(CTRL_C)
        assert await terminal.wait() == 130
    assert "Traceback" not in terminal.output
    assert any(line.startswith("Interrupted: ") for line in terminal.lines), terminal.output
    assert terminal.output.rindex("\x1b[?25h") > terminal.output.rindex("\x1b[?25l")


async def test_ctrl_c_ends_the_simulator_without_a_traceback() -> None:
    """The usual way to stop the simulator would look like a failure."""
    async with Terminal("simulate", environment=BARE) as terminal:
        await terminal.shows("Ctrl-C ends it")
        terminal.press(CTRL_C)
        assert await terminal.wait() == 130
    assert "Traceback" not in terminal.output
