"""Tests that the benchmarks run and report all their figures; speed is not tested."""

from __future__ import annotations

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


def run_short(name: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a benchmark in its short form from the command line."""
    command = [sys.executable, "-m", f"benchmarks.{name}", "--short", "--out", str(folder), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc, and a child's costs by wait4")
@pytest.mark.parametrize("name", QUESTIONS)
def test_benchmark_runs_in_its_short_form(name: str, tmp_path: Path) -> None:
    """A benchmark would no longer run, or its results would lack a case, a contender, a bound or a page."""
    question = QUESTIONS[name]
    done = run_short(name, tmp_path, "--rounds", "1", "--slices", "1", "--seconds", "0.02")
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads((tmp_path / f"{name}.json").read_text("utf-8"))
    assert [case["name"] for case in result["cases"]] == [case.name for case in question.cases]
    for case, planned in zip(result["cases"], question.cases, strict=True):
        wanted = question.always if planned.only is None else question.always & planned.only
        assert case["figures"].keys() == wanted
        for figures in case["figures"].values():
            assert math.isfinite(figures["main"]["median"])
            assert {column.figure for column in question.beside} - figures.keys() <= _SOMETIMES
    assert [bound["label"] for bound in result["bounds"]] == [bound.label for bound in question.bounds]
    assert all(bound["verdict"].startswith("not ") for bound in result["bounds"])
    assert result["machine"]["cores"]
    assert result["command"].startswith(f"python -m benchmarks.{name} --short")
    assert all(versions["python"] for versions in result["versions"].values())
    assert done.stdout.startswith(f"# {question.title}")
    drawn = ElementTree.parse(tmp_path / f"{name}.svg")  # noqa: S314 (our own picture)
    assert drawn.getroot().tag.endswith("svg")
    assert summary.main(["--out", str(tmp_path)]) == 0
    machine = result["machine"]
    source = f"Measured at commit {result['commit'] or 'unknown'}, {result['started'][:10]}; {machine['cpu']}, "
    assert source in (tmp_path / "summary.md").read_text("utf-8")


def test_the_benchmark_of_the_reply_cache_runs_in_its_short_form() -> None:
    """The figures of the cache of replies could not be measured."""
    command = [sys.executable, "-m", "benchmarks.reply_cache", "--short"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert "a hit in memory" in done.stdout


def test_the_benchmark_of_typed_streams_runs_in_its_short_form() -> None:
    """The cost of partial values and items could no longer be measured, or would be that of nothing."""
    command = [sys.executable, "-m", "benchmarks.typed_streams", "--short"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    seen = {line[:40].strip(): line[40:].split() for line in done.stdout.splitlines() if line.startswith("  ")}
    assert int(seen["chunks"][0].replace(",", "")) > 5_000
    assert int(seen["partials"][0]) >= 2
    assert int(seen["items"][0]) > 50


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_typed_replies_are_measured_in_the_short_form() -> None:
    """The benchmark of typed replies would no longer run, or lack a figure with a bound."""
    command = [sys.executable, "-m", "benchmarks.structured", "--short"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("≤") == 4


@pytest.mark.skipif(sys.platform != "linux", reason="the report of soak runs reads /proc")
def test_calls_over_routes_are_measured_in_the_short_form() -> None:
    """The benchmark of routes would no longer run, or lack a figure with a bound."""
    command = [sys.executable, "-m", "benchmarks.routes", "--short"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("≤") == 4


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_tool_runs_are_measured_in_the_short_form() -> None:
    """The benchmark of tool runs would no longer run, or lack a figure with a bound."""
    command = [sys.executable, "-m", "benchmarks.tool_loop", "--short"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("≤") == 4


_SOMETIMES = {"modules", "distributions", "mb"}
"""Figures that only one case of a question has."""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc, and a child's costs by wait4")
@pytest.mark.parametrize("name", ["single", "cold_start"])
def test_before_compares_two_checkouts_in_the_same_rounds(name: str, tmp_path: Path) -> None:
    """`--before` would measure this checkout twice, or its ratios would be missing from the page."""
    other = tmp_path / "other" / "lib" / "anycompletion"
    shutil.copytree(ROOT / "lib" / "anycompletion", other, ignore=shutil.ignore_patterns("__pycache__"))
    (other / "__init__.py").write_text(
        f"{(other / '__init__.py').read_text('utf-8')}\n__version__ = '0.before'\n", "utf-8"
    )
    done = run_short(name, tmp_path / "out", "--before", str(tmp_path / "other"), "--seconds", "0.02")
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
    done = run_short("single", tmp_path / "out", "--before", str(tmp_path))
    assert done.returncode == 2
    assert f"no lib/anycompletion in {tmp_path}" in done.stderr


def test_a_missing_peer_is_reported_with_the_command_that_installs_it() -> None:
    """A run without an installed peer would not name the command that installs it, or would leave the peer out."""
    compared = [each.environment for each in QUESTIONS["single"].contenders]
    missing = [name for name in compared if name != "bare" and peers.python_of(name) is None]
    if not missing:
        pytest.skip("all peers are installed here")
    done = run_short("single", Path(), "--peers", missing[0])
    assert done.returncode == 2
    assert f"python -m benchmarks.peers install --only {missing[0]}" in done.stderr


def test_an_unknown_peer_or_case_is_refused(tmp_path: Path) -> None:
    """A misspelled name would measure nothing and succeed."""
    assert run_short("single", tmp_path, "--peers", "unknown").returncode == 2
    assert run_short("single", tmp_path, "--cases", "unknown").returncode == 2
    assert list(tmp_path.iterdir()) == []


def test_only_pages_and_the_picture_of_the_summary_are_under_version_control() -> None:
    """Raw figures of every round, or a picture per benchmark, would be committed with each run."""
    command = ["git", "ls-files", "benchmarks/results"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    names = {Path(line).name for line in done.stdout.splitlines()}
    assert names == {"summary.md", "summary.svg", *(f"{name}.md" for name in QUESTIONS)}


def rounds(*values: float) -> list[Round]:
    """Rounds with these costs of ours and a cost of 1 for the baseline."""
    return [Round({"case": {"ours": {"cpu_us": each}, "bare": {"cpu_us": 1.0}}}) for each in values]


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((1.0, 1.1, 1.2, 1.0, 1.1, 1.2, 1.1), "pass"),
        ((1.2, 1.3, 1.4, 1.2, 1.3, 1.4, 1.3), "pass"),  # the interval includes the bound
        ((1.3, 1.4, 1.5, 1.3, 1.4, 1.5, 1.4), "FAIL"),
        ((9.0, 9.0), "not judged: 2 of 7 rounds"),
    ],
)
def test_a_bound_fails_when_the_whole_interval_is_above_it(values: tuple[float, ...], verdict: str) -> None:
    """A figure above its bound would pass, or noise would fail a figure within its bound."""
    bound = Bound("", stats.ratio("case", "ours", "bare"), at_most=1.25)
    assert stats.judge(bound, rounds(*values)).verdict == verdict


def test_a_lower_bound_fails_when_the_whole_interval_is_below_it() -> None:
    """A ratio to a peer that fell below its bound would pass."""
    bound = Bound("", stats.ratio("case", "ours", "bare"), at_least=6)
    assert stats.judge(bound, rounds(*[7.0] * 7)).verdict == "pass"
    assert stats.judge(bound, rounds(*[5.0] * 7)).verdict == "FAIL"


def test_a_bound_without_measurements_is_not_judged() -> None:
    """A bound against a peer that was not measured, or against a substitute baseline, would pass or fail."""
    absent = Bound("", stats.ratio("case", "litellm", "ours"), at_least=6)
    assert stats.judge(absent, rounds(*[1.0] * 7)).verdict == "not measured: litellm"
    against = Bound("", stats.ratio("case", "ours", "bare"), at_most=1.25)
    assert stats.judge(against, rounds(*[2.0] * 7), baseline=False).verdict == "not judged: another baseline"


def test_the_median_lies_inside_its_interval() -> None:
    """A table would show an interval that does not contain its median."""
    measured = stats.interval([3.0, 1.0, 2.0, 5.0, 4.0, 9.0, 2.5])
    assert measured.low <= measured.median <= measured.high
    assert measured.median == 3.0
