"""Benchmark: what a call over a route costs above the same call without one, where its first target answers.

``python -m benchmarks.routes [--short]`` makes calls over a transport that answers at once, so that the time is that of
this package alone. Times are CPU times, each the best of several rounds that take turns. The short form makes few calls
and judges no times. The exit code is 1 when a bound fails.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
import sys
import time
from collections.abc import Sequence

from anycompletion import AsyncCompletion
from anycompletion.routing import Route, Strategy
from benchmarks.instant_providers import InstantProviders
from benchmarks.soak.common import Figure, conclude

_ROUNDS = 15

_ONE, _FOUR = "without a route", "without a route, to 4 models at random"
"""Calls that routed ones are compared with. A route by weight calls all its targets, so that the plan of each is used
for a fourth of the calls, and is in no cache."""

_PROVIDERS = ("openai", "groq", "mistral", "together")


def _route(targets: int, strategy: Strategy) -> Route:
    return Route([f"{_PROVIDERS[index % len(_PROVIDERS)]}/model-{index}" for index in range(targets)], strategy)


async def call_times(calls: int) -> dict[str, float]:
    """Microseconds of CPU per call, by kind of call."""
    source = InstantProviders(_PROVIDERS)
    routes = {
        "4 targets in order": _route(4, "order"),
        "4 targets by weight": _route(4, "weighted"),
        "16 targets in order": _route(16, "order"),
        "16 targets, least busy": _route(16, "least_busy"),
    }
    best: dict[str, float] = {}
    plain = AsyncCompletion(providers=[source], api_keys=source.keys)
    routed = AsyncCompletion(providers=[source], api_keys=source.keys, routes=routes)
    kinds = [
        (_ONE, plain, ["openai/model-0"]),
        (_FOUR, plain, [f"{name}/model-{index}" for index, name in enumerate(_PROVIDERS)]),
        *((name, routed, [name]) for name in routes),
    ]
    chances = random.Random(1)  # noqa: S311 (no secret)
    async with plain, routed:
        for turn in range(_ROUNDS + 1):
            for name, client, models in kinds:
                drawn = chances.choices(models, k=calls)
                gc.collect()
                start = time.process_time()
                for model in drawn:
                    await client.create(model, "Hello!")
                took = (time.process_time() - start) / calls * 1e6
                if turn:  # the first round plans the calls
                    best[name] = min(best.get(name, took), took)
    return best


def measure(calls: int) -> list[Figure]:
    """All figures."""
    times = asyncio.run(call_times(calls))
    bounds = {
        "4 targets in order": (_ONE, 3.0),
        "16 targets in order": (_ONE, 5.0),
        "4 targets by weight": (_FOUR, 3.0),
        "16 targets, least busy": (_ONE, 5.0),
    }
    above = [
        Figure(f"{name}, above {without}", times[name] - times[without], at_most=most, unit="µs", machine=True)
        for name, (without, most) in bounds.items()
    ]
    return [Figure(f"a call {without}, and no network", times[without], unit="µs") for without in (_ONE, _FOUR)] + above


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.routes", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--short", action="store_true", help="few calls; times are shown, not judged")
    short: bool = parser.parse_args(arguments).short
    return conclude("Calls over routes", measure(50 if short else 2_000), short=short)


if __name__ == "__main__":
    sys.exit(main())
