"""What throttled attempts do: their batch is notified, and calls are at full pace again soon."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from anycompletion import AsyncCompletion, CompletionError, RateLimitError
from anycompletion.client.client import client_state
from anycompletion.client.configuration import default_options
from anycompletion.client.dispatch import CallDispatcher
from anycompletion.options import NO_OPTIONS
from anycompletion.testing import FakeProvider, Fault, SimulatorServer
from anycompletion.validation import request_from_arguments
from support.raw_server import REQUEST, RawServer
from support.resource_leaks import client_of
from support.virtual_clock import run


async def throttled_attempts(client: AsyncCompletion, timeout: float | None = None) -> int:
    """Number of notifications that a call sends to its batch."""
    notified: list[None] = []
    request = request_from_arguments({"model": "openai/m", "messages": "Hi."})
    dispatcher = CallDispatcher(client_state(client), default_options(timeout, 2, "raise"), ())
    try:
        await dispatcher.complete(request, NO_OPTIONS, on_load_refusal=lambda: notified.append(None))
    except CompletionError:
        pass
    return len(notified)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault.status(429, retry_after=0.01, times=2), 2),
        (Fault.status(429, times=1), 1),
        (Fault.status(529, retry_after=0.01, times=1), 1),
        (Fault.status(429, retry_after=0.01), 3),
        (Fault.status(500, times=1), 0),
        (Fault.status(400), 0),
        (None, 0),
    ],
)
async def test_each_throttled_attempt_is_reported_retried_or_not(fault: Any, expected: int) -> None:
    """A batch would not slow down where retries hide that the provider throttles it."""
    async with SimulatorServer(fault=fault) as sim, client_of(sim) as client:
        assert await throttled_attempts(client) == expected


async def test_an_exhausted_quota_is_not_throttling() -> None:
    """A batch would slow down where waiting does not help."""
    body = b'{"error": {"message": "You have no credit.", "type": "x", "code": "insufficient_quota"}}'
    response = b"HTTP/1.1 429 Slow\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    async with (
        RawServer((REQUEST, response)) as server,
        AsyncCompletion(base_urls={"openai": server.url}, api_keys={"openai": "sk-unused"}) as client,
    ):
        assert await throttled_attempts(client) == 0


async def test_a_call_that_was_not_sent_because_of_a_cooldown_is_no_refusal() -> None:
    """A batch would slow down more for each item whose timeout is shorter than the wait after one refusal."""
    fake = FakeProvider(RateLimitError("slow down", retry_after=20))
    async with AsyncCompletion(providers=[fake]) as client:
        assert await throttled_attempts(client, timeout=10) == 1
        assert await throttled_attempts(client, timeout=10) == 0
    assert len(fake.requests) == 1


def test_after_refusals_of_one_model_calls_are_at_full_pace_within_five_seconds() -> None:
    """Three refusals would slow down the calls to all models of a key, or those to that model for minutes."""
    refusal = RateLimitError("slow down", retry_after=1)

    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def longest(model: str) -> float:
            begun = loop.time()
            await asyncio.gather(*(client.create(model, "Hi.") for _ in range(100)))
            return loop.time() - begun

        providers = [FakeProvider(refusal, refusal, refusal, lambda request: "Hello.")]
        async with AsyncCompletion(providers=providers) as client:
            await client.create("openai/refused", "Hi.", max_retries=3)
            success = loop.time()
            assert await longest("openai/other") < 0.01
            assert await longest("openai/refused") < 5
            await asyncio.sleep(success + 5 - loop.time())
            assert await longest("openai/refused") < 0.01

    run(main())
