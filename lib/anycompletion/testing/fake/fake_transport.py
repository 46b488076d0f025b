"""The transport of a fake provider: the client's own, connected to the fake's backend instead of the network."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import aiohttp

from ... import Provider
from ...errors import APIConnectionError
from ...http import RequestHeaders
from ...records import ChatRequest
from ..formats.registry import FORMATS_BY_DIALECT
from ..formats.wire_format import ProviderMemory
from .backend import TAG, FakeBackend, FakeRequest, PendingRequest
from .memory_connector import MemoryConnector
from .wrappers import ResponseWrapper, TransportWrapper

if TYPE_CHECKING:
    from ...calls import CallPlan
    from ...transport import Pool, Response


class FakeTransportOverride:
    """Connects one provider of a client to a backend."""

    def __init__(self, backend: FakeBackend, provider: Provider) -> None:
        self._backend = backend
        self._provider = provider
        self._memory = ProviderMemory()

    def pool(self, make: Callable[..., Pool]) -> Pool:
        """The client's own transport, with a session that reaches the backend and nothing else."""
        connector = MemoryConnector(self._backend.make_runner)
        session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)
        return cast("Pool", _FakeTransport(make(session=session, proxy=None), session, connector))

    def plan(self, request: ChatRequest, plan: CallPlan) -> CallPlan:
        """The same plan with a transport that sends the requests of this logical call."""
        target = plan.target
        call = FakeRequest(target.provider, target.model, request, target.stream)
        choices_made = [0]

        def pending() -> PendingRequest:
            return PendingRequest(
                call,
                FORMATS_BY_DIALECT[self._provider.dialect],
                target.base_url,
                self._provider.request_id_header,
                self._memory,
                choices_made,
            )

        bound = copy.copy(plan)
        bound.pool = cast("Pool", _CallTransport(plan.pool, self._backend, pending))
        return bound


class _FakeTransport(TransportWrapper):
    """A transport that owns its session."""

    def __init__(self, inner: Pool, session: aiohttp.ClientSession, connector: MemoryConnector) -> None:
        super().__init__(inner)
        self._fake_session = session
        self._fake_connector = connector

    async def aclose(self) -> None:
        """Closes the transport, its session and the backend's server."""
        await self._inner.aclose()
        await self._fake_session.close()
        await self._fake_connector.stop()


class _CallTransport(TransportWrapper):
    """A transport for the requests of one logical call."""

    def __init__(self, inner: Pool, backend: FakeBackend, pending: Callable[[], PendingRequest]) -> None:
        super().__init__(inner)
        self._backend = backend
        self._pending = pending

    async def send(self, method: str, url: str, headers: RequestHeaders, *rest: Any) -> Response:
        """Sends one request."""
        pending = self._pending()
        tag = self._backend.expect(pending)
        try:
            response = await self._inner.send(method, url, RequestHeaders({**headers, TAG: tag}), *rest)
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
