"""Batches whose provider is away for a while, in virtual time and without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from anycompletion import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    AuthenticationError,
    ChatCompletion,
    ChatRequest,
    ConfigurationError,
    InternalServerError,
    RateLimitError,
    ServiceUnavailableError,
)
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
        RateLimitError("slow down", status_code=429, attempts=3),
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


def test_leaving_a_paused_batch_ends_it() -> None:
    """A timer would go on after the batch, and the program would not end."""

    async def main() -> None:
        async with batch(map(make_request, range(1000)), Outage(1.0, 100.0, ERRORS["503"]), concurrency=4) as results:
            async for _ in results:
                if results.progress.elapsed > 2:
                    break
            await asyncio.sleep(3)

    run(main())
