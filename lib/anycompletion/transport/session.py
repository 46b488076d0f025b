"""Requests through an aiohttp session: the caller's own, or one of ours where `http1` cannot be used."""

from __future__ import annotations

import io
import ssl
from typing import cast

import aiohttp
from yarl import URL

from .._async import running_task
from ..http import RequestHeaders
from .body import ForeignBodyReader, ResponseBody, as_body_reader
from .connector import MAX_HEADER, MAX_HEADERS, Connector, SendState, timeout_of
from .http1 import SPLIT_FROM, is_supported_aiohttp
from .proxy import proxy_of

_MAX_URLS = 64
"""URLs that are remembered."""


class SessionResponse:
    """Response of an aiohttp session."""

    __slots__ = ("_response", "body", "is_decoded", "raw_headers", "status")

    def __init__(self, response: aiohttp.ClientResponse, *, is_decoded: bool) -> None:
        self.status = response.status
        self.raw_headers = response.raw_headers
        content = response.content
        self.body: ResponseBody = as_body_reader(content) if is_supported_aiohttp() else ForeignBodyReader(content)
        self.is_decoded = is_decoded
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
        self.connector: Connector | None = None
        """None with a session of the caller."""
        if session is None:
            self.connector = Connector(ssl_context)
            session = aiohttp.ClientSession(
                connector=self.connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                trust_env=False,
                max_line_size=MAX_HEADER,
                max_field_size=MAX_HEADER,
                max_headers=MAX_HEADERS,
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
        task = running_task()
        if self.connector is not None:
            self.connector.sending[task] = state
        try:
            return SessionResponse(
                await self._session.request(
                    method,
                    self._urls.get(url) or self._url(url),
                    data=body if body is None or len(body) < SPLIT_FROM else io.BytesIO(body),
                    # With plain http the proxy reads the request itself, and so needs its password there.
                    headers={**headers, **self._proxy_headers} if url.startswith("http:") else headers,
                    allow_redirects=False,
                    proxy=self._proxy,
                    proxy_headers=self._proxy_headers or None,
                    timeout=timeout_of(state.connect_timeout),
                ),
                is_decoded=self._session.auto_decompress,
            )
        finally:
            if self.connector is not None:
                self.connector.sending.pop(task, None)

    def _url(self, url: str) -> URL:
        """A URL that is parsed once, and not for every request."""
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
