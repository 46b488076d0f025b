"""What the programs of all clients share: the simulator's addresses, the prompts, and how an outcome is described.

It imports no client, because each program runs in the environment of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import pickle
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

ADDRESSES = "ANYCOMPLETION_BEHAVIOUR"
"""Environment variable with the simulator's base URLs and keys as JSON."""

CUT = {"x-simulate": "cut-after-3-events"}
REFUSED = {"x-simulate": "rate-limit"}
"""Headers by which the simulator injects a fault into one request."""

TRY = "refuse this"
"""Prompt of the request that is refused with 429."""

MAX_TOKENS = 100
"""What clients pass that do not work without it."""

SYSTEM_IN_THE_MIDDLE = [
    {"role": "user", "content": "first"},
    {"role": "system", "content": "instruction"},
    {"role": "user", "content": "second"},
]

Facts = dict[str, str]


def user(text: str) -> list[Any]:
    """Messages that are one text of the user."""
    return [{"role": "user", "content": text}]


def address(provider: str) -> tuple[str, str]:
    """Base URL and key of a provider of the simulator."""
    found = json.loads(os.environ[ADDRESSES])
    return found["base_urls"][provider], found["api_keys"][provider]


async def outcome(call: Callable[[], Awaitable[object]]) -> str:
    """Whether a call ends, or the name of the error that it raises."""
    try:
        await call()
    except Exception as error:  # noqa: BLE001 (whatever a client raises is its behaviour)
        return f"raises {type(error).__name__}"
    return "ends"


async def refusal(call: Awaitable[object], kind: type[Exception]) -> str:
    """Whether the error of a call that is refused loads after it was pickled."""
    try:
        await call
    except kind as error:
        return _pickled(error)
    return "is not refused"


def _pickled(error: Exception) -> str:
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 (made here)
    except Exception as failure:  # noqa: BLE001 (as above)
        return f"raises {type(failure).__name__}"
    return "loads"


def run(version: str, facts: Callable[[], Coroutine[Any, Any, Facts]]) -> None:
    """Prints the version and the facts of a client as JSON, in the last line."""
    print(json.dumps({"version": version, **asyncio.run(facts())}))
