"""Rests in virtual time: storms of calls against providers that count in their own ways, and rates that change."""

import asyncio
import random

import pytest

from anycompletion.ratelimit.cooldown import Cooldown
from support.virtual_clock import run

RATE = 50


class Provider:
    """Lets so many a second pass; tells all others how long to wait, exactly or in whole seconds."""

    def __init__(self, kind: str, exact: bool, latency: float) -> None:
        self.rate = float(RATE)
        self._kind, self._exact, self._latency = kind, exact, latency
        self._level, self._at, self._window, self._number = self.rate, 0.0, -1.0, 0
        self.seen: list[float] = []
        self.refused: list[float] = []

    def _wait(self, now: float) -> float:
        if self._kind == "bucket":
            self._level, self._at = min(self.rate, self._level + (now - self._at) * self.rate), now
            if self._level >= 1:
                self._level -= 1
                return 0.0
            return (1 - self._level) / self.rate + 0.001 if self._exact else 1.0
        window, into = divmod(now, 1.0)
        self._number = self._number + 1 if window == self._window else 1
        self._window = window
        if self._number <= self.rate:
            return 0.0
        return 1.001 - into if self._exact else 1.0

    async def ask(self) -> float:
        """One request; 0 where it was answered, else seconds to wait."""
        await asyncio.sleep(0.001)
        now = asyncio.get_running_loop().time()
        self.seen.append(now)
        wait = self._wait(now)
        if wait:
            self.refused.append(now)
        else:
            await asyncio.sleep(self._latency)
        return wait

    def busiest(self) -> int:
        """Requests in the busiest second after the first."""
        late = [at for at in self.seen if at >= self.seen[0] + 1]
        return max(sum(first <= at < first + 1 for at in late) for first in late)


async def call(provider: Provider, rest: Cooldown, rng: random.Random) -> int:
    """One call that keeps the rests of all; how often it was tried."""
    loop = asyncio.get_running_loop()
    asked, tried = loop.time(), 0
    while True:
        while rest.until:
            await rest.wait()
            if not rest.is_active():
                break
        tried += 1
        wait = await provider.ask()
        if not wait:
            rest.record_success(asked)
            return tried
        rest.start(wait, loop.time(), rng.random)


@pytest.mark.parametrize("latency", [0.02, 2.0])
@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("kind", ["bucket", "window"])
@pytest.mark.parametrize("start", [0.0, 0.97])
def test_a_storm_comes_home_at_the_providers_pace(kind: str, exact: bool, latency: float, start: float) -> None:
    """A thousand calls that were told to wait would come back as a thousand, again and again, until they give up."""
    provider, rng = Provider(kind, exact, latency), random.Random(1)  # noqa: S311 (no secret)

    async def main() -> list[int]:
        await asyncio.sleep(start)  # it may begin just before the provider counts anew
        rest = Cooldown()

        async def one(number: int) -> int:
            await asyncio.sleep(number * 0.0003)
            return await call(provider, rest, rng)

        return await asyncio.gather(*(one(number) for number in range(1000)))

    assert max(run(main())) <= 3
    assert len(provider.seen) <= 1050
    assert provider.busiest() <= 2 * RATE
    assert provider.seen[-1] - provider.seen[0] <= 1000 / RATE * 1.7


def test_a_rate_that_is_known_is_kept_and_then_tried_and_a_lower_one_is_found() -> None:
    """A provider would be made to refuse every second; or asked for what it gave once, for ever."""
    provider, rng = Provider("bucket", False, 0.2), random.Random(1)  # noqa: S311 (no secret)

    async def main() -> list[float]:
        rest, loop = Cooldown(), asyncio.get_running_loop()
        start = loop.time()

        async def work() -> None:
            while loop.time() < start + 180:
                await call(provider, rest, rng)

        tasks = [asyncio.ensure_future(work()) for _ in range(100)]
        await asyncio.sleep(90)
        provider.rate = RATE / 5
        await asyncio.gather(*tasks)
        return [at - start for at in (*provider.refused,)]

    refused = run(main())
    assert len([at for at in refused if 20 < at < 90]) <= 30
    assert len([at for at in refused if 120 < at < 180]) <= 30
    seen = [at - provider.seen[0] for at in provider.seen]
    assert len([at for at in seen if 20 < at < 80]) >= 0.9 * 60 * RATE
    assert len([at for at in seen if 120 < at < 170]) >= 0.85 * 50 * RATE / 5


@pytest.mark.parametrize(("hint", "longest"), [(0.002, 0.02), (0.5, 0.5), (20, 20)])
async def test_a_provider_that_refuses_at_random_does_not_bring_calls_to_a_halt(hint: float, longest: float) -> None:
    """Each refusal would slow all calls down, without an end, although every other one is answered."""
    rest, now = Cooldown(), asyncio.get_running_loop().time()
    for _ in range(100):
        rest.start(hint, now, lambda: 0.0)
        now = rest.until + rest._rate._interval
        rest.record_success(now)
    assert rest._rate._interval <= longest


async def test_answers_of_long_ago_tell_nothing_of_the_rate() -> None:
    """A service that was quiet for a night would go on at the pace of the night."""
    rest, now = Cooldown(), asyncio.get_running_loop().time()
    for second in range(1000):
        rest.record_success(now - 100_000 + 50 * second)
    for _ in range(100):
        rest.record_success(now - 1)
    rest.start(1, now, lambda: 0.0)
    assert rest._rate._interval <= 2 / 100
