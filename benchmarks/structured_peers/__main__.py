"""What clients return for the same types and replies: ``python -m benchmarks.structured_peers``.

The tables are on docs/structured.md.

Each client runs in a process of its own, in its environment of ``python -m benchmarks.peers``, against a server that
refuses the schemas that OpenAI refuses. For types, it gives the reply in the form of the schema that it is sent, as
OpenAI does; the second table has texts that it gives as they are.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.peers import python_of, result_of
from benchmarks.structured_peers.cases import Case
from benchmarks.structured_peers.common import BASE_URL
from benchmarks.structured_peers.replies import REPLIES
from benchmarks.structured_peers.server import TypedReplyServer
from benchmarks.structured_peers.types import TYPES

CLIENTS: Mapping[str, tuple[str, str]] = {
    "anycompletion": ("ours", "pydantic"),
    "openai": ("openai_python", "openai"),
    "instructor": ("instructor_python", "instructor"),
    "pydantic-ai": ("pydantic_ai_agent", "pydantic-ai"),
    "litellm": ("lite_llm", "litellm"),
}
"""Client → its module here, and its environment."""

CASES = {case.name: case for case in (*TYPES, *REPLIES)}


@dataclass(frozen=True)
class Found:
    """What a client did."""

    version: str
    outcomes: Mapping[str, str]
    """Case → "value", "other value", or the name of an error."""
    asked: Mapping[str, int]
    refused: Mapping[str, str]
    """Case → why the server refused the schema."""

    def text(self, case: Case) -> str:
        """Its outcome of a case, in words; the right one is bold."""
        outcome = self.outcomes[case.name]
        if outcome == "other value" or (outcome == "value" and case.expected is None):
            return "another value"
        if outcome == "value":
            return "**value**"
        if case.name in self.refused:
            return "400"
        if case.name not in self.asked:
            return "refuses the type"
        return "**raises**" if case.expected is None else "raises"

    def right(self, cases: Sequence[Case]) -> int:
        """How many outcomes are right."""
        return sum(self.text(case).startswith("**") for case in cases)


async def found_of(client: str) -> Found | None:
    """What a client does; None where it is not installed."""
    module, environment = CLIENTS[client]
    python = python_of(environment)
    if python is None:
        if client != "anycompletion":
            return None
        python = sys.executable
    async with TypedReplyServer(CASES) as server:
        variables = {BASE_URL: f"http://127.0.0.1:{server.port}/v1"}
        found = await result_of(python, f"benchmarks.structured_peers.{module}", variables)
        return Found(found["version"], found["outcomes"], server.asked, server.refused)


def table(title: str, cases: Sequence[Case], found: Mapping[str, Found]) -> str:
    """A table of cases by clients in Markdown; the last row counts the right outcomes."""
    heads = [f"{client} {each.version}" for client, each in found.items()]
    lines = [f"| {title} | {' | '.join(heads)} |", f"| --- {'| --- ' * len(heads)}|"]
    for case in cases:
        name = case.name.replace("|", "\\|")
        lines.append(f"| {name} | {' | '.join(each.text(case) for each in found.values())} |")
    lines.append(f"| right of {len(cases)} | {' | '.join(str(each.right(cases)) for each in found.values())} |")
    return "\n".join(lines)


async def main(clients: Sequence[str], *, verbose: bool) -> None:
    """Prints the tables of all installed clients, and with `verbose` the errors before."""
    found = {client: each for client in clients if (each := await found_of(client)) is not None}
    for client, each in found.items() if verbose else ():
        for case in CASES.values():
            print(client, case.name, each.outcomes[case.name], each.refused.get(case.name, ""), sep=" · ")
    print(table("type", TYPES, found), table("reply", REPLIES, found), sep="\n\n")


if __name__ == "__main__":
    names = [name for name in sys.argv[1:] if name != "--verbose"]
    asyncio.run(main(names or list(CLIENTS), verbose="--verbose" in sys.argv))
