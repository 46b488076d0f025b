"""A limit that processes share through Redis: it holds for all of them together, in turn, and a lost Redis is said."""

import asyncio
import logging
import os
import pickle
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from anycompletion import (
    APIConnectionError,
    AsyncCompletion,
    ClientClosedError,
    ConfigurationError,
    InvalidRequestError,
    RateLimit,
)
from anycompletion.testing import SimulatorServer

pytest.importorskip("throttled", reason="the extra redis is not installed")
from anycompletion.integrations.redis import RedisRateLimiter

pytestmark = [
    pytest.mark.redis,
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server: apt-get install redis-server"),
]

ROOT = Path(__file__).parents[3]
KEY = "openai/m"


class Redis:
    """A server of this test's own, without a disk."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._folder = folder
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        options = {"port": self.port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": self._folder}
        command = ["redis-server", *(str(word) for name, value in options.items() for word in (f"--{name}", value))]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        for _ in range(1000):
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.01)
        raise RuntimeError("redis-server did not start")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    started = Redis(tmp_path_factory.mktemp("redis"))
    yield started
    started.stop()


@pytest.fixture
def redis(server: Redis) -> Redis:
    """The same, with nothing in it."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"FLUSHALL\r\n")
        assert connection.recv(100) == b"+OK\r\n"
    return server


@asynccontextmanager
async def limiter(
    redis: Redis, limit: RateLimit, name: str = "openai", **options: Any
) -> AsyncGenerator[RedisRateLimiter]:
    async with RedisRateLimiter({name: limit}, url=redis.url, **options) as made, asyncio.timeout(60):
        yield made


async def took(each: RedisRateLimiter, *costs: int) -> list[float]:
    """When each of so many that ask at once may go."""
    start = time.monotonic()
    went: list[float] = []

    async def one(cost: int) -> None:
        await each.acquire(KEY, requests=1, tokens=cost)
        went.append(time.monotonic() - start)

    await asyncio.gather(*(one(cost) for cost in costs))
    return went


# --- one process ----------------------------------------------------------------------------------------------------


async def test_what_fits_goes_at_once_and_the_rest_at_the_rate(redis: Redis) -> None:
    """The limit would not hold, or every call would wait for nothing."""
    async with limiter(redis, RateLimit(requests_per_minute=6000)) as shared:
        went = await took(shared, *([1] * 340))  # three hundred at once, then a hundred a second
    assert went[-1] >= 0.39
    assert went[100] < 0.39


async def test_two_limiters_share_one_limit(redis: Redis) -> None:
    """Each process would take the whole limit for itself."""
    limit = RateLimit(tokens_per_minute=60_000)
    async with limiter(redis, limit) as one, limiter(redis, limit) as other:
        went = await asyncio.gather(took(one, *([100] * 17)), took(other, *([100] * 17)))
        assert max(went[0][-1], went[1][-1]) >= 0.38
    # and not those that have another prefix
    async with limiter(redis, limit, prefix="elsewhere") as third:
        assert (await took(third, 3000))[-1] < 0.38


async def test_a_request_larger_than_the_burst_is_not_starved(redis: Redis) -> None:
    """It would never fit, or wait for as long as small ones of another process keep coming."""
    limit = RateLimit(tokens_per_minute=60_000)
    async with limiter(redis, limit) as one, limiter(redis, limit) as other:
        await took(one, 3000)
        small = asyncio.ensure_future(took(other, *([100] * 100)))
        await asyncio.sleep(0.2)
        (large,) = await took(one, 3500)
        assert large < 5
        small.cancel()
        await asyncio.wait([small])


async def test_what_a_reply_took_is_settled(redis: Redis) -> None:
    """A limit would go on counting estimates, which are often ten times what is used."""
    async with limiter(redis, RateLimit(tokens_per_minute=60_000)) as shared:
        await took(shared, 6000)
        shared.settle(KEY, estimated=6000, actual=100)
        await asyncio.sleep(0.1)
        assert (await took(shared, 2500))[-1] < 1
        shared.settle(KEY, estimated=2500, actual=3900)
        await asyncio.sleep(0.1)
        # 4,000 are taken, 3,000 may be at once, and a few came back meanwhile.
        assert (await took(shared, 1))[-1] >= 0.3


async def test_who_gives_up_takes_nothing(redis: Redis) -> None:
    """Cancelled calls would use up what others could have."""
    async with limiter(redis, RateLimit(tokens_per_minute=60_000)) as shared:
        await took(shared, 3000)
        waiting = [asyncio.ensure_future(shared.acquire(KEY, requests=1, tokens=20_000)) for _ in range(3)]
        await asyncio.sleep(0.1)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        assert all(task.cancelled() for task in waiting)
        await asyncio.sleep(0.1)
        assert (await took(shared, 500))[-1] < 5


async def test_a_model_has_its_own_limit_and_its_providers(redis: Redis) -> None:
    """One of the two would be ignored, or a limit would hold for somebody else."""
    limits = {"openai": RateLimit(tokens_per_minute=60_000), "openai/m": RateLimit(requests_per_minute=600)}
    async with RedisRateLimiter(limits, url=redis.url) as shared, asyncio.timeout(30):
        start = time.monotonic()
        for _ in range(34):  # thirty at once, then ten a second
            await shared.acquire(KEY, requests=1, tokens=1)
        assert time.monotonic() - start >= 0.38
        start = time.monotonic()
        for _ in range(2):
            await shared.acquire("openai/other", requests=1, tokens=1600)
        assert time.monotonic() - start >= 0.15
        for _ in range(100):
            await shared.acquire("cohere/m", requests=1, tokens=10_000)


async def test_a_client_uses_it_and_settles(redis: Redis) -> None:
    """Calls would pass it by."""
    async with (
        SimulatorServer() as sim,
        limiter(redis, RateLimit(tokens_per_minute=60_000), name=KEY) as shared,
        AsyncCompletion(
            base_urls={"openai": sim.base_urls["openai"]},
            api_keys={"openai": sim.api_keys["openai"]},
            rate_limiter=shared,
        ) as client,
    ):
        start = time.monotonic()
        for _ in range(5):
            await client.create("openai/m", "Hi.", max_tokens=2900)
        # Fifteen thousand were estimated, which take twelve seconds; hardly any were used.
        assert time.monotonic() - start < 6


# --- a lost Redis ---------------------------------------------------------------------------------------------------


async def test_a_lost_redis_is_an_error_of_ours_and_a_found_one_is_used_again(tmp_path: Path) -> None:
    """A call would fail with what no documentation of this package speaks of, or never again succeed."""
    redis = Redis(tmp_path)
    try:
        async with limiter(redis, RateLimit(requests_per_minute=60_000)) as shared:
            await took(shared, 1)
            redis.stop()
            with pytest.raises(APIConnectionError, match="cannot be reached") as lost:
                await shared.acquire(KEY, requests=1, tokens=1)
            assert lost.value.phase == "limits"
            shared.settle(KEY, estimated=5, actual=1)
            redis.start()
            await took(shared, 1)
    finally:
        redis.stop()


async def test_a_limiter_that_fails_open_lets_all_go_and_says_it_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A service would stand still because its Redis does, or nobody would know that there is no limit."""
    redis = Redis(tmp_path)
    redis.stop()
    with caplog.at_level(logging.INFO, "anycompletion"):
        async with limiter(redis, RateLimit(requests_per_minute=1), fail_open=True) as shared:
            await took(shared, *([1] * 5))
    (said,) = (record.getMessage() for record in caplog.records)
    assert said.startswith("the Redis that shares rate limits cannot be reached")
    assert said.endswith("requests are not limited")


async def test_a_redis_that_is_mute_does_not_hold_calls_for_ever() -> None:
    """Every call would hang for as long as its own timeout lets it."""

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(mute, "127.0.0.1", 0)
    async with silent, asyncio.timeout(30):
        url = f"redis://127.0.0.1:{silent.sockets[0].getsockname()[1]}"
        async with RedisRateLimiter({"openai": RateLimit(requests_per_minute=1)}, url=url, timeout=0.1) as shared:
            with pytest.raises(APIConnectionError, match="cannot be reached"):
                await shared.acquire(KEY, requests=1, tokens=1)


# --- what it is made of ---------------------------------------------------------------------------------------------


async def test_after_its_close_it_says_so(redis: Redis) -> None:
    """A request would go without a limit, or open connections that nobody closes."""
    async with limiter(redis, RateLimit(requests_per_minute=60)) as shared:
        await took(shared, 1)
    await shared.aclose()
    with pytest.raises(ClientClosedError, match="was closed"):
        await shared.acquire(KEY, requests=1, tokens=1)


def test_it_belongs_to_one_loop(redis: Redis) -> None:
    """Connections of another loop would fail with errors that nobody understands."""
    shared = RedisRateLimiter({"openai": RateLimit(requests_per_minute=60)}, url=redis.url)

    async def once(*, close: bool) -> None:
        try:
            await shared.acquire(KEY, requests=1, tokens=1)
        finally:
            if close:
                await shared.aclose()

    with asyncio.Runner() as first, asyncio.Runner() as second:
        first.run(once(close=False))
        with pytest.raises(ClientClosedError, match="one per loop"):
            second.run(once(close=False))
        first.run(shared.aclose())


def test_it_pickles_unless_that_would_carry_a_password(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers could not share a limit, or a password would lie about in files and queues."""
    limits = {"openai": RateLimit(requests_per_minute=60)}
    there = pickle.loads(pickle.dumps(RedisRateLimiter(limits, url=redis.url, fail_open=True)))  # noqa: S301 (our own)
    assert (there._url, there._limits, there._fails_open) == (redis.url, limits, True)
    with pytest.raises(TypeError, match="REDIS_URL"):
        pickle.dumps(RedisRateLimiter(limits, url="redis://:hunter2@127.0.0.1"))
    monkeypatch.setenv("REDIS_URL", "redis://:hunter2@127.0.0.1")
    secret = RedisRateLimiter(limits)
    assert b"hunter2" not in pickle.dumps(AsyncCompletion(rate_limiter=secret))
    assert "hunter2" not in repr(secret)


def test_what_it_cannot_do_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit that nobody keeps would be believed in."""
    monkeypatch.delenv("REDIS_URL", raising=False)
    with pytest.raises(ConfigurationError, match="REDIS_URL"):
        RedisRateLimiter({"openai": RateLimit()})
    with pytest.raises(InvalidRequestError, match=r"limits\['openai'\].concurrency"):
        RedisRateLimiter({"openai": RateLimit(concurrency=3)}, url="redis://127.0.0.1")
    wrong: Any = {"openai": 60}
    with pytest.raises(InvalidRequestError, match=r"limits\['openai'\]"):
        RedisRateLimiter(wrong, url="redis://127.0.0.1")


# --- two processes --------------------------------------------------------------------------------------------------


def test_two_processes_keep_one_limit() -> None:
    """The account would be refused, or half of what it has would be left unused."""
    command = [sys.executable, "-W", "error", "-m", "benchmarks.soak.shared_limit", "--short"]
    run = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=120, check=False)
    assert (run.returncode, run.stderr) == (0, ""), run.stdout + run.stderr
    assert "all bounds hold" in run.stdout
