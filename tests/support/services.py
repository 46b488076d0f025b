"""Web services on 127.0.0.1 for the length of a block, and a raw HTTP client that can disconnect."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncGenerator, Generator
from typing import Any, NamedTuple, Self

import uvicorn
from aiohttp import web
from starlette.types import ASGIApp


class ResponseHead(NamedTuple):
    """The status and headers of a response."""

    status: int
    headers: dict[str, str]
    """Names in lower case."""


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leaves signals to the test run."""
        yield

    async def main_loop(self) -> None:
        """Waits for an event, where uvicorn polls ten times a second whether it should stop."""
        await self.on_tick(0)
        self.stopping = asyncio.Event()
        await self.stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Does what uvicorn's own does, without its pauses."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if self.server_state.tasks:
            _, left = await asyncio.wait(self.server_state.tasks, timeout=1)
            assert not left, f"requests that do not end: {left}"
        await self.lifespan.shutdown()


@contextlib.asynccontextmanager
async def asgi_service(app: ASGIApp) -> AsyncGenerator[str, None]:
    """Serves an ASGI application with uvicorn; yields its URL."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = _Server(uvicorn.Config(app, log_level="critical", ws="none", timeout_graceful_shutdown=1))
    serving = asyncio.create_task(server.serve([listening]))
    try:
        while not hasattr(server, "stopping"):
            assert not serving.done(), "the service did not start"
            await asyncio.sleep(0.001)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.stopping.set()
        await serving
        listening.close()


@contextlib.asynccontextmanager
async def aiohttp_service(app: web.Application, **options: Any) -> AsyncGenerator[str, None]:
    """Serves an aiohttp.web application; yields its URL."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, **options)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class Peer:
    """One request over a connection of its own, whose response is read as it arrives."""

    def __init__(self, url: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> None:
        self._address = url.removeprefix("http://").split(":")
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        fields = {"Host": "localhost", "Content-Length": str(len(data)), "Content-Type": "application/json"}
        lines = [f"{name}: {value}" for name, value in (fields | (headers or {})).items()]
        method = "GET" if body is None else "POST"
        self._request = "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode() + data

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(self._address[0], int(self._address[1]))
        self._writer.write(self._request)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    def leave(self) -> float:
        """Closes the connection; returns the loop's time."""
        self._writer.close()
        return asyncio.get_running_loop().time()

    async def head(self) -> ResponseHead:
        """Status and headers."""
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
        fields = (line.partition(": ") for line in lines[1:])
        return ResponseHead(int(lines[0].split()[1]), {name.lower(): value for name, _, value in fields})

    async def piece(self) -> bytes:
        """The next piece of a chunked body; empty at its end."""
        size = int((await self._reader.readline()).strip() or b"0", 16)
        data = await self._reader.readexactly(size)
        await self._reader.readexactly(2)
        return data

    async def rest(self) -> bytes:
        """All further pieces up to the end of the body."""
        pieces: list[bytes] = []
        while piece := await self.piece():
            pieces.append(piece)
        return b"".join(pieces)

    async def whole(self) -> tuple[ResponseHead, Any]:
        """The head and the JSON of a response with a content length."""
        head = await self.head()
        return head, json.loads(await self._reader.readexactly(int(head.headers["content-length"])))


def events(body: bytes) -> list[str]:
    """The events of a stream without comments, each as the text after ``data: ``."""
    blocks = body.decode().split("\n\n")
    assert blocks.pop() == "", "every event ends with an empty line"
    return [block.removeprefix("data: ") for block in blocks if not block.startswith(":")]
