"""Extracts the python snippets of README.md, each as a program that can be run and type-checked."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import NamedTuple

README = Path(__file__).parents[2] / "README.md"

_FENCED = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_IMPORTS = re.compile(r"(?:(?:import|from) .*\n|\n)*")

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


class Snippet(NamedTuple):
    """Python block of a Markdown text, with the line it begins on."""

    line: int
    code: str

    @property
    def program(self) -> str:
        """The snippet as a program; one that runs no event loop is wrapped in one with an open `client`."""
        if "asyncio.run(" in self.code:
            return self.code
        imports = _IMPORTS.match(self.code)
        assert imports is not None, "the pattern matches the empty string"
        body = textwrap.indent(self.code[imports.end() :], " " * 8)
        return _FRAGMENT.format(imports=imports.group(), body=body)


def snippets(text: str) -> list[Snippet]:
    """Python blocks of a Markdown text, in order."""
    return [Snippet(text.count("\n", 0, match.start()) + 2, match.group(1)) for match in _FENCED.finditer(text)]
