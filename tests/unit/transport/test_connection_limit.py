"""The limit of open connections: it depends on free descriptors, is fair, and loses nothing by cancellations."""

import asyncio

from anycompletion.transport.connection_limit import ConnectionLimit, free_descriptors


def test_the_limit_is_a_part_of_the_free_descriptors() -> None:
    """The process would run out of descriptors."""
    left = 200

    limit = ConnectionLimit(lambda: left - limit.used)
    while limit.try_acquire():
        pass
    # 64 descriptors are left to the program, and a quarter of the others to other providers.
    assert limit.used == int((200 - 64) * 0.75)


def test_a_few_connections_are_always_allowed() -> None:
    """A process without a free descriptor would wait without end."""
    limit = ConnectionLimit(lambda: 0)
    while limit.try_acquire():
        pass
    assert limit.used == 8


def test_there_is_no_limit_where_the_system_reports_none() -> None:
    """Windows would get the limits of other systems."""
    limit = ConnectionLimit(lambda: None)
    assert all(limit.try_acquire() for _ in range(20_000))


async def test_connections_are_given_first_in_first_out() -> None:
    """A call could starve while others pass."""
    limit = ConnectionLimit(lambda: 0)
    while limit.try_acquire():
        pass
    order: list[int] = []

    async def one(number: int) -> None:
        await limit.acquire()
        order.append(number)

    tasks = [asyncio.create_task(one(number)) for number in range(5)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    for _ in range(4):
        limit.release()
        assert not limit.try_acquire() or not limit.queued
    await asyncio.wait(tasks, timeout=5)
    assert order == [0, 2, 3, 4]


async def test_a_connection_given_to_a_cancelled_waiter_is_not_lost() -> None:
    """Cancelled calls would use up the connections."""
    limit = ConnectionLimit(lambda: 0)
    while limit.try_acquire():
        pass
    waiter = asyncio.create_task(limit.acquire())
    await asyncio.sleep(0)
    limit.release()
    waiter.cancel()
    await asyncio.wait([waiter])
    assert limit.used == 7
    assert limit.try_acquire()


def test_on_exhausted_lowers_the_limit() -> None:
    """A process that ran out of descriptors would fail to open connections again and again."""
    left = 1000
    limit = ConnectionLimit(lambda: left)
    for _ in range(100):
        assert limit.try_acquire()
    left = 0
    limit.on_exhausted()
    assert not limit.try_acquire()


def test_free_descriptors_are_counted() -> None:
    """The limit would be computed from a wrong number."""
    free = free_descriptors()
    assert free is None or free > 0
