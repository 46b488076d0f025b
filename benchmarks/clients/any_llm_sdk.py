"""any-llm, with its OpenAI provider."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from any_llm import AnyLLM

from benchmarks.clients import KEY, MODEL, Json, Streamed, first_call


class Client:
    """One client for all calls."""

    def __init__(self, root: str) -> None:
        self._client: Any = AnyLLM.create("openai", api_key=KEY, api_base=f"{root}/v1")

    async def call(self, messages: list[Json], params: Json) -> int:
        reply = await self._client.acompletion(model=MODEL, messages=messages, **params)
        return len(reply.choices[0].message.content)

    async def stream(self, messages: list[Json], params: Json) -> Streamed:
        characters, first = 0, 0.0
        async for chunk in await self._client.acompletion(model=MODEL, messages=messages, stream=True, **params):
            for choice in chunk.choices:
                text = choice.delta.content
                if text:
                    first = first or perf_counter()
                    characters += len(text)
        return Streamed(characters, first)

    async def hold(self, messages: list[Json], params: Json) -> object:
        stream = await self._client.acompletion(model=MODEL, messages=messages, stream=True, **params)
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                break
        return stream

    async def close(self) -> None:
        """Does nothing: the client has no close method."""


if __name__ == "__main__":
    first_call(Client)
