"""Finds retired words in identifiers, comments, docstrings and texts, so that the project keeps to standard terms.

Command line: ``python tests/support/words.py [--count] [PATH ...]`` prints ``file:line: word: text`` for each
occurrence, then the number of occurrences per package; without a path it reads `DEFAULT_PATHS`.

What is checked: every identifier, comment, docstring and file name of Python files; other string literals in `lib`
only, because those of tests are mostly prompts, replies and recorded JSON; Markdown prose outside fenced code blocks.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import signal
import sys
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

if __package__:
    from .word_lists import DATA_FILES, EXEMPT, ORDINARY, RETIRED_NAMES, RETIRED_PHRASES, RETIRED_WORDS
else:  # run as a script
    from word_lists import DATA_FILES, EXEMPT, ORDINARY, RETIRED_NAMES, RETIRED_PHRASES, RETIRED_WORDS

ROOT = Path(__file__).parents[2]
DEFAULT_PATHS = ("lib", "tests", "benchmarks", "docs", "README.md", "SECURITY.md")

Exemptions = Mapping[str, Mapping[tuple[str, str], str]]

_PHRASES = {phrase: re.compile(r"\b" + phrase.replace(" ", r"[\s#]+") + r"\b", re.I) for phrase in RETIRED_PHRASES}
_ORDINARY = [re.compile(r"\b" + phrase.replace(" ", r"[\s#]+") + r"\b", re.I) for phrase in ORDINARY]
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_ESCAPE = re.compile(r"\\(?:\r?\n|.)")
_FENCE = re.compile(r"^\s*(```|~~~)")
_TEXT_TOKENS = {
    tokenize.STRING,
    *(getattr(tokenize, name) for name in ("FSTRING_MIDDLE", "TSTRING_MIDDLE") if hasattr(tokenize, name)),
}


class Found(NamedTuple):
    """One occurrence of a retired word: the file relative to the root, the line, the word, and the line's text."""

    path: str
    line: int
    word: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.word}: {self.text}"


def find_retired(paths: Iterable[Path], root: Path = ROOT) -> list[Found]:
    """All occurrences of retired words in the files at and below `paths`, exempt ones included."""
    found: list[Found] = []
    for path in _files(paths):
        found += _find_in_file(path, (path.relative_to(root) if path.is_relative_to(root) else path).as_posix())
    return found


def apply_exemptions(found: Iterable[Found], exempt: Exemptions = EXEMPT) -> tuple[list[Found], list[str]]:
    """The occurrences that no exemption covers, and the exemptions that cover none."""
    unused = {(path, word, part) for path, entries in exempt.items() for word, part in entries}
    left = []
    for one in found:
        covering = {
            (one.path, word, part) for word, part in exempt.get(one.path, ()) if word == one.word and part in one.text
        }
        unused -= covering
        if not covering:
            left.append(one)
    return left, [f"{path}: no line with {word!r} contains {part!r}" for path, word, part in sorted(unused)]


def package_of(path: str) -> str:
    """The folder a file is counted under: ``lib/anycompletion/batch``, ``tests/faults``, ``tests``, ``README.md``."""
    parts = path.split("/")
    if parts[:2] == ["lib", "anycompletion"]:
        return "/".join(parts[:3])
    return "/".join(parts[:-1][:2]) or path


# --- files -------------------------------------------------------------------------------------------------------


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    """The files at and below `paths`, without hidden folders, such as the environments of other clients."""
    for path in paths:
        if path.is_dir():
            found = (p for suffix in ("py", "pyi", "md") for p in path.rglob(f"*.{suffix}"))
            yield from sorted(p for p in found if not any(part[0] == "." for part in p.relative_to(path).parts))
        elif path.exists():
            yield path


def _find_in_file(path: Path, where: str) -> Iterator[Found]:
    source = path.read_text("utf-8")
    lines = source.splitlines()
    for word in _name_hits(path.stem):
        yield Found(where, 1, word, f"(file name) {path.name}")
    hits = _python_hits(source, where) if path.suffix in {".py", ".pyi"} else _markdown_hits(lines)
    for line, word in sorted(set(hits)):
        yield Found(where, line, word, lines[line - 1].strip())


# --- Python ------------------------------------------------------------------------------------------------------


def _python_hits(source: str, where: str) -> Iterator[tuple[int, str]]:
    docstrings = set(_docstring_lines(ast.parse(source)))
    every_string = where.startswith("lib/") and where not in DATA_FILES
    comments: list[tuple[int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        line = token.start[0]
        if token.type == tokenize.NAME:
            yield from ((line, word) for word in _name_hits(token.string))
        elif token.type == tokenize.COMMENT:
            comments.append((line, token.string))
        elif token.type in _TEXT_TOKENS and (every_string or line in docstrings):
            yield from _text_hits(_ESCAPE.sub(_blank, token.string), line)
    for line, text in _joined(comments):
        yield from _text_hits(text, line)


def _docstring_lines(tree: ast.AST) -> Iterator[int]:
    """The first lines of docstrings, those of attributes included: every expression that is only a string."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno


def _joined(comments: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Comments, those on consecutive lines as one text: a phrase may go on in the next line."""
    first, last, texts = 0, -1, list[str]()
    for line, text in comments:
        if line != last + 1:
            if texts:
                yield first, "\n".join(texts)
            first, texts = line, []
        texts.append(text)
        last = line
    if texts:
        yield first, "\n".join(texts)


def _name_hits(name: str) -> Iterator[str]:
    """The identifier itself where it is retired, otherwise the retired ones of its words."""
    if name in RETIRED_NAMES:
        yield name
    else:
        yield from (word for part in _WORD.findall(name) if (word := part.lower()) in RETIRED_WORDS)


# --- text --------------------------------------------------------------------------------------------------------


def _text_hits(text: str, first_line: int) -> Iterator[tuple[int, str]]:
    """Lines and retired words or phrases of a text that begins on `first_line`."""
    for ordinary in _ORDINARY:
        text = ordinary.sub(_blank, text)
    for match in _WORD.finditer(text):
        if (word := match[0].lower()) in RETIRED_WORDS:
            yield first_line + text.count("\n", 0, match.start()), word
    for phrase, pattern in _PHRASES.items():
        for match in pattern.finditer(text):
            yield first_line + text.count("\n", 0, match.start()), phrase


def _blank(match: re.Match[str]) -> str:
    """A text of the same lines without the match."""
    return "".join("\n" if char == "\n" else " " for char in match[0])


def _markdown_hits(lines: list[str]) -> Iterator[tuple[int, str]]:
    fence = ""
    prose = []
    for line in lines:
        mark = _FENCE.match(line)
        if mark and fence in {"", mark[1]}:
            fence = "" if fence else mark[1]
        prose.append("" if fence or mark else line)
    yield from _text_hits("\n".join(prose), 1)


# --- command line ------------------------------------------------------------------------------------------------


def main() -> int:
    """Lists the occurrences that are not exempt, then their number per package; 1 where there are any."""
    parser = argparse.ArgumentParser(description="Lists retired words, see tests/support/word_lists.py.")
    parser.add_argument("paths", nargs="*", type=Path, help=f"files and folders; default: {' '.join(DEFAULT_PATHS)}")
    parser.add_argument("--count", action="store_true", help="only the numbers per package and per word")
    options = parser.parse_args()
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends the listing without a traceback
    paths = [path.resolve() for path in options.paths] or [ROOT / path for path in DEFAULT_PATHS]
    found, _ = apply_exemptions(find_retired(paths))
    if not options.count:
        sys.stdout.writelines(f"{one}\n" for one in found)
    for package, number in sorted(Counter(package_of(one.path) for one in found).items()):
        sys.stdout.write(f"{number:6} {package}\n")
    if options.count:
        sys.stdout.writelines(f"{n:6} {word}\n" for word, n in Counter(one.word for one in found).most_common())
    sys.stdout.write(f"{len(found):6} in all\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
