"""Docstrings that replace a reference: the table of errors, the options of calls, the aliases of types."""

from __future__ import annotations

import ast
import inspect
import re
from itertools import pairwise
from pathlib import Path

import pytest

import anycompletion
from anycompletion import APIError, APIStatusError, CallOptions, CompletionError, Params, Timeout
from support.pages import README

ERRORS = {
    name: cls
    for name in anycompletion.__all__
    if isinstance(cls := getattr(anycompletion, name), type) and issubclass(cls, CompletionError)
}
ABSTRACT = (CompletionError, APIError, APIStatusError)
"""Bases that are raised as one of their subclasses, except for statuses that HTTP does not have."""


def rows_of_docstring() -> dict[str, str]:
    """Class → whether it is tried again, in the docstring of `APIError`."""
    rows = re.findall(r"^ *`(\w+)` +(?:.+?)  +(\S.*)$", APIError.__doc__ or "", re.MULTILINE)
    return dict(rows)


def rows_of_readme() -> dict[str, str]:
    """Class → whether it is tried again, in README.md."""
    section = README.read_text("utf-8").partition("### Errors")[2].partition("\n### ")[0]
    return dict(re.findall(r"^\| `(\w+)`.*\|([^|]*)\|$", section, re.MULTILINE))


@pytest.mark.parametrize("rows", [rows_of_docstring, rows_of_readme])
def test_every_error_is_in_the_table(rows: type) -> None:
    """A user would not learn which errors there are, or which of them are tried again."""
    of_table = rows()
    expected = {name for name, cls in ERRORS.items() if cls not in ABSTRACT}
    if rows is rows_of_docstring:
        expected = {name for name in expected if issubclass(ERRORS[name], APIError)}
    assert of_table.keys() == expected
    repeated = {name for name, again in of_table.items() if again.strip().startswith("yes")}
    assert repeated == {name for name in of_table if ERRORS[name].retryable}


@pytest.mark.parametrize("options", [CallOptions, Params])
def test_every_keyword_is_in_the_docstring(options: type) -> None:
    """`help(CallOptions)` would not have an option, and `create` takes keywords that no other help has."""
    missing = [name for name in options.__annotations__ if f"`{name}`" not in (options.__doc__ or "").replace("=", "`")]
    assert missing == []


def test_the_docstring_has_the_default_timeouts() -> None:
    """The docstring would contain other defaults than those that apply."""
    defaults = Timeout()
    text = ", ".join(f"{name} {getattr(defaults, name):g}" for name in ("total", "connect", "first_chunk", "idle"))
    assert f"Defaults: {text}." in (Timeout.__doc__ or "")


def documented_names(package: Path) -> set[str]:
    """Names at the top of modules that a docstring follows."""
    found: set[str] = set()
    for path in package.rglob("*.py"):
        body = ast.parse(path.read_text("utf-8")).body
        for statement, after in pairwise(body):
            is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and is_text:
                found.add(statement.target.id)
    return found


def test_every_public_alias_and_constant_has_a_docstring(project: Path) -> None:
    """An editor would show nothing for a type that users write."""
    public = {name: getattr(anycompletion, name) for name in anycompletion.__all__}
    names = {name for name, value in public.items() if not inspect.isclass(value) and not inspect.isfunction(value)}
    assert names - documented_names(project / "lib" / "anycompletion") == set()
