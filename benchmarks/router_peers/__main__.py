"""What routers do in an outage, a storm of 429 and with long prompts: ``python -m benchmarks.router_peers [--short]``.

The table is on docs/routing.md. Each client runs in a process of its own, in its environment of ``python -m
benchmarks.peers``, over four servers on this machine. The long form has an outage of a true minute and takes four
minutes; the short one has a thirtieth of it. Times are CPU times of the client's process, or seconds that a call took
above the median of the calls before and after the fault.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from benchmarks.peers import python_of, result_of
from benchmarks.router_peers.common import ADDRESSES
from benchmarks.router_peers.deployments import Deployments
from benchmarks.router_peers.plan import (
    DECLARED,
    DIRECT,
    OUTAGE,
    ROUTED,
    SILENCE,
    STORM,
    STORM_OF_ALL,
    UNKNOWN,
    Scenario,
    scenarios,
)

CLIENTS: Mapping[str, tuple[str, str]] = {
    "anycompletion": ("ours", "bare"),
    "LiteLLM's Router": ("lite_llm", "litellm"),
    "LiteLLM's Router, defaults": ("lite_llm_defaults", "litellm"),
}
"""Client → its module here, and its environment."""


@dataclass(frozen=True)
class Outcome:
    """What a client did in a scenario."""

    scenario: Scenario
    calls: Sequence[Mapping[str, Any]]
    processor: float
    sent: Sequence[int]
    """Requests that each deployment got."""
    faulty: int
    """Requests that met a fault."""

    @property
    def lost(self) -> int:
        """How many calls raised an error."""
        return sum(call["error"] is not None for call in self.calls)

    @property
    def per_call(self) -> float:
        """CPU microseconds of a call."""
        return self.processor / len(self.calls) * 1e6

    @property
    def requests(self) -> float:
        """Requests per call."""
        return sum(self.sent) / len(self.calls)

    def added(self) -> tuple[float, float] | None:
        """Median and 99th percentile of the milliseconds that answers to calls made in the fault took longer."""
        fault = self.scenario.fault
        assert fault is not None
        answered = [each for each in self.calls if each["error"] is None]
        inside = [each["seconds"] for each in answered if fault.begin <= each["begin"] < fault.end]
        outside = [each["seconds"] for each in answered if not fault.begin <= each["begin"] < fault.end]
        if not inside:
            return None
        usual = statistics.median(outside) if outside else min(inside)
        above = sorted(1000 * max(0.0, seconds - usual) for seconds in inside)
        return statistics.median(above), above[min(len(above) - 1, int(len(above) * 0.99))]


@dataclass(frozen=True)
class Found:
    """What a client did in all scenarios."""

    version: str
    outcomes: Mapping[str, Outcome]

    def per_call(self, kind: str) -> float:
        """CPU microseconds of a call in the best of the rounds."""
        return min(each.per_call for name, each in self.outcomes.items() if name.startswith(kind))


async def _outcomes(client: str, python: Any, names: Sequence[str], *, short: bool) -> Found:
    module, _ = CLIENTS[client]
    planned = {name: each for name, each in scenarios(short=short).items() if name in names}
    async with AsyncExitStack() as stack:
        servers = {name: await stack.enter_async_context(Deployments(each)) for name, each in planned.items()}
        urls = {name: server.urls for name, server in servers.items()}
        variables = {ADDRESSES: json.dumps({"short": short, "urls": urls})}
        seen = await result_of(python, f"benchmarks.router_peers.{module}", variables)
        return Found(
            seen["version"],
            {
                name: Outcome(
                    each,
                    seen["scenarios"][name]["calls"],
                    seen["scenarios"][name]["processor"],
                    servers[name].sent,
                    servers[name].faulty,
                )
                for name, each in planned.items()
            },
        )


async def found_of(clients: Sequence[str], *, short: bool) -> Mapping[str, Found]:
    """What the clients do that are installed; this package always is."""
    pythons = {client: python_of(CLIENTS[client][1]) for client in clients}
    pythons = {
        client: python or sys.executable for client, python in pythons.items() if python or client == "anycompletion"
    }
    quiet = [name for name in scenarios(short=short) if name.startswith((DIRECT, ROUTED))]
    others = [name for name in scenarios(short=short) if name not in quiet]
    # Where CPU time counts, no other client runs meanwhile.
    measured = [await _outcomes(client, python, quiet, short=short) for client, python in pythons.items()]
    paced = await asyncio.gather(*(_outcomes(client, pythons[client], others, short=short) for client in pythons))
    return {
        client: Found(one.version, {**one.outcomes, **two.outcomes})
        for client, one, two in zip(pythons, measured, paced, strict=True)
    }


def _milliseconds(outcome: Outcome) -> str:
    added = outcome.added()
    return "–" if added is None else f"{added[0]:,.0f} / {added[1]:,.0f}"


def rows(found: Found) -> Mapping[str, str]:
    """The rows of the table for one client."""
    seen = found.outcomes
    table = {
        "CPU of a call, µs": f"{found.per_call(ROUTED):,.0f}",
        "of which routing, µs": f"{found.per_call(ROUTED) - found.per_call(DIRECT):,.0f}",
    }
    for name in (OUTAGE, SILENCE):
        table[f"{name}: calls lost"] = f"{seen[name].lost} of {len(seen[name].calls)}"
        table[f"{name}: requests to it"] = str(seen[name].faulty)
        table[f"{name}: added ms, p50 / p99"] = _milliseconds(seen[name])
    for name in (STORM, STORM_OF_ALL):
        table[f"{name}: calls lost"] = f"{seen[name].lost} of {len(seen[name].calls)}"
        table[f"{name}: requests refused"] = str(seen[name].faulty)
        table[f"{name}: added ms, p50 / p99"] = _milliseconds(seen[name])
    for name in (UNKNOWN, DECLARED):
        table[f"{name}: calls lost"] = f"{seen[name].lost} of {len(seen[name].calls)}"
        table[f"{name}: requests per call"] = f"{seen[name].requests:.1f}"
    return table


def table_of(found: Mapping[str, Found]) -> str:
    """The table in Markdown, a column per client."""
    heads = [f"{client} {each.version}" for client, each in found.items()]
    columns = [rows(each) for each in found.values()]
    lines = [f"| | {' | '.join(heads)} |", f"| --- {'| ---: ' * len(heads)}|"]
    lines += [f"| {row} | {' | '.join(column[row] for column in columns)} |" for row in columns[0]]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.router_peers", description=str(__doc__).partition("\n")[0]
    )
    parser.add_argument("clients", nargs="*", help=f"of: {', '.join(CLIENTS)}; default: all that are installed")
    parser.add_argument("--short", action="store_true", help="outages of two seconds, few calls")
    parser.add_argument("--verbose", action="store_true", help="also prints how often which error was raised")
    options = parser.parse_args(arguments)
    found = asyncio.run(found_of(options.clients or list(CLIENTS), short=options.short))
    if options.verbose:
        for client, each in found.items():
            for name, outcome in each.outcomes.items():
                errors = [call["error"] for call in outcome.calls if call["error"]]
                print(
                    client,
                    name,
                    outcome.sent,
                    outcome.faulty,
                    {kind: errors.count(kind) for kind in sorted(set(errors))},
                )
    print(table_of(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
