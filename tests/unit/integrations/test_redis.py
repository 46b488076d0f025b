"""`RedisRateLimiter`: a limit that processes share applies to all of them, in order; outages of Redis are reported."""

import asyncio
import logging
import os
import pickle
import subprocess
import sys
import time
import traceback
from collections.abc import AsyncGenerator
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
from support.redis_server import RedisServer, requires_redis

pytestmark = requires_redis

ROOT = Path(__file__).parents[3]
KEY = "openai/m"


@asynccontextmanager
async def open_limiter(
    redis: RedisServer, limit: RateLimit, name: str = "openai", **options: Any
) -> AsyncGenerator[RedisRateLimiter]:
    async with RedisRateLimiter({name: limit}, url=redis.url, **options) as made, asyncio.timeout(60):
        yield made


async def acquire_all(limiter: RedisRateLimiter, *costs: int) -> list[float]:
    """Acquires all amounts of tokens concurrently; returns the seconds after which each was acquired, in order."""
    start = time.monotonic()
    acquired_after: list[float] = []

    async def one(cost: int) -> None:
        await limiter.acquire(KEY, requests=1, tokens=cost)
        acquired_after.append(time.monotonic() - start)

    await asyncio.gather(*(one(cost) for cost in costs))
    return acquired_after


# --- one process ----------------------------------------------------------------------------------------------------


async def test_the_burst_is_sent_at_once_and_the_rest_at_the_rate(redis: RedisServer) -> None:
    """The limit would have no effect, or calls within it would wait."""
    async with open_limiter(redis, RateLimit(requests_per_minute=6000)) as shared:
        times = await acquire_all(shared, *([1] * 340))  # three hundred at once, then a hundred a second
    assert times[-1] >= 0.39
    assert times[100] < 0.39


async def test_two_limiters_share_one_limit(redis: RedisServer) -> None:
    """Each process would take the whole limit for itself."""
    limit = RateLimit(tokens_per_minute=60_000)
    async with open_limiter(redis, limit) as one, open_limiter(redis, limit) as other:
        times = await asyncio.gather(acquire_all(one, *([100] * 17)), acquire_all(other, *([100] * 17)))
        assert max(times[0][-1], times[1][-1]) >= 0.38
    # A limiter with another prefix does not share it.
    async with open_limiter(redis, limit, prefix="elsewhere") as third:
        assert (await acquire_all(third, 3000))[-1] < 0.38


async def test_a_request_larger_than_the_burst_is_not_starved(redis: RedisServer) -> None:
    """It would wait for ever, or for as long as small requests of another process keep coming."""
    limit = RateLimit(tokens_per_minute=60_000)
    async with open_limiter(redis, limit) as one, open_limiter(redis, limit) as other:
        await acquire_all(one, 3000)
        small = asyncio.ensure_future(acquire_all(other, *([100] * 100)))
        await asyncio.sleep(0.2)
        (large,) = await acquire_all(one, 3500)
        assert large < 5
        small.cancel()
        await asyncio.wait([small])


async def test_actual_tokens_are_settled(redis: RedisServer) -> None:
    """The limit would count estimates, which are often ten times the actual tokens."""
    async with open_limiter(redis, RateLimit(tokens_per_minute=60_000)) as shared:
        await acquire_all(shared, 6000)
        shared.settle(KEY, estimated=6000, actual=100)
        await asyncio.sleep(0.1)
        assert (await acquire_all(shared, 2500))[-1] < 1
        shared.settle(KEY, estimated=2500, actual=3900)
        await asyncio.sleep(0.1)
        # 4,000 are used, the burst is 3,000, and a few were replenished meanwhile.
        assert (await acquire_all(shared, 1))[-1] >= 0.3


async def test_a_cancelled_request_gives_its_tokens_back(redis: RedisServer) -> None:
    """Cancelled calls would use up the limit of others."""
    async with open_limiter(redis, RateLimit(tokens_per_minute=60_000)) as shared:
        await acquire_all(shared, 3000)
        waiting = [asyncio.ensure_future(shared.acquire(KEY, requests=1, tokens=20_000)) for _ in range(3)]
        await asyncio.sleep(0.1)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        assert all(task.cancelled() for task in waiting)
        await asyncio.sleep(0.1)
        assert (await acquire_all(shared, 500))[-1] < 5


async def test_a_model_has_its_own_limit_and_that_of_its_provider(redis: RedisServer) -> None:
    """One of the two would be ignored, or a limit would apply to another model."""
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


async def test_a_client_acquires_and_settles(redis: RedisServer) -> None:
    """Calls of a client would not be limited, or their estimates never be corrected."""
    async with (
        SimulatorServer() as sim,
        open_limiter(redis, RateLimit(tokens_per_minute=60_000), name=KEY) as shared,
        AsyncCompletion(
            base_urls={"openai": sim.base_urls["openai"]},
            api_keys={"openai": sim.api_keys["openai"]},
            rate_limiter=shared,
        ) as client,
    ):
        start = time.monotonic()
        for _ in range(5):
            await client.create("openai/m", "Hi.", max_tokens=2900)
        # The estimates are 15,000 tokens, which take twelve seconds; the actual tokens are few.
        assert time.monotonic() - start < 6


# --- an unreachable Redis -------------------------------------------------------------------------------------------


async def test_an_unreachable_redis_is_an_api_connection_error_until_it_is_back(tmp_path: Path) -> None:
    """Calls would raise an undocumented exception, or fail for ever after one outage."""
    redis = RedisServer(tmp_path)
    try:
        async with open_limiter(redis, RateLimit(requests_per_minute=60_000)) as shared:
            await acquire_all(shared, 1)
            redis.stop()
            with pytest.raises(APIConnectionError, match="cannot be reached") as caught:
                await shared.acquire(KEY, requests=1, tokens=1)
            assert caught.value.phase == "limits"
            shared.settle(KEY, estimated=5, actual=1)
            redis.start()
            await acquire_all(shared, 1)
    finally:
        redis.stop()


async def test_a_limiter_that_fails_open_does_not_limit_and_warns_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A service would stop with its Redis, or its missing limit would go unnoticed."""
    redis = RedisServer(tmp_path)
    redis.stop()
    with caplog.at_level(logging.INFO, "anycompletion"):
        async with open_limiter(redis, RateLimit(requests_per_minute=1), fail_open=True) as shared:
            await acquire_all(shared, *([1] * 5))
    (warning,) = (record.getMessage() for record in caplog.records)
    assert warning.startswith("the Redis that shares rate limits cannot be reached")
    assert warning.endswith("requests are not limited")


async def test_a_redis_that_does_not_reply_times_out() -> None:
    """Every call would hang until its own timeout."""

    async def never_reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(never_reply, "127.0.0.1", 0)
    async with server, asyncio.timeout(30):
        url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with RedisRateLimiter({"openai": RateLimit(requests_per_minute=1)}, url=url, timeout=0.1) as shared:
            with pytest.raises(APIConnectionError, match="cannot be reached"):
                await shared.acquire(KEY, requests=1, tokens=1)


# --- lifecycle -----------------------------------------------------------------------------------------------------


async def test_a_closed_limiter_raises(redis: RedisServer) -> None:
    """A request would not be limited, or would open connections that are never closed."""
    async with open_limiter(redis, RateLimit(requests_per_minute=60)) as shared:
        await acquire_all(shared, 1)
    await shared.aclose()
    with pytest.raises(ClientClosedError, match="was closed"):
        await shared.acquire(KEY, requests=1, tokens=1)


def test_a_limiter_belongs_to_one_event_loop(redis: RedisServer) -> None:
    """Connections of another event loop would raise obscure errors."""
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


def test_a_limiter_pickles_unless_its_url_has_a_password(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers could not share a limit, or a password would be written to files and queues."""
    limits = {"openai": RateLimit(requests_per_minute=60)}
    copy = pickle.loads(pickle.dumps(RedisRateLimiter(limits, url=redis.url, fail_open=True)))  # noqa: S301 (our own)
    assert (copy._url, copy._limits, copy._fail_open) == (redis.url, limits, True)
    with pytest.raises(TypeError, match="REDIS_URL"):
        pickle.dumps(RedisRateLimiter(limits, url="redis://:hunter2@127.0.0.1"))
    with pytest.raises(TypeError, match="REDIS_URL"):
        pickle.dumps(RedisRateLimiter(limits, url="redis://127.0.0.1?db=1&password=hunter2"))
    monkeypatch.setenv("REDIS_URL", "redis://:hunter2@127.0.0.1")
    secret = RedisRateLimiter(limits)
    assert b"hunter2" not in pickle.dumps(AsyncCompletion(rate_limiter=secret))
    assert "hunter2" not in repr(secret)


def test_errors_of_the_constructor_have_no_frame_with_the_url() -> None:
    """A crash reporter that prints local variables would print the password."""
    with pytest.raises(InvalidRequestError) as caught:
        RedisRateLimiter({"openai": RateLimit(concurrency=3)}, url="redis://:hunter2@127.0.0.1")
    frames = [frame for frame, _ in traceback.walk_tb(caught.value.__traceback__)][1:]
    assert "hunter2" not in repr([frame.f_locals for frame in frames])


def test_unsupported_limits_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit that is not enforced would be relied on."""
    monkeypatch.delenv("REDIS_URL", raising=False)
    with pytest.raises(ConfigurationError, match="REDIS_URL"):
        RedisRateLimiter({"openai": RateLimit()})
    with pytest.raises(InvalidRequestError, match=r"limits\['openai'\].concurrency"):
        RedisRateLimiter({"openai": RateLimit(concurrency=3)}, url="redis://127.0.0.1")
    wrong: Any = {"openai": 60}
    with pytest.raises(InvalidRequestError, match=r"limits\['openai'\]"):
        RedisRateLimiter(wrong, url="redis://127.0.0.1")


# --- two processes --------------------------------------------------------------------------------------------------


def test_two_processes_share_one_limit() -> None:
    """The account's limit would be exceeded, or half of it would be left unused."""
    command = [sys.executable, "-W", "error", "-m", "benchmarks.soak.shared_limit", "--short"]
    run = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=120, check=False)
    assert (run.returncode, run.stderr) == (0, ""), run.stdout + run.stderr
    assert "all bounds hold" in run.stdout
