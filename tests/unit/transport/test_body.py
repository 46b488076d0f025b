"""Bodies on connections of our own: no byte is lost, and the memory of unread ones is bounded."""

import asyncio

import pytest
from aiohttp.helpers import TimerNoop
from aiohttp.streams import EMPTY_PAYLOAD

from anycompletion.http import RequestHeaders
from anycompletion.transport import AttemptTimeouts, ConnectionLimit, Pool
from anycompletion.transport.body import BodyReader, as_body_reader
from anycompletion.transport.connector import PooledConnection
from anycompletion.transport.http1 import is_supported_aiohttp
from faults import certificates
from support.raw_server import REQUEST, STALL, STREAM, RawServer, piece

pytestmark = pytest.mark.skipif(
    not is_supported_aiohttp(), reason="with this aiohttp, requests are sent through its sessions"
)

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def receiving(data: bytes = b"", limit: int = 2**16) -> tuple[PooledConnection, BodyReader]:
    """A connection that has received the head of a chunked response, and perhaps more."""
    connection = PooledConnection(asyncio.get_running_loop())
    connection.connection_made(asyncio.Transport())
    connection.set_response_params(timer=TimerNoop(), read_until_eof=True, read_bufsize=limit)
    connection.data_received(CHUNKED + data)
    _, content = await connection.read()
    body = as_body_reader(content)
    assert isinstance(body, BodyReader)
    return connection, body


async def test_bytes_that_arrive_with_the_headers_are_kept() -> None:
    """The beginning of a response would be lost, or counted twice, when its reader becomes ours."""
    connection, body = await receiving(piece(b"ab") + piece(b"cd"))
    assert type(body) is BodyReader
    connection.data_received(piece(b"ef") + b"0\r\n\r\n")
    assert body.take_available() == b"abcdef"
    assert (body.take_available(), body.total_bytes, body.at_eof()) == (b"", 6, True)


async def test_one_piece_is_not_copied() -> None:
    """Each chunk of a stream would be copied once more."""
    connection, body = await receiving()
    connection.data_received(piece(b"x" * 300))
    [data] = body._buffer
    assert body.take_available() is data


async def test_the_end_of_a_piece_does_not_wake_the_reader() -> None:
    """A reader would be woken twice for each chunk, the second time for nothing."""
    connection, body = await receiving()
    assert body.take_available() is None
    waiter = body.wait()
    connection.data_received(b"3\r\n")
    assert not waiter.done()
    assert body.is_waiting()
    connection.data_received(b"abc")
    assert waiter.done()
    assert not body.is_waiting()
    body.take_available()
    waiter = body.wait()
    connection.data_received(b"\r\n")
    assert not waiter.done()


async def test_a_cancelled_reader_is_not_woken() -> None:
    """Bytes that arrive in the moment in which a read is cancelled would end in an error of the event loop."""
    connection, body = await receiving()
    body.wait().cancel()
    connection.data_received(piece(b"abc"))
    assert (body.exception(), body.take_available()) == (None, b"abc")


@pytest.mark.parametrize("end", ["lost", "aborted", "read twice"])
async def test_a_failure_wakes_the_reader_and_is_returned_after_the_bytes_before_it(end: str) -> None:
    """A reader would wait for ever, lose bytes, or keep its frames alive in an exception that all readers share."""
    connection, body = await receiving()
    waiter = body.wait()
    if end == "lost":
        connection.connection_lost(OSError("reset"))
    elif end == "aborted":
        body.abort()
    else:
        assert body.wait().done()
    await waiter
    error = body.exception()
    assert error is not None
    assert error.__traceback__ is None
    assert (body.take_available(), body.is_waiting()) == (b"", False)
    connection, body = await receiving(piece(b"abc"))
    body.abort()
    assert (body.take_available(), body.take_available()) == (b"abc", b"")


@pytest.mark.parametrize("size", [1, 40])
async def test_the_memory_of_an_unread_body_is_bounded(size: int) -> None:
    """A server that sends faster than its responses are read would fill the memory, most of all with tiny pieces."""
    connection, body = await receiving(limit=128)
    pieces = [bytes([97 + at % 26]) * size for at in range(100)]
    connection.data_received(b"".join(map(piece, pieces)) + b"0\r\n\r\n")
    assert len(body._buffer) < 20
    seen = b""
    while data := body.take_available():
        assert len(data) < 512
        seen += data
    assert (seen, body.at_eof()) == (b"".join(pieces), True)


async def test_responses_without_a_body_do_not_change_the_reader_that_they_share() -> None:
    """All of them have the same reader of aiohttp: it would be changed for the whole process."""
    body = as_body_reader(EMPTY_PAYLOAD)
    body.abort()
    assert (body.at_eof(), body.take_available(), body.exception()) == (True, b"", None)
    assert type(EMPTY_PAYLOAD) is not BodyReader


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_reads_of_the_socket_are_as_small_as_chunks_need(tls: bool) -> None:
    """asyncio would allocate 256 KiB for each chunk of a stream, which takes longer than reading it."""
    context = certificates.valid() if tls else None
    pool = Pool(ConnectionLimit(), ssl_context=certificates.trusting() if tls else None)
    async with RawServer((REQUEST, STREAM, piece(b"abc"), STALL), tls=context) as server:
        try:
            assert pool.connection_limit.try_acquire()
            response = await pool.send("POST", server.url, RequestHeaders({}), b"{}", AttemptTimeouts())
            transport = response._raw._connection.transport  # type: ignore[attr-defined]
            assert (transport._ssl_protocol if tls else transport).max_size == 65536
            assert await response.read() == b"abc"
        finally:
            await pool.aclose()
