"""The python snippets of README.md, each as a program that can be run and type-checked."""

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
"""The names are such that a snippet may import the same things under their own."""


class Snippet(NamedTuple):
    """A python block of a Markdown text, and the line it begins on."""

    line: int
    code: str

    @property
    def program(self) -> str:
        """The snippet as a whole program; one that runs no event loop of its own is given `client` and a loop."""
        if "asyncio.run(" in self.code:
            return self.code
        imports = _IMPORTS.match(self.code)
        assert imports is not None, "an empty match is one, too"
        body = textwrap.indent(self.code[imports.end() :], " " * 8)
        return _FRAGMENT.format(imports=imports.group(), body=body)


def snippets(text: str) -> list[Snippet]:
    """The python blocks of `text`, in order."""
    return [Snippet(text.count("\n", 0, match.start()) + 2, match.group(1)) for match in _FENCED.finditer(text)]
