"""Who sends many calls is told of each attempt that the provider refused because there are too many."""

from typing import Any

import pytest

from anycompletion import AsyncCompletion, ChatRequest, CompletionError
from anycompletion.testing import Fault, SimulatorServer
from anycompletion.validation import parse_options
from support.raw_server import REQUEST, RawServer
from support.resource_leaks import client_of


async def refusals(client: AsyncCompletion, **options: Any) -> int:
    """How often a call's sender is told."""
    told: list[None] = []
    try:
        await client._desk.answer(
            ChatRequest(model="openai/m", messages=[{"role": "user", "content": "Hi."}]),
            parse_options(options),
            on_refused=lambda: told.append(None),
        )
    except CompletionError:
        pass
    return len(told)


@pytest.mark.parametrize(
    ("fault", "told"),
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
async def test_each_refused_attempt_is_told_retried_or_not(fault: Any, told: int) -> None:
    """A batch would go on at a pace that the provider refused, because retries hide it."""
    async with SimulatorServer(fault=fault) as sim, client_of(sim) as client:
        assert await refusals(client) == told


async def test_an_empty_account_is_no_refusal() -> None:
    """A batch would slow down where waiting changes nothing."""
    body = b'{"error": {"message": "You have no credit.", "type": "x", "code": "insufficient_quota"}}'
    said = b"HTTP/1.1 429 Slow\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    async with (
        RawServer((REQUEST, said)) as server,
        AsyncCompletion(base_urls={"openai": server.url}, api_keys={"openai": "sk-nobody"}) as client,
    ):
        assert await refusals(client) == 0
