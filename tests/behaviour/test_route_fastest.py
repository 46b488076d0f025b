"""The strategy "fastest" with calls: latencies are those of the calls themselves, each kind has its own."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from anycompletion import AsyncCompletion, ChatRequest, CompletionStream
from anycompletion.routing import Route, RouteTarget
from anycompletion.testing import FakeProvider
from support.virtual_clock import run

SLOW, QUICK = "openai/gpt-4o", "groq/llama"
FORMS = pytest.mark.parametrize("stream", [False, True])


def answer(request: ChatRequest) -> str:
    return "one two three four"


def long_answer(request: ChatRequest) -> str:
    return "word " * 100


@pytest.fixture(autouse=True)
def same_draws() -> None:
    """Has the strategy draw the same targets in each run."""
    random.seed(7)


class Pair:
    """A client over two targets, and which of them answered."""

    def __init__(self, slow: FakeProvider, quick: FakeProvider, **route: Any) -> None:
        routes = {"pair": Route([SLOW, QUICK], "fastest", **route)}
        self.client = AsyncCompletion(providers=[slow, quick], routes=routes)
        self.answered = Counter[str]()

    async def ask(self, *, stream: bool = False) -> str:
        reply = await self.client.create("pair", "Hello!", stream=stream)
        if isinstance(reply, CompletionStream):
            reply = await reply.get_final_completion()
        assert reply.info.target is not None
        self.answered[reply.info.target] += 1
        return reply.info.target

    @property
    def latencies(self) -> list[float | None]:
        return [state.latency for state in self.client.stats().routes["pair"]]

    async def __aenter__(self) -> Pair:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()


def fake(name: str, latency: float, reply: Any = answer, **options: Any) -> FakeProvider:
    return FakeProvider(reply, name=name, latency=latency, **options)


@FORMS
def test_calls_go_to_the_faster_target_once_both_are_known(stream: bool) -> None:
    """Half of the calls would go to a target that is ten times as slow, or none would ever measure the other one."""

    async def check() -> None:
        async with Pair(fake("openai", 1.0), fake("groq", 0.1)) as pair:
            assert {await pair.ask(stream=stream) for _ in range(2)} == {SLOW, QUICK}
            for _ in range(300):
                await pair.ask(stream=stream)
            assert 0 < pair.answered[SLOW] <= 15  # one in 50 draws goes anywhere

    run(check())


@FORMS
def test_a_target_that_becomes_slow_is_left_and_found_again(stream: bool) -> None:
    """One slow hour would keep a target out for ever, or one good memory would keep calls at it."""

    async def check() -> None:
        first, second = fake("openai", 0.1), fake("groq", 0.5)
        async with Pair(first, second) as pair:
            for _ in range(20):
                await pair.ask(stream=stream)
            assert pair.answered[SLOW] > 15
            first.latency = 0.7  # one such sample counts at once
            for _ in range(100):
                await pair.ask(stream=stream)
            assert pair.answered[QUICK] > 80
            first.latency = 0.01
            before = pair.answered[SLOW]
            for _ in range(1000):
                await pair.ask(stream=stream)
            assert pair.answered[SLOW] - before > 100  # draws at random alone would be 10

    run(check())


def test_whole_replies_count_by_token_and_streams_by_their_first_content() -> None:
    """A target that gives long answers would count as slow, or a quick first word as a quick whole answer."""

    async def check() -> None:
        long, short = fake("openai", 1.0, long_answer), fake("groq", 0.9)
        async with Pair(long, short) as pair:
            for _ in range(50):
                await pair.ask()
            assert pair.answered[SLOW] > 40  # a hundred tokens in a second, and four in nine tenths
        slow_end = fake("openai", 0.1, long_answer, chunk_delay=0.2)
        async with Pair(slow_end, fake("groq", 1.0)) as pair:
            for _ in range(50):
                await pair.ask(stream=True)
            assert pair.answered[SLOW] > 40
            first, second = pair.latencies
            assert first is not None
            assert second is not None
            assert first < second

    run(check())


def test_calls_in_flight_make_a_target_slower() -> None:
    """All calls of a burst would go to the target that was a little faster before it."""

    async def check() -> None:
        async with Pair(fake("openai", 1.0), fake("groq", 0.9)) as pair:
            await pair.ask()
            await pair.ask()
            await asyncio.gather(*[pair.ask() for _ in range(60)])
            assert min(pair.answered.values()) > 15

    run(check())


def test_a_target_that_fails_has_no_latency_and_does_not_stop_calls() -> None:
    """A target without a sample goes first, so that one that only fails would get every call."""

    async def check() -> None:
        down = FakeProvider(answer, name="openai", fault="server-error")
        async with Pair(down, fake("groq", 0.1)) as pair:
            for _ in range(20):
                assert await pair.ask() == QUICK
            assert len(down.requests) == 3  # then its circuit is open

    run(check())


def test_a_target_with_its_own_parameters_is_measured_too() -> None:
    """Such a target would never have a sample, and get all calls."""

    async def check() -> None:
        fakes = [fake("openai", 1.0), fake("groq", 0.1)]
        targets = [RouteTarget(SLOW, params={"seed": 1}), RouteTarget(QUICK, params={"temperature": 0})]
        async with AsyncCompletion(providers=fakes, routes={"pair": Route(targets, "fastest")}) as client:
            for _ in range(30):
                await client.create("pair", "Hello!")
        assert len(fakes[1].requests) > 20

    run(check())
