"""A form that fills while the model writes, and a list whose items are used one by one."""

import asyncio
from dataclasses import dataclass
from typing import assert_type

from anycompletion import AsyncCompletion
from anycompletion.structured import ParsedCompletion, ParsedStream, Partial


@dataclass
class Stop:
    name: str
    minutes: int


@dataclass
class Trip:
    title: str
    stops: list[Stop]


async def form(client: AsyncCompletion, model: str) -> Trip:
    stream = client.parse_stream(model, "Describe a trip.", Trip)
    assert_type(stream, ParsedStream[Trip])
    async with stream:
        async for partial in stream.partials(every=0.1):
            assert_type(partial, Partial)
            if partial.finished:
                print("form:", partial.data, partial.open)
    reply = await stream.get_final_completion()
    assert_type(reply, ParsedCompletion[Trip])
    return reply.parsed


async def one_by_one(client: AsyncCompletion, model: str) -> None:
    async with client.parse_stream(model, "Ten stops of a trip.", list[Stop]) as stream:
        async for stop in stream.items():
            assert_type(stop, Stop)
            print("item:", stop.name, stop.minutes)


async def number(client: AsyncCompletion, model: str) -> int | None:
    stream = client.parse_stream(model, "How many stops?", int | None)
    assert_type(stream, ParsedStream[int | None])
    return (await stream.get_final_completion()).parsed


async def main() -> None:
    async with AsyncCompletion() as client:
        for model in ("openai/gpt-4o", "anthropic/claude-haiku-4-5"):
            print("trip:", await form(client, model))
            await one_by_one(client, model)
        print("number:", await number(client, "openai/gpt-4o"))


if __name__ == "__main__":
    asyncio.run(main())
