"""Requests through an aiohttp session: a caller's own, or ours where `own` cannot be used."""

from __future__ import annotations

import asyncio
import io
import ssl

import aiohttp
from yarl import URL

from ..http import RequestHeaders
from .answers import SessionResponse
from .connector import MAX_HEADER, MAX_HEADERS, Connector, connect_timeout
from .http1 import BIG_BODY
from .proxy import proxy_of
from .timeouts import TimeoutWatch

_URLS = 64


class SessionSender:
    """Sends requests through a session."""

    def __init__(
        self, session: aiohttp.ClientSession | None, proxy: str | None, ssl_context: ssl.SSLContext | None
    ) -> None:
        self._proxy, self._proxy_headers = proxy_of(proxy)
        self.connector: Connector | None = None
        self._is_ours = session is None
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
        self, method: str, url: str, headers: RequestHeaders, body: bytes | None, watch: TimeoutWatch
    ) -> SessionResponse:
        """Sends one request and waits for the headers of its answer.

        Raises:
            aiohttp.ClientError, OSError, ValueError: see `faults.translate`.
        """
        task = asyncio.current_task()
        assert task is not None, "an event loop runs tasks"
        if self.connector is not None:
            self.connector.sending[task] = watch
        try:
            return SessionResponse(
                await self._session.request(
                    method,
                    self._urls.get(url) or self._url(url),
                    data=body if body is None or len(body) < BIG_BODY else io.BytesIO(body),
                    # A proxy that is asked for plain http reads the request itself.
                    headers={**headers, **self._proxy_headers} if url.startswith("http:") else headers,
                    allow_redirects=False,
                    proxy=self._proxy,
                    proxy_headers=self._proxy_headers or None,
                    timeout=connect_timeout(watch.connect),
                )
            )
        finally:
            if self.connector is not None:
                self.connector.sending.pop(task, None)

    def _url(self, url: str) -> URL:
        """A URL that is read once, and not for every request."""
        if len(self._urls) > _URLS:
            self._urls.clear()
        read = self._urls[url] = URL(url, encoded=True)
        return read

    def detach_after_fork(self) -> None:
        """Lets go without closing anything."""
        if self.connector is not None:
            self.connector.detach_after_fork()
            self._session.detach()

    async def aclose(self) -> None:
        """Closes all connections; a session that was given stays open."""
        if self._is_ours:
            await self._session.close()
