"""A server that cuts its response at a given place, as servers, proxies and networks do."""

import asyncio
import socket
import struct
from typing import Literal, Self

from anycompletion.testing.recording.replay_server import CONTENT_TYPES

Ending = Literal["end", "close", "reset"]
"""After the last byte: the chunked body ends properly, the connection is closed without that, or it is reset."""

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n"


class CutServer:
    """Server that answers one request with a body and an ending."""

    def __init__(self, body: bytes, ending: Ending, framing: str) -> None:
        self._body = body
        self._head = _HEAD % CONTENT_TYPES[framing].encode()
        self._ending = ending
        self._server: asyncio.Server | None = None
        self.everything_read = asyncio.Event()
        """Set by the test: a reset discards bytes that the receiver has not read."""

    @property
    def url(self) -> str:
        """The URL of the server."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _read_request(reader)
        chunk = b"%x\r\n%s\r\n" % (len(self._body), self._body) if self._body else b""
        writer.write(self._head + chunk + (b"0\r\n\r\n" if self._ending == "end" else b""))
        await writer.drain()
        if self._ending == "reset":
            await self.everything_read.wait()
            connection: socket.socket = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()


async def _read_request(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    (length,) = (line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length))
