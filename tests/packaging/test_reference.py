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
from support.pages import pages

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


def rows_of(page: Path) -> dict[str, str]:
    """Class → whether it is tried again, in the tables of errors of a page."""
    rows: dict[str, str] = {}
    columns: list[str] = []
    for line in page.read_text("utf-8").splitlines():
        texts = [text.strip() for text in line.split("|")][1:-1]
        name = re.match(r"`(\w+)`", texts[0]) if texts else None
        if not texts or texts[0] == "class":
            columns = texts
        elif name and name[1] in ERRORS and (again := {"tried again", "retried"} & set(columns)):
            rows[name[1]] = texts[columns.index(again.pop())]
    return rows


def differing(rows: dict[str, str]) -> set[str]:
    """Classes whose row does not agree with what is done."""
    return {name for name, again in rows.items() if again.strip().startswith("yes") != ERRORS[name].retryable}


def test_the_docstring_has_the_table_of_errors() -> None:
    """`help(APIError)` would not list an error, or whether it is tried again."""
    rows = rows_of_docstring()
    concrete = {name for name, cls in ERRORS.items() if cls not in ABSTRACT and issubclass(cls, APIError)}
    assert rows.keys() == concrete
    assert differing(rows) == set()


def test_a_page_has_the_table_of_errors() -> None:
    """A user would not learn which errors there are, or which of them are tried again."""
    of_pages = {path.name: rows_of(path) for path in pages()}
    assert {name: differing(rows) for name, rows in of_pages.items() if differing(rows)} == {}
    whole = max(of_pages.values(), key=len)
    assert whole.keys() == {name for name, cls in ERRORS.items() if cls not in ABSTRACT}


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
