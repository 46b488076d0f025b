"""HTTP/1.1 without an aiohttp session: head and body in one write, with aiohttp's connector and response parser.

`ClientSession` prepares for each request what does not change between two of ours (it merges headers, follows cookies,
redirects, netrc and traces, and writes the body in a task), which is half of the cost of a call. What is used here of
aiohttp below its session may change in any release: `is_supported_aiohttp` knows the versions that were tested. With
any other, requests go through a session (`session`), as those of a caller's own session and those through a proxy do.
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
from .body import ResponseBody, as_body_reader
from .connector import MAX_HEADER_COUNT, MAX_HEADER_LINE, Connector, PooledConnection, SendState

_SUPPORTED = "3.14"
"""Minor version of aiohttp that the tests have run with."""

_MAX_URLS = 64
"""Prepared URLs that are kept; an app that uses more of them (one per customer) empties the cache now and then."""

SPLIT_FROM = 512 * 1024
"""Bytes; a request body of this size is sent in pieces, so that it does not block the event loop."""

_PIECE = 256 * 1024
"""Bytes of one piece."""

_REFUSED_EARLY_ABOVE = 64 * 1024
"""Bytes; a server may refuse a longer request body before it has read all of it."""

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""Control characters: some would end a header and begin another one."""

_BODY_LENGTH_HEADERS = frozenset(("content-length", "transfer-encoding"))

_TIMER = TimerNoop()


def is_supported_aiohttp() -> bool:
    """Whether this version of aiohttp was tested."""
    minor, _, patch = aiohttp.__version__.rpartition(".")
    return minor == _SUPPORTED and patch.isdecimal()


class DirectResponse:
    """Response on a connection of our own, which is released when the body ends."""

    __slots__ = ("_connection", "_connector", "_key", "_may_refuse_early", "_writing", "body", "raw_headers", "status")

    def __init__(
        self,
        message: aiohttp.http.RawResponseMessage,
        body: ResponseBody,
        connection: PooledConnection,
        key: ConnectionKey,
        connector: Connector,
        writing: asyncio.Task[None] | None,
        may_refuse_early: bool,
    ) -> None:
        self.status = message.code
        self.raw_headers = message.raw_headers
        self.body = body
        self._connection: PooledConnection | None = connection
        self._key = key
        self._connector = connector
        self._writing = writing
        self._may_refuse_early = may_refuse_early
        body.on_eof(self._release)

    def close(self) -> None:
        """Closes the connection unless the body has ended, and wakes its reader."""
        self.body.abort()
        self._release(cut=True)

    def _release(self, *, cut: bool = False) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._writing is not None and not self._writing.done():
            # The response came early, and the next request must not follow the rest of this one.
            self._writing.cancel()
            cut = True
        if self._may_refuse_early and self.status >= 400:
            cut = True  # it may have come early here too: what TLS or the system has not sent yet cannot be seen
        self._connector.release(self._key, connection, cut=cut)


class _PreparedUrl:
    """What all requests with one method and URL have in common: the request line, ``Host``, and the connection key."""

    __slots__ = ("connection_key", "host", "request", "start")

    def __init__(self, start: bytes, host: bytes, request: aiohttp.ClientRequest) -> None:
        self.start = start
        """The request line."""
        self.host = host
        self.request = request
        """aiohttp's request, with which its connector opens a connection."""
        self.connection_key: ConnectionKey = request.connection_key


class DirectSender:
    """Sends requests on connections of its own."""

    def __init__(self, ssl_context: ssl.SSLContext | None) -> None:
        self.connector = Connector(ssl_context)
        self._urls: dict[tuple[str, str], _PreparedUrl] = {}

    async def send(
        self, method: str, url: str, headers: RequestHeaders, body: bytes | None, state: SendState
    ) -> DirectResponse:
        """Sends one request and waits for the headers of its response.

        Raises:
            aiohttp.ClientError, OSError, ValueError, HttpProcessingError: see `errors.translate`.
            SendDeferred: `state.must_defer` returned True before a connection was opened.
        """
        prepared = self._urls.get((method, url)) or self._prepare(method, url)
        head = _head(prepared, headers, body)
        connector, key = self.connector, prepared.connection_key
        connection = connector.acquire_idle(key, state)
        if connection is None:
            connection = await connector.open(prepared.request, state)
        writing: asyncio.Task[None] | None = None
        try:
            connection.set_response_params(
                timer=_TIMER,
                read_until_eof=True,
                max_line_size=MAX_HEADER_LINE,
                max_field_size=MAX_HEADER_LINE,
                max_headers=MAX_HEADER_COUNT,
            )
            transport = connection.transport
            # Without one, or with one that is closing, the connection is lost already, and reading raises that.
            if transport is not None:
                if body is None:
                    transport.write(head)
                elif len(body) < SPLIT_FROM:
                    transport.write(b"".join((head, body)))
                else:
                    transport.write(head)
                    writing = asyncio.ensure_future(_write(connection, body))
            message, content = await connection.read()
            while 100 <= message.code < 200 and message.code != 101:  # informational; the response is still to come
                message, content = await connection.read()
        except BaseException:  # whatever it was, cancellation too: the connection is in the middle of an exchange
            if writing is not None:
                writing.cancel()
            connector.release(key, connection, cut=True)
            raise
        may_refuse_early = body is not None and len(body) > _REFUSED_EARLY_ABOVE
        return DirectResponse(message, as_body_reader(content), connection, key, connector, writing, may_refuse_early)

    def _prepare(self, method: str, url: str) -> _PreparedUrl:
        if len(self._urls) > _MAX_URLS:
            self._urls.clear()
        parsed = URL(url, encoded=True)
        host = parsed.host_port_subcomponent
        if parsed.scheme not in ("http", "https") or not host or parsed.raw_user or parsed.raw_password:
            raise ValueError("not the address of a server")
        request = aiohttp.ClientRequest(method, parsed, loop=asyncio.get_running_loop())
        start = f"{method} {parsed.raw_path_qs} HTTP/1.1\r\n"
        if _CONTROL.search(start[:-2]):
            raise ValueError("control characters in a URL")
        prepared = self._urls[method, url] = _PreparedUrl(start.encode("ascii"), f"Host: {host}\r\n".encode(), request)
        return prepared

    def detach_after_fork(self) -> None:
        """Forgets all connections without closing them."""
        self.connector.detach_after_fork()

    async def aclose(self) -> None:
        """Closes all connections."""
        await self.connector.close()


def _head(prepared: _PreparedUrl, headers: RequestHeaders, body: bytes | None) -> bytes:
    """The request line and the headers; headers that are the same for many requests are encoded once."""
    lines = headers.lines
    if lines is None:
        lines = headers.lines = _lines(headers)
    if body is not None:
        length = b"Content-Length: %d\r\n\r\n" % len(body)
    else:
        length = b"\r\n" if prepared.start.startswith(b"GET") else b"Content-Length: 0\r\n\r\n"
    host = b"" if headers.has_host else prepared.host
    return MaskedBytes(b"".join((prepared.start, host, lines, length)))


def _lines(headers: RequestHeaders) -> bytes:
    text = [f"{name}: {value}\r\n" for name, value in headers.items()]
    names = {name.lower() for name in headers}
    if any(_CONTROL.search(line[:-2]) for line in text) or names & _BODY_LENGTH_HEADERS:
        raise ValueError("a header that would begin another one, or another body")
    headers.has_host = "host" in names
    return MaskedBytes("".join(text).encode())


async def _write(connection: PooledConnection, body: bytes) -> None:
    """Writes a body in pieces; the reader of the response gets the error if that fails."""
    view = memoryview(body)
    try:
        for start in range(0, len(view), _PIECE):
            if connection.transport is None:
                return
            connection.transport.write(view[start : start + _PIECE])
            await asyncio.sleep(0)
            await connection.drain()
    except (OSError, aiohttp.ClientError):
        pass
