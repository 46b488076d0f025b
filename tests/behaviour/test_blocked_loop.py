"""Event loops that other code blocks: what arrives meanwhile counts as arrived, whatever the timeouts are."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import aiohttp
import pytest

from anycompletion import AsyncCompletion, Timeout
from anycompletion.testing import FakeProvider
from anycompletion.web import chat_completions_app
from anycompletion.web.sse_relay import SSERelay
from support.raw_server import DONE, END, REQUEST, STREAM, RawServer, Step, answer, event
from support.services import asgi_service

BLOCKED = 0.8
"""Seconds for which other code blocks the event loop: longer than all timeouts here."""


@contextlib.contextmanager
def server_in_a_thread(script: tuple[Step, ...]) -> Iterator[RawServer]:
    """Serves the script while the event loop of the test is blocked."""
    started, loop, stop = threading.Event(), asyncio.new_event_loop(), asyncio.Event()
    server = RawServer(script)

    async def serve() -> None:
        async with server:
            started.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    started.wait()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@contextlib.asynccontextmanager
async def client_to(server: RawServer, *, own: bool) -> AsyncIterator[AsyncCompletion]:
    async with contextlib.AsyncExitStack() as stack:
        session = None if own else await stack.enter_async_context(aiohttp.ClientSession())
        yield await stack.enter_async_context(
            AsyncCompletion(
                base_urls={"openai": f"{server.url}/v1"}, api_keys={"openai": "key"}, max_retries=0, session=session
            )
        )


async def request_received(server: RawServer) -> None:
    while not server.requests:
        await asyncio.sleep(0.005)


async def plain(client: AsyncCompletion, timeout: Timeout) -> str:
    return (await client.create("openai/m", "Hi.", timeout=timeout)).text


async def streamed(client: AsyncCompletion, timeout: Timeout) -> str:
    async with client.stream("openai/m", "Hi.", timeout=timeout) as stream:
        return (await stream.get_final_completion()).text


async def streamed_with_a_pause(client: AsyncCompletion, timeout: Timeout) -> str:
    async with client.stream("openai/m", "Hi.", timeout=timeout) as stream:
        await anext(stream)
        time.sleep(BLOCKED)  # noqa: ASYNC251 (the consumer that blocks)
        return (await stream.get_final_completion()).text


LATE = (REQUEST, 0.1, answer())
EVENTS = (STREAM, event("Hel"), 0.1, event("lo."), 0.1, event(finish_reason="stop"), DONE + END)

CASES: dict[str, tuple[Callable[[AsyncCompletion, Timeout], Awaitable[str]], tuple[Step, ...], Timeout, bool]] = {
    # how it is read, what the server sends, the timeouts, and whether other code than the consumer blocks
    "the total of a plain call": (plain, LATE, Timeout(total=0.6), True),
    "the total of a stream": (streamed, (REQUEST, 0.1, *EVENTS), Timeout(total=0.6), True),
    "the first chunk": (streamed, (REQUEST, 0.1, *EVENTS), Timeout(first_chunk=0.6), True),
    "idle in the middle": (streamed, (REQUEST, *EVENTS), Timeout(idle=0.4), True),
    "a consumer that blocks": (streamed_with_a_pause, (REQUEST, *EVENTS), Timeout(total=0.6, idle=0.4), False),
}


@pytest.mark.parametrize("own", [True, False], ids=["own transport", "a caller's session"])
@pytest.mark.parametrize("case", CASES)
async def test_no_timeout_expires_while_bytes_wait_in_the_socket(case: str, own: bool) -> None:
    """Other code that blocks the loop would look like a provider that does not answer, and the reply be paid twice."""
    use, script, timeout, blocks = CASES[case]
    with server_in_a_thread(script) as server:
        async with client_to(server, own=own) as client:
            call = asyncio.ensure_future(use(client, timeout))
            if blocks:
                await request_received(server)
                time.sleep(BLOCKED)  # noqa: ASYNC251 (other code that blocks)
            assert await call == "Hello."


async def test_a_timeout_that_was_late_still_expires() -> None:
    """After a block of the loop, a call whose provider is silent would wait for ever."""
    with server_in_a_thread((REQUEST, 3.0)) as server:
        async with client_to(server, own=True) as client:
            call = asyncio.ensure_future(plain(client, Timeout(total=0.6)))
            await request_received(server)
            time.sleep(BLOCKED)  # noqa: ASYNC251 (as above)
            begun = time.monotonic()
            with pytest.raises(TimeoutError):
                await call
            assert time.monotonic() - begun < 1


async def test_a_body_that_arrives_during_a_block_is_read() -> None:
    """A block of a service's loop would refuse the bodies of all its callers."""
    body = b'{"model": "openai/m", "messages": [{"role": "user", "content": "Hi."}]}'
    fields = b"Host: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % len(body)
    head = b"POST /chat/completions HTTP/1.1\r\n" + fields + b"\r\n"

    def send(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port)) as peer:
            peer.sendall(head + body[:9])
            time.sleep(0.3)
            peer.sendall(body[9:])
            return peer.recv(1000)

    async with AsyncCompletion(providers=[FakeProvider("Hi.")]) as client:
        app = chat_completions_app(client, authorize=lambda request: True, body_timeout=0.4)
        async with asgi_service(app) as url:
            answered = asyncio.ensure_future(asyncio.to_thread(send, int(url.rpartition(":")[2])))
            await asyncio.sleep(0.1)
            time.sleep(BLOCKED)  # noqa: ASYNC251 (as above)
            assert b" 200 OK\r\n" in await answered


class SlowSink:
    """Client of a relay that takes each write in two pieces of 0.1 seconds."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    async def open(self) -> None:
        """Nothing to send before the first event."""

    async def write(self, data: bytes) -> None:
        for _ in range(2):
            await asyncio.sleep(0.1)
        self.written.append(data)

    async def close(self) -> None:
        self.written.append(b"closed")

    async def send_error(self, error: object) -> None:
        self.written.append(b"error")


async def test_the_time_of_a_block_does_not_count_as_that_of_a_write() -> None:
    """A block of the service's loop would disconnect all its clients."""
    sink = SlowSink()
    async with AsyncCompletion(providers=[FakeProvider("Hi.")]) as client:
        relay = SSERelay(client.stream("openai/m", "Hi."), sink, None, 0.3)
        running = asyncio.ensure_future(relay.run(asyncio.sleep(10)))
        await asyncio.sleep(0.05)
        time.sleep(BLOCKED)  # noqa: ASYNC251 (as above)
        await running
    assert (relay.timed_out, sink.written[-1]) == (False, b"closed")
