"""langchain-openai's ChatOpenAI."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from langchain_openai import ChatOpenAI

from benchmarks.clients import KEY, MODEL, Json, Streamed, first_call


class Client:
    """One model object for all calls."""

    def __init__(self, root: str) -> None:
        model: Any = ChatOpenAI
        self._model: Any = model(model=MODEL, base_url=f"{root}/v1", api_key=KEY)

    async def call(self, messages: list[Json], params: Json) -> int:
        return len((await self._model.ainvoke(messages, **params)).content)

    async def stream(self, messages: list[Json], params: Json) -> Streamed:
        characters, first = 0, 0.0
        async for chunk in self._model.astream(messages, **params):
            text = chunk.content
            if text:
                first = first or perf_counter()
                characters += len(text)
        return Streamed(characters, first)

    async def hold(self, messages: list[Json], params: Json) -> object:
        stream = self._model.astream(messages, **params)
        async for chunk in stream:
            if chunk.content:
                break
        return stream

    async def close(self) -> None:
        """Does nothing: the client has no close method."""


if __name__ == "__main__":
    first_call(Client)
