"""Tests of what describes the public names: docstrings, the tables of errors, and docs/reference.md."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest

import anycompletion
from anycompletion import APIError, APIStatusError, CallOptions, CompletionError, Params, ReplyError, Timeout
from support import reference
from support.docstrings import markdown
from support.pages import DOCS, README, pages
from support.reference import shown_fields
from support.reference_source import assigned, members_of

ERRORS = {
    name: cls
    for name in anycompletion.__all__
    if isinstance(cls := getattr(anycompletion, name), type) and issubclass(cls, CompletionError)
}
ABSTRACT = (CompletionError, ReplyError, APIError, APIStatusError)
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


# --- docs/reference.md ------------------------------------------------------------------------------------------------

MODULES = ("", ".batch", ".workers", ".web", ".testing", ".integrations.otel", ".integrations.prices")
"""Modules of the package that list their public names, and `workers`, which defines them."""

DESCRIBED = (
    *(CallOptions, anycompletion.TargetOptions, anycompletion.ClientOptions, Params, Timeout),
    *(anycompletion.RateLimit, anycompletion.Provider, anycompletion.Quirks),
    *(anycompletion.ChatRequest, anycompletion.ReplyInfo, anycompletion.RateLimitState, anycompletion.ProviderStats),
    *(anycompletion.Result, CompletionError, anycompletion.ParamSupport, anycompletion.Auth, anycompletion.Target),
)
"""Classes whose fields are this package's own, so that no documentation of OpenAI's describes them."""


def public_names() -> list[str]:
    """Public names with their modules."""
    found: list[str] = []
    for suffix in MODULES:
        module = importlib.import_module(f"anycompletion{suffix}")
        own = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        names = getattr(module, "__all__", None) or [name for name in own if not name.startswith("_")]
        found += [f"{module.__name__}.{name}" for name in names]
    return found


def test_the_reference_is_current() -> None:
    """The reference would describe an earlier version; `PYTHONPATH=tests python -m support.reference` writes it."""
    assert reference.REFERENCE.read_text("utf-8") == reference.page(), f"run {reference.COMMAND}"


def test_every_public_name_is_in_the_reference() -> None:
    """A public name would be in no section of the reference, or in two."""
    listed = [f"{section.module}.{name}" for section in reference.SECTIONS for name in section.names]
    assert set(public_names()) - set(listed) == set()
    assert len(set(listed)) == len(listed)


def listed_names() -> dict[str, object]:
    """Names in the reference → their values."""
    return {
        name: getattr(importlib.import_module(section.module), name)
        for section in reference.SECTIONS
        for name in section.names
    }


def test_every_public_name_has_a_docstring() -> None:
    """`help` and an editor would show nothing for a name that users write."""
    aliases = assigned("anycompletion")
    texts = {
        name: aliases[name][1] if name in aliases else getattr(value, "__doc__", "")
        for name, value in listed_names().items()
    }
    assert [name for name, text in texts.items() if not text] == []


def test_every_public_member_has_a_docstring() -> None:
    """`help` and an editor would show nothing for a method or property that users call."""
    classes = {name: cls for name, cls in listed_names().items() if inspect.isclass(cls)}
    members = {f"{name}.{each.name}": each.doc for name, cls in classes.items() for each in members_of(cls, ())}
    assert [name for name, text in members.items() if not text] == []


def test_every_public_name_is_on_another_page() -> None:
    """A user who does not read the reference from end to end would not learn of a name."""
    text = "\n".join(path.read_text("utf-8") for path in (README, *DOCS.glob("*.md")) if path != reference.REFERENCE)
    assert [name for name in listed_names() if not re.search(rf"\b{name}\b", text)] == []


@pytest.mark.parametrize("cls", DESCRIBED, ids=lambda cls: cls.__name__)
def test_every_field_of_the_package_is_described(cls: type) -> None:
    """A user would have to guess what an option or a field of this package means."""
    others = set(Params.__annotations__) if cls is anycompletion.ChatRequest else {"extra"}
    assert [each.name for each in shown_fields(cls) if not each.meaning and each.name not in others] == []


def test_numbers_have_units() -> None:
    """A user would have to guess whether a time is in seconds."""
    fields = {
        f"{cls.__name__}.{each.name}": each
        for cls in (CallOptions, Timeout, CompletionError)
        for each in shown_fields(cls)
    }
    numbers = {name for name, each in fields.items() if "float" in each.type}
    assert {name for name in numbers if not fields[name].unit} == set()


@pytest.mark.parametrize(
    ("doc", "lines"),
    [
        ("One\ntwo.\n\nThree.", ["One two.", "", "Three."]),
        ("A `Name`, ``code`` and ``a `b` c``.", ["A [Name], `code` and `` a `b` c ``."]),
        ("2 < 3 * 4", [r"2 \< 3 \* 4"]),
        ("* one\n  more\n* two", ["- one more", "- two"]),
        ("A.\n\n::\n\n    x = 1\n\n    y\n\nB.", ["A.", "", "```py", "x = 1", "", "y", "```", "", "B."]),
        (
            "A.\n\nArgs:\n    x: the `x`\n        of it.\n    y: one of\n\n        * a\n\nRaises:\n    E: so.\n\nB.",
            [
                *("A.", "", "**Arguments**", "", "- `x`: the [x] of it.", "- `y`: one of", "  - a", ""),
                *("**Raises**", "", "- [E]: so.", "", "B."),
            ],
        ),
        ("==  ==\na   b\n==  ==\n1   2\n==  ==", ["| a | b |", "| --- | --- |", "| 1 | 2 |"]),
    ],
)
def test_docstrings_become_markdown(doc: str, lines: list[str]) -> None:
    """The reference would show a docstring's list, table or code as one paragraph."""
    assert markdown(doc, lambda name: f"[{name}]") == lines
