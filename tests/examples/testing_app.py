"""A small app that answers customers' letters, without any code for its tests."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator

from anycompletion import APIError, AsyncCompletion, StreamInterruptedError

MODEL = "openai/gpt-4o-mini"

ORDERS = {"A17": "sent on Monday"}

LOOK_UP = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Where an order is.",
        "parameters": {"type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"]},
    },
}


async def subject(client: AsyncCompletion, letter: str) -> str:
    """A letter's subject; an error is not fatal here."""
    try:
        reply = await client.create(MODEL, f"In three words, what is this about? {letter}", max_tokens=20)
    except APIError:
        return "(no subject)"
    return reply.text


async def answer(client: AsyncCompletion, letter: str) -> AsyncIterator[str]:
    """The answer, piece by piece, with a mark at its end if it is incomplete."""
    async with client.stream(MODEL, letter) as stream:
        try:
            async for text in stream.text:
                yield text
        except StreamInterruptedError:
            yield " […]"


async def order_state(client: AsyncCompletion, letter: str) -> str:
    """An answer for which the model can look up an order."""
    messages: list[dict[str, object]] = [{"role": "user", "content": letter}]
    reply = await client.create(MODEL, messages, tools=[LOOK_UP])
    message = reply.choices[0].message
    for call in message.tool_calls or []:
        order = json.loads(call.function.arguments)["order"]
        result = {"role": "tool", "tool_call_id": call.id, "content": ORDERS.get(order, "unknown")}
        reply = await client.create(MODEL, [*messages, message, result], tools=[LOOK_UP])
    return reply.text


async def main() -> None:
    async with AsyncCompletion() as client:  # the key is in the environment
        sys.stdout.write(await subject(client, sys.argv[1]))


if __name__ == "__main__":
    asyncio.run(main())
