"""Harness of the fault tests: both loops, the check of what is left behind, and the table of covered rows."""

import asyncio
import os
import re
import socket
from pathlib import Path

import pytest

from faults.harness import LOOPS, ROWS, Matrix, client_to, covers, loop_of
from support.resource_leaks import nothing_left


class _Noisy:
    def __del__(self) -> None:
        raise ValueError("raised while it is collected")


async def test_what_is_left_behind_is_found_on_each_loop() -> None:
    """A leak would pass on a loop whose timers cannot be listed."""
    client = client_to("http://127.0.0.1:9")
    loop = asyncio.get_running_loop()
    guard = nothing_left(client, patience=0.05)
    await guard.__aenter__()
    task = asyncio.create_task(asyncio.sleep(50))
    timer = loop.call_at(loop.time() + 40, print)
    loop.call_later(30, print).cancel()
    left = socket.socket()
    _Noisy()
    await asyncio.wait([asyncio.create_task(_fail())])
    with pytest.raises(AssertionError) as caught:
        await guard.__aexit__(None, None, None)
    left_behind = str(caught.value)
    assert "sleep" in left_behind
    assert left_behind.count("timer ") == 2  # the sleeping task's, and the one above
    assert "1 file descriptors" in left_behind
    assert "raised while it is collected" in left_behind
    assert "never retrieved" in left_behind
    timer.cancel()
    task.cancel()
    left.close()


async def _fail() -> None:
    raise ValueError("not retrieved")


async def test_nothing_left_passes_when_all_is_closed() -> None:
    """Every test would fail because of what the loop itself needs."""
    async with nothing_left(client_to("http://127.0.0.1:9"), patience=0.05):
        await asyncio.sleep(0.001)
        read, write = os.pipe()
        os.close(read)
        os.close(write)
        asyncio.get_running_loop().call_later(0.002, int)


async def test_every_test_runs_on_each_loop(request: pytest.FixtureRequest) -> None:
    """Uvloop would not be tested."""
    name = loop_of(request.node)
    assert name is not None
    assert type(asyncio.get_running_loop()) is LOOPS[name]


def test_only_rows_of_the_matrix_can_be_covered() -> None:
    """A mistake in a number would leave a row uncovered unnoticed."""
    assert covers("F01", "F02").args == ("F01", "F02")
    with pytest.raises(AssertionError, match="F99"):
        covers("F99")


def test_a_row_is_missing_until_it_passed_on_every_loop_and_while_one_test_fails() -> None:
    """The table would report a row as covered while one of its tests fails."""
    matrix = Matrix()
    assert not matrix
    matrix.count(["F01", "F02"], "asyncio", passed=True)
    matrix.count(["F01"], "uvloop", passed=True)
    matrix.count(["F03"], None, passed=True)
    matrix.count(["F04"], None, passed=True)
    matrix.count(["F04"], "uvloop", passed=False)
    head, *missing = matrix.lines()
    assert head == f"fault matrix: 2 of {len(ROWS)} rows × {{asyncio, uvloop}}"
    assert missing[0] == "  missing: F02 host not found, or the resolver hangs (on uvloop)"
    assert not [line for line in missing if "F01" in line or "F03" in line]
    assert [line for line in missing if "F04" in line and line.endswith("(on uvloop)")]
    assert f"  missing: F10 {ROWS['F10']}" in missing


def test_every_row_of_the_matrix_has_a_test() -> None:
    """The last test of a row could be removed, and only the table at the end of a run would show it."""
    here = Path(__file__)
    files = {*here.parent.glob("test_*.py"), here.parents[1] / "behaviour" / "test_cancellation.py"} - {here}
    named = {row for file in files for row in re.findall(r'"(F\d\d)"', file.read_text())}
    assert named == set(ROWS)
