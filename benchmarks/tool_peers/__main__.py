"""What the tool runners of clients do in twelve situations: ``python -m benchmarks.tool_peers``.

The table is on docs/tools.md.

Each runner runs in a process of its own, in its environment of ``python -m benchmarks.peers``, against a server that
plays the model and refuses what the provider refuses. `scenarios` has what the model does and what a user needs then;
whether a run gives it is read from what the server got, from a journal of the functions, and from what the caller got.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.peers import output_of, python_of, result_of
from benchmarks.tool_peers.common import CRASHED, IMAGE, NAMES, URLS, journal_of
from benchmarks.tool_peers.requirements import Note, Seen, problem
from benchmarks.tool_peers.scenarios import SCENARIOS, Scenario
from benchmarks.tool_peers.server import ScenarioServer

RUNNERS: Mapping[str, tuple[str, str]] = {
    "anycompletion": ("ours", "bare"),
    "openai": ("openai_runner", "openai"),
    "anthropic": ("anthropic_runner", "anthropic"),
    "pydantic-ai": ("pydantic_ai_agent", "pydantic-ai"),
}
"""Client → its module here, and its environment."""


@dataclass(frozen=True)
class Found:
    """What a runner did."""

    version: str
    seen: Mapping[str, Seen] = field(repr=False)
    """Scenario → what its run did."""
    refused: Mapping[str, Sequence[str]]
    """Scenario → why the provider refused requests."""

    def problem(self, scenario: Scenario) -> str | None:
        """What is there instead of what a user needs; None if all is as needed."""
        seen, image = self.seen[scenario.name], base64.b64encode(IMAGE).decode()
        return next(
            (found for requirement in scenario.requirements if (found := problem(requirement, seen, image))), None
        )

    def text(self, scenario: Scenario) -> str:
        """The outcome of a scenario in words."""
        done = self.seen[scenario.name].done
        notes = [text for text in (done["options"], done["figures"]) if text]
        return ": ".join(["**yes**", *notes]) if (found := self.problem(scenario)) is None else found

    @property
    def right(self) -> int:
        """How many scenarios end as a user needs it."""
        return sum(self.problem(each) is None for each in SCENARIOS)


async def found_of(runner: str, module: str = "", scenarios: Sequence[Scenario] = SCENARIOS) -> Found | None:
    """What a runner does; None where it is not installed.

    Args:
        runner: a client.
        module: another module than that of the table.
        scenarios: some of them.
    """
    own, environment = RUNNERS[runner]
    python: Path | str | None = python_of(environment)
    if python is None:
        if runner != "anycompletion":
            return None
        python = sys.executable
    with tempfile.TemporaryDirectory() as folder:
        async with ScenarioServer() as server:
            program = _Program(python, f"benchmarks.tool_peers.{module or own}", server, Path(folder))
            for scenario in scenarios:
                if scenario.crashes:
                    await program.crash(scenario)
            together = [each for each in scenarios if each.runs == 1]
            apart = [[each] for each in scenarios if each.runs > 1]
            found = [await program.run(each) for each in (together, *apart) if each]
            done = {name: ends for each in found for name, ends in each["done"].items()}
            seen = {
                each.name: Seen(server.asked[each.name], _notes(program.folder, each), done[each.name])
                for each in scenarios
            }
            return Found(found[0]["version"], seen, server.refused)


@dataclass(frozen=True)
class _Program:
    """The program of a runner."""

    python: Path | str
    module: str
    server: ScenarioServer
    folder: Path

    async def run(self, scenarios: Sequence[Scenario]) -> Any:
        """Runs it, and returns what it prints."""
        return await result_of(self.python, self.module, self._variables(scenarios))

    async def crash(self, scenario: Scenario) -> None:
        """Runs it until it dies in the function that kills it."""
        variables = {**self._variables([scenario]), "ANYCOMPLETION_TOOL_CRASH": "1"}
        status, _, errors = await output_of(self.python, self.module, variables)
        if status != CRASHED:
            raise SystemExit(f"{self.module} has not crashed:\n{errors}")

    def _variables(self, scenarios: Sequence[Scenario]) -> Mapping[str, str]:
        given = {"urls": self.server.urls, "folder": str(self.folder)}
        return {URLS: json.dumps(given), NAMES: json.dumps([each.name for each in scenarios])}


def _notes(folder: Path, scenario: Scenario) -> list[Note]:
    path = journal_of(folder, scenario)
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return [Note(*json.loads(line)) for line in lines]


def table(found: Mapping[str, Found]) -> str:
    """The table of scenarios by runners in Markdown; the last row counts the right outcomes."""
    heads = [f"{runner} {each.version}" for runner, each in found.items()]
    lines = [f"| situation | {' | '.join(heads)} |", f"| --- {'| --- ' * len(heads)}|"]
    lines += [f"| {case.name} | {' | '.join(each.text(case) for each in found.values())} |" for case in SCENARIOS]
    return "\n".join([*lines, f"| of {len(SCENARIOS)} | {' | '.join(str(each.right) for each in found.values())} |"])


async def main(runners: Sequence[str], *, verbose: bool) -> None:
    """Prints the table of all installed runners, and with `verbose` what each did before."""
    found = {name: each for name in runners if (each := await found_of(name)) is not None}
    for name, each in found.items() if verbose else ():
        for case, seen in each.seen.items():
            print(name, case, {**seen.done, "log": seen.done["log"][-1500:]}, dict(seen.results), sep="\n  ")
            print("  refused:", each.refused.get(case, []))
    print(table(found))


if __name__ == "__main__":
    names = [name for name in sys.argv[1:] if name != "--verbose"]
    asyncio.run(main(names or list(RUNNERS), verbose="--verbose" in sys.argv))
