"""Tests that a batch is notified of each throttled attempt of its calls."""

from __future__ import annotations

from typing import Any

import pytest

from anycompletion import AsyncCompletion, CompletionError
from anycompletion.client.client import client_state
from anycompletion.client.configuration import default_options
from anycompletion.client.dispatch import CallDispatcher
from anycompletion.options import NO_OPTIONS
from anycompletion.testing import Fault, SimulatorServer
from anycompletion.validation import request_from_arguments
from support.raw_server import REQUEST, RawServer
from support.resource_leaks import client_of


async def throttled_attempts(client: AsyncCompletion) -> int:
    """Number of notifications that a call sends to its batch."""
    notified: list[None] = []
    request = request_from_arguments({"model": "openai/m", "messages": "Hi."})
    dispatcher = CallDispatcher(client_state(client), default_options(None, 2, "raise"), ())
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
