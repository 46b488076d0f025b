"""The public API as type checkers see it: mypy and pyright, both strict, on tests/typing and on README.md."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import anycompletion
from support.readme import README, snippets

Checker = Callable[[Path], list[str]]

SURFACE = Path(__file__).parents[1] / "typing"
IMPORTED_FROM = str(Path(anycompletion.__file__).parents[1])


def mypy(folder: Path) -> list[str]:
    """What a user's mypy has to say of the files in `folder`."""
    # Errors inside the package are for the project's own run of mypy; here they would hide what a user sees.
    options = ("--strict", "--config-file", "", "--follow-imports", "silent", "--no-error-summary")
    place = {} if "site-packages" in IMPORTED_FROM else {"MYPYPATH": IMPORTED_FROM}
    done = _run("mypy", *options, "--cache-dir", str(folder.parent / "mypy"), str(folder), **place)
    return (done.stdout + done.stderr).splitlines()


def pyright(folder: Path) -> list[str]:
    """What a user's pyright has to say of the files in `folder`."""
    settings = {
        "typeCheckingMode": "strict",
        "enableTypeIgnoreComments": False,
        "reportUnnecessaryTypeIgnoreComment": True,
        "extraPaths": [IMPORTED_FROM],
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(settings), "utf-8")
    done = _run("pyright", "--outputjson", "--pythonpath", sys.executable, "--project", str(folder))
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == len(list(folder.glob("*.py")))
    return [
        f"{fault['file']}:{fault['range']['start']['line'] + 1}: {fault['message']}"
        for fault in report["generalDiagnostics"]
    ]


def _run(module: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", module, *options)
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)


CHECKERS = [pytest.param(checker, id=checker.__name__, marks=pytest.mark.slow) for checker in (mypy, pyright)]


@pytest.mark.parametrize("checker", CHECKERS)
def test_type_checkers_see_the_api_as_it_is_promised(checker: Checker, tmp_path: Path) -> None:
    """A user's checker would refuse right code, let a mistake pass, or know less than promised of a result."""
    folder = tmp_path / "surface"
    shutil.copytree(SURFACE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    assert checker(folder) == []


@pytest.mark.parametrize("checker", CHECKERS)
def test_the_snippets_of_the_readme_pass_strict_checks(checker: Checker, tmp_path: Path) -> None:
    """Someone who copies a snippet into strictly checked code would get errors."""
    folder = tmp_path / "snippets"
    folder.mkdir()
    for snippet in snippets(README.read_text("utf-8")):
        (folder / f"line_{snippet.line}.py").write_text(snippet.program, "utf-8")
    assert checker(folder) == []


@pytest.mark.parametrize("checker", CHECKERS)
def test_a_checker_finds_a_fault(checker: Checker, tmp_path: Path) -> None:
    """The tests above would pass whatever the code is."""
    wrong = tmp_path / "wrong" / "wrong.py"
    wrong.parent.mkdir()
    wrong.write_text("from anycompletion import AsyncCompletion\n\nAsyncCompletion(timeout='5')\n", "utf-8")
    (fault,) = checker(wrong.parent)
    assert "wrong.py:3" in fault
