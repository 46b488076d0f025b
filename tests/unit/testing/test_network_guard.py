"""Tests of block_network: nothing leaves the machine, errors are clear, and all functions are restored."""

import asyncio
import http.client
import socket
import threading
import urllib.request
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import aiohttp.resolver
import pytest
import uvloop

from anycompletion import AsyncCompletion, CompletionError
from anycompletion.testing import NetworkBlockedError, SimulatorServer, block_network

RUNS = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])

Run = Callable[[Any], Any]

HOST = "provider.invalid"
ADDRESS = "192.0.2.1"  # reserved for documentation, so that no host has it


def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


async def _get(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(url):
        pass


async def _sock_connect() -> None:
    with socket.socket() as connection:
        connection.setblocking(False)
        await _loop().sock_connect(connection, (ADDRESS, 443))


ASYNC_CONNECTIONS: dict[str, Callable[[], Awaitable[Any]]] = {
    "aiohttp by name": lambda: _get(f"https://{HOST}/v1"),
    "aiohttp by address": lambda: _get(f"http://{ADDRESS}:443/"),
    "aiohttp by IPv6": lambda: _get("http://[2001:db8::1]:443/"),
    "streams by name": lambda: asyncio.open_connection(HOST, 443),
    "streams by address": lambda: asyncio.open_connection(ADDRESS, 443),
    "look-up": lambda: _loop().getaddrinfo(HOST, 443),
    "sock_connect": _sock_connect,
    "datagrams": lambda: _loop().create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(ADDRESS, 443)),
    "aiodns": lambda: aiohttp.resolver.AsyncResolver.resolve(None, HOST, 443),  # type: ignore[arg-type]
}


@RUNS
@pytest.mark.parametrize("kind", ASYNC_CONNECTIONS)
def test_connections_of_event_loops_are_blocked(kind: str, run: Run) -> None:
    """A test would reach a provider with some event loop or library."""

    async def main() -> None:
        with pytest.raises(NetworkBlockedError, match=r"(provider\.invalid|192\.0\.2\.1|2001:db8::1):443") as caught:
            await ASYNC_CONNECTIONS[kind]()
        assert caught.value.port == 443
        assert "FakeProvider" in str(caught.value)

    with block_network():
        run(main())


def _datagram(*rest: Any) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.sendto(b"x", *rest)


def _message() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.sendmsg([b"x"], [], 0, (ADDRESS, 53))


def _connect_ex() -> None:
    with socket.socket() as connection:
        connection.connect_ex((ADDRESS, 80))


SYNC_CONNECTIONS: dict[str, Callable[[], Any]] = {
    "create_connection": lambda: socket.create_connection((ADDRESS, 80)),
    "connect_ex": _connect_ex,
    "sendto": lambda: _datagram((ADDRESS, 53)),
    "sendto with flags": lambda: _datagram(0, (ADDRESS, 53)),
    "sendmsg": _message,
    "getaddrinfo": lambda: socket.getaddrinfo(HOST, 80),
    "gethostbyname": lambda: socket.gethostbyname(HOST),
    "gethostbyname_ex": lambda: socket.gethostbyname_ex(HOST),
    "gethostbyaddr": lambda: socket.gethostbyaddr(ADDRESS),
    "getnameinfo": lambda: socket.getnameinfo((ADDRESS, 80), 0),
    "http.client": lambda: http.client.HTTPSConnection(HOST).request("GET", "/"),
    "urllib": lambda: urllib.request.urlopen(f"http://{HOST}/"),
}


@pytest.mark.parametrize("kind", SYNC_CONNECTIONS)
def test_connections_of_synchronous_code_are_blocked(kind: str) -> None:
    """A helper of the app that uses plain sockets would reach the network."""
    with block_network(), pytest.raises(NetworkBlockedError, match=r"provider\.invalid|192\.0\.2\.1"):
        SYNC_CONNECTIONS[kind]()


@pytest.mark.parametrize("n", [1, 2])
async def test_the_client_raises_it_without_retries(n: int) -> None:
    """A forgotten fake would look like a network failure, and be retried and reported as one."""
    async with AsyncCompletion(api_keys={"anthropic": "sk-ant-test"}) as client:
        with block_network(), pytest.raises(NetworkBlockedError, match=r"api\.anthropic\.com:443"):
            await client.create("anthropic/claude-haiku-4-5", "Hello", n=n)
    assert not issubclass(NetworkBlockedError, (CompletionError, OSError, RuntimeError))


@RUNS
def test_loopback_is_allowed(run: Run) -> None:
    """The simulator could not be used in a blocked test."""

    async def main() -> None:
        async with (
            SimulatorServer(reply="Hi") as sim,
            AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys) as client,
        ):
            assert (await client.create("openai/x", "Hello")).text == "Hi"
            await _loop().getaddrinfo("localhost", 80)
            near, far = socket.socketpair()
            near.close()
            far.close()

    with block_network():
        run(main())


@RUNS
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_loopback_can_be_blocked_too(host: str, run: Run) -> None:
    """A test that must not connect to servers on its own machine could not block them."""

    async def main() -> None:
        with pytest.raises(NetworkBlockedError, match=f"{host}:1 "):
            await asyncio.open_connection(host, 1)

    with block_network(allow_loopback=False):
        run(main())


def _state() -> list[Any]:
    names = ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getnameinfo")
    return [
        *(vars(socket)[name] for name in names),
        dict(vars(socket.socket)),
        dict(vars(uvloop.Loop)),
        dict(vars(aiohttp.resolver.AsyncResolver)),
    ]


def test_all_functions_are_restored() -> None:
    """The next test would be blocked as well, or run with replaced functions."""
    before = _state()
    with pytest.raises(ZeroDivisionError), block_network():
        assert _state() != before
        raise ZeroDivisionError
    assert _state() == before


def test_blocks_nest_and_overlap() -> None:
    """A fixture's block would end with that of a test, or a lax block would disable a strict one."""
    before = _state()
    lax, strict = block_network(), block_network(allow_loopback=False)
    lax.__enter__()
    strict.__enter__()
    with pytest.raises(NetworkBlockedError):
        socket.create_connection(("127.0.0.1", 1))
    lax.__exit__(None, None, None)
    with pytest.raises(NetworkBlockedError):
        socket.create_connection((ADDRESS, 1))
    with lax, lax:
        pass
    strict.__exit__(None, None, None)
    assert _state() == before


async def test_it_decorates_sync_and_async_functions() -> None:
    """A decorated async test would run unblocked, or lose its name."""

    @block_network()
    async def later(host: str) -> None:
        await asyncio.sleep(0)
        socket.getaddrinfo(host, 80)

    @block_network(allow_loopback=False)
    def now(host: str) -> None:
        socket.getaddrinfo(host, 80)

    for _ in range(2):
        with pytest.raises(NetworkBlockedError):
            await later(HOST)
        with pytest.raises(NetworkBlockedError):
            now("localhost")
    assert (later.__name__, now.__name__) == ("later", "now")


def test_threads_are_blocked_too() -> None:
    """An app's worker thread would reach the network."""
    caught: list[BaseException] = []

    def work() -> None:
        try:
            socket.getaddrinfo(HOST, 80)
        except NetworkBlockedError as error:
            caught.append(error)

    with block_network():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert len(caught) == 1


def test_unix_sockets_are_allowed(tmp_path: Any) -> None:
    """Connections that never leave the machine would be blocked."""
    with block_network(allow_loopback=False), socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(tmp_path / "s"))
