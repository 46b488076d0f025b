"""Tests of the runner of pages' code blocks: what is wrong with a block is found."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from support.page_imports import not_installed
from support.page_runs import Installations, Workplace
from support.pages import Snippet

Make = Callable[..., Workplace]


@pytest.fixture
def make(tmp_path: Path, made: Installations) -> Make:
    """Makes the workplace of a shell block with these marks."""

    def workplace(code: str, *marks: str) -> Workplace:
        folder = tmp_path / "here"
        folder.mkdir()
        return Workplace(Snippet("README.md", 1, "sh", code, marks), folder, os.environ, made)

    return workplace


async def test_an_extra_that_does_not_exist_is_found(make: Make) -> None:
    """A misspelled extra would only be a warning of pip, and the block pass."""
    status, _, errors = await make("pip install 'anycompletion[wep]'\n").run_shell()
    assert status == 0
    assert "does not provide the extra" in errors


async def test_a_requirement_that_does_not_exist_is_found(make: Make) -> None:
    """A misspelled package would be looked for in the network, or skipped."""
    status, _, errors = await make("pip install anycompletion no-such-distribution\n").run_shell()
    assert status == 1
    assert "No matching distribution found for no-such-distribution" in errors


async def test_a_service_that_ends_at_once_is_found(make: Make) -> None:
    """A block would wait for its service until the timeout, or run without it."""
    with pytest.raises(AssertionError, match="no such application"):
        await make("curl localhost:8000\n", "against: python -c 'exit(\"no such application\")'").run_shell()


async def test_a_service_that_fails_at_its_end_is_found(make: Make) -> None:
    """The traceback of a service after Ctrl-C would be overlooked."""
    serve = "import http.server as s; s.HTTPServer(('127.0.0.1', 8000), s.BaseHTTPRequestHandler).serve_forever()"
    with pytest.raises(AssertionError, match="KeyboardInterrupt"):
        await make("true\n", f'against: python -c "{serve}"').run_shell()


async def test_what_a_block_does_not_print_is_found(make: Make) -> None:
    """A page would promise an output that its command does not have."""
    workplace = make("echo port 8000\n", "prints: port 8000", "prints: port 8080")
    ended = await workplace.run_shell()
    assert workplace.unprinted(ended.output) == ["port 8080"]


def test_a_replacement_without_effect_is_an_error(make: Make) -> None:
    """A block that was changed would run in its long form."""
    with pytest.raises(AssertionError, match="is not in the block"):
        make("ls\n", "small: rounds 7 -> rounds 1").small("ls\n")


def test_an_import_that_a_page_does_not_install_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader would get an ImportError."""
    for module in ("support.pages", "support.page_imports"):
        monkeypatch.setattr(f"{module}.ROOT", tmp_path)
    (tmp_path / "pyproject.toml").write_text(
        '[project]\ndependencies = ["attrs"]\n[project.optional-dependencies]\nweb = ["starlette"]\n'
    )
    page = tmp_path / "page.md"
    page.write_text(
        "Run `pip install 'anycompletion[web]'`.\n\n```python\nimport attrs, anyio, fastapi, starlette\n```\n"
    )
    assert not_installed(page) == ["page.md:4: fastapi"]
