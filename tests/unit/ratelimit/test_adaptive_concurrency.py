"""How many calls a provider takes at a time, found out; alone, and together with the rests that a 429 asks for."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from anycompletion.ratelimit.adaptive_concurrency import AdaptiveConcurrency
from anycompletion.ratelimit.cooldown import Cooldown
from support.virtual_clock import run

# --- the rule -----------------------------------------------------------------------------------------------------


def fill(each: AdaptiveConcurrency) -> int:
    """Begins as many calls as may be in flight; how many that is."""
    begun = 0
    while each._in_flight < each.limit:
        each.on_start()
        begun += 1
    return begun


def rounds(each: AdaptiveConcurrency, number: int) -> list[int]:
    """The limit after each of so many rounds in which all goes well."""
    limits: list[int] = []
    for _ in range(number):
        fill(each)
        for _ in range(each._in_flight):
            each.on_end()
        limits.append(each.limit)
    return limits


def test_it_doubles_while_all_goes_well() -> None:
    """A provider that takes hundreds at a time would be found out about in an hour."""
    assert rounds(AdaptiveConcurrency(), 6) == [32, 64, 128, 256, 512, 512]
    assert rounds(AdaptiveConcurrency(start=4, most=10), 3) == [8, 10, 10]
    assert AdaptiveConcurrency(start=16, most=8).limit == 8


def test_it_does_not_grow_where_the_limit_is_not_what_holds_calls_back() -> None:
    """A slow hour would raise it to its most, and the next busy one would be refused."""
    each = AdaptiveConcurrency()
    for _ in range(1000):
        each.on_start()
        each.on_end()
    assert each.limit == 16


def test_a_refusal_halves_it_once_for_all_that_is_in_flight() -> None:
    """Thirty refusals of one moment would bring it down to one."""
    each = AdaptiveConcurrency()
    rounds(each, 2)
    in_flight = fill(each)
    assert in_flight == 64
    for _ in range(30):
        each.on_throttled()
    assert each.limit == 32
    for _ in range(in_flight):
        each.on_end(throttled=True)
    assert each.limit == 32
    fill(each)
    each.on_throttled()
    assert each.limit == 16


def test_it_comes_back_to_just_below_where_it_was_refused_and_stays_there() -> None:
    """Every probe costs a refusal, and where that means a rest for all, it costs that too."""
    each = AdaptiveConcurrency()
    rounds(each, 2)
    fill(each)
    each.on_throttled()
    assert each.limit == 32
    limits = rounds(each, 6)
    assert limits[-3:] == [60, 60, 60]
    assert max(rounds(each, 12)) > 64


def test_the_same_ceiling_is_tried_more_and_more_seldom() -> None:
    """A provider whose capacity does not change would be made to refuse every few seconds."""
    each = AdaptiveConcurrency(start=100)
    calm: list[int] = []
    for _ in range(4):
        number = 0
        while each.limit <= 100:
            rounds(each, 1)
            number += 1
        while each._in_flight < 101:
            each.on_start()
        each.on_throttled()
        for _ in range(each._in_flight):
            each.on_end()
        calm.append(number)
    assert 3 < calm[1] < calm[2] < calm[3] < 40


def test_it_never_falls_below_one() -> None:
    """A batch would stand still for good."""
    each = AdaptiveConcurrency()
    for _ in range(50):
        each.on_start()
        each.on_throttled()
        each.on_end(throttled=True)
    assert each.limit == 1
    assert rounds(each, 400)[-1] > 1


# --- against providers, in virtual time -----------------------------------------------------------------------------

Answer = Callable[[], Awaitable[float | None]]
"""None is a good answer, a number one to wait for: 0 without a hint."""


class Provider:
    """Takes so many at a time, or so many a second; the rest it refuses."""

    def __init__(self, at_once: int | None, rate: float | None, latency: float, rng: random.Random) -> None:
        self.at_once, self.rate, self._latency, self._rng = at_once, rate, latency, rng
        self._level, self._at = rate or 0.0, 0.0
        self.busy = self.good = self.refused = 0

    def capacity(self) -> float:
        """Answers a second."""
        return self.rate or (self.at_once or 0) / self._latency

    def _wait(self) -> float | None:
        if self.at_once is not None:
            return 0.0 if self.busy >= self.at_once else None
        assert self.rate is not None
        now = asyncio.get_running_loop().time()
        self._level, self._at = min(self.rate, self._level + (now - self._at) * self.rate), now
        if self._level < 1:
            return 1.0
        self._level -= 1
        return None

    async def ask(self) -> float | None:
        """One request."""
        wait = self._wait()
        if wait is not None:
            self.refused += 1
            return wait
        self.busy += 1
        try:
            await asyncio.sleep(self._latency * self._rng.uniform(0.7, 1.3))
        finally:
            self.busy -= 1
        self.good += 1
        return None


async def one(provider: Provider, rest: Cooldown, each: AdaptiveConcurrency, rng: random.Random) -> bool:
    """A call as it is made: it keeps the rests of all, and is tried three times; whether it was refused in the end."""
    loop = asyncio.get_running_loop()
    asked = loop.time()
    for tried in range(3):
        while rest.until:
            await rest.wait()
            if not rest.is_active():
                break
        wait = await provider.ask()
        if wait is None:
            rest.record_success(asked)
            return False
        each.on_throttled()
        if wait:
            rest.start(wait, loop.time(), rng.random)
        elif tried < 2:
            await asyncio.sleep(0.5 * 2**tried * (1 - 0.25 * rng.random()))
    return True


async def batch(provider: Provider, change: Callable[[], None], half: float, rng: random.Random) -> float:
    """As many calls at a time as it says, for twice `half` seconds; what was answered, of what could have been."""
    each, rest, loop = AdaptiveConcurrency(), Cooldown(), asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()
    could = 0.0

    async def call() -> None:
        refused = True
        try:
            refused = await one(provider, rest, each, rng)
        finally:
            each.on_end(throttled=refused)

    for act in (change, lambda: None):
        end = loop.time() + half
        could += provider.capacity() * half
        while (left := end - loop.time()) > 0:
            while len(tasks) < each.limit:
                each.on_start()
                task = asyncio.ensure_future(call())
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await asyncio.wait(tasks, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        act()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return provider.good / could


@pytest.mark.parametrize("seed", [1])
@pytest.mark.parametrize(("before", "after"), [(20, 40), (40, 20)])
def test_it_uses_what_a_provider_takes_at_a_time(before: int, after: int, seed: int) -> None:
    """A batch would leave a tenth of what it pays for unused, or be refused all the time."""
    rng = random.Random(seed)  # noqa: S311 (no secret)
    provider = Provider(before, None, 2.0, rng)

    def change() -> None:
        provider.at_once = after

    used = run(batch(provider, change, 300.0, rng))
    assert used >= 0.9
    assert provider.refused < 0.05 * (provider.good + provider.refused)


@pytest.mark.parametrize("seed", [1])
@pytest.mark.parametrize(("before", "after"), [(25, 50), (50, 25)])
def test_it_uses_what_a_provider_takes_in_a_second(before: int, after: int, seed: int) -> None:
    """The same, where a provider counts requests and not those that are under way."""
    rng = random.Random(seed)  # noqa: S311 (no secret)
    provider = Provider(None, before, 0.5, rng)

    def change() -> None:
        provider.rate = after

    used = run(batch(provider, change, 100.0, rng))
    assert used >= 0.9
    assert provider.refused < 0.05 * (provider.good + provider.refused)
