"""What stands between a client and the desk of a fake provider; passes everything on but the network."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import aiohttp

from ... import Provider
from ...errors import APIConnectionError
from ...http import RequestHeaders
from ...records import ChatRequest
from ..formats.registry import LANGUAGES
from ..formats.wire_format import Memory
from .backend import TAG, Ask, Desk, FakeRequest
from .memory_connector import MemoryConnector
from .wrappers import TappedExchange, TappedPool

if TYPE_CHECKING:
    from ...calls import CallPlan
    from ...transport import Pool, Response


class FakeStandIn:
    """The desk behind one row."""

    def __init__(self, desk: Desk, row: Provider) -> None:
        self._desk = desk
        self._row = row
        self._memory = Memory()

    def pool(self, make: Callable[..., Pool]) -> Pool:
        """The client's own pool, with a session that reaches the desk and nothing else."""
        connector = MemoryConnector(self._desk.make_runner)
        session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)
        return cast("Pool", _FakePool(make(session=session, proxy=None), session, connector))

    def plan(self, request: ChatRequest, plan: CallPlan) -> CallPlan:
        """The same plan with connections that know which call they are used for."""
        target = plan.target
        logical = FakeRequest(target.provider, target.model, request, target.stream)
        answered = [0]

        def ask() -> Ask:
            return Ask(
                logical,
                LANGUAGES[self._row.dialect],
                target.base_url,
                self._row.request_id_header,
                self._memory,
                answered,
            )

        bound = copy.copy(plan)
        bound.pool = cast("Pool", _BoundPool(plan.pool, self._desk, ask))
        return bound


class _FakePool(TappedPool):
    """A pool with a session of its own."""

    def __init__(self, inner: Pool, session: aiohttp.ClientSession, connector: MemoryConnector) -> None:
        super().__init__(inner)
        self._session_of_fake = session
        self._memory_connector = connector

    async def aclose(self) -> None:
        """Closes all of it."""
        await self._inner.aclose()
        await self._session_of_fake.close()
        await self._memory_connector.stop()


class _BoundPool(TappedPool):
    """A pool that says of each request which logical call it belongs to."""

    def __init__(self, inner: Pool, desk: Desk, ask: Callable[[], Ask]) -> None:
        super().__init__(inner)
        self._desk = desk
        self._ask = ask

    async def send(self, method: str, url: str, headers: RequestHeaders, *rest: Any) -> Response:
        """Sends one request."""
        ask = self._ask()
        tag = self._desk.expect(ask)
        try:
            exchange = await self._inner.send(method, url, RequestHeaders({**headers, TAG: tag}), *rest)
        except APIConnectionError:
            if ask.raising is None:
                raise
        else:
            return cast("Response", _FakeExchange(exchange, ask))
        finally:
            self._desk.forget(tag)
        raise ask.raising

    async def pause(self, delay: float) -> None:
        """Tests do not wait."""
        await self._inner.pause(0)


class _FakeExchange(TappedExchange):
    """An answer that may end with an error that the test asked for."""

    def __init__(self, inner: Response, ask: Ask) -> None:
        super().__init__(inner)
        self._ask = ask

    async def read(self) -> bytes:
        """The next bytes."""
        try:
            return await self._inner.read()
        except APIConnectionError:
            if self._ask.raising is None:
                raise
        raise self._ask.raising
