"""The process of a server: speaks HTTP with few means and leaves the answers to the figure's own `Service`.

It reads no more of a request than its target, its length and its body, so that it costs far less than a client. It
prints its port, and stops when its standard input ends.
"""

from __future__ import annotations

import abc
import asyncio
import importlib
import json
import sys
from typing import Any, cast

from benchmarks.soak.common import allow_files


class Service(abc.ABC):
    """How the server of a figure responds; constructed once with the arguments of its process."""

    def __init__(self) -> None:
        self.requests = 0
        self.open = 0
        self.most_open = 0
        """Connections at the same time."""

    @abc.abstractmethod
    def answer(self, connection: Connection, target: str, body: bytes) -> None:
        """Answers one request, now or later."""

    def control(self, what: str) -> Any:
        """Whatever the figure asks for beside its requests; something that JSON can say."""
        return {"requests": self.requests, "open": self.open, "most_open": self.most_open}


class Connection(asyncio.Protocol):
    """One connection of the server: requests one after the other."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._received = b""
        self.transport: asyncio.Transport
        self.paused = False
        """Whether the peer does not keep up."""
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A connection came."""
        self.transport = cast("asyncio.Transport", transport)
        service = self._service
        service.open += 1
        service.most_open = max(service.most_open, service.open)

    def write(self, data: bytes) -> None:
        """Writes, unless the client has closed the connection."""
        if not self.lost:
            self.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self._service.open -= 1
        self.paused, self.lost = False, True

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        self.paused = True

    def resume_writing(self) -> None:
        """The client has read enough."""
        self.paused = False

    def data_received(self, data: bytes) -> None:
        """Responds to every request that has arrived completely."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end]
            stop = end + 4 + _length(head)
            if len(self._received) < stop:
                return
            body, self._received = self._received[end + 4 : stop], self._received[stop:]
            target = head.split(b" ", 2)[1].decode("latin-1")
            if target.startswith("/control/"):
                reply = self._service.control(target.removeprefix("/control/"))
                self.transport.write(whole(json.dumps(reply).encode(), more="Connection: close\r\n"))
                self.transport.close()
            else:
                self._service.requests += 1
                self._service.answer(self, target, body)


def _length(head: bytes) -> int:
    at = head.lower().find(b"content-length:")
    return 0 if at < 0 else int(head[at + 15 :].split(b"\r\n", 1)[0])


# --- parts of responses ----------------------------------------------------------------------------------------------


def whole(body: bytes, status: int = 200, more: str = "") -> bytes:
    """A whole response; `more` are further headers."""
    head = f"HTTP/1.1 {status} Scripted\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode("latin-1") + body


def completion(text: str) -> bytes:
    """A reply in OpenAI's format."""
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m"}
    return json.dumps(head | {"choices": [choice], "usage": usage}).encode()


STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
"""The head of a streamed response."""

_EVENT = (
    'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m",'
    '"choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":null}]}\n\n'
)


def event(text: str) -> bytes:
    """One event of a stream, as a piece of the body; `text` has nothing that JSON escapes."""
    return piece((_EVENT % text).encode())


def piece(data: bytes) -> bytes:
    """`data` as a piece of a body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


STOP = piece(
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m",'
    b'"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
)
"""The event with the finish reason."""

DONE = piece(b"data: [DONE]\n\n") + b"0\r\n\r\n"
"""The end of a stream and of its body."""


def question(body: bytes) -> str:
    """The text of the first message."""
    text: str = json.loads(body)["messages"][0]["content"]
    return text


# --- the process -----------------------------------------------------------------------------------------------------


async def _serve(service: Service) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(service), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


def main() -> None:
    """Serves one figure."""
    allow_files()
    figure, *arguments = sys.argv[1:]
    module: Any = importlib.import_module(f"benchmarks.soak.{figure}")
    asyncio.run(_serve(module.Service(*arguments)))


if __name__ == "__main__":
    main()
