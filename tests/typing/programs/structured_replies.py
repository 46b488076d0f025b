"""Gets data in place of text: a pydantic model as the format, with one more try when the reply does not fit it."""

import asyncio
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from anycompletion import AsyncCompletion, Message, UserMessage

M = TypeVar("M", bound=BaseModel)


class Event(BaseModel):
    """An event in a calendar."""

    model_config = ConfigDict(extra="forbid")

    name: str
    day: str
    guests: list[str]


class Turn(BaseModel):
    """A message as the program's own models have it."""

    role: str
    content: str


def format_of(model: type[BaseModel]) -> dict[str, Any]:
    schema = {"name": model.__name__, "strict": True, "schema": model.model_json_schema()}
    return {"type": "json_schema", "json_schema": schema}


async def extract(client: AsyncCompletion, into: type[M], text: str, model: str, tries: int = 2) -> M:
    messages: list[Message] = [UserMessage(text)]
    for _ in range(tries - 1):
        reply = await client.create(model, messages, response_format=format_of(into), temperature=0)
        try:
            return into.model_validate_json(reply.text)
        except ValidationError as error:
            messages += [reply.message, UserMessage(f"That does not fit: {error}")]
    reply = await client.create(model, messages, response_format=format_of(into), temperature=0)
    return into.model_validate_json(reply.text)


async def ask_with_models(client: AsyncCompletion, turns: list[Turn]) -> Turn:
    """Messages that are pydantic models, on the way in and out."""
    reply = await client.create("openai/gpt-4o-mini", turns)
    return Turn.model_validate(reply.message.model_dump())


async def main() -> None:
    async with AsyncCompletion() as client:
        for model in ("openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "cohere/command-a"):
            event = await extract(client, Event, "Alice and Bob meet on Friday.", model)
            print(model, sorted(event.model_fields_set))
        turn = await ask_with_models(client, [Turn(role="user", content="Hello!")])
        print("turn:", turn.role, len(turn.content) > 0)
        listed = await client.create(
            "openai/gpt-4o-mini", "Three colours, as JSON.", response_format={"type": "json_object"}
        )
        print("object:", listed.text[:1])


if __name__ == "__main__":
    asyncio.run(main())
