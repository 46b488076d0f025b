"""Limits of one's own, in virtual time: at the agreed rate, in the order of asking, and nothing lost on the way."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from anycompletion import ConfigurationError, InvalidRequestError, RateLimit, RateLimitError
from anycompletion.ratelimit.client_limits import ClientLimits, ModelLimits, checked_limits
from anycompletion.ratelimit.limiter import LocalRateLimiter, RemainingQuota
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

# --- buckets ------------------------------------------------------------------------------------------------------


def sent_in_a_minute(bucket: TokenBucket, cost: float, seconds: float = 60.0) -> float:
    """How much goes in that time where somebody always wants to."""
    now, end, sent = 1000.0, 1000.0 + seconds, 0.0
    while True:
        now += bucket.wait_time(cost, now) + 1e-9
        if now > end:
            return sent
        bucket.take(cost, now)
        sent += cost


@pytest.mark.parametrize("cost", [1, 7, 50, 400])
def test_a_minute_has_at_most_a_twentieth_more(cost: float) -> None:
    """The provider would refuse what the limit promised to hold back, or half of it would be left unused."""
    assert 6000 - cost <= sent_in_a_minute(TokenBucket(6000), cost) <= 6000 * 1.05 + cost


def test_what_is_larger_than_the_bucket_goes_when_it_is_full_and_is_made_up_for() -> None:
    """A large request would wait for ever, or be free."""
    bucket = TokenBucket(600)  # thirty at once, ten a second
    assert bucket.wait_time(100, 1000) == 0
    bucket.take(100, 1000)
    assert bucket.wait_time(1, 1000) == pytest.approx(7.1)
    assert bucket.wait_time(100, 1000) == pytest.approx(10)


def test_what_was_taken_too_much_comes_back_and_what_was_too_little_is_taken() -> None:
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


def test_what_is_left_is_spread_over_the_time_it_must_last() -> None:
    """Calls would go as fast as they can until the provider refuses."""
    told, now, sent = ReportedLimit(), 1000.0, 0
    told.update(20, 1010)
    while now < 1010:
        now += told.wait_time(1, now) or 0.001
        told.take(1, now)
        sent += 1
        if now > 1009:
            break
    assert 15 <= sent <= 25


def test_a_provider_that_says_nothing_is_left_is_asked_again_soon() -> None:
    """A limit that fills up all the time would stand still until it is whole."""
    told = ReportedLimit()
    told.take(1, 1000)
    told.update(0, 1060)
    assert told.wait_time(1, 1000) == 5
    told.update(0, 1002)
    assert told.wait_time(1, 1000) == 2
    assert told.wait_time(1, 1003) == 0


# --- turns --------------------------------------------------------------------------------------------------------


class Crowd:
    """Calls that ask for their turn, and when they got it."""

    def __init__(self, limit: RateLimit) -> None:
        self.turns = LocalRateLimiter(limit)
        self.let_go: list[tuple[str, float]] = []
        self.start = asyncio.get_running_loop().time()

    def ask(self, name: str, tokens: int = 1) -> "asyncio.Task[None]":
        async def one() -> None:
            await self.turns.acquire(tokens)
            self.let_go.append((name, round(asyncio.get_running_loop().time() - self.start, 3)))

        return asyncio.ensure_future(one())

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.let_go]


def test_requests_go_at_their_rate_in_the_order_of_asking() -> None:
    """The limit would not hold, or a call could wait for ever while later ones pass."""

    async def main() -> list[tuple[str, float]]:
        crowd = Crowd(RateLimit(requests_per_minute=60))
        await asyncio.gather(*(crowd.ask(str(number)) for number in range(10)))
        return crowd.let_go

    # Three at once are a twentieth of a minute's worth.
    assert run(main()) == [(str(number), max(0.0, number - 2.0)) for number in range(10)]


def test_tokens_go_at_their_rate() -> None:
    """A few large requests would use up what the account has."""

    async def main() -> float:
        crowd = Crowd(RateLimit(tokens_per_minute=60_000))
        await asyncio.gather(*(crowd.ask("", 500) for _ in range(100)))
        return crowd.let_go[-1][1]

    assert run(main()) == pytest.approx(47, abs=0.1)


def test_a_large_request_is_not_starved_by_small_ones() -> None:
    """It would wait for as long as small ones keep coming."""

    async def main() -> list[tuple[str, float]]:
        crowd = Crowd(RateLimit(tokens_per_minute=60_000))
        small = [crowd.ask("small", 50) for _ in range(100)]
        large = crowd.ask("large", 10_000)
        more: list[asyncio.Task[None]] = []
        while not large.done():
            more.append(crowd.ask("small", 50))
            await asyncio.sleep(0.05)
        await asyncio.gather(*small, *more)
        return crowd.let_go

    went = run(main())
    when = dict(went)["large"]
    # Those before it need five seconds, three are there, and then it waits for a full bucket.
    assert when == pytest.approx(5, abs=0.1)
    assert [name for name, _ in went][:101] == ["small"] * 100 + ["large"]


def test_no_more_are_under_way_than_may_be() -> None:
    """The provider would refuse, or streams would be cut."""

    async def main() -> list[str]:
        crowd = Crowd(RateLimit(concurrency=2))
        tasks = [crowd.ask(str(number)) for number in range(4)]
        await asyncio.sleep(1)
        assert crowd.names == ["0", "1"]
        assert (crowd.turns.in_flight, crowd.turns.queued) == (2, 2)
        crowd.turns.settle(1, 1)
        await asyncio.sleep(1)
        assert crowd.names == ["0", "1", "2"]
        crowd.turns.settle(1, None)
        await asyncio.gather(*tasks)
        return crowd.names

    assert run(main()) == ["0", "1", "2", "3"]


def test_who_gives_up_takes_nothing_and_holds_up_nobody() -> None:
    """Cancelled calls would use up the limit, or those behind them would wait for ever."""

    async def main() -> list[tuple[str, float]]:
        crowd = Crowd(RateLimit(tokens_per_minute=600))
        crowd.ask("first", 30)
        large = crowd.ask("large", 30)
        rest = [crowd.ask("small", 5) for _ in range(2)]
        await asyncio.sleep(0.1)
        large.cancel()
        await asyncio.gather(*rest)
        assert large.cancelled()
        return crowd.let_go

    assert run(main()) == [("first", 0.0), ("small", 0.5), ("small", 1.0)]


def test_who_gives_up_in_the_moment_of_its_turn_gives_it_on() -> None:
    """The turn would be lost, and with it a place for good."""

    async def main() -> list[str]:
        crowd = Crowd(RateLimit(requests_per_minute=60, tokens_per_minute=6000, concurrency=1))
        await crowd.ask("0")
        second, third = crowd.ask("1", 290), crowd.ask("2", 290)
        await asyncio.sleep(0.01)
        crowd.turns.settle(1, 1)  # it is the second's turn now,
        second.cancel()  # and it leaves before it knows
        async with asyncio.timeout(0.5):
            await third
        assert crowd.turns.in_flight == 1
        return crowd.names

    assert run(main()) == ["0", "2"]


def test_an_estimate_is_settled_to_what_was_used() -> None:
    """A limit would be used to a tenth, where replies are shorter than they may be; or far too much."""

    async def main(actual: int | None) -> float:
        crowd = Crowd(RateLimit(tokens_per_minute=600))
        await crowd.ask("first", 30)
        crowd.turns.settle(30, actual)
        await crowd.ask("second", 30)
        return crowd.let_go[-1][1]

    assert [run(main(actual)) for actual in (30, 0, 10, 60, None)] == [3.0, 0.0, 1.0, 6.0, 0.0]


def test_closing_lets_everybody_go() -> None:
    """A service could not stop before its limits allow it."""

    async def main() -> list[tuple[str, float]]:
        crowd = Crowd(RateLimit(requests_per_minute=1, concurrency=1))
        tasks = [crowd.ask("") for _ in range(5)]
        await asyncio.sleep(1)
        crowd.turns.wake()
        await asyncio.gather(*tasks, crowd.ask("later"))
        return crowd.let_go

    assert run(main()) == [("", 0.0), *[("", 1.0)] * 4, ("later", 1.0)]


def test_a_limit_known_from_headers_slows_calls_before_it_is_met() -> None:
    """The provider would have to refuse first, although it said long before that little was left."""

    async def main() -> tuple[int, int]:
        turns, loop = LocalRateLimiter(RateLimit()), asyncio.get_running_loop()
        start, level, refused = loop.time(), 100.0, 0
        seen, sent = start, 0

        async def call() -> None:
            nonlocal level, seen, refused, sent
            mark = await turns.acquire(10)
            now = loop.time()
            level, seen = min(100.0, level + (now - seen) * 10), now  # the provider's own bucket: ten a second
            sent += 1
            if level < 1:
                refused += 1
            else:
                level -= 1
            left = RemainingQuota("x-ratelimit-remaining-requests", False, level, (100 - level) / 10)
            await asyncio.sleep(0.3)
            turns.update_from_headers(mark, [left])
            turns.settle(10, 10)

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
    assert 540 <= sent <= 710  # 600 in a minute, and the hundred that were there at first


def test_an_older_answer_tells_nothing_new() -> None:
    """An answer that was long under way would speed up what a newer one slowed down."""

    async def main() -> float:
        turns, loop = LocalRateLimiter(RateLimit()), asyncio.get_running_loop()
        older, newer = await turns.acquire(1), await turns.acquire(1)
        turns.update_from_headers(newer, [RemainingQuota("x", False, 0, 4)])
        turns.update_from_headers(older, [RemainingQuota("x", False, 1000, 4)])
        start = loop.time()
        await turns.acquire(1)
        return loop.time() - start

    assert run(main()) == pytest.approx(4)


# --- which limits a call has ----------------------------------------------------------------------------------------


def test_a_model_keeps_its_own_limit_and_its_providers() -> None:
    """One of the two would be ignored, or limits would hold for somebody else."""

    async def main() -> list[int]:
        limits = ClientLimits({"openai": RateLimit(concurrency=3), "openai/gpt-4o": RateLimit(concurrency=1)})
        assert limits.for_model("cohere", "gpt-4o") is None
        tasks: list[asyncio.Task[Any]] = []
        counts: list[int] = []
        for model in ("gpt-4o", "gpt-4o", "o3", "o3", "o3"):
            admission = limits.for_model("openai", model)
            assert admission is not None
            tasks.append(asyncio.ensure_future(admission.acquire(1)))
            await asyncio.sleep(0.1)
            counts.append(sum(task.done() for task in tasks))
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return counts

    assert run(main()) == [1, 1, 2, 3, 3]


class Shared:
    """A limiter of somebody's own."""

    def __init__(self, act: Callable[[], Any] = lambda: None, wait: float = 0.0) -> None:
        self.said: list[tuple[Any, ...]] = []
        self._act, self._wait = act, wait

    async def acquire(self, key: str, *, requests: int, tokens: int) -> None:
        self.said.append((key, requests, tokens))
        await asyncio.sleep(self._wait)
        self._act()

    def settle(self, key: str, *, estimated: int, actual: int) -> None:
        self.said.append((key, estimated, actual))
        self._act()


def raises(error: Exception) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def admission(limits: dict[str, RateLimit], shared: Any = None) -> ModelLimits:
    found = ClientLimits(limits, shared).for_model("openai", "m")
    assert found is not None
    return found


def test_a_shared_limiter_is_asked_with_the_model_and_told_what_it_took() -> None:
    """It could not tell whose limit it is, or would go on counting estimates."""
    shared = Shared()

    async def main() -> None:
        for actual in (7, None):
            ticket = await admission({}, shared).acquire(100)
            ticket.settle(actual)

    run(main())
    assert shared.said == [("openai/m", 1, 100), ("openai/m", 100, 7), ("openai/m", 1, 100), ("openai/m", 100, 100)]


def test_who_is_refused_by_the_shared_limiter_takes_nothing_of_the_others() -> None:
    """Every failure of a shared limiter would use up the client's own."""

    async def main() -> None:
        door = admission({"openai": RateLimit(concurrency=1)}, Shared(raises(RateLimitError("no"))))
        for _ in range(3):
            with pytest.raises(RateLimitError):
                await door.acquire(1)

    run(main())


def test_a_foreign_error_of_a_shared_limiter_is_one_of_ours() -> None:
    """A call would raise what no documentation of this package speaks of."""

    async def main() -> None:
        with pytest.raises(ConfigurationError, match="the rate_limiter failed with KeyError"):
            await admission({}, Shared(raises(KeyError("secret")))).acquire(1)

    run(main())


def test_a_shared_limiter_that_fails_when_told_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """An answer that is there and paid for would be lost."""
    shared = Shared()

    async def main() -> None:
        ticket = await admission({}, shared).acquire(1)
        shared._act = raises(KeyError("secret"))
        ticket.settle(1)

    run(main())
    assert [record.getMessage() for record in caplog.records] == ["rate_limiter failed with KeyError"]


def test_closing_ends_the_wait_for_a_shared_limiter() -> None:
    """A client could not be closed while a limiter lets it wait."""

    async def main() -> bool:
        limits = ClientLimits({}, Shared(wait=3600))
        door = limits.for_model("openai", "m")
        assert door is not None
        waiting = [asyncio.ensure_future(door.acquire(1)) for _ in range(3)]
        await asyncio.sleep(1)
        limits.wake()
        await asyncio.gather(*waiting)
        await door.acquire(1)
        return all(task.cancelling() == 0 for task in waiting)

    assert run(main())


def test_a_cancel_of_the_callers_is_not_taken_for_a_close() -> None:
    """A cancelled call would go on as if nothing had been."""

    async def main() -> bool:
        limits = ClientLimits({}, Shared(wait=3600))
        door = limits.for_model("openai", "m")
        assert door is not None
        one, other = (asyncio.ensure_future(door.acquire(1)) for _ in range(2))
        await asyncio.sleep(1)
        one.cancel()
        limits.wake()
        other.cancel()
        await asyncio.wait([one, other])
        return one.cancelled() and other.cancelled()

    assert run(main())


# --- estimates and refusals -----------------------------------------------------------------------------------------


def test_an_estimate_is_a_quarter_of_the_bytes_and_what_the_reply_may_have() -> None:
    """Limits by tokens would be kept far too late, or hold back a tenth of what may go."""
    ask = ChatRequest("m", "Hi.")
    assert estimated_tokens(ask, 4000) == 1000
    assert estimated_tokens(ChatRequest("m", "Hi.", max_tokens=50), 4000) == 1050
    assert estimated_tokens(ChatRequest("m", "Hi.", max_completion_tokens=50, n=3), 4000) == 1150


def test_an_image_counts_once_however_large_its_data() -> None:
    """One picture would be taken for a hundred thousand tokens, and hold up everything for minutes."""
    url = "data:image/png;base64," + "A" * 400_000
    parts: Content = [TextPart("What is it?"), ImagePart(ImageUrl(url)), AudioPart(InputAudio("A" * 40_000, "wav"))]
    ask = ChatRequest("m", [AssistantMessage("Yes?"), UserMessage(parts)])
    assert estimated_tokens(ask, 442_000) == pytest.approx(2500, abs=20)


def test_what_was_used_is_what_the_provider_counted() -> None:
    """A limit would be settled to half of what was used."""
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
def test_a_limit_that_is_none_is_refused_by_name(param: str, value: Any) -> None:
    """A typing error would stop all calls for ever, or limit nothing."""
    with pytest.raises(InvalidRequestError, match=param) as refusal:
        RateLimit(**{param: value})
    assert refusal.value.param == param


def test_limits_are_names_and_limits() -> None:
    """What is no limit would be found out by the first call, by an AttributeError."""
    limit: Any
    for limit in (60, None, {"requests_per_minute": 60}):
        with pytest.raises(InvalidRequestError, match=r"limits\['openai'\]: expected a RateLimit"):
            checked_limits({"openai": limit})
    wrong: Any
    values: list[Any] = [[], "openai", {3: RateLimit()}]
    for wrong in values:
        with pytest.raises(InvalidRequestError, match="limits: expected"):
            checked_limits(wrong)
