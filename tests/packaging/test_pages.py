"""Tests of the pages for users: code blocks run, and links lead somewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from anycompletion import PROVIDERS
from anycompletion.testing import SimulatorServer
from support.page_links import COMMENT, Link, anchors, broken_links, linked_pages, links
from support.pages import FILES, MARKS, README, ROOT, Snippet, all_snippets, pages, snippets, snippets_of
from support.programs import environment_of, run_command

SNIPPETS = all_snippets()

OTHER_NAMES = ("py", "python3", "pycon", "bash", "shell", "console", "zsh")
"""Names of these languages that would keep a block from being checked."""

PYTEST = (
    *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "anycompletion.testing.pytest"),
    *("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function"),
)
"""Options of the interpreter that run a block with tests."""


@pytest.fixture
async def environment() -> AsyncIterator[dict[str, str]]:
    """Environment variables that direct providers to a simulator, also those that speak OpenAI's format."""
    async with SimulatorServer() as simulator:
        compatible: dict[str, str] = {}
        for name, row in PROVIDERS.items():
            # groq stays where it is, for the blocks that show how the network is blocked.
            if name != "groq" and name not in simulator.base_urls:
                compatible |= dict.fromkeys(row.key_env[:1], simulator.api_keys["openai"])
                compatible |= dict.fromkeys(row.base_url_env[:1], simulator.base_urls["openai"])
        # A provider's rows for several formats share its key.
        yield compatible | environment_of(simulator)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that code blocks read."""
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def of_language(language: str, *, run: bool = True) -> list[Snippet]:
    """Blocks of a language that run in the tests, or that do not."""
    return [one for one in SNIPPETS if one.language == language and one.is_run == run]


def block_id(snippet: Snippet) -> str:
    """Page and line."""
    return f"{Path(snippet.page).stem}-line{snippet.line}"


@pytest.mark.parametrize("snippet", of_language("python"), ids=block_id)
async def test_every_snippet_runs(snippet: Snippet, environment: dict[str, str], folder: Path) -> None:
    """A snippet copied from a page would fail."""
    if snippet.missing:
        pytest.skip(f"{snippet.missing} is not installed")
    program = folder / ("test_snippet.py" if snippet.has_tests else "snippet.py")
    program.write_text(snippet.program, "utf-8")
    options = (*PYTEST, "-W", "error") if snippet.has_tests else ("-W", "error")
    command = (sys.executable, *options, str(program))
    status, output, errors = await run_command(*command, environment=environment, folder=folder)
    assert (status, "" if "logs" in snippet.marks else errors) == (0, ""), errors + output
    assert "Traceback" not in errors
    assert "failed" not in output


@pytest.mark.parametrize("snippet", of_language("python", run=False), ids=block_id)
def test_every_other_snippet_compiles(snippet: Snippet) -> None:
    """A snippet that cannot run in the tests, such as one of another library, would be no Python."""
    snippet.compile()


@pytest.mark.parametrize("snippet", of_language("sh"), ids=block_id)
async def test_every_marked_shell_block_runs(snippet: Snippet, environment: dict[str, str], folder: Path) -> None:
    """A command copied from a page would fail."""
    if snippet.missing:
        pytest.skip(f"{snippet.missing} is not installed")
    programs = folder / "bin"
    programs.mkdir()
    for name, module in {"anycompletion": "-m anycompletion", "python": ""}.items():
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n')
        (programs / name).chmod(0o755)
    environment["PATH"] = f"{programs}{os.pathsep}{environment['PATH']}"
    command = ("bash", "-eu", "-o", "pipefail", "-c", snippet.whole)
    status, output, errors = await run_command(*command, environment=environment, folder=folder)
    assert status == 0, errors + output
    assert "Traceback" not in errors


def test_every_code_block_is_checked_or_has_a_reason() -> None:
    """A block would escape the tests, and stay although it is out of date."""
    docs = [one for one in SNIPPETS if one.page != "docs/reference.md"]
    misnamed = [f"{one}: write python or sh" for one in docs if one.language in OTHER_NAMES]
    unmarked = [
        f"{one}: mark it run, or not run: reason"
        for one in docs
        if one.language == "sh" and not one.is_run and not one.reason("not run")
    ]
    assert misnamed + unmarked == []


@pytest.mark.parametrize("page", pages(), ids=lambda path: path.stem)
def test_every_mark_belongs_to_a_block(page: Path) -> None:
    """A mark that is misspelt, or apart from its block, would have no effect."""
    used = {mark for one in snippets_of(page) for mark in one.marks}
    comments = {text.strip() for text in COMMENT.findall(page.read_text("utf-8"))}
    assert {text for text in comments - used if text.partition(":")[0] in MARKS} == set()


@pytest.mark.parametrize("page", linked_pages(), ids=lambda path: f"{path.stem}-{path.parent.name}")
def test_every_link_leads_somewhere(page: Path) -> None:
    """A link to a file or heading that does not exist would be on a page."""
    assert broken_links(page) == []


@pytest.mark.parametrize("page", [path for path in pages() if path.parent.name == "docs"], ids=lambda path: path.stem)
def test_lines_are_wrapped(page: Path) -> None:
    """A paragraph would be one long line, which is hard to review."""
    long = [
        number
        for number, line in enumerate(page.read_text("utf-8").splitlines(), 1)
        if len(line) > 120 and not line.startswith("|") and " " in line[:120].strip()
    ]
    assert long == []


def test_the_first_pages_are_short() -> None:
    """People who choose a library would have to read for longer than ten minutes."""
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8").split("\n## ")[1:]
    assert len(README.read_text("utf-8").splitlines()) <= 220
    assert all(len(version.splitlines()) <= 40 for version in changes)


# --- the reader of pages ---------------------------------------------------------------------------------------------


def test_snippets_are_found_with_their_lines() -> None:
    """A snippet would be skipped, or a failure would point at another line."""
    text = "# A\n\n```python\nx = 1\n\n```\n\n```sh\nls\n```\n- a\n  ```python\n  if y:\n      y = 2\n  ```\n"
    assert snippets(text) == [
        Snippet("README.md", 4, "python", "x = 1\n\n"),
        Snippet("README.md", 9, "sh", "ls\n"),
        Snippet("README.md", 13, "python", "if y:\n    y = 2\n"),
    ]


def test_a_block_in_a_longer_fence_is_no_block() -> None:
    """A page about Markdown would have its examples run."""
    assert snippets("````\n```python\nx\n```\n````\n") == []


def test_marks_are_read() -> None:
    """A mark would have no effect, or apply to a block that is not below it."""
    text = "<!-- run -->\n\n<!-- needs: openai -->\n<!-- compile only: it is another library -->\n```python\nx\n```\n"
    (snippet,) = snippets(text)
    assert snippet.marks == ("needs: openai", "compile only: it is another library")
    assert (snippet.reason("needs"), snippet.is_run, snippet.is_typed) == ("openai", False, False)


@pytest.mark.parametrize(
    ("language", "mark", "run", "typed"),
    [
        ("python", "logs", True, True),
        ("python", "types only: it serves", False, True),
        ("python", "compile only: it is another library", False, False),
        ("sh", "run", True, False),
        ("sh", "not run: it installs", False, False),
        ("json", "logs", False, False),
    ],
)
def test_marks_decide_what_is_checked(language: str, mark: str, run: bool, typed: bool) -> None:
    """A block would not run or not be type-checked although it is ours."""
    snippet = Snippet("README.md", 1, language, "x\n", (mark,))
    assert (snippet.is_run, snippet.is_typed) == (run, typed)


def test_a_block_continues_the_one_before() -> None:
    """A page that explains a program in pieces would have pieces that fail alone."""
    text = "```python\na\n```\n```sh\nls\n```\n<!-- continued -->\n```python\nb\n```\n```python\nc\n```\n"
    assert [one.whole for one in snippets(text)] == ["a\n", "ls\n", "a\nb\n", "c\n"]


def test_a_missing_distribution_is_named() -> None:
    """A block would fail where a library that few users have is not installed."""
    assert Snippet("README.md", 1, "python", "", ("needs: no-such-distribution",)).missing == "no-such-distribution"
    assert Snippet("README.md", 1, "python", "", ("needs: pytest",)).missing == ""


def test_a_fragment_becomes_a_program() -> None:
    """The imports of a snippet would be inside a function, or its code outside of one."""
    code = "import json\n\nfrom os import (\n    path,\n    sep,\n)\n\nawait client.aclose()\n"
    program = Snippet("README.md", 1, "python", code).program
    compile(program, "snippet", "exec")
    assert program.index("from os") < program.index("async def") < program.index("        await client")


@pytest.mark.parametrize(
    "code",
    [
        "import asyncio\nasyncio.run(main())\n",
        'if __name__ == "__main__":\n    main()\n',
        "async def test_greeting() -> None:\n    pass\n",
        "async def handle(client: Client) -> None:\n    await client.create()\n",
        "client = AsyncCompletion()\napp = make_app(client)\n",
    ],
)
def test_a_complete_program_is_unchanged(code: str) -> None:
    """A snippet that needs neither a client nor an event loop would be wrapped, and its names seem unused."""
    assert Snippet("README.md", 1, "python", code).program == code


def test_code_that_is_no_python_is_an_error() -> None:
    """The snippets of other libraries could be anything."""
    Snippet("README.md", 1, "python", "await x\n").compile()
    with pytest.raises(SyntaxError):
        Snippet("README.md", 1, "python", "await x y\n").compile()


# --- links -----------------------------------------------------------------------------------------------------------


def test_anchors_are_those_of_forges() -> None:
    """A link to a heading would be reported that works, or not be reported although it does not."""
    text = '# A `b_c`, d!\n\n## Same\n\n## Same\n\n```sh\n# no heading\n```\n<a id="own"></a>\n## [Linked](x.md) é\n'
    assert anchors(text) == {"a-b_c-d", "same", "same-1", "own", "linked-é"}


def test_links_are_found() -> None:
    """A broken link would not be found, or code be taken for one."""
    text = '[a](b.md#c) ![p](q.png)\n`[x](y)` <!-- [x](y) -->\n\n[r]: s.md\n[`code`](t.md "Title")\n'
    assert links(text) == [Link(1, "b.md#c"), Link(1, "q.png"), Link(4, "s.md"), Link(5, "t.md")]


@pytest.fixture
def problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Writes a page beside `other.md` and returns the problems of its links."""
    monkeypatch.setattr("support.page_links.ROOT", tmp_path)
    (tmp_path / "other.md").write_text("# Title\n")

    def find(link: str) -> list[str]:
        page = tmp_path / "page.md"
        page.write_text(f"# Top\n[x]({link})\n")
        return [line.rpartition(": ")[2] for line in broken_links(page)]

    return find


@pytest.mark.parametrize("link", ["other.md", "other.md#title", "#top", "https://example.org/#x", "mailto:a@b.example"])
def test_a_good_link_is_no_problem(problems: Callable[[str], list[str]], link: str) -> None:
    """Links that work would fail the test."""
    assert problems(link) == []


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        ("none.md", "no such file"),
        ("other.md#none", "no such heading"),
        ("#title", "no such heading"),
        ("/other.md", "not relative to the page, or outside of the project"),
        ("../x.md", "not relative to the page, or outside of the project"),
        ("http://example.org", "neither https nor a path"),
        ("", "an empty link"),
    ],
)
def test_a_broken_link_is_reported(problems: Callable[[str], list[str]], link: str, problem: str) -> None:
    """A broken link would pass."""
    assert problems(link) == [problem]
