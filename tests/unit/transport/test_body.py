"""Bodies as they come in on connections of our own: nothing is lost, and nothing is held without bound."""

import asyncio

import pytest
from aiohttp.helpers import TimerNoop
from aiohttp.streams import EMPTY_PAYLOAD

from anycompletion.http import RequestHeaders
from anycompletion.transport import Deadlines, Pool
from anycompletion.transport.body import BodyReader, as_body_reader
from anycompletion.transport.connection_limit import ConnectionLimit
from anycompletion.transport.connector import PooledConnection
from anycompletion.transport.http1 import is_supported_aiohttp
from faults import certificates
from support.raw_server import REQUEST, STALL, STREAM, RawServer, piece

pytestmark = pytest.mark.skipif(
    not is_supported_aiohttp(), reason="with this aiohttp, requests go through its sessions"
)

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def receiving(data: bytes = b"", limit: int = 2**16) -> tuple[PooledConnection, BodyReader]:
    """A connection on which the head of a chunked answer has come, and perhaps more."""
    wire = PooledConnection(asyncio.get_running_loop())
    wire.set_response_params(timer=TimerNoop(), read_until_eof=True, read_bufsize=limit)
    wire.data_received(CHUNKED + data)
    _, content = await wire.read()
    body = as_body_reader(content, wire)
    assert body is not None
    return wire, body


async def test_what_came_with_the_headers_is_there() -> None:
    """The beginning of an answer would be lost, or counted twice, when its reader becomes ours."""
    wire, body = await receiving(piece(b"ab") + piece(b"cd"))
    assert type(body) is BodyReader
    wire.data_received(piece(b"ef") + b"0\r\n\r\n")
    assert body.take() == b"abcdef"
    assert (body.take(), body.total_bytes, body.at_eof()) == (b"", 6, True)


async def test_one_piece_is_not_copied() -> None:
    """Each chunk of a stream would be copied once more."""
    wire, body = await receiving()
    wire.data_received(piece(b"x" * 300))
    [data] = body._buffer
    assert body.take() is data


async def test_the_end_of_a_piece_wakes_nobody() -> None:
    """A reader would be woken twice for each chunk, the second time for nothing."""
    wire, body = await receiving()
    waiter = body._waiter = asyncio.get_running_loop().create_future()
    wire.data_received(b"3\r\n")
    assert not waiter.done()
    wire.data_received(b"abc")
    assert waiter.done()
    body.take()
    waiter = body._waiter = asyncio.get_running_loop().create_future()
    wire.data_received(b"\r\n")
    assert not waiter.done()


async def test_a_reader_that_gave_up_is_not_woken() -> None:
    """What comes in the moment in which a read is cancelled would end in an error of the event loop."""
    wire, body = await receiving()
    waiter = body._waiter = asyncio.get_running_loop().create_future()
    waiter.cancel()
    wire.data_received(piece(b"abc"))
    assert (body.exception(), body.take()) == (None, b"abc")


@pytest.mark.parametrize("size", [1, 40])
async def test_a_body_that_nobody_reads_is_held_within_bounds(size: int) -> None:
    """A server that sends faster than anybody reads would fill the memory, most of all with tiny pieces."""
    wire, body = await receiving(limit=128)
    pieces = [bytes([97 + at % 26]) * size for at in range(100)]
    wire.data_received(b"".join(map(piece, pieces)) + b"0\r\n\r\n")
    assert len(body._buffer) < 20
    seen = b""
    while data := body.take():
        assert len(data) < 512
        seen += data
    assert (seen, body.at_eof()) == (b"".join(pieces), True)


async def test_answers_without_a_body_have_one_of_their_own_that_has_ended() -> None:
    """All of them have the same reader of aiohttp's: it would be changed for the whole process."""
    body = as_body_reader(EMPTY_PAYLOAD, PooledConnection(asyncio.get_running_loop()))
    assert body is not None
    assert (body.at_eof(), body.take()) == (True, b"")
    assert type(EMPTY_PAYLOAD) is not BodyReader


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_no_more_is_asked_of_the_system_at_once_than_a_chunk_may_need(tls: bool) -> None:
    """asyncio would make room for 256 KiB for each chunk of a stream, which takes longer than reading it."""
    context = certificates.valid() if tls else None
    pool = Pool(ConnectionLimit(), ssl_context=certificates.trusting() if tls else None)
    async with RawServer((REQUEST, STREAM, piece(b"abc"), STALL), tls=context) as server:
        try:
            assert pool.connection_limit.try_acquire()
            exchange = await pool.send("POST", server.url, RequestHeaders({}), b"{}", Deadlines())
            transport = exchange._answer._wire.transport  # type: ignore[attr-defined]
            assert (transport._ssl_protocol if tls else transport).max_size == 65536
            assert await exchange.read() == b"abc"
        finally:
            await pool.aclose()
