"""The transport against servers that misbehave: what arrived is handed out, every wait ends, nothing stays open."""

import asyncio
import gc
import gzip
import inspect
import socket
import weakref
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import pairwise
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
from anycompletion.transport import STARTS_PER_TICK, Deadlines, Pool, Response
from anycompletion.transport.connection_limit import ConnectionLimit
from anycompletion.transport.connector import Connector, SendAttempt
from anycompletion.transport.start_gate import StartGate
from anycompletion.transport.timeouts import TimeoutTimer
from support.raw_server import END, FIN, HEAD, REQUEST, RESET, STALL, STREAM, RawServer, Step, answer, head, piece
from support.resource_leaks import acquired, kept


@pytest.fixture(autouse=True, params=["own connections", "through a session"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With an aiohttp that nobody has tested, requests go through its sessions."""
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


async def post(server: RawServer, pool: Pool, clocks: Deadlines | None = None) -> Response:
    return await send(pool, server.url + "/", clocks=clocks)


async def send(
    pool: Pool,
    url: str,
    body: bytes = b"{}",
    clocks: Deadlines | None = None,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Response:
    """Sends as a call does, which has acquired the connection limit before."""
    assert pool.connection_limit.try_acquire()
    return await pool.send("POST", url, RequestHeaders(headers), body, clocks or Deadlines())


async def rest(exchange: Response) -> tuple[bytes, CompletionError | None]:
    """All that can still be read, and the error after it."""
    data = b""
    try:
        while more := await exchange.read():
            data += more
    except CompletionError as error:
        return data, error
    return data, None


def in_clocks(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


# --- connections ---------------------------------------------------------------------------------------------------


async def test_a_connection_is_kept_for_the_next_request() -> None:
    """Every call would pay for a new connection."""
    async with pool_to((REQUEST, answer(), REQUEST, answer(), REQUEST, answer())) as (server, pool):
        for _ in range(3):
            exchange = await post(server, pool)
            assert exchange.status == 200
            assert b"Hello." in await exchange.read_all(1000)
            assert pool.in_flight == 0
            assert (acquired(pool), kept(pool)) == (0, 1)
        assert server.connections == 1


@pytest.mark.parametrize(
    "death", [(REQUEST, FIN), (REQUEST, RESET), (FIN,), (RESET,), (0.001, FIN), (0.001, RESET)], ids=str
)
async def test_a_kept_connection_that_dies_is_replaced_without_anybody_noticing(death: tuple[Step, ...]) -> None:
    """A call would fail, or count as retried, because a server tidied up its idle connections."""
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
    """A server that drops every connection would be asked for ever."""
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
    """A request that the server may have worked on would be sent again in silence."""
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
async def test_a_kept_connection_that_dies_within_an_answer_is_an_error(death: Step, before: bytes) -> None:
    """A request that the server has begun to answer would be sent, and billed, twice."""
    async with pool_to((REQUEST, answer(), REQUEST, before, 0.02, death)) as (server, pool):
        await (await post(server, pool)).read_all(1000)
        with pytest.raises(APIConnectionError):
            await post(server, pool)
        assert server.connections == 1


async def test_a_refused_connection_says_so() -> None:
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
    "said",
    [
        b"garbage\r\n\r\n",
        head(200, {"X": "y" * 70_000}),
        head(200, {f"X-{i}": "y" for i in range(300)}),
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    ],
    ids=["garbage", "header", "headers", "lengths"],
)
async def test_an_answer_that_is_no_http_is_an_error_of_ours(said: bytes) -> None:
    """A caller would have to know the exceptions of the HTTP library below."""
    async with pool_to((REQUEST, said, STALL)) as (server, pool):
        with pytest.raises(APIResponseError) as caught:
            await post(server, pool)
        assert caught.value.__context__ is None
        assert acquired(pool) == kept(pool) == 0


async def test_long_and_many_headers_are_read() -> None:
    """Gateways that add long headers would break calls."""
    headers = {"X-Long": "y" * 60_000, **{f"X-{i}": str(i) for i in range(200)}}
    async with pool_to((REQUEST, answer(headers=headers))) as (server, pool):
        exchange = await post(server, pool)
        assert exchange.headers["x-199"] == "199"
        assert len(exchange.headers["x-long"]) == 60_000


async def test_cookies_redirects_and_the_environments_proxies_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """One tenant's cookie, or every prompt, would go where nobody sent it."""
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


# --- bodies --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [FIN, RESET], ids=str)
@pytest.mark.parametrize("slow", [False, True])
async def test_all_that_arrived_is_handed_out_before_the_error(end: Step, slow: bool) -> None:
    """The last words before a connection broke would be lost."""
    pieces = [step for i in range(5) for step in (0.01, piece(b"%d " % i))]
    script = (REQUEST, STREAM, *pieces, 0.03, end)
    async with pool_to(script) as (server, pool):
        exchange = await post(server, pool)
        data = await exchange.read()
        if slow:
            await asyncio.sleep(0.15)
        assert data == b"0 "
        more, error = await rest(exchange)
        assert data + more == b"0 1 2 3 4 "
        assert isinstance(error, APIConnectionError)
        assert (error.phase, error.maybe_billed) == ("body", True)
        assert pool.in_flight == acquired(pool) == kept(pool) == 0


async def test_a_body_cut_short_is_an_error() -> None:
    """A body shorter than announced would be taken for whole."""
    script = (REQUEST, head(200, {"Content-Length": "10"}), b"12345", 0.01, FIN)
    async with pool_to(script) as (server, pool):
        data, error = await rest(await post(server, pool))
        assert data == b"12345"
        assert isinstance(error, APIConnectionError)


async def test_many_requests_at_once_leave_the_loop_to_others() -> None:
    """Whatever else runs in the app would stand still while thousands of requests are prepared."""
    starts = StartGate()
    started = 0

    async def start() -> None:
        nonlocal started
        if not starts.try_start():
            await starts.wait()
        started += 1

    tasks = [asyncio.create_task(start()) for _ in range(5 * STARTS_PER_TICK)]
    turns = [0]
    while turns[-1] < len(tasks):
        await asyncio.sleep(0)
        turns.append(started)
    await asyncio.wait(tasks)
    assert [late - early for early, late in pairwise(turns) if late != early] == [STARTS_PER_TICK] * 5


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
    """A call in the queue would wait for ever on a pool that is gone."""
    pool = Pool(ConnectionLimit(lambda: 0))
    while pool.connection_limit.try_acquire():
        pass
    used = pool.connection_limit.used
    waiting = [asyncio.create_task(pool.connection_limit.acquire()) for _ in range(3)]
    await asyncio.sleep(0)
    pool.connection_limit.release()  # hands a slot over, in the same moment
    waiting[1].cancel()
    await pool.aclose()
    errors = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(error) for error in errors] == [ClientClosedError, asyncio.CancelledError, ClientClosedError]
    assert (pool.connection_limit.used, pool.connection_limit.queued) == (used - 1, 0)
    with pytest.raises(ClientClosedError):
        await pool.connection_limit.acquire()


async def test_requests_begin_in_their_order_and_the_cancelled_ones_not_at_all() -> None:
    """A request could wait for ever while others pass, or for one that nobody waits for."""
    starts = StartGate()
    order: list[int] = []

    async def one(number: int) -> None:
        if not starts.try_start():
            await starts.wait()
        order.append(number)

    tasks = [asyncio.create_task(one(number)) for number in range(4 * STARTS_PER_TICK)]
    await asyncio.sleep(0)
    assert order == list(range(STARTS_PER_TICK))
    for task in tasks[STARTS_PER_TICK : 3 * STARTS_PER_TICK]:
        task.cancel()
    await asyncio.wait(tasks, timeout=5)
    assert order == [*range(STARTS_PER_TICK), *range(3 * STARTS_PER_TICK, 4 * STARTS_PER_TICK)]
    await asyncio.sleep(0)
    assert starts.try_start()


async def test_a_body_that_stops_being_http_right_after_a_chunks_end_is_noticed() -> None:
    """The end of a chunk wakes its reader without a byte; it would wait again, for ever, for what cannot come."""
    start = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello"
    async with pool_to((REQUEST, start, 0.1, b"\r\nzz\r\n", STALL)) as (server, pool), asyncio.timeout(10):
        exchange = await post(server, pool, Deadlines(idle=0.5))
        data, error = await rest(exchange)
        assert data == b"hello"
        assert isinstance(error, APIError)
        assert (pool.in_flight, acquired(pool)) == (0, 0)


async def test_an_answer_before_the_end_of_the_request_costs_the_connection(way: str) -> None:
    """The rest of the request would be read as the beginning of the next one, which then hangs."""
    if way == "through a session":
        pytest.skip("aiohttp does not see what the system has not sent yet")
    early = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"
    async with pool_to((HEAD, early, STALL), (REQUEST, answer())) as (server, pool):
        for status, body in ((413, b"x" * 300_000), (200, b"{}")):
            exchange = await send(pool, server.url + "/", body, Deadlines(first_chunk=5, idle=5))
            assert exchange.status == status
            assert await exchange.read_all(1000)
        assert server.connections == 2


@pytest.mark.parametrize("how", ["closed", "cancelled"])
async def test_what_is_unsent_keeps_no_connection_open(how: str) -> None:
    """Closing a client would wait for a peer that does not read, and a cancelled call would leave its descriptor."""
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        pool = Pool(ConnectionLimit())
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/"
        sending = asyncio.ensure_future(send(pool, url, bytes(30_000_000)))
        await asyncio.sleep(0.2)
        peer, _ = mute.accept()
        with peer:
            if how == "cancelled":
                sending.cancel()
                await asyncio.wait([sending])
                assert acquired(pool) == 0
            await asyncio.wait_for(pool.aclose(), 5)
            with pytest.raises(asyncio.CancelledError if how == "cancelled" else ClientClosedError):
                await asyncio.wait_for(sending, 5)


async def test_a_status_below_100_is_an_answer_and_no_announcement() -> None:
    """The call would wait for another answer until its clock runs out."""
    async with pool_to((REQUEST, b"HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n", STALL)) as (server, pool):
        assert (await post(server, pool, Deadlines(first_chunk=5))).status == 99


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding"])
async def test_no_header_says_where_a_request_ends(way: str, name: str) -> None:
    """Whoever chooses it could put a request of his own behind ours."""
    if way == "through a session":
        pytest.skip("aiohttp looks after its own requests")
    async with pool_to((REQUEST, answer())) as (server, pool):
        with pytest.raises(APIConnectionError):
            await send(pool, server.url + "/", headers={name: "9"})
        assert server.requests == []


@pytest.mark.parametrize("how", ["a clock runs out", "closed"])
async def test_nothing_is_left_of_readers_that_a_close_has_woken(how: str) -> None:
    """What they held would stay in the memory for ever: their answers, and the frames of all who waited for them."""
    clocks = Deadlines(idle=0.05) if how == "a clock runs out" else Deadlines()
    before = {id(each) for each in gc.get_objects() if type(each) is Response}
    async with pool_to((REQUEST, STREAM, piece(b"x"), STALL)) as (server, pool):
        for _ in range(3):
            exchanges = [await post(server, pool, clocks) for _ in range(5)]
            for exchange in exchanges:
                assert await exchange.read() == b"x"
            readers = [asyncio.create_task(exchange.read()) for exchange in exchanges]
            await asyncio.sleep(0)
            if how == "closed":
                for exchange in exchanges:
                    exchange.close()
            await asyncio.wait(readers, timeout=5)
            assert all(isinstance(reader.exception(), APIConnectionError) for reader in readers)
            del exchange
        exchanges.clear()
        readers.clear()
        gc.collect()
        left = [each for each in gc.get_objects() if type(each) is Response and id(each) not in before]
        assert not left


async def test_an_open_answer_does_not_keep_the_headers_of_its_request() -> None:
    """Every open stream would hold them, and the key with them."""
    async with pool_to((REQUEST, STREAM, piece(b"x"), STALL)) as (server, pool):
        before = [id(each) for each in gc.get_objects() if type(each) is aiohttp.RequestInfo]
        exchange = await post(server, pool)
        after = [each for each in gc.get_objects() if type(each) is aiohttp.RequestInfo and id(each) not in before]
        assert not after
        exchange.close()


async def test_a_body_larger_than_the_limit_is_refused_while_it_arrives() -> None:
    """An endless answer would fill the memory."""
    endless = (REQUEST, STREAM, *[piece(b"x" * 60_000)] * 1000, STALL)
    async with pool_to(endless) as (server, pool):
        with pytest.raises(APIResponseError, match="larger"):
            await (await post(server, pool)).read_all(100_000)
        assert pool.in_flight == acquired(pool) == kept(pool) == 0


async def test_the_limit_counts_decoded_bytes() -> None:
    """A small compressed answer would unfold into all memory."""
    bomb = gzip.compress(bytes(5_000_000))
    script = (REQUEST, answer(bomb, headers={"Content-Encoding": "gzip"}), STALL)
    async with pool_to(script) as (server, pool):
        with pytest.raises(APIResponseError, match="larger"):
            await (await post(server, pool)).read_all(1_000_000)
        assert acquired(pool) == 0


_LINE = b'{"token": "abc", "logprob": -0.0001, "bytes": [97, 98, 99]},'


@pytest.mark.parametrize("stream", [False, True])
async def test_a_body_that_is_far_larger_than_what_is_sent_is_refused_long_before_the_limit(stream: bool) -> None:
    """A few kilobytes would take all the memory and time that an answer may have."""
    bomb = gzip.compress(bytes(30_000_000))
    script = (REQUEST, answer(bomb, headers={"Content-Encoding": "gzip"}), STALL)
    read = 0
    async with pool_to(script) as (server, pool):
        exchange = await post(server, pool)
        with pytest.raises(APIResponseError, match="larger"):
            if stream:
                while data := await exchange.read():
                    read += len(data)
            else:
                await exchange.read_all(40_000_000)
        assert read < 10_000_000
        assert pool.in_flight == acquired(pool) == kept(pool) == 0


@pytest.mark.parametrize("pieces", [1, 200])
async def test_a_large_answer_may_be_packed_well(pieces: int) -> None:
    """What a server has compressed as text is compressed would be taken for an attack."""
    lines = b"".join(b"%x%s" % (number * 7919 % 65536, _LINE) for number in range(200_000))
    packed = gzip.compress(lines)
    assert len(lines) > 20 * len(packed) > 10_000_000
    sent = answer(packed, headers={"Content-Encoding": "gzip"})
    size = len(sent) // pieces + 1
    steps = [step for at in range(0, len(sent), size) for step in (sent[at : at + size], 0.001)]
    async with pool_to((REQUEST, *steps)) as (server, pool):
        assert await (await post(server, pool)).read_all(40_000_000) == lines


async def test_a_body_just_at_the_limit_is_read() -> None:
    """The limit would refuse what it allows."""
    async with pool_to((REQUEST, answer(b"x" * 1000), REQUEST, answer(b"x" * 1001))) as (server, pool):
        assert len(await (await post(server, pool)).read_all(1000)) == 1000
        with pytest.raises(APIResponseError):
            await (await post(server, pool)).read_all(1000)


async def test_an_error_body_is_read_up_to_the_limit_and_a_lost_rest_is_no_second_error() -> None:
    """A broken connection would hide what the provider had said."""
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
    """One fast stream would hold up all others."""
    async with pool_to((REQUEST, STREAM, *[piece(b"x" * 60_000)] * 300, END)) as (server, pool):
        turns = 0

        async def tick() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        exchange = await post(server, pool)
        ticking = asyncio.create_task(tick())
        data, error = await rest(exchange)
        ticking.cancel()
        assert (len(data), error) == (18_000_000, None)
        assert turns > 30


# --- clocks --------------------------------------------------------------------------------------------------------


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


async def test_the_connect_clock_ends_a_connection_attempt() -> None:
    """A host that does not answer would hold the caller for minutes."""
    async with full_backlog() as url:
        pool = Pool(ConnectionLimit())
        started = in_clocks(0)
        with pytest.raises(APITimeoutError) as caught:
            await send(pool, url, clocks=Deadlines(connect=0.1))
        assert 0.09 < in_clocks(0) - started < 0.5
        assert (caught.value.phase, caught.value.maybe_billed) == ("connect", False)
        assert acquired(pool) == 0
        assert _cancelling() == 0
        await pool.aclose()


def _cancelling() -> int:
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


@pytest.mark.parametrize("phase", ["total", "first_chunk"])
async def test_a_clock_ends_the_wait_for_a_connection_and_for_headers(phase: str) -> None:
    """A provider that takes the request and says nothing would hold the caller for ever."""
    slow_headers = (REQUEST, *[bytes([byte]) for byte in b"HTTP/1.1 200 OK"], STALL)
    async with full_backlog() as url, pool_to((REQUEST, STALL), slow_headers) as (server, pool):
        for target in (url, server.url, server.url):
            clocks = Deadlines(connect=5)
            if phase == "total":
                clocks.deadline = in_clocks(0.1)
            else:
                clocks.first_chunk = 0.1
            started = in_clocks(0)
            with pytest.raises(APITimeoutError) as caught:
                await send(pool, target, clocks=clocks)
            assert 0.09 < in_clocks(0) - started < 0.5
            assert caught.value.phase == phase
            assert isinstance(caught.value, TimeoutError)
            assert acquired(pool) == 0
            assert _cancelling() == 0
            await asyncio.sleep(0)  # a cancellation that was not taken back would come now


@pytest.mark.parametrize("phase", ["total", "first_chunk", "idle"])
async def test_a_clock_ends_the_wait_for_bytes_after_all_that_arrived(phase: str) -> None:
    """A stalled stream would hold its reader for ever, or lose what had come."""
    async with pool_to((REQUEST, STREAM, piece(b"a"), piece(b"b"), STALL)) as (server, pool):
        clocks = Deadlines()
        if phase == "total":
            clocks.deadline = in_clocks(0.15)
        elif phase == "first_chunk":
            clocks.first_chunk = 0.15
        else:
            clocks.idle = 0.15
        data, error = await rest(await post(server, pool, clocks))
        assert data == b"ab"
        assert isinstance(error, APITimeoutError)
        assert error.phase == phase
        assert pool.in_flight == acquired(pool) == kept(pool) == 0
        assert _cancelling() == 0
        while server.open:
            await asyncio.sleep(0.005)


async def test_idle_does_not_run_while_the_reader_works() -> None:
    """A consumer that takes its time would be punished with a timeout."""
    script = (REQUEST, STREAM, 0.05, piece(b"a"), 0.3, piece(b"b"), 0.05, piece(b"c"), END)
    async with pool_to(script) as (server, pool):
        exchange = await post(server, pool, Deadlines(idle=0.15))
        data = await exchange.read()
        await asyncio.sleep(0.25)
        more, error = await rest(exchange)
        assert (data + more, error) == (b"abc", None)


async def test_idle_starts_anew_with_every_byte() -> None:
    """A slow but steady stream would be cut."""
    drip = [step for i in range(8) for step in (piece(b"%d" % i), 0.05)]
    async with pool_to((REQUEST, STREAM, *drip, END)) as (server, pool):
        data, error = await rest(await post(server, pool, Deadlines(idle=0.15)))
        assert (data, error) == (b"01234567", None)


async def test_a_clock_that_ran_out_while_the_reader_worked_comes_after_what_had_arrived() -> None:
    """A deadline would hide bytes that lie ready."""
    async with pool_to((REQUEST, STREAM, piece(b"a"), 0.02, piece(b"b"), STALL)) as (server, pool):
        exchange = await post(server, pool, Deadlines(deadline=in_clocks(0.1)))
        data = await exchange.read()
        await asyncio.sleep(0.15)
        more, error = await rest(exchange)
        assert data + more == b"ab"
        assert isinstance(error, APITimeoutError)
        assert error.phase == "total"


@pytest.mark.parametrize("script", [(REQUEST, STALL), (REQUEST, STREAM, STALL)], ids=["headers", "body"])
async def test_the_callers_own_timeout_and_cancel_stay_the_callers(script: tuple[Step, ...]) -> None:
    """A caller's timeout would come as an error of ours, and be retried."""
    async with pool_to(script) as (server, pool):

        async def call() -> None:
            await rest(await post(server, pool, Deadlines(deadline=in_clocks(1), idle=1, first_chunk=1)))

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


@pytest.mark.parametrize("ours_first", [False, True])
async def test_a_cancel_together_with_one_of_our_clocks_is_a_cancel(ours_first: bool) -> None:
    """A cancelled task would go on, because a clock ran out in the same moment."""
    async with pool_to((REQUEST, STALL)) as (server, pool):

        async def call() -> None:
            await post(server, pool, Deadlines(deadline=in_clocks(0.05)))

        task = asyncio.create_task(call())
        await asyncio.sleep(0.01)
        (watch,) = pool._timer.watches
        if ours_first:
            watch.give_up()
        task.cancel()
        if not ours_first:
            watch.give_up()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert acquired(pool) == 0


async def test_a_finished_exchange_leaves_no_timer() -> None:
    """A million calls would leave a million timers."""
    async with pool_to((REQUEST, answer()), (REQUEST, RESET), (REQUEST, STALL)) as (server, pool):
        loop = asyncio.get_running_loop()
        clocks = [Deadlines(None, 50, 60, in_clocks(70)) for _ in range(3)]
        await (await post(server, pool, clocks[0])).read_all(1000)
        await asyncio.sleep(0.01)
        for given in clocks[1:]:
            with pytest.raises((APIConnectionError, TimeoutError)):
                async with asyncio.timeout(0.05):
                    await post(server, pool, given)
        assert pool._timer.watches == set()
        await asyncio.sleep(0.6)
        left = [timer for timer in loop._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
        assert [timer for timer in left if "_fire" in repr(timer)] == []


async def test_a_dropped_pool_is_not_kept_by_its_clocks() -> None:
    """A client that nobody holds any more would live on, and with it its connections."""
    async with pool_to((REQUEST, answer())) as (server, pool):
        await (await post(server, pool, Deadlines(deadline=in_clocks(70)))).read_all(1000)
        timer = weakref.ref(pool._timer)
        pool._timer = TimeoutTimer()
        gc.collect()
        assert timer() is None


async def test_many_clocks_are_one_timer() -> None:
    """Ten thousand streams would be ten thousand timers."""
    async with pool_to(*[(REQUEST, STALL)] * 20) as (server, pool):
        waiting = [
            asyncio.create_task(post(server, pool, Deadlines(deadline=in_clocks(0.3 + 0.001 * at)))) for at in range(20)
        ]
        await asyncio.sleep(0.1)
        loop: Any = asyncio.get_running_loop()
        assert sum("_fire" in repr(timer) for timer in loop._scheduled if not timer.cancelled()) == 1
        errors = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(error) for error in errors} == {APITimeoutError}


# --- closing -------------------------------------------------------------------------------------------------------


async def test_closing_wakes_whoever_connects() -> None:
    """Shutting down would wait for a host that does not answer."""
    async with full_backlog() as url:
        pool = Pool(ConnectionLimit())
        task = asyncio.create_task(send(pool, url, clocks=Deadlines(connect=5)))
        await asyncio.sleep(0.05)
        await pool.aclose()
        with pytest.raises(ClientClosedError):
            async with asyncio.timeout(0.5):
                await task


async def test_closing_wakes_whoever_waits_for_headers_bytes_or_time() -> None:
    """A task would wait for ever on a pool that is gone."""
    async with pool_to((REQUEST, STALL), (REQUEST, STREAM, STALL)) as (server, pool):
        headers = asyncio.create_task(post(server, pool))
        await asyncio.sleep(0.02)
        exchange = await post(server, pool)
        body = asyncio.create_task(exchange.read())
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
            await exchange.read()
        with pytest.raises(ClientClosedError):
            await post(server, pool)
        await pool.aclose()


async def test_a_given_session_is_used_and_stays_open() -> None:
    """An app's own session would be closed under its feet."""
    async with aiohttp.ClientSession() as session, RawServer((REQUEST, answer(), REQUEST, STREAM, STALL)) as server:
        pool = Pool(ConnectionLimit(), session=session)
        await (await post(server, pool)).read_all(1000)
        exchange = await post(server, pool)
        reading = asyncio.create_task(exchange.read())
        await asyncio.sleep(0.01)
        await pool.aclose()
        with pytest.raises(ClientClosedError):
            await reading
        assert not session.closed


# --- what is assumed of aiohttp ------------------------------------------------------------------------------------


def test_aiohttps_private_methods_are_as_the_connector_overrides_them() -> None:
    """A release of aiohttp that renames or reshapes a private method would switch the keep-alive repair off."""
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
    """A release of aiohttp that goes another way would let the keep-alive repair sleep unnoticed."""
    async with pool_to((REQUEST, answer(), REQUEST, answer()), (REQUEST, answer())) as (server, pool):
        seen: list[bool] = []

        async def once(fresh: bool) -> None:
            attempt = SendAttempt()
            attempt.fresh_only = fresh
            raw = await (pool._sender or pool._open()).send("POST", server.url, RequestHeaders({}), b"{}", attempt)
            while raw.body.take_available() != b"":
                if not raw.body.at_eof():
                    await raw.body.wait()
            seen.append(attempt.reused is not None)

        await once(False)
        await once(False)
        assert (seen, server.connections) == ([False, True], 1), f"aiohttp {aiohttp.__version__}"
        await once(True)
        assert (seen, server.connections) == ([False, True, False], 2), f"aiohttp {aiohttp.__version__}"


async def test_aiohttps_reader_keeps_what_arrived_before_a_failure() -> None:
    """A release of aiohttp that drops its buffer on an error would lose the last words of broken streams."""
    async with pool_to((REQUEST, STREAM, piece(b"abc"), 0.02, RESET)) as (server, pool):
        exchange = await post(server, pool)
        await asyncio.sleep(0.1)
        content: Any = exchange._body
        content = getattr(content, "_content", content)
        assert content.exception() is not None
        with pytest.raises(aiohttp.ClientError):
            content.read_nowait()
        assert content._read_nowait(-1) == b"abc"
        exchange.close()
