"""Tests of the soak commands in their short form; speed is not tested."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.soak.common import Figure, conclude

ROOT = Path(__file__).parents[2]

COMMANDS = ("leaks", "kills", "million", "amplification", "web", "streams", "descriptors", "bombs", "storm", "adaptive")
"""The longest first, because they run concurrently."""


@pytest.fixture(scope="module")
def runs() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """All commands, started in their short form."""
    started: dict[str, subprocess.Popen[str]] = {}
    try:
        for name in COMMANDS:
            command = [sys.executable, "-W", "error", "-m", f"benchmarks.soak.{name}", "--short"]
            started[name] = subprocess.Popen(
                command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        yield started
    finally:
        for run in started.values():
            run.kill()
            run.communicate()


@pytest.mark.parametrize("name", COMMANDS)
def test_command_reports_no_broken_bound(runs: dict[str, subprocess.Popen[str]], name: str) -> None:
    """A bound on load, faults, leaks or bombs would be broken, or its command would no longer run."""
    output, errors = runs[name].communicate(timeout=300)
    assert (runs[name].returncode, errors) == (0, ""), output + errors
    assert "(short form)" in output
    assert "all bounds hold" in output
    assert "BROKEN" not in output


JUDGED = {
    "kept": (Figure("x", 10, at_most=10), True, True),
    "passed": (Figure("x", 11, at_most=10), False, False),
    "reached": (Figure("x", 99, at_least=99), True, True),
    "missed": (Figure("x", 98.9, at_least=99, unit="%"), False, False),
    "the machine's": (Figure("x", 11, at_most=10, machine=True), True, False),
    "without a bound": (Figure("x", 1e9), True, True),
}
"""A figure, and whether it passes in the short and in the long form."""


@pytest.mark.parametrize("short", [True, False])
@pytest.mark.parametrize("case", JUDGED)
def test_a_broken_bound_is_reported_and_fails(case: str, short: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """A broken bound would go unnoticed, or a busy machine would fail the tests."""
    figure, *good = JUDGED[case]
    is_good = good[0] if short else good[1]
    assert conclude("title", [Figure("y", 0, at_most=0), figure], short=short) == (0 if is_good else 1)
    output = capsys.readouterr().out
    assert ("BROKEN" in output) is not is_good
    assert ("not judged" in output) is (case == "the machine's" and short)
    assert ("all bounds hold" in output) is is_good
