"""LiteLLM's acompletion."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import litellm

from benchmarks.clients import KEY, MODEL, Json, Streamed, first_call


class Client:
    """LiteLLM's module-level API; it keeps its connections itself."""

    def __init__(self, root: str) -> None:
        self._options: Json = {"model": f"openai/{MODEL}", "api_base": f"{root}/v1", "api_key": KEY}

    async def call(self, messages: list[Json], params: Json) -> int:
        reply: Any = await litellm.acompletion(messages=messages, **self._options, **params)
        return len(reply.choices[0].message.content)

    async def stream(self, messages: list[Json], params: Json) -> Streamed:
        characters, first = 0, 0.0
        stream: Any = await litellm.acompletion(messages=messages, stream=True, **self._options, **params)
        async for chunk in stream:
            for choice in chunk.choices:
                text = choice.delta.content
                if text:
                    first = first or perf_counter()
                    characters += len(text)
        return Streamed(characters, first)

    async def hold(self, messages: list[Json], params: Json) -> object:
        stream: Any = await litellm.acompletion(messages=messages, stream=True, **self._options, **params)
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                break
        return stream

    async def close(self) -> None:
        """Does nothing: the client has no close method."""


if __name__ == "__main__":
    first_call(Client)
