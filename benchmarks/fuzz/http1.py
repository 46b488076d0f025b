"""Fuzzing of the framing of HTTP/1.1 responses: heads, lengths, chunks and encodings, read by a pool as in a call."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Sequence
from random import Random
from typing import Any, NamedTuple

from anycompletion.errors import APIConnectionError, APIResponseError
from anycompletion.http import RequestHeaders
from anycompletion.transport import AttemptTimeouts, ConnectionLimit, Pool
from anycompletion.transport.connector import Connector
from anycompletion.transport.http1 import DirectSender

from . import mutations
from .seeds import SEEDS
from .subject import Subject, expect

MAX_BODY = 1_000_000
"""Bytes of a body that are read."""

_SECONDS = 5.0
"""Time after which a response that does not end is a failure: nothing is waited for."""


class SentResponse(NamedTuple):
    """What a server sends after a request, before it closes the connection."""

    data: bytes
    pieces: list[bytes]
    body: bytes | None
    """The body that must be read; None for an error."""
    damaged: bool
    """Whether the response may be read as another one, or be an error."""


def make_response(rng: Random) -> SentResponse:
    """A response in one of HTTP's framings and encodings; many are cut off or damaged."""
    seeds = rng.choice(list(SEEDS.values()))
    streams = seeds.streams
    body = (
        mutations.body(rng, seeds.replies)
        if rng.random() < 0.5
        else mutations.stream(rng, streams, streams, seeds.write)
    )
    body = body[:MAX_BODY]
    headers = {"content-type": "application/json", "date": "Tue, 21 Nov 2023 07:28:00 GMT"}
    encoded = _encoded(rng, body, headers)
    framed = _framed(rng, encoded, headers)
    fields = [(name.encode(), value.encode()) for name, value in headers.items()]
    kind = rng.random()
    if kind < 0.1:
        at = rng.randrange(len(fields))
        fields[at] = (fields[at][0], mutations.header(rng, fields[at][1].decode()))
    if kind < 0.2:
        fields += rng.choices(fields, k=rng.randrange(3))
    data = _head(rng, fields, odd=kind < 0.1) + framed
    if kind < 0.4:
        data = mutations.damaged(rng, data) if rng.random() < 0.8 else data + mutations.noise(rng)
    elif kind < 0.5 and "connection" not in headers:
        data, body = data[: rng.randrange(len(data))], None
    return SentResponse(data, mutations.cuts(rng, data), body, damaged=kind < 0.4)


def _head(rng: Random, fields: Sequence[tuple[bytes, bytes]], *, odd: bool) -> bytes:
    early = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * rng.choice((0, 0, 0, 1, 2))
    version = b"HTTP/1.0" if odd and rng.random() < 0.5 else b"HTTP/1.1"
    start = b"%s %d %s" % (version, rng.choice((200, 200, 201, 400, 429, 500, 599)), rng.choice((b"OK", b"", b"N\xe9")))
    lines = [name + rng.choice((b":", b": ", b":  ")) + value for name, value in fields]
    return early + b"\r\n".join((start, *lines, b"", b""))


def _encoded(rng: Random, body: bytes, headers: dict[str, str]) -> bytes:
    encoding = rng.choice(("", "", "", "identity", "gzip", "GZIP", "x-gzip", "deflate", "Deflate"))
    if not encoding:
        return body
    headers["content-encoding"] = encoding
    match encoding.lower():
        case "gzip" | "x-gzip":
            return gzip.compress(body, 1, mtime=0)
        case "deflate":
            return zlib.compress(body, 1)
        case _:
            return body


def _framed(rng: Random, body: bytes, headers: dict[str, str]) -> bytes:
    match rng.randrange(4):
        case 0:
            headers["content-length"] = str(len(body))
            return body
        case 1:
            headers["connection"] = "close"  # which is the end of the body
            return body
        case _:
            headers["transfer-encoding"] = rng.choice(("chunked", "Chunked"))
            pieces = mutations.cuts(rng, body) if len(body) < 5_000 else [body]
            extension = rng.choice((b"", b"", b";a=b", b' ;a="b c"'))
            chunks = [b"%x%s\r\n%s\r\n" % (len(piece), extension, piece) for piece in pieces if piece]
            return b"".join((*chunks, b"0\r\n", rng.choice((b"", b"", b"x-checksum: 1\r\n")), b"\r\n"))


def check_response(given: SentResponse) -> None:
    """Checks that a response is read as it was sent, or is an error of ours, in whatever pieces it arrives."""
    whole, in_pieces = (asyncio.run(read_response(pieces)) for pieces in ([given.data], given.pieces))
    if not given.damaged:
        expect(whole == given.body, f"another body: {whole!r}")
    # Bytes after the end of a response make it an error where they arrive with it, and close its connection otherwise.
    expect(whole is None or whole == in_pieces, f"another body in pieces: {in_pieces!r}")
    if given.body is None:
        expect(in_pieces is None, f"a body that was cut off: {in_pieces!r}")


async def read_response(pieces: Sequence[bytes]) -> bytes | None:
    """The body of the response that arrives in these pieces; None where it is an error of ours.

    Raises:
        ViolationError: the event loop reported an error, or the pool did not end the exchange.
    """
    reported: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
    limit = ConnectionLimit(lambda: 10)
    pool = Pool(limit)
    sender = DirectSender(None)
    await sender.connector.close()
    sender.connector = _MemoryConnector(pieces)
    pool._sender = sender  # noqa: SLF001
    found: bytes | None = None
    try:
        async with asyncio.timeout(_SECONDS):
            limit.try_acquire()
            response = await pool.send("POST", "http://a.example/v1", RequestHeaders({}), b"{}", AttemptTimeouts())
            found = await response.read_all(MAX_BODY)
    except (APIConnectionError, APIResponseError):
        pass
    expect(pool.in_flight == 0 and limit.used == 0, "the exchange did not end")
    await pool.aclose()
    await asyncio.sleep(0)
    expect(not reported, f"reported by the event loop: {reported}")
    return found


class _MemoryConnector(Connector):
    """A connector whose connections receive given pieces after a request, and then the end."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        super().__init__(None)
        self._pieces = pieces

    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> Any:
        state = self._current()
        assert state is not None, "every request has one"
        state.may_have_sent = True
        protocol = self._factory()
        _MemoryTransport(protocol, self._pieces)
        return protocol


class _MemoryTransport(asyncio.Transport):
    """A connection without a network."""

    def __init__(self, protocol: asyncio.Protocol, pieces: Sequence[bytes]) -> None:
        super().__init__()
        self._protocol = protocol
        self._left = list(reversed(pieces))
        self._loop = asyncio.get_running_loop()
        self._reading = True
        self._closing = self._requested = self._scheduled = False
        protocol.connection_made(self)

    def write(self, data: Any) -> None:
        self._requested = True
        self._deliver_soon()

    def _deliver_soon(self) -> None:
        if self._requested and self._reading and not self._scheduled and not self._closing:
            self._scheduled = True
            self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        self._scheduled = False
        if self._closing or not self._reading:
            return
        if self._left:
            self._protocol.data_received(self._left.pop())
            self._deliver_soon()
        else:
            self._protocol.eof_received()
            self.close()

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self._closing

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self._deliver_soon()


HTTP1 = Subject(make_response, check_response)
