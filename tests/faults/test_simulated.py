"""The simulator's named faults with every provider: how a reply and a stream end with each."""

import asyncio
from typing import Any, NamedTuple, cast

import pytest

from anycompletion import (
    APIConnectionError,
    APIResponseError,
    APITimeoutError,
    AsyncCompletion,
    ChatCompletion,
    CompletionError,
    InternalServerError,
    StreamInterruptedError,
)
from anycompletion.testing import FAULTS, SimulatorServer
from faults.harness import WAYS, Way, covers
from support.resource_leaks import nothing_left
from support.simulated import SIMULATED


class Outcome(NamedTuple):
    """How a reply and a stream end: an error, or None for success."""

    reply: type[CompletionError] | None
    stream: type[CompletionError] | None


def _same(cls: type[CompletionError] | None) -> Outcome:
    return Outcome(cls, cls)


OUTCOMES = {
    "html-error": _same(InternalServerError),
    "redirect": _same(APIResponseError),
    "gzip-bomb": _same(APIResponseError),
    "false-gzip": _same(APIResponseError),
    "unknown-encoding": _same(APIResponseError),
    "long-header": _same(APIResponseError),
    "many-headers": _same(APIResponseError),
    "close-before-answer": _same(APIConnectionError),
    "reset-before-answer": _same(APIConnectionError),
    "half-status-line": _same(APIConnectionError),
    "half-headers": _same(APIConnectionError),
    "garbage": _same(APIResponseError),
    "early-hints": _same(None),
    "two-lengths": _same(APIResponseError),
    "huge-length": _same(APIResponseError),
    "short-body": Outcome(APIConnectionError, StreamInterruptedError),
    "reset-in-body": Outcome(APIConnectionError, StreamInterruptedError),
    "bad-chunk-size": _same(APIResponseError),
    "endless-body": _same(APIResponseError),
    "second-answer": _same(None),
    "close-after-2-events": Outcome(APIConnectionError, StreamInterruptedError),
    "slow-headers": _same(APITimeoutError),
}
"""Faults below HTTP and their outcomes; those of a prediction do not affect its stream, which is another request."""

SLOW = {"gzip-bomb", "huge-length", "endless-body", "slow-headers"}
"""Tested with one provider, because they are slow and independent of the format."""


async def _ask(client: AsyncCompletion, model: str, way: Way, name: str) -> str:
    clock: dict[str, Any] = {"timeout": 0.15} if name == "slow-headers" else {}
    headers = {"x-simulate": name}
    if way == "reply":
        return cast("ChatCompletion", await client.create(model, "Hi.", extra_headers=headers, **clock)).text
    async with client.stream(model, "Hi.", extra_headers=headers, **clock) as stream:
        return "".join([text async for text in stream.text])


@covers("F06", "F09", "F10", "F11", "F12", "F13", "F14", "F15", "F17", "F18", "F21", "F22", "F26", "F27")
@pytest.mark.parametrize("provider", SIMULATED)
async def test_a_named_fault_has_the_same_outcome_with_every_provider(provider: str) -> None:
    """Applications that are tested with these faults would be tested for one provider only."""
    async with SimulatorServer() as sim:
        urls, keys, row = sim.base_urls, sim.api_keys, SIMULATED[provider].partition("/")[0]
        client = AsyncCompletion(base_urls={row: urls[row]}, api_keys={row: keys[row]}, max_retries=0)
        async with client, nothing_left(client, seconds=20):
            names = [name for name in OUTCOMES if name not in SLOW or provider == "openai"]
            ends = await asyncio.gather(*(_ends(client, provider, name) for name in names))
            assert dict(zip(names, ends, strict=True)) == {name: _expected(provider, name) for name in names}
        assert {request.provider for request in sim.requests} == {row}


def _expected(provider: str, name: str) -> Outcome:
    """The outcome; the stream of a prediction is another request than it, and no response has text in two events."""
    outcome = OUTCOMES[name]
    if provider == "responses" and name == "close-after-2-events":
        return _same(outcome.reply)
    if provider == "replicate" and outcome.stream is StreamInterruptedError and "events" not in name:
        return _same(outcome.reply)
    return outcome


async def _ends(client: AsyncCompletion, provider: str, name: str) -> Outcome:
    return Outcome(*[await _end(client, provider, way, name) for way in WAYS])


async def _end(client: AsyncCompletion, provider: str, way: Way, name: str) -> type[CompletionError] | None:
    try:
        assert "You said: Hi." in await _ask(client, SIMULATED[provider], way, name)
    except CompletionError as error:
        return type(error)
    return None


def test_every_fault_below_http_has_its_outcome() -> None:
    """A new fault would be tested with no provider."""
    new = {name for name, fault in FAULTS.items() if fault.kind in ("raw", "headers") or fault.headers}
    assert new <= set(OUTCOMES)
