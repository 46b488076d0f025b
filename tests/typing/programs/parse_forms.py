"""parse for a dataclass, a pydantic model, list, union, enum, TypedDict, Literal, optional dict, TypeAdapter."""

import asyncio
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Literal, TypedDict, assert_type

from msgspec import Meta
from pydantic import BaseModel, TypeAdapter

from anycompletion import AsyncCompletion
from anycompletion.structured import ParsedCompletion, response_schema


@dataclass
class Recipe:
    title: str
    minutes: Annotated[int, Meta(ge=1, description="All in all")]


class Soup(BaseModel):
    name: str


class Mood(Enum):
    GOOD = "good"
    BAD = "bad"


class Place(TypedDict):
    city: str
    country: str


async def ask(client: AsyncCompletion, model: str, text: str) -> None:
    reply = await client.parse(model, text, Recipe)
    assert_type(reply, ParsedCompletion[Recipe])
    assert_type(reply.parsed, Recipe)
    print("class:", type(reply.parsed).__name__, reply.parsed.minutes >= 1)
    assert_type((await client.parse(model, text, Soup, mode="tool")).parsed, Soup)
    assert_type((await client.parse(model, text, list[Recipe])).parsed, list[Recipe])
    assert_type((await client.parse(model, text, Recipe | Soup)).parsed, Recipe | Soup)
    moods = await client.parse(model, text, Mood, n=3)
    assert_type(moods.parsed_all, list[Mood])
    print("choices:", len(moods.parsed_all))
    assert_type((await client.parse(model, text, Place)).parsed, Place)
    word = await client.parse(model, text, Literal["yes", "no"])
    assert_type(word.parsed, Literal["yes", "no"])
    print("word:", word.parsed)
    assert_type((await client.parse(model, text, dict[str, int] | None)).parsed, dict[str, int] | None)
    assert_type((await client.parse(model, text, TypeAdapter(list[Soup]))).parsed, list[Soup])


async def main() -> None:
    async with AsyncCompletion() as client:
        for model in ("openai/gpt-4o", "anthropic/claude-haiku-4-5", "cohere/command-a"):
            await ask(client, model, "Something with carrots.")
    print("schema:", sorted(response_schema(Recipe | Soup, provider="anthropic")["properties"]))


if __name__ == "__main__":
    asyncio.run(main())
