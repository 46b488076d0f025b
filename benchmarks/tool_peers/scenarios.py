"""The scenarios: what the model does, which limits the caller sets, and what a user needs then; all of it is data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from benchmarks.tool_peers.requirements import (
    AllRight,
    Answered,
    AtOnce,
    CancellationRaised,
    ImageSent,
    Kept,
    Requests,
    Requirement,
    ResultSent,
    Runs,
    Secret,
    Stopped,
    Within,
)

SECRET = "hunter2-is-the-password"
REASON = "not on a Friday"


@dataclass(frozen=True)
class Call:
    """A call that the model makes."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])


Turn: TypeAlias = tuple[Call, ...]
"""The calls of one reply; the reply after the last turn is a text."""


@dataclass(frozen=True)
class Scenario:
    """One situation."""

    name: str
    """Text of its row."""
    turns: tuple[Turn, ...]
    requirements: tuple[Requirement, ...]
    """What a user needs; the table has the first one that is not met."""
    endless: bool = False
    """Whether the model makes the calls of its last turn again and again."""
    max_turns: int | None = None
    tool_timeout: float | None = None
    """Seconds that one call may take."""
    denied: tuple[str, ...] = ()
    """Functions whose calls a person has to approve, and denies with `REASON`."""
    cancelled_in: str | None = None
    """The function that runs when the caller cancels the run."""
    crashes: bool = False
    """Whether the process of the first run dies in a function, and another process resumes the run."""
    runs: int = 1
    """Runs at the same time."""

    @property
    def is_about_concurrency(self) -> bool:
        """Whether a user needs that calls run at the same time."""
        return any(isinstance(requirement, AtOnce) for requirement in self.requirements)

    def prompt(self, run: int = 0) -> str:
        """The user's message, by which the server knows the scenario."""
        return f"Scenario: {self.name}. Run {run}."

    def calls(self, turn: int, run: int) -> Turn:
        """The calls of one reply; none if it is a text."""
        if turn >= len(self.turns):
            return self.turns[-1] if self.endless else ()
        return tuple(Call(each.name, {**each.arguments, **self._own(run)}) for each in self.turns[turn])

    def _own(self, run: int) -> Mapping[str, Any]:
        """Arguments that differ between runs at the same time."""
        return {"number": run} if self.runs > 1 else {}


def scenario_of(text: str) -> tuple[Scenario, int]:
    """The scenario and the number of a run, from a request."""
    found = re.search(r"Scenario: (.*?)\. Run (\d+)\.", text)
    if found is None:
        raise ValueError("the request names no scenario")
    return BY_NAME[found[1]], int(found[2])


_OSLO = Call("weather", {"city": "Oslo"})
_SUNNY = ("sunny in Oslo",)

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "two tools at once",
        ((Call("wait", {"seconds": 0.5}), Call("wait", {"seconds": 0.5})),),
        (Answered(), ResultSent("call_0_0", ("waited",)), ResultSent("call_0_1", ("waited",)), AtOnce("wait")),
    ),
    Scenario(
        "a slow tool, 0.5 s allowed",
        ((Call("wait", {"seconds": 4}), _OSLO),),
        (
            Answered(),
            ResultSent("call_0_1", _SUNNY),
            Within(3, "waits until it ends"),
            ResultSent("call_0_0", ("timed out", "Timed out", "timeout")),
            Stopped("wait"),
        ),
        tool_timeout=0.5,
    ),
    Scenario(
        "a tool raises an exception",
        ((Call("connect"), _OSLO),),
        (Answered(), ResultSent("call_0_0"), ResultSent("call_0_1", _SUNNY)),
    ),
    Scenario(
        "a tool that does not exist",
        ((Call("whether", {"city": "Oslo"}), _OSLO),),
        (Answered(), ResultSent("call_0_0"), ResultSent("call_0_1", _SUNNY)),
    ),
    Scenario(
        "arguments that do not fit",
        ((Call("weather", {"city": 5}), _OSLO),),
        (
            Answered(),
            ResultSent("call_0_1", _SUNNY),
            ResultSent("call_0_0", ("city",), "the model does not learn which argument"),
            Runs("weather", 1, "the function gets them"),
        ),
    ),
    Scenario(
        "a call is denied",
        ((Call("delete", {"path": "/"}),),),
        (Runs("delete", 0, "it runs: there are no approvals"), Answered(), ResultSent("call_0_0", (REASON,))),
        denied=("delete",),
    ),
    Scenario(
        "the model never ends, 3 turns allowed",
        ((_OSLO,),),
        (Requests(3, "other than 3 requests"), Kept(2)),
        endless=True,
        max_turns=3,
    ),
    Scenario(
        "cancelled midway",
        ((Call("wait", {"seconds": 4}), _OSLO),),
        (CancellationRaised(), Stopped("wait"), Within(2, "ends with its tools"), Requests(1, "asks again")),
        cancelled_in="wait",
    ),
    Scenario(
        "resumed after a crash",
        ((_OSLO,), (Call("charge", {"amount": 5}), Call("crash"))),
        (
            Answered(),
            Runs("weather", 1, "starts from the beginning"),
            Runs("charge", 1, "what has run in the last turn runs again"),
            ResultSent("call_1_0", ("charged",)),
            ResultSent("call_1_1", ("survived",)),
        ),
        crashes=True,
    ),
    Scenario("a tool returns an image", ((Call("chart"),),), (Answered(), ImageSent())),
    Scenario("a secret in an exception's text", ((Call("connect"),),), (Secret(SECRET),)),
    Scenario("a thousand runs at once", ((Call("double"), Call("double")),), (AllRight(1000),), runs=1000),
)
"""All of them, in the order of the table."""

BY_NAME: Mapping[str, Scenario] = {each.name: each for each in SCENARIOS}
