"""Cooldowns after a 429: order, length, cancellation; and storms of calls against simulated providers."""

import asyncio
import random

import pytest

from anycompletion.ratelimit.cooldown import Cooldown
from support.virtual_clock import run

# --- waiting ---------------------------------------------------------------------------------------------------------


def no_jitter() -> float:
    return 0.0


async def arrivals(cooldown: Cooldown, number: int) -> list[float]:
    """The times at which so many simultaneous calls are let through."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    times: list[float] = []

    async def one() -> None:
        await cooldown.wait()
        times.append(loop.time() - start)

    async with asyncio.timeout(10):
        await asyncio.gather(*(one() for _ in range(number)))
    return times


async def test_without_a_429_calls_do_not_wait() -> None:
    """Every call would spend time on cooldowns that do not exist."""
    cooldown = Cooldown()
    assert cooldown.until == 0
    assert cooldown.expected(asyncio.get_running_loop().time()) == 0
    assert not cooldown.is_cooling_down()
    await cooldown.wait()


async def test_after_the_hint_calls_are_let_through_one_by_one() -> None:
    """All waiting calls would be sent at once and refused again."""
    cooldown = Cooldown()
    now = asyncio.get_running_loop().time()
    for _ in range(10):
        cooldown.record_success(now)
    cooldown.start(0.2, now, no_jitter)
    assert cooldown.is_cooling_down()
    times = await arrivals(cooldown, 6)
    assert times[0] >= 0.19
    # There were ten successes per hint, so ten calls per hint are sent.
    assert times[-1] - times[0] >= 5 * 0.02 * 0.8


async def test_calls_are_let_through_first_in_first_out() -> None:
    """A call could wait without end while later ones pass."""
    cooldown = Cooldown()
    cooldown.start(0.05, asyncio.get_running_loop().time(), no_jitter)
    order: list[int] = []

    async def one(number: int) -> None:
        await cooldown.wait()
        order.append(number)

    async with asyncio.timeout(10):
        await asyncio.gather(*(one(number) for number in range(20)))
    assert order == list(range(20))


async def test_a_longer_hint_lengthens_a_cooldown_and_a_shorter_one_does_not() -> None:
    """Late responses to earlier requests would end a cooldown early."""
    cooldown, now = Cooldown(), asyncio.get_running_loop().time()
    cooldown.start(5, now, no_jitter)
    cooldown.start(1, now, no_jitter)
    assert cooldown.until == now + 5
    cooldown.start(9, now, lambda: 1.0)
    assert cooldown.until == pytest.approx(now + 9.9)


async def test_a_new_cooldown_applies_to_calls_that_still_wait() -> None:
    """After a second 429, the calls that wait since the first one would be sent."""
    cooldown, loop = Cooldown(), asyncio.get_running_loop()
    cooldown.start(0.05, loop.time(), no_jitter)
    waiting = asyncio.create_task(arrivals(cooldown, 2))
    await asyncio.sleep(0.02)
    cooldown.start(0.2, loop.time(), no_jitter)
    assert min(await waiting) >= 0.2


async def test_a_cancelled_call_leaves_the_queue() -> None:
    """A cancelled call would take the place of one that waits."""
    cooldown = Cooldown()
    cooldown.start(0.05, asyncio.get_running_loop().time(), no_jitter)
    cancelled = [asyncio.create_task(cooldown.wait()) for _ in range(50)]
    last = asyncio.create_task(cooldown.wait())
    await asyncio.sleep(0)
    for task in cancelled:
        task.cancel()
    async with asyncio.timeout(5):
        await last


async def test_wake_lets_all_calls_through() -> None:
    """The calls of a closed client would wait for a minute."""
    cooldown = Cooldown()
    cooldown.start(60, asyncio.get_running_loop().time(), no_jitter)
    waiting = [asyncio.create_task(cooldown.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    cooldown.wake()
    async with asyncio.timeout(5):
        await asyncio.gather(*waiting)


async def test_the_expected_wait_is_close_to_the_real_one() -> None:
    """A call with too little time would wait in vain, or one with enough time would fail."""
    cooldown, loop = Cooldown(), asyncio.get_running_loop()
    cooldown.start(0.1, loop.time(), no_jitter)
    earlier = [asyncio.create_task(cooldown.wait()) for _ in range(4)]
    await asyncio.sleep(0)
    expected = cooldown.expected(loop.time())
    assert 0.1 <= expected <= 0.2
    (took,) = await arrivals(cooldown, 1)
    assert expected * 0.7 <= took <= expected + 1
    await asyncio.gather(*earlier)


async def test_the_queue_and_the_remaining_time_are_reported() -> None:
    """The statistics of a client would not show why its calls wait."""
    cooldown, now = Cooldown(), asyncio.get_running_loop().time()
    assert (cooldown.queued, cooldown.remaining(now)) == (0, None)
    cooldown.start(60, now, no_jitter)
    waiting = [asyncio.create_task(cooldown.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    assert cooldown.queued == 3
    assert cooldown.remaining(now + 20) == pytest.approx(40)
    assert cooldown.remaining(now + 60) is None
    waiting[0].cancel()
    await asyncio.wait(waiting[:1])
    assert cooldown.queued == 2
    cooldown.wake()
    await asyncio.wait(waiting)
    assert cooldown.queued == 0


async def test_a_cooldown_becomes_inactive_again() -> None:
    """One 429 would slow down all calls of a client for good."""
    cooldown = Cooldown()
    now = asyncio.get_running_loop().time() - 3600
    cooldown.start(1, now, no_jitter)
    await cooldown.wait()
    assert cooldown.until == 0


@pytest.mark.parametrize("hint", [0.05, 1.0, 20.0, 60.0])
@pytest.mark.parametrize("refusals", [1, 3])
def test_calls_are_at_full_pace_within_seconds_of_success(hint: float, refusals: int) -> None:
    """A model that was refused for a moment would be slow for minutes afterwards."""

    async def main() -> tuple[list[float], float]:
        cooldown, loop = Cooldown(), asyncio.get_running_loop()
        for _ in range(refusals):
            await cooldown.wait()
            await asyncio.sleep(0.05)
            cooldown.start(hint, loop.time(), random.Random(1).random)  # noqa: S311 (no secret)
        times: list[float] = []

        async def one() -> None:
            await cooldown.wait()
            times.append(loop.time() - end)

        end = cooldown.until
        expected = cooldown.expected(loop.time()) - (end - loop.time())
        waiting = [asyncio.ensure_future(one()) for _ in range(100)]
        await asyncio.sleep(0)
        expected = max(expected, cooldown.expected(loop.time()) - (end - loop.time()))
        await asyncio.gather(*waiting)
        await asyncio.sleep(max(0.0, end + 5 - loop.time()))
        assert cooldown.expected(loop.time()) == 0 or not cooldown.until
        return times, expected

    times, expected = run(main())
    assert times[0] <= 0.01
    assert times[-1] <= 5
    assert expected <= 5.01


# --- against simulated providers, in virtual time --------------------------------------------------------------------

RATE = 50


class Provider:
    """Provider that takes so many requests per second; its hints are exact or in whole seconds."""

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
        """Sends one request; returns 0 for a success, or else the seconds to wait."""
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


async def call(provider: Provider, cooldown: Cooldown, rng: random.Random) -> int:
    """One call that keeps the cooldown; returns its number of attempts."""
    loop = asyncio.get_running_loop()
    call_start, attempts = loop.time(), 0
    while True:
        while cooldown.until:
            await cooldown.wait()
            if not cooldown.is_cooling_down():
                break
        attempts += 1
        wait = await provider.ask()
        if not wait:
            cooldown.record_success(call_start)
            return attempts
        cooldown.start(wait, loop.time(), rng.random)


@pytest.mark.parametrize("latency", [0.02, 2.0])
@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("kind", ["bucket", "window"])
@pytest.mark.parametrize("start", [0.0, 0.97])
def test_a_storm_of_calls_settles_at_the_rate_of_the_provider(
    kind: str, exact: bool, latency: float, start: float
) -> None:
    """A thousand refused calls would be sent again at once, again and again, until they fail."""
    provider, rng = Provider(kind, exact, latency), random.Random(1)  # noqa: S311 (no secret)

    async def main() -> list[int]:
        await asyncio.sleep(start)  # it may begin just before a window of the provider ends
        cooldown = Cooldown()

        async def one(number: int) -> int:
            await asyncio.sleep(number * 0.0003)
            return await call(provider, cooldown, rng)

        return await asyncio.gather(*(one(number) for number in range(1000)))

    assert max(run(main())) <= 3
    assert len(provider.seen) <= 1050
    assert provider.busiest() <= (1.9 if latency < 1 else 2) * RATE
    assert provider.seen[-1] - provider.seen[0] <= 1000 / RATE * 1.7


def test_a_measured_rate_is_used_and_follows_the_provider() -> None:
    """A provider would refuse calls every second, or be called at an outdated rate for good."""
    provider, rng = Provider("bucket", False, 0.2), random.Random(1)  # noqa: S311 (no secret)

    async def main() -> list[float]:
        cooldown, loop = Cooldown(), asyncio.get_running_loop()
        start = loop.time()

        async def work() -> None:
            while loop.time() < start + 180:
                await call(provider, cooldown, rng)

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
