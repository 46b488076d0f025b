"""Tests that the python snippets of README.md run."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.programs import run_program
from support.readme import README, Snippet, snippets

TEXT = README.read_text("utf-8")


@pytest.mark.parametrize("snippet", snippets(TEXT), ids=lambda snippet: f"line{snippet.line}")
async def test_every_snippet_runs(snippet: Snippet, environment: dict[str, str], tmp_path: Path) -> None:
    """A snippet copied from the README would fail."""
    program = tmp_path / "snippet.py"
    program.write_text(snippet.program, "utf-8")
    assert "failed" not in await run_program(program, environment, tmp_path)


def test_snippets_are_found_with_their_lines() -> None:
    """A snippet would be skipped, or a failure would point at another line."""
    text = "# A\n\n```python\nx = 1\n\n```\n\n```sh\nls\n```\n```python\ny = 2\n```\n"
    assert snippets(text) == [Snippet(4, "x = 1\n\n"), Snippet(12, "y = 2\n")]


def test_a_fragment_becomes_a_program() -> None:
    """The imports of a snippet would be inside a function, or its code outside of one."""
    program = Snippet(1, "import json\n\nfrom os import path\n\nawait client.aclose()\n").program
    compile(program, "snippet", "exec")
    assert program.index("from os") < program.index("async def") < program.index("        await client")


def test_a_complete_program_is_unchanged() -> None:
    """A snippet that runs an event loop would be wrapped in another one."""
    code = "import asyncio\nasyncio.run(main())\n"
    assert Snippet(1, code).program == code
