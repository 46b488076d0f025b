"""The benchmarks run and say all they should; nothing here asks how fast anything is."""

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from benchmarks import __main__ as everything
from benchmarks import peers, stats, summary
from benchmarks.stats import Bound, Round

ROOT = Path(__file__).parents[2]
QUESTIONS = {question.name: question for question in everything.QUESTIONS}


def ask(name: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Asks a question in its short form, as the command line does."""
    command = [sys.executable, "-m", f"benchmarks.{name}", "--short", "--out", str(folder), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc, and a child's costs by wait4")
@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_is_answered_in_its_short_form(name: str, tmp_path: Path) -> None:
    """A question could not be asked any more, or its answer lacks a case, a contender, a demand or a page."""
    question = QUESTIONS[name]
    done = ask(name, tmp_path, "--rounds", "1", "--slices", "1", "--seconds", "0.02")
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads((tmp_path / f"{name}.json").read_text("utf-8"))
    assert [case["name"] for case in result["cases"]] == [case.name for case in question.cases]
    for case, planned in zip(result["cases"], question.cases, strict=True):
        wanted = question.always if planned.only is None else question.always & planned.only
        assert case["figures"].keys() == wanted
        for figures in case["figures"].values():
            assert math.isfinite(figures["main"]["median"])
            assert {column.figure for column in question.beside} - figures.keys() <= _SOMETIMES
    assert [bound["says"] for bound in result["bounds"]] == [bound.says for bound in question.bounds]
    assert all(bound["verdict"].startswith("not ") for bound in result["bounds"])
    assert result["machine"]["cores"]
    assert result["command"].startswith(f"python -m benchmarks.{name} --short")
    assert all(versions["python"] for versions in result["versions"].values())
    assert done.stdout.startswith(f"# {question.title}")
    drawn = ElementTree.parse(tmp_path / f"{name}.svg")  # noqa: S314 (our own picture)
    assert drawn.getroot().tag.endswith("svg")
    assert summary.main(["--out", str(tmp_path)]) == 0


_SOMETIMES = {"modules", "distributions", "mb"}
"""Figures that only one of a question's cases has."""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc, and a child's costs by wait4")
@pytest.mark.parametrize("name", ["single", "cold_start"])
def test_before_compares_two_checkouts_in_the_same_rounds(name: str, tmp_path: Path) -> None:
    """`--before` would measure this checkout twice, or its ratios would be missing from the page."""
    other = tmp_path / "other" / "lib" / "anycompletion"
    shutil.copytree(ROOT / "lib" / "anycompletion", other, ignore=shutil.ignore_patterns("__pycache__"))
    (other / "__init__.py").write_text(
        f"{(other / '__init__.py').read_text('utf-8')}\n__version__ = '0.before'\n", "utf-8"
    )
    done = ask(name, tmp_path / "out", "--before", str(tmp_path / "other"), "--seconds", "0.02")
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads((tmp_path / "out" / f"{name}.json").read_text("utf-8"))
    if name == "single":
        assert result["versions"]["ours-before"]["anycompletion"] == "0.before"
    for case in result["cases"]:
        assert case["compared"].keys() == {"ours"} & case["figures"].keys()
        for figures in case["compared"].values():
            assert figures[result["main"]["figure"]]["median"] > 0
    assert "## Compared" in done.stdout


def test_before_needs_a_checkout(tmp_path: Path) -> None:
    """A folder without the package would be compared as if it were one."""
    done = ask("single", tmp_path / "out", "--before", str(tmp_path))
    assert done.returncode == 2
    assert f"no lib/anycompletion in {tmp_path}" in done.stderr


def test_a_peer_that_is_not_installed_is_named() -> None:
    """Whoever lacks a peer would not learn how to install it, or get a table without it."""
    missing = [name for name in peers.ENVIRONMENTS if name != "bare" and peers.python_of(name) is None]
    if not missing:
        pytest.skip("all peers are installed here")
    done = ask("single", Path(), "--peers", missing[0])
    assert done.returncode == 2
    assert f"python -m benchmarks.peers install --only {missing[0]}" in done.stderr


def test_an_unknown_peer_or_case_is_refused(tmp_path: Path) -> None:
    """A slip of the pen would measure nothing and look well."""
    assert ask("single", tmp_path, "--peers", "nobody").returncode == 2
    assert ask("single", tmp_path, "--cases", "nothing").returncode == 2
    assert list(tmp_path.iterdir()) == []


def rounds(*values: float) -> list[Round]:
    """Rounds in which ours costs so much, and bare 1."""
    return [Round({"case": {"ours": {"cpu_us": each}, "bare": {"cpu_us": 1.0}}}) for each in values]


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((1.0, 1.1, 1.2, 1.0, 1.1, 1.2, 1.1), "pass"),
        ((1.2, 1.3, 1.4, 1.2, 1.3, 1.4, 1.3), "pass"),  # the interval reaches down to what is allowed
        ((1.3, 1.4, 1.5, 1.3, 1.4, 1.5, 1.4), "FAIL"),
        ((9.0, 9.0), "not judged: 2 of 7 rounds"),
    ],
)
def test_a_bound_fails_when_the_whole_interval_is_above_it(values: tuple[float, ...], verdict: str) -> None:
    """A goal that is missed would pass, or noise would fail one that is met."""
    bound = Bound("", stats.ratio("case", "ours", "bare"), at_most=1.25)
    assert stats.judge(bound, rounds(*values)).verdict == verdict


def test_a_lower_bound_fails_when_the_whole_interval_is_below_it() -> None:
    """A lead over a peer that has gone would pass."""
    bound = Bound("", stats.ratio("case", "ours", "bare"), at_least=6)
    assert stats.judge(bound, rounds(*[7.0] * 7)).verdict == "pass"
    assert stats.judge(bound, rounds(*[5.0] * 7)).verdict == "FAIL"


def test_what_was_not_measured_is_not_judged() -> None:
    """A bound against an absent peer, or against a baseline that is not the agreed one, would pass or fail."""
    absent = Bound("", stats.ratio("case", "litellm", "ours"), at_least=6)
    assert stats.judge(absent, rounds(*[1.0] * 7)).verdict == "not measured: litellm"
    against = Bound("", stats.ratio("case", "ours", "bare"), at_most=1.25)
    assert stats.judge(against, rounds(*[2.0] * 7), baseline=False).verdict == "not judged: another baseline"


def test_the_median_lies_inside_its_interval() -> None:
    """A table would show an interval that its own figure is not part of."""
    seen = stats.interval([3.0, 1.0, 2.0, 5.0, 4.0, 9.0, 2.5])
    assert seen.low <= seen.median <= seen.high
    assert seen.median == 3.0
