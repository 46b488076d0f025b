"""`RedisStore`: replies that machines share; outages of Redis delay no call."""

import asyncio
import logging
import pickle
import signal
import socket
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from anycompletion import AsyncCompletion, ClientClosedError, ConfigurationError, InvalidRequestError, RateLimit
from anycompletion.caching import cached
from anycompletion.testing import FakeProvider

pytest.importorskip("redis", reason="the extra redis is not installed")
pytest.importorskip("throttled", reason="the extra redis is not installed")
from redis.asyncio import Redis

from anycompletion.integrations.redis import RedisHealth, RedisRateLimiter, RedisStore
from support.redis_server import RedisServer, requires_redis

PASSWORD = "canary-password-1f8e"
MODEL = "openai/gpt-4o"


@pytest.fixture
async def store(redis: RedisServer) -> AsyncIterator[RedisStore]:
    """A store on the server."""
    async with RedisStore(redis.url, timeout=5) as made:
        yield made


def with_server(test: Any) -> Any:
    """Marks a test that needs the server."""
    for mark in requires_redis:
        test = mark(test)
    return test


@with_server
async def test_values_are_stored_replaced_and_removed(store: RedisStore) -> None:
    """A value would not be found, or come back after it was removed."""
    assert await store.get(":1") is None
    await store.set(":1", b"x", None)
    await store.set(":1", b"\0y\xff" * 10_000, None)
    assert await store.get(":1") == b"\0y\xff" * 10_000
    await store.delete(":1")
    await store.delete(":1")
    assert await store.get(":1") is None


@with_server
async def test_lifetimes_end(store: RedisStore) -> None:
    """A value would be given after its time."""
    await store.set(":1", b"x", 0.05)
    await store.set(":2", b"x", 1000)
    assert await store.get(":1") == b"x"
    await asyncio.sleep(0.1)
    assert (await store.get(":1"), await store.get(":2")) == (None, b"x")


@with_server
async def test_a_namespace_is_cleared_alone(store: RedisStore, redis: RedisServer) -> None:
    """Clearing one tenant would clear others, or what else is in the database."""
    keys = (":1", "a:1", "a:2", "ab:1", "a:b:1", "*:1", "a*:1", "[ab]:1", "é:1")
    for key in keys:
        await store.set(key, b"x", None)
    async with RedisStore(redis.url, prefix="other:", timeout=5) as other:
        await other.set("a:1", b"y", None)
        assert await store.clear("a") == 2
        assert [key for key in keys if await store.get(key)] == [key for key in keys if key not in ("a:1", "a:2")]
        assert (await store.clear("*"), await store.clear("[ab]"), await store.clear("é")) == (1, 1, 1)
        assert await store.clear() == 4
        assert await other.get("a:1") == b"y"


@with_server
async def test_clearing_leaves_what_else_is_shared(redis: RedisServer) -> None:
    """Clearing the replies would forget which targets fail, and let all processes send more than their limits."""
    limits = {"openai": RateLimit(requests_per_minute=60)}
    async with (
        RedisStore(redis.url, timeout=5) as store,
        RedisHealth(redis.url) as health,
        RedisRateLimiter(limits, url=redis.url) as limiter,
        Redis.from_url(redis.url) as client,
    ):
        await store.set(":1", b"x", None)
        health.publish("0123456789abcdef0123456789abcdef", 60)
        await health.aclose()
        await limiter.acquire("openai/gpt-4o", requests=1, tokens=1)
        before: set[bytes] = set(await client.keys("*"))
        assert await store.clear() == 1
        after: set[bytes] = set(await client.keys("*"))
        assert (len(before - after), len(after)) == (1, 2)


@with_server
async def test_two_clients_share_their_replies(redis: RedisServer) -> None:
    """Each machine would pay for the same reply."""
    fake = FakeProvider("reply")
    for number in range(2):
        async with (
            RedisStore(redis.url, timeout=5) as store,
            AsyncCompletion(providers=[fake], middleware=[cached(store)]) as client,
        ):
            reply = await client.create(MODEL, "Hi")
            assert (reply.text, reply.info.cached) == ("reply", bool(number))


OTHER_PROCESS = """
import asyncio, sys
from anycompletion.integrations.redis import RedisStore

async def main():
    async with RedisStore(sys.argv[1], timeout=5) as store:
        assert await store.get(":1") == b"from the first"
        await store.set(":2", b"from the second", 60)

asyncio.run(main())
"""


@with_server
async def test_two_processes_share_their_values(store: RedisStore, redis: RedisServer) -> None:
    """A worker process would not find what another one has stored."""
    await store.set(":1", b"from the first", None)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", OTHER_PROCESS, redis.url)
    assert await process.wait() == 0
    assert await store.get(":2") == b"from the second"


OTHER_CLIENT = """
import asyncio, sys
from anycompletion import AsyncCompletion
from anycompletion.caching import cached
from anycompletion.integrations.redis import RedisStore
from anycompletion.testing import FakeProvider

async def main():
    fake = FakeProvider(lambda request: "from the other process")
    async with (
        RedisStore(sys.argv[1], timeout=5) as store,
        AsyncCompletion(providers=[fake], middleware=[cached(store)]) as client,
    ):
        for stream in (False, True):
            reply = await client.create("openai/gpt-4o", f"Hi {stream}", stream=stream)
            if stream:
                reply = await reply.get_final_completion()
            assert not reply.info.cached

asyncio.run(main())
"""


@with_server
async def test_a_reply_of_one_process_answers_the_calls_of_another(redis: RedisServer) -> None:
    """Keys of two processes would differ, so that each one would pay for its replies."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", OTHER_CLIENT, redis.url)
    assert await process.wait() == 0
    fake = FakeProvider()
    async with (
        RedisStore(redis.url, timeout=5) as store,
        AsyncCompletion(providers=[fake], middleware=[cached(store)]) as client,
    ):
        whole = await client.create(MODEL, "Hi False")
        async with client.stream(MODEL, "Hi True") as stream:
            streamed = await stream.get_final_completion()
    assert [(reply.text, reply.info.cached) for reply in (whole, streamed)] == [("from the other process", True)] * 2
    assert not fake.requests


@with_server
async def test_a_redis_that_hangs_or_is_away_is_as_if_nothing_were_stored(
    redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """An outage of Redis would be an outage of the app."""
    fake = FakeProvider(lambda request: "reply")
    async with (
        RedisStore(redis.url, timeout=0.05) as store,
        AsyncCompletion(providers=[fake], middleware=[cached(store)]) as client,
    ):
        with caplog.at_level(logging.WARNING, "anycompletion"):
            for name, action in (("hangs", signal.SIGSTOP), ("goes on", signal.SIGCONT)):
                redis.process.send_signal(action)
                for _number in range(3):
                    assert (await client.create(MODEL, name)).text == "reply"
            redis.stop()
            try:
                for _number in range(3):
                    assert (await client.create(MODEL, "away")).text == "reply"
            finally:
                redis.start()
        assert len(caplog.records) == 1
        for _number in range(100):
            if (await client.create(MODEL, "back")).info.cached:
                break
            await asyncio.sleep(0.01)
        else:
            raise AssertionError("the store is not used again")


async def test_a_server_that_answers_nothing_costs_no_more_than_the_timeout() -> None:
    """Every call would wait for a connection that is never answered."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with RedisStore(f"redis://127.0.0.1:{silent.getsockname()[1]}", timeout=0.05) as store:
            for action in (store.get(":1"), store.set(":1", b"x", 5), store.delete(":1")):
                async with asyncio.timeout(10):
                    with pytest.raises((TimeoutError, OSError, Exception)) as failed:
                        await action
                assert "imeout" in type(failed.value).__name__


async def test_a_store_belongs_to_one_event_loop_and_is_closed_once(unused_port: int) -> None:
    """A connection of another loop would hang, or a closed store seem to work."""
    store = RedisStore(f"redis://127.0.0.1:{unused_port}", timeout=1)
    with pytest.raises(Exception, match="Connect"):
        await store.get(":1")

    async def use() -> None:
        with pytest.raises(ClientClosedError, match="event loop"):
            await store.get(":1")

    await asyncio.to_thread(asyncio.run, use())
    await store.aclose()
    await store.aclose()
    with pytest.raises(ClientClosedError, match="closed"):
        await store.get(":1")


@pytest.fixture
def unused_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def test_a_password_is_shown_nowhere() -> None:
    """A log, an error or a pickle would have the password of the database."""
    for url in (f"redis://:{PASSWORD}@localhost/0", f"redis://localhost/0?password={PASSWORD}"):
        store = RedisStore(url)
        assert PASSWORD not in f"{store!r} {store!s} {vars(store)}"
        with pytest.raises(TypeError, match="password") as refused:
            pickle.dumps(store)
        assert PASSWORD not in str(refused.value)
    with pytest.raises(ConfigurationError) as wrong:
        RedisStore(f"http://user:{PASSWORD}@localhost")
    assert PASSWORD not in str(wrong.value)


def test_a_store_without_a_password_pickles() -> None:
    """A client with a store in Redis could not be sent to a worker process."""
    store = RedisStore("redis://localhost:6379/3", prefix="x:", timeout=1.5)
    copied: Any = pickle.loads(pickle.dumps(store))  # noqa: S301 (pickled here)
    assert repr(copied) == repr(store) == "<RedisStore 'x:'>"


@pytest.mark.parametrize("timeout", [0, -1, "1", True, float("nan")])
def test_a_wrong_timeout_is_refused(timeout: Any) -> None:
    """A store would wait for ever, or never find anything."""
    with pytest.raises(InvalidRequestError, match="timeout"):
        RedisStore("redis://localhost", timeout=timeout)


@pytest.mark.parametrize("url", ["", "localhost:6379", "http://localhost", None, b"redis://localhost"])
def test_a_wrong_url_is_refused(url: Any) -> None:
    """The first call would fail in place of the start."""
    with pytest.raises(ConfigurationError, match="redis://"):
        RedisStore(url)
