"""Loopback server of the benchmarks: sends prepared bytes from a process of its own, much cheaper than any client.

It reads no more of a request than its target and its length; the end of the target selects the format. A request
``GET /set/BEHAVIOUR`` sets how it responds to all clients from then on:

* ``plain``: a complete reply at once; ``plain-50``: after 50 ms.
* ``burst-200``: a stream of 200 chunks in one write, an HTTP chunk per event, as providers send them.
* ``solid-200``: the same in a single HTTP chunk.
* ``paced-200-5``: 200 chunks, the first at once, then one every 5 ms; concurrent streams are spread over the interval.
* ``hold-3``: the first three chunks of a stream, which then stays open.

``GET /cost`` returns the CPU time used so far. The process prints its port and stops when its standard input ends.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Protocol, cast

from benchmarks import payloads
from benchmarks.formats_payloads import FORMATS, format_of
from benchmarks.system import allow_many_files, pin, run


class Responder(Protocol):
    """Sends the response to a request."""

    def __call__(self, transport: asyncio.Transport) -> None:
        """Responds to one request."""


class Prepared:
    """Responder that sends the same bytes every time, at once or after `delay` seconds."""

    def __init__(self, data: bytes, delay: float = 0) -> None:
        self._data = data
        self._delay = delay

    def __call__(self, transport: asyncio.Transport) -> None:
        """Writes the bytes or schedules that."""
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, transport.write, self._data)
        else:
            transport.write(self._data)


class Paced:
    """Responder that sends the first part at once, then one every `pace` seconds by the clock.

    Concurrent streams are spread evenly over the interval, as the streams of independent models are on average. If they
    kept the times at which a client sent its requests, a client that sends all at once would be woken once for many
    chunks, and another client for each chunk.
    """

    def __init__(self, parts: Sequence[bytes], pace: float) -> None:
        self._parts = parts
        self._pace = pace
        self._streams = 0

    def __call__(self, transport: asyncio.Transport) -> None:
        """Writes the first part and schedules the next."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        if self._pace:
            self._streams += 1
            start += (self._streams * _GOLDEN % 1) * self._pace - start % self._pace
        self._write(transport, loop, start, 0)

    def _write(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, start: float, at: int) -> None:
        if transport.is_closing():
            return
        transport.write(self._parts[at])
        if at + 1 < len(self._parts):
            loop.call_at(start + (at + 1) * self._pace, self._write, transport, loop, start, at + 1)


_GOLDEN = 0.6180339887498949
"""Golden ratio: the fractional parts of its multiples are spread almost evenly, whatever their number."""


@functools.cache
def responder(behaviour: str, name: str) -> Responder:
    """The responder for a behaviour in the format of this name."""
    kind, *numbers = behaviour.split("-")
    first, second, *_ = [*map(int, numbers), 0, 0]
    wire = FORMATS[name]
    if kind == "plain":
        return Prepared(wire.response, first / 1000)
    events, head = wire.events(first), wire.stream_head
    # Events before the first word are sent with it, those after the last word with that.
    front = wire.front
    back = front - 1 + first
    match kind:
        case "burst":
            return Prepared(head + payloads.http_chunks(events) + payloads.STREAM_END)
        case "solid":
            return Prepared(head + payloads.http_chunk(b"".join(events)) + payloads.STREAM_END)
        case "hold":
            return Prepared(head + payloads.http_chunks(events[:back]))
        case "paced":
            parts = [head + payloads.http_chunks(events[:front]), *map(payloads.http_chunk, events[front:back])]
            parts[-1] += payloads.http_chunks(events[back:]) + payloads.STREAM_END
            return Paced(parts, second / 1000)
        case _:
            raise ValueError(behaviour)


_format_of = functools.cache(format_of)


class State:
    """State that all connections share."""

    def __init__(self) -> None:
        self.served = 0
        self.behaviour = "plain"
        """How requests are responded to from now on."""

    def respond(self, target: bytes) -> Responder:
        """The responder for a request; it is made for the first one of its format."""
        return responder(self.behaviour, _format_of(target))

    def handle_get(self, target: str) -> bytes:
        """The response to a ``GET``, which may set the behaviour: the number of requests served and the CPU time."""
        if target.startswith("/set/"):
            self.behaviour = target.removeprefix("/set/")
        return payloads.complete(json.dumps({"served": self.served, "cpu": time.process_time()}).encode())


class Connection(asyncio.Protocol):
    """Connection of a client, kept open until the client closes it."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._transport: asyncio.Transport | None = None
        self._head = b""
        self._missing = 0
        """Number of bytes of a request's body that have not arrived; the bytes are not kept."""
        self._pending: Responder | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Responds to each complete request."""
        if self._missing:
            if len(data) < self._missing:
                self._missing -= len(data)
                return
            data = data[self._missing :]
            self._missing = 0
            self._finish()
        while data:
            if self._head:
                data = self._head + data
                self._head = b""
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._head = data
                return
            self._pending = self._read_head(data[:end])
            body = len(data) - end - 4
            if body < self._missing:
                self._missing -= body
                return
            data = data[end + 4 + self._missing :]
            self._missing = 0
            self._finish()

    def _read_head(self, head: bytes) -> Responder:
        method, target, _ = head.split(b" ", 2)
        if method == b"GET":
            return Prepared(self._state.handle_get(target.decode()))
        lower = head.lower()
        at = lower.find(b"\r\ncontent-length:")
        if at < 0:
            raise ValueError("this server reads only bodies with a Content-Length")
        stop = lower.find(b"\r\n", at + 17)
        self._missing = int(lower[at + 17 : stop if stop > 0 else None])
        return self._state.respond(target)

    def _finish(self) -> None:
        assert self._pending is not None
        assert self._transport is not None
        self._state.served += 1
        self._pending(self._transport)


async def serve() -> None:
    """Serves until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(functools.partial(Connection, State()), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    os._exit(0)  # clients may still be connected; there is nothing to save


def main() -> None:
    """Serves; pinned to ``--core`` if one is given."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--core", type=int)
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    options = parser.parse_args()
    allow_many_files()
    pin(options.core)
    run(serve(), options.loop)


if __name__ == "__main__":
    main()
