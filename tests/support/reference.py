"""Generator of docs/reference.md from the package: every public name with its signature, fields and docstring.

``PYTHONPATH=tests python -m support.reference`` writes the page; a test fails where it is not current.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import msgspec

import anycompletion
from support.docstrings import arguments, inline, markdown, wrap
from support.pages import DOCS
from support.reference_plan import CONVERTED, INTERNAL, LIKE_RECORD, NOT_CALLED, SECTIONS, Section
from support.reference_source import (
    COMPUTED,
    REQUIRED,
    Field,
    Member,
    assigned,
    base_names,
    constructor,
    fields_of,
    is_options,
    members_of,
    shown,
    signatures,
)

REFERENCE = DOCS / "reference.md"

COMMAND = "PYTHONPATH=tests python -m support.reference"


# --- links ------------------------------------------------------------------------------------------------------------


def _anchors() -> dict[str, str]:
    """Text in single backticks → anchor: titles, public names, their members, and the client's methods by name.

    An anchor that differs from another one by its letters' case alone gets a number, as forges give it.
    """
    found: dict[str, str] = {}
    taken: set[str] = {"reference", "contents"}
    for section in SECTIONS:
        headings = [section.title]
        for name in section.names:
            value = _value(section, name)
            members = _members(name, value) if inspect.isclass(value) else []
            headings += [name, *(f"{name}.{member.name}" for member in members)]
        for heading in headings:
            slug, number = heading.lower().replace(" ", "-").replace(".", ""), 0
            while (anchor := f"{slug}-{number}" if number else slug) in taken:
                number += 1
            taken.add(anchor)
            found[heading] = anchor
    return found | {name: found[f"AsyncCompletion.{name}"] for name in _METHODS}


_METHODS = ("create", "batch", "attempt", "with_options")
"""Methods of the client that docstrings name alone."""


def _value(section: Section, name: str) -> Any:
    return getattr(importlib.import_module(section.module), name)


def _linker(links: dict[str, str], current: str = "") -> Callable[[str], str]:
    def link(text: str) -> str:
        known = links.get(text.removesuffix("()"))
        return f"[`{text}`](#{known})" if known and text != current else f"`{text}`"

    return link


# --- one name ---------------------------------------------------------------------------------------------------------


def _members(name: str, cls: type) -> list[Member]:
    public = {value for each in SECTIONS for item in each.names if inspect.isclass(value := _value(each, item))}
    left_out = INTERNAL.get(name, ())
    is_record = hasattr(cls, "to_dict") and name not in CONVERTED
    return [
        member
        for member in members_of(cls, public)
        if member.name not in left_out and not (is_record and member.name in LIKE_RECORD and _is_record(cls))
    ]


def _is_record(cls: type) -> bool:
    return any(base.__name__ == "Record" for base in cls.__mro__)


def _bases(cls: type, links: dict[str, str]) -> list[str]:
    """The nearest public base class, and the exceptions of Python among the bases."""
    names = base_names(cls) if is_options(cls) else [base.__name__ for base in cls.__mro__[1:]]
    public = [name for name in names if name in links]
    builtin = [name for name in names if name in ("ValueError", "TimeoutError", "RuntimeError")]
    return [*(public if is_options(cls) else public[:1]), *(name for name in builtin if name not in _builtin(cls))]


def _builtin(cls: type) -> set[str]:
    """Names of the exceptions of Python that a base class of this package has already."""
    own = [base for base in cls.__bases__ if base.__module__.startswith("anycompletion")]
    return {base.__name__ for each in own for base in each.__mro__ if base.__module__ == "builtins"}


def shown_fields(cls: type) -> list[Field]:
    """The fields of a class in its table; the options of calls have those that say where a call goes."""
    fields = fields_of(cls)
    if cls is anycompletion.CallOptions:
        return sorted([*fields, *fields_of(anycompletion.TargetOptions)], key=lambda each: each.name.lower())
    if cls is not anycompletion.ClientOptions:
        return fields
    texts = arguments(anycompletion.AsyncCompletion.__doc__ or "")
    parameters = inspect.signature(anycompletion.AsyncCompletion).parameters
    return [each._replace(text=texts[each.name], default=shown(parameters[each.name].default)) for each in fields]


def _table(fields: list[Field], link: Callable[[str], str], *, first: str, missing: str) -> list[str]:
    """Table of fields; a field without a default has `missing` in its place."""
    columns: dict[str, list[str]] = {
        first: [f"`{each.name}`" for each in fields],
        "type": [_code(each.type) for each in fields],
        "unit": [each.unit for each in fields],
        "default": [_default(each, missing) for each in fields],
        "meaning": [inline(each.meaning or _COMMON.get(each.name, ""), link).replace("|", "\\|") for each in fields],
    }
    if not any(each.default for each in fields):
        del columns["default"]
    used = {name: texts for name, texts in columns.items() if any(texts)}
    rows = [list(used), ["---"] * len(used), *(list(row) for row in zip(*used.values(), strict=True))]
    return [f"| {' | '.join(row)} |" for row in rows]


_COMMON = {"extra": "JSON fields that have no attribute of their own."}
"""Texts of fields that many records have."""


def _code(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`"


def _default(field: Field, missing: str) -> str:
    if field.default in (REQUIRED, COMPUTED):
        return field.default or missing
    return _code(field.default) if field.default.isascii() and " " not in field.default else field.default


def _positional(fields: list[Field]) -> str:
    """Which arguments may be given by position, where not all may."""
    names = [f"`{each.name}`" for each in fields if not each.keyword]
    others = [each for each in fields if each.keyword and each.name not in ("extra", "role")]
    return f"By position: {', '.join(names)}; all others by keyword." if names and others else ""


def _class(name: str, cls: type, links: dict[str, str]) -> Iterator[list[str]]:
    link = _linker(links, name)
    is_record = attrs.has(cls) or issubclass(cls, msgspec.Struct) or is_options(cls)
    if bases := _bases(cls, links):
        yield wrap(f"Base: {', '.join(link(base) for base in bases)}")
    is_error = issubclass(cls, BaseException)
    if not is_record and not is_error and name not in NOT_CALLED and (code := constructor(cls)):
        yield ["```py", *code.splitlines(), "```"]
    yield markdown(cls.__dict__.get("__doc__") or "", link)
    if not is_error or "__init__" in cls.__dict__:
        fields = shown_fields(cls)
        if name == "ChatRequest":
            yield ["All fields of [`Params`](#params), with the default None, and:"]
            fields = [each for each in fields if each.name in ("model", "messages", "extra_body", "custom_id")]
        if fields:
            what = "option" if is_options(cls) else "field" if is_record else "attribute"
            yield _table(fields, link, first=what, missing="`None`" if is_options(cls) else "required")
        if is_record and (text := _positional(fields)):
            yield wrap(text)
    for member in _members(name, cls):
        yield [f"#### `{name}.{member.name}`"]
        if member.kind == "property":
            yield wrap(f"Property: `{member.signatures[0]}`")
        else:
            mark = {"class method": ["@classmethod"], "static method": ["@staticmethod"]}.get(member.kind, [])
            lines = [line for text in member.signatures for line in [*mark, *text.splitlines()]]
            yield ["```py", *lines, "```"]
        yield markdown(member.doc, link)


def _name(section: Section, name: str, links: dict[str, str]) -> Iterator[list[str]]:
    """Blocks of lines that describe one name."""
    value, link = _value(section, name), _linker(links, name)
    yield [f"### `{name}`"]
    if inspect.isclass(value) and name not in ("JsonObject", "ParamTable"):
        yield from _class(name, value, links)
    elif inspect.isfunction(inspect.unwrap(value)) or hasattr(value, "_get_wrapped_function"):
        function = value._get_wrapped_function() if hasattr(value, "_get_wrapped_function") else value
        yield ["```py", *(line for text in signatures(function) for line in text.splitlines()), "```"]
        yield markdown(function.__doc__ or "", link)
    else:
        source, text = assigned("anycompletion")[name]
        if source and len(source) < 400 and not source.startswith(("MappingProxyType", "{")):
            yield ["```py", *wrap(f"{name} = {source}", following="    "), "```"]
        yield markdown(text, link)


# --- the page ---------------------------------------------------------------------------------------------------------


def _contents(links: dict[str, str]) -> list[str]:
    out: list[str] = []
    for section in SECTIONS:
        names = ", ".join(f"[`{name}`](#{links[name]})" for name in section.names)
        out += wrap(f"- [{section.title}](#{links[section.title]}): {names}", following="  ")
    return out


def page() -> str:
    """The text of docs/reference.md."""
    links = _anchors()
    blocks = [
        ["# Reference"],
        [f"<!-- written by {COMMAND} -->"],
        wrap(
            "Every public name, with its arguments, fields and errors. The other pages show how to use them. What is "
            "not on this page may change without notice."
        ),
        wrap(
            "Times are in seconds and sizes in bytes. An option that is None is as if it were left out. Names without "
            "a module are names of `anycompletion`."
        ),
        ["## Contents"],
        _contents(links),
    ]
    for section in SECTIONS:
        blocks.append([f"## {section.title}"])
        if section.text:
            blocks.append(wrap(inline(section.text, _linker(links))))
        for name in section.names:
            blocks += [block for block in _name(section, name, links) if block]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def main() -> None:
    """Writes the page."""
    REFERENCE.parent.mkdir(exist_ok=True)
    REFERENCE.write_text(page(), "utf-8")
    sys.stdout.write(f"{REFERENCE}\n")


if __name__ == "__main__":
    main()
