"""Tests of the public API with mypy and pyright, both strict, on tests/typing and the snippets of pages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import anycompletion
from support.pages import all_snippets, write_programs

Checker = Callable[[Path], list[str]]

SURFACE = Path(__file__).parents[1] / "typing"
IMPORTED_FROM = str(Path(anycompletion.__file__).parents[1])


def mypy(folder: Path) -> list[str]:
    """Messages of a user's mypy on the files in `folder`."""
    # Errors inside the package belong to the project's own run of mypy; a user does not see them.
    options = ("--strict", "--config-file", "", "--follow-imports", "silent", "--no-error-summary")
    place = {} if "site-packages" in IMPORTED_FROM else {"MYPYPATH": IMPORTED_FROM}
    done = _run("mypy", *options, "--cache-dir", str(folder.parent / "mypy"), str(folder), **place)
    return (done.stdout + done.stderr).splitlines()


def pyright(folder: Path) -> list[str]:
    """Messages of a user's pyright on the files in `folder`."""
    settings = {
        "typeCheckingMode": "strict",
        "enableTypeIgnoreComments": False,
        "reportUnnecessaryTypeIgnoreComment": True,
        "extraPaths": [IMPORTED_FROM],
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(settings), "utf-8")
    done = _run("pyright", "--outputjson", "--pythonpath", sys.executable, "--project", str(folder))
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == len(list(folder.rglob("*.py")))
    return [
        f"{error['file']}:{error['range']['start']['line'] + 1}: {error['message']}"
        for error in report["generalDiagnostics"]
    ]


def _run(module: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", module, *options)
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)


CHECKERS = [pytest.param(checker, id=checker.__name__, marks=pytest.mark.slow) for checker in (mypy, pyright)]


@pytest.mark.parametrize("checker", CHECKERS)
def test_type_checkers_accept_and_reject_the_right_calls(checker: Checker, tmp_path: Path) -> None:
    """A user's type checker would reject correct code, accept a mistake, or infer a less specific type."""
    folder = tmp_path / "surface"
    shutil.copytree(SURFACE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    assert checker(folder) == []


@pytest.mark.parametrize("checker", CHECKERS)
def test_the_snippets_of_pages_pass_strict_checks(checker: Checker, tmp_path: Path) -> None:
    """A snippet copied into strictly checked code would have type errors."""
    folder = tmp_path / "snippets"
    folder.mkdir()
    write_programs(all_snippets(), folder)
    assert checker(folder) == []


@pytest.mark.parametrize("checker", CHECKERS)
def test_a_checker_finds_an_error(checker: Checker, tmp_path: Path) -> None:
    """The tests above would pass for any code."""
    wrong = tmp_path / "wrong" / "wrong.py"
    wrong.parent.mkdir()
    wrong.write_text("from anycompletion import AsyncCompletion\n\nAsyncCompletion(timeout='5')\n", "utf-8")
    (error,) = checker(wrong.parent)
    assert "wrong.py:3" in error
