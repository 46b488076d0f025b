"""The example program that extracts the rows of a table, killed in the middle and run again."""

import asyncio
import csv
import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from anycompletion.testing import SimulatorServer
from support.programs import environment_of, run_command

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(sys.platform == "win32", reason="a journal needs the file locks of POSIX"),
]

PROGRAM = Path(__file__).parents[1] / "examples" / "extract_rows.py"
ROWS = 1000
KINDS = ("question", "complaint", "return", "other")


def text_of(number: int) -> str:
    return f"Message {number}: order {number * 7}"


def inquiry_of(number: int) -> dict[str, Any]:
    return {"kind": KINDS[number % 4], "product": f"lamp {number}", "urgent": number % 3 == 0, "order": number * 7}


def number_in(body: Any) -> int:
    """The number of the message that a request is about."""
    text = next(message["content"] for message in body["messages"] if message["role"] == "user")
    return int(text.split()[1].rstrip(":"))


def reply(body: Any) -> str:
    """The inquiry of the message in a request; that of every tenth one does not fit, until it is asked for again."""
    number = number_in(body)
    inquiry = inquiry_of(number)
    if number % 10 == 0 and body["messages"][-1]["content"] == text_of(number):
        inquiry["kind"] = "praise"
    return json.dumps(inquiry)


def lines_of(journal: Path) -> int:
    """Number of complete lines."""
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


async def killed_after(lines: int, journal: Path, *command: str, environment: dict[str, str], folder: Path) -> None:
    """Runs a command, and kills it when its journal has that many lines."""
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, cwd=folder, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    async with asyncio.timeout(60):
        while lines_of(journal) < lines:
            assert process.returncode is None, "it ended before it could be killed"
            await asyncio.sleep(0.005)
        process.kill()
        assert await process.wait() == -signal.SIGKILL


async def test_a_thousand_rows_are_extracted_although_the_program_was_killed(tmp_path: Path) -> None:
    """The example would lose rows, or pay twice for those that it had."""
    source, journal, table = (tmp_path / f"messages.{end}" for end in ("csv", "jsonl", "table.csv"))
    with source.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("id", "text"), *((f"m{n}", text_of(n)) for n in range(ROWS))])
    command = (sys.executable, "-W", "error", str(PROGRAM), str(source))
    async with SimulatorServer() as simulator:

        def reply_until_killed(body: Any) -> str:
            if len(simulator.requests) > ROWS // 2:
                simulator.latency = 60  # so that the program cannot end before it is killed
            return reply(body)

        simulator.reply = reply_until_killed
        environment = environment_of(simulator)
        await killed_after(300, journal, *command, environment=environment, folder=tmp_path)
        stored = {json.loads(line)["custom_id"] for line in journal.read_bytes().splitlines(keepends=True)[:300]}
        simulator.requests.clear()
        simulator.reply, simulator.latency = reply, 0
        status, output, errors = await run_command(*command, environment=environment, folder=tmp_path)
        asked = {f"m{number_in(request.body)}" for request in simulator.requests}
    assert (status, output) == (0, f"{ROWS} rows in {table}\n"), errors
    assert not asked & stored
    with table.open(encoding="utf-8", newline="") as file:
        rows = {row.pop("id"): row for row in csv.DictReader(file)}
    assert rows == {f"m{n}": {name: str(value) for name, value in inquiry_of(n).items()} for n in range(ROWS)}
