"""Converts docstrings to Markdown: paragraphs, lists, tables, code, and sections such as ``Args:``."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterator

Link = Callable[[str], str]
"""A name in single backticks → Markdown."""

WIDTH = 120

_SECTIONS = {"Args:": "Arguments", "Raises:": "Raises", "Returns:": "Returns", "Yields:": "Yields"}
_ENTRY = re.compile(r"^ {4}(\S[^:]*): (.*)$")
_SPAN = re.compile(r"``(.+?)``|`([^`]+)`", re.DOTALL)
_RULE = re.compile(r"^=+(?:  +=+)+$")


def wrap(text: str, indent: str = "", following: str | None = None) -> list[str]:
    """Lines of one paragraph."""
    after = indent if following is None else following
    options = {"width": WIDTH, "break_long_words": False, "break_on_hyphens": False}
    return textwrap.wrap(text, initial_indent=indent, subsequent_indent=after, **options)


def inline(text: str, link: Link) -> str:
    """A text on one line, with its code and names as Markdown."""
    text = " ".join(text.split())
    out, end = [], 0
    for match in _SPAN.finditer(text):
        out.append(_escaped(text[end : match.start()]))
        out.append(_code(match[1]) if match[1] else link(match[2]))
        end = match.end()
    return "".join([*out, _escaped(text[end:])])


def _escaped(text: str) -> str:
    return re.sub(r"(<(?!https:)|\*)", r"\\\1", text)


def _code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def markdown(doc: str, link: Link) -> list[str]:
    """Markdown of a docstring: lines, with an empty one between blocks."""
    out: list[str] = []
    for block in _blocks(inspect.cleandoc(doc).splitlines()):
        out += ["", *_block(block, link)] if out else _block(block, link)
    return out


def _blocks(lines: list[str]) -> Iterator[list[str]]:
    """Paragraphs; a section and an indented block after ``::`` include the empty lines inside them."""
    block: list[str] = []
    for i, line in enumerate(lines):
        whole = bool(block) and (block[0] in _SECTIONS or block[0] == "::")
        if line or (whole and any(rest.startswith(" ") for rest in lines[i + 1 : i + 3])):
            if whole and line and not line.startswith(" "):
                yield block
                block = []
            block.append(line)
        elif block and block != ["::"]:
            yield block
            block = []
        elif block:
            block.append(line)
    if block:
        yield block


def _block(block: list[str], link: Link) -> list[str]:
    if block[0] == "::":
        return ["```py", *textwrap.dedent("\n".join(block[1:])).strip("\n").splitlines(), "```"]
    if block[0] in _SECTIONS:
        names = _code if block[0] == "Args:" else link
        return [f"**{_SECTIONS[block[0]]}**", "", *_entries(block[1:], names, link)]
    if _RULE.match(block[0]):
        return _table(block, link)
    if block[0].startswith("* "):
        return _items(block, link)
    return wrap(inline("\n".join(block), link))


def _items(lines: list[str], link: Link, indent: str = "") -> list[str]:
    items: list[list[str]] = []
    for line in lines:
        if line.startswith("* "):
            items.append([line[2:]])
        else:
            items[-1].append(line)
    out: list[str] = []
    for item in items:
        out += wrap(inline("\n".join(item), link), f"{indent}- ", f"{indent}  ")
    return out


def _entries(lines: list[str], names: Link, link: Link) -> list[str]:
    """List of the arguments or errors of a section; an entry may have a list of its own."""
    out: list[str] = []
    for name, texts in _split(lines):
        first = next((i for i, line in enumerate(texts) if line.strip().startswith("* ")), len(texts))
        shown = f"{names(name)}: " if name else ""
        out += wrap(shown + inline("\n".join(texts[:first]), link), "- ", "  ")
        out += _items(textwrap.dedent("\n".join(texts[first:])).splitlines(), link, "  ")
    return out


def _split(lines: list[str]) -> list[tuple[str, list[str]]]:
    """Name and lines of each entry of a section."""
    entries: list[tuple[str, list[str]]] = []
    for line in lines:
        if entry := _ENTRY.match(line):
            entries.append((entry[1], [entry[2]]))
        elif not entries:
            entries.append(("", [line]))
        else:
            entries[-1][1].append(line)
    return entries


def arguments(doc: str) -> dict[str, str]:
    """Argument → its text in a docstring."""
    blocks = _blocks(inspect.cleandoc(doc).splitlines())
    section = next((block for block in blocks if block[0] == "Args:"), ["Args:"])
    return {name: "\n".join(texts) for name, texts in _split(section[1:])}


def _table(block: list[str], link: Link) -> list[str]:
    """A table of reStructuredText, whose columns are marked by lines of ``=``."""
    starts = [match.start() for match in re.finditer(r"=+", block[0])]
    rows = [
        [inline(line[start:end], link) for start, end in zip(starts, [*starts[1:], None], strict=True)]
        for line in block
        if not _RULE.match(line)
    ]
    rows.insert(1, ["---"] * len(starts))
    return [f"| {' | '.join(row)} |" for row in rows]
