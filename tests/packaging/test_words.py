"""Tests that no retired word is in use in identifiers, comments, docstrings and texts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support import word_lists, words

Find = Callable[[dict[str, str]], list[str]]


@pytest.fixture
def find(tmp_path: Path) -> Find:
    """Writes files and returns the occurrences of retired words, without the lines' texts."""

    def find(files: dict[str, str]) -> list[str]:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return [f"{one.path}:{one.line}: {one.word}" for one in words.find_retired([tmp_path], tmp_path)]

    return find


RETIRED: dict[str, tuple[str, str, str]] = {
    "identifier": ("tests/a.py", "told = 1", "1: told"),
    "part of an identifier": ("tests/a.py", "_what_was_told = 1", "1: told"),
    "constant": ("tests/a.py", "WAS_TOLD = 1", "1: told"),
    "part in camel case": ("tests/a.py", "class JSONToldTwice: pass", "1: told"),
    "attribute": ("tests/a.py", "x.told", "1: told"),
    "argument": ("tests/a.py", "def f(told): ...", "1: told"),
    "imported name": ("tests/a.py", "from a import told as b", "1: told"),
    "renamed identifier": ("tests/a.py", "x = Desk", "1: Desk"),
    "file name": ("tests/test_road.py", "", "1: road"),
    "renamed file": ("tests/stepcancel.py", "", "1: stepcancel"),
    "comment": ("tests/a.py", "x = 1  # what he said", "1: said"),
    "second line of a comment": ("tests/a.py", "# What he\n# said.", "2: said"),
    "capital letters": ("tests/a.py", "# Nobody's.", "1: nobody"),
    "docstring": ("tests/a.py", 'def f():\n    """What it\n    says."""', "3: says"),
    "docstring of an attribute": ("tests/a.py", 'x = 1\n"""What it says."""', "2: says"),
    "text in lib": ("lib/a.py", 'raise E("the server said no")', "1: said"),
    "formatted text in lib": ("lib/a.py", 'raise E(f"the server {x} said no")', "1: said"),
    "text after an escape": ("lib/a.py", r'raise E("no\nsaid")', "1: said"),
    "phrase": ("tests/a.py", "# Each waits for its turn.", "1: its turn"),
    "phrase over two lines": ("tests/a.py", "# Each waits for its\n# turn.", "1: its turn"),
    "phrase over two lines of a docstring": ("tests/a.py", '"""Each waits for its\nturn."""', "1: its turn"),
    "room in another sense": ("tests/a.py", "# the only room with sockets", "1: room"),
    "stub": ("lib/a.pyi", "def told(): ...", "1: told"),
    "Markdown": ("docs/a.md", "# A\n\nWhat `x` says.", "3: says"),
    "Markdown after code": ("docs/a.md", "```py\nx\n```\nWhat `x` says.", "4: says"),
}
"""Case → file, its text, line and word of the one occurrence."""


@pytest.mark.parametrize("case", RETIRED)
def test_a_retired_word_is_found_once(find: Find, case: str) -> None:
    """A retired word would come back, or be reported in another line than it is in."""
    name, text, found = RETIRED[case]
    assert find({name: text}) == [f"{name}:{found}"]


FINE: dict[str, tuple[str, str]] = {
    "longer word": ("lib/a.py", "# A threshold, a bold household."),
    "renamed identifier in other case": ("lib/a.py", "line = mark = 1"),
    "renamed identifier in prose": ("lib/a.py", '"""The Source of a Change."""'),
    "text in a test": ("tests/a.py", 'assert reply == "He said hello"'),
    "formatted text in a test": ("tests/a.py", 'assert reply == f"{x} said hello"'),
    "ordinary phrase": ("lib/a.py", "# There is no room for more while the\n# lock is held."),
    "Markdown code": ("docs/a.md", "```py\nprint('what he said')\n```\n~~~\nsaid\n```\nsaid\n~~~"),
    "other file": ("tests/a.json", "said"),
}
"""Case → file and text without an occurrence."""


@pytest.mark.parametrize("case", FINE)
def test_ordinary_words_and_data_are_not_reported(find: Find, case: str) -> None:
    """Ordinary words would be reported as retired ones."""
    name, text = FINE[case]
    assert find({name: text}) == []


def test_hidden_folders_are_not_read(find: Find) -> None:
    """Where other clients are installed for the benchmarks, the test would fail about their code."""
    assert find({".peers/x/a.py": "said = 1\n", "b.py": "told = 1\n"}) == ["b.py:1: told"]


def test_an_exemption_covers_one_word_in_one_line() -> None:
    """An exemption would hide other occurrences in its file."""
    found = [
        words.Found("a.py", 1, "held", "# the permit is held until then"),
        words.Found("a.py", 2, "held", "# results are held"),
        words.Found("a.py", 1, "said", "# the permit is held until then"),
        words.Found("b.py", 1, "held", "# the permit is held until then"),
    ]
    assert words.apply_exemptions(found, {"a.py": {("held", "permit is held"): "why"}}) == (found[1:], [])


def test_an_exemption_that_covers_nothing_is_reported() -> None:
    """Unneeded exemptions would stay, and cover later occurrences."""
    exempt = {"a.py": {("held", "permit is held"): "why"}}
    assert words.apply_exemptions([], exempt) == ([], ["a.py: no line with 'held' contains 'permit is held'"])


def test_the_command_line_lists_and_counts(tmp_path: Path) -> None:
    """The command line would not list occurrences with their lines and number."""
    (tmp_path / "a.py").write_text("x = 1  # said\n")
    command = [sys.executable, words.__file__, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines()[0] == f"{(tmp_path / 'a.py').as_posix()}:1: said: x = 1  # said"
    assert done.stdout.splitlines()[-1].split() == ["1", "in", "all"]


def test_the_lists_are_consistent() -> None:
    """An entry would never match, or an ordinary phrase would contain no retired word."""
    retired = word_lists.RETIRED_WORDS | word_lists.RETIRED_PHRASES
    assert {word for word in retired if word != word.lower()} == set()
    assert {phrase for phrase in word_lists.ORDINARY if not set(phrase.split()) & word_lists.RETIRED_WORDS} == set()
    assert all(word.isalpha() for word in word_lists.RETIRED_WORDS)


def test_no_retired_word_is_in_use(project: Path) -> None:
    """A retired word would be in use again."""
    found = words.find_retired([project / path for path in words.DEFAULT_PATHS])
    left, unused = words.apply_exemptions(found)
    assert [str(one) for one in left] == []
    assert unused == []
