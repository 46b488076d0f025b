"""What a client and its views share: configuration, lanes to providers, tasks, and the loop they belong to."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from ..calls import USER_AGENT, DialectCache, EndpointState, KeySource
from ..dialects.base import Dialect
from ..errors import ClientClosedError
from ..options import BearerToken, Secret
from ..params import ParamSupport
from ..providers import DIALECTS, Provider, all_providers, check_base_url, origin
from ..redaction import MaskedValue
from ..transport import Pool, StartGate
from ..transport.connection_limit import ConnectionLimit

if TYPE_CHECKING:
    from ..ratelimit.client_limits import ClientLimits


class ProviderState:
    """What calls to one provider share: prepared once, at the first call."""

    __slots__ = (
        "api_version",
        "base_url",
        "cache",
        "dialect",
        "endpoint",
        "headers",
        "key",
        "key_source",
        "param_support",
        "pool",
        "provider",
    )

    def __init__(
        self,
        row: Provider,
        base_url: str,
        api_version: str | None,
        key: KeySource,
        key_source: str,
        pool: Pool,
        headers: Mapping[str, str],
    ) -> None:
        self.provider = row
        self.dialect: Dialect = DIALECTS[row.dialect]
        self.base_url = base_url
        self.api_version = api_version
        self.key: KeySource = key
        self.key_source = key_source
        self.pool = pool
        self.headers = headers
        self.param_support = {name: cell for name, cell in row.table.items() if cell != _PLAIN}
        """The cells that say more than «native»."""
        self.cache = DialectCache()
        self.endpoint = EndpointState()
        """Of the calls that go where the lane leads, with its key."""


class ClientState:
    """What a client and its views share: configuration, pools, tasks, and the loop they belong to."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.providers = all_providers(config["providers"])
        self.provider_states: dict[str, ProviderState] = {}
        self.endpoints: dict[tuple[str, KeySource], EndpointState] = {}
        """Of calls with keys or base URLs of their own, the last used last."""
        self.live_endpoints: WeakSet[EndpointState] = WeakSet()
        """Of these, all that some call still goes."""
        self.tasks: set[asyncio.Task[None]] = set()
        self.cancel_requests: set[asyncio.Task[None]] = set()
        """Tasks that tell a provider that nobody waits any more."""
        self.start_gate = StartGate()
        self.limits = _limits(config)
        self.loop: asyncio.AbstractEventLoop | None = None
        self.pid = 0
        self.closed = False

    def check_alive(self) -> None:
        """Raises `ClientClosedError` where this client cannot be used, naming the fix."""
        if self.closed:
            raise ClientClosedError(
                "this client was closed; make calls inside `async with AsyncCompletion() as client:`, or a new client"
            )
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        if loop is None:
            raise ClientClosedError("no event loop is running; use the client inside `async def`, under asyncio.run()")
        if self.loop is None:
            self.loop, self.pid = loop, os.getpid()
        elif self.pid != os.getpid():
            for lane in self.provider_states.values():
                lane.pool.detach_after_fork()
            raise ClientClosedError("this process was forked; make a new AsyncCompletion in the child")
        elif self.loop is not loop:
            raise ClientClosedError(
                "this client belongs to another event loop; make one AsyncCompletion per loop, inside it"
            )

    def try_start(self) -> bool:
        """Whether a call may be prepared in this turn of the event loop.

        Raises:
            ClientClosedError: this client cannot be used.
        """
        self.check_alive()
        return self.start_gate.try_start()

    async def wait_to_start(self) -> float:
        """Waits for a turn in which it may; since when, on the loop's clock: its total runs meanwhile.

        Thousands of calls are often made in one turn. Reading them all at once would keep everything else waiting, and
        have Python's garbage collector walk over what they make, time and again.
        """
        began = asyncio.get_running_loop().time()
        await self.start_gate.wait()
        self.check_alive()
        return began

    def provider_state(self, row: Provider) -> ProviderState:
        """The provider's lane, prepared at first use: this is when the environment is read."""
        lane = self.provider_states.get(row.name)
        if lane is None:
            lane = self.provider_states[row.name] = self._prepare(row)
        return lane

    def _prepare(self, row: Provider) -> ProviderState:
        given = self.config["base_urls"].get(row.name)
        url = given or _first_env(row.base_url_env) or row.base_url
        headers = {"User-Agent": USER_AGENT, **masked(row.headers)}
        for name, variables in row.headers_env.items():
            value = _first_env(variables)
            if value is not None:
                headers[name] = MaskedValue(value)
        return ProviderState(
            row,
            url and check_base_url(url, allow_http=row.allow_http, param=f"base_urls[{row.name!r}]"),
            row.api_version or _first_env(row.api_version_env),
            self._key(row),
            "" if row.name in self.config["api_keys"] else _key_source(row),
            self._pool(row),
            headers,
        )

    def _pool(self, row: Provider) -> Pool:
        own = {name: self.config[name] for name in ("session", "proxy", "ssl_context")}

        def make(**others: Any) -> Pool:
            return Pool(ConnectionLimit(), **{**own, **others})

        return make() if row.transport is None else row.transport.pool(make)

    def _key(self, row: Provider) -> KeySource:
        key: KeySource = self.config["api_keys"].get(row.name)
        if key is not None:
            return key
        token = _first_env(row.token_env)
        if token is not None:
            return BearerToken(token)
        found = _first_env(row.key_env)
        return None if found is None else Secret(found)

    def endpoint_state(self, lane: ProviderState, base_url: str, key: KeySource) -> EndpointState:
        """What this call shares with others: those that go to the same origin with the same key."""
        if key is lane.key and base_url == lane.base_url:
            return lane.endpoint
        where = (origin(base_url), key)
        road = self.endpoints.pop(where) if where in self.endpoints else EndpointState()
        self.endpoints[where] = road
        self.live_endpoints.add(road)
        if len(self.endpoints) > _MAX_ENDPOINTS:
            # A service may see a new key with every user of its own.
            del self.endpoints[next(iter(self.endpoints))]
        return road

    def track_task(self, task: asyncio.Task[None]) -> None:
        """Holds a task until it is done; the loop itself holds tasks only weakly."""
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def track_cancel_request(self, task: asyncio.Task[None]) -> None:
        """Holds a task that `aclose` lets finish."""
        self.cancel_requests.add(task)
        task.add_done_callback(self.cancel_requests.discard)

    async def aclose(self) -> None:
        """Closes everything; idempotent."""
        elsewhere = self.loop is not None and self.loop is not asyncio.get_running_loop() and self.loop.is_running()
        if elsewhere and self.pid == os.getpid():
            raise ClientClosedError("this client belongs to another event loop; close it there")
        self.closed = True
        if self.pid not in (0, os.getpid()):
            # After a fork, connections and tasks are the parent's.
            for lane in self.provider_states.values():
                lane.pool.detach_after_fork()
            return
        # A cancel ends one of these waits; what comes after it is done all the same.
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._tasks_ended)
            for lane in self.provider_states.values():
                stack.push_async_callback(lane.pool.aclose)
            stack.callback(self._wake_all)
            if self.cancel_requests:
                await asyncio.wait(self.cancel_requests, timeout=CANCEL_GRACE)

    def _wake_all(self) -> None:
        """Wakes everybody who waits, at once."""
        for lane in self.provider_states.values():
            lane.pool.close_now()
            lane.endpoint.cooldown.wake()
        if self.limits is not None:
            self.limits.wake()
        for road in self.live_endpoints:
            road.cooldown.wake()
        for task in self.tasks:
            task.cancel()

    async def _tasks_ended(self) -> None:
        if self.tasks:
            await asyncio.wait(self.tasks)


def _limits(config: dict[str, Any]) -> ClientLimits | None:
    own, shared = config["limits"], config["rate_limiter"]
    if not own and shared is None:
        return None
    from ..ratelimit.client_limits import ClientLimits  # noqa: PLC0415 (it would cost each import 1 ms, and few have limits)

    return ClientLimits(own, shared)


_MAX_ENDPOINTS = 1000

CANCEL_GRACE = 1.0
"""Seconds that closing waits for providers to learn that nobody waits for them."""

_PLAIN = ParamSupport("native")


def _key_source(row: Provider) -> str:
    """Where a row's key was found, and where else it was looked for, in order."""
    names = (*row.token_env, *row.key_env)
    found = next((name for name in names if os.environ.get(name)), None)
    return f"the key is from {found}; looked for in {', '.join(names)}" if found else ""


def _first_env(names: Iterable[str]) -> str | None:
    return next((value for name in names if (value := os.environ.get(name))), None)


def masked(headers: Mapping[str, str]) -> dict[str, str]:
    """Callers put tokens into headers; their reprs hide them as they hide our own."""
    return {name: MaskedValue(value) for name, value in headers.items()}
