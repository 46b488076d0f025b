"""Routes of this package."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anycompletion
from anycompletion import AsyncCompletion, TargetOptions
from anycompletion.routing import CircuitBreaker, Route, RouteTarget
from benchmarks.router_peers.common import KEY, MODEL, Call, run
from benchmarks.router_peers.plan import LARGE_WINDOW, SMALL_WINDOW, Scenario


@asynccontextmanager
async def router(scenario: Scenario, urls: Sequence[str]) -> AsyncIterator[Call]:
    """A client whose route has the four deployments."""
    timeout: TargetOptions = {} if scenario.timeout is None else {"timeout": scenario.timeout}
    windows = [SMALL_WINDOW] * 2 + [LARGE_WINDOW] * 2 if scenario.windows == "declared" else [None] * len(urls)
    targets = [
        RouteTarget(
            f"openai/{MODEL}",
            options={"base_url": url, "api_key": KEY, **timeout},
            context_window=window,
        )
        for url, window in zip(urls, windows, strict=True)
    ]
    route = Route(
        targets,
        "weighted" if scenario.windows == "equal" else "order",
        breaker=CircuitBreaker(scenario.failures, seconds=scenario.pause),
    )
    async with AsyncCompletion(routes={"four": route}, base_urls={"openai": urls[0]}, api_keys={"openai": KEY}) as one:
        model = f"openai/{MODEL}" if scenario.without_router else "four"
        yield lambda prompt: one.create(model, prompt)


if __name__ == "__main__":
    run(anycompletion.__version__, router)
