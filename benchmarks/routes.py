"""Benchmark: what a call over a route costs above the same call without one, where its first target answers.

``python -m benchmarks.routes [--short]`` makes calls over a transport that answers at once, so that the time is that of
this package alone. Times are CPU times, each the best of several rounds that take turns. The short form makes few calls
and judges no times. The exit code is 1 when a bound fails.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import time
from collections.abc import Sequence

from anycompletion import AsyncCompletion
from anycompletion.routing import Route, Strategy
from benchmarks.instant_providers import InstantProviders
from benchmarks.soak.common import Figure, conclude

_ROUNDS = 15
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
    kinds = [("without a route", plain, "openai/model-0"), *((name, routed, name) for name in routes)]
    async with plain, routed:
        for turn in range(_ROUNDS + 1):
            for name, client, model in kinds:
                gc.collect()
                start = time.process_time()
                for _ in range(calls):
                    await client.create(model, "Hello!")
                took = (time.process_time() - start) / calls * 1e6
                if turn:  # the first round plans the calls
                    best[name] = min(best.get(name, took), took)
    return best


def measure(calls: int) -> list[Figure]:
    """All figures."""
    times = asyncio.run(call_times(calls))
    plain = times["without a route"]
    bounds = {
        "4 targets in order": 3.0,
        "16 targets in order": 5.0,
        "4 targets by weight": 6.0,  # whose plans are each used for a fourth of the calls, and so are in no cache
        "16 targets, least busy": 6.0,
    }
    above = [
        Figure(f"above it: {name}", times[name] - plain, at_most=most, unit="µs", machine=True)
        for name, most in bounds.items()
    ]
    return [Figure("a call without a route and a network", plain, unit="µs"), *above]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.routes", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--short", action="store_true", help="few calls; times are shown, not judged")
    short: bool = parser.parse_args(arguments).short
    return conclude("Calls over routes", measure(50 if short else 2_000), short=short)


if __name__ == "__main__":
    sys.exit(main())
