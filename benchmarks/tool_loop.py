"""Benchmark: what a run of tools costs above the same calls of `create`, its concurrency, and its memory.

``python -m benchmarks.tool_loop [--short]`` asks a model that answers in this process, so that the time is that of this
package alone. The overhead of a turn is that of a run above `create` with the same messages and tools, one call after
the other. Times are CPU times, each the best of several rounds, except that of the slow tools, which is wall time.
The short form makes few runs and judges no times. The exit code is 1 when a bound fails.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from anycompletion import AsyncCompletion, ChatRequest, Message, ToolMessage, UserMessage
from anycompletion.client.run_turns import DispatchedTurns
from anycompletion.options import OptionValues
from anycompletion.tools import RunnableTool, tool
from benchmarks.instant_providers import HELLO, InstantProviders
from benchmarks.soak.common import MIB, Figure, conclude, resident_bytes

_MODEL = "openai/gpt-4o"
_PROMPT = "Add some numbers."
_ROUNDS = 60
"""Rounds, which take turns."""

_TURNS = 5
"""Turns with calls, of a run; one more has the text."""


@tool
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool
def look_up(a: int, b: int) -> int:
    """Look a number up, which takes a tenth of a second."""
    time.sleep(0.1)
    return a + b


@tool
async def look_up_later(a: int, b: int) -> int:
    """Look a number up without blocking, for a short time."""
    await asyncio.sleep(0.01)
    return a + b


def scripted(name: str, turns: int, calls: int) -> Callable[[bytes], bytes]:
    """A model that makes so many calls of a tool in each turn, and then greets; it counts the results sent."""
    bodies = [_calling(name, turn, calls) for turn in range(turns)]
    return lambda sent: (*bodies, HELLO)[sent.count(b'"role":"tool"') // calls]


def _calling(name: str, turn: int, calls: int) -> bytes:
    made = [
        {
            "id": f"call_{turn}_{index}",
            "type": "function",
            "function": {"name": name, "arguments": json.dumps({"a": turn, "b": index})},
        }
        for index in range(calls)
    ]
    choice = {"index": 0, "message": {"role": "assistant", "tool_calls": made}, "finish_reason": "tool_calls"}
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    return json.dumps(body).encode()


def _client(source: InstantProviders) -> AsyncCompletion:
    return AsyncCompletion(providers=[source], api_keys=source.keys)


async def _transcripts(client: AsyncCompletion, function: RunnableTool[..., Any]) -> list[list[Message]]:
    """The messages of each request of a run."""
    found: list[list[Message]] = []
    messages: list[Message] = [UserMessage(_PROMPT)]
    while True:
        found.append(list(messages))
        message = (await client.create(_MODEL, messages, tools=[function.definition])).message
        messages.append(message)
        if not message.tool_calls:
            return found
        messages += [ToolMessage((await function.run(call)).content, call.id) for call in message.tool_calls]


class Overhead(NamedTuple):
    """Microseconds of CPU: each the best of rounds that take turns, as the load of the machine only adds to it."""

    create: float
    """A call of `create` with a tool and the messages of a turn."""
    above_create: float
    """What a turn of a run takes above it."""
    above_call: float
    """What a turn of a run takes above the same call without the checks of its arguments."""


async def overhead(runs: int, calls: int) -> Overhead:
    """The cost of a turn with so many calls."""
    times: list[tuple[float, float, float]] = []
    async with _client(InstantProviders(("openai",), scripted("add", _TURNS, calls))) as client:
        transcripts: Sequence[Sequence[Message]] = await _transcripts(client, add)
        requests = [ChatRequest(_MODEL, messages, tools=[add.definition]) for messages in transcripts]
        unchecked = DispatchedTurns(client, client.__dict__["_dispatcher"], OptionValues({}))

        async def created() -> None:
            for messages in transcripts:
                await client.create(_MODEL, messages, tools=[add.definition])

        async def called() -> None:
            for request in requests:
                await unchecked.complete(request, None, refresh=False)

        async def run() -> None:
            await client.run_tools(_MODEL, _PROMPT, [add])

        for _ in range(_ROUNDS):
            gc.collect()
            times.append((await _timed(created, runs), await _timed(called, runs), await _timed(run, runs)))
    create, call, whole = (min(column) for column in zip(*times, strict=True))
    return Overhead(create / len(transcripts), (whole - create) / _TURNS, (whole - call) / _TURNS)


async def _timed(work: Callable[[], Awaitable[None]], times: int) -> float:
    start = time.process_time()
    for _ in range(times):
        await work()
    return (time.process_time() - start) / times * 1e6


async def slow_tools() -> float:
    """Seconds of a run with 20 calls of a function that blocks for 0.1 s, eight at a time."""
    async with _client(InstantProviders(("openai",), scripted("look_up", 1, 20))) as client:
        start = time.perf_counter()
        outcome = await client.run_tools(_MODEL, _PROMPT, [look_up], concurrency=8)
        assert [each.content for each in outcome.turns[0].outcomes] == [str(index) for index in range(20)]
        return time.perf_counter() - start


async def memory(runs: int, rounds: int) -> float:
    """MiB by which memory grows in so many rounds of runs at the same time, after the first rounds."""
    async with _client(InstantProviders(("openai",), scripted("look_up_later", 3, 2))) as client:

        async def together() -> None:
            made = [client.run_tools(_MODEL, _PROMPT, [look_up_later]) for _ in range(runs)]
            outcomes = await asyncio.gather(*made)
            assert all(each.status == "finished" and len(each.turns) == 4 for each in outcomes)

        for _ in range(3):
            await together()
        before = resident_bytes()
        for _ in range(rounds):
            await together()
        return (resident_bytes() - before) / MIB


def measure(*, short: bool) -> list[Figure]:
    """All figures."""
    runs = 1 if short else 20
    one, eight = asyncio.run(overhead(runs, 1)), asyncio.run(overhead(runs, 8))
    slow = asyncio.run(slow_tools())
    at_once, rounds = (100, 2) if short else (1_000, 10)
    grown = asyncio.run(memory(at_once, rounds))
    return [
        Figure("create, with the messages of a turn with a call", one.create, unit="µs"),
        Figure("a turn above it, with a call", one.above_create, at_most=40, unit="µs", machine=True),
        Figure("a turn above a call whose arguments are not checked", one.above_call, unit="µs"),
        Figure("create, with the messages of turns with eight calls", eight.create, unit="µs"),
        Figure("a turn above it, with eight calls", eight.above_create, at_most=110, unit="µs", machine=True),
        Figure("a turn above a call whose arguments are not checked", eight.above_call, unit="µs"),
        Figure("20 calls of a function that blocks for 0.1 s", slow, at_most=0.4, unit="s", machine=True),
        Figure("runs at once", at_once),
        Figure(f"growth of memory in {rounds} rounds of them", grown, at_most=4, unit="MiB", machine=True),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tool_loop", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--short", action="store_true", help="few runs; times are shown, not judged")
    short: bool = parser.parse_args(arguments).short
    return conclude("Runs of tools", measure(short=short), short=short)


if __name__ == "__main__":
    sys.exit(main())
