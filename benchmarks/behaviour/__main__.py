"""Behaviour of clients where something goes wrong: ``python -m benchmarks.behaviour``, the facts of docs/migrating.md.

Each client runs in a process of its own, against the simulator, with its default settings: in its environment of
``python -m benchmarks.peers``, or in this interpreter's where it is installed here. What a client has sent is read from
the simulator's log.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from collections.abc import Mapping, Sequence

from anycompletion.testing import RecordedRequest, SimulatorServer
from benchmarks.behaviour.common import ADDRESSES, MAX_TOKENS, SYSTEM_IN_THE_MIDDLE, TRY
from benchmarks.peers import python_of, result_of

CLIENTS: Mapping[str, tuple[str, str]] = {
    "anycompletion": ("ours", "bare"),
    "openai": ("openai_python", "openai"),
    "anthropic": ("anthropic_python", "anthropic"),
    "litellm": ("lite_llm", "litellm"),
}
"""Client → its module here, and its environment."""

FACTS: Mapping[str, str] = {
    "cut stream": "a stream that is cut, without a finish reason",
    "timeout=0.5, stream of 1 s": "`timeout=0.5`, and a stream that takes a second",
    "429": "requests for a call that is refused with 429",
    "pickled error": "a pickled `RateLimitError`",
    "misspelt keyword": "a misspelled keyword",
    "n=3": "`n=3` with Anthropic",
    "max_tokens": "`max_tokens` where it is not given, with Anthropic",
    "system in the middle": "a system message in the middle, with Anthropic",
}


async def facts_of(client: str) -> dict[str, str] | None:
    """The facts of a client by name, with its version; None where it is not installed."""
    module, environment = CLIENTS[client]
    python = python_of(environment)
    if python is None and importlib.util.find_spec(client) is None:
        return None
    async with SimulatorServer(chunk_delay=0.05) as simulator:
        addresses = {"base_urls": simulator.base_urls, "api_keys": simulator.api_keys}
        variables = {ADDRESSES: json.dumps(addresses)}
        found: dict[str, str] = await result_of(python or sys.executable, f"benchmarks.behaviour.{module}", variables)
        return found | seen_by_provider(simulator.requests)


def seen_by_provider(requests: Sequence[RecordedRequest]) -> dict[str, str]:
    """What the simulator's log shows."""
    found = {"429": str(len([each for each in requests if TRY in str(each.body)]))}
    for request in requests:
        body = request.body
        if request.provider == "anthropic" and SYSTEM_IN_THE_MIDDLE[1]["content"] in str(body):
            moved = "moved to the front" if "system" in body else "sent as text of the user"
            found["system in the middle"] = moved
        if body.get("temprature"):
            found["misspelt keyword"] = "is sent"
    limits = {request.body["max_tokens"] for request in requests if request.provider == "anthropic"} - {MAX_TOKENS}
    if len(limits) == 1:
        found["max_tokens"] = f"{limits.pop():,}"
    return found


async def table(clients: Sequence[str]) -> str:
    """All facts of all installed clients, as a table in Markdown."""
    found = {client: facts for client in clients if (facts := await facts_of(client)) is not None}
    heads = [f"{client} {facts['version']}" for client, facts in found.items()]
    lines = [f"| | {' | '.join(heads)} |", f"| --- {'| --- ' * len(heads)}|"]
    for name, text in FACTS.items():
        lines.append(f"| {text} | {' | '.join(facts.get(name, '') for facts in found.values())} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(asyncio.run(table(sys.argv[1:] or list(CLIENTS))))
