"""Adaptive concurrency: the rule alone, and together with cooldowns against simulated providers."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from anycompletion.ratelimit.adaptive_concurrency import AdaptiveConcurrency
from anycompletion.ratelimit.cooldown import Cooldown
from support.virtual_clock import run

# --- the rule --------------------------------------------------------------------------------------------------------


def fill(concurrency: AdaptiveConcurrency) -> int:
    """Starts calls up to the limit, and returns their number."""
    started = 0
    while concurrency.in_flight < concurrency.limit:
        concurrency.on_start()
        started += 1
    return started


def rounds(concurrency: AdaptiveConcurrency, number: int) -> list[int]:
    """The limit after each of so many rounds without a refusal."""
    limits: list[int] = []
    for _ in range(number):
        fill(concurrency)
        for _ in range(concurrency.in_flight):
            concurrency.on_end()
        limits.append(concurrency.limit)
    return limits


def test_it_doubles_while_nothing_is_refused() -> None:
    """Reaching the capacity of a large provider would take an hour."""
    assert rounds(AdaptiveConcurrency(), 6) == [32, 64, 128, 256, 512, 512]
    assert rounds(AdaptiveConcurrency(start=4, most=10), 3) == [8, 10, 10]
    assert AdaptiveConcurrency(start=16, most=8).limit == 8


def test_it_does_not_grow_while_it_is_not_used() -> None:
    """A quiet hour would raise it to its maximum, and the requests after it would be refused."""
    concurrency = AdaptiveConcurrency()
    for _ in range(1000):
        concurrency.on_start()
        concurrency.on_end()
    assert concurrency.limit == 16


def test_only_answers_raise_it() -> None:
    """Requests that time out in a queue of this client would make it send more."""
    concurrency = AdaptiveConcurrency()
    for _ in range(10):
        fill(concurrency)
        for _ in range(concurrency.in_flight):
            concurrency.on_end(answered=False)
    assert concurrency.limit == 16


def test_failures_halve_it_once_for_all_requests_in_flight_and_show_no_ceiling() -> None:
    """An outage would make it send more, or leave it at one request after the outage."""
    concurrency = AdaptiveConcurrency()
    rounds(concurrency, 2)
    for _ in range(fill(concurrency)):
        concurrency.on_failed()
        concurrency.on_end(answered=False)
    assert concurrency.limit == 32
    assert rounds(concurrency, 4) == [64, 128, 256, 512]


def test_many_refusals_halve_it_once_for_all_requests_in_flight() -> None:
    """Thirty refusals of one moment would reduce it to one request, or a provider that takes less would get as much."""
    concurrency = AdaptiveConcurrency()
    rounds(concurrency, 2)
    in_flight = fill(concurrency)
    assert in_flight == 64
    for request in range(30):
        concurrency.on_throttled(request)
    assert concurrency.limit == 31
    for _ in range(in_flight):
        concurrency.on_end(answered=False)
    assert concurrency.limit == 31
    rounds(concurrency, 1)
    for request in range(fill(concurrency)):
        concurrency.on_throttled(request)
    assert concurrency.limit == 24


def test_the_attempts_of_one_request_count_as_one_refused_request() -> None:
    """A single request whose retries are refused would halve the limit of a batch with few requests in flight."""
    concurrency = AdaptiveConcurrency()
    in_flight = fill(concurrency)
    for _ in range(3):
        concurrency.on_throttled("first")
    concurrency.on_end(answered=False)
    assert (in_flight, concurrency.limit) == (16, 15)
    concurrency.on_throttled("second")
    assert concurrency.limit == 7


def test_refusals_of_everything_show_no_ceiling() -> None:
    """A moment in which a provider refuses everything would leave a batch at a few requests for minutes."""
    concurrency = AdaptiveConcurrency()
    rounds(concurrency, 2)
    for _ in range(6):
        for request in range(fill(concurrency)):
            concurrency.on_throttled(request)
        for _ in range(concurrency.in_flight):
            concurrency.on_end(answered=False)
    assert concurrency.limit == 1
    assert rounds(concurrency, 6)[-1] == 62


def test_answers_to_requests_from_before_a_halving_do_not_raise_it() -> None:
    """A provider that takes half of what it took would be sent nearly as much at once, and refuse most of it."""
    concurrency = AdaptiveConcurrency()
    rounds(concurrency, 2)
    in_flight = fill(concurrency)
    for request in range(10):
        concurrency.on_throttled(request)
    for _ in range(in_flight - 1):
        concurrency.on_end()
        while concurrency.in_flight < concurrency.limit:
            concurrency.on_start()
        assert concurrency.limit == 31
    assert rounds(concurrency, 2)[-1] > 40


def test_one_refusal_lowers_it_to_just_below_the_ceiling_where_it_stays_for_a_while() -> None:
    """Every trial would cost half of the capacity for a moment; or a refusal, and a cooldown where it starts one."""
    concurrency = AdaptiveConcurrency()
    rounds(concurrency, 2)
    fill(concurrency)
    concurrency.on_throttled("refused")
    assert concurrency.limit == 62
    assert rounds(concurrency, 4) == [62, 62, 62, 62]
    assert max(rounds(concurrency, 12)) > 64


def test_the_same_ceiling_is_tried_less_and_less_often() -> None:
    """A provider of constant capacity would refuse calls every few seconds."""
    concurrency = AdaptiveConcurrency(start=100)
    calm: list[int] = []
    for _ in range(4):
        number = 0
        while concurrency.limit <= 100:
            rounds(concurrency, 1)
            number += 1
        while concurrency.in_flight < 101:
            concurrency.on_start()
        concurrency.on_throttled("refused")
        for _ in range(concurrency.in_flight):
            concurrency.on_end()
        calm.append(number)
    assert 3 < calm[1] < calm[2] <= calm[3] < 20


def test_it_never_falls_below_one() -> None:
    """A batch would stop for successes."""
    concurrency = AdaptiveConcurrency()
    for request in range(50):
        concurrency.on_start()
        concurrency.on_throttled(request)
        concurrency.on_end(answered=False)
    assert concurrency.limit == 1
    assert rounds(concurrency, 400)[-1] > 1


# --- against simulated providers, in virtual time --------------------------------------------------------------------

Attempt = Callable[[], Awaitable[float | None]]
"""Returns None for a success, or else the seconds to wait: 0 for a refusal without a hint."""


class Provider:
    """Provider that takes so many calls at a time, or so many per second, and refuses the others.

    `network` is how many seconds a request, and its answer, are under way.
    """

    def __init__(
        self, at_once: int | None, rate: float | None, latency: float, rng: random.Random, network: float = 0.0
    ) -> None:
        self.at_once, self.rate, self._latency, self._rng, self._network = at_once, rate, latency, rng, network
        self._level, self._at = rate or 0.0, 0.0
        self.in_flight = self.successes = self.refused = self.failed = 0

    async def _travel(self) -> None:
        if self._network:
            await asyncio.sleep(self._network * self._rng.uniform(0.4, 1.6))

    def rate_of_successes(self) -> float:
        """Possible successes per second."""
        return self.rate or (self.at_once or 0) / self._latency

    def _wait(self) -> float | None:
        if self.at_once is not None:
            return 0.0 if self.in_flight >= self.at_once else None
        assert self.rate is not None
        now = asyncio.get_running_loop().time()
        self._level, self._at = min(self.rate, self._level + (now - self._at) * self.rate), now
        if self._level < 1:
            return 1.0
        self._level -= 1
        return None

    async def ask(self) -> float | None:
        """Sends a request."""
        await self._travel()
        wait = self._wait()
        if wait is not None:
            self.refused += 1
            await self._travel()
            return wait
        self.in_flight += 1
        try:
            await asyncio.sleep(self._latency * self._rng.uniform(0.7, 1.3))
        finally:
            self.in_flight -= 1
        self.successes += 1
        await self._travel()
        return None


async def call_with_retries(
    provider: Provider, cooldown: Cooldown, on_throttled: Callable[[], None], rng: random.Random
) -> bool:
    """One call with cooldowns and three attempts; returns whether the last one was refused."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    for tried in range(3):
        while cooldown.until:
            await cooldown.wait()
            if not cooldown.is_cooling_down():
                break
        wait = await provider.ask()
        if wait is None:
            cooldown.record_success(started)
            return False
        on_throttled()
        if wait:
            cooldown.start(wait, loop.time(), rng.random)
        elif tried < 2:
            await asyncio.sleep(0.5 * 2**tried * (1 - 0.25 * rng.random()))
    return True


async def batch(provider: Provider, change: Callable[[], None], half: float, rng: random.Random) -> float:
    """Makes as many calls as the limit allows, for 2 × `half` seconds; returns the used part of the capacity."""
    concurrency, cooldown, loop = AdaptiveConcurrency(), Cooldown(), asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()
    capacity = 0.0

    async def call() -> None:
        refused = True
        try:
            refused = await call_with_retries(provider, cooldown, partial(concurrency.on_throttled, object()), rng)
            provider.failed += refused
        finally:
            concurrency.on_end(answered=not refused)

    for act in (change, lambda: None):
        end = loop.time() + half
        capacity += provider.rate_of_successes() * half
        while (left := end - loop.time()) > 0:
            while len(tasks) < concurrency.limit:
                concurrency.on_start()
                task = asyncio.ensure_future(call())
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await asyncio.wait(tasks, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        act()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return provider.successes / capacity


@pytest.mark.parametrize("seed", [1])
@pytest.mark.parametrize(
    ("before", "after", "latency", "half", "network", "least"),
    [
        (20, 40, 2.0, 300.0, 0.0, 0.93),
        (40, 20, 2.0, 300.0, 0.0, 0.93),
        (40, 80, 0.5, 90.0, 0.0, 0.93),
        (80, 40, 0.5, 90.0, 0.0, 0.93),
        (40, 80, 0.5, 90.0, 0.01, 0.9),
        (80, 40, 0.5, 90.0, 0.01, 0.9),
        (60, 200, 2.0, 120.0, 0.05, 0.85),
        (200, 60, 2.0, 120.0, 0.05, 0.85),
    ],
)
def test_it_uses_the_concurrency_of_a_provider(
    before: int, after: int, latency: float, half: float, network: float, least: float, seed: int
) -> None:
    """A batch would leave capacity unused, or be refused all the time, or lose items where a capacity falls."""
    rng = random.Random(seed)  # noqa: S311 (no secret)
    provider = Provider(before, None, latency, rng, network)

    def change() -> None:
        provider.at_once = after

    used = run(batch(provider, change, half, rng))
    assert used >= least
    assert provider.refused < 0.05 * (provider.successes + provider.refused)
    assert provider.failed < 0.01 * provider.successes


@pytest.mark.parametrize("seed", [1])
@pytest.mark.parametrize(("before", "after"), [(25, 50), (50, 25)])
def test_it_uses_the_rate_of_a_provider(before: int, after: int, seed: int) -> None:
    """The same, for a provider that limits requests per second."""
    rng = random.Random(seed)  # noqa: S311 (no secret)
    provider = Provider(None, before, 0.5, rng)

    def change() -> None:
        provider.rate = after

    used = run(batch(provider, change, 100.0, rng))
    assert used >= 0.9
    assert provider.refused < 0.05 * (provider.successes + provider.refused)
