"""Tests of the state that calls to one origin with one key share (retry budget, cooldown), and of refreshed keys."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest

from anycompletion import (
    PROVIDERS,
    APIConnectionError,
    AsyncCompletion,
    AuthenticationError,
    ChatCompletion,
    ClientClosedError,
    CompletionError,
    InternalServerError,
    QuotaExceededError,
    RateLimitError,
    Secret,
)
from anycompletion.calls import EndpointState, RetryBudget, endpoint_state
from anycompletion.testing import Fault, SimulatorServer
from support.raw_server import FIN, REQUEST, RawServer, answer
from support.resource_leaks import client_of


@asynccontextmanager
async def simulated(fault: Any = None, **options: Any) -> AsyncIterator[tuple[SimulatorServer, AsyncCompletion]]:
    async with SimulatorServer(fault=fault) as sim, client_of(sim, **options) as client, asyncio.timeout(30):
        yield sim, client


async def outcome(client: AsyncCompletion, model: str = "openai/m", **options: Any) -> CompletionError | None:
    """The error of one call; None for a reply."""
    return (await client.attempt(model, "Hi.", **options)).error


@pytest.fixture
def no_retry_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry budgets are empty at first."""
    monkeypatch.setattr(endpoint_state, "RetryBudget", functools.partial(RetryBudget, tokens=0.0))


async def cooldown_started(client: AsyncCompletion) -> None:
    """Waits until a provider of the client is in a cooldown."""
    while not any(provider.cooldown for provider in client.stats().providers.values()):
        await asyncio.sleep(0.005)


# --- the retry budget -----------------------------------------------------------------------------------------------


def test_a_budget_allows_one_retry_per_ten_calls() -> None:
    """Retries would multiply the load of an outage."""
    budget = RetryBudget()
    retries = 0
    for _ in range(10_000):
        budget.calls += 1
        retries += budget.spend() + budget.spend()
    assert 1000 <= retries <= 1010


def test_a_budget_is_capped() -> None:
    """After months without errors, a burst of retries would be allowed."""
    budget = RetryBudget()
    for _ in range(100_000):
        budget.calls += 1
    assert sum(budget.spend() for _ in range(1000)) == 100


@pytest.mark.parametrize("stream", [False, True])
async def test_a_retry_that_succeeds_costs_nothing(stream: bool) -> None:
    """A provider with a flaw that each first attempt meets would use up the budget, and then calls would fail."""
    script = [(REQUEST, answer({}, 500, {"retry-after-ms": "5"})), (REQUEST, answer())] * 30
    async with (
        RawServer([step for steps in script for step in steps]) as server,
        AsyncCompletion(base_urls={"openai": server.url}, api_keys={"openai": "sk-unused"}, max_retries=1) as client,
        asyncio.timeout(60),
    ):
        quick = client.with_options(timeout=30)
        for _ in range(12):
            if stream:
                async with quick.stream("openai/m", "Hi.") as chunks:
                    await chunks.get_final_completion()
            else:
                await quick.create("openai/m", "Hi.")
        provider = client.stats().providers["openai"]
    assert provider.retries == 12
    assert provider.retry_budget == pytest.approx(11.2)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_retry_that_fails_costs_its_token(stream: bool) -> None:
    """Retries of replies that break off would be free in an outage."""
    script = [
        (REQUEST, answer({}, 500, {"retry-after-ms": "5"})),
        (REQUEST, answer({}, 500, {"retry-after-ms": "5"})),
        (REQUEST, answer()),
    ]
    async with (
        RawServer([step for steps in script for step in steps]) as server,
        AsyncCompletion(base_urls={"openai": server.url}, api_keys={"openai": "sk-unused"}, max_retries=2) as client,
    ):
        reply = await client.create("openai/m", "Hi.", stream=stream)
        if not isinstance(reply, ChatCompletion):
            await reply.get_final_completion()
        provider = client.stats().providers["openai"]
    assert provider.retry_budget == pytest.approx(10 + 0.1 - 1)


async def test_an_outage_does_not_multiply_the_requests() -> None:
    """A provider that is down would get three times as many requests."""
    async with simulated(Fault.status(500), max_retries=2) as (sim, client):
        quick = client.with_options(timeout=30)
        for _ in range(4):
            errors = await asyncio.gather(*(outcome(quick) for _ in range(50)))
            assert {type(error) for error in errors} == {InternalServerError}
    assert 200 < len(sim.requests) <= 200 * 1.1 + 10


@pytest.mark.usefixtures("no_retry_budget")
async def test_an_error_notes_that_the_budget_did_not_allow_a_retry() -> None:
    """It would be unclear why some errors were retried and others were not."""
    async with simulated(Fault.status(500), max_retries=0) as (_, client):
        assert not hasattr(await outcome(client), "__notes__")
        error = await outcome(client, max_retries=2)
    assert error is not None
    assert error.attempts == 1
    assert error.__notes__ == ["not tried again: too many calls to this provider fail, and retries would make it worse"]


async def test_a_budget_belongs_to_one_key_at_one_origin() -> None:
    """One customer's broken key would use up the retries of all others."""
    async with simulated(Fault.status(500), max_retries=1) as (sim, client):
        await asyncio.gather(*(outcome(client) for _ in range(15)))
        assert client.stats().providers["openai"].retry_budget < 0.6
        sim.requests.clear()
        errors = [await outcome(client, api_key=key) for key in (None, "sk-other-key", "sk-third-key", "sk-other-key")]
    assert [error and error.attempts for error in errors] == [1, 2, 2, 2]
    assert len(sim.requests) == 7


@pytest.mark.usefixtures("no_retry_budget")
async def test_a_connection_that_was_never_made_is_retried_once_without_budget() -> None:
    """A provider's restart would use up the budget, although the provider received no request."""
    async with AsyncCompletion(
        base_urls={"openai": "http://127.0.0.1:9"}, api_keys={"openai": "sk-unused"}, max_retries=1
    ) as client:
        error = await outcome(client)
        assert isinstance(error, APIConnectionError)
        assert (error.attempts, error.phase) == (2, "connect")
        assert await outcome(client, max_retries=5) is not None
        assert client.stats().providers["openai"].retry_budget < 1


async def test_an_attempt_that_may_have_been_billed_is_a_warning_of_the_reply() -> None:
    """A bill for two replies would come as a surprise."""
    async with (
        RawServer((REQUEST, FIN), (REQUEST, answer())) as server,
        AsyncCompletion(base_urls={"openai": server.url}, api_keys={"openai": "sk-unused"}) as client,
    ):
        reply = await client.create("openai/m", "Hi.")
    assert reply.info.attempts == 2
    assert reply.info.warnings == ["attempt 1 got no answer (headers); it may have been billed all the same"]


async def test_only_a_call_that_fails_after_retries_logs_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Failures would go unnoticed, or each temporary error would alert an operator."""
    with caplog.at_level(logging.INFO, "anycompletion"):
        async with simulated([Fault.status(500, times=1), Fault.status(500, skip=1)], max_retries=1) as (_, client):
            assert await outcome(client) is None
            assert caplog.records == []
            assert await outcome(client) is not None
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "openai m: given up after 2 attempts: InternalServerError")
    ]


# --- cooldowns ------------------------------------------------------------------------------------------------------


async def test_one_rate_limit_error_delays_all_calls_to_that_model() -> None:
    """Each call would be refused once before it waits."""
    async with simulated(Fault.status(429, retry_after=0.3, times=1)) as (sim, client):
        first = asyncio.create_task(outcome(client))
        await cooldown_started(client)
        start = time.monotonic()
        assert await asyncio.gather(first, *(outcome(client) for _ in range(5))) == [None] * 6
        assert time.monotonic() - start >= 0.25
        assert len(sim.requests) == 7


@pytest.mark.parametrize("times", [1, 3])
async def test_another_model_is_not_delayed(times: int) -> None:
    """A model that is refused would hold up all others, which have limits of their own."""
    async with simulated(Fault.status(429, retry_after=5, times=times)) as (_, client):
        refused = [asyncio.create_task(outcome(client)) for _ in range(times)]
        await cooldown_started(client)
        while client.stats().providers["openai"].in_flight:
            await asyncio.sleep(0.005)
        start = time.monotonic()
        assert await outcome(client, "openai/small") is None
        assert time.monotonic() - start < 2
        assert client.stats().providers["openai"].cooldown == pytest.approx(5, abs=1)
        for task in refused:
            task.cancel()


async def test_all_models_are_delayed_where_the_limit_is_that_of_the_key() -> None:
    """Calls to other models would be refused once more, and count against the limit."""
    async with SimulatorServer(fault=Fault.status(429, retry_after=0.4, times=1)) as sim:
        row = attrs.evolve(PROVIDERS["openai"], base_url=sim.base_urls["openai"], rate_limit_scope="key")
        async with AsyncCompletion(providers=[row], api_keys={"openai": sim.api_keys["openai"]}) as client:
            first = asyncio.create_task(outcome(client))
            await cooldown_started(client)
            start = time.monotonic()
            assert [await outcome(client, "openai/small"), await first] == [None, None]
            assert time.monotonic() - start >= 0.3
    assert len(sim.requests) == 3


@pytest.mark.parametrize("known", [True, False], ids=["known model", "new model"])
async def test_all_models_are_delayed_by_a_quota_that_is_used_up(known: bool) -> None:
    """Each model would find out by itself that the key's quota is used up."""
    used_up = answer({"error": {"code": "insufficient_quota"}}, 429, {"retry-after-ms": "400"})
    script = [(REQUEST, answer())] * known + [(REQUEST, used_up), (REQUEST, answer())]
    async with (
        RawServer([step for steps in script for step in steps]) as server,
        AsyncCompletion(base_urls={"openai": server.url}, api_keys={"openai": "sk-unused"}) as client,
    ):
        if known:
            assert await outcome(client, "openai/small") is None
        assert isinstance(await outcome(client), QuotaExceededError)
        start = time.monotonic()
        assert await outcome(client, "openai/small") is None
        assert time.monotonic() - start >= 0.3


def test_a_forgotten_model_is_still_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch with many models would use memory without end, or a closed client would leave calls waiting."""
    monkeypatch.setattr(endpoint_state, "_MAX_MODELS", 2)
    endpoint = EndpointState()
    first = endpoint.cooldown_of("first")
    assert endpoint.cooldown_of("first") is first
    for name in ("second", "third", "fourth"):
        endpoint.cooldown_of(name)
    assert first in endpoint.cooldowns
    assert len(endpoint.cooldowns) == 3
    first.start(50, 1000.0, float)
    endpoint.wake()
    assert first.until == 0


async def test_another_key_is_not_delayed() -> None:
    """One customer's rate limit would delay all others."""
    async with simulated(Fault.status(429, retry_after=30, times=1)) as (sim, client):
        assert isinstance(await outcome(client, timeout=5), RateLimitError)
        assert await outcome(client, timeout=5, api_key=Secret(f" {sim.api_keys['openai']}")) is None


@pytest.mark.usefixtures("no_retry_budget")
async def test_a_retry_after_a_cooldown_spends_no_budget() -> None:
    """Waiting as asked would use up the retries that outages need."""
    async with simulated(Fault.status(429, retry_after=0.05, times=1)) as (_, client):
        assert await outcome(client) is None


async def test_a_call_without_time_for_the_cooldown_fails_at_once() -> None:
    """It would wait in vain, or be sent while all others wait."""
    async with simulated(Fault.status(429, retry_after=30, times=1)) as (sim, client):
        refused = await outcome(client, timeout=5)
        assert isinstance(refused, RateLimitError)
        assert (refused.status_code, refused.attempts, refused.retry_after) == (429, 1, 30)
        unsent = await outcome(client, timeout=5)
        assert isinstance(unsent, RateLimitError)
        assert (unsent.status_code, unsent.attempts) == (None, 0)
        assert unsent.retry_after == pytest.approx(31, abs=2)
    assert len(sim.requests) == 1


async def test_closing_the_client_ends_the_wait_for_a_cooldown() -> None:
    """A service could not stop before the cooldown is over."""
    async with simulated(Fault.status(429, retry_after=50)) as (_, client):
        waiting = [asyncio.create_task(outcome(client, timeout=None)) for _ in range(3)]
        await cooldown_started(client)
        await client.aclose()
        assert {type(error) for error in await asyncio.gather(*waiting)} == {ClientClosedError}


class LimitedServer:
    """HTTP server with a limit of requests per window of time; it answers 429 with the end of the window beyond it."""

    def __init__(self, per_window: int, window: float) -> None:
        self._per_window, self._window = per_window, window
        self.requests = 0
        self._answered: dict[int, int] = {}
        self._connections: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                writer.write(self._response())
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            self._connections.discard(writer)

    def _response(self) -> bytes:
        now = time.monotonic()
        self.requests += 1
        window, into = divmod(now, self._window)
        self._answered[int(window)] = number = self._answered.get(int(window), 0) + 1
        if number <= self._per_window:
            return answer()
        wait = int((self._window - into) * 1000) + 1
        return b"HTTP/1.1 429 Slow\r\nretry-after-ms: %d\r\ncontent-length: 2\r\n\r\n{}" % wait


async def test_many_calls_after_a_cooldown_are_sent_at_the_providers_pace() -> None:
    """A thousand delayed calls would all be sent together again and again, until their retries are used up."""
    limited = LimitedServer(per_window=250, window=0.5)
    server = await asyncio.start_server(limited.serve, "127.0.0.1", 0)
    async with server, asyncio.timeout(60):
        port = server.sockets[0].getsockname()[1]
        async with AsyncCompletion(
            base_urls={"openai": f"http://127.0.0.1:{port}"}, api_keys={"openai": "sk-unused"}
        ) as client:
            errors = await asyncio.gather(*(outcome(client) for _ in range(1000)))
    assert errors == [None] * 1000
    # Requests that are in flight at the first 429 are refused too; hardly any after that.
    assert limited.requests <= 1600


# --- keys -----------------------------------------------------------------------------------------------------------


async def test_a_key_function_is_called_again_after_a_401() -> None:
    """An expired token would fail a call that a new token would save."""
    async with simulated() as (sim, client):
        keys = iter(["sk-old-token", sim.api_keys["openai"]])

        async def key() -> str:
            return next(keys)

        assert await outcome(client, api_key=key) is None
    assert len(sim.requests) == 2


async def test_a_key_function_is_called_again_only_once() -> None:
    """A wrong key would be sent until the account is locked."""
    returned: list[str] = []

    async def key() -> str:
        returned.append("sk-wrong-token")
        return returned[-1]

    async with simulated(Fault.status(401)) as (_, client):
        assert isinstance(await outcome(client, api_key=key, max_retries=5), AuthenticationError)
        assert len(returned) == 2
        assert isinstance(await outcome(client, api_key=key, max_retries=0), AuthenticationError)
    assert len(returned) == 3


# --- idempotency keys -----------------------------------------------------------------------------------------------


async def test_all_attempts_of_one_call_have_the_same_idempotency_key() -> None:
    """A provider that recognizes repeated requests would bill each attempt."""
    async with SimulatorServer(fault=Fault.status(500, times=2)) as sim:
        provider = attrs.evolve(
            PROVIDERS["openai"], base_url=sim.base_urls["openai"], idempotency_header="Idempotency-Key"
        )
        async with AsyncCompletion(providers=[provider], api_keys={"openai": sim.api_keys["openai"]}) as client:
            await client.create("openai/m", "Hi.")
            await client.create("openai/m", "Hi.", extra_headers={"idempotency-key": "mine"})
            await client.create("openai/m", "Hi.")
    keys = [request.headers.get("idempotency-key") for request in sim.requests]
    assert keys[0] == keys[1] == keys[2] != keys[4]
    assert keys[3] == "mine"
    assert len(str(keys[0])) == 36


async def test_no_idempotency_key_is_sent_to_a_provider_without_a_header_for_it() -> None:
    """Providers would get a header that they do not know."""
    async with simulated() as (sim, client):
        await client.create("openai/m", "Hi.")
    assert "idempotency-key" not in sim.requests[0].headers
