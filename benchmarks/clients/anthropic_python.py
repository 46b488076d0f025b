"""Anthropic's SDK, against the same server in Anthropic's format."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from anthropic import AsyncAnthropic

from benchmarks.clients import ANTHROPIC_MODEL, KEY, Json, Streamed, first_call


def _request(messages: list[Json], params: Json) -> Json:
    """The request in Anthropic's format; its SDK does not accept all parameters that OpenAI's does."""
    system = [message["content"] for message in messages if message["role"] == "system"]
    rest = [message for message in messages if message["role"] != "system"]
    accepted = {name: value for name, value in params.items() if name != "temperature"}
    if system:
        accepted["system"] = system[0]
    return {"model": ANTHROPIC_MODEL, "max_tokens": 4096, "messages": rest, **accepted}


class Client:
    """One client for all calls."""

    def __init__(self, root: str) -> None:
        self._client = AsyncAnthropic(base_url=root, api_key=KEY)

    async def call(self, messages: list[Json], params: Json) -> int:
        create: Any = self._client.messages.create
        reply = await create(**_request(messages, params))
        return len(reply.content[0].text)

    async def stream(self, messages: list[Json], params: Json) -> Streamed:
        create: Any = self._client.messages.create
        characters, first = 0, 0.0
        async with await create(**_request(messages, params), stream=True) as stream:
            async for event in stream:
                if event.type == "content_block_delta":
                    first = first or perf_counter()
                    characters += len(event.delta.text)
        return Streamed(characters, first)

    async def hold(self, messages: list[Json], params: Json) -> object:
        create: Any = self._client.messages.create
        stream = await create(**_request(messages, params), stream=True)
        async for event in stream:
            if event.type == "content_block_delta":
                break
        return stream

    async def close(self) -> None:
        await self._client.close()


if __name__ == "__main__":
    first_call(Client)
