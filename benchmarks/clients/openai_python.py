"""openai-python, on httpx (its default) or on aiohttp (its extra)."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from openai import AsyncOpenAI, DefaultAioHttpClient

from benchmarks.clients import KEY, MODEL, Json, Streamed, first_call


class Client:
    """One client for all calls."""

    def __init__(self, root: str, *, on_aiohttp: bool = False) -> None:
        http: Any = DefaultAioHttpClient() if on_aiohttp else None
        self._client = AsyncOpenAI(base_url=f"{root}/v1", api_key=KEY, http_client=http)

    async def call(self, messages: list[Json], params: Json) -> int:
        create: Any = self._client.chat.completions.create
        reply = await create(model=MODEL, messages=messages, **params)
        return len(reply.choices[0].message.content)

    async def stream(self, messages: list[Json], params: Json) -> Streamed:
        create: Any = self._client.chat.completions.create
        characters, first = 0, 0.0
        async with await create(model=MODEL, messages=messages, stream=True, **params) as stream:
            async for chunk in stream:
                for choice in chunk.choices:
                    text = choice.delta.content
                    if text:
                        first = first or perf_counter()
                        characters += len(text)
        return Streamed(characters, first)

    async def hold(self, messages: list[Json], params: Json) -> object:
        create: Any = self._client.chat.completions.create
        stream = await create(model=MODEL, messages=messages, stream=True, **params)
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                break
        return stream

    async def close(self) -> None:
        await self._client.close()


if __name__ == "__main__":
    first_call(Client)
