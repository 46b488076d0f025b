"""The commands for reliability figures run in their short form and find nothing wrong; nothing here asks how fast."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.soak.common import Figure, conclude

ROOT = Path(__file__).parents[2]

COMMANDS = ("leaks", "kills", "million", "amplification", "web", "streams", "descriptors", "bombs", "storm", "adaptive")
"""The longest first: they run at the same time."""


@pytest.fixture(scope="module")
def runs() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """All commands in their short form, under way."""
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
def test_a_command_finds_nothing_wrong(runs: dict[str, subprocess.Popen[str]], name: str) -> None:
    """A promise about load, faults, leaks or bombs is broken, or its figure cannot be asked for any more."""
    said, complaints = runs[name].communicate(timeout=300)
    assert (runs[name].returncode, complaints) == (0, ""), said + complaints
    assert "(short form)" in said
    assert "all bounds hold" in said
    assert "BROKEN" not in said


JUDGED = {
    "kept": (Figure("x", 10, at_most=10), True, True),
    "passed": (Figure("x", 11, at_most=10), False, False),
    "reached": (Figure("x", 99, at_least=99), True, True),
    "missed": (Figure("x", 98.9, at_least=99, unit="%"), False, False),
    "the machine's": (Figure("x", 11, at_most=10, machine=True), True, False),
    "without a bound": (Figure("x", 1e9), True, True),
}
"""A figure, and whether it is good enough for the short and for the long form."""


@pytest.mark.parametrize("short", [True, False])
@pytest.mark.parametrize("case", JUDGED)
def test_a_broken_bound_is_said_and_fails(case: str, short: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """A broken promise would go unnoticed, or a busy machine would fail the tests."""
    figure, *good = JUDGED[case]
    is_good = good[0] if short else good[1]
    assert conclude("title", [Figure("y", 0, at_most=0), figure], short=short) == (0 if is_good else 1)
    said = capsys.readouterr().out
    assert ("BROKEN" in said) is not is_good
    assert ("not judged" in said) is (case == "the machine's" and short)
    assert ("all bounds hold" in said) is is_good
