"""Tests that the python snippets of README.md run."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from anycompletion import PROVIDERS
from anycompletion.testing import SimulatorServer
from support.readme import README, Snippet, snippets

TEXT = README.read_text("utf-8")

PYTHONPATH = os.pathsep.join(
    os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path
)
"""Absolute, because snippets run in another folder."""


@pytest.fixture
async def environment() -> AsyncIterator[dict[str, str]]:
    """Environment variables that direct every provider of the README to the simulator."""
    async with SimulatorServer() as simulator:
        overriding = {each for row in PROVIDERS.values() for each in (*row.token_env, *row.api_version_env)}
        values = {name: value for name, value in os.environ.items() if name not in overriding}
        for name, url in simulator.base_urls.items():
            row = PROVIDERS[name]
            values |= {row.base_url_env[0]: url, row.key_env[0]: simulator.api_keys[name]}
        values["PYTHONPATH"] = PYTHONPATH
        values["ACME_BASE_URL"] = simulator.base_urls["openai"]
        values["ACME_API_KEY"] = simulator.api_keys["openai"]
        values["AZURE_SWEDEN_ENDPOINT"] = simulator.base_urls["azure"]
        values["AZURE_SWEDEN_KEY"] = simulator.api_keys["azure"]
        yield values


@pytest.mark.parametrize("snippet", snippets(TEXT), ids=lambda snippet: f"line{snippet.line}")
async def test_every_snippet_runs(snippet: Snippet, environment: dict[str, str], tmp_path: Path) -> None:
    """A snippet copied from the README would fail."""
    program = tmp_path / "snippet.py"
    program.write_text(snippet.program, "utf-8")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", str(program)),
        env=environment,
        cwd=tmp_path,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, errors.decode()) == (0, "")
    assert "failed" not in output.decode()


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
