"""What the programs of all clients share: the server's address, how cases are asked for and outcomes described.

It imports no client, because each program runs in the environment of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from benchmarks.structured_peers.cases import Case
from benchmarks.structured_peers.replies import REPLIES
from benchmarks.structured_peers.types import TYPES

BASE_URL = "ANYCOMPLETION_TYPED_REPLIES"
"""Environment variable with the base URL of the server."""

KEY = "test-key"
MODEL = "gpt-4o-mini"

Call = Callable[[Any, str], Awaitable[object]]
"""Makes a call for a type and with a prompt; returns the value."""


def base_url() -> str:
    """Base URL of the server, in the form of OpenAI's."""
    return os.environ[BASE_URL]


async def outcomes(cases: Sequence[Case], call: Call) -> dict[str, str]:
    """Case → "value", "other value", or the name of the error that is raised."""
    return {case.name: await _outcome(case, call) for case in cases}


async def _outcome(case: Case, call: Call) -> str:
    try:
        value = await asyncio.wait_for(call(case.into, case.prompt), 20)
    except Exception as error:  # noqa: BLE001 (whatever a client raises is its behaviour)
        return type(error).__name__
    is_right = case.expected is not None and case.is_expected(value)
    return "value" if is_right else "other value"


def run(version: str, types: Call, replies: Call) -> None:
    """Prints the version and the outcomes of a client as JSON, in the last line.

    Args:
        version: of the client.
        types: asks as the client does by default.
        replies: asks in the client's mode for providers that guarantee no form, where it has one.
    """

    async def all_outcomes() -> Mapping[str, str]:
        return await outcomes(TYPES, types) | await outcomes(REPLIES, replies)

    print(json.dumps({"version": version, "outcomes": asyncio.run(all_outcomes())}))
