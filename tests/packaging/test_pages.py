"""Tests of the pages for users: code blocks run, and links lead somewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from anycompletion import PROVIDERS
from anycompletion.testing import SimulatorServer
from support.page_imports import not_installed
from support.page_links import COMMENT, Link, anchors, broken_links, linked_pages, links
from support.page_runs import Installations, Workplace
from support.pages import MARKS, README, ROOT, Snippet, all_snippets, pages, snippets, snippets_of
from support.programs import environment_of
from support.tls_front import tls_front

SNIPPETS = all_snippets()

OTHER_NAMES = ("py", "python3", "pycon", "bash", "shell", "console", "zsh")
"""Names of these languages that would keep a block from being checked."""


@pytest.fixture
async def simulator() -> AsyncIterator[SimulatorServer]:
    """The providers that blocks reach."""
    async with SimulatorServer() as server:
        yield server


def environment_at(simulator: SimulatorServer) -> dict[str, str]:
    """Environment variables that direct providers to a simulator, also those that speak OpenAI's format."""
    compatible: dict[str, str] = {}
    for name, row in PROVIDERS.items():
        # groq stays where it is, for the blocks that show how the network is blocked.
        if name != "groq" and name not in simulator.base_urls:
            compatible |= dict.fromkeys(row.key_env[:1], simulator.api_keys["openai"])
            compatible |= dict.fromkeys(row.base_url_env[:1], simulator.base_urls["openai"])
    # A provider's rows for several formats share its key.
    return compatible | environment_of(simulator)


@pytest.fixture
async def workplace(
    snippet: Snippet, simulator: SimulatorServer, tmp_path: Path, made: Installations
) -> AsyncIterator[Workplace]:
    """Where a block runs."""
    environment = environment_at(simulator)
    async with AsyncExitStack() as open_servers:
        behind = snippet.reason("behind")
        if behind in ("tls", "google"):
            front = await open_servers.enter_async_context(tls_front(simulator))
            (tmp_path / "company-ca.pem").write_bytes(front.authority)
            if behind == "tls":
                environment = front.tls_environment(environment)
            else:
                environment = front.google_environment(environment, tmp_path)
        yield Workplace(snippet, tmp_path, environment, made)


def of_language(language: str, *, run: bool = True) -> list[Snippet]:
    """Blocks of a language that run in the tests, or that do not."""
    return [one for one in SNIPPETS if one.language == language and one.is_run == run]


def block_id(snippet: Snippet) -> str:
    """Page and line."""
    return f"{Path(snippet.page).stem}-line{snippet.line}"


@pytest.mark.parametrize("snippet", of_language("python"), ids=block_id)
async def test_every_snippet_runs(snippet: Snippet, workplace: Workplace) -> None:
    """A snippet copied from a page would fail."""
    if snippet.missing:
        await workplace.use_downloads()
    status, output, errors = await workplace.run_python()
    assert (status, "" if "logs" in snippet.marks else errors) == (0, ""), errors + output
    assert "Traceback" not in errors
    assert "failed" not in output
    assert workplace.unprinted(output) == [], output


@pytest.mark.parametrize("snippet", of_language("python", run=False), ids=block_id)
def test_every_other_snippet_compiles(snippet: Snippet) -> None:
    """A snippet that cannot run in the tests, such as one of another library, would be no Python."""
    snippet.compile()


@pytest.mark.parametrize("snippet", of_language("sh"), ids=block_id)
async def test_every_command_runs(snippet: Snippet, workplace: Workplace) -> None:
    """A command copied from a page would fail, install an extra that does not exist, or print something else."""
    if snippet.missing:
        pytest.skip(f"{snippet.missing} is not installed")
    status, output, errors = await workplace.run_shell()
    assert status == 0, errors + output
    assert "Traceback" not in errors
    assert "does not provide the extra" not in errors
    assert workplace.unprinted(output) == [], output + errors


def test_no_name_of_a_language_keeps_a_block_from_being_checked() -> None:
    """A block would escape the tests, and stay although it is out of date."""
    docs = [one for one in SNIPPETS if one.page != "docs/reference.md"]  # whose blocks are those of docstrings
    assert [f"{one}: write python or sh" for one in docs if one.language in OTHER_NAMES] == []


@pytest.mark.parametrize("page", [page for page in pages() if page.stem != "reference"], ids=lambda path: path.stem)
def test_what_a_page_imports_is_what_it_installs(page: Path) -> None:
    """A reader who has run the commands of a page could not run its programs."""
    assert not_installed(page) == []


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
    text = "<!-- serves -->\n\n<!-- needs: openai -->\n<!-- compile only: it is theirs -->\n```python\nx\n```\n"
    (snippet,) = snippets(text)
    assert snippet.marks == ("needs: openai", "compile only: it is theirs")
    assert (snippet.reason("needs"), snippet.is_run, snippet.is_typed) == ("openai", False, False)


@pytest.mark.parametrize(
    ("language", "mark", "run", "typed"),
    [
        ("python", "logs", True, True),
        ("python", "compile only: it is another library", False, False),
        ("sh", "serves", True, False),
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
