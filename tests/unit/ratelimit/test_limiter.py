"""Rate limiters in virtual time: the configured rate, first in first out, and no quota lost by cancellations."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from anycompletion import ConfigurationError, InvalidRequestError, RateLimit, RateLimitError
from anycompletion.rate_limit_headers import RemainingQuota
from anycompletion.ratelimit.client_limits import ClientLimits, ModelLimits
from anycompletion.ratelimit.limiter import LocalRateLimiter
from anycompletion.ratelimit.token_bucket import ReportedLimit, TokenBucket
from anycompletion.ratelimit.token_estimate import estimated_tokens, used_tokens
from anycompletion.records import (
    AssistantMessage,
    AudioPart,
    ChatRequest,
    Content,
    ImagePart,
    ImageUrl,
    InputAudio,
    TextPart,
    Usage,
    UserMessage,
)
from support.virtual_clock import run

# --- token buckets ---------------------------------------------------------------------------------------------------


def total_sent(bucket: TokenBucket, cost: float, seconds: float = 60.0) -> float:
    """The total cost of requests in that time if the next one always waits."""
    now, end, sent = 1000.0, 1000.0 + seconds, 0.0
    while True:
        now += bucket.wait_time(cost, now) + 1e-9
        if now > end:
            return sent
        bucket.take(cost, now)
        sent += cost


@pytest.mark.parametrize("cost", [1, 7, 50, 400])
def test_no_minute_exceeds_the_limit_by_more_than_a_twentieth(cost: float) -> None:
    """The provider would refuse requests, or half of the limit would stay unused."""
    assert 6000 - cost <= total_sent(TokenBucket(6000), cost) <= 6000 * 1.05 + cost


def test_a_cost_above_the_bucket_size_leaves_it_in_debt() -> None:
    """A large request would wait without end, or cost nothing."""
    bucket = TokenBucket(600)  # thirty at once, ten a second
    assert bucket.wait_time(100, 1000) == 0
    bucket.take(100, 1000)
    assert bucket.wait_time(1, 1000) == pytest.approx(7.1)
    assert bucket.wait_time(100, 1000) == pytest.approx(10)


def test_a_refund_corrects_the_level_in_both_directions() -> None:
    """Every wrong estimate would shift the rate for good."""
    bucket = TokenBucket(600)
    bucket.take(30, 1000)
    bucket.refund(20, 1000)
    assert bucket.wait_time(20, 1000) == 0
    bucket.refund(-40, 1000)
    assert bucket.wait_time(10, 1000) == pytest.approx(3)
    bucket.refund(1000, 1000)
    assert bucket.wait_time(30, 1000) == 0
    bucket.take(30, 1000)
    assert bucket.wait_time(1, 1000) > 0


def test_a_reported_quota_is_spread_over_its_time() -> None:
    """Requests would be sent at full speed until the provider refuses."""
    reported, now, sent = ReportedLimit(), 1000.0, 0
    reported.update(20, 1010)
    while now < 1010:
        now += reported.wait_time(1, now) or 0.001
        reported.take(1, now)
        sent += 1
        if now > 1009:
            break
    assert 15 <= sent <= 25


def test_an_exhausted_quota_delays_by_five_seconds_at_most() -> None:
    """A limit that fills up continuously would be unused until it is full."""
    reported = ReportedLimit()
    reported.take(1, 1000)
    reported.update(0, 1060)
    assert reported.wait_time(1, 1000) == 5
    reported.update(0, 1002)
    assert reported.wait_time(1, 1000) == 2
    assert reported.wait_time(1, 1003) == 0


# --- the local limiter -----------------------------------------------------------------------------------------------


class Requests:
    """Requests that wait for one limiter, and when they were let through."""

    def __init__(self, limit: RateLimit) -> None:
        self.limiter = LocalRateLimiter(limit)
        self.let_through: list[tuple[str, float]] = []
        self.start = asyncio.get_running_loop().time()

    def send(self, name: str, tokens: int = 1) -> "asyncio.Task[None]":
        async def one() -> None:
            await self.limiter.acquire(tokens)
            self.let_through.append((name, round(asyncio.get_running_loop().time() - self.start, 3)))

        return asyncio.ensure_future(one())

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.let_through]


def test_requests_keep_their_rate_and_their_order() -> None:
    """The limit would be exceeded, or a request could wait without end while later ones pass."""

    async def main() -> list[tuple[str, float]]:
        requests = Requests(RateLimit(requests_per_minute=60))
        await asyncio.gather(*(requests.send(str(number)) for number in range(10)))
        return requests.let_through

    # Three at once are a twentieth of a minute's quota.
    assert run(main()) == [(str(number), max(0.0, number - 2.0)) for number in range(10)]


def test_tokens_keep_their_rate() -> None:
    """A few large requests would use up the quota of the account."""

    async def main() -> float:
        requests = Requests(RateLimit(tokens_per_minute=60_000))
        await asyncio.gather(*(requests.send("", 500) for _ in range(100)))
        return requests.let_through[-1][1]

    assert run(main()) == pytest.approx(47, abs=0.1)


def test_a_large_request_is_not_starved_by_small_ones() -> None:
    """It would wait as long as small ones keep coming."""

    async def main() -> list[tuple[str, float]]:
        requests = Requests(RateLimit(tokens_per_minute=60_000))
        small = [requests.send("small", 50) for _ in range(100)]
        large = requests.send("large", 10_000)
        more: list[asyncio.Task[None]] = []
        while not large.done():
            more.append(requests.send("small", 50))
            await asyncio.sleep(0.05)
        await asyncio.gather(*small, *more)
        return requests.let_through

    passed = run(main())
    when = dict(passed)["large"]
    # The requests before it use up five seconds' quota, three of them from the bucket; then it must be full.
    assert when == pytest.approx(5, abs=0.1)
    assert [name for name, _ in passed][:101] == ["small"] * 100 + ["large"]


def test_the_concurrency_is_limited() -> None:
    """The provider would refuse requests, or close streams."""

    async def main() -> list[str]:
        requests = Requests(RateLimit(concurrency=2))
        tasks = [requests.send(str(number)) for number in range(4)]
        await asyncio.sleep(1)
        assert requests.names == ["0", "1"]
        assert (requests.limiter.in_flight, requests.limiter.queued) == (2, 2)
        requests.limiter.settle(1, 1)
        await asyncio.sleep(1)
        assert requests.names == ["0", "1", "2"]
        requests.limiter.settle(1, None)
        await asyncio.gather(*tasks)
        return requests.names

    assert run(main()) == ["0", "1", "2", "3"]


def test_a_cancelled_request_uses_no_quota_and_delays_no_other() -> None:
    """Cancelled calls would use up the limit, or those behind them would wait without end."""

    async def main() -> list[tuple[str, float]]:
        requests = Requests(RateLimit(tokens_per_minute=600))
        requests.send("first", 30)
        large = requests.send("large", 30)
        rest = [requests.send("small", 5) for _ in range(2)]
        await asyncio.sleep(0.1)
        large.cancel()
        await asyncio.gather(*rest)
        assert large.cancelled()
        return requests.let_through

    assert run(main()) == [("first", 0.0), ("small", 0.5), ("small", 1.0)]


def test_a_request_cancelled_as_it_is_let_through_passes_its_permit_on() -> None:
    """Its permit would be lost for good."""

    async def main() -> list[str]:
        requests = Requests(RateLimit(requests_per_minute=60, tokens_per_minute=6000, concurrency=1))
        await requests.send("0")
        second, third = requests.send("1", 290), requests.send("2", 290)
        await asyncio.sleep(0.01)
        requests.limiter.settle(1, 1)  # the second is let through now,
        second.cancel()  # and cancelled before it runs
        async with asyncio.timeout(0.5):
            await third
        assert requests.limiter.in_flight == 1
        return requests.names

    assert run(main()) == ["0", "2"]


def test_settling_replaces_the_estimate_by_the_usage() -> None:
    """A limit would be used by a tenth where replies are short, or exceeded."""

    async def main(actual: int | None) -> float:
        requests = Requests(RateLimit(tokens_per_minute=600))
        await requests.send("first", 30)
        requests.limiter.settle(30, actual)
        await requests.send("second", 30)
        return requests.let_through[-1][1]

    assert [run(main(actual)) for actual in (30, 0, 10, 60, None)] == [3.0, 0.0, 1.0, 6.0, 0.0]


def test_wake_lets_all_requests_through() -> None:
    """A service could not stop before its limits allow it."""

    async def main() -> list[tuple[str, float]]:
        requests = Requests(RateLimit(requests_per_minute=1, concurrency=1))
        tasks = [requests.send("") for _ in range(5)]
        await asyncio.sleep(1)
        requests.limiter.wake()
        await asyncio.gather(*tasks, requests.send("later"))
        return requests.let_through

    assert sorted(run(main())) == [("", 0.0), *[("", 1.0)] * 4, ("later", 1.0)]


def test_rate_limit_headers_slow_requests_down_in_time() -> None:
    """The provider would refuse requests although its headers had announced that."""

    async def main() -> tuple[int, int]:
        limiter, loop = LocalRateLimiter(RateLimit()), asyncio.get_running_loop()
        start, level, refused = loop.time(), 100.0, 0
        seen, sent = start, 0

        async def call() -> None:
            nonlocal level, seen, refused, sent
            snapshot = await limiter.acquire(10)
            now = loop.time()
            level, seen = min(100.0, level + (now - seen) * 10), now  # the provider's bucket: ten a second
            sent += 1
            if level < 1:
                refused += 1
            else:
                level -= 1
            left = RemainingQuota("x-ratelimit-remaining-requests", False, level, (100 - level) / 10)
            await asyncio.sleep(0.3)
            limiter.update_from_headers(snapshot, [left])
            limiter.settle(10, 10)

        tasks: set[asyncio.Task[None]] = set()
        while loop.time() - start < 60:
            while len(tasks) < 50:
                task = asyncio.ensure_future(call())
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        return sent, refused

    sent, refused = run(main())
    assert refused == 0
    assert 540 <= sent <= 710  # 600 in a minute, and the hundred in the bucket at first


def test_headers_of_an_older_response_are_ignored() -> None:
    """A late response would speed up what a newer one slowed down."""

    async def main() -> float:
        limiter, loop = LocalRateLimiter(RateLimit()), asyncio.get_running_loop()
        older, newer = await limiter.acquire(1), await limiter.acquire(1)
        limiter.update_from_headers(newer, [RemainingQuota("x", False, 0, 4)])
        limiter.update_from_headers(older, [RemainingQuota("x", False, 1000, 4)])
        start = loop.time()
        await limiter.acquire(1)
        return loop.time() - start

    assert run(main()) == pytest.approx(4)


# --- the limits of a model -------------------------------------------------------------------------------------------


def test_the_limits_of_the_model_and_of_its_provider_both_apply() -> None:
    """One of the two would be ignored, or apply to another model."""

    async def main() -> list[int]:
        limits = ClientLimits({"openai": RateLimit(concurrency=3), "openai/gpt-4o": RateLimit(concurrency=1)})
        assert limits.for_model("cohere", "gpt-4o") is None
        tasks: list[asyncio.Task[Any]] = []
        counts: list[int] = []
        for model in ("gpt-4o", "gpt-4o", "o3", "o3", "o3"):
            model_limits = limits.for_model("openai", model)
            assert model_limits is not None
            tasks.append(asyncio.ensure_future(model_limits.acquire(1)))
            await asyncio.sleep(0.1)
            counts.append(sum(task.done() for task in tasks))
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return counts

    assert run(main()) == [1, 1, 2, 3, 3]


class UserLimiter:
    """A shared limiter of user code."""

    def __init__(self, act: Callable[[], Any] = lambda: None, wait: float = 0.0) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._act, self._wait = act, wait

    async def acquire(self, key: str, *, requests: int, tokens: int) -> None:
        self.calls.append((key, requests, tokens))
        await asyncio.sleep(self._wait)
        self._act()

    def settle(self, key: str, *, estimated: int, actual: int) -> None:
        self.calls.append((key, estimated, actual))
        self._act()


def raises(error: Exception) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def model_limits(limits: dict[str, RateLimit], shared: Any = None) -> ModelLimits:
    found = ClientLimits(limits, shared).for_model("openai", "m")
    assert found is not None
    return found


def test_a_shared_limiter_gets_the_model_and_the_usage() -> None:
    """It could not choose the limit, or would count estimates for good."""
    shared = UserLimiter()

    async def main() -> None:
        for actual in (7, None):
            permit = await model_limits({}, shared).acquire(100)
            permit.settle(actual)

    run(main())
    assert shared.calls == [("openai/m", 1, 100), ("openai/m", 100, 7), ("openai/m", 1, 100), ("openai/m", 100, 100)]


def test_a_refusal_of_the_shared_limiter_uses_no_local_quota() -> None:
    """Every failure of a shared limiter would use up the client's limits."""

    async def main() -> None:
        limits_of_model = model_limits({"openai": RateLimit(concurrency=1)}, UserLimiter(raises(RateLimitError("no"))))
        for _ in range(3):
            with pytest.raises(RateLimitError):
                await limits_of_model.acquire(1)

    run(main())


def test_an_exception_of_a_shared_limiter_is_a_configuration_error() -> None:
    """A call would raise an undocumented exception."""

    async def main() -> None:
        with pytest.raises(ConfigurationError, match="the rate_limiter failed with KeyError"):
            await model_limits({}, UserLimiter(raises(KeyError("secret")))).acquire(1)

    run(main())


def test_a_shared_limiter_that_fails_to_settle_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A paid reply would be lost."""
    shared = UserLimiter()

    async def main() -> None:
        permit = await model_limits({}, shared).acquire(1)
        shared._act = raises(KeyError("secret"))
        permit.settle(1)

    run(main())
    assert [record.getMessage() for record in caplog.records] == ["rate_limiter failed with KeyError"]


def test_closing_ends_the_wait_for_a_shared_limiter() -> None:
    """A client could not be closed while a shared limiter makes it wait."""

    async def main() -> bool:
        limits = ClientLimits({}, UserLimiter(wait=3600))
        limits_of_model = limits.for_model("openai", "m")
        assert limits_of_model is not None
        waiting = [asyncio.ensure_future(limits_of_model.acquire(1)) for _ in range(3)]
        await asyncio.sleep(1)
        assert (limits.queued_for_shared("openai"), limits.queued_for_shared("cohere")) == (3, 0)
        limits.wake()
        await asyncio.gather(*waiting)
        assert limits.queued_for_shared("openai") == 0
        await limits_of_model.acquire(1)
        return all(task.cancelling() == 0 for task in waiting)

    assert run(main())


def test_a_cancellation_by_the_caller_is_not_taken_for_closing() -> None:
    """A cancelled call would continue as if it had not been cancelled."""

    async def main() -> bool:
        limits = ClientLimits({}, UserLimiter(wait=3600))
        limits_of_model = limits.for_model("openai", "m")
        assert limits_of_model is not None
        one, other = (asyncio.ensure_future(limits_of_model.acquire(1)) for _ in range(2))
        await asyncio.sleep(1)
        one.cancel()
        limits.wake()
        other.cancel()
        await asyncio.wait([one, other])
        return one.cancelled() and other.cancelled()

    assert run(main())


# --- estimates and refusals ------------------------------------------------------------------------------------------


def test_an_estimate_is_a_quarter_of_the_bytes_plus_the_limit_of_the_reply() -> None:
    """Token limits would be exceeded, or used by a tenth."""
    request = ChatRequest("m", "Hi.")
    assert estimated_tokens(request, 4000) == 1000
    assert estimated_tokens(ChatRequest("m", "Hi.", max_tokens=50), 4000) == 1050
    assert estimated_tokens(ChatRequest("m", "Hi.", max_completion_tokens=50, n=3), 4000) == 1150


def test_an_image_counts_the_same_whatever_its_size() -> None:
    """One image would count as a hundred thousand tokens and delay all requests for minutes."""
    url = "data:image/png;base64," + "A" * 400_000
    parts: Content = [TextPart("What is it?"), ImagePart(ImageUrl(url)), AudioPart(InputAudio("A" * 40_000, "wav"))]
    request = ChatRequest("m", [AssistantMessage("Yes?"), UserMessage(parts)])
    assert estimated_tokens(request, 442_000) == pytest.approx(2500, abs=20)


def test_used_tokens_are_those_that_the_provider_counted() -> None:
    """A limit would be settled with half of the usage."""
    assert used_tokens(None) is None
    assert used_tokens(Usage(3, 4, None)) == 7
    assert used_tokens(Usage(None, 4, 9)) == 9
    assert used_tokens(Usage()) is None


@pytest.mark.parametrize(
    ("param", "value"),
    [
        *((name, value) for name in ("requests_per_minute", "tokens_per_minute") for value in (0, -1, "60", True)),
        ("requests_per_minute", float("nan")),
        ("tokens_per_minute", float("inf")),
        *(("concurrency", value) for value in (0, -1, 1.5, "4", True)),
    ],
)
def test_an_invalid_limit_is_refused_by_name(param: str, value: Any) -> None:
    """A typing error would stop all calls for good, or limit nothing."""
    with pytest.raises(InvalidRequestError, match=param) as refusal:
        RateLimit(**{param: value})
    assert refusal.value.param == param
