"""What a client and its views share: configuration, provider states, tasks, and the event loop that they belong to."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from .._async import WaiterQueue
from ..auth import environment_credentials
from ..calls import USER_AGENT, EndpointState, KeySource, ProviderState
from ..errors import ClientClosedError, ConfigurationError
from ..options import BearerToken, EnvKey, Secret
from ..providers import DIALECTS, Provider, api_base_url, fill_placeholders, origin, variables_of, with_sources
from ..redaction import MaskedValue
from ..transport import Pool
from ..transport.connection_limit import ConnectionLimit, session_limit

if TYPE_CHECKING:
    import anyio

    from ..options import Key
    from ..ratelimit.adaptive_concurrency import AdaptiveConcurrency
    from ..ratelimit.client_limits import ClientLimits
    from ..records import ChatCompletion
    from ..records.chunks import ChatCompletionChunk
    from ..tools.run_client import OpenRun
    from ..transport import Transport
    from .client_routes import ClientRoutes
    from .configuration import ClientConfiguration

_MAX_ENDPOINTS = 1000
"""Endpoint states that a client keeps: a service may get a new key with every user of its own."""

CANCEL_GRACE = 1.0
"""Seconds that closing waits for the requests which cancel work at providers."""

STARTS_PER_TICK = 64
"""Calls that begin in one iteration of the event loop. Each takes a tenth of a millisecond, and thousands at once would
block everything else for as long as all of them take."""


class StartGate:
    """Lets at most `STARTS_PER_TICK` calls begin in one iteration of the event loop, and others later, in order."""

    __slots__ = ("_left", "_waiters")

    def __init__(self) -> None:
        self._left = STARTS_PER_TICK
        self._waiters: WaiterQueue[None] = WaiterQueue()

    def try_start(self) -> bool:
        """Whether the caller may begin in this iteration."""
        # No waiting call is overtaken: they are woken first, so that none waits while something is left.
        if not self._left:
            return False
        self._left -= 1
        if not self._left:
            self._refill_soon()
        return True

    async def wait(self) -> None:
        """Waits for an iteration in which the caller may begin."""
        await self._waiters.wait(self._waiters.enqueue())

    def _refill_soon(self) -> None:
        # Only when nothing is left, and not in each iteration: a single call would pay for it.
        asyncio.get_running_loop().call_soon(self._refill)

    def _refill(self) -> None:
        self._left = STARTS_PER_TICK
        while self._left and self._waiters.wake_first():
            self._left -= 1
        if not self._left:
            self._refill_soon()


def _accumulated(chunks: Iterable[ChatCompletionChunk]) -> ChatCompletion:
    from ..streaming.accumulator import accumulated  # noqa: PLC0415 (few plain calls are answered by a stream)

    return accumulated(chunks)


class ClientState:
    """What a client and its views share."""

    def __init__(self, config: ClientConfiguration) -> None:
        self.config = config
        self.providers, self._sources = with_sources(config.providers)
        self.provider_states: dict[str, ProviderState] = {}
        self.limits = _client_limits(config)
        self.closed = False
        self.endpoints: dict[tuple[str, KeySource], EndpointState] = {}
        """Endpoints of calls with a key or base URL of their own: `_MAX_ENDPOINTS`, least recently used first."""
        self.live_endpoints: WeakSet[EndpointState] = WeakSet()
        """The same without a limit, for as long as a call uses them: closing wakes those that wait."""
        self._adaptive: dict[str, WeakSet[AdaptiveConcurrency]] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.remaining_tasks: set[asyncio.Task[None]] = set()
        self.tool_runs: WeakSet[OpenRun] = WeakSet()
        """Runs whose tools may be running; closing closes them."""
        self.tool_threads: anyio.CapacityLimiter | None = None
        """The limit of the threads of sync tools; None before the first tool run."""
        self._start_gate = StartGate()
        self._routes: ClientRoutes | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0

    # --- whether the client can be used ---

    def check_alive(self, *, needs_loop: bool = True) -> None:
        """Raises unless the client can be used here and now; the first use binds it to the running event loop.

        Args:
            needs_loop: False for what is only made now, and used later under an event loop.

        Raises:
            ClientClosedError: this client cannot be used; the text names the fix.
        """
        if self.closed:
            raise ClientClosedError(
                "this client was closed; make calls inside `async with AsyncCompletion() as client:`, or a new client"
            )
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        if loop is None:
            if not needs_loop:
                return
            raise ClientClosedError("no event loop is running; use the client inside `async def`, under asyncio.run()")
        if self._loop is None:
            self._loop, self._pid = loop, os.getpid()
        elif self._pid != os.getpid():
            self._detach_after_fork()
            raise ClientClosedError("this process was forked; make a new AsyncCompletion in the child")
        elif self._loop is not loop:
            raise ClientClosedError(
                "this client belongs to another event loop; make one AsyncCompletion per loop, inside it"
            )

    async def start_call(self) -> float:
        """Passes the start gate; returns when the call began, on the loop's clock.

        Raises:
            ClientClosedError: this client cannot be used.
        """
        self.check_alive()
        started = asyncio.get_running_loop().time()
        if not self._start_gate.try_start():
            await self._start_gate.wait()
            self.check_alive()
        return started

    # --- providers ---

    def provider_state(self, provider: Provider) -> ProviderState:
        """The provider's state, made at first use: this is when the environment is read."""
        state = self.provider_states.get(provider.name)
        if state is None:
            state = self.provider_states[provider.name] = self._open(provider)
        return state

    def _open(self, provider: Provider) -> ProviderState:
        config, name = self.config, provider.name
        url, variable = config.base_urls.get(name), None
        if not url:
            variable = _name_of_first_set(provider.base_url_env)
            url = None if variable is None else os.environ[variable]
        api_key_url = "" if url else provider.api_key_base_url
        try:
            url = url or fill_placeholders(provider, os.environ)
        except ConfigurationError:
            url = ""  # calls may have a base URL of their own; planning reports it for all others
        headers = {"User-Agent": USER_AGENT, **masked(provider.headers)}
        for header, variables in provider.headers_env.items():
            value = _value_of_first_set(variables)
            if value is not None:
                headers[header] = MaskedValue(value)
        return ProviderState(
            provider,
            DIALECTS[provider.dialect],
            self._open_transport(provider),
            base_url=url and api_base_url(provider, url, variable or f"base_urls[{name!r}]"),
            api_key_base_url=api_key_url,
            api_version=provider.api_version or _value_of_first_set(provider.api_version_env),
            key=self._key(provider),
            key_source_note=_key_source_note(provider, config.api_keys.get(name)),
            headers=headers,
            region=_value_of_first_set(variables_of(provider.placeholders.get("region", ()))),
            start_call=self.start_call,
            track_cancel_request=self.track_remaining_task,
            accumulate=_accumulated,
        )

    def _open_transport(self, provider: Provider) -> Transport:
        """The provider's transport: each source that has a `transport` method wraps what opens the one before it."""
        open_transport: Callable[..., Transport] = self._open_pool
        for source in self._sources.get(provider.name, ()):
            wrap = getattr(source, "transport", None)
            if wrap is not None:
                open_transport = functools.partial(wrap, provider, open_transport)
        return open_transport()

    def _open_pool(self, **overrides: Any) -> Pool:
        config = self.config
        own: dict[str, Any] = {"session": config.session, "proxy": config.proxy, "ssl_context": config.ssl_context}
        arguments = own | overrides
        return Pool(ConnectionLimit(at_most=session_limit(arguments["session"])), **arguments)

    def _key(self, provider: Provider) -> KeySource:
        key = self.config.api_keys.get(provider.name)
        if isinstance(key, EnvKey):
            value = os.environ.get(key.name)
            return None if not value else Secret(value)
        if key is not None:
            return key
        token = _value_of_first_set(provider.token_env)
        if token is not None:
            return BearerToken(token)
        found = _value_of_first_set(provider.key_env)
        return environment_credentials(provider.auth, os.environ) if found is None else Secret(found)

    def endpoint_state(self, state: ProviderState, base_url: str, key: KeySource) -> EndpointState:
        """The state that calls to this origin with this key share."""
        if key is state.key and base_url == state.base_url_for(key):
            return state.endpoint
        where = (origin(base_url), key)
        endpoint = self.endpoints.pop(where) if where in self.endpoints else EndpointState()
        self.endpoints[where] = endpoint
        self.live_endpoints.add(endpoint)
        state.other_endpoints.add(endpoint)
        if len(self.endpoints) > _MAX_ENDPOINTS:
            del self.endpoints[next(iter(self.endpoints))]
        return endpoint

    def client_routes(self) -> ClientRoutes:
        """The routes, with the health of their targets; made at the first use of routes or fallbacks.

        Raises:
            ConfigurationError: a route contains itself, or a target's provider is unknown.
        """
        if self._routes is None:
            from .client_routes import ClientRoutes  # noqa: PLC0415 (few programs have routes)

            self._routes = ClientRoutes(self.config.routes, self.providers, self.config.route_health)
        return self._routes

    def adaptive_limit(self, name: str) -> int | None:
        """Requests in flight that the running batches allow themselves at a provider; None where none adapts."""
        limits = [limit.limit for limit in self._adaptive.get(name, ())]
        return sum(limits) if limits else None

    def track_concurrency(self, name: str, limit: AdaptiveConcurrency) -> None:
        """Has `stats()` show a batch's limit for as long as the batch holds it."""
        self._adaptive.setdefault(name, WeakSet()).add(limit)

    # --- tasks ---

    def track_task(self, task: asyncio.Task[None]) -> None:
        """Keeps a strong reference to a task until it is done (the event loop has weak ones); closing cancels it."""
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def track_remaining_task(self, task: asyncio.Task[None]) -> None:
        """The same for a task that outlives its call; closing lets it finish, for a moment."""
        self.remaining_tasks.add(task)
        task.add_done_callback(self.remaining_tasks.discard)

    def finish_in_background(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Runs a coroutine that belongs to no call any more; closing lets it finish, for a moment."""
        self.track_remaining_task(asyncio.get_running_loop().create_task(coroutine))

    # --- closing ---

    async def aclose(self) -> None:
        """Closes everything; idempotent.

        Raises:
            ClientClosedError: the client belongs to another event loop that is running.
        """
        is_foreign = self._loop is not None and self._loop is not asyncio.get_running_loop() and self._loop.is_running()
        if is_foreign and self._pid == os.getpid():
            raise ClientClosedError("this client belongs to another event loop; close it there")
        self.closed = True
        if self._pid not in (0, os.getpid()):
            self._detach_after_fork()
            return
        # The stack runs from its last entry to its first. A cancellation ends one wait, and the rest still runs.
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._wait_for_tasks)
            for state in self.provider_states.values():
                stack.push_async_callback(state.transport.aclose)
            stack.callback(self._wake_all)
            if self.remaining_tasks:
                await asyncio.wait(self.remaining_tasks, timeout=CANCEL_GRACE)

    def _detach_after_fork(self) -> None:
        """After a fork, connections and tasks belong to the parent."""
        for state in self.provider_states.values():
            state.transport.detach_after_fork()

    def _wake_all(self) -> None:
        """Wakes all waiters at once; they find the client closed."""
        for state in self.provider_states.values():
            state.transport.close_now()
            state.endpoint.wake()
        if self.limits is not None:
            self.limits.wake()
        for endpoint in self.live_endpoints:
            endpoint.wake()
        for task in self.tasks:
            task.cancel()
        for run in [*self.tool_runs]:
            run.close()

    async def _wait_for_tasks(self) -> None:
        if self.tasks:
            await asyncio.wait(self.tasks)
        for run in [*self.tool_runs]:
            await run.aclose()


def _client_limits(config: ClientConfiguration) -> ClientLimits | None:
    if not config.limits and config.rate_limiter is None:
        return None
    from ..ratelimit.client_limits import ClientLimits  # noqa: PLC0415 (1 ms, for clients with limits only)

    return ClientLimits(config.limits, config.rate_limiter)


def environment_key(key: EnvKey, provider: str) -> Secret:
    """The value of the variable.

    Raises:
        ConfigurationError: it is not set.
    """
    value = os.environ.get(key.name)
    if not value:
        raise ConfigurationError(f"no API key for {provider}: set {key.name}", provider=provider)
    return Secret(value)


def _key_source_note(provider: Provider, given: Key | None) -> str:
    """Clause for errors: the variable that the key is from, and those that were looked for; "" where none is set."""
    if given is not None:
        return f"the key is from {given.name}" if isinstance(given, EnvKey) else ""
    names = (*provider.token_env, *provider.key_env)
    found = _name_of_first_set(names)
    if found is None:
        credentials = environment_credentials(provider.auth, os.environ)
        return f"the credentials are from {provider.auth.credentials_env[0]}" if credentials else ""
    return f"the key is from {found}" + (f"; looked for in {', '.join(names)}" if len(names) > 1 else "")


def _name_of_first_set(names: Iterable[str]) -> str | None:
    """The first of these environment variables that is set and not empty."""
    return next((name for name in names if os.environ.get(name)), None)


def _value_of_first_set(names: Iterable[str]) -> str | None:
    """The value of the first of these environment variables that is set and not empty, stripped."""
    found = _name_of_first_set(names)
    return None if found is None else os.environ[found].strip()


def masked(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers whose values are hidden in reprs: callers put tokens into them."""
    return {name: MaskedValue(value) for name, value in headers.items()}
