"""Tests of code that asks for typed replies and runs tools, with values and calls of tools as fake replies."""

import asyncio
from dataclasses import dataclass

from anycompletion import AsyncCompletion
from anycompletion.testing import FakeProvider, ParsedReply, tool_call
from anycompletion.tools import CallFinished, tool


@dataclass
class Recipe:
    title: str
    minutes: int


@tool
def minutes(dish: str) -> int:
    """How long a dish takes."""
    return len(dish)


TOAST = Recipe("Toast", 5)


async def test_parse() -> None:
    fake = FakeProvider('{"title": "Toast"}', ParsedReply(TOAST), ParsedReply([TOAST, TOAST]), ParsedReply(TOAST))
    async with AsyncCompletion(providers=[fake]) as client:
        reply = await client.parse("openai/gpt-4o", "Toast?", Recipe, max_reasks=1)
        assert (reply.parsed, reply.info.reasks) == (TOAST, 1)
        async with client.parse_stream("openai/gpt-4o", "Toasts?", list[Recipe]) as stream:
            assert [recipe async for recipe in stream.items()] == [TOAST, TOAST]
        async with client.batch([{"model": "openai/gpt-4o", "messages": "Toast?"}], into=Recipe) as run:
            assert [result.parsed async for result in run] == [TOAST]
    print("requests:", len(fake.requests))


async def test_tools() -> None:
    calls = [tool_call("minutes", dish="toast"), tool_call("minutes", dish="soup")]
    fake = FakeProvider(calls, "5 and 4 minutes", tool_call("minutes", dish="tea"), ParsedReply(TOAST))
    async with AsyncCompletion(providers=[fake]) as client:
        outcome = await client.run_tools("openai/gpt-4o", "How long?", [minutes])
        assert [each.content for each in outcome.turns[0].outcomes] == ["5", "4"]
        seen: list[object] = []
        run = client.run_tools("openai/gpt-4o", "How long?", [minutes], into=Recipe, on_event=seen.append)
        assert (await run).parsed == TOAST
        assert any(isinstance(event, CallFinished) for event in seen)
    print("turns:", len(fake.requests))


if __name__ == "__main__":
    asyncio.run(test_parse())
    asyncio.run(test_tools())
