"""A process of the tests of `SQLiteStore`: sets and gets values, and ends with an error where one is not whole.

``python store_worker.py PATH SEED COUNT``
"""

from __future__ import annotations

import asyncio
import random
import sys
from hashlib import sha256

from anycompletion.caching import SQLiteStore

KEYS = 200


def value_of(number: int, version: int = 0) -> bytes:
    """The value of a key: its number, a version, and a text that depends on both."""
    return b"%d %d " % (number, version) + sha256(b"%d %d" % (number, version)).hexdigest().encode() * 20


def check_value(value: bytes | None, number: int) -> None:
    """Raises an AssertionError unless it is one of the values of this key, or none."""
    if value is not None:
        found, version, _ = value.split(b" ", 2)
        assert int(found) == number
        assert value == value_of(number, int(version))


def report(text: str) -> None:
    """Writes a line to the process that started this one."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def work(path: str, seed: int, count: int) -> None:
    """Makes `count` calls, half of them in groups."""
    choose = random.Random(seed)  # noqa: S311 (nothing secret)

    async def one() -> None:
        number = choose.randrange(KEYS)
        if choose.random() < 0.5:
            await store.set(f":{number}", value_of(number, choose.randrange(5)), None)
        else:
            check_value(await store.get(f":{number}"), number)

    async with SQLiteStore(path) as store:
        await one()
        report("started")
        for step in range(0, count, 20):
            await asyncio.gather(*[one() for _ in range(10)])
            for _ in range(10):
                await one()
            if step % 100 == 0:
                report(str(step))
    report("ended")


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
