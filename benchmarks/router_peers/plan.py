"""The scenarios of all routers: how calls are paced, and what their four deployments do meanwhile.

It imports no client, because the programs of the clients, which run in environments of their own, import it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["refuses", "silent", "rate limited"]
"""What a faulty deployment does: answers 503, accepts the request and never answers, or answers 429."""

DEPLOYMENTS = 4
DIRECT, ROUTED = "direct", "routed"
"""How the names of the scenarios begin whose CPU time counts."""
OUTAGE, SILENCE = "one of four answers 503 for a minute", "one of four does not answer for a minute"
STORM, STORM_OF_ALL = "three of four answer 429 for 20 s", "all four answer 429 for 4 s"
UNKNOWN, DECLARED = "long prompts, windows unknown", "long prompts, windows given"
SMALL_WINDOW, LARGE_WINDOW = 200, 100_000
"""Context windows in tokens of the first two deployments and of the others, where these differ."""
SHORT_PROMPT = "Why is the sky blue?"
LONG_PROMPT = "word " * 2_000


@dataclass(frozen=True)
class Fault:
    """What some deployments do for a while."""

    deployments: tuple[int, ...]
    begin: float
    end: float
    """Seconds since the first request of the scenario."""
    kind: Kind
    retry_after: int | None = None
    """What a 429 asks for, in seconds."""


@dataclass(frozen=True)
class Scenario:
    """Calls at a steady pace over four deployments."""

    name: str
    calls: int
    per_second: float
    """0: one after the other, as fast as they go."""
    fault: Fault | None = None
    prompt: str = SHORT_PROMPT
    windows: Literal["equal", "unknown", "declared"] = "equal"
    """Whether the first two deployments have a small context window, and whether the router knows it."""
    warm_up: int = 0
    """Calls before those that count."""
    without_router: bool = False
    """Whether the calls go straight to the first deployment."""
    timeout: float | None = None
    """Seconds for a request to one deployment; None leaves it to the client."""
    failures: int = 3
    """Failures of a deployment after which it is left out."""
    pause: float = 15.0
    """Seconds for which it is left out."""


def scenarios(*, short: bool) -> Mapping[str, Scenario]:
    """All scenarios by name; the short form has a thirtieth of the time, and few calls."""
    scale, rate = (1 / 30, 30.0) if short else (1.0, 10.0)
    quiet, outage = 5 * scale, 60 * scale
    outages: dict[str, Kind] = {OUTAGE: "refuses", SILENCE: "silent"}
    away = {
        name: Scenario(
            name,
            calls=round((quiet + outage + quiet) * rate),
            per_second=rate,
            fault=Fault((0,), quiet, quiet + outage, kind),
            timeout=max(2 * scale, 1.0),
            pause=15 * scale,
        )
        for name, kind in outages.items()
    }
    storm, everywhere, asked = (1.5, 1.0, 1) if short else (20.0, 4.0, 4)
    rounds, calls = (1, 20) if short else (5, 500)
    measured = [
        Scenario(f"{kind} {turn}", calls, 0, warm_up=40, without_router=kind == DIRECT)
        for turn in range(rounds)
        for kind in (DIRECT, ROUTED)
    ]
    found = (
        *measured,
        *away.values(),
        Scenario(STORM, round(storm * 20), 20, Fault((0, 1, 2), 0, storm, "rate limited", asked)),
        Scenario(STORM_OF_ALL, round(everywhere * 5), 5, Fault((0, 1, 2, 3), 0, everywhere, "rate limited", asked)),
        Scenario(UNKNOWN, 20, 0, prompt=LONG_PROMPT, windows="unknown"),
        Scenario(DECLARED, 20, 0, prompt=LONG_PROMPT, windows="declared"),
    )
    return {each.name: each for each in found}
