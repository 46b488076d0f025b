"""Requests on connections of our own: written in one piece, on aiohttp's connector and its parser of answers.

`ClientSession` prepares for each request what never changes between two of ours (it merges headers, follows cookies,
redirects, netrc and traces, and writes the body by a task), which is half of what a call costs. What is used here of
aiohttp below its session is not promised to stay: `is_known` says which versions were tested, and with any other
requests go through a session (`lent`), as those of a caller's own session and those through a proxy do.
"""

from __future__ import annotations

import asyncio
import re
import ssl

import aiohttp
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.helpers import TimerNoop
from yarl import URL

from ..http import RequestHeaders
from ..redaction import MaskedBytes
from .answers import DirectResponse
from .connector import MAX_HEADER, MAX_HEADERS, Connector, PooledConnection, connect_timeout
from .timeouts import TimeoutWatch

_KNOWN = re.compile(r"3\.14\.\d+")
"""Versions of aiohttp that the tests have run with."""

_MAX_ENDPOINTS = 64
"""Addresses that are remembered; an app that has more (one per customer) reads them anew."""

BIG_BODY = 512 * 1024
"""Bytes; a larger body goes out in pieces, so that it does not block the loop."""

_PIECE = 256 * 1024

_LONG = 64 * 1024
"""Bytes; a server may refuse a longer body before it has read it."""

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""What would end a header and begin another one."""

_FRAMING = frozenset(("content-length", "transfer-encoding"))

_TIMER = TimerNoop()


def is_supported_aiohttp() -> bool:
    """Whether this version of aiohttp was tested."""
    return _KNOWN.fullmatch(aiohttp.__version__) is not None


class _Endpoint:
    """Where requests of one method and URL go."""

    __slots__ = ("host", "key", "request", "start")

    def __init__(self, start: bytes, host: bytes, request: aiohttp.ClientRequest) -> None:
        self.start = start
        """The request line."""
        self.host = host
        self.request = request
        """What opens a connection to it."""
        self.key: ConnectionKey = request.connection_key


class DirectSender:
    """Sends requests on connections of its own."""

    def __init__(self, ssl_context: ssl.SSLContext | None) -> None:
        self.connector = Connector(ssl_context)
        self._endpoints: dict[tuple[str, str], _Endpoint] = {}

    async def send(
        self, method: str, url: str, headers: RequestHeaders, body: bytes | None, watch: TimeoutWatch
    ) -> DirectResponse:
        """Sends one request and waits for the headers of its answer.

        Raises:
            aiohttp.ClientError, OSError, ValueError, HttpProcessingError: see `faults.translate`.
        """
        place = self._endpoints.get((method, url)) or self._endpoint(method, url)
        head = _head(place, headers, body)
        connector = self.connector
        wire = connector.acquire_idle(place.key, watch)
        if wire is None:
            wire = await connector.open(place.request, watch, connect_timeout(watch.connect))
        writing: asyncio.Task[None] | None = None
        try:
            wire.set_response_params(
                timer=_TIMER,
                read_until_eof=True,
                max_line_size=MAX_HEADER,
                max_field_size=MAX_HEADER,
                max_headers=MAX_HEADERS,
            )
            transport = wire.transport
            # Without one, or one that closes, the connection is lost already, and reading says so.
            if transport is not None:
                if body is None:
                    transport.write(head)
                elif len(body) < BIG_BODY:
                    transport.write(b"".join((head, body)))
                else:
                    transport.write(head)
                    writing = asyncio.ensure_future(_write(wire, body))
            message, content = await wire.read()
            while 100 <= message.code < 200 and message.code != 101:  # announcements; the answer is still to come
                message, content = await wire.read()
        except BaseException:  # whatever it was, cancellation too: half an exchange is nobody's
            if writing is not None:
                writing.cancel()
            connector.release(place.key, wire, cut=True)
            raise
        is_long = body is not None and len(body) > _LONG
        return DirectResponse(message.code, message.raw_headers, content, wire, place.key, connector, writing, is_long)

    def _endpoint(self, method: str, url: str) -> _Endpoint:
        if len(self._endpoints) > _MAX_ENDPOINTS:
            self._endpoints.clear()
        read = URL(url, encoded=True)
        host = read.host_port_subcomponent
        if read.scheme not in ("http", "https") or not host or read.raw_user or read.raw_password:
            raise ValueError("no address of a server")
        request = aiohttp.ClientRequest(method, read, loop=asyncio.get_running_loop())
        start = f"{method} {read.raw_path_qs} HTTP/1.1\r\n"
        if _CONTROL.search(start[:-2]):
            raise ValueError("control characters in a URL")
        place = _Endpoint(start.encode(), f"Host: {host}\r\n".encode(), request)
        self._endpoints[method, url] = place
        return place

    def detach_after_fork(self) -> None:
        """Lets go without closing anything."""
        self.connector.detach_after_fork()

    async def aclose(self) -> None:
        """Closes all connections."""
        await self.connector.close()


def _head(place: _Endpoint, headers: RequestHeaders, body: bytes | None) -> bytes:
    """The request line and the headers; those that are ours are made into bytes once."""
    lines = headers.lines
    if lines is None:
        lines = headers.lines = _lines(headers)
    if body is not None:
        length = b"Content-Length: %d\r\n\r\n" % len(body)
    else:
        length = b"\r\n" if place.start.startswith(b"GET") else b"Content-Length: 0\r\n\r\n"
    host = b"" if headers.has_host else place.host
    return MaskedBytes(b"".join((place.start, host, lines, length)))


def _lines(headers: RequestHeaders) -> bytes:
    text = [f"{name}: {value}\r\n" for name, value in headers.items()]
    if any(_CONTROL.search(line[:-2]) for line in text) or not _FRAMING.isdisjoint(name.lower() for name in headers):
        raise ValueError("a header that would begin another one, or another body")
    headers.has_host = any(name.lower() == "host" for name in headers)
    return MaskedBytes("".join(text).encode())


async def _write(wire: PooledConnection, body: bytes) -> None:
    """Writes a large body; whatever goes wrong, who reads the answer learns it."""
    view = memoryview(body)
    try:
        for start in range(0, len(view), _PIECE):
            if wire.transport is None:
                return
            wire.transport.write(view[start : start + _PIECE])
            await asyncio.sleep(0)
            await wire._drain_helper()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] (as aiohttp's own writer does)
    except (OSError, aiohttp.ClientError):
        pass
