"""Outages of targets in virtual time, and bounds of what one call may send, over many histories."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anycompletion import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    AsyncCompletion,
    AuthenticationError,
    BadRequestError,
    ChatRequest,
    CompletionError,
    InternalServerError,
    OverloadedError,
    RateLimitError,
)
from anycompletion.routing import Route
from anycompletion.testing import FakeProvider
from support.virtual_clock import run

PROVIDERS = ("openai", "groq", "mistral")


class Outage:
    """A provider that is away for a while, and counts the requests that reach it then."""

    def __init__(self, begin: float, end: float) -> None:
        self.begin, self.end = begin, end
        self.started = 0.0
        self.sent_while_away = 0

    def __call__(self, request: ChatRequest) -> str:
        now = asyncio.get_running_loop().time()
        if self.begin <= now - self.started < self.end:
            self.sent_while_away += 1
            raise APIConnectionError("connection refused", phase="connect")
        return "yes"


async def minutes_of_calls(outages: list[Outage], seconds: int, per_second: int = 10) -> tuple[int, list[APIError]]:
    """So many calls per second over a route; returns their number, and the errors."""
    fakes = [FakeProvider(outage, name=name) for name, outage in zip(PROVIDERS, outages, strict=False)]
    route = Route([f"{fake.name}/model" for fake in fakes])
    for outage in outages:
        outage.started = asyncio.get_running_loop().time()
    errors: list[APIError] = []
    tasks: list[asyncio.Task[None]] = []
    async with AsyncCompletion(providers=fakes, routes={"route": route}) as client:

        async def one() -> None:
            try:
                await client.create("route", "Hello!")
            except APIError as error:
                errors.append(error)

        for _ in range(seconds * per_second):
            tasks.append(asyncio.create_task(one()))
            await asyncio.sleep(1 / per_second)
        await asyncio.gather(*tasks)
    return len(tasks), errors


def test_an_outage_of_one_target_fails_no_call() -> None:
    """Calls would fail or wait for a dead target, or it would get all of them."""
    first, last = Outage(10, 70), Outage(-1, -1)
    calls, errors = run(minutes_of_calls([first, last], 120))
    assert (calls, errors) == (1_200, [])
    assert first.sent_while_away <= 3 + 3  # the failures that open the circuit, and three probes


@pytest.mark.parametrize("connect", [1.0, 5.0])
def test_only_the_first_calls_of_an_outage_wait_for_a_target_that_does_not_answer(connect: float) -> None:
    """All calls of an outage would wait for a connection that is never made."""

    async def check() -> None:
        loop, rate = asyncio.get_running_loop(), 10
        begin, end = loop.time() + 10, loop.time() + 70
        sent, late = list[float](), list[tuple[float, float]]()

        async def reply(request: ChatRequest) -> str:
            if begin <= loop.time() < end:
                sent.append(loop.time())
                await asyncio.sleep(connect)
                raise APITimeoutError("no connection", phase="connect")
            return "yes"

        fakes = [FakeProvider(reply, name="openai"), FakeProvider(lambda request: "yes", name="groq")]
        async with AsyncCompletion(providers=fakes, routes={"r": Route(["openai/model", "groq/model"])}) as client:

            async def one() -> None:
                began = loop.time()
                await client.create("r", "Hello!")
                if loop.time() - began > 0.01:
                    late.append((began, loop.time() - began))

            tasks: list[asyncio.Task[None]] = []
            for _ in range(90 * rate):
                tasks.append(asyncio.create_task(one()))
                await asyncio.sleep(1 / rate)
            await asyncio.gather(*tasks)  # none fails
        in_flight = connect * rate + 1
        assert len(late) == len(sent) <= 3 + in_flight + 3
        assert all(seconds <= connect + 0.02 for _, seconds in late)
        assert sum(began > begin + connect + 3 / rate for began, _ in late) <= 3  # the probes

    run(check())


def test_an_outage_of_all_targets_is_not_amplified_over_time() -> None:
    """Two providers that recover would get twice the calls, and each of them several times."""
    outages = [Outage(10, 70), Outage(10, 70)]
    calls, errors = run(minutes_of_calls(outages, 100))
    assert calls == 1_000
    assert 560 <= len(errors) <= 610
    assert sum(outage.sent_while_away for outage in outages) <= 1.1 * 600 + 10
    assert all(isinstance(error, APIError) for error in errors)


ERRORS: tuple[type[CompletionError], ...] = (
    APIConnectionError,
    AuthenticationError,
    BadRequestError,
    InternalServerError,
    OverloadedError,
    RateLimitError,
)


@settings(max_examples=60, deadline=None)
@given(
    targets=st.integers(1, 3),
    attempts=st.integers(1, 3),
    retries=st.integers(0, 5),
    histories=st.lists(st.lists(st.sampled_from([*ERRORS, None]), min_size=12, max_size=12), min_size=3, max_size=3),
    calls=st.integers(1, 4),
    stream=st.booleans(),
)
def test_no_call_exceeds_its_requests(
    targets: int,
    attempts: int,
    retries: int,
    histories: list[list[type[CompletionError] | None]],
    calls: int,
    stream: bool,
) -> None:
    """A call would send more requests than it may, lose its reply, or leave a target busy, after some history."""

    async def check() -> None:
        left = [iter(history) for history in histories]

        def reply(index: int) -> Any:
            def answer(request: ChatRequest) -> str:
                error = next(left[index], None)
                if error is not None:
                    raise error("no")
                return "yes"

            return answer

        fakes = [FakeProvider(reply(index), name=name) for index, name in enumerate(PROVIDERS[:targets])]
        route = Route([f"{fake.name}/model" for fake in fakes], attempts_per_target=attempts)
        async with AsyncCompletion(providers=fakes, routes={"route": route}, max_retries=retries) as client:
            for _ in range(calls):
                before = sum(len(call.wire) for fake in fakes for call in fake.requests)
                try:
                    made = await client.create("route", "Hello!", stream=stream)
                    info = made.info
                    assert (await made.get_final_completion() if stream else made).text == "yes"  # type: ignore[union-attr]
                    assert info.tried[-1].error is None
                    assert all(each.error is not None for each in info.tried[:-1])
                    sent = sum(len(call.wire) for fake in fakes for call in fake.requests) - before
                    assert info.attempts == sent
                except CompletionError:
                    pass  # which one it is, other tests check
                sent = sum(len(call.wire) for fake in fakes for call in fake.requests) - before
                assert sent <= max(retries + 1, targets * attempts)
                assert [state.in_flight for state in client.stats().routes["route"]] == [0] * targets

    run(check())


@pytest.mark.parametrize("total", [5.0, 30.0, 90.0])
def test_no_call_outlasts_its_deadline(total: float) -> None:
    """A call over several slow targets would take longer than its timeout."""

    async def check() -> None:
        fakes = [FakeProvider(lambda request: "late", name=name, latency=total * 0.7) for name in PROVIDERS]
        for fake in fakes[:2]:
            fake.fault = "server-error"
        routes = {"route": Route([f"{fake.name}/model" for fake in fakes], breaker=None)}
        async with AsyncCompletion(providers=fakes, routes=routes) as client:
            began = asyncio.get_running_loop().time()
            with pytest.raises((APITimeoutError, InternalServerError)):
                await client.create("route", "Hello!", timeout=total)
            assert asyncio.get_running_loop().time() - began <= total + 0.02

    run(check())
