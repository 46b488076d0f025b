"""Tests of size: lines of code of the package, and lines of each module."""

from __future__ import annotations

import ast
import io
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

MAX_CODE_LINES = 26_560
"""Limit of the package's lines of code, without `testing` and the folders of dialects: raised for a feature only,
lowered when code is removed.

Imports and `__all__` do not count: a module that is split has more of them, and no more code.
"""

MAX_DIALECT_LINES = 1_900
"""The same for the folder of one dialect."""

MAX_MODULE_LINES = 400
MIN_MODULE_LINES = 30
"""Lines of a module with its comments and docstrings."""

LONG: dict[str, str] = {
    "providers/builtin/host_rows.py": "a table: one row per provider",
}
"""Module that may be longer than `MAX_MODULE_LINES` → why."""

SHORT: dict[str, str] = {
    "providers/builtin/names.py": "a table: one name per provider",
    "providers/builtin/responses_parts.py": "a table",
}
"""Module that may be shorter than `MIN_MODULE_LINES` → why."""

NO_MODULES = frozenset({"__init__.py", "__main__.py", "dialect.py"})
"""Files without a limit: they re-export, start the command line, or assemble the functions of a dialect's folder."""

_NO_CODE = {
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
}


def code_lines(source: str) -> int:
    """Number of lines with code, without comments, docstrings (of attributes too), imports and `__all__`."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines.difference(_uncounted_lines(ast.parse(source))))


def _uncounted_lines(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        is_export = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        if is_export or isinstance(node, ast.Import | ast.ImportFrom):
            yield from range(node.lineno, (node.end_lineno or node.lineno) + 1)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield from range(node.lineno, (node.end_lineno or node.lineno) + 1)


def module_sizes(package_dir: Path) -> dict[str, int]:
    """Module → its lines, with comments, docstrings and blank lines."""
    return {
        path.relative_to(package_dir).as_posix(): len(path.read_text("utf-8").splitlines())
        for path in sorted(package_dir.rglob("*.py"))
        if path.name not in NO_MODULES
    }


def size_violations(sizes: dict[str, int], long: dict[str, str] = LONG, short: dict[str, str] = SHORT) -> list[str]:
    """Modules that are too long or too short without a reason, and reasons that no module needs."""
    too_long = {name for name, lines in sizes.items() if lines > MAX_MODULE_LINES}
    too_short = {name for name, lines in sizes.items() if lines < MIN_MODULE_LINES}
    return [
        *(f"{name}: {sizes[name]} lines, more than {MAX_MODULE_LINES}" for name in sorted(too_long - long.keys())),
        *(f"{name}: {sizes[name]} lines, fewer than {MIN_MODULE_LINES}" for name in sorted(too_short - short.keys())),
        *(f"{name}: is not too long" for name in sorted(long.keys() - too_long)),
        *(f"{name}: is not too short" for name in sorted(short.keys() - too_short)),
    ]


COUNTED = {
    "blank lines": ("x = 1\n\n\ny = 2\n", 2),
    "comments": ("# a\nx = 1  # b\n", 1),
    "docstrings": ('"""A.\n\nB.\n"""\ndef f():\n    """C."""\n    return 1\n', 2),
    "docstrings of attributes": ('x = 1\n"""A.\n\nB.\n"""\n', 1),
    "texts over several lines": ('x = """a\n\nb"""\n', 3),
    "a call over several lines": ("f(\n    1,\n\n    2,  # a\n    # b\n)\n", 4),
    "imports": ("import a\nfrom b import (\n    c,\n    d,\n)\nx = 1\n", 1),
    "exports": ("__all__ = [\n    'x',\n]\nx = 1\n", 1),
    "two statements in one line": ("x = 1; y = 2\n", 1),
    "continued lines": ("x = 1 + \\\n    2\n", 2),
    "nothing": ("", 0),
}
"""Case → source and its lines of code."""


@pytest.mark.parametrize("case", COUNTED)
def test_lines_of_code_are_counted(case: str) -> None:
    """Comments and imports would count as code, so that fewer comments would be written, and modules not be split."""
    source, lines = COUNTED[case]
    assert code_lines(source) == lines


def test_long_and_short_modules_are_found() -> None:
    """A module longer than the limit, or shorter than the minimum, would not be reported."""
    sizes = {"a.py": 401, "b.py": 400, "c.py": 30, "d.py": 29, "e.py": 999, "f.py": 1}
    assert size_violations(sizes, {"e.py": "why"}, {"f.py": "why"}) == [
        "a.py: 401 lines, more than 400",
        "d.py: 29 lines, fewer than 30",
    ]


def test_reasons_that_no_module_needs_are_found() -> None:
    """An unneeded exemption would stay, and let the module grow again."""
    assert size_violations({"a.py": 100}, {"a.py": "why", "b.py": "why"}, {"a.py": "why"}) == [
        "a.py: is not too long",
        "b.py: is not too long",
        "a.py: is not too short",
    ]


def test_the_package_has_no_more_code_than_it_needs(project: Path) -> None:
    """The package would grow unnoticed."""
    package = project / "lib" / "anycompletion"
    sizes = Counter[str]()
    for path in package.rglob("*.py"):
        top, *below = path.relative_to(package).parts
        if top != "testing":
            sizes[below[0] if top == "dialects" and len(below) > 1 else "core"] += code_lines(path.read_text("utf-8"))
    assert sizes.pop("core") <= MAX_CODE_LINES
    assert {name: size for name, size in sizes.items() if size > MAX_DIALECT_LINES} == {}


def test_modules_are_neither_long_nor_short(project: Path) -> None:
    """A module would be too long to read, or too short for a file of its own."""
    assert size_violations(module_sizes(project / "lib" / "anycompletion")) == []
