"""Tests of the state of a client: its start gate, its endpoint states, and `client.stats()`."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from anycompletion import PROVIDERS, AsyncCompletion, ProviderStats, RateLimit
from anycompletion.client import state as state_module
from anycompletion.client.configuration import checked_configuration
from anycompletion.client.state import STARTS_PER_TICK, ClientState, StartGate
from anycompletion.transport import connection_limit
from anycompletion.transport.connection_limit import ConnectionLimit
from support.raw_server import REQUEST, STALL, RawServer, answer

# --- the start gate -------------------------------------------------------------------------------------------------


async def test_many_calls_at_once_do_not_block_the_event_loop() -> None:
    """The rest of the application would stop while thousands of calls are prepared."""
    starts = StartGate()
    started = 0

    async def start() -> None:
        nonlocal started
        if not starts.try_start():
            await starts.wait()
        started += 1

    tasks = [asyncio.create_task(start()) for _ in range(5 * STARTS_PER_TICK)]
    ticks = [0]
    while ticks[-1] < len(tasks):
        await asyncio.sleep(0)
        ticks.append(started)
    await asyncio.wait(tasks)
    assert [late - early for early, late in pairwise(ticks) if late != early] == [STARTS_PER_TICK] * 5


async def test_calls_begin_in_order_and_cancelled_ones_do_not_begin() -> None:
    """A call could starve behind later ones, or wait for one that was cancelled."""
    starts = StartGate()
    order: list[int] = []

    async def one(number: int) -> None:
        if not starts.try_start():
            await starts.wait()
        order.append(number)

    tasks = [asyncio.create_task(one(number)) for number in range(4 * STARTS_PER_TICK)]
    await asyncio.sleep(0)
    assert order == list(range(STARTS_PER_TICK))
    for task in tasks[STARTS_PER_TICK : 3 * STARTS_PER_TICK]:
        task.cancel()
    await asyncio.wait(tasks, timeout=5)
    assert order == [*range(STARTS_PER_TICK), *range(3 * STARTS_PER_TICK, 4 * STARTS_PER_TICK)]
    await asyncio.sleep(0)
    assert starts.try_start()


# --- endpoint states ------------------------------------------------------------------------------------------------


def unused_state() -> ClientState:
    """The state of a client with default configuration."""
    return ClientState(
        checked_configuration(
            providers=(),
            api_keys=None,
            base_urls=None,
            limits=None,
            rate_limiter=None,
            middleware=(),
            session=None,
            proxy=None,
            ssl_context=None,
        )
    )


async def test_calls_with_the_same_key_and_origin_share_an_endpoint_state() -> None:
    """A retry budget or a cooldown would not apply to all calls of one account."""
    state = unused_state()
    provider = state.provider_state(PROVIDERS["openai"])
    url = provider.base_url
    assert state.endpoint_state(provider, url, provider.key) is provider.endpoint
    first, second = (state.endpoint_state(provider, url, key) for key in ("sk-other-key", "sk-third-key"))
    assert state.endpoint_state(provider, url, "sk-other-key") is first
    assert len({first, second, provider.endpoint}) == 3
    assert len(state.endpoints) == 2


async def test_endpoint_states_of_the_oldest_keys_are_dropped() -> None:
    """The memory of a service whose users bring their own keys would grow without limit."""
    state = unused_state()
    provider = state.provider_state(PROVIDERS["openai"])
    for number in range(3000):
        state.endpoint_state(provider, provider.base_url, f"sk-{number}")
    assert len(state.endpoints) == 1000


# --- statistics -----------------------------------------------------------------------------------------------------


def client_to(server: RawServer, **options: object) -> AsyncCompletion:
    return AsyncCompletion(base_urls={"openai": server.url}, api_keys={"openai": "key"}, **options)  # type: ignore[arg-type]


async def test_stats_of_an_unused_client_are_empty() -> None:
    """A health page would fail before the first call."""
    async with AsyncCompletion() as client:
        assert client.stats().to_dict() == {"providers": {}, "routes": {}, "cache": None}
        assert client.stats().summary() == ""


async def test_stats_count_requests_in_flight_and_calls_that_wait_for_limits() -> None:
    """An operator could not tell what a stuck service waits for."""
    limits = {"openai": RateLimit(concurrency=1)}
    async with RawServer((REQUEST, STALL)) as server, client_to(server, limits=limits) as client:
        calls = [asyncio.create_task(client.attempt("openai/m", "Hi.")) for _ in range(3)]
        async with asyncio.timeout(5):
            while not server.requests:
                await asyncio.sleep(0.001)
        stats = client.stats().providers["openai"]
        assert (stats.in_flight, stats.queued, stats.connections, stats.retries) == (1, {"limits": 2}, 1, 0)
        assert client.stats().summary() == "openai: 1 in flight, 1 connection, 2 waiting for limits"
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)
        assert client.stats().providers["openai"].queued == {}


class UnavailableLimiter:
    """Shared limiter that never has anything left."""

    async def acquire(self, key: str, *, requests: int, tokens: int) -> None:
        await asyncio.Event().wait()

    def settle(self, key: str, *, estimated: int, actual: int) -> None:
        pass


async def queued(client: AsyncCompletion, what: str, count: int) -> ProviderStats:
    """The statistics of the only provider, as soon as `count` calls wait for `what`."""
    async with asyncio.timeout(5):
        while True:
            for provider in client.stats().providers.values():
                if provider.queued == {what: count}:
                    return provider
            await asyncio.sleep(0.001)


async def test_stats_count_calls_that_wait_for_a_shared_limiter() -> None:
    """An operator would look for the cause in the provider."""
    async with RawServer() as server, client_to(server, rate_limiter=UnavailableLimiter()) as client:
        calls = [asyncio.create_task(client.attempt("openai/m", "Hi.")) for _ in range(2)]
        provider = await queued(client, "rate_limiter", 2)
        assert (provider.in_flight, provider.connections) == (0, 0)
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)
        assert client.stats().providers["openai"].queued == {}


async def test_stats_count_calls_that_wait_for_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process without file descriptors would look like a slow provider."""
    monkeypatch.setattr(connection_limit, "_MINIMUM", 1)
    monkeypatch.setattr(state_module, "ConnectionLimit", lambda at_most: ConnectionLimit(lambda: 0))
    async with RawServer((REQUEST, STALL)) as server, client_to(server) as client:
        calls = [asyncio.create_task(client.attempt("openai/m", "Hi.")) for _ in range(3)]
        provider = await queued(client, "connection", 2)
        assert (provider.in_flight, provider.connections) == (1, 1)
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)


async def test_stats_count_retries_and_idle_connections() -> None:
    """An unreliable provider would go unnoticed while retries succeed."""
    failed = answer({"error": {"message": "no"}}, 500, {"Retry-After": "0.01"})
    async with RawServer((REQUEST, failed, REQUEST, answer())) as server, client_to(server) as client:
        await client.create("openai/m", "Hi.")
        stats = client.stats()
        provider = stats.providers["openai"]
        assert (provider.in_flight, provider.connections, provider.retries) == (0, 1, 1)
        assert provider.retry_budget == pytest.approx(10.1)
        assert stats.to_dict()["providers"]["openai"]["retries"] == 1


async def test_stats_have_the_cooldown_and_its_waiters() -> None:
    """Calls in a cooldown would look like calls that hang."""
    throttled = answer({"error": {"message": "slow down"}}, 429, {"Retry-After": "30"})
    async with RawServer((REQUEST, throttled)) as server, client_to(server) as client:
        call = asyncio.create_task(client.attempt("openai/m", "Hi."))
        async with asyncio.timeout(5):
            while not (client.stats().providers and client.stats().providers["openai"].queued):
                await asyncio.sleep(0.001)
        provider = client.stats().providers["openai"]
        assert provider.queued == {"cooldown": 1}
        assert provider.cooldown == pytest.approx(31, abs=3)
        call.cancel()
        await asyncio.wait([call])
