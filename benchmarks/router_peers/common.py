"""What the programs of all clients share: the pace of the calls, and the report of what became of them."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from benchmarks.router_peers.plan import Scenario, scenarios

ADDRESSES = "ANYCOMPLETION_DEPLOYMENTS"
"""Environment variable with the base URLs of each scenario's deployments as JSON, and which form runs."""

MODEL = "gpt-4o-mini"
KEY = "test-key"

Call = Callable[[str], Awaitable[object]]
"""Makes a call with a prompt."""
Router = Callable[[Scenario, Sequence[str]], AbstractAsyncContextManager[Call]]
"""Opens a client for a scenario and the base URLs of its deployments."""


async def _one(call: Call, scenario: Scenario, since: float) -> dict[str, Any]:
    begin = time.perf_counter()
    error = None
    try:
        await asyncio.wait_for(call(scenario.prompt), 60)
    except Exception as failure:  # noqa: BLE001 (whatever a client raises is its behaviour)
        error = type(failure).__name__
    return {"begin": begin - since, "seconds": time.perf_counter() - begin, "error": error}


async def _times(scenario: Scenario, since: float) -> AsyncIterator[None]:
    for index in range(scenario.calls):
        if scenario.per_second:
            await asyncio.sleep(since + index / scenario.per_second - time.perf_counter())
        yield


async def _ran(scenario: Scenario, call: Call) -> dict[str, Any]:
    for _ in range(scenario.warm_up):
        await call(scenario.prompt)
    since, processor = time.perf_counter(), time.process_time()
    calls: list[dict[str, Any]] = []
    under_way: list[asyncio.Task[dict[str, Any]]] = []
    async for _ in _times(scenario, since):
        if scenario.per_second:
            under_way.append(asyncio.create_task(_one(call, scenario, since)))
        else:
            calls.append(await _one(call, scenario, since))
    calls += await asyncio.gather(*under_way)
    return {"calls": calls, "processor": time.process_time() - processor}


def run(version: str, router: Router) -> None:
    """Runs the scenarios and prints what became of their calls as JSON, in the last line."""
    found = json.loads(os.environ[ADDRESSES])

    async def all_of_them() -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for name, scenario in scenarios(short=found["short"]).items():
            if urls := found["urls"].get(name):
                async with router(scenario, urls) as call:
                    seen[name] = await _ran(scenario, call)
        return seen

    print(json.dumps({"version": version, "scenarios": asyncio.run(all_of_them())}))
