"""Checks the links of Markdown pages: files, and anchors as forges make them of headings."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from support.pages import DOCS, FENCE, README, ROOT

LINKED = (README, ROOT / "SECURITY.md", ROOT / "CHANGELOG.md", ROOT / "benchmarks" / "README.md")
"""Pages whose links are checked, beside those of docs/."""

_HEADING = re.compile(r"^#{1,6} +(.+?)(?: +#+)?$", re.MULTILINE)
_ANCHOR = re.compile(r"<a (?:id|name)=\"([^\"]+)\">")
_LINK = re.compile(r"\]\(<?([^\s()<>]*(?:\([^\s()]*\)[^\s()<>]*)*)>?(?: +\"[^\"]*\")?\)")
_DEFINITION = re.compile(r"^\[[^\]]+\]: +(\S+)", re.MULTILINE)
_CODE = re.compile(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)


class Link(NamedTuple):
    """Link of a page, with its line."""

    line: int
    target: str


def prose(text: str) -> str:
    """A Markdown text in which the lines of code blocks are empty."""
    lines = text.splitlines()
    fence = ""
    for i, line in enumerate(lines):
        opening = FENCE.match(line)
        if fence or opening:
            lines[i] = ""
        if fence:
            fence = "" if line.strip() == fence else fence
        elif opening:
            fence = opening[2]
    return "\n".join(lines)


@cache
def anchors(text: str) -> frozenset[str]:
    """Anchors of a Markdown text: those that forges make of its headings, and explicit ones."""
    text = prose(text)
    found: set[str] = set(_ANCHOR.findall(text))
    for heading in _HEADING.findall(text):
        slug = slug_of(heading)
        number = 0
        while (name := f"{slug}-{number}" if number else slug) in found:
            number += 1
        found.add(name)
    return frozenset(found)


def slug_of(heading: str) -> str:
    """The anchor that a forge makes of a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


def links(text: str) -> list[Link]:
    """Targets of the links and pictures of a Markdown text."""
    text = COMMENT.sub(_blank, _CODE.sub(_blank_code, prose(text)))
    return sorted(
        Link(text.count("\n", 0, match.start()) + 1, match[1])
        for pattern in (_LINK, _DEFINITION)
        for match in pattern.finditer(text)
    )


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])


def _blank_code(match: re.Match[str]) -> str:
    """The same number of lines; brackets around it still make a link."""
    return re.sub(r"[^\n]", "x", match[0])


def broken_links(path: Path) -> list[str]:
    """Links of a page to a file or an anchor that does not exist, with their lines."""
    text = path.read_text("utf-8")
    return [
        f"{path.relative_to(ROOT).as_posix()}:{link.line}: {link.target}: {problem}"
        for link in links(text)
        if (problem := _problem(path, link.target))
    ]


def _problem(page: Path, target: str) -> str:
    if re.match(r"[a-z][a-z+.-]*:", target):
        return "" if target.startswith(("https://", "mailto:")) else "neither https nor a path"
    name, _, anchor = target.partition("#")
    path = (page.parent / name).resolve() if name else page
    if target.startswith("/") or not path.is_relative_to(ROOT):
        return "not relative to the page, or outside of the project"
    if not path.exists():
        return "no such file"
    if "#" not in target:
        return "" if name else "an empty link"
    if path.suffix != ".md":
        return "an anchor in what is no page"
    if "--" in anchor:
        return "forges make different anchors of this heading: reword it, or write <a id=...> before it"
    return "" if anchor in anchors(path.read_text("utf-8")) else "no such heading"


def linked_pages() -> list[Path]:
    """Pages whose links are checked."""
    return [*LINKED, *sorted(DOCS.glob("*.md"))]
