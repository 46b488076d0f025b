"""A form that fills while the model writes, and a list whose items are used one by one."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import Enum
from typing import Literal, TypedDict, assert_type

from pydantic import BaseModel, TypeAdapter

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


class Guide(BaseModel):
    name: str


class Mood(Enum):
    GOOD = "good"
    BAD = "bad"


class Place(TypedDict):
    city: str
    country: str


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


async def other_types(client: AsyncCompletion, model: str, text: str) -> None:
    """The other types that parse_stream takes, none of which a program has to name twice."""
    number = client.parse_stream(model, text, int | None)
    assert_type(number, ParsedStream[int | None])
    assert_type((await number.get_final_completion()).parsed, int | None)
    assert_type(client.parse_stream(model, text, Guide, mode="tool"), ParsedStream[Guide])
    assert_type(client.parse_stream(model, text, Trip | Guide), ParsedStream[Trip | Guide])
    assert_type(client.parse_stream(model, text, Mood, n=2).partials(choice=1), AsyncIterator[Partial])
    assert_type(client.parse_stream(model, text, Place), ParsedStream[Place])
    assert_type(client.parse_stream(model, text, Literal["yes", "no"]), ParsedStream[Literal["yes", "no"]])
    assert_type(client.parse_stream(model, text, dict[str, int] | None), ParsedStream[dict[str, int] | None])
    assert_type(client.parse_stream(model, text, TypeAdapter(list[Guide])), ParsedStream[list[Guide]])
    async for guide in client.parse_stream(model, text, list[Guide]).items():
        assert_type(guide, Guide)
        print("guide:", guide.name)
    moods = client.parse_stream(model, text, list[Mood | int])
    assert_type(moods.items(), AsyncIterator[Mood | int])


async def main() -> None:
    async with AsyncCompletion() as client:
        for model in ("openai/gpt-4o", "anthropic/claude-haiku-4-5"):
            print("trip:", await form(client, model))
            await one_by_one(client, model)
        await other_types(client, "openai/gpt-4o", "And?")


if __name__ == "__main__":
    asyncio.run(main())
