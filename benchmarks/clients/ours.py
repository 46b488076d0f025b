"""anycompletion with all its defaults: typed records, validation, retries, deadlines."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from anycompletion import AsyncCompletion
from benchmarks.clients import AWS_KEYS, AWS_REGION, KEY, MODEL, Json, Streamed, first_call

_VERSIONED = ("openai", "groq")
"""Providers whose base URL has the version."""


def _signing() -> Any:
    from anycompletion import AWSCredentials  # noqa: PLC0415 (earlier checkouts have none)

    return AWSCredentials(*AWS_KEYS, region=AWS_REGION)


class Client:
    """One client for all calls."""

    def __init__(self, root: str, model: str = f"openai/{MODEL}", *, signed: bool = False) -> None:
        self._model = model
        provider = model.partition("/")[0]
        base_url = f"{root}/v1" if provider in _VERSIONED else root
        self._client = AsyncCompletion(
            base_urls={provider: base_url}, api_keys={provider: _signing() if signed else KEY}
        )

    async def call(self, messages: list[Json], params: Json) -> int:
        reply = await self._client.create(self._model, messages, stream=False, **params)
        return len(reply.choices[0].message.content or "")

    async def stream(self, messages: list[Json], params: Json) -> Streamed:
        characters, first = 0, 0.0
        async with self._client.stream(self._model, messages, **params) as stream:
            async for chunk in stream:
                for choice in chunk.choices:
                    text = choice.delta.content
                    if text:
                        first = first or perf_counter()
                        characters += len(text)
        return Streamed(characters, first)

    async def hold(self, messages: list[Json], params: Json) -> object:
        stream = self._client.stream(self._model, messages, **params)
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                break
        return stream

    async def fan(self, messages: list[Json], params: Json, n: int) -> int:
        reply = await self._client.create(self._model, messages, stream=False, n=n, **params)
        return sum(len(choice.message.content or "") for choice in reply.choices)

    async def fan_stream(self, messages: list[Json], params: Json, n: int) -> Streamed:
        return await self.stream(messages, {**params, "n": n})

    async def batch(
        self, chats: list[tuple[list[Json], Json]], concurrency: int, *, ordered: bool, journal: str
    ) -> int:
        requests = ({"model": self._model, "messages": messages, **params} for messages, params in chats)
        characters = 0
        async with self._client.batch(
            requests, concurrency=concurrency, ordered=ordered, journal=journal or None
        ) as run:
            async for result in run:
                characters += len(result.unwrap().choices[0].message.content or "")
        return characters

    async def close(self) -> None:
        await self._client.aclose()


if __name__ == "__main__":
    first_call(Client)
