"""Server on 127.0.0.1 that follows a script byte by byte, for responses that no HTTP library would send."""

import asyncio
import json
import socket
import struct
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from ssl import SSLContext
from typing import Any, NamedTuple, Self, TypeAlias


class Act(Enum):
    """Step of a script that is neither bytes to write nor a wait."""

    REQUEST = auto()
    """Reads one request."""
    HEAD = auto()
    """Reads the head of a request and leaves its body unread."""
    FIN = auto()
    """Closes the connection."""
    RESET = auto()
    """Resets the connection."""
    STALL = auto()
    """Sends nothing more until the client closes the connection."""


REQUEST, HEAD, FIN, RESET, STALL = Act.REQUEST, Act.HEAD, Act.FIN, Act.RESET, Act.STALL

Step: TypeAlias = "bytes | float | Act"
"""Bytes to write, seconds to wait, or an act."""


class Request(NamedTuple):
    """A request as it arrived."""

    line: str
    headers: dict[str, str]
    body: bytes


class RawServer:
    """Server whose n-th connection follows the n-th script; further connections follow the last one."""

    def __init__(self, *scripts: Sequence[Step], tls: SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.steps = 0
        """Steps done, of all scripts together."""
        self._scripts = scripts
        self._tls = tls
        self._tasks: set[asyncio.Task[Any]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    @property
    def open(self) -> int:
        """Connections whose script has not ended."""
        return len(self._tasks)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**26, backlog=1024, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self._scripts[min(self.connections, len(self._scripts) - 1)]
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        forget_loss(writer)
        try:
            for step in script:
                await self._do(step, reader, writer)
                self.steps += 1
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        except RuntimeError:
            pass  # what uvloop raises from a write after the client has closed
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _do(self, step: Step, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match step:
            case bytes():
                writer.write(step)
                await writer.drain()
            case Act.REQUEST:
                self.requests.append(await _read(reader))
            case Act.HEAD:
                self.requests.append(await _read(reader, with_body=False))
            case Act.FIN:
                writer.close()
                await writer.wait_closed()
            case Act.RESET:
                connection: socket.socket = writer.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            case Act.STALL:
                await reader.read()
            case _:
                await asyncio.sleep(step)


def forget_loss(writer: asyncio.StreamWriter) -> None:
    """Ignores resets by the client: asyncio would log one if the future is collected before its protocol."""
    closed: asyncio.Future[None] = writer.transport.get_protocol()._closed  # type: ignore[attr-defined]
    closed.add_done_callback(lambda closed: closed.cancelled() or closed.exception())


async def _read(reader: asyncio.StreamReader, *, with_body: bool = True) -> Request:
    head = await reader.readuntil(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
    size = int(headers.get("content-length", "0")) if with_body else 0
    return Request(line, headers, await reader.readexactly(size))


class Tunnel:
    """Proxy that accepts CONNECT to any address, opens a tunnel to one local port, and records what it received."""

    def __init__(self, port: int) -> None:
        self.heads: list[bytes] = []
        """Requests to the proxy itself."""
        self.relayed: list[bytes] = []
        """Bytes that went through the tunnels, in both directions."""
        self._target = port
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
            await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
        except (OSError, RuntimeError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                self.relayed.append(data)
                sink.write(data)
                await sink.drain()
        finally:
            sink.close()


class ClosedPort:
    """Local port without a listener, reserved so that none appears."""

    def __enter__(self) -> str:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __exit__(self, *exc_info: object) -> None:
        self._socket.close()


class FullListener:
    """Listener that completes no connection, because its queue is full."""

    async def __aenter__(self) -> Self:
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._waiting = [socket.socket() for _ in range(4)]
        for each in self._waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", self.port))
        await asyncio.sleep(0.05)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for each in (self._listener, *self._waiting):
            each.close()


# --- parts of scripts ------------------------------------------------------------------------------------------------


def completion(text: str = "Hello.") -> dict[str, Any]:
    """A whole reply in OpenAI's format."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "reply-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}


def answer(body: Any = None, status: int = 200, headers: Mapping[str, str] | None = None) -> bytes:
    """A whole response; a body that is not bytes is sent as JSON, and None as `completion()`."""
    data = body if isinstance(body, bytes) else json.dumps(completion() if body is None else body).encode()
    return (
        head(status, {"Content-Type": "application/json", "Content-Length": str(len(data)), **(headers or {})}) + data
    )


def head(status: int = 200, headers: Mapping[str, str] | None = None) -> bytes:
    """The status line and the headers of a response."""
    fields = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    return f"HTTP/1.1 {status} Scripted\r\n{fields}\r\n".encode("latin-1")


STREAM = head(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})
"""The head of a streamed response with a chunked body."""

END = b"0\r\n\r\n"
"""The end of a chunked body."""


def piece(data: bytes) -> bytes:
    """`data` as one chunk of a body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(text: str | None = None, finish_reason: str | None = None, **members: Any) -> bytes:
    """One event of OpenAI's stream, as a chunk of a body."""
    delta = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    data = {"id": "reply-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return piece(b"data: " + json.dumps(data | members).encode() + b"\n\n")


DONE = piece(b"data: [DONE]\n\n")

WHOLE: tuple[Step, ...] = (STREAM, event("Hel"), event("lo."), event(finish_reason="stop"), DONE + END)
"""A complete streamed response."""
