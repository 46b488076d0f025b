"""Baseline of calls and streams: aiohttp + orjson by hand, written by someone who knows what aiohttp costs.

The URL and headers are made once, there are no redirects and no cookies, and a stream is read in whatever pieces arrive
(`iter_any`), each split once. There are still no types, no validation, no retries and no deadline.
"""

from __future__ import annotations

from time import perf_counter

import aiohttp
from yarl import URL

from benchmarks.clients import MODEL, Json, Streamed, first_call
from benchmarks.clients.bare import Client as NaiveClient
from benchmarks.clients.bare import dumps, loads

_DATA = b"data: "
_DONE = b"data: [DONE]"


class Client(NaiveClient):
    """One session for all calls, with prepared requests."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self._prepared = URL(self._url, encoded=True)

    def cookies(self) -> aiohttp.abc.AbstractCookieJar:
        """A jar that keeps nothing."""
        return aiohttp.DummyCookieJar()

    async def call(self, messages: list[Json], params: Json) -> int:
        body = dumps({"model": MODEL, "messages": messages, **params})
        async with self._session.post(self._prepared, data=body, allow_redirects=False) as response:
            if response.status != 200:
                raise RuntimeError(response.status)
            reply = loads(await response.read())
        return len(reply["choices"][0]["message"]["content"])

    async def stream(self, messages: list[Json], params: Json) -> Streamed:
        body = dumps({"model": MODEL, "messages": messages, "stream": True, **params})
        characters, first, rest = 0, 0.0, b""
        async with self._session.post(self._prepared, data=body, allow_redirects=False) as response:
            if response.status != 200:
                raise RuntimeError(response.status)
            async for piece in response.content.iter_any():
                *events, rest = (rest + piece).split(b"\n\n")
                for event in events:
                    if event.startswith(_DATA) and event != _DONE:
                        for choice in loads(event[6:])["choices"]:
                            text = choice["delta"].get("content")
                            if text:
                                first = first or perf_counter()
                                characters += len(text)
        return Streamed(characters, first)


if __name__ == "__main__":
    first_call(Client)
