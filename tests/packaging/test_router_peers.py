"""Tests of the command that compares routers, whose table docs/routing.md has."""

import re

from benchmarks.router_peers.__main__ import CLIENTS, found_of, rows
from benchmarks.router_peers.plan import DECLARED, OUTAGE, SILENCE, STORM, STORM_OF_ALL, UNKNOWN

from support.pages import DOCS


async def test_routes_do_what_the_page_claims() -> None:
    """Calls would be lost in an outage, or go on to a deployment that is away, and the page would claim otherwise."""
    found = (await found_of(["anycompletion"], short=True))["anycompletion"]
    seen = found.outcomes
    assert {name: seen[name].lost for name in (OUTAGE, SILENCE, STORM, UNKNOWN, DECLARED)} == dict.fromkeys(
        (OUTAGE, SILENCE, STORM, UNKNOWN, DECLARED), 0
    )
    assert seen[STORM_OF_ALL].lost <= 1  # the one that asked all four
    assert seen[OUTAGE].faulty < len(seen[OUTAGE].calls) / 4
    assert seen[SILENCE].faulty < len(seen[SILENCE].calls) / 2
    assert seen[STORM].faulty < len(seen[STORM].calls)
    assert (seen[UNKNOWN].requests, seen[DECLARED].requests) == (3.0, 1.0)
    text = (DOCS / "routing.md").read_text("utf-8").partition("## Comparison")[2]
    names = [row[2:].partition(" | ")[0] for row in re.findall(r"^\| .*", text, re.MULTILINE)]
    expected = list(rows(found))
    assert [name for name in names if name in expected] == expected
    assert [client for client in CLIENTS if f"| {client} " not in text] == []
