"""Reads the Markdown pages for users, README.md and docs/*.md: their code blocks, headings and links.

Code blocks of three backticks are checked by their language:

- ``python``: runs against the simulator, and passes mypy and pyright in strict mode. A block that runs an event loop,
  has ``if __name__``, or defines ``test_...`` functions (which pytest runs) is a program, and so is one that neither
  awaits nor uses `client`; any other is put into a coroutine with an open `client`.
- ``sh``: runs in bash. One with ``pip install`` has a new virtual environment, in which this checkout can be installed.
- any other language: is not checked.

A block is marked by HTML comments in the lines before it, one mark each, without an empty line between. `page_runs`
has the details of those that change how a block runs.

- ``<!-- continued -->``: the block goes on from the block of the same language before it, and both run as one.
- ``<!-- compile only: reason -->``: python of other libraries, such as the state before a migration; it only compiles.
- ``<!-- needs: name -->``: it is skipped where neither a distribution nor a program of that name is installed.
- ``<!-- logs -->``: it may write to stderr, warnings included.
- ``<!-- prints: text -->``: what it prints has this text.
- ``<!-- file: name -->``: the blocks below it on the page find it saved under that name. Also for other languages.
- ``<!-- serves -->``: it runs until Ctrl-C. It is interrupted when it listens.
- ``<!-- against: command -->``: a command that serves, and runs while the block does.
- ``<!-- small: this -> that -->``: a text of the block that the tests replace, so that it ends in seconds.
- ``<!-- with: NAME=value ... -->``: environment variables of the block; those without a value are removed.
- ``<!-- in: clone -->``: it runs in a copy of this checkout; ``in: small clone`` has the settings, and few files.
- ``<!-- from the index -->``: its ``pip install`` may download. It is skipped where the index cannot be reached.
- ``<!-- behind: tls -->``: its servers speak TLS, with certificates of the authority in ``company-ca.pem``.
- ``<!-- behind: google -->``: Google Cloud's hosts lead to the simulator, and the machine has credentials for them.
- ``<!-- behind: aws -->``: the command ``aws`` is a stand-in that prints credentials.

Blocks run in an empty folder that has `FILES`. Providers' keys and base URLs are set in the environment. The ports 8000
and 8080 are replaced by free ones in blocks that serve, or run against a service.

``ANYCOMPLETION_TEST_PAGES=docs/errors.md`` in the environment restricts the tests to some pages, separated by commas:
``python -m pytest tests/packaging/test_pages.py`` runs their blocks and checks their links, and
``python -m pytest tests/packaging/test_typing.py -k pages`` type-checks them.
"""

from __future__ import annotations

import ast
import inspect
import os
import re
import shutil
import struct
import textwrap
import zlib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"

_FLAGS = ("continued", "logs", "serves", "from the index")
_WITH_TEXT = ("compile only", "needs", "prints", "file", "against", "small", "with", "in", "behind")
MARKS = (*_FLAGS, *_WITH_TEXT)

_MARK = re.compile(rf"^ *<!-- ({'|'.join(_FLAGS)}|(?:{'|'.join(_WITH_TEXT)}): \S.*) -->$")
FENCE = re.compile(r"^( *)(`{3,}|~{3,})(\w*)")
_IMPORTS = re.compile(r"(?:(?:import|from) [^(\n]*(?:\([^)]*\))?\n|\n)*")
_PROGRAM = re.compile(r"asyncio\.run\(|^if __name__ == |^(?:async )?def test_", re.MULTILINE)
_TESTS = re.compile(r"^(?:async )?def test_", re.MULTILINE)

_FRAGMENT = """\
import asyncio as the_asyncio

from anycompletion import AsyncCompletion as TheClient
{imports}

async def main() -> None:
    async with TheClient() as client:
        assert client  # a snippet need not use it
{body}

the_asyncio.run(main())
"""
"""The aliases do not collide with what a snippet imports."""


def _png() -> bytes:
    """A red picture of 8 by 8 pixels."""

    def part(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\xff\0\0" * 8) * 8
    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b"")


FILES: dict[str, bytes] = {
    "photo.png": _png(),
    "report.txt": b"The committee met twice in May and decided nothing.\n",
    "questions.jsonl": b"".join(
        b'{"custom_id": "%s", "messages": [{"role": "user", "content": "What is %s?"}]}\n' % (name, name)
        for name in (b"salt", b"pepper", b"cinnamon")
    ),
}
"""Name → content of the files in the folder in which code blocks run."""


def _is_module(code: str) -> bool:
    """Whether the code runs as it is: outside of functions it awaits nothing, and it makes the `client` it uses."""
    compiled = compile(code, "snippet", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    nodes = list(ast.walk(ast.parse(code)))
    uses = [node.ctx for node in nodes if isinstance(node, ast.Name) and node.id == "client"]
    has_own = any(isinstance(use, ast.Store) for use in uses) or any(
        isinstance(node, ast.arg) and node.arg == "client" for node in nodes
    )
    return not compiled.co_flags & inspect.CO_COROUTINE and (has_own or not uses)


def _is_installed(name: str) -> bool:
    """Whether there is a distribution or a program of this name."""
    try:
        return bool(distribution(name))
    except PackageNotFoundError:
        return shutil.which(name) is not None


class Snippet(NamedTuple):
    """Code block of a page, with the line it begins on."""

    page: str
    """Path of the page, relative to the project's folder."""
    line: int
    language: str
    code: str
    marks: tuple[str, ...] = ()
    before: str = ""
    """Code of the blocks that it continues."""

    @property
    def whole(self) -> str:
        """Its code, with that of the blocks that it continues."""
        return self.before + self.code

    @property
    def program(self) -> str:
        """The snippet as a program; one that is none is wrapped in a coroutine with an open `client`."""
        if _PROGRAM.search(self.whole) or _is_module(self.whole):
            return self.whole
        imports = _IMPORTS.match(self.whole)
        assert imports is not None, "the pattern matches the empty string"
        body = textwrap.indent(self.whole[imports.end() :], " " * 8)
        return _FRAGMENT.format(imports=imports.group(), body=body)

    @property
    def has_tests(self) -> bool:
        """Whether it defines tests for pytest."""
        return _TESTS.search(self.whole) is not None

    @property
    def is_run(self) -> bool:
        """Whether it runs in the tests."""
        return self.language in ("python", "sh") and not self.reason("compile only")

    @property
    def is_typed(self) -> bool:
        """Whether type checkers read it."""
        return self.language == "python" and not self.reason("compile only")

    @property
    def missing(self) -> str:
        """What it needs and that is not installed, or nothing."""
        return next((name for name in self.reasons("needs") if not _is_installed(name)), "")

    def reasons(self, mark: str) -> list[str]:
        """What follows each mark of this name."""
        return [text.partition(": ")[2] for text in self.marks if text.partition(": ")[0] == mark]

    def reason(self, mark: str) -> str:
        """What follows a mark, such as the reason of ``compile only``; empty where the block lacks the mark."""
        return next(iter(self.reasons(mark)), "")

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def name(self) -> str:
        """A name for a file."""
        page = re.sub(r"\W", "_", self.page.removesuffix(".md"))
        return f"{page}_line_{self.line}"

    def compile(self) -> None:
        """Raises a SyntaxError where it is no Python."""
        compile(self.code, str(self), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


def pages() -> list[Path]:
    """README.md and the pages of docs/, in the order of their names, or those that the environment names."""
    if named := os.environ.get("ANYCOMPLETION_TEST_PAGES"):
        return [ROOT / name for name in named.split(",")]
    return [README, *sorted(DOCS.glob("*.md"))]


def whole_text() -> str:
    """The text of all pages, for tests that something is on one of them."""
    return "\n".join(path.read_text("utf-8") for path in (README, *sorted(DOCS.glob("*.md"))))


def snippets(text: str, page: str = "README.md") -> list[Snippet]:
    """Code blocks of a Markdown text that name a language, in order."""
    found: list[Snippet] = []
    latest: dict[str, str] = {}
    lines = text.splitlines(keepends=True)
    for first, language, indent, block in _blocks(lines):
        code = textwrap.dedent("".join(block)) if indent else "".join(block)
        marks = tuple(reversed(list(_marks_above(lines, first - 1))))
        before = latest.get(language, "") if "continued" in marks else ""
        latest[language] = before + code
        found.append(Snippet(page, first + 1, language, code, marks, before))
    return found


def all_snippets() -> list[Snippet]:
    """Code blocks of all pages."""
    return [one for path in pages() for one in snippets_of(path)]


def snippets_of(path: Path) -> list[Snippet]:
    """Code blocks of one page."""
    return snippets(path.read_text("utf-8"), path.relative_to(ROOT).as_posix())


def _blocks(lines: list[str]) -> Iterator[tuple[int, str, str, list[str]]]:
    """Index of the first line, language, indent and lines of each fenced block that names a language."""
    fence, first, language, indent = "", 0, "", ""
    for i, line in enumerate(lines):
        if fence:
            if line.strip() == fence:
                if language:
                    yield first, language, indent, lines[first:i]
                fence = ""
        elif opening := FENCE.match(line):
            indent, fence, language = opening.groups()
            first = i + 1


def _marks_above(lines: list[str], fence: int) -> Iterator[str]:
    """Marks in the lines right above a fence, the nearest first."""
    for line in reversed(lines[:fence]):
        mark = _MARK.match(line.rstrip())
        if mark is None:
            return
        yield mark[1]


def write_programs(blocks: list[Snippet], folder: Path) -> None:
    """Writes the code blocks that are type-checked as programs into a folder."""
    for snippet in blocks:
        if snippet.is_typed and not snippet.missing:
            (folder / f"{snippet.name}.py").write_text(snippet.program, "utf-8")
