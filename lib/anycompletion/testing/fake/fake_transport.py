"""The transport of a fake provider: the client's own, connected to the fake's backend instead of the network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlsplit

import aiohttp

from ... import Provider
from ...errors import APIConnectionError, ClientClosedError
from ...http import RequestHeaders
from ...records import ChatRequest
from ...transport import Response, Transport
from ..formats.registry import FORMATS_BY_DIALECT
from ..formats.wire_format import ProviderMemory
from .backend import TAG, FakeBackend, FakeRequest, PendingRequest
from .memory_connector import MemoryConnector
from .wrappers import ResponseWrapper, TransportWrapper


class FakeTransport(TransportWrapper):
    """The client's own transport for one provider, with a session that reaches a fake's backend and nothing else."""

    def __init__(self, backend: FakeBackend, provider: Provider, open_pool: Callable[..., Transport]) -> None:
        try:
            asyncio.get_running_loop()  # aiohttp binds a connector to it
        except RuntimeError:
            raise ClientClosedError(
                "no event loop is running; make the first call with a FakeProvider inside async code"
            ) from None
        self._fake_connector = MemoryConnector(backend.make_runner)
        self._fake_session = aiohttp.ClientSession(
            connector=self._fake_connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
        )
        super().__init__(open_pool(session=self._fake_session, proxy=None))
        self._backend = backend
        self._provider = provider
        self._memory = ProviderMemory()

    def for_call(self, request: ChatRequest, *, model: str, stream: bool, base_url: str) -> Transport:
        """The transport for one logical call; the backend can assign its requests to the call."""
        provider = self._provider
        call = FakeRequest(provider.name, model, request, stream)
        choices_made = [0]

        def pending(url: str) -> PendingRequest:
            wire_format = FORMATS_BY_DIALECT[provider.dialect].of_path(urlsplit(url).path)
            header = provider.request_id_header
            return PendingRequest(call, wire_format, base_url, header, self._memory, choices_made)

        return _CallTransport(self._inner, self._backend, pending)

    async def aclose(self) -> None:
        """Closes the transport, its session and the backend's server."""
        await self._inner.aclose()
        await self._fake_session.close()
        await self._fake_connector.stop()


class _CallTransport(TransportWrapper):
    """A transport for the requests of one logical call."""

    def __init__(self, inner: Transport, backend: FakeBackend, pending: Callable[[str], PendingRequest]) -> None:
        super().__init__(inner)
        self._backend = backend
        self._pending = pending

    async def send(
        self, method: str, url: str, headers: RequestHeaders, body: bytes | None, *args: Any, **kwargs: Any
    ) -> Response:
        """Sends one request, with a header by which the backend finds its call."""
        pending = self._pending(url)
        tag = self._backend.expect(pending)
        tagged = RequestHeaders({**headers, TAG: tag})
        try:
            response = await self._inner.send(method, url, tagged, body, *args, **kwargs)
        except APIConnectionError:
            if pending.error is None:
                raise
        else:
            return cast("Response", _FakeResponse(response, pending))
        finally:
            self._backend.forget(tag)
        raise pending.error

    async def pause(self, delay: float) -> None:
        """Does not wait: tests should not take as long as retries do."""
        await self._inner.pause(0)


class _FakeResponse(ResponseWrapper):
    """A response that can end with an error which the test scripted."""

    def __init__(self, inner: Response, pending: PendingRequest) -> None:
        super().__init__(inner)
        self._pending = pending

    async def read(self) -> bytes:
        """The next bytes."""
        try:
            return await self._inner.read()
        except APIConnectionError:
            if self._pending.error is None:
                raise
        raise self._pending.error
