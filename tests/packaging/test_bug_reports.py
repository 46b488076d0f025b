"""Tests that the replay of bug reports fails for each outcome that is not expected, and for no other."""

from pathlib import Path

import pytest

from support import bug_reports
from support.bug_reports import Expected

EXPECTED = {
    "02": Expected("FAIL", "seven", "seven is right"),
    "03": Expected("none", "", "cannot run there", option="uvloop"),
    "04": Expected("FAIL", "flaky", "either is right", always=False),
}
OK = "ok   01_a.py (0.1 s)"
SEVEN = "FAIL 02_b.py (0.1 s)\n       WRONG: seven"

CASES: dict[str, tuple[str, list[str], list[str]]] = {
    "as expected": (f"{OK}\n{SEVEN}\nok   04_d.py (0.1 s)", [], []),
    "as expected, the other way": (f"{OK}\n{SEVEN}\nFAIL 04_d.py (0.1 s)\n       flaky", [], []),
    "with an option": (f"{SEVEN}\nnone 03_c.py (0 s)\nok   04_d.py (1 s)", ["--loop", "uvloop"], []),
    "without the option": (
        f"{SEVEN}\nnone 03_c.py (0 s)\n       NOT RUN: x\nok   04_d.py (1 s)",
        [],
        ["none 03_c.py (0 s) NOT RUN: x"],
    ),
    "wrong": (
        f"FAIL 01_a.py (1 s)\n       WRONG: a\n       b\n{SEVEN}\nok   04_d.py (1 s)",
        [],
        ["FAIL 01_a.py (1 s) WRONG: a b"],
    ),
    "wrong for another reason": ("FAIL 02_b.py (1 s)\n       eight", ["--case", "2"], ["FAIL 02_b.py (1 s) eight"]),
    "right after all": (
        "ok   02_b.py (1 s)",
        ["--case", "2"],
        ["02 is right: remove it from EXPECTED (seven is right)"],
    ),
    "not replayed": (f"{OK}\n{SEVEN}", [], ["04 is in EXPECTED and was not replayed"]),
}
"""Case → output of a replay, its options, and what is not as expected."""


@pytest.mark.parametrize("case", CASES)
def test_outcomes_that_are_not_expected_are_found(case: str) -> None:
    """A report that is replayed as wrong would not fail, or one that is right after all would stay an exception."""
    output, options, problems = CASES[case]
    found = list(bug_reports.outcomes(f"{output}\n1 of 3 right\n"))
    assert list(bug_reports.unexpected(found, options, EXPECTED)) == problems


def test_a_replay_that_ends_early_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A replay that fails halfway would count as one without further reports."""
    replay = tmp_path / "replay.py"
    replay.write_text(f"print({OK!r})\nraise SystemExit(0)\n", "utf-8")
    assert bug_reports.main([str(replay), "--case", "1"]) == 1
    assert "the replay did not end: 0" in capsys.readouterr().out
    replay.write_text(f"print({OK!r})\nprint('1 of 1 right')\n", "utf-8")
    assert bug_reports.main([str(replay), "--case", "1"]) == 0
    assert capsys.readouterr().out.endswith("1 reports, 0 outcomes not as expected\n")
