"""Hedged calls: a second target is asked where the first is slow, and the first good answer wins."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from anycompletion import (
    AllTargetsFailedError,
    AsyncCompletion,
    BadRequestError,
    ChatCompletion,
    ChatRequest,
    InternalServerError,
    InvalidRequestError,
)
from anycompletion.routing import CircuitBreaker, Route
from anycompletion.testing import FakeProvider
from support.virtual_clock import run

TARGETS = ["openai/gpt-4o", "groq/llama"]
FORMS = pytest.mark.parametrize("stream", [False, True])


def slowly(request: ChatRequest) -> str:
    return "slow"


def quickly(request: ChatRequest) -> str:
    return "fast"


class Race:
    """A client over a slow target and another one."""

    def __init__(self, slow: float, fast: float = 0.1, first: Any = None, last: Any = None, **route: Any) -> None:
        self.first = FakeProvider(first or slowly, name="openai", latency=slow)
        self.last = FakeProvider(last or quickly, name="groq", latency=fast)
        settings: dict[str, Any] = {"hedge_after": 1.0, "breaker": CircuitBreaker(failures=1)} | route
        routes = {"pair": Route(TARGETS, **settings)}
        self.client = AsyncCompletion(providers=[self.first, self.last], routes=routes)

    async def ask(self, *, stream: bool = False, **options: Any) -> ChatCompletion:
        if not stream:
            return cast("ChatCompletion", await self.client.create("pair", "Hello!", **options))
        async with self.client.stream("pair", "Hello!", **options) as opened:
            return await opened.get_final_completion()

    @property
    def asked(self) -> tuple[int, int]:
        return len(self.first.requests), len(self.last.requests)

    async def __aenter__(self) -> Race:
        return self

    async def __aexit__(self, *_: object) -> None:
        assert [state.in_flight for state in self.client.stats().routes["pair"]] == [0, 0]
        assert not any(each.in_flight for each in self.client.stats().providers.values())
        await self.client.aclose()


@FORMS
def test_the_second_target_answers_where_the_first_is_slow(stream: bool) -> None:
    """A call would wait for a slow target although another one is free."""

    async def check() -> None:
        async with Race(slow=60) as race:
            began = asyncio.get_running_loop().time()
            reply = await race.ask(stream=stream)
            assert asyncio.get_running_loop().time() - began < 3
            assert (reply.text, race.asked) == ("fast", (1, 1))
            lost, won = reply.info.tried
            assert (lost.target, lost.hedged, lost.maybe_billed) == (TARGETS[0], False, True)
            assert (won.target, won.hedged, won.error) == (TARGETS[1], True, None)
            assert reply.info.attempts == 2
            assert any("may have been billed" in text for text in reply.info.warnings)
            assert [state.state for state in race.client.stats().routes["pair"]] == ["closed", "closed"]

    run(check())


@FORMS
def test_the_first_target_may_still_win(stream: bool) -> None:
    """The first answer would be thrown away because a second one was asked for."""

    async def check() -> None:
        async with Race(slow=2, fast=60) as race:
            reply = await race.ask(stream=stream)
            assert (reply.text, race.asked) == ("slow", (1, 1))
            assert [each.hedged for each in reply.info.tried] == [True, False]

    run(check())


@FORMS
def test_a_quick_target_is_not_hedged(stream: bool) -> None:
    """Each call would be paid for twice."""

    async def check() -> None:
        async with Race(slow=0.5) as race:
            assert (await race.ask(stream=stream)).text == "slow"
            assert race.asked == (1, 0)

    run(check())


def down(request: ChatRequest) -> str:
    raise InternalServerError("down", status_code=500)


def refused(request: ChatRequest) -> str:
    raise BadRequestError("no")


@FORMS
def test_an_error_of_one_leaves_the_other_to_answer(stream: bool) -> None:
    """A call would fail with the faster error although the other target answers."""

    async def check() -> None:
        async with Race(slow=5, last=down) as race:
            reply = await race.ask(stream=stream)
            assert (reply.text, race.asked) == ("slow", (1, 1))
        async with Race(slow=2, fast=5, first=down) as race:
            reply = await race.ask(stream=stream)
            assert (reply.text, race.asked) == ("fast", (1, 1))

    run(check())


@FORMS
def test_a_final_error_ends_both(stream: bool) -> None:
    """A call whose request is at fault would wait for the slow target."""

    async def check() -> None:
        async with Race(slow=60, last=refused) as race:
            began = asyncio.get_running_loop().time()
            with pytest.raises(BadRequestError):
                await race.ask(stream=stream)
            assert asyncio.get_running_loop().time() - began < 5

    run(check())


@FORMS
def test_cancelling_a_hedged_call_closes_both(stream: bool) -> None:
    """A connection would be left open after its call was cancelled."""

    async def check() -> None:
        async with Race(slow=60, fast=60) as race:
            call = asyncio.create_task(race.ask(stream=stream))
            await asyncio.sleep(5)
            assert race.asked == (1, 1)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    run(check())


@pytest.mark.parametrize("options", [{"n": 2}, {"store": True}])
def test_calls_that_cost_more_are_not_hedged(options: dict[str, Any]) -> None:
    """Several replies, or a stored one, would be made twice."""

    async def check() -> None:
        async with Race(slow=3) as race:
            assert (await race.ask(**options, on_unsupported="drop")).text == "slow"
            assert race.asked[1] == 0

    run(check())


def test_hedges_are_a_share_of_the_calls() -> None:
    """A target that is always slow would double the load of the others."""

    async def check() -> None:
        async with Race(slow=3, hedge_share=0.1) as race:
            for _ in range(200):
                await race.ask()
            assert race.asked[0] == 200
            assert race.asked[1] <= 10 + 0.1 * 200

    run(check())


def test_a_hedge_is_one_of_the_requests_of_the_call() -> None:
    """A call would send more requests than it may."""

    async def check() -> None:
        routes = {"hedge_after": 1.0}
        async with Race(slow=3, first=down, last=down, fast=3, **routes) as race:
            with pytest.raises(AllTargetsFailedError):
                await race.ask(max_retries=0)
            assert race.asked == (1, 1)

    run(check())


@pytest.mark.parametrize("wrong", [{"hedge_after": 0}, {"hedge_share": 1.5}, {"hedge_share": -1}, {"hedge_after": "1"}])
def test_wrong_hedges_are_refused(wrong: dict[str, Any]) -> None:
    """A mistake would show in the bill only."""
    with pytest.raises(InvalidRequestError, match=next(iter(wrong))):
        Route(TARGETS, **wrong)
