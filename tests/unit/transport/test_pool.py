"""Pool with servers that misbehave: bytes that arrived are returned, every wait ends, no connection stays open."""

import asyncio
import gc
import gzip
import inspect
import socket
import weakref
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any

import aiohttp
import pytest

from anycompletion import (
    APIConnectionError,
    APIError,
    APIResponseError,
    APITimeoutError,
    AsyncCompletion,
    ClientClosedError,
    CompletionError,
)
from anycompletion.http import RequestHeaders
from anycompletion.transport import AttemptTimeouts, Pool, Response, Transport
from anycompletion.transport.connection_limit import ConnectionLimit
from anycompletion.transport.connector import MAX_CONNECTING, Connector, SendState
from anycompletion.transport.timeouts import TimeoutTimer
from support.raw_server import END, FIN, HEAD, REQUEST, RESET, STALL, STREAM, RawServer, Step, answer, head, piece
from support.resource_leaks import acquired, kept


@pytest.fixture(autouse=True, params=["own connections", "through a session"])
def sending(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How requests are sent; with an untested aiohttp, through its sessions."""
    if request.param == "through a session":
        monkeypatch.setattr(aiohttp, "__version__", "4.0.0")
    return str(request.param)


@asynccontextmanager
async def pool_to(*scripts: tuple[Step, ...]) -> AsyncIterator[tuple[RawServer, Pool]]:
    async with RawServer(*scripts) as server:
        pool = Pool(ConnectionLimit())
        try:
            yield server, pool
        finally:
            await pool.aclose()


async def post(server: RawServer, pool: Pool, timeouts: AttemptTimeouts | None = None) -> Response:
    return await send(pool, server.url + "/", timeouts=timeouts)


async def send(
    pool: Pool,
    url: str,
    body: bytes = b"{}",
    timeouts: AttemptTimeouts | None = None,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Response:
    """Sends as a call does, which has acquired the connection limit before."""
    assert pool.connection_limit.try_acquire()
    return await pool.send("POST", url, RequestHeaders(headers), body, timeouts or AttemptTimeouts())


async def read_rest(response: Response) -> tuple[bytes, CompletionError | None]:
    """All bytes that can still be read, and the error after them."""
    data = b""
    try:
        while more := await response.read():
            data += more
    except CompletionError as error:
        return data, error
    return data, None


def after(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


# --- connections -----------------------------------------------------------------------------------------------------


async def test_a_connection_is_kept_for_the_next_request() -> None:
    """Every call would pay for a new connection."""
    async with pool_to((REQUEST, answer(), REQUEST, answer(), REQUEST, answer())) as (server, pool):
        for _ in range(3):
            response = await post(server, pool)
            assert response.status == 200
            assert b"Hello." in await response.read_all(1000)
            assert pool.in_flight == 0
            assert (acquired(pool), kept(pool)) == (0, 1)
        assert server.connections == 1


async def test_silent_connections_are_probed() -> None:
    """A firewall would forget a connection while a model is silent, and the call would wait until a timeout."""
    async with pool_to((REQUEST, STREAM, STALL)) as (server, pool):
        response = await post(server, pool)
        (connection,) = pool._connector._acquired  # type: ignore[union-attr]
        opened = connection.transport.get_extra_info("socket")
        assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if hasattr(socket, "TCP_KEEPIDLE"):
            assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
        response.close()


async def test_an_address_that_does_not_answer_does_not_delay_others() -> None:
    """One dead server would stop the calls to all others of its provider."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        dead = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        async with pool_to((REQUEST, answer())) as (server, pool):
            waiting = [asyncio.create_task(send(pool, dead)) for _ in range(MAX_CONNECTING + 20)]
            await asyncio.sleep(0.1)
            async with asyncio.timeout(5):
                assert (await post(server, pool)).status == 200
            for task in waiting:
                task.cancel()
            assert not (await asyncio.wait(waiting, timeout=5))[1]
            assert pool._connector._connecting == {}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "death", [(REQUEST, FIN), (REQUEST, RESET), (FIN,), (RESET,), (0.001, FIN), (0.001, RESET)], ids=str
)
async def test_a_kept_connection_that_dies_is_replaced_without_an_error(death: tuple[Step, ...]) -> None:
    """A call would fail, or count as retried, because a server closed its idle connections."""
    async with (
        RawServer((REQUEST, answer(), *death)) as server,
        AsyncCompletion(base_urls={"openai": server.url}, api_keys={"openai": "key"}, max_retries=0) as client,
    ):
        for _ in range(51):
            reply = await client.create("openai/m", "Hi.")
            assert reply.text == "Hello."
            assert reply.info.attempts == 1
        assert server.connections == 51


@pytest.mark.parametrize("death", [FIN, RESET], ids=str)
async def test_the_replacement_of_a_kept_connection_is_not_replaced(death: Step) -> None:
    """Requests to a server that drops every connection would be repeated for ever."""
    async with pool_to((REQUEST, answer(), REQUEST, death), (REQUEST, death)) as (server, pool):
        await (await post(server, pool)).read_all(1000)
        with pytest.raises(APIConnectionError) as caught:
            await post(server, pool)
        assert caught.value.maybe_billed
        assert (server.connections, len(server.requests)) == (2, 3)
        assert acquired(pool) == 0


@pytest.mark.parametrize("death", [FIN, RESET], ids=str)
@pytest.mark.parametrize("before", [(), (b"HTTP/1.1 2",), (b"HTTP/1.1 200 OK\r\nContent-Ty",)], ids=len)
async def test_a_fresh_connection_that_dies_is_an_error(death: Step, before: tuple[Step, ...]) -> None:
    """A request that the server may have processed would be sent again unnoticed."""
    async with pool_to((REQUEST, *before, 0.01, death)) as (server, pool):
        with pytest.raises(APIConnectionError) as caught:
            await post(server, pool)
        error = caught.value
        assert (error.phase, error.maybe_billed, error.retryable) == ("headers", True, True)
        assert error.__cause__ is None
        assert error.__context__ is None
        assert server.connections == 1
        assert acquired(pool) == 0


@pytest.mark.parametrize(
    "death",
    [
        FIN,
        RESET,
    ],
    ids=str,
)
@pytest.mark.parametrize("before", [b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nContent-Ty"], ids=len)
async def test_a_kept_connection_that_dies_within_a_response_is_an_error(death: Step, before: bytes) -> None:
    """A request that the server has begun to answer would be sent, and billed, twice."""
    async with pool_to((REQUEST, answer(), REQUEST, before, 0.02, death)) as (server, pool):
        await (await post(server, pool)).read_all(1000)
        with pytest.raises(APIConnectionError):
            await post(server, pool)
        assert server.connections == 1


async def test_a_refused_connection_is_an_error_that_names_the_host() -> None:
    """A wrong port would look like a slow provider."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    pool = Pool(ConnectionLimit())
    with pytest.raises(APIConnectionError) as caught:
        await send(pool, f"http://127.0.0.1:{port}/", headers={"Authorization": "key-text"})
    assert (caught.value.phase, caught.value.maybe_billed) == ("connect", False)
    assert "127.0.0.1" in str(caught.value)
    assert "key-text" not in repr(caught.value)
    await pool.aclose()


@pytest.mark.parametrize(
    "response",
    [
        b"garbage\r\n\r\n",
        head(200, {"X": "y" * 70_000}),
        head(200, {f"X-{i}": "y" for i in range(300)}),
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    ],
    ids=["garbage", "header", "headers", "lengths"],
)
async def test_a_response_that_is_not_http_is_an_error_of_the_package(response: bytes) -> None:
    """Callers would have to know the exceptions of aiohttp."""
    async with pool_to((REQUEST, response, STALL)) as (server, pool):
        with pytest.raises(APIResponseError) as caught:
            await post(server, pool)
        assert caught.value.__context__ is None
        assert acquired(pool) == kept(pool) == 0


async def test_long_and_many_headers_are_read() -> None:
    """Gateways that add long headers would break calls."""
    headers = {"X-Long": "y" * 60_000, **{f"X-{i}": str(i) for i in range(200)}}
    async with pool_to((REQUEST, answer(headers=headers))) as (server, pool):
        response = await post(server, pool)
        assert response.headers["x-199"] == "199"
        assert len(response.headers["x-long"]) == 60_000


async def test_headers_that_are_too_large_together_are_refused() -> None:
    """A hostile server could block the event loop while its headers are searched for echoes of keys."""
    headers = {f"X-{i}": "y" * 60_000 for i in range(5)}
    async with pool_to((REQUEST, answer(headers=headers))) as (server, pool):
        with pytest.raises(APIResponseError, match="larger than this client accepts"):
            await post(server, pool)
        assert acquired(pool) == pool.in_flight == 0


async def test_cookies_redirects_and_the_environments_proxies_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """One tenant's cookie, or every prompt, would be sent to a server that the caller did not choose."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    cookie = answer(headers={"Set-Cookie": "tenant=a"})
    async with (
        RawServer((REQUEST, answer())) as target,
        pool_to((REQUEST, cookie, REQUEST, answer(status=307, headers={"Location": target.url}))) as (server, pool),
    ):
        await (await post(server, pool)).read_all(1000)
        assert (await post(server, pool)).status == 307
        assert "cookie" not in server.requests[1].headers
        assert target.connections == 0


# --- bodies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [FIN, RESET], ids=str)
@pytest.mark.parametrize("slow", [False, True])
async def test_all_bytes_that_arrived_are_returned_before_the_error(end: Step, slow: bool) -> None:
    """The last bytes before a connection broke would be lost."""
    pieces = [step for i in range(5) for step in (0.01, piece(b"%d " % i))]
    script = (REQUEST, STREAM, *pieces, 0.03, end)
    async with pool_to(script) as (server, pool):
        response = await post(server, pool)
        data = await response.read()
        if slow:
            await asyncio.sleep(0.15)
        assert data == b"0 "
        more, error = await read_rest(response)
        assert data + more == b"0 1 2 3 4 "
        assert isinstance(error, APIConnectionError)
        assert (error.phase, error.maybe_billed) == ("body", True)
        assert pool.in_flight == acquired(pool) == kept(pool) == 0


async def test_a_body_cut_short_is_an_error() -> None:
    """A body shorter than announced would be taken for a complete one."""
    script = (REQUEST, head(200, {"Content-Length": "10"}), b"12345", 0.01, FIN)
    async with pool_to(script) as (server, pool):
        data, error = await read_rest(await post(server, pool))
        assert data == b"12345"
        assert isinstance(error, APIConnectionError)


@pytest.mark.parametrize("failure", ["the pool is closed", "the connection is refused", "it is cancelled"])
async def test_a_request_that_fails_releases_the_connection_limit_once(failure: str) -> None:
    """A client would run out of connections, or open more than the process may have."""
    async with pool_to((REQUEST, STALL)) as (server, pool):
        if failure == "the pool is closed":
            await pool.aclose()
        url = "http://127.0.0.1:9/" if failure == "the connection is refused" else server.url
        with pytest.raises((ClientClosedError, APIConnectionError, TimeoutError)):
            async with asyncio.timeout(0.05 if failure == "it is cancelled" else 5):
                await send(pool, url)
        assert (pool.connection_limit.used, pool.in_flight) == (0, 0)


async def test_closing_wakes_those_that_wait_for_the_connection_limit() -> None:
    """A call in the queue would wait for ever on a closed pool."""
    pool = Pool(ConnectionLimit(lambda: 0))
    while pool.connection_limit.try_acquire():
        pass
    used = pool.connection_limit.used
    waiting = [asyncio.create_task(pool.connection_limit.acquire()) for _ in range(3)]
    await asyncio.sleep(0)
    pool.connection_limit.release()  # the first waiter acquires it, but has not run when the pool is closed
    waiting[1].cancel()
    await pool.aclose()
    errors = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(error) for error in errors] == [ClientClosedError, asyncio.CancelledError, ClientClosedError]
    assert (pool.connection_limit.used, pool.connection_limit.queued) == (used - 1, 0)
    with pytest.raises(ClientClosedError):
        await pool.connection_limit.acquire()


async def test_a_body_that_becomes_invalid_right_after_the_end_of_a_chunk_is_an_error() -> None:
    """The end of a chunk wakes the reader without bytes: it would wait again, for ever."""
    start = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello"
    async with pool_to((REQUEST, start, 0.1, b"\r\nzz\r\n", STALL)) as (server, pool), asyncio.timeout(10):
        response = await post(server, pool, AttemptTimeouts(idle=0.5))
        data, error = await read_rest(response)
        assert data == b"hello"
        assert isinstance(error, APIError)
        assert (pool.in_flight, acquired(pool)) == (0, 0)


async def test_after_a_response_before_the_end_of_the_request_the_connection_is_closed(sending: str) -> None:
    """The rest of the request would be read as the beginning of the next one, which then hangs."""
    if sending == "through a session":
        pytest.skip("aiohttp does not see what the system has not sent yet")
    early = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"
    async with pool_to((HEAD, early, STALL), (REQUEST, answer())) as (server, pool):
        for status, body in ((413, b"x" * 300_000), (200, b"{}")):
            response = await send(pool, server.url + "/", body, AttemptTimeouts(first_chunk=5, idle=5))
            assert response.status == status
            assert await response.read_all(1000)
        assert server.connections == 2


@pytest.mark.parametrize("how", ["closed", "cancelled"])
async def test_unsent_bytes_do_not_keep_a_connection_open(how: str) -> None:
    """Closing a client would wait for a peer that does not read, and a cancelled call would leave its descriptor."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        pool = Pool(ConnectionLimit())
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        sending = asyncio.ensure_future(send(pool, url, bytes(30_000_000)))
        await asyncio.sleep(0.2)
        peer, _ = silent.accept()
        with peer:
            if how == "cancelled":
                sending.cancel()
                await asyncio.wait([sending])
                assert acquired(pool) == 0
            await asyncio.wait_for(pool.aclose(), 5)
            with pytest.raises(asyncio.CancelledError if how == "cancelled" else ClientClosedError):
                await asyncio.wait_for(sending, 5)


async def test_a_status_below_100_is_not_an_informational_response() -> None:
    """The call would wait for another response until a timeout."""
    async with pool_to((REQUEST, b"HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n", STALL)) as (server, pool):
        assert (await post(server, pool, AttemptTimeouts(first_chunk=5))).status == 99


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding"])
async def test_framing_headers_are_refused(sending: str, name: str) -> None:
    """Someone who controls a header could append a request of their own (request smuggling)."""
    if sending == "through a session":
        pytest.skip("aiohttp looks after its own requests")
    async with pool_to((REQUEST, answer())) as (server, pool):
        with pytest.raises(APIConnectionError):
            await send(pool, server.url + "/", headers={name: "9"})
        assert server.requests == []


@pytest.mark.parametrize("how", ["a timeout expires", "closed"])
async def test_readers_that_a_close_has_woken_are_collected(how: str) -> None:
    """Their responses, and the frames of the tasks that waited for them, would stay in memory for ever."""
    timeouts = AttemptTimeouts(idle=0.05) if how == "a timeout expires" else AttemptTimeouts()
    before = {id(each) for each in gc.get_objects() if type(each) is Response}
    async with pool_to((REQUEST, STREAM, piece(b"x"), STALL)) as (server, pool):
        for _ in range(3):
            responses = [await post(server, pool, timeouts) for _ in range(5)]
            for response in responses:
                assert await response.read() == b"x"
            readers = [asyncio.create_task(response.read()) for response in responses]
            await asyncio.sleep(0)
            if how == "closed":
                for response in responses:
                    response.close()
            await asyncio.wait(readers, timeout=5)
            assert all(isinstance(reader.exception(), APIConnectionError) for reader in readers)
            del response
        responses.clear()
        readers.clear()
        gc.collect()
        left = [each for each in gc.get_objects() if type(each) is Response and id(each) not in before]
        assert not left


async def test_an_open_response_does_not_keep_the_headers_of_its_request() -> None:
    """Every open stream would keep them in memory, and the key with them."""
    async with pool_to((REQUEST, STREAM, piece(b"x"), STALL)) as (server, pool):
        before = [id(each) for each in gc.get_objects() if type(each) is aiohttp.RequestInfo]
        response = await post(server, pool)
        after = [each for each in gc.get_objects() if type(each) is aiohttp.RequestInfo and id(each) not in before]
        assert not after
        response.close()


async def test_a_body_larger_than_the_limit_is_refused_while_it_arrives() -> None:
    """An endless response would fill the memory."""
    endless = (REQUEST, STREAM, *[piece(b"x" * 60_000)] * 1000, STALL)
    async with pool_to(endless) as (server, pool):
        with pytest.raises(APIResponseError, match="larger"):
            await (await post(server, pool)).read_all(100_000)
        assert pool.in_flight == acquired(pool) == kept(pool) == 0


async def test_the_limit_counts_decoded_bytes() -> None:
    """A small compressed response would be decompressed into all memory."""
    bomb = gzip.compress(bytes(5_000_000))
    script = (REQUEST, answer(bomb, headers={"Content-Encoding": "gzip"}), STALL)
    async with pool_to(script) as (server, pool):
        with pytest.raises(APIResponseError, match="larger"):
            await (await post(server, pool)).read_all(1_000_000)
        assert acquired(pool) == 0


_LINE = b'{"token": "abc", "logprob": -0.0001, "bytes": [97, 98, 99]},'


@pytest.mark.parametrize("stream", [False, True])
async def test_a_decompression_bomb_is_refused_long_before_the_limit(stream: bool) -> None:
    """A few kilobytes would cost as much memory and time as the largest response."""
    bomb = gzip.compress(bytes(30_000_000))
    script = (REQUEST, answer(bomb, headers={"Content-Encoding": "gzip"}), STALL)
    read = 0
    async with pool_to(script) as (server, pool):
        response = await post(server, pool)
        with pytest.raises(APIResponseError, match="larger"):
            if stream:
                while data := await response.read():
                    read += len(data)
            else:
                await response.read_all(40_000_000)
        assert read < 10_000_000
        assert pool.in_flight == acquired(pool) == kept(pool) == 0


@pytest.mark.parametrize("pieces", [1, 200])
async def test_a_large_response_may_be_compressed_well(pieces: int) -> None:
    """Ordinary compressed text would be taken for an attack."""
    lines = b"".join(b"%x%s" % (number * 7919 % 65536, _LINE) for number in range(200_000))
    packed = gzip.compress(lines)
    assert len(lines) > 20 * len(packed) > 10_000_000
    sent = answer(packed, headers={"Content-Encoding": "gzip"})
    size = len(sent) // pieces + 1
    steps = [step for at in range(0, len(sent), size) for step in (sent[at : at + size], 0.001)]
    async with pool_to((REQUEST, *steps)) as (server, pool):
        assert await (await post(server, pool)).read_all(40_000_000) == lines


async def test_a_body_just_at_the_limit_is_read() -> None:
    """The limit would refuse bodies that it allows."""
    async with pool_to((REQUEST, answer(b"x" * 1000), REQUEST, answer(b"x" * 1001))) as (server, pool):
        assert len(await (await post(server, pool)).read_all(1000)) == 1000
        with pytest.raises(APIResponseError):
            await (await post(server, pool)).read_all(1000)


async def test_an_error_body_is_read_up_to_the_limit_and_a_lost_rest_is_no_second_error() -> None:
    """A broken connection would hide the provider's error."""
    async with pool_to(
        (REQUEST, head(500, {"Content-Length": "100"}), b"sorry", 0.01, RESET),
        (REQUEST, answer(b"x" * 5000, 500), STALL),
    ) as (server, pool):
        assert await (await post(server, pool)).read_some(100) == b"sorry"
        assert await (await post(server, pool)).read_some(100) == b"x" * 100
    async with pool_to((REQUEST, answer(b"sorry", 500), REQUEST, answer())) as (server, pool):
        assert await (await post(server, pool)).read_some(100) == b"sorry"
        assert (await post(server, pool)).status == 200
        assert server.connections == 1


async def test_other_tasks_run_while_a_fast_body_is_read() -> None:
    """One fast stream would block all others."""
    async with pool_to((REQUEST, STREAM, *[piece(b"x" * 60_000)] * 300, END)) as (server, pool):
        turns = 0

        async def tick() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        response = await post(server, pool)
        ticking = asyncio.create_task(tick())
        data, error = await read_rest(response)
        ticking.cancel()
        assert (len(data), error) == (18_000_000, None)
        assert turns > 30


# --- timeouts --------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def full_backlog() -> AsyncIterator[str]:
    """The URL of a listener that completes no connection."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        await asyncio.sleep(0.05)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            for each in waiting:
                each.close()


async def test_the_connect_timeout_ends_a_connection_attempt() -> None:
    """A host that does not respond would block the caller for minutes."""
    async with full_backlog() as url:
        pool = Pool(ConnectionLimit())
        started = after(0)
        with pytest.raises(APITimeoutError) as caught:
            await send(pool, url, timeouts=AttemptTimeouts(connect=0.1))
        assert 0.09 < after(0) - started < 0.5
        assert (caught.value.phase, caught.value.maybe_billed) == ("connect", False)
        assert acquired(pool) == 0
        assert _cancelling() == 0
        await pool.aclose()


def _cancelling() -> int:
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


async def test_connecting_does_not_use_up_the_first_chunk_timeout() -> None:
    """A slow connection attempt would be reported as a provider that does not respond."""
    async with full_backlog() as url:
        pool = Pool(ConnectionLimit())
        with pytest.raises(APITimeoutError) as caught:
            await send(pool, url, timeouts=AttemptTimeouts(connect=0.2, first_chunk=0.05))
        assert caught.value.phase == "connect"
        await pool.aclose()


@pytest.mark.parametrize("phase", ["total", "first_chunk"])
async def test_a_timeout_ends_the_wait_for_a_connection_and_for_headers(phase: str) -> None:
    """A provider that does not respond would block the caller for ever."""
    slow_headers = (REQUEST, *[bytes([byte]) for byte in b"HTTP/1.1 200 OK"], STALL)
    async with full_backlog() as url, pool_to((REQUEST, STALL), slow_headers) as (server, pool):
        for target in (*([url] if phase == "total" else []), server.url, server.url):
            if phase == "total":
                timeouts = AttemptTimeouts(connect=5, deadline=after(0.1))
            else:
                timeouts = AttemptTimeouts(connect=5, first_chunk=0.1)
            started = after(0)
            with pytest.raises(APITimeoutError) as caught:
                await send(pool, target, timeouts=timeouts)
            assert 0.09 < after(0) - started < 0.5
            assert caught.value.phase == phase
            assert isinstance(caught.value, TimeoutError)
            assert acquired(pool) == 0
            assert _cancelling() == 0
            await asyncio.sleep(0)  # a cancellation that was not taken back would come now


@pytest.mark.parametrize("phase", ["total", "first_chunk", "idle"])
async def test_a_timeout_ends_the_wait_for_bytes_after_all_that_arrived(phase: str) -> None:
    """A stalled stream would block its reader for ever, or lose bytes that had arrived."""
    async with pool_to((REQUEST, STREAM, piece(b"a"), piece(b"b"), STALL)) as (server, pool):
        timeouts = AttemptTimeouts(deadline=after(0.15)) if phase == "total" else AttemptTimeouts(**{phase: 0.15})
        data, error = await read_rest(await post(server, pool, timeouts))
        assert data == b"ab"
        assert isinstance(error, APITimeoutError)
        assert error.phase == phase
        assert pool.in_flight == acquired(pool) == kept(pool) == 0
        assert _cancelling() == 0
        while server.open:
            await asyncio.sleep(0.005)


async def test_the_idle_timeout_does_not_run_while_the_consumer_works() -> None:
    """A slow consumer would get a timeout."""
    script = (REQUEST, STREAM, 0.05, piece(b"a"), 0.3, piece(b"b"), 0.05, piece(b"c"), END)
    async with pool_to(script) as (server, pool):
        response = await post(server, pool, AttemptTimeouts(idle=0.15))
        data = await response.read()
        await asyncio.sleep(0.25)
        more, error = await read_rest(response)
        assert (data + more, error) == (b"abc", None)


async def test_the_idle_timeout_restarts_with_every_byte() -> None:
    """A slow but steady stream would be cut off."""
    drip = [step for i in range(8) for step in (piece(b"%d" % i), 0.05)]
    async with pool_to((REQUEST, STREAM, *drip, END)) as (server, pool):
        data, error = await read_rest(await post(server, pool, AttemptTimeouts(idle=0.15)))
        assert (data, error) == (b"01234567", None)


async def test_a_timeout_that_expired_while_the_consumer_worked_is_raised_after_what_had_arrived() -> None:
    """A deadline would hide bytes that have arrived."""
    async with pool_to((REQUEST, STREAM, piece(b"a"), 0.02, piece(b"b"), STALL)) as (server, pool):
        response = await post(server, pool, AttemptTimeouts(deadline=after(0.1)))
        data = await response.read()
        await asyncio.sleep(0.15)
        more, error = await read_rest(response)
        assert data + more == b"ab"
        assert isinstance(error, APITimeoutError)
        assert error.phase == "total"


@pytest.mark.parametrize("script", [(REQUEST, STALL), (REQUEST, STREAM, STALL)], ids=["headers", "body"])
async def test_timeouts_and_cancellations_of_the_caller_are_not_translated(script: tuple[Step, ...]) -> None:
    """A caller's timeout would become an error of the package, and be retried."""
    async with pool_to(script) as (server, pool):

        async def call() -> None:
            await read_rest(await post(server, pool, AttemptTimeouts(deadline=after(1), idle=1, first_chunk=1)))

        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.05):
                await call()
        assert type(caught.value) is TimeoutError
        task = asyncio.create_task(call())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert pool.in_flight == acquired(pool) == kept(pool) == 0


@pytest.mark.parametrize("timeout_first", [False, True])
async def test_a_cancellation_together_with_a_timeout_is_a_cancellation(timeout_first: bool) -> None:
    """A cancelled task would go on, because a timeout expired in the same moment."""
    async with pool_to((REQUEST, STALL)) as (server, pool):

        async def call() -> None:
            await post(server, pool, AttemptTimeouts(deadline=after(0.05)))

        task = asyncio.create_task(call())
        await asyncio.sleep(0.01)
        (watch,) = pool._timer.watches
        if timeout_first:
            watch.give_up()
        task.cancel()
        if not timeout_first:
            watch.give_up()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert acquired(pool) == 0


async def test_a_finished_request_leaves_no_timer() -> None:
    """A million calls would leave a million timers."""
    async with pool_to((REQUEST, answer()), (REQUEST, RESET), (REQUEST, STALL)) as (server, pool):
        loop = asyncio.get_running_loop()
        timeouts = [AttemptTimeouts(None, 50, 60, after(70)) for _ in range(3)]
        await (await post(server, pool, timeouts[0])).read_all(1000)
        await asyncio.sleep(0.01)
        for given in timeouts[1:]:
            with pytest.raises((APIConnectionError, TimeoutError)):
                async with asyncio.timeout(0.05):
                    await post(server, pool, given)
        assert pool._timer.watches == set()
        await asyncio.sleep(0.6)
        left = [timer for timer in loop._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
        assert [timer for timer in left if "_fire" in repr(timer)] == []


async def test_a_dropped_pool_is_not_kept_alive_by_its_timer() -> None:
    """A client without references would stay in memory, and its connections open."""
    async with pool_to((REQUEST, answer())) as (server, pool):
        await (await post(server, pool, AttemptTimeouts(deadline=after(70)))).read_all(1000)
        timer = weakref.ref(pool._timer)
        pool._timer = TimeoutTimer()
        gc.collect()
        assert timer() is None


async def test_many_timeouts_use_one_timer() -> None:
    """Ten thousand streams would have ten thousand timers."""
    async with pool_to(*[(REQUEST, STALL)] * 20) as (server, pool):
        waiting = [
            asyncio.create_task(post(server, pool, AttemptTimeouts(deadline=after(0.3 + 0.001 * at))))
            for at in range(20)
        ]
        await asyncio.sleep(0.1)
        loop: Any = asyncio.get_running_loop()
        assert sum("_fire" in repr(timer) for timer in loop._scheduled if not timer.cancelled()) == 1
        errors = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(error) for error in errors} == {APITimeoutError}


# --- closing ---------------------------------------------------------------------------------------------------------


async def test_closing_ends_connection_attempts() -> None:
    """Closing would wait for a host that does not respond."""
    async with full_backlog() as url:
        pool = Pool(ConnectionLimit())
        task = asyncio.create_task(send(pool, url, timeouts=AttemptTimeouts(connect=5)))
        await asyncio.sleep(0.05)
        await pool.aclose()
        with pytest.raises(ClientClosedError):
            async with asyncio.timeout(0.5):
                await task


async def test_closing_ends_waits_for_headers_bytes_and_pauses() -> None:
    """A task would wait for ever on a closed pool."""
    async with pool_to((REQUEST, STALL), (REQUEST, STREAM, STALL)) as (server, pool):
        headers = asyncio.create_task(post(server, pool))
        await asyncio.sleep(0.02)
        response = await post(server, pool)
        body = asyncio.create_task(response.read())
        pause = asyncio.create_task(pool.pause(50))
        await asyncio.sleep(0.02)
        async with asyncio.timeout(1):
            await pool.aclose()
            with pytest.raises(ClientClosedError):
                await headers
            with pytest.raises(ClientClosedError):
                await body
            await pause
        with pytest.raises(ClientClosedError):
            await response.read()
        with pytest.raises(ClientClosedError):
            await post(server, pool)
        await pool.aclose()


async def test_a_given_session_is_used_and_stays_open() -> None:
    """A session that the application still uses would be closed."""
    async with aiohttp.ClientSession() as session, RawServer((REQUEST, answer(), REQUEST, STREAM, STALL)) as server:
        pool = Pool(ConnectionLimit(), session=session)
        await (await post(server, pool)).read_all(1000)
        response = await post(server, pool)
        reading = asyncio.create_task(response.read())
        await asyncio.sleep(0.01)
        await pool.aclose()
        with pytest.raises(ClientClosedError):
            await reading
        assert not session.closed


async def test_bodies_of_a_callers_session_are_read_like_our_own() -> None:
    """Bytes would be lost, or read undecoded, only with an application's own session."""
    packed = gzip.compress(b"Hello. " * 1000)
    scripts: tuple[tuple[Step, ...], ...] = (
        (REQUEST, STREAM, piece(b"a"), 0.02, piece(b"b"), END),
        (REQUEST, answer(packed, headers={"Content-Encoding": "gzip"})),
        (REQUEST, b"HTTP/1.1 204 No Content\r\n\r\n"),
        (REQUEST, STREAM, piece(b"a"), piece(b"b"), 0.02, RESET),
        (REQUEST, STREAM, piece(b"a"), STALL),
    )
    expected = [(b"ab", None), (b"Hello. " * 1000, None), (b"", None), (b"ab", "body"), (b"a", "idle")]
    async with aiohttp.ClientSession() as session:
        for script, (data, phase) in zip(scripts, expected, strict=True):
            async with RawServer(script) as server:
                pool = Pool(ConnectionLimit(), session=session)
                read, error = await read_rest(await post(server, pool, AttemptTimeouts(idle=0.1)))
                assert (read, getattr(error, "phase", None)) == (data, phase)
                assert (pool.in_flight, pool.connection_limit.used) == (0, 0)
                await pool.aclose()


async def test_the_state_of_a_pool_can_be_read() -> None:
    """Users who report a leak could not say what is open."""
    async with pool_to((REQUEST, answer(), REQUEST, STREAM, STALL)) as (server, pool):
        transport: Transport = pool
        await (await post(server, pool)).read_all(1000)
        assert (transport.in_flight, transport.idle_connections) == (0, 1)
        assert repr(transport) == "<Pool in_flight=0 idle_connections=1>"
        response = await post(server, pool)
        assert repr(transport) == "<Pool in_flight=1 idle_connections=0>"
        assert repr(transport.connection_limit) == "<ConnectionLimit used=1 queued=0>"
        response.close()
        assert (transport.in_flight, transport.connection_limit.used) == (0, 0)


# --- assumptions about aiohttp ---------------------------------------------------------------------------------------


def test_aiohttps_private_methods_are_as_the_connector_overrides_them() -> None:
    """A release of aiohttp that changes a private method would disable the repetition on fresh connections."""
    for name, parameters in (("_get", ["self", "key", "traces"]), ("_create_connection", _CREATE)):
        theirs = getattr(aiohttp.TCPConnector, name)
        assert inspect.iscoroutinefunction(theirs), f"aiohttp {aiohttp.__version__}: {name} changed"
        assert list(inspect.signature(theirs).parameters) == parameters, f"aiohttp {aiohttp.__version__}: {name}"
        assert list(inspect.signature(getattr(Connector, name)).parameters) == parameters
    release = list(inspect.signature(aiohttp.TCPConnector._release).parameters)
    assert release == ["self", "key", "protocol", "should_close"], f"aiohttp {aiohttp.__version__}: _release"
    assert list(inspect.signature(aiohttp.StreamReader._read_nowait).parameters) == ["self", "n"]
    looked_at = {"_buffer", "_eof", "_protocol", "_size", "_waiter"}
    assert looked_at <= set(aiohttp.StreamReader.__slots__), f"aiohttp {aiohttp.__version__}: StreamReader"


_CREATE = ["self", "req", "traces", "timeout"]


async def test_aiohttp_asks_the_connector_for_a_kept_connection_and_makes_fresh_ones_by_it() -> None:
    """A release of aiohttp that uses other methods would disable the repetition on fresh connections unnoticed."""
    async with pool_to((REQUEST, answer(), REQUEST, answer()), (REQUEST, answer())) as (server, pool):
        seen: list[bool] = []

        async def once(fresh: bool) -> None:
            state = SendState()
            state.fresh_only = fresh
            raw = await (pool._sender or pool._open()).send("POST", server.url, RequestHeaders({}), b"{}", state)
            while raw.body.take_available() != b"":
                if not raw.body.at_eof():
                    await raw.body.wait()
            seen.append(state.reused is not None)

        await once(False)
        await once(False)
        assert (seen, server.connections) == ([False, True], 1), f"aiohttp {aiohttp.__version__}"
        await once(True)
        assert (seen, server.connections) == ([False, True, False], 2), f"aiohttp {aiohttp.__version__}"


async def test_aiohttps_reader_keeps_what_arrived_before_a_failure() -> None:
    """A release of aiohttp that drops its buffer on an error would lose the last bytes of broken streams."""
    async with pool_to((REQUEST, STREAM, piece(b"abc"), 0.02, RESET)) as (server, pool):
        response = await post(server, pool)
        await asyncio.sleep(0.1)
        content: Any = response._body
        content = getattr(content, "_content", content)
        assert content.exception() is not None
        with pytest.raises(aiohttp.ClientError):
            content.read_nowait()
        assert content._read_nowait(-1) == b"abc"
        response.close()
