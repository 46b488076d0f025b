"""Hand-written HTTP on a raw socket: the lower limit of the cost of an HTTP client, not usable in practice.

It supports only what the benchmark's server sends: a status line, a Content-Length or HTTP chunks, one event per chunk.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

from benchmarks.clients import KEY, MODEL, Json, Streamed, first_call

dumps: Any
loads: Any
try:
    from orjson import dumps, loads
except ImportError:  # where the environment with orjson is not installed
    from msgspec.json import decode as loads
    from msgspec.json import encode as dumps

_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Client:
    """Keeps idle connections in a list."""

    def __init__(self, root: str) -> None:
        parts = urlsplit(root)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {KEY}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()
        self._idle: list[_Connection] = []

    async def _send(self, data: Json) -> tuple[_Connection, bytes]:
        connection = self._idle.pop() if self._idle else await asyncio.open_connection(self._host, self._port)
        reader, writer = connection
        body = dumps(data)
        writer.write(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head)
        return connection, head

    async def call(self, messages: list[Json], params: Json) -> int:
        connection, head = await self._send({"model": MODEL, "messages": messages, **params})
        length = int(head[head.index(b"content-length:") + 15 :].partition(b"\r")[0])
        reply = loads(await connection[0].readexactly(length))
        self._idle.append(connection)
        return len(reply["choices"][0]["message"]["content"])

    async def stream(self, messages: list[Json], params: Json) -> Streamed:
        connection, _ = await self._send({"model": MODEL, "messages": messages, "stream": True, **params})
        reader = connection[0]
        characters, first = 0, 0.0
        while size := int(await reader.readuntil(b"\r\n"), 16):
            for event in (await reader.readexactly(size + 2)).split(b"\n\n"):
                if event.startswith(b"data: {"):
                    for choice in loads(event[6:])["choices"]:
                        text = choice["delta"].get("content")
                        if text:
                            first = first or perf_counter()
                            characters += len(text)
        await reader.readexactly(2)
        self._idle.append(connection)
        return Streamed(characters, first)

    async def hold(self, messages: list[Json], params: Json) -> object:
        connection, _ = await self._send({"model": MODEL, "messages": messages, "stream": True, **params})
        # The first event has the role and no text.
        await connection[0].readuntil(b"\n\n")
        await connection[0].readuntil(b"\n\n")
        return connection

    async def close(self) -> None:
        for _, writer in self._idle:
            writer.close()


if __name__ == "__main__":
    first_call(Client)
