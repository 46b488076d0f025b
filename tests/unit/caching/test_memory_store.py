"""Tests of `MemoryStore`: its size, its lifetimes, and what it counts."""

from __future__ import annotations

import asyncio
import copy
import pickle
import tracemalloc
from collections import OrderedDict
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anycompletion import InvalidRequestError
from anycompletion.caching import CacheStats, MemoryStore
from support import virtual_clock


def run(main: Coroutine[Any, Any, None]) -> None:
    """Runs in virtual time."""
    virtual_clock.run(main)


async def test_values_are_stored_replaced_and_removed() -> None:
    """A value would not be found, or come back after it was removed."""
    async with MemoryStore() as store:
        assert await store.get("a:1") is None
        await store.set("a:1", b"x", None)
        await store.set("a:1", b"y", None)
        await store.set("b:1", b"z", 60)
        assert (await store.get("a:1"), await store.get("b:1")) == (b"y", b"z")
        await store.delete("a:1")
        await store.delete("a:1")
        assert await store.get("a:1") is None
        assert store.stats == CacheStats(hits=2, misses=2, entries=1, bytes=store.stats.bytes)


async def test_a_namespace_is_cleared_alone() -> None:
    """Clearing one tenant would clear others, whose names begin alike."""
    store = MemoryStore()
    for key in (":1", "a:1", "a:2", "ab:1", "a:b:1"):
        await store.set(key, b"x", None)
    assert await store.clear("a") == 2
    assert [key for key in (":1", "a:1", "a:2", "ab:1", "a:b:1") if await store.get(key)] == [":1", "ab:1", "a:b:1"]
    assert await store.clear() == 3
    assert store.stats.bytes == 0


async def test_the_least_recently_used_values_go_first() -> None:
    """Values that are used all the time would be dropped for new ones."""
    store = MemoryStore(max_bytes=8000)
    for number in range(6):
        await store.set(f":{number}", b"x" * 800, None)
    assert await store.get(":0")
    for number in range(6, 10):
        await store.set(f":{number}", b"x" * 800, None)
    kept = [number for number in range(10) if await store.get(f":{number}")]
    assert 0 in kept
    assert 1 not in kept
    assert 9 in kept
    assert store.stats.bytes <= 8000


async def test_a_value_that_takes_much_of_the_store_is_not_stored() -> None:
    """One reply would drop all others."""
    store = MemoryStore(max_bytes=8000)
    await store.set(":1", b"x", None)
    await store.set(":2", b"x" * 2000, None)
    assert await store.get(":2") is None
    await store.set(":1", b"x" * 2000, None)
    assert await store.get(":1") is None  # the old value is not that of this key any more


def test_lifetimes_end() -> None:
    """A value would be given after its time, or keep its memory until it is asked for."""

    async def main() -> None:
        store = MemoryStore()
        await store.set(":1", b"x", 10)
        await store.set(":2", b"x", 10)
        await store.set(":2", b"y", 1000)
        await store.set(":3", b"x", None)
        await asyncio.sleep(9.9)
        assert await store.get(":1") == b"x"
        await asyncio.sleep(0.2)
        assert [await store.get(f":{number}") for number in (1, 2, 3)] == [None, b"y", b"x"]
        for number in range(50):
            await store.set(f":n{number}", b"x", 10)
        await asyncio.sleep(20)
        before = store.stats.entries
        await store.set(":4", b"x", None)
        assert store.stats.entries == before - 20 + 1

    run(main())


def test_values_with_lifetimes_that_are_replaced_leave_nothing() -> None:
    """A value that is refreshed again and again would fill the memory."""

    async def main() -> None:
        store = MemoryStore(max_bytes=100_000)
        for _ in range(5_000):
            await store.set(":1", b"x", 1e6)
        size = tracemalloc.get_traced_memory()[0]
        for _ in range(5_000):
            await store.set(":1", b"x", 1e6)
        assert tracemalloc.get_traced_memory()[0] - size < 50_000

    tracemalloc.start()
    try:
        run(main())
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("size", "ttl"), [(10, None), (10, 3600.0), (300, None), (3000, 3600.0)])
async def test_the_memory_stays_within_the_limit(size: int, ttl: float | None) -> None:
    """A process would take more memory than its operator allowed."""
    limit = 1_000_000
    tracemalloc.start()
    try:
        store = MemoryStore(max_bytes=limit)
        base = tracemalloc.get_traced_memory()[0]
        for number in range(3 * limit // (size + 400)):
            await store.set(f":{number:064}", bytes(size), ttl)
        assert tracemalloc.get_traced_memory()[0] - base <= limit * 1.05
        assert store.stats.bytes > limit * 0.9
    finally:
        tracemalloc.stop()


KEYS = st.sampled_from([":a", ":b", "n:a", "n:b"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["get", "set", "delete", "clear"]), KEYS, st.binary(max_size=300))))
def test_it_behaves_as_an_ordered_dict(steps: list[tuple[str, str, bytes]]) -> None:
    """A sequence of calls would lose a value, or count its bytes twice."""

    async def main() -> None:
        store, model = MemoryStore(max_bytes=1 << 20), OrderedDict[str, bytes]()
        for action, key, value in steps:
            match action:
                case "set":
                    await store.set(key, value, None)
                    model[key] = value
                case "get":
                    assert await store.get(key) == model.get(key)
                case "delete":
                    await store.delete(key)
                    model.pop(key, None)
                case _:
                    assert await store.clear("n") == sum(each.startswith("n:") for each in model)
                    model = OrderedDict({each: kept for each, kept in model.items() if each.startswith(":")})
        assert store.stats.entries == len(model)
        assert bool(store.stats.bytes) == bool(model)

    asyncio.run(main())


def test_it_does_not_pickle() -> None:
    """A worker process would start with an empty cache, unnoticed."""
    for copied in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="SQLiteStore"):
            copied(MemoryStore())
    assert repr(MemoryStore()) == "<MemoryStore 0 entries, 0 bytes>"


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "1", None])
def test_a_wrong_size_is_refused(wrong: Any) -> None:
    """A store of no size would store nothing, silently."""
    with pytest.raises(InvalidRequestError, match="max_bytes"):
        MemoryStore(max_bytes=wrong)
