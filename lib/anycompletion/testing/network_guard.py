"""Blocks a process's network access while a block of code runs; never drops a connection silently.

Strategy: every connection that Python code makes goes through a few functions: the methods of `socket.socket`,
`socket`'s name look-ups, and the methods of event loops that use neither (uvloop's, Windows'). They are replaced while
at least one block is active and restored after the last. A blocked call raises an error that no HTTP library takes for
a network failure.
"""

from __future__ import annotations

import asyncio.proactor_events
import functools
import inspect
import ipaddress
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

import aiohttp.resolver

P = ParamSpec("P")
T = TypeVar("T")


class NetworkBlockedError(AssertionError):
    """Code inside `block_network` tried to reach the network: a mistake of the test, and no error of the API.

    It is neither an OSError nor a RuntimeError: HTTP libraries would take these for a failed connection and retry.
    """

    def __init__(self, message: str, *, host: str = "", port: int | str | None = None) -> None:
        super().__init__(message)
        self.host = host
        """Name or address of the other machine."""
        self.port = port
        """Its port."""


class block_network:  # noqa: N801 (a context manager that is used like a function)
    """Turns connections to other machines into a `NetworkBlockedError` that names host and port.

    ::

        with block_network():
            ...

        @block_network()
        async def test_something() -> None: ...

    Connections, datagrams and name look-ups are blocked before anything leaves the machine: those of `socket`, of
    asyncio and uvloop, and so of aiohttp, httpx, requests and everything else that is built on them. They are blocked
    in all threads of the process, and not in other processes. Blocks may be nested, and overlap: all of them apply.

    Args:
        allow_loopback: whether 127.0.0.0/8, ::1 and localhost may be reached; True by default. Unix sockets always may.
    """

    def __init__(self, *, allow_loopback: bool = True) -> None:
        self.allow_loopback = allow_loopback

    def __enter__(self) -> Self:
        with _LOCK:
            if not _ACTIVE:
                _install()
            _ACTIVE.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with _LOCK:
            _ACTIVE.remove(self)
            if not _ACTIVE:
                _restore()

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:
        """`function`, async or not, with the network blocked while it runs."""
        again = functools.partial(type(self), allow_loopback=self.allow_loopback)
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def blocked_async(*args: P.args, **kwargs: P.kwargs) -> Any:
                with again():
                    return await function(*args, **kwargs)

            return cast("Callable[P, T]", blocked_async)

        @functools.wraps(function)
        def blocked(*args: P.args, **kwargs: P.kwargs) -> T:
            with again():
                return function(*args, **kwargs)

        return blocked


# Of the whole process, as the functions that are replaced are.
_ACTIVE: list[block_network] = []
_REPLACED: list[tuple[Any, str, Any]] = []
_LOCK = threading.RLock()
_MISSING = object()


# --- checks ----------------------------------------------------------------------------------------------------------


def _refuse(host: Any, port: Any, action: str) -> None:
    """Raises if an active block does not allow the host."""
    name = _name(host)
    if not _ACTIVE or (_is_loopback(name) and all(each.allow_loopback for each in _ACTIVE)):
        return
    where = f"{name}:{port}" if port not in (None, "") else name
    raise NetworkBlockedError(
        f"{action} {where} was blocked by block_network(): nothing in this test may reach the network. Give the client "
        "a fake, AsyncCompletion(providers=[FakeProvider(...)]), or point it at a SimulatorServer "
        "(base_urls=sim.base_urls, api_keys=sim.api_keys); see anycompletion.testing",
        host=name,
        port=port,
    )


def _name(host: Any) -> str:
    text = bytes(host).decode("ascii", "replace") if isinstance(host, (bytes, bytearray)) else str(host)
    return text.strip("[]").partition("%")[0]


def _is_loopback(name: str) -> bool:
    if name.lower().rstrip(".") == "localhost" or name.lower().endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _check_address(family: int, address: Any, action: str = "a connection to") -> None:
    if family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple) and len(cast("Any", address)) >= 2:
        host, port = cast("tuple[Any, Any]", address)[:2]
        _refuse(host, port, action)


def _check_name(host: Any, port: Any = None) -> None:
    """Checks a name look-up; that of an address, or of this machine itself, needs no network."""
    if host is None or host in ("", b""):
        return
    name = _name(host)
    if not _is_address(name) and not (_is_loopback(name) and all(each.allow_loopback for each in _ACTIVE)):
        _refuse(host, port, "looking up")


# --- replacements ----------------------------------------------------------------------------------------------------


def _replace(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    own: object = owner.__dict__.get(name, _MISSING)
    _REPLACED.append((owner, name, own))
    setattr(owner, name, make(getattr(owner, name)))


def _restore() -> None:
    while _REPLACED:
        owner, name, own = _REPLACED.pop()
        if own is _MISSING:
            delattr(owner, name)
        else:
            setattr(owner, name, own)


def _install() -> None:
    try:
        for name, check in _SOCKET_METHODS.items():
            if hasattr(socket.socket, name):
                _replace(socket.socket, name, _checked(check))
        for name, check in _LOOK_UPS.items():
            _replace(socket, name, _checked(check))
        for loop in _foreign_loops():
            for name, check in _LOOP_METHODS.items():
                _replace(loop, name, _checked_async(check))
        # aiodns has sockets of its own
        _replace(aiohttp.resolver.AsyncResolver, "resolve", _checked_async(_check_method_look_up))
    except BaseException:  # interrupts too: nothing may stay replaced
        _restore()
        raise


def _foreign_loops() -> list[Any]:
    """Event loops that connect without `socket.socket`: Windows' own, and uvloop's."""
    loops: list[Any] = [asyncio.proactor_events.BaseProactorEventLoop]
    try:
        import uvloop  # noqa: PLC0415 (may be missing; imported later it would circumvent the block)
    except ImportError:
        return loops
    return [*loops, uvloop.Loop]


def _checked(check: Callable[..., None]) -> Callable[[Any], Any]:
    """Makes a function call `check` with its arguments first."""

    def wrap(real: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(real)
        def checked(*args: Any, **kwargs: Any) -> Any:
            check(*args, **kwargs)
            return real(*args, **kwargs)

        return checked

    return wrap


def _checked_async(check: Callable[..., None]) -> Callable[[Any], Any]:
    """Makes an async function call `check` with its arguments first."""

    def wrap(real: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(real)
        async def checked(*args: Any, **kwargs: Any) -> Any:
            check(*args, **kwargs)
            return await real(*args, **kwargs)

        return checked

    return wrap


# --- checks by the arguments of the functions that are replaced ------------------------------------------------------


def _check_connect(sock: socket.socket, address: Any) -> None:
    try:
        _check_address(sock.family, address)
    except NetworkBlockedError:
        sock.close()  # callers close it after an OSError only
        raise


def _check_sendto(sock: socket.socket, data: Any, *rest: Any) -> None:
    if rest:
        _check_address(sock.family, rest[-1], "a datagram to")


def _check_sendmsg(sock: socket.socket, buffers: Any, ancdata: Any = (), flags: int = 0, address: Any = None) -> None:
    if address is not None:
        _check_address(sock.family, address, "a datagram to")


_SOCKET_METHODS: dict[str, Callable[..., None]] = {
    "connect": _check_connect,
    "connect_ex": _check_connect,
    "sendto": _check_sendto,
    "sendmsg": _check_sendmsg,
}


def _check_look_up(host: Any, port: Any = None, *args: Any, **kwargs: Any) -> None:
    _check_name(host, port)


def _check_getnameinfo(sockaddr: Any, flags: int) -> None:
    if not flags & socket.NI_NUMERICHOST:
        _refuse(sockaddr[0], sockaddr[1], "looking up")


def _check_gethostbyaddr(address: Any) -> None:
    _refuse(address, None, "looking up")


_LOOK_UPS: dict[str, Callable[..., None]] = {
    "getaddrinfo": _check_look_up,
    "gethostbyname": _check_look_up,
    "gethostbyname_ex": _check_look_up,
    "gethostbyaddr": _check_gethostbyaddr,
    "getnameinfo": _check_getnameinfo,
}


def _check_create_connection(
    loop: Any, protocol_factory: Any, host: Any = None, port: Any = None, **kwargs: Any
) -> None:
    _check_target(host, port)


def _check_create_datagram_endpoint(
    loop: Any, protocol_factory: Any, local_addr: Any = None, remote_addr: Any = None, **kwargs: Any
) -> None:
    if isinstance(remote_addr, tuple):
        _check_target(*cast("tuple[Any, Any]", remote_addr)[:2])


def _check_method_look_up(owner: Any, host: Any, port: Any = 0, *args: Any, **kwargs: Any) -> None:
    _check_name(host, port)


def _check_sock_connect(loop: Any, sock: Any, address: Any) -> None:
    _check_address(sock.family, address)


_LOOP_METHODS: dict[str, Callable[..., None]] = {
    "create_connection": _check_create_connection,
    "create_datagram_endpoint": _check_create_datagram_endpoint,
    "getaddrinfo": _check_method_look_up,
    "sock_connect": _check_sock_connect,
}


def _check_target(host: Any, port: Any) -> None:
    if host is not None and host not in ("", b""):
        _refuse(host, port, "a connection to")
