"""Hedged calls: a second target is asked where the first is slow, and the first good answer wins."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from anycompletion import (
    AllTargetsFailedError,
    AsyncCompletion,
    AudioPart,
    BadRequestError,
    ChatCompletion,
    ChatRequest,
    InputAudio,
    InternalServerError,
    InvalidRequestError,
    RateLimit,
    TextPart,
    UserMessage,
)
from anycompletion.routing import CircuitBreaker, Route, RouteTarget
from anycompletion.routing.hedge_budget import HedgeBudget
from anycompletion.testing import FakeProvider
from support.virtual_clock import run

GROQ = "groq/llama"
TARGETS = ["openai/gpt-4o", GROQ]
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
            assert 28 <= race.asked[1] <= 10 + 0.1 * 200

    run(check())


def test_a_share_of_zero_allows_no_hedge() -> None:
    """Someone who turned hedges off would pay for ten."""

    async def check() -> None:
        async with Race(slow=3, hedge_share=0) as race:
            for _ in range(20):
                await race.ask()
            assert race.asked == (20, 0)

    run(check())


def test_quiet_calls_save_up_ten_hedges_at_most() -> None:
    """After a quiet day, an outage would double the load of the other targets for hours."""
    seconds = [0.0]

    async def answer(request: ChatRequest) -> str:
        await asyncio.sleep(seconds[0])
        return "slow"

    async def check() -> None:
        async with Race(slow=0, first=answer, hedge_share=0.5) as race:
            for _ in range(100):
                await race.ask()
            assert race.asked == (100, 0)
            seconds[0] = 3.0
            for _ in range(40):
                await race.ask()
            assert 10 <= race.asked[1] <= 10 + 0.5 * 40

    run(check())


AUDIO = [UserMessage([TextPart("Listen:"), AudioPart(InputAudio("AAAA", "wav"))])]


def test_a_target_that_cannot_take_the_call_costs_no_hedge() -> None:
    """Calls would wait for the slow target, and the hedges of others would be used up, although a third is free."""

    async def check() -> None:
        slow = FakeProvider(slowly, name="openai", latency=5)
        text_only = FakeProvider(quickly, name="cohere")
        free = FakeProvider(quickly, name="groq")
        routes = {"r": Route(["openai/gpt-4o", "cohere/command-a", "groq/llama"], hedge_after=1)}
        async with AsyncCompletion(providers=[slow, text_only, free], routes=routes) as client:
            for _ in range(10):  # as many as the budget has
                reply = await client.create("r", AUDIO)
                assert (reply.text, [each.target for each in reply.info.tried]) == ("fast", ["openai/gpt-4o", GROQ])
                assert any("passed over" in text for text in reply.info.warnings)
            assert len(text_only.requests) == 0

    run(check())


def test_a_target_at_its_limit_is_not_hedged() -> None:
    """A hedge would wait in a queue, and be missing later, although a third target is free."""

    async def check() -> None:
        slow, busy = FakeProvider(slowly, name="openai", latency=5), FakeProvider(slowly, name="groq", latency=200)
        free = FakeProvider(quickly, name="mistral")
        client = AsyncCompletion(
            providers=[slow, busy, free],
            limits={"groq": RateLimit(concurrency=1)},
            routes={
                "pair": Route(TARGETS, hedge_after=1, hedge_share=0.01),
                "three": Route([*TARGETS, "mistral/m"], hedge_after=1, hedge_share=0.01),
            },
        )
        async with client, asyncio.TaskGroup() as tasks:
            tasks.create_task(client.create(GROQ, "Hello!"))
            await asyncio.sleep(0.1)
            for _ in range(15):
                reply = await client.create("pair", "Hello!")
                assert (reply.text, [each.target for each in reply.info.tried]) == ("slow", [TARGETS[0]])
            assert (await client.create("three", "Hello!")).text == "fast"
            await asyncio.sleep(200)
            assert (await client.create("pair", "Hello!")).text == "slow"
            assert len(busy.requests) == 2

    run(check())


def test_hedges_that_were_not_sent_are_given_back() -> None:
    """Hedges of calls that are cancelled while a key is asked for would be missing later."""
    given = asyncio.Event()

    async def key() -> str:
        await given.wait()
        return "k"

    async def check() -> None:
        slow, fast = FakeProvider(slowly, name="openai", latency=5), FakeProvider(quickly, name="groq")
        routes = {"r": Route(TARGETS, hedge_after=1, hedge_share=0.01)}
        async with AsyncCompletion(providers=[slow, fast], api_keys={"groq": key}, routes=routes) as client:
            for _ in range(15):
                assert (await client.create("r", "Hello!")).text == "slow"
            given.set()
            assert (await client.create("r", "Hello!")).text == "fast"

    run(check())


def test_saved_hedges_are_bounded() -> None:
    """Hedges that are given back would add up to more than ten at once."""
    budget = HedgeBudget(1.0)
    budget.spend()
    budget.deposit()
    budget.refund()
    for _ in range(10):
        assert budget.allows_hedge
        budget.spend()
    assert not budget.allows_hedge


def test_calls_that_no_other_target_can_take_use_up_no_hedges() -> None:
    """Calls that cannot be hedged would take the hedges of those that can."""

    async def check() -> None:
        slow, text_only = FakeProvider(slowly, name="openai", latency=5), FakeProvider(quickly, name="cohere")
        routes = {"r": Route(["openai/gpt-4o", "cohere/command-a"], hedge_after=1, hedge_share=0.01)}
        async with AsyncCompletion(providers=[slow, text_only], routes=routes) as client:
            for _ in range(15):
                assert (await client.create("r", AUDIO)).text == "slow"
            assert (await client.create("r", "Hello!")).text == "fast"

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


def test_the_last_request_of_a_call_is_not_hedged() -> None:
    """A call that has one request left would send two."""

    async def check() -> None:
        fakes = [FakeProvider(down, name="openai"), FakeProvider(down, name="mistral")]
        fakes.append(FakeProvider(slowly, name="groq", latency=3))
        route = Route(["openai/gpt-4o", "mistral/m", GROQ], hedge_after=1, breaker=None)
        async with AsyncCompletion(providers=fakes, routes={"r": route}, max_retries=0) as client:
            reply = await client.create("r", "Hello!")
            assert (reply.text, reply.info.attempts) == ("slow", 3)
            assert [len(fake.requests) for fake in fakes] == [1, 1, 1]

    run(check())


def test_a_provider_that_may_work_twice_is_not_hedged() -> None:
    """A prediction that runs to its end all the same would be paid for beside the answer."""

    async def check() -> None:
        fakes = [FakeProvider(slowly, name="replicate", latency=3), FakeProvider(quickly, name="groq")]
        route = Route(["replicate/meta/llama", GROQ], hedge_after=1)
        async with AsyncCompletion(providers=fakes, routes={"r": route}) as client:
            assert (await client.create("r", "Hello!")).text == "slow"
            assert [len(fake.requests) for fake in fakes] == [1, 0]

    run(check())


def test_a_hedge_probes_no_open_circuit() -> None:
    """A target that is known to fail would be asked beside one that is only slow."""

    async def check() -> None:
        fakes = [FakeProvider(slowly, name="openai", latency=3), FakeProvider(down, name="groq")]
        breaker = CircuitBreaker(failures=1, seconds=1000)
        routes = {"pair": Route(TARGETS, hedge_after=1, breaker=breaker), "last": Route([GROQ], breaker=breaker)}
        async with AsyncCompletion(providers=fakes, routes=routes, max_retries=0) as client:
            assert isinstance((await client.attempt("last", "Hello!")).error, InternalServerError)
            assert (await client.create("pair", "Hello!")).text == "slow"
            assert [len(fake.requests) for fake in fakes] == [1, 1]

    run(check())


def test_a_call_whose_time_is_almost_over_is_not_hedged() -> None:
    """A request would be paid for that cannot be answered in time."""

    async def check() -> None:
        async with Race(slow=2.2, hedge_after=1.9) as race:
            assert (await race.ask(timeout=2.4)).text == "slow"
            assert race.asked == (1, 0)

    run(check())


def test_a_hedge_goes_to_a_target_of_its_own() -> None:
    """The slow model itself would be asked a second time, under another name of the route."""

    async def check() -> None:
        fakes = [FakeProvider(slowly, name="openai", latency=3), FakeProvider(quickly, name="groq")]
        again = RouteTarget("openai/gpt-4o", name="again", params={"temperature": 0})
        async with AsyncCompletion(
            providers=fakes, routes={"r": Route(["openai/gpt-4o", again, GROQ], hedge_after=1)}
        ) as client:
            reply = await client.create("r", "Hello!")
            assert (reply.text, [each.target for each in reply.info.tried]) == ("fast", ["openai/gpt-4o", GROQ])

    run(check())


@pytest.mark.parametrize("wrong", [{"hedge_after": 0}, {"hedge_share": 1.5}, {"hedge_share": -1}, {"hedge_after": "1"}])
def test_wrong_hedges_are_refused(wrong: dict[str, Any]) -> None:
    """A mistake would show in the bill only."""
    with pytest.raises(InvalidRequestError, match=next(iter(wrong))):
        Route(TARGETS, **wrong)
