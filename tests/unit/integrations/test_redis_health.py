"""`RedisHealth`: processes learn of each other's openings; outages of Redis delay no call and lose no opening."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import signal
import socket
import sys
from typing import Any

import pytest

from anycompletion import AsyncCompletion, ConfigurationError, InvalidRequestError
from anycompletion.routing import CircuitBreaker, Route
from anycompletion.testing import FakeProvider

pytest.importorskip("redis", reason="the extra redis is not installed")
from anycompletion.integrations.redis import RedisHealth
from support.redis_server import RedisServer, requires_redis

PASSWORD = "canary-password-73ab"
TARGET = "0123456789abcdef0123456789abcdef"


def with_server(test: Any) -> Any:
    """Marks a test that needs the server."""
    for mark in requires_redis:
        test = mark(test)
    return test


async def opened(health: RedisHealth, target: str = TARGET) -> float:
    """When the opening of a target ends, once it is known; 0.0 if it is not within some reads."""
    for _ in range(300):
        until = health.open_until(target)
        if until:
            return until
        await asyncio.sleep(0.01)
    return 0.0


async def commands(redis: RedisServer, name: bytes) -> int:
    """How many commands of a kind the server has answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", redis.port)
    writer.write(b"INFO commandstats\r\n")
    text = await reader.readexactly(int((await reader.readline())[1:]))
    writer.close()
    for line in text.splitlines():
        if line.startswith(b"cmdstat_" + name + b":calls="):
            return int(line.partition(b"=")[2].partition(b",")[0])
    return 0


@with_server
async def test_an_opening_reaches_others_with_its_end(redis: RedisServer) -> None:
    """Another process would pass a target by for ever, or not at all."""
    async with RedisHealth(redis.url) as one, RedisHealth(redis.url) as two:
        clock = asyncio.get_running_loop().time
        one.publish(TARGET, 20)
        one.publish("other", 0.3)
        until = await opened(two)
        assert 18 < until - clock() <= 20
        await asyncio.sleep(1.1)
        assert two.open_until("other") <= clock()
        assert two.open_until("unknown") == 0.0


@with_server
async def test_a_shorter_opening_does_not_shorten_a_longer_one(redis: RedisServer) -> None:
    """A process that has just begun to count failures would end the long pause of one that knows the target."""
    async with RedisHealth(redis.url) as one, RedisHealth(redis.url) as two:
        one.publish(TARGET, 300)
        await asyncio.sleep(0.05)
        two.publish(TARGET, 5)
        async with RedisHealth(redis.url) as three:
            assert await opened(three) - asyncio.get_running_loop().time() > 200


@with_server
@pytest.mark.parametrize("query", ["?decode_responses=True", "?protocol=3"])
async def test_options_of_the_url_change_nothing(redis: RedisServer, query: str) -> None:
    """An option that suits other users of the URL would keep this process from reading."""
    async with RedisHealth(redis.url) as one, RedisHealth(redis.url + query) as two:
        one.publish(TARGET, 20)
        assert await opened(two) > 0


@with_server
async def test_what_is_over_leaves_nothing_in_redis(redis: RedisServer) -> None:
    """Redis would fill up with the names of targets."""
    async with RedisHealth(redis.url) as health:
        health.publish(TARGET, 0.05)
        await asyncio.sleep(0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", redis.port)
    writer.write(b"DBSIZE\r\n")
    assert await reader.readline() == b":0\r\n"
    writer.close()


@with_server
async def test_many_calls_read_once_a_second(redis: RedisServer) -> None:
    """Each call would cost Redis a request."""
    async with RedisHealth(redis.url) as health:
        before = await commands(redis, b"eval")
        for _ in range(50):
            for target in range(100):
                health.open_until(str(target))
            await asyncio.sleep(0.001)
        assert await commands(redis, b"eval") - before == 1
        await asyncio.sleep(1.1)
        assert await commands(redis, b"eval") - before == 1  # without calls, nothing is read


@with_server
async def test_openings_are_published_when_redis_is_back(redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """An outage of Redis would delay calls, fill the log, or lose what others should know."""
    async with RedisHealth(redis.url, timeout=0.05) as one, RedisHealth(redis.url) as two:
        one.open_until("unknown")
        await asyncio.sleep(0.05)
        with caplog.at_level(logging.WARNING, "anycompletion"):
            redis.process.send_signal(signal.SIGSTOP)
            try:
                one.publish(TARGET, 30)
                for _ in range(3):
                    assert one.open_until("unknown") == 0.0
                    await asyncio.sleep(0.4)
            finally:
                redis.process.send_signal(signal.SIGCONT)
            for _ in range(300):
                one.open_until("unknown")
                if two.open_until(TARGET):
                    break
                await asyncio.sleep(0.01)
        assert two.open_until(TARGET) > 0
        assert [record.ac_event for record in caplog.records] == ["redis_unreachable"]  # type: ignore[attr-defined]


async def test_a_redis_that_is_away_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Calls would fail, or wait, because nothing is shared."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"redis://:{PASSWORD}@127.0.0.1:{free.getsockname()[1]}"
    fake = FakeProvider(lambda request: "reply")
    with caplog.at_level(logging.WARNING, "anycompletion"):
        async with (
            RedisHealth(url) as health,
            AsyncCompletion(providers=[fake], routes={"one": Route(["openai/gpt-4o"])}, route_health=health) as client,
        ):
            for _ in range(5):
                assert (await client.create("one", "Hello!")).text == "reply"
                await asyncio.sleep(0.01)
    assert len(caplog.records) == 1
    assert PASSWORD not in caplog.text


OTHER_PROCESS = """
import asyncio, sys
from anycompletion import AsyncCompletion, InternalServerError
from anycompletion.integrations.redis import RedisHealth
from anycompletion.routing import CircuitBreaker, Route
from anycompletion.testing import FakeProvider

def down(request):
    raise InternalServerError("down", status_code=500)

async def main():
    fakes = [FakeProvider(down, name="openai"), FakeProvider("last", name="groq")]
    routes = {"pair": Route(["openai/gpt-4o", "groq/llama"], breaker=CircuitBreaker(failures=1, seconds=60))}
    async with (
        RedisHealth(sys.argv[1]) as health,
        AsyncCompletion(providers=fakes, routes=routes, route_health=health) as client,
    ):
        assert (await client.create("pair", "Hello!")).text == "last"

asyncio.run(main())
"""


@with_server
async def test_two_processes_know_of_one_outage(redis: RedisServer) -> None:
    """Each worker process would send its own calls to a target that another one knows to be down."""
    environment = {**os.environ, "OPENAI_API_KEY": "sk-shared-1", "GROQ_API_KEY": "gsk-shared-1"}
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", OTHER_PROCESS, redis.url, env=environment)
    assert await process.wait() == 0
    fakes = [FakeProvider(lambda request: "first", name="openai"), FakeProvider(lambda request: "last", name="groq")]
    routes = {"pair": Route(["openai/gpt-4o", "groq/llama"], breaker=CircuitBreaker(failures=1))}
    async with (
        RedisHealth(redis.url) as health,
        AsyncCompletion(providers=fakes, routes=routes, route_health=health) as client,
    ):
        for _ in range(300):
            if client.stats().routes["pair"][0].state == "open":
                break
            await client.create("pair", "Hello!")
            await asyncio.sleep(0.01)
        before = len(fakes[0].requests)
        assert (await client.create("pair", "Hello!")).text == "last"
        assert len(fakes[0].requests) == before


def test_a_health_in_another_loop_is_as_if_there_were_none(caplog: pytest.LogCaptureFixture) -> None:
    """A call would fail, or a connection would be used by two loops."""
    health = RedisHealth("redis://127.0.0.1:1", timeout=0.2)

    async def use() -> None:
        health.publish(TARGET, 5)
        assert health.open_until(TARGET) == 0.0
        await asyncio.sleep(0.05)

    with caplog.at_level(logging.WARNING, "anycompletion"):
        asyncio.run(use())
        asyncio.run(use())
    asyncio.run(health.aclose())
    assert len(caplog.records) == 1


async def test_it_shows_no_password() -> None:
    """A password would stand in a log, or in a pickle."""
    health = RedisHealth(f"redis://:{PASSWORD}@localhost", prefix="mine:")
    assert PASSWORD not in repr(health)
    assert "mine:" in repr(health)
    with pytest.raises(TypeError, match="password"):
        pickle.dumps(health)
    await health.aclose()
    await health.aclose()
    health.publish(TARGET, 5)
    assert health.open_until(TARGET) == 0.0


async def test_it_pickles_without_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that shares its health could not be sent to worker processes."""
    monkeypatch.setenv("REDIS_URL", f"redis://:{PASSWORD}@localhost")
    for health in (RedisHealth("redis://localhost", prefix="mine:"), RedisHealth(prefix="mine:")):
        data = pickle.dumps(health)
        assert PASSWORD.encode() not in data
        again = pickle.loads(data)  # noqa: S301 (made here)
        assert repr(again) == repr(health)


def test_wrong_arguments_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake would show in the middle of an outage."""
    monkeypatch.delenv("REDIS_URL", raising=False)
    with pytest.raises(ConfigurationError, match="REDIS_URL"):
        RedisHealth()
    for url in (f"http://:{PASSWORD}@localhost", f"redis://:{PASSWORD}@localhost:port", "redis://h?socket_timeout=abc"):
        with pytest.raises(ConfigurationError) as refused:
            RedisHealth(url)
        assert PASSWORD not in str(refused.value)
    timeout: Any
    for timeout in (0, -1, True, "1"):
        with pytest.raises(InvalidRequestError):
            RedisHealth("redis://localhost", timeout=timeout)
