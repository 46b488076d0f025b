"""Tests of code that asks for typed replies: whole, streamed and in batches, with values as fake replies."""

import asyncio
from dataclasses import dataclass

from anycompletion import AsyncCompletion
from anycompletion.testing import FakeProvider, ParsedReply


@dataclass
class Recipe:
    title: str
    minutes: int


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


if __name__ == "__main__":
    asyncio.run(test_parse())
