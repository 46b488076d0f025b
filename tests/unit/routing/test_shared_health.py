"""Health of targets that processes share: openings are published and taken over once, whatever the store does."""

from __future__ import annotations

import asyncio
import logging
import pickle
from typing import Any

import pytest

from anycompletion import (
    AllTargetsFailedError,
    APIError,
    AsyncCompletion,
    AWSCredentials,
    ChatRequest,
    InternalServerError,
    InvalidRequestError,
)
from anycompletion.client.client import client_state
from anycompletion.options import EnvKey
from anycompletion.routing import CircuitBreaker, Route, RouteTarget, SharedHealth
from anycompletion.testing import FakeProvider
from support.virtual_clock import run

TARGETS = ["openai/gpt-4o", "groq/llama"]
KEY = "sk-canary-of-a-tenant-4711"


class Board:
    """Openings that all clients of one process see."""

    def __init__(self) -> None:
        self.openings: dict[str, float] = {}
        self.published: list[tuple[str, float]] = []

    def publish(self, target: str, seconds: float) -> None:
        until = asyncio.get_running_loop().time() + seconds
        self.published.append((target, seconds))
        self.openings[target] = max(self.openings.get(target, 0.0), until)

    def open_until(self, target: str) -> float:
        return self.openings.get(target, 0.0)


class Broken:
    """A store whose methods fail."""

    def publish(self, target: str, seconds: float) -> None:
        raise ValueError(KEY)

    def open_until(self, target: str) -> float:
        raise ValueError(KEY)


class Service:
    """A client as one of several processes has it, over a first target that can be down."""

    def __init__(self, health: SharedHealth | None, **breaker: Any) -> None:
        self.is_down = True
        self.first = FakeProvider(self.answer, name="openai")
        self.last = FakeProvider(lambda request: "last", name="groq")
        settings: dict[str, Any] = {"failures": 1, "seconds": 15.0} | breaker
        routes = {"pair": Route(TARGETS, breaker=CircuitBreaker(**settings))}
        self.client = AsyncCompletion(providers=[self.first, self.last], routes=routes, route_health=health)

    def answer(self, request: ChatRequest) -> str:
        if self.is_down:
            raise InternalServerError("down", status_code=500)
        return "first"

    async def ask(self) -> str:
        return (await self.client.create("pair", "Hello!", max_retries=0)).text

    @property
    def state(self) -> str:
        return self.client.stats().routes["pair"][0].state

    async def __aenter__(self) -> Service:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()


def test_an_opening_of_one_process_spares_the_others() -> None:
    """Each process would send its own calls into an outage that another one has found."""

    async def check() -> None:
        board = Board()
        async with Service(board) as one, Service(board) as two:
            assert await one.ask() == "last"
            assert board.published == [(next(iter(board.openings)), 15.0)]
            assert await two.ask() == "last"
            assert (len(one.first.requests), len(two.first.requests)) == (1, 0)
            assert (one.state, two.state) == ("open", "open")
            retry_in = two.client.stats().routes["pair"][0].retry_in
            assert retry_in is not None
            assert 14 < retry_in <= 15
            await asyncio.sleep(16)
            one.is_down = two.is_down = False
            assert (one.state, two.state) == ("half_open", "half_open")
            assert (await one.ask(), await two.ask()) == ("first", "first")
            assert (one.state, two.state) == ("closed", "closed")
            assert len(board.published) == 1

    run(check())


def test_a_probe_that_fails_opens_the_others_for_longer() -> None:
    """Other processes would probe at once what has failed again a moment ago."""

    async def check() -> None:
        board = Board()
        async with Service(board) as one, Service(board) as two:
            await one.ask()
            await two.ask()
            await asyncio.sleep(16)
            await one.ask()
            assert [seconds for _, seconds in board.published] == [15.0, 30.0]
            assert await two.ask() == "last"
            assert len(two.first.requests) == 0
            await asyncio.sleep(31)
            await two.ask()
            assert board.published[-1][1] == 60.0

    run(check())


def test_a_circuit_that_closed_is_not_opened_again_by_the_same_opening() -> None:
    """A target that answers would be passed by for the rest of a time that its probe has ended."""

    async def check() -> None:
        board = Board()
        async with Service(board) as one:
            down: Any = FakeProvider(one.answer, name="groq")
            routes = {"pair": Route(TARGETS, breaker=CircuitBreaker(failures=1))}
            async with AsyncCompletion(providers=[one.first, down], routes=routes, route_health=board) as client:
                with pytest.raises(AllTargetsFailedError):
                    await client.create("pair", "Hello!", max_retries=0)
                one.is_down = False
                for _ in range(5):  # all are open, so that a call probes the first
                    assert (await client.create("pair", "Hello!")).text == "first"
                    await asyncio.sleep(0.4)
                assert client.stats().routes["pair"][0].state == "closed"

    run(check())


def test_targets_differ_by_provider_model_and_key_without_showing_them() -> None:
    """A key would stand in Redis, or one tenant's refused key would take the target from all."""

    async def check() -> None:
        board = Board()
        targets = [
            RouteTarget("openai/gpt-4o", name="a", options={"api_key": KEY}),
            RouteTarget("openai/gpt-4o", name="b", options={"api_key": KEY + "2"}),
            RouteTarget("openai/gpt-4o-mini", name="c", options={"api_key": KEY}),
            RouteTarget("groq/llama", name="d", options={"api_key": KEY}),
        ]
        fakes = [FakeProvider(_down, name="openai"), FakeProvider(_down, name="groq")]
        routes = {"all": Route(targets, breaker=CircuitBreaker(failures=1))}
        for _ in range(2):  # the same names in another process
            async with AsyncCompletion(providers=fakes, routes=routes, route_health=board) as client:
                with pytest.raises(APIError):
                    await client.create("all", "Hello!", max_retries=3)
        assert len(board.openings) == 4
        assert all(len(name) == 32 and int(name, 16) >= 0 for name in board.openings)

    run(check())


def _down(request: ChatRequest) -> str:
    raise InternalServerError("down", status_code=500)


async def test_a_store_that_fails_is_as_if_there_were_none(caplog: pytest.LogCaptureFixture) -> None:
    """An error of a user's store would be the error of all calls, or its text would get into the log."""
    with caplog.at_level(logging.WARNING, "anycompletion"):
        async with Service(Broken()) as one:
            assert [await one.ask() for _ in range(3)] == ["last"] * 3
            assert (len(one.first.requests), one.state) == (1, "open")
    failures = [record for record in caplog.records if "route_health" in record.getMessage()]
    assert failures
    assert KEY not in caplog.text


async def test_without_it_nothing_is_shared() -> None:
    """Clients that share nothing would know of each other."""
    async with Service(None) as one, Service(None) as two:
        await one.ask()
        await two.ask()
        assert (len(one.first.requests), len(two.first.requests)) == (1, 1)


@pytest.mark.parametrize("given", [object(), "redis://localhost", SharedHealth])
def test_what_is_no_store_is_refused(given: Any) -> None:
    """A URL in its place would fail in the middle of an outage."""
    if given is SharedHealth:
        assert AsyncCompletion(route_health=Board()) is not None
        return
    with pytest.raises(InvalidRequestError) as caught:
        AsyncCompletion(route_health=given)
    assert caught.value.param == "route_health"


def test_it_pickles_with_the_client() -> None:
    """Worker processes would not share what the client shares."""
    routes = {"pair": Route([RouteTarget("openai/gpt-4o", options={"api_key": EnvKey("TEAM_KEY")})])}
    again = pickle.loads(pickle.dumps(AsyncCompletion(routes=routes, route_health=Board())))  # noqa: S301 (made here)
    assert isinstance(client_state(again).config.route_health, Board)


async def first_key() -> str:
    return "key-of-tenant-a"


async def last_key() -> str:
    return "key-of-tenant-b"


def test_keys_of_functions_are_not_shared() -> None:
    """A target that fails with one key would be passed by with another one, of which no process can tell."""

    async def check() -> None:
        board, fake = Board(), FakeProvider(failing, name="openai")
        targets = [RouteTarget(TARGETS[0], options={"api_key": key}) for key in (first_key, last_key)]
        routes = {"pair": Route(targets, breaker=CircuitBreaker(failures=1))}
        async with AsyncCompletion(providers=[fake], routes=routes, route_health=board) as client:
            with pytest.raises(AllTargetsFailedError):
                await client.create("pair", "Hello!", max_retries=0)
        assert (len(fake.requests), board.published) == (2, [])

    run(check())


def test_accounts_of_aws_have_a_health_each() -> None:
    """An account whose key is wrong would shut all other accounts out."""

    async def check() -> None:
        board, opened = Board(), list[str]()
        for account in ("AKIAA", "AKIAB"):
            target = RouteTarget("bedrock/m", options={"api_key": AWSCredentials(account, "secret")})
            routes = {"one": Route([target], breaker=CircuitBreaker(failures=1))}
            fake = FakeProvider(failing, name="bedrock")
            async with AsyncCompletion(providers=[fake], routes=routes, route_health=board) as client:
                await client.attempt("one", "Hello!", max_retries=0)
                opened.append(f"{account}: {len(fake.requests)}")
        assert (opened, len(board.openings)) == (["AKIAA: 1", "AKIAB: 1"], 2)

    run(check())


def failing(request: ChatRequest) -> str:
    raise InternalServerError("down", status_code=500)
