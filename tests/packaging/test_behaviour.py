"""Tests of the command that shows how clients behave, whose facts docs/migrating.md has."""

import importlib.util

import pytest
from benchmarks.behaviour.__main__ import CLIENTS, FACTS, facts_of

OURS = {
    "cut stream": "raises StreamInterruptedError",
    "timeout=0.5, stream of 1 s": "raises APITimeoutError",
    "429": "3",
    "pickled error": "loads",
    "misspelt keyword": "raises TypeError",
    "n=3": "ends",
    "max_tokens": "4,096",
    "system in the middle": "raises UnsupportedParameterError",
}


@pytest.mark.slow
async def test_facts_about_this_package_are_right() -> None:
    """The page about migrating would claim what this package does not do."""
    found = await facts_of("anycompletion")
    assert found is not None
    assert {name: text for name, text in found.items() if name != "version"} == OURS
    assert OURS.keys() == FACTS.keys()


@pytest.mark.slow
@pytest.mark.parametrize("client", [name for name in CLIENTS if name != "anycompletion"])
async def test_other_clients_run(client: str) -> None:
    """The command would no longer run, or lack a fact."""
    if importlib.util.find_spec(client) is None:
        pytest.skip(f"{client} is not installed")
    found = await facts_of(client)
    assert found is not None
    assert {"cut stream", "429", "pickled error", "misspelt keyword"} <= found.keys()
