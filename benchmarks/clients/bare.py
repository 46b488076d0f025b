"""Naive client: aiohttp + orjson by hand, as most people write it first; streams are read line by line.

It has no types, no validation, no retries and no deadline. It is the baseline where only its import or its memory
counts; for calls and streams that is `careful`.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any

import aiohttp

from benchmarks.clients import KEY, MODEL, Json, Streamed, first_call

dumps: Any
loads: Any
try:
    from orjson import dumps, loads
except ImportError:  # where the environment with orjson is not installed; the report names the substitute
    from msgspec.json import decode as loads
    from msgspec.json import encode as dumps


class Client:
    """One session for all calls."""

    def cookies(self) -> aiohttp.abc.AbstractCookieJar | None:
        """The session's cookie jar; None for aiohttp's own."""
        return None

    def __init__(self, root: str) -> None:
        self._url = f"{root}/v1/chat/completions"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=self.cookies(),
            headers={"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"},
        )

    async def call(self, messages: list[Json], params: Json) -> int:
        body = dumps({"model": MODEL, "messages": messages, **params})
        async with self._session.post(self._url, data=body) as response:
            if response.status != 200:
                raise RuntimeError(response.status)
            reply = loads(await response.read())
        return len(reply["choices"][0]["message"]["content"])

    async def stream(self, messages: list[Json], params: Json) -> Streamed:
        body = dumps({"model": MODEL, "messages": messages, "stream": True, **params})
        characters, first = 0, 0.0
        async with self._session.post(self._url, data=body) as response:
            if response.status != 200:
                raise RuntimeError(response.status)
            async for line in response.content:
                if line.startswith(b"data: ") and line != b"data: [DONE]\n":
                    for choice in loads(line[6:])["choices"]:
                        text = choice["delta"].get("content")
                        if text:
                            first = first or perf_counter()
                            characters += len(text)
        return Streamed(characters, first)

    async def hold(self, messages: list[Json], params: Json) -> object:
        body = dumps({"model": MODEL, "messages": messages, "stream": True, **params})
        response: Any = await self._session.post(self._url, data=body)
        async for line in response.content:
            if line.startswith(b"data: ") and loads(line[6:])["choices"][0]["delta"].get("content"):
                break
        return response

    async def batch(
        self, chats: list[tuple[list[Json], Json]], concurrency: int, *, ordered: bool, journal: str
    ) -> int:
        semaphore = asyncio.Semaphore(concurrency)

        async def one(messages: list[Json], params: Json) -> int:
            async with semaphore:
                return await self.call(messages, params)

        return sum(await asyncio.gather(*[one(*each) for each in chats]))

    async def close(self) -> None:
        await self._session.close()


if __name__ == "__main__":
    first_call(Client)
