"""What calls to one provider with one key share: the budget of their retries, rests, keys that are asked for again."""

import asyncio
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
    ClientClosedError,
    CompletionError,
    InternalServerError,
    RateLimitError,
    Secret,
)
from anycompletion.calls import RetryBudget
from anycompletion.testing import Fault, SimulatorServer
from support.raw_server import FIN, REQUEST, RawServer, answer
from support.resource_leaks import client_of, state_of


@asynccontextmanager
async def simulated(fault: Any = None, **options: Any) -> AsyncIterator[tuple[SimulatorServer, AsyncCompletion]]:
    async with SimulatorServer(fault=fault) as sim, client_of(sim, **options) as client, asyncio.timeout(30):
        yield sim, client


async def outcome(client: AsyncCompletion, model: str = "openai/m", **options: Any) -> CompletionError | None:
    return (await client.attempt(model, "Hi.", **options)).error


def spend_all(budget: RetryBudget) -> None:
    """Leaves no budget for retries."""
    while budget.spend():
        pass


# --- the budget -----------------------------------------------------------------------------------------------------


def test_a_budget_allows_one_retry_per_ten_calls() -> None:
    """An outage would multiply the load."""
    budget = RetryBudget()
    retries = 0
    for _ in range(10_000):
        budget.calls += 1
        retries += budget.spend() + budget.spend()
    assert 1000 <= retries <= 1010


def test_a_budget_is_capped() -> None:
    """Months without errors would allow a burst of retries."""
    budget = RetryBudget()
    for _ in range(100_000):
        budget.calls += 1
    assert sum(budget.spend() for _ in range(1000)) == 100


async def test_an_outage_is_not_multiplied() -> None:
    """A provider that is down would be sent three times the load."""
    async with simulated(Fault.status(500), max_retries=2) as (sim, client):
        quick = client.with_options(timeout=30)
        for _ in range(4):
            errors = await asyncio.gather(*(outcome(quick) for _ in range(50)))
            assert {type(error) for error in errors} == {InternalServerError}
    assert 200 < len(sim.requests) <= 200 * 1.1 + 10


async def test_an_error_says_that_the_budget_forbade_a_retry() -> None:
    """Nobody would understand why some errors were retried and others were not."""
    async with simulated(Fault.status(500), max_retries=0) as (_, client):
        assert not hasattr(await outcome(client), "__notes__")
        spend_all(state_of(client).provider_state(PROVIDERS["openai"]).endpoint.retry_budget)
        error = await outcome(client, max_retries=2)
    assert error is not None
    assert error.attempts == 1
    assert error.__notes__ == ["not tried again: too many calls to this provider fail, and retries would make it worse"]


async def test_a_budget_belongs_to_one_key_at_one_origin() -> None:
    """One customer's broken key would take the retries of all others."""
    async with simulated(Fault.status(500), max_retries=1) as (sim, client):
        spend_all(state_of(client).provider_state(PROVIDERS["openai"]).endpoint.retry_budget)
        errors = [await outcome(client, api_key=key) for key in (None, "sk-other-key", "sk-third-key", "sk-other-key")]
    assert [error and error.attempts for error in errors] == [1, 2, 2, 2]
    assert len(state_of(client).endpoints) == 2
    assert len(sim.requests) == 7


async def test_keys_that_come_and_go_are_forgotten() -> None:
    """A service whose users bring their own keys would grow until it dies."""
    async with simulated() as (_, client):
        lane = state_of(client).provider_state(PROVIDERS["openai"])
        for number in range(3000):
            state_of(client).endpoint_state(lane, lane.base_url, f"sk-{number}")
        assert len(state_of(client).endpoints) == 1000


async def test_a_connection_that_was_never_made_is_retried_for_nothing_once() -> None:
    """A provider's restart would use up the budget, although it saw none of it."""
    async with AsyncCompletion(
        base_urls={"openai": "http://127.0.0.1:9"}, api_keys={"openai": "sk-nobody"}, max_retries=1
    ) as client:
        road = state_of(client).provider_state(PROVIDERS["openai"]).endpoint
        spend_all(road.retry_budget)
        error = await outcome(client)
        assert isinstance(error, APIConnectionError)
        assert (error.attempts, error.phase) == (2, "connect")
        assert await outcome(client, max_retries=5) is not None
        assert road.retry_budget.tokens < 1


async def test_a_retry_that_may_have_been_billed_is_told() -> None:
    """A bill for two answers would come as a surprise."""
    async with (
        RawServer((REQUEST, FIN), (REQUEST, answer())) as server,
        AsyncCompletion(base_urls={"openai": server.url}, api_keys={"openai": "sk-nobody"}) as client,
    ):
        reply = await client.create("openai/m", "Hi.")
    assert reply.info.attempts == 2
    assert reply.info.warnings == ["attempt 1 got no answer (headers); it may have been billed all the same"]


async def test_giving_up_is_one_warning_and_success_is_none(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody would notice that a provider fails, or every passing fault would wake somebody."""
    with caplog.at_level(logging.INFO, "anycompletion"):
        async with simulated([Fault.status(500, times=1), Fault.status(500, skip=1)], max_retries=1) as (_, client):
            assert await outcome(client) is None
            assert caplog.records == []
            assert await outcome(client) is not None
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "openai m: given up after 2 attempts: InternalServerError")
    ]


# --- rests ----------------------------------------------------------------------------------------------------------


async def test_one_rate_limit_quiets_all_calls_with_that_key() -> None:
    """Every call would be told by itself, and each would wait on its own."""
    async with simulated(Fault.status(429, retry_after=0.3, times=1)) as (sim, client):
        first = asyncio.create_task(outcome(client))
        while (
            not state_of(client).provider_states
            or not state_of(client).provider_states["openai"].endpoint.cooldown.until
        ):
            await asyncio.sleep(0.005)
        start = time.monotonic()
        assert await asyncio.gather(first, *(outcome(client) for _ in range(5))) == [None] * 6
        assert time.monotonic() - start >= 0.25
        assert len(sim.requests) == 7


async def test_another_key_is_another_account() -> None:
    """One customer's rate limit would hold up all others."""
    async with simulated(Fault.status(429, retry_after=30, times=1)) as (sim, client):
        assert isinstance(await outcome(client, timeout=5), RateLimitError)
        assert await outcome(client, timeout=5, api_key=Secret(f" {sim.api_keys['openai']}")) is None


async def test_a_rest_draws_nothing_from_the_budget() -> None:
    """Being polite would cost the retries that real faults need."""
    async with simulated(Fault.status(429, retry_after=0.05, times=1)) as (_, client):
        road = state_of(client).provider_state(PROVIDERS["openai"]).endpoint
        spend_all(road.retry_budget)
        assert await outcome(client) is None


async def test_a_call_without_time_for_the_rest_is_told_at_once() -> None:
    """It would wait for nothing, or be sent while all others wait."""
    async with simulated(Fault.status(429, retry_after=30, times=1)) as (sim, client):
        told = await outcome(client, timeout=5)
        assert isinstance(told, RateLimitError)
        assert (told.status_code, told.attempts, told.retry_after) == (429, 1, 30)
        unsent = await outcome(client, timeout=5)
        assert isinstance(unsent, RateLimitError)
        assert (unsent.status_code, unsent.attempts) == (None, 0)
        assert unsent.retry_after == pytest.approx(31, abs=2)
    assert len(sim.requests) == 1


async def test_closing_the_client_ends_a_rest() -> None:
    """A service could not stop for a minute."""
    async with simulated(Fault.status(429, retry_after=50)) as (_, client):
        waiting = [asyncio.create_task(outcome(client, timeout=None)) for _ in range(3)]
        while (
            not state_of(client).provider_states
            or not state_of(client).provider_states["openai"].endpoint.cooldown.until
        ):
            await asyncio.sleep(0.005)
        await client.aclose()
        assert {type(error) for error in await asyncio.gather(*waiting)} == {ClientClosedError}


class Limited:
    """A server that answers so many requests per window, and the others with 429 and when the window ends."""

    def __init__(self, per_window: int, window: float) -> None:
        self._per_window, self._window = per_window, window
        self.asked: list[float] = []
        self._answered: dict[int, int] = {}
        self._connections: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                writer.write(self._say())
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            self._connections.discard(writer)

    def _say(self) -> bytes:
        now = time.monotonic()
        self.asked.append(now)
        window, into = divmod(now, self._window)
        self._answered[int(window)] = number = self._answered.get(int(window), 0) + 1
        if number <= self._per_window:
            return answer()
        wait = int((self._window - into) * 1000) + 1
        return b"HTTP/1.1 429 Slow\r\nretry-after-ms: %d\r\ncontent-length: 2\r\n\r\n{}" % wait


async def test_a_storm_of_calls_is_brought_home_at_the_providers_pace() -> None:
    """A thousand calls that were told to wait would come back as a thousand, again and again, until they give up."""
    limited = Limited(per_window=250, window=0.5)
    server = await asyncio.start_server(limited.serve, "127.0.0.1", 0)
    async with server, asyncio.timeout(60):
        port = server.sockets[0].getsockname()[1]
        async with AsyncCompletion(
            base_urls={"openai": f"http://127.0.0.1:{port}"}, api_keys={"openai": "sk-nobody"}
        ) as client:
            errors = await asyncio.gather(*(outcome(client) for _ in range(1000)))
    assert errors == [None] * 1000
    # What is on its way when the first 429 comes is told to wait; hardly anything after it.
    assert len(limited.asked) <= 1600


# --- keys -----------------------------------------------------------------------------------------------------------


async def test_a_key_function_is_asked_again_after_a_refusal() -> None:
    """A token that grew old under way would fail a call that a new one would save."""
    async with simulated() as (sim, client):
        keys = iter(["sk-old-token", sim.api_keys["openai"]])

        async def key() -> str:
            return next(keys)

        assert await outcome(client, api_key=key) is None
    assert len(sim.requests) == 2


async def test_a_key_function_is_asked_again_once_only() -> None:
    """A wrong password would be tried until the account is locked."""
    asked: list[str] = []

    async def key() -> str:
        asked.append("sk-wrong-token")
        return asked[-1]

    async with simulated(Fault.status(401)) as (_, client):
        assert isinstance(await outcome(client, api_key=key, max_retries=5), AuthenticationError)
        assert len(asked) == 2
        assert isinstance(await outcome(client, api_key=key, max_retries=0), AuthenticationError)
    assert len(asked) == 3


# --- the same call again --------------------------------------------------------------------------------------------


async def test_all_attempts_of_one_call_carry_one_idempotency_key() -> None:
    """A provider that could tell a second try from a second call would bill both."""
    async with SimulatorServer(fault=Fault.status(500, times=2)) as sim:
        row = attrs.evolve(PROVIDERS["openai"], base_url=sim.base_urls["openai"], idempotency_header="Idempotency-Key")
        async with AsyncCompletion(providers=[row], api_keys={"openai": sim.api_keys["openai"]}) as client:
            await client.create("openai/m", "Hi.")
            await client.create("openai/m", "Hi.", extra_headers={"idempotency-key": "mine"})
            await client.create("openai/m", "Hi.")
    keys = [request.headers.get("idempotency-key") for request in sim.requests]
    assert keys[0] == keys[1] == keys[2] != keys[4]
    assert keys[3] == "mine"
    assert len(str(keys[0])) == 36


async def test_no_idempotency_key_where_none_is_known() -> None:
    """Providers would be sent a header they do not know."""
    async with simulated() as (sim, client):
        await client.create("openai/m", "Hi.")
    assert "idempotency-key" not in sim.requests[0].headers
