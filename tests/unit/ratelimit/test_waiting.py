"""Rests that calls share, and slots that run out: in turn, no faster than the provider answers, nothing lost."""

import asyncio

import pytest

from anycompletion.ratelimit.cooldown import Cooldown
from anycompletion.transport.connection_limit import ConnectionLimit, free_descriptors

# --- rests ----------------------------------------------------------------------------------------------------------


def no_jitter() -> float:
    return 0.0


async def arrivals(rest: Cooldown, number: int) -> list[float]:
    """When each of so many who ask at once is let through."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    times: list[float] = []

    async def one() -> None:
        await rest.wait()
        times.append(loop.time() - start)

    async with asyncio.timeout(10):
        await asyncio.gather(*(one() for _ in range(number)))
    return times


async def test_nobody_waits_where_nobody_was_told_to() -> None:
    """Every call would pay for rests that there are not."""
    rest = Cooldown()
    assert rest.until == 0
    assert rest.expected(asyncio.get_running_loop().time()) == 0
    assert not rest.is_active()
    await rest.wait()


async def test_a_rest_lasts_as_long_as_the_provider_asked_and_ends_one_by_one() -> None:
    """All calls that waited would go at once, and be told to wait again."""
    rest = Cooldown()
    now = asyncio.get_running_loop().time()
    for _ in range(10):
        rest.record_success(now)
    rest.start(0.2, now, no_jitter)
    assert rest.is_active()
    times = await arrivals(rest, 6)
    assert times[0] >= 0.19
    # Ten answers per hint were seen, so ten calls per hint are sent.
    assert times[-1] - times[0] >= 5 * 0.02 * 0.8


async def test_those_who_wait_go_in_the_order_of_asking() -> None:
    """A call could wait for ever while later ones pass."""
    rest = Cooldown()
    rest.start(0.05, asyncio.get_running_loop().time(), no_jitter)
    order: list[int] = []

    async def one(number: int) -> None:
        await rest.wait()
        order.append(number)

    async with asyncio.timeout(10):
        await asyncio.gather(*(one(number) for number in range(20)))
    assert order == list(range(20))


async def test_a_longer_hint_lengthens_a_rest_and_a_shorter_one_does_not() -> None:
    """Answers to what had been sent before would end a rest early."""
    rest, now = Cooldown(), asyncio.get_running_loop().time()
    rest.start(5, now, no_jitter)
    rest.start(1, now, no_jitter)
    assert rest.until == now + 5
    rest.start(9, now, lambda: 1.0)
    assert rest.until == pytest.approx(now + 9.9)


async def test_a_new_rest_holds_those_who_still_wait() -> None:
    """A second 429 would be answered with the calls that the first one held back."""
    rest, loop = Cooldown(), asyncio.get_running_loop()
    rest.start(0.05, loop.time(), no_jitter)
    waiting = asyncio.create_task(arrivals(rest, 2))
    await asyncio.sleep(0.02)
    rest.start(0.2, loop.time(), no_jitter)
    assert min(await waiting) >= 0.2


async def test_who_is_cancelled_leaves_the_line() -> None:
    """A cancelled call would take the turn of one that waits."""
    rest = Cooldown()
    rest.start(0.05, asyncio.get_running_loop().time(), no_jitter)
    gone = [asyncio.create_task(rest.wait()) for _ in range(50)]
    last = asyncio.create_task(rest.wait())
    await asyncio.sleep(0)
    for task in gone:
        task.cancel()
    async with asyncio.timeout(5):
        await last


async def test_closing_wakes_everybody() -> None:
    """A closed client would leave calls waiting for a minute."""
    rest = Cooldown()
    rest.start(60, asyncio.get_running_loop().time(), no_jitter)
    waiting = [asyncio.create_task(rest.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    rest.wake()
    async with asyncio.timeout(5):
        await asyncio.gather(*waiting)


async def test_what_is_expected_is_what_happens() -> None:
    """A call whose time is too short would wait in vain, or one that has time enough would be turned away."""
    rest, loop = Cooldown(), asyncio.get_running_loop()
    rest.start(0.1, loop.time(), no_jitter)
    others = [asyncio.create_task(rest.wait()) for _ in range(4)]
    await asyncio.sleep(0)
    expected = rest.expected(loop.time())
    assert 0.1 <= expected <= 0.2
    (took,) = await arrivals(rest, 1)
    assert expected * 0.7 <= took <= expected + 1
    await asyncio.gather(*others)


async def test_good_times_return() -> None:
    """One 429 would slow all calls of a client for as long as it lives."""
    rest = Cooldown()
    now = asyncio.get_running_loop().time() - 3600
    rest.start(1, now, no_jitter)
    await rest.wait()
    assert rest.until == 0


# --- slots ----------------------------------------------------------------------------------------------------------


def test_slots_are_given_out_as_the_system_allows() -> None:
    """More connections would be opened than the process may have."""
    left = 200

    slots = ConnectionLimit(lambda: left - slots.used)
    while slots.try_acquire():
        pass
    # 64 are left to others, and a quarter of the rest to other providers.
    assert slots.used == int((200 - 64) * 0.75)


def test_a_few_are_given_out_in_any_case() -> None:
    """A process without a free descriptor would wait for ever for one to come back."""
    slots = ConnectionLimit(lambda: 0)
    while slots.try_acquire():
        pass
    assert slots.used == 8


def test_slots_have_no_end_where_nobody_knows_one() -> None:
    """Windows would be held to the limits of other systems."""
    slots = ConnectionLimit(lambda: None)
    assert all(slots.try_acquire() for _ in range(20_000))


async def test_slots_go_to_those_who_wait_in_their_order() -> None:
    """A call could starve in the queue while others pass."""
    slots = ConnectionLimit(lambda: 0)
    while slots.try_acquire():
        pass
    order: list[int] = []

    async def one(number: int) -> None:
        await slots.acquire()
        order.append(number)

    tasks = [asyncio.create_task(one(number)) for number in range(5)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    for _ in range(4):
        slots.release()
        assert not slots.try_acquire() or not slots.queued
    await asyncio.wait(tasks, timeout=5)
    assert order == [0, 2, 3, 4]


async def test_a_slot_handed_to_a_cancelled_waiter_is_not_lost() -> None:
    """Cancelled calls would use up the connections one by one."""
    slots = ConnectionLimit(lambda: 0)
    while slots.try_acquire():
        pass
    waiter = asyncio.create_task(slots.acquire())
    await asyncio.sleep(0)
    slots.release()
    waiter.cancel()
    await asyncio.wait([waiter])
    assert slots.used == 7
    assert slots.try_acquire()


def test_a_refused_descriptor_lowers_what_is_known_to_fit() -> None:
    """A process that ran out of descriptors would go on running into the same wall."""
    left = 1000
    slots = ConnectionLimit(lambda: left)
    for _ in range(100):
        assert slots.try_acquire()
    left = 0
    slots.on_exhausted()
    assert not slots.try_acquire()


def test_the_system_tells_what_is_free() -> None:
    """The bound would rest on a number that nobody counted."""
    free = free_descriptors()
    assert free is None or free > 0
