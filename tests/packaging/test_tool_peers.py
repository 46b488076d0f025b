"""Tests of the command that compares the tool runners of clients, whose table docs/tools.md has."""

import dataclasses
import re
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from benchmarks.tool_peers.__main__ import RUNNERS, found_of
from benchmarks.tool_peers.requirements import (
    AllRight,
    Answered,
    Asked,
    AtOnce,
    CancellationRaised,
    ImageSent,
    Kept,
    Note,
    Requests,
    Requirement,
    ResultSent,
    Runs,
    Secret,
    Seen,
    Stopped,
    Within,
    problem,
)
from benchmarks.tool_peers.scenarios import SCENARIOS, Scenario

from support.pages import DOCS


def _without_times(scenario: Scenario) -> Scenario:
    """A situation without its limits of time, which a busy machine may break."""
    return dataclasses.replace(
        scenario, requirements=tuple(each for each in scenario.requirements if not isinstance(each, Within))
    )


@pytest.mark.skipif(sys.platform == "win32", reason="figures of processes come from the module resource")
@pytest.mark.parametrize("model", ["openai/gpt-4o-mini", "openai/responses/gpt-4o-mini", "anthropic/claude-haiku-4-5"])
async def test_this_package_is_right_in_all_situations(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run would not do what a user needs in some format, or the page would claim what is not so."""
    monkeypatch.setenv("ANYCOMPLETION_TOOL_MODEL", model)
    scenarios = [_without_times(each) for each in SCENARIOS if each.runs == 1 or model.startswith("openai/gpt")]
    found = await found_of("anycompletion", scenarios=scenarios)
    assert found is not None
    assert {each.name: found.problem(each) for each in scenarios if found.problem(each)} == {}
    assert found.refused == {}


def test_the_page_has_all_situations() -> None:
    """A situation would be missing from the table, or be there under another name."""
    text = (DOCS / "tools.md").read_text("utf-8").partition("## Comparison")[2]
    names = [row[2:].partition(" | ")[0] for row in re.findall(r"^\| .*", text, re.MULTILINE)]
    assert len(SCENARIOS) == 12
    assert [name for name in names if name in {each.name for each in SCENARIOS}] == [each.name for each in SCENARIOS]
    assert [runner for runner in RUNNERS if f"| {runner} " not in text] == []


_GOOD: Mapping[str, Any] = {
    "answer": "done",
    "error": "",
    "cancelled": True,
    "elapsed": 1.0,
    "kept": 2,
    "right": 5,
    "log": "",
}
_SEEN = Seen(
    [Asked({}, "{}"), Asked({"call_0_0": "sunny"}, '{"image": "cGljdHVyZQ=="}')],
    [Note("start", "wait", 1.0), Note("start", "wait", 1.1), Note("end", "wait", 2.0), Note("cancel", "wait", 2.0)],
    _GOOD,
)
_BAD = Seen(
    [Asked({"call_0_1": "sunny"}, "secret")],
    [Note("start", "wait", 1.0), Note("end", "wait", 2.0), Note("start", "wait", 2.0), Note("start", "wait", 3.0)],
    {**_GOOD, "answer": None, "error": "ValueError", "cancelled": False, "elapsed": 9.0, "kept": 0, "right": 4}
    | {"log": "secret"},
)


@pytest.mark.parametrize(
    ("requirement", "instead"),
    [
        (Answered(), "the run ends with `ValueError`"),
        (ResultSent("call_0_0", ("sun",)), "no result is sent"),
        (ImageSent(), "no image is sent"),
        (AtOnce("wait"), "one after the other"),
        (Within(2, "too late"), "too late"),
        (Runs("wait", 2, "other times"), "other times"),
        (Stopped("wait"), "the tool goes on"),
        (CancellationRaised(), "the caller gets no CancelledError"),
        (Requests(2, "other requests"), "other requests"),
        (Kept(2), "the results are lost"),
        (Secret("secret"), "it is sent and logged"),
        (AllRight(5), "1 of 5 are wrong (`ValueError`)"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_a_good_run_meets_each_requirement_and_a_bad_one_none(requirement: Requirement, instead: str) -> None:
    """A runner that does not do what a user needs would count as right, or one that does as wrong."""
    assert problem(requirement, _SEEN, "cGljdHVyZQ==") is None
    assert problem(requirement, _BAD, "cGljdHVyZQ==") == instead
