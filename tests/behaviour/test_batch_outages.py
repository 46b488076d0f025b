"""Batches whose provider is away or refuses requests for a while, in virtual time and without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from anycompletion import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    AsyncCompletion,
    AuthenticationError,
    ChatCompletion,
    ChatRequest,
    ConfigurationError,
    InternalServerError,
    OverloadedError,
    QuotaExceededError,
    RateLimit,
    RateLimitError,
    Result,
    ServiceUnavailableError,
)
from anycompletion.batch import BatchProgress
from anycompletion.batch.journal import State
from anycompletion.batch.journal.lines import state_of
from anycompletion.testing import FakeProvider
from support.batches import Complete, OnLoadRefusal, batch, make_request, reply
from support.virtual_clock import run

ANSWER_TIME = 0.1
"""Seconds that a reply takes."""


class Outage:
    """Provider that is away from `begin` to `end`, in seconds since the first request."""

    def __init__(self, begin: float, end: float, error: Callable[[], APIError]) -> None:
        self.begin, self.end, self.error = begin, end, error
        self.first: float | None = None
        self.sent = 0
        self.sent_while_away = 0

    async def __call__(self, request: ChatRequest, on_load_refusal: OnLoadRefusal) -> ChatCompletion:
        now = asyncio.get_running_loop().time()
        self.first = now if self.first is None else self.first
        self.sent += 1
        if self.begin <= now - self.first < self.end:
            self.sent_while_away += 1
            await asyncio.sleep(0)  # no request fails before it is sent, as it could with eager tasks
            raise self.error()
        await asyncio.sleep(ANSWER_TIME)
        return reply("yes")


def failed(items: int, provider: Complete, **options: Any) -> int:
    """The number of items that end with an error."""

    async def main() -> int:
        async with batch(map(make_request, range(items)), provider, **options) as results:
            return len([result async for result in results if result.error is not None])

    return run(main())


ERRORS: dict[str, Callable[[], APIError]] = {
    "connection": lambda: APIConnectionError("reset", attempts=3),
    "timeout": lambda: APITimeoutError("no answer", attempts=1),
    "500": lambda: InternalServerError("broken", status_code=500, attempts=3),
    "503": lambda: ServiceUnavailableError("away", status_code=503, attempts=3),
    "529": lambda: OverloadedError("overloaded", status_code=529, attempts=3),
    "429": lambda: RateLimitError("slow down", status_code=429, attempts=3),
    "429 with a hint": lambda: RateLimitError("slow down", status_code=429, attempts=3, retry_after=1),
}
"""Name → error of a request to a provider that is away."""


@pytest.mark.parametrize("concurrency", [None, 64])
@pytest.mark.parametrize("error", ERRORS)
def test_a_short_outage_costs_a_few_items(error: str, concurrency: int | None) -> None:
    """Two seconds without a provider would end most items of a batch with errors."""
    provider = Outage(1.0, 3.0, ERRORS[error])
    assert failed(3000, provider, concurrency=concurrency) <= 8
    assert provider.sent_while_away <= 600


def test_a_long_outage_is_probed_less_and_less() -> None:
    """A provider that is away would get thousands of requests, or be asked too rarely to notice its return."""
    provider = Outage(1.0, 301.0, ERRORS["503"])
    assert failed(1000, provider, concurrency=16) <= 8
    assert provider.sent_while_away <= 40


def test_an_outage_without_end_ends_the_batch() -> None:
    """A batch whose provider never comes back would never end."""
    provider = Outage(1.0, float("inf"), ERRORS["connection"])
    assert failed(1000, provider, concurrency=16) > 800


def test_a_provider_that_never_answered_is_not_waited_for() -> None:
    """A wrong base URL would be reported after ten minutes."""

    async def main() -> float:
        begun = asyncio.get_running_loop().time()
        provider = Outage(0.0, float("inf"), ERRORS["connection"])
        async with batch(map(make_request, range(100)), provider) as results:
            assert len([result async for result in results if result.error is not None]) == 100
        return asyncio.get_running_loop().time() - begun

    assert run(main()) < 1


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationError("no such key", status_code=401, attempts=1),
        QuotaExceededError("no money", status_code=429, attempts=1),
        ConfigurationError("no key"),
        APITimeoutError("queued for too long", phase="total"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_answers_and_own_errors_are_no_outage(error: APIError) -> None:
    """A refused request, or one that was never sent, would stop the batch or be sent again."""
    provider = Outage(1.0, 1.5, lambda: error)
    assert failed(1000, provider, concurrency=4) == provider.sent_while_away > 8


def test_an_outage_of_one_provider_does_not_stop_the_other() -> None:
    """Items of a provider that works would wait for one that does not."""
    away = Outage(0.5, 60.5, ERRORS["503"])
    last: dict[str, float] = {}

    async def provider(request: ChatRequest, on_load_refusal: OnLoadRefusal) -> ChatCompletion:
        if request.model.startswith("away/"):
            return await away(request, on_load_refusal)
        await asyncio.sleep(ANSWER_TIME)
        last["works"] = asyncio.get_running_loop().time()
        return reply("yes")

    async def main() -> float:
        begun = asyncio.get_running_loop().time()
        items = [make_request(n, f"{name}/m") for n in range(400) for name in ("away", "works")]
        unique = [ChatRequest(item.model, item.messages, custom_id=f"{item.model}-{item.custom_id}") for item in items]
        async with batch(unique, provider) as results:
            assert len([result async for result in results if result.error is None]) >= 790
        return last["works"] - begun

    assert run(main()) < 10


# --- long wait hints --------------------------------------------------------------------------------------------------


class Limited:
    """Provider that refuses everything for so many seconds from `begin` on, with the time that is left as its hint."""

    def __init__(self, begin: float, seconds: float, hint: float | None = None, elapsed: float = 0.0) -> None:
        self.begin, self.end, self.hint, self.elapsed = begin, begin + seconds, hint, elapsed
        self.first: float | None = None
        self.refused: list[float] = []

    async def __call__(self, request: ChatRequest, on_load_refusal: OnLoadRefusal) -> ChatCompletion:
        loop = asyncio.get_running_loop()
        self.first = loop.time() if self.first is None else self.first
        now = loop.time() - self.first
        if self.begin <= now < self.end:
            self.refused.append(now)
            await asyncio.sleep(0)  # as above
            hint = self.end - now + 1 if self.hint is None else self.hint
            raise RateLimitError("slow down", status_code=429, attempts=1, retry_after=hint, elapsed=self.elapsed)
        await asyncio.sleep(ANSWER_TIME)
        return reply("yes")


@pytest.mark.parametrize("concurrency", [None, 64])
@pytest.mark.parametrize("begin", [0.0, 0.5])
def test_a_long_wait_hint_pauses_the_batch(begin: float, concurrency: int | None) -> None:
    """An hourly limit would end all items that are left with errors."""
    provider = Limited(begin, 1800)
    assert failed(3000, provider, concurrency=concurrency) == 0
    assert len(provider.refused) <= 520
    assert max(provider.refused) < begin + 2


def test_a_hint_that_is_too_long_for_a_call_pauses_the_batch() -> None:
    """Items with little time left would fail, although the provider has sent when to ask again."""
    provider = Limited(0.3, 40, elapsed=590)
    assert failed(1000, provider) == 0
    short = Limited(0.3, 40, elapsed=5)
    assert failed(1000, short) == 5


def test_a_pause_is_shown_as_soon_as_it_begins() -> None:
    """A batch that waits for half an hour would look like one that hangs."""
    seen: list[BatchProgress] = []
    provider = Limited(0.3, 1800)
    assert failed(1000, provider, on_progress=seen.append) == 0
    paused = [progress for progress in seen if progress.paused]
    assert paused[0].paused == {"openai": pytest.approx(1800, abs=1)}
    assert paused[0].elapsed < 2
    assert not seen[0].paused
    assert not seen[-1].paused


def test_hints_without_end_end_the_batch_after_an_hour() -> None:
    """A batch would wait for a day, where its owner could run it again tomorrow, and answer the rest then."""

    async def main() -> tuple[float, list[Result]]:
        begun = asyncio.get_running_loop().time()
        async with batch(map(make_request, range(1000)), Limited(0.3, 86_400)) as run:
            results = [result async for result in run]
        return asyncio.get_running_loop().time() - begun, results

    took, results = run(main())
    assert 3600 <= took < 3700
    assert any(result.error is None for result in results)
    assert any(result.error is not None for result in results)
    assert all(state_of(result) in (State.DONE, State.RETRYABLE) for result in results)


def test_repeated_hints_pause_for_an_hour_in_all_unless_there_is_an_answer() -> None:
    """Hints of a minute each would make a batch wait for ever."""
    provider = Limited(0.3, 86_400, hint=90)
    assert failed(1000, provider) > 0
    assert 3590 < provider.refused[-1] < 3700


@pytest.mark.parametrize("concurrency", [None, 8])
def test_a_pause_of_one_provider_does_not_stop_the_other(concurrency: int | None) -> None:
    """Items of a provider that answers would wait for the limit of another one."""
    limited, last = Limited(0.5, 1800), [0.0]

    async def provider(request: ChatRequest, on_load_refusal: OnLoadRefusal) -> ChatCompletion:
        if request.model.startswith("limited/"):
            return await limited(request, on_load_refusal)
        await asyncio.sleep(ANSWER_TIME)
        last[0] = asyncio.get_running_loop().time()
        return reply("yes")

    async def main() -> float:
        begun = asyncio.get_running_loop().time()
        names = ["limited", "works", "works", "works"] * 50
        items = [ChatRequest(f"{name}/m", "Hi.", custom_id=f"{number}") for number, name in enumerate(names)]
        async with batch(items, provider, concurrency=concurrency) as results:
            assert [result.error async for result in results] == [None] * len(items)
        return last[0] - begun

    assert run(main()) < 60


def test_a_fixed_concurrency_holds_for_all_providers_together() -> None:
    """A batch with several providers would send more requests at a time than its caller allows."""
    in_flight, most = 0, 0

    async def provider(request: ChatRequest, on_load_refusal: OnLoadRefusal) -> ChatCompletion:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        await asyncio.sleep(ANSWER_TIME)
        in_flight -= 1
        order.append(request.custom_id)
        return reply("yes")

    async def main() -> None:
        items = [ChatRequest(f"{'abc'[number % 3]}/m", "Hi.", custom_id=f"{number}") for number in range(60)]
        async with batch(items, provider, concurrency=4) as results:
            assert [result.error async for result in results] == [None] * 60

    order: list[str | None] = []
    run(main())
    assert most == 4
    assert all(abs(int(custom_id or "") - place) < 4 for place, custom_id in enumerate(order))


# --- adaptive concurrency --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refused", "retries", "expected"),
    [({"row-0"}, 0, 15), ({"row-0"}, 2, 15), ({"row-0", "row-1"}, 0, 7)],
    ids=["once", "with its retries", "two requests"],
)
def test_refused_attempts_of_one_request_do_not_halve_the_limit(refused: set[str], retries: int, expected: int) -> None:
    """One 429 would leave a batch at half of its speed, because it counts for each attempt and for its request."""

    async def answer(request: ChatRequest) -> str:
        if request.custom_id in refused:
            raise RateLimitError("slow down")
        await asyncio.sleep(ANSWER_TIME)
        return "yes"

    async def main() -> int | None:
        async with (
            AsyncCompletion(providers=[FakeProvider(answer)], max_retries=retries) as client,
            client.batch(map(make_request, range(16))) as results,
        ):
            assert [result.error is None async for result in results].count(False) == len(refused)
            return client.stats().providers["openai"].adaptive_limit

    assert run(main()) == expected


# --- the client's own limits ------------------------------------------------------------------------------------------


class SlowLimiter:
    """Shared limiter that lets a request through every 20 seconds."""

    def __init__(self) -> None:
        self._next = 0.0

    async def acquire(self, key: str, *, requests: int, tokens: int) -> None:
        loop = asyncio.get_running_loop()
        self._next = max(self._next + 20, loop.time())
        await asyncio.sleep(self._next - loop.time())

    def settle(self, key: str, *, estimated: int, actual: int) -> None:
        """Counts nothing."""


@pytest.mark.parametrize(
    "limits",
    [
        {"limits": {"openai": RateLimit(requests_per_minute=3)}},
        {"limits": {"openai/gpt-4o": RateLimit(tokens_per_minute=50)}},
        {"limits": {"openai": RateLimit(concurrency=1)}},
        {"rate_limiter": SlowLimiter()},
    ],
    ids=["requests", "tokens", "concurrency", "shared"],
)
@pytest.mark.parametrize("concurrency", [None, 30])
def test_waiting_for_own_limits_does_not_use_up_the_time_of_an_item(
    limits: dict[str, Any], concurrency: int | None
) -> None:
    """A batch that keeps a limit of its own would fail because it keeps it."""
    fake = FakeProvider(lambda request: "yes", latency=5.0)

    async def main() -> float:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        async with AsyncCompletion(providers=[fake], timeout=30, **limits) as client:
            items = [{"model": "openai/gpt-4o", "messages": "Hi.", "max_tokens": 10} for _ in range(60)]
            async with client.batch(items, concurrency=concurrency) as results:
                found = [result async for result in results]
            assert [result.error for result in found] == [None] * 60
            assert all(result.completion is None or result.completion.info.elapsed < 30 for result in found)
        return loop.time() - begun

    assert run(main()) > 290


def test_leaving_a_paused_batch_ends_it() -> None:
    """A timer would go on after the batch, and the program would not end."""

    async def main() -> None:
        async with batch(map(make_request, range(1000)), Outage(1.0, 100.0, ERRORS["503"]), concurrency=4) as results:
            async for _ in results:
                if results.progress.elapsed > 2:
                    break
            await asyncio.sleep(3)

    run(main())
