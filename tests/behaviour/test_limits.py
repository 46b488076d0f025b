"""The rate limits of a client, over sockets: each attempt is admitted and settled, however the call ends."""

import asyncio
import pickle
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest

from anycompletion import (
    APITimeoutError,
    AsyncCompletion,
    ClientClosedError,
    CompletionError,
    ConfigurationError,
    InvalidRequestError,
    RateLimit,
)
from anycompletion.testing import Fault, SimulatorServer
from support.cancel_points import Act, Run, at_every_point, cancel, cancel_twice
from support.raw_server import REQUEST, STALL, RawServer, answer
from support.resource_leaks import client_of

FEW = RateLimit(requests_per_minute=60_000, tokens_per_minute=6_000_000, concurrency=2)
ONE = RateLimit(concurrency=1)


class RecordingLimiter:
    """Shared limiter that admits every request and records its calls."""

    def __init__(self) -> None:
        self.acquired: list[tuple[str, int]] = []
        self.settled: list[tuple[str, int, int]] = []

    async def acquire(self, key: str, *, requests: int, tokens: int) -> None:
        self.acquired.append((key, tokens))

    def settle(self, key: str, *, estimated: int, actual: int) -> None:
        self.settled.append((key, estimated, actual))

    @property
    def actual(self) -> list[int]:
        return [actual for _, _, actual in self.settled]


@asynccontextmanager
async def simulated(
    fault: Any = None, latency: float = 0.0, **options: Any
) -> AsyncGenerator[tuple[SimulatorServer, AsyncCompletion]]:
    async with (
        SimulatorServer(fault=fault, latency=latency) as sim,
        client_of(sim, **options) as client,
        asyncio.timeout(30),
    ):
        yield sim, client


def queued(client: AsyncCompletion, provider: str = "openai") -> int:
    """Number of calls that wait for the limits of a provider."""
    stats = client.stats().providers.get(provider)  # None before the first call
    return 0 if stats is None else stats.queued.get("limits", 0)


async def a_call_waits(client: AsyncCompletion) -> "asyncio.Task[Any]":
    """Starts a call that has to wait for the limits of OpenAI, and returns it."""
    call = asyncio.create_task(client.create("openai/m", "Hi."))
    while not queued(client):
        assert not call.done(), "it did not wait"
        await asyncio.sleep(0)
    return call


async def test_the_concurrency_limit_is_kept() -> None:
    """The provider would refuse requests that the limit should have delayed."""
    async with simulated(latency=0.02, limits={"openai": FEW}) as (sim, client):
        most = 0

        async def one() -> None:
            nonlocal most
            await client.create("openai/m", "Hi.")
            most = max(most, client.stats().providers["openai"].in_flight)

        await asyncio.gather(*(one() for _ in range(10)))
        assert 0 < most <= 2
        assert queued(client) == 0
        assert len(sim.requests) == 10


async def test_each_branch_of_a_fan_out_is_limited() -> None:
    """Three requests would be in flight where one is allowed."""
    limiter = RecordingLimiter()
    async with simulated(limits={"anthropic": ONE}, rate_limiter=limiter) as (_, client):
        reply = await client.create("anthropic/m", "Hi.", n=3)
        assert len(reply.choices) == 3
        assert [key for key, _ in limiter.acquired] == ["anthropic/m"] * 3
        assert len(limiter.settled) == 3
        await client.create("anthropic/m", "Hi.")  # it would wait without end for a permit that was kept


async def test_a_reply_is_settled_with_its_usage() -> None:
    """The limit would count the largest possible reply instead of the real one."""
    limiter = RecordingLimiter()
    async with simulated(rate_limiter=limiter) as (_, client):
        reply = await client.create("openai/m", "Hi.", max_tokens=1000)
        assert reply.usage is not None
    assert limiter.actual == [reply.usage.total_tokens]
    ((_, estimated),) = limiter.acquired
    assert 1000 < estimated < 1100


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("model", ["openai/m", "anthropic/m"])
async def test_a_stream_is_settled_with_its_usage(model: str, n: int) -> None:
    """Streams would keep their permits for good, or count the largest possible reply."""
    limiter = RecordingLimiter()
    async with simulated(rate_limiter=limiter) as (_, client):
        async with client.stream(model, "Hi.", n=n, max_tokens=1000) as stream:
            reply = await stream.get_final_completion()
        assert reply.usage is not None
    assert sum(limiter.actual) == reply.usage.total_tokens
    assert len(limiter.acquired) == len(limiter.settled)


async def test_a_stream_keeps_its_permit_until_it_is_closed() -> None:
    """More streams would be open than allowed, or each stream that is left early would cost a permit."""
    limiter = RecordingLimiter()
    async with simulated(limits={"openai": ONE}, rate_limiter=limiter) as (_, client):
        for leave in ("aclose", "break", "drop"):
            stream = client.stream("openai/m", "Hi.", max_tokens=1000)
            await anext(stream)
            waiting = await a_call_waits(client)
            if leave == "aclose":
                await stream.aclose()
            elif leave == "break":
                async with stream:
                    pass
            del stream
            await waiting
    # What the streams used is unknown, so the estimate counts.
    assert all(actual > 1000 for actual in limiter.actual[::2])


@pytest.mark.parametrize(
    ("fault", "settled"),
    [
        (Fault.status(500, times=1), [0, None]),
        (Fault.status(429, retry_after=0.01, times=2), [0, 0, None]),
        (Fault.status(400), [0]),
        ("cut-after-3-events", None),
    ],
)
@pytest.mark.parametrize("streamed", [True, False])
async def test_each_attempt_is_settled(fault: Any, settled: list[int | None] | None, streamed: bool) -> None:
    """Each refused attempt would cost a permit, and tokens that it did not use."""
    limiter = RecordingLimiter()
    async with simulated(fault, limits={"openai": ONE}, rate_limiter=limiter) as (_, client):
        try:
            if streamed:
                await client.stream("openai/m", "Hi.", max_tokens=1000).get_final_completion()
            else:
                await client.create("openai/m", "Hi.", max_tokens=1000)
        except CompletionError:
            pass
        assert len(limiter.acquired) == len(limiter.settled)
        if settled is not None:
            assert [None if actual else 0 for actual in limiter.actual] == settled
        await client.attempt("openai/m", "Hi.")  # it would wait without end for a permit that was kept


async def test_a_cancelled_call_is_settled_with_its_estimate() -> None:
    """Cancelled calls would use up the permits, or count nothing although they are billed."""
    limiter = RecordingLimiter()
    async with (
        RawServer((REQUEST, STALL), (REQUEST, answer())) as server,
        AsyncCompletion(
            base_urls={"openai": server.url},
            api_keys={"openai": "sk-test"},
            limits={"openai": ONE},
            rate_limiter=limiter,
        ) as client,
        asyncio.timeout(30),
    ):
        call = asyncio.ensure_future(client.create("openai/m", "Hi.", max_tokens=1000))
        waiting = asyncio.ensure_future(client.create("openai/m", "Hi."))
        while not server.requests:
            await asyncio.sleep(0.005)
        waiting.cancel()
        await asyncio.sleep(0.01)
        call.cancel()
        await asyncio.wait([call, waiting])
        assert call.cancelled()
        assert waiting.cancelled()
        assert queued(client) == 0
        assert limiter.settled == [("openai/m", limiter.acquired[0][1], limiter.acquired[0][1])]
        await client.create("openai/m", "Hi.")  # it would wait without end for a permit that was kept


async def test_the_total_timeout_includes_the_wait_for_limits() -> None:
    """A call would wait for the limits beyond its timeout."""
    async with (
        RawServer((REQUEST, STALL)) as server,
        AsyncCompletion(
            base_urls={"openai": server.url}, api_keys={"openai": "sk-test"}, limits={"openai": ONE}
        ) as client,
    ):
        call = asyncio.ensure_future(client.create("openai/m", "Hi."))
        while not server.requests:
            await asyncio.sleep(0.005)
        with pytest.raises(APITimeoutError, match="waited for the limits of openai/m") as late:
            await client.create("openai/m", "Hi.", timeout=0.05)
        assert (late.value.phase, late.value.attempts, late.value.maybe_billed) == ("total", 0, False)
        stream = client.stream("openai/m", "Hi.", timeout=0.05)
        with pytest.raises(APITimeoutError):
            await anext(stream)
        call.cancel()
        await asyncio.wait([call])
        assert queued(client) == 0
    assert len(server.requests) == 1


async def test_closing_the_client_ends_the_wait_for_limits() -> None:
    """A service could not stop before its limits allow it."""

    class Blocking(RecordingLimiter):
        async def acquire(self, key: str, *, requests: int, tokens: int) -> None:
            await asyncio.sleep(3600)

    cases: list[dict[str, Any]] = [{"limits": {"openai": ONE}}, {"rate_limiter": Blocking()}]
    for options in cases:
        async with (
            RawServer((REQUEST, STALL)) as server,
            AsyncCompletion(base_urls={"openai": server.url}, api_keys={"openai": "sk-test"}, **options) as client,
            asyncio.timeout(10),
        ):
            calls = [asyncio.ensure_future(client.attempt("openai/m", "Hi.", timeout=None)) for _ in range(3)]
            opening = asyncio.ensure_future(client.create("openai/m", "Hi.", stream=True, timeout=None))
            await asyncio.sleep(0.05)
            await client.aclose()
            errors = [(await call).error for call in calls]
            with pytest.raises(ClientClosedError):
                await opening
        assert {type(error) for error in errors} == {ClientClosedError}


async def test_a_call_with_several_requests_keeps_its_permit_until_the_reply() -> None:
    """A provider that is polled for one reply would get more work than allowed."""
    limiter = RecordingLimiter()
    async with (
        SimulatorServer() as sim,
        AsyncCompletion(
            base_urls={"replicate": sim.base_urls["replicate"]},
            api_keys={"replicate": sim.api_keys["replicate"]},
            limits={"replicate": ONE},
            rate_limiter=limiter,
        ) as client,
    ):
        await asyncio.gather(*(client.create("replicate/meta/meta-llama-3-8b-instruct", "Hi.") for _ in range(2)))
    assert len(limiter.acquired) == len(limiter.settled) == 2
    assert len(sim.requests) >= 2


async def test_calls_slow_down_by_the_rate_limit_headers() -> None:
    """The provider would refuse requests although its headers had announced that."""
    exhausted = answer(headers={"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "300ms"})
    async with (
        RawServer((REQUEST, exhausted, REQUEST, answer())) as server,
        AsyncCompletion(
            base_urls={"openai": server.url}, api_keys={"openai": "sk-test"}, limits={"openai": RateLimit()}
        ) as client,
    ):
        start = time.monotonic()
        await client.create("openai/m", "Hi.")
        await client.create("openai/m", "Hi.")
        assert time.monotonic() - start >= 0.28


async def test_resets_as_points_in_time_are_read() -> None:
    """Anthropic's limits would be reached before calls slow down."""
    when = time.time()
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(when))
    reset = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(when) + 1))
    left = {"anthropic-ratelimit-input-tokens-remaining": "0", "anthropic-ratelimit-input-tokens-reset": reset}
    async with (
        RawServer((REQUEST, answer(headers={"Date": date, **left}), REQUEST, answer())) as server,
        AsyncCompletion(
            base_urls={"openai": server.url}, api_keys={"openai": "sk-test"}, limits={"openai/m": RateLimit()}
        ) as client,
    ):
        start = time.monotonic()
        await client.create("openai/m", "Hi.")
        await client.create("openai/m", "Hi.")
        assert time.monotonic() - start >= 0.9


async def test_views_share_the_limits() -> None:
    """A view would bypass them."""
    async with simulated(limits={"openai": ONE}) as (_, client):
        view = client.with_options(timeout=5)
        async with view.stream("openai/m", "Hi."):
            waiting = await a_call_waits(client)
        await waiting


async def test_limits_of_one_provider_do_not_apply_to_others() -> None:
    """Calls would wait for limits that their provider does not have."""
    async with (
        simulated(limits={"anthropic": ONE}) as (_, client),
        client.stream("openai/m", "Hi."),
        client.stream("openai/m", "Hi."),
        client.stream("anthropic/m", "Hi."),
    ):
        assert queued(client) == 0
        await client.create("openai/m", "Hi.")


def test_limits_of_unknown_providers_are_refused() -> None:
    """A misspelt provider would have no limit at all."""
    for key in ("opnai", "opnai/gpt-4o", ""):
        with pytest.raises(ConfigurationError, match="unknown provider"):
            AsyncCompletion(limits={key: FEW})
    with pytest.raises(InvalidRequestError, match="expected a RateLimit"):
        AsyncCompletion(limits={"openai": 60})  # type: ignore[dict-item]  # what is tested


class ProcessWideLimiter(RecordingLimiter):
    """A limiter whose pickled copies record into one list."""

    keys: ClassVar[list[str]] = []

    async def acquire(self, key: str, *, requests: int, tokens: int) -> None:
        self.keys.append(key)


async def test_a_pickled_client_keeps_its_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Worker processes would send without limits."""
    latency = 0.05
    async with SimulatorServer(latency=latency) as sim:
        monkeypatch.setenv("OPENAI_API_KEY", sim.api_keys["openai"])
        client = AsyncCompletion(base_urls=sim.base_urls, limits={"openai": ONE}, rate_limiter=ProcessWideLimiter())
        async with pickle.loads(pickle.dumps(client)) as unpickled:  # noqa: S301 (our own data)
            start = time.monotonic()
            await asyncio.gather(*(unpickled.create("openai/m", "Hi.") for _ in range(3)))
            assert time.monotonic() - start >= 3 * latency * 0.95
    assert ProcessWideLimiter.keys == ["openai/m"] * 3


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("act", [cancel, cancel_twice])
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_cancellation_anywhere_returns_every_permit(streamed: bool, act: Act, late: bool) -> None:
    """Each cancelled call could keep a permit, until nothing is sent any more."""

    class YieldingLimiter(RecordingLimiter):
        async def acquire(self, key: str, *, requests: int, tokens: int) -> None:
            await asyncio.sleep(0)
            await super().acquire(key, requests=requests, tokens=tokens)

    limiter = YieldingLimiter()
    async with simulated(limits={"openai": ONE, "openai/m": ONE}, rate_limiter=limiter) as (_, client):

        async def call() -> None:
            if streamed:
                await client.stream("openai/m", "Hi.").get_final_completion()
            else:
                await client.create("openai/m", "Hi.")

        async def work() -> None:
            await asyncio.gather(call(), call())

        async def check(run: Run) -> None:
            await asyncio.wait([run.task])
            assert queued(client) == 0, str(run)
            await call()  # it would wait without end for a permit that was kept

        assert await at_every_point(work, check, act, late=late) >= 6
    assert len(limiter.settled) <= len(limiter.acquired)
