"""Requests through an aiohttp session: the caller's own, or one of ours where `http1` cannot be used.

Of a caller's session, the connector, proxies, traces, client middleware and default headers apply. What would change
the meaning of a request or its answer is overridden for each request (timeouts, bounds of headers, `raise_for_status`,
`auto_decompress`, cookies, and every header of ours, the key first of all), or refused when the client is made.
"""

from __future__ import annotations

import asyncio
import io
import ssl
from typing import cast

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from .._async import running_task
from ..errors import APIConnectionError, ClientClosedError, CompletionError, InvalidRequestError
from ..http import RequestHeaders
from .body import ForeignBodyReader, ResponseBody, as_body_reader
from .connector import MAX_HEADER_COUNT, MAX_HEADER_LINE, Connector, SendState, timeout_of
from .http1 import SPLIT_FROM, is_supported_aiohttp
from .proxy import proxy_of

_MAX_URLS = 64
"""URLs that are remembered."""

_BUFFER = 2**18
"""Bytes that aiohttp buffers before it stops reading; its own default."""

_FRAMING_HEADERS = ("Host", "Content-Length", "Content-Encoding", "Transfer-Encoding", "Expect", "Upgrade", "Range")
"""Headers that belong to one request and cannot be the default of many."""

_CLOSED = "the session given to AsyncCompletion was closed; keep it open for as long as the client is used"
_OTHER_LOOP = (
    "the session given to AsyncCompletion belongs to another event loop; make the session and the client in one loop"
)


def check_session(session: object) -> None:
    """Refuses a session that cannot be used, whatever the event loop.

    Raises:
        InvalidRequestError: it is no `aiohttp.ClientSession`, is closed, or has a header that belongs to one request.
    """
    problem = None
    if not isinstance(session, aiohttp.ClientSession):
        problem = f"expected an aiohttp.ClientSession, found {type(session).__name__}"
    elif session.closed:
        problem = "is closed already"
    elif wrong := next((name for name in _FRAMING_HEADERS if name in session.headers), None):
        problem = f"has a default header {wrong}, which cannot be the same for all requests"
    if problem is not None:
        raise InvalidRequestError(f"session: {problem}", param="session")


def _sends_exactly(own: dict[str, str]) -> aiohttp.ClientMiddlewareType:
    """Client middleware that puts our headers in place of the session's, and removes its authentication and cookies."""

    async def send(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        for name in ("Authorization", "Cookie"):
            request.headers.popall(name, None)
        request.headers.update(own)
        return await handler(request)

    return send


class SessionResponse:
    """Response of an aiohttp session."""

    __slots__ = ("_response", "body", "raw_headers", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self.raw_headers = response.raw_headers
        content = response.content
        self.body: ResponseBody = as_body_reader(content) if is_supported_aiohttp() else ForeignBodyReader(content)
        self._response = response
        # The URL and headers of the request take as much memory as an open response does, and are not needed.
        response._request_info = cast("aiohttp.RequestInfo", None)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    def close(self) -> None:
        """Closes the connection unless the body has ended, and wakes its reader."""
        self.body.abort()
        self._response.close()


class SessionSender:
    """Sends requests through a session."""

    def __init__(
        self, session: aiohttp.ClientSession | None, proxy: str | None, ssl_context: ssl.SSLContext | None
    ) -> None:
        self._proxy, self._proxy_headers = proxy_of(proxy)
        self._ssl: ssl.SSLContext | bool = True
        """Of a caller's session only: the connector of ours has its own."""
        self.connector: Connector | None = None
        """None with a session of the caller."""
        if session is not None:
            self._ssl = ssl_context or True
        else:
            self.connector = Connector(ssl_context)
            session = aiohttp.ClientSession(
                connector=self.connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                trust_env=False,
                max_line_size=MAX_HEADER_LINE,
                max_field_size=MAX_HEADER_LINE,
                max_headers=MAX_HEADER_COUNT,
            )
        self._session = session
        self._urls: dict[str, URL] = {}

    async def send(
        self, method: str, url: str, headers: RequestHeaders, body: bytes | None, state: SendState
    ) -> SessionResponse:
        """Sends one request and waits for the headers of its response.

        Raises:
            aiohttp.ClientError, OSError, ValueError: see `errors.translate`.
            SendDeferred: `state.must_defer` returned True before a connection was opened.
        """
        # With plain http the proxy reads the request itself, and so needs its password there.
        own = {**headers, **self._proxy_headers} if url.startswith("http:") else headers
        if self.connector is None:
            return await self._send_through_callers(method, url, own, body, state)
        task = running_task()
        self.connector.sending[task] = state
        try:
            return SessionResponse(await self._request(method, url, own, body, state))
        finally:
            self.connector.sending.pop(task, None)

    async def _send_through_callers(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None, state: SendState
    ) -> SessionResponse:
        session, task = self._session, running_task()
        if self._is_closed():
            raise ClientClosedError(_CLOSED)
        # The public name is deprecated.
        if session._loop is not task.get_loop():  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
            raise ClientClosedError(_OTHER_LOOP)
        # Without the key: with `trust_env`, aiohttp refuses requests to hosts in .netrc that have one.
        shown = {name: value for name, value in headers.items() if name.lower() != "authorization"}
        cancelling = task.cancelling()
        given = session._middlewares  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] (there is no public name)
        middlewares = (*given, _sends_exactly(headers))
        try:
            return SessionResponse(await self._request(method, url, shown, body, state, middlewares))
        except asyncio.CancelledError:
            # A connector that is closed cancels what waits for a connection, and not the task that does.
            if not self._is_closed() or task.cancelling() > cancelling:
                raise
        except (CompletionError, aiohttp.ClientError, OSError, HttpProcessingError):
            if not self._is_closed():
                raise
        except Exception as failure:  # the caller's traces and client middleware may raise anything
            if not self._is_closed():
                raise _failed(failure) from failure
        raise ClientClosedError(_CLOSED)

    def _is_closed(self) -> bool:
        return self._session.closed

    async def _request(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: bytes | None,
        state: SendState,
        middlewares: tuple[aiohttp.ClientMiddlewareType, ...] = (),
    ) -> aiohttp.ClientResponse:
        return await self._session.request(
            method,
            self._urls.get(url) or self._url(url),
            data=body if body is None or len(body) < SPLIT_FROM else io.BytesIO(body),
            headers=headers,
            allow_redirects=False,
            raise_for_status=False,
            auto_decompress=True,
            proxy=self._proxy,
            proxy_headers=self._proxy_headers or None,
            timeout=timeout_of(state.connect_timeout),
            ssl=self._ssl,
            middlewares=middlewares,
            read_bufsize=_BUFFER,
            max_line_size=MAX_HEADER_LINE,
            max_field_size=MAX_HEADER_LINE,
            max_headers=MAX_HEADER_COUNT,
        )

    def _url(self, url: str) -> URL:
        """A URL that is parsed once, and not for every request."""
        if not url.isascii():
            raise aiohttp.InvalidURL(url, "not encoded")
        if len(self._urls) > _MAX_URLS:
            self._urls.clear()
        parsed = self._urls[url] = URL(url, encoded=True)
        return parsed

    def detach_after_fork(self) -> None:
        """Forgets all connections without closing them."""
        if self.connector is not None:
            self.connector.detach_after_fork()
            self._session.detach()

    async def aclose(self) -> None:
        """Closes all connections; a session of the caller stays open."""
        if self.connector is not None:
            await self._session.close()


def _failed(failure: BaseException) -> APIConnectionError:
    """The error of a request during which code of the caller's session failed; without frames, which have headers."""
    cause: BaseException | None = failure
    while cause is not None:
        cause.__traceback__ = None
        cause = cause.__cause__ or cause.__context__
    text = f"the session given to AsyncCompletion failed with {type(failure).__name__}"
    return APIConnectionError(text, phase="send", retryable=False, maybe_billed=True)
