"""Calls over routes and with fallbacks: which targets are asked, how often, what is raised and what is reported."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
from collections.abc import Callable
from typing import Any, cast

import pytest

from anycompletion import (
    AllTargetsFailedError,
    APIConnectionError,
    APIError,
    APIResponseError,
    APITimeoutError,
    AsyncCompletion,
    AuthenticationError,
    BadRequestError,
    CallNext,
    CallOptions,
    ChatCompletion,
    ChatRequest,
    CompletionError,
    CompletionStream,
    ConfigurationError,
    ConflictError,
    ContentPolicyViolationError,
    ContextWindowExceededError,
    EnvKey,
    InternalServerError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimit,
    RateLimitError,
    Reply,
    ServiceUnavailableError,
    StreamInterruptedError,
    UnprocessableEntityError,
    UnsupportedParameterError,
)
from anycompletion.client import route_planning
from anycompletion.routing import CircuitBreaker, Route, RouteTarget, TargetState
from anycompletion.testing import FakeProvider, SimulatorServer

ROUTE = ["openai/gpt-4o", "anthropic/claude-haiku-4-5"]
MOVES: dict[type[APIError], str] = {
    **dict.fromkeys((APIConnectionError, APITimeoutError, APIResponseError, StreamInterruptedError), "failure"),
    **dict.fromkeys((InternalServerError, ServiceUnavailableError, OverloadedError, ConflictError), "failure"),
    RateLimitError: "pause",
    **dict.fromkeys((QuotaExceededError, AuthenticationError, PermissionDeniedError, NotFoundError), "rejected"),
    ContextWindowExceededError: "none",
}
STAYS = (BadRequestError, UnprocessableEntityError, ContentPolicyViolationError)


def always(error: CompletionError) -> Callable[[ChatRequest], str]:
    """A reply of a fake that is this error, however often it is asked."""

    def fail(request: ChatRequest) -> str:
        raise copy.copy(error)

    return fail


def answer(text: str) -> Callable[[ChatRequest], str]:
    return lambda request: text


def in_turn(*replies: Callable[[ChatRequest], str]) -> Callable[[ChatRequest], str]:
    """One reply after the other."""
    left = iter(replies)

    def reply(request: ChatRequest) -> str:
        return next(left)(request)

    return reply


def down(status: int = 500) -> InternalServerError:
    return InternalServerError("down", status_code=status)


class TwoProviders:
    """A client whose route has two targets, of which each does what it is given."""

    def __init__(self, first: Any, last: Any, route: Route | None = None, **options: Any) -> None:
        self.first = FakeProvider(first, name="openai")
        self.last = FakeProvider(last, name="anthropic")
        self.client = AsyncCompletion(
            providers=[self.first, self.last], routes={"pair": route or Route(ROUTE)}, **options
        )

    async def ask(self, model: str = "pair", *, stream: bool = False, **options: Any) -> ChatCompletion:
        opened: CompletionStream
        if not stream:
            return cast("ChatCompletion", await self.client.create(model, "Hello!", **options))
        async with self.client.stream(model, "Hello!", **options) as opened:
            return await opened.get_final_completion()

    @property
    def asked(self) -> tuple[int, int]:
        return len(self.first.requests), len(self.last.requests)

    @property
    def states(self) -> list[TargetState]:
        return self.client.stats().routes["pair"]

    async def __aenter__(self) -> TwoProviders:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()


def health(state: TargetState) -> str:
    """The health effect that a target shows, whose circuit opens at its first failure."""
    if state.state == "open":
        return "rejected" if (state.retry_in or 0) > 200 else "failure"
    return "none" if state.retry_in is None else "pause"


FORMS = pytest.mark.parametrize(("stream", "n"), [(False, 1), (False, 3), (True, 1), (True, 3)])
ONE_FAILURE = CircuitBreaker(failures=1)


@FORMS
@pytest.mark.parametrize("error", MOVES, ids=lambda error: error.__name__)
async def test_an_error_of_the_first_target_moves_the_call_on(error: type[APIError], stream: bool, n: int) -> None:
    """The call would fail although another target answers, ask one twice, or spoil or spare a target's health."""
    async with TwoProviders(always(error("no")), answer("yes"), Route(ROUTE, breaker=ONE_FAILURE)) as two:
        reply = await two.ask(stream=stream, n=n)
        assert [choice.message.content for choice in reply.choices] == ["yes"] * n
        assert two.asked == (1, 1)
        assert (reply.info.route, reply.info.target, reply.info.provider) == ("pair", ROUTE[1], "anthropic")
        failed, answered = reply.info.tried
        assert isinstance(failed.error, error)
        assert (failed.target, answered.target, answered.error) == (*ROUTE, None)
        assert reply.info.attempts == 1 + n
        assert [health(state) for state in two.states] == [MOVES[error], "none"]
        assert [state.in_flight for state in two.states] == [0, 0]


@FORMS
@pytest.mark.parametrize("error", STAYS, ids=lambda error: error.__name__)
async def test_an_error_of_the_request_is_raised(error: type[APIError], stream: bool, n: int) -> None:
    """A request that is at fault would be sent to all targets."""
    async with TwoProviders(always(error("no")), answer("yes"), Route(ROUTE, breaker=ONE_FAILURE)) as two:
        with pytest.raises(error) as caught:
            await two.ask(stream=stream, n=n)
        assert not isinstance(caught.value, AllTargetsFailedError)
        assert two.asked == (1, 0)
        assert [health(state) for state in two.states] == ["none", "none"]


@FORMS
@pytest.mark.parametrize("error", [each for each in MOVES if each is not ContextWindowExceededError])
async def test_errors_of_all_targets_are_raised_together(error: type[APIError], stream: bool, n: int) -> None:
    """The caller would learn of one failure only, or the errors would be lost in a pickle."""
    unavailable, route = ServiceUnavailableError("down", status_code=503), Route(ROUTE, breaker=ONE_FAILURE)
    async with TwoProviders(always(unavailable), always(error("no")), route) as two:
        with pytest.raises(AllTargetsFailedError) as caught:
            await two.ask(stream=stream, n=n, max_retries=0)
        failed = caught.value
        assert [type(each) for each in failed.errors] == [ServiceUnavailableError, error]
        assert (failed.status_code, failed.request_id) == (503, failed.errors[0].request_id)
        assert failed.retryable
        assert "openai/gpt-4o: ServiceUnavailableError 503" in str(failed)
        assert two.asked[0] == 1
        assert failed.__cause__ is failed.errors[-1]
        assert all(each.__traceback__ is not None for each in failed.errors)
        again = pickle.loads(pickle.dumps(failed))  # noqa: S301 (made here)
        assert [type(each) for each in again.errors] == [ServiceUnavailableError, error]


@FORMS
@pytest.mark.parametrize("error", STAYS)
async def test_a_final_error_of_the_last_target_is_raised_as_it_is(error: type[APIError], stream: bool, n: int) -> None:
    """The reason for which the request itself was refused would be hidden."""
    async with TwoProviders(always(down()), always(error("no"))) as two:
        with pytest.raises(error):
            await two.ask(stream=stream, n=n)


# --- attempts ---


async def test_attempts_alternate_between_the_targets() -> None:
    """`max_retries` would be multiplied by the number of targets, or one target would get all of them."""
    async with TwoProviders(always(down()), always(down())) as two:
        with pytest.raises(AllTargetsFailedError) as caught:
            await two.ask(max_retries=2)
        assert [each.provider for each in caught.value.errors] == ["openai", "anthropic", "openai"]
        assert (two.asked, caught.value.attempts) == ((2, 1), 3)


@pytest.mark.parametrize("attempts", [1, 2, 3])
@pytest.mark.parametrize("retries", [0, 1, 4, 7])
async def test_requests_of_a_call_are_bounded(attempts: int, retries: int) -> None:
    """A call would send more requests than it may, or fewer."""
    route = Route(ROUTE, attempts_per_target=attempts, breaker=None)
    async with TwoProviders(always(down()), always(down()), route) as two:
        with pytest.raises(AllTargetsFailedError):
            await two.ask(max_retries=retries)
        assert sum(two.asked) == max(retries + 1, 2 * attempts)


async def test_a_target_gets_its_attempts_before_the_call_moves_on() -> None:
    """`attempts_per_target` would have no effect."""
    async with TwoProviders(always(down()), answer("yes"), Route(ROUTE, attempts_per_target=2)) as two:
        reply = await two.ask()
        assert two.asked == (2, 1)
        assert [each.target for each in reply.info.tried] == [ROUTE[0], ROUTE[0], ROUTE[1]]


async def test_a_rate_limit_moves_on_at_once() -> None:
    """A target that asks for a pause would be asked again at once."""
    async with TwoProviders(always(RateLimitError("no")), answer("yes"), Route(ROUTE, attempts_per_target=3)) as two:
        await two.ask()
        assert two.asked == (1, 1)


async def test_permanent_errors_are_not_repeated() -> None:
    """A revoked key would be tried as often as the call has attempts."""
    async with TwoProviders(always(NotFoundError("no")), always(down()), Route(ROUTE, breaker=None)) as two:
        with pytest.raises(AllTargetsFailedError):
            await two.ask(max_retries=5)
        assert two.asked == (1, 5)


async def test_one_target_raises_its_own_error() -> None:
    """A route of one target would hide the error behind another class."""
    async with TwoProviders(always(down()), answer(""), Route(ROUTE[:1])) as two:
        with pytest.raises(InternalServerError) as caught:
            await two.ask(max_retries=1)
        assert (two.asked, caught.value.attempts) == ((2, 0), 2)


async def test_retries_are_paid_from_the_budget() -> None:
    """In an outage of both targets, each call would send as many requests as it has attempts."""
    async with TwoProviders(always(down()), always(down()), Route(ROUTE, breaker=None)) as two:
        for _ in range(50):
            with pytest.raises(APIError):
                await two.ask(max_retries=10)
        assert sum(two.asked) <= 2 * (50 + 10 + 10)


async def test_an_outage_of_all_targets_is_not_amplified() -> None:
    """Calls would triple the load of providers that are down."""
    async with TwoProviders(always(down()), always(down())) as two:
        for _ in range(3):
            with pytest.raises(APIError):
                await two.ask()
        before = sum(two.asked)
        for _ in range(100):
            with pytest.raises(APIError):
                await two.ask()
        assert sum(two.asked) - before == 100


# --- health ---


async def test_a_failed_target_is_passed_by_until_its_probe() -> None:
    """Each call of an outage would try the dead target first."""
    async with TwoProviders(always(down()), answer("yes")) as two:
        for _ in range(10):
            await two.ask()
        assert two.asked == (3, 10)
        assert [state.state for state in two.states] == ["open", "closed"]
        assert two.client.check("pair").provider == "anthropic"


async def test_a_rejected_target_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    """A revoked key would stay unseen behind its fallback, or fill the log."""
    async with TwoProviders(always(AuthenticationError("bad key")), answer("yes")) as two:
        replies = [await two.ask() for _ in range(5)]
        assert two.asked == (1, 5)
        assert [len(reply.info.tried) for reply in replies] == [2, 1, 1, 1, 1]
        assert any("refused the call: AuthenticationError" in text for text in replies[0].info.warnings)
        assert [record.levelname for record in caplog.records].count("ERROR") == 1


async def test_the_log_of_a_route_has_sentences(caplog: pytest.LogCaptureFixture) -> None:
    """An operator who is called at night could not read what happens to which target, and for how long."""
    caplog.set_level(logging.DEBUG, "anycompletion")
    calm = CircuitBreaker(failures=2, seconds=2)
    for error in (down(), AuthenticationError("bad key")):
        async with TwoProviders(always(error), answer("yes"), Route(ROUTE, breaker=calm)) as two:
            for _ in range(2):
                await two.ask()
    target, events = "route pair: openai/gpt-4o", ("moving_on", "circuit_opened", "target_rejected")
    texts = [record.getMessage() for record in caplog.records if getattr(record, "ac_event", "") in events]
    kind = type(down()).__name__
    assert list(dict.fromkeys(texts)) == [
        f"{target} failed, and the call goes on to another target ({kind})",
        f"{target} is passed by for 2 s after 2 failures ({kind})",
        f"{target} refuses all calls (AuthenticationError)",
        f"{target} failed, and the call goes on to another target (AuthenticationError)",
    ]


async def test_exactly_one_of_many_calls_probes() -> None:
    """All waiting calls would reach a target at the end of its pause."""
    calm = CircuitBreaker(failures=1, seconds=0.05)
    async with TwoProviders(always(down()), answer("yes"), Route(ROUTE, breaker=calm)) as two:
        await two.ask()
        await asyncio.sleep(0.06)
        two.first.latency = 0.02
        await asyncio.gather(*(two.ask() for _ in range(100)))
        assert two.asked == (2, 101)


async def test_a_probe_that_succeeds_brings_the_target_back() -> None:
    """A provider that has recovered would get no calls any more."""
    calm = CircuitBreaker(failures=1, seconds=0.05)
    async with TwoProviders(in_turn(always(down()), answer("back")), answer("yes"), Route(ROUTE, breaker=calm)) as two:
        assert (await two.ask()).text == "yes"
        await asyncio.sleep(0.06)
        assert (await two.ask()).text == "back"
        assert two.states[0].state == "closed"


async def test_calls_wait_for_the_probe_where_all_circuits_are_open() -> None:
    """Calls would fail without a try although a target is back, or all of them would try at once."""
    is_down = True

    def first(request: ChatRequest) -> str:
        if is_down:
            raise down()
        return "back"

    async with TwoProviders(first, always(down()), Route(ROUTE, breaker=ONE_FAILURE)) as two:
        with pytest.raises(AllTargetsFailedError):
            await two.ask()
        is_down, two.first.latency = False, 0.05
        two.first.requests.clear()
        replies = [asyncio.create_task(two.ask()) for _ in range(20)]
        await asyncio.sleep(0.03)
        assert len(two.first.requests) == 1
        assert {reply.text for reply in await asyncio.gather(*replies)} == {"back"}


async def test_a_probe_that_fails_ends_the_calls_that_wait_for_it() -> None:
    """Calls would probe a dead target one after the other, each after the failure of the one before."""
    async with TwoProviders(always(down()), always(down()), Route(ROUTE, breaker=ONE_FAILURE)) as two:
        with pytest.raises(AllTargetsFailedError):
            await two.ask()
        two.first.latency, before = 0.03, sum(two.asked)
        results = await asyncio.gather(*(two.ask() for _ in range(20)), return_exceptions=True)
        assert sum(two.asked) == before + 1
        assert {type(each) for each in results} == {InternalServerError, AllTargetsFailedError}


async def test_one_call_probes_after_a_probe_that_was_refused_for_its_rate() -> None:
    """All calls that wait for the end of the pause would go at once to a target that is not known to work again."""
    slow_down = always(RateLimitError("slow down", status_code=429, retry_after=0.1))
    route = Route(ROUTE[:1], breaker=ONE_FAILURE)
    async with TwoProviders(in_turn(always(down()), slow_down, slow_down), answer("never"), route) as two:
        with pytest.raises(InternalServerError):
            await two.ask()
        with pytest.raises(RateLimitError):  # the probe
            await two.ask()
        two.first.latency = 0.03
        before = sum(two.asked)
        calls = [asyncio.create_task(two.ask()) for _ in range(20)]
        while sum(two.asked) == before:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)
        assert sum(two.asked) == before + 1
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)


async def test_a_probe_whose_caller_leaves_is_made_by_the_next_call() -> None:
    """A cancelled probe would keep the others waiting for ever."""
    async with TwoProviders(always(down()), always(down()), Route(ROUTE, breaker=ONE_FAILURE)) as two:
        with pytest.raises(AllTargetsFailedError):
            await two.ask()
        two.first.latency = 5.0
        probe = asyncio.create_task(two.ask())
        await asyncio.sleep(0.02)
        waiting = asyncio.create_task(two.ask())
        await asyncio.sleep(0.02)
        two.first.latency = 0.0
        probe.cancel()
        with pytest.raises(InternalServerError):
            await asyncio.wait_for(waiting, 2)
        assert [state.in_flight for state in two.states] == [0, 0]


async def test_health_is_shared_by_routes_views_and_fallbacks() -> None:
    """Each view or route would have to learn by itself that a provider is down."""
    async with TwoProviders(always(down()), answer("yes"), Route(ROUTE, breaker=ONE_FAILURE)) as two:
        await two.ask()
        await two.client.with_options(tags={"user": "7"}).create("pair", "Hello!")
        await two.client.create(ROUTE[0], "Hello!", fallbacks=[ROUTE[1]])
        await two.client.create(ROUTE[0], "Hello!", fallbacks=[ROUTE[1]], timeout=5)
        assert two.asked == (1, 4)


async def test_a_target_without_a_breaker_is_never_passed_by() -> None:
    """`breaker=None` would have no effect."""
    async with TwoProviders(always(down()), answer("yes"), Route(ROUTE, breaker=None)) as two:
        for _ in range(6):
            await two.ask()
        assert two.asked == (6, 6)
        assert two.states[0].state == "closed"


# --- rate limits ---


async def test_a_target_that_asks_for_a_pause_is_passed_over() -> None:
    """Calls would wait for a pause although another target is free."""
    limited = RateLimitError("slow down", retry_after=30)
    async with TwoProviders(always(limited), answer("yes")) as two:
        for _ in range(5):
            assert (await two.ask()).text == "yes"
        assert two.asked == (1, 5)
        assert two.states[0].state == "closed"
        assert 25 < (two.states[0].retry_in or 0) <= 33


async def test_pauses_that_are_too_long_end_the_call_at_once() -> None:
    """A call would wait for minutes, or the error would not tell how long."""
    first, last = RateLimitError("slow down", retry_after=90), RateLimitError("slow down", retry_after=70)
    async with TwoProviders(always(first), always(last)) as two:
        with pytest.raises(AllTargetsFailedError) as caught:
            await two.ask()
        assert caught.value.retry_after == pytest.approx(70, abs=1)
        with pytest.raises(AllTargetsFailedError) as caught:
            await two.ask()
        assert two.asked == (1, 1)
        assert 60 < (caught.value.retry_after or 0) <= 80
        assert [type(each) for each in caught.value.errors] == [RateLimitError, RateLimitError]


async def test_the_target_that_is_free_first_is_waited_for() -> None:
    """A short pause of all targets would fail the call."""
    first = in_turn(always(RateLimitError("slow down", retry_after=0.05)), answer("at last"))
    last = always(RateLimitError("slow down", retry_after=20))
    async with TwoProviders(first, last) as two:
        reply = await two.ask()
        assert (reply.text, two.asked) == ("at last", (2, 1))


async def test_a_refusal_without_a_hint_is_waited_for_like_a_retry() -> None:
    """A call over one target would fail after a 429 that another call survives, or a test of it take long."""
    first = in_turn(always(RateLimitError("slow down")), answer("at last"))
    async with TwoProviders(first, answer(""), Route(ROUTE[:1])) as two:
        began = asyncio.get_running_loop().time()
        assert (await two.ask()).text == "at last"
        assert asyncio.get_running_loop().time() - began < 10


async def test_limits_of_the_client_pass_a_target_over() -> None:
    """Calls would queue for one target while the other is idle."""
    limits = {"openai": RateLimit(concurrency=1)}
    async with TwoProviders(answer("first"), answer("last"), limits=limits) as two:
        two.first.latency = 0.05
        replies = await asyncio.gather(*(two.ask() for _ in range(4)))
        assert sorted(reply.text or "" for reply in replies) == ["first", "last", "last", "last"]


# --- what is sent ---


async def test_params_of_a_target_replace_those_of_the_call() -> None:
    """A target would be asked with parameters that its model refuses."""
    target = RouteTarget(ROUTE[1], params={"seed": None, "max_tokens": 50, "temperature": 0.5})
    async with TwoProviders(always(down()), answer("yes"), Route([ROUTE[0], target])) as two:
        await two.ask(seed=7, max_tokens=900)
        first, last = two.first.requests[0].body, two.last.requests[0].body
        assert (first["seed"], first["max_tokens"], "temperature" in first) == (7, 900, False)
        assert (last["max_tokens"], last["temperature"], "seed" in last) == (50, 0.5, False)


async def test_a_target_without_a_parameter_is_passed_over() -> None:
    """One provider without a parameter would fail all calls of the route that use it."""
    async with TwoProviders(answer("no"), answer("yes"), Route(ROUTE[::-1])) as two:
        assert (await two.ask()).info.provider == "anthropic"
        reply = await two.ask(seed=7)
        assert (reply.info.provider, two.asked) == ("openai", (1, 1))
        assert any("anthropic/claude-haiku-4-5 passed over: seed" in text for text in reply.info.warnings)
        lenient = await two.ask(seed=7, on_unsupported="warn")
        assert lenient.info.provider == "anthropic"


async def test_a_request_that_no_target_can_take_is_refused() -> None:
    """The first target's refusal would be hidden, or something would be sent."""
    async with TwoProviders(answer(""), answer(""), Route(["anthropic/a", "anthropic/b"])) as two:
        for stream in (False, True):
            with pytest.raises(UnsupportedParameterError, match="seed"):
                await two.ask(seed=7, stream=stream)
        with pytest.raises(UnsupportedParameterError):
            two.client.stream("pair", "Hello!", seed=7)
        assert two.asked == (0, 0)


async def test_a_target_without_a_key_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that is missing for one provider would fail all calls of the route."""
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    fake = FakeProvider(answer("yes"), name="openai")
    routes = {"pair": Route(["groq/llama", "openai/gpt-4o"]), "keyless": Route(["groq/llama"])}
    async with AsyncCompletion(providers=[fake], routes=routes) as client:
        reply = await client.create("pair", "Hello!")
        assert any("groq/llama passed over: no API key for groq" in text for text in reply.info.warnings)
        assert client.check("pair").provider == "openai"
        with pytest.raises(ConfigurationError, match="no API key for groq"):
            client.check("keyless")
        with pytest.raises(ConfigurationError, match="no API key for groq"):
            client.stream("keyless", "Hello!")
        with pytest.raises(ConfigurationError, match="no API key for groq"):
            await client.create("keyless", "Hello!")


async def test_the_policy_of_the_route_is_below_that_of_the_call() -> None:
    """`on_unsupported` of a route would not apply, or the call could not change it."""
    route = Route(["anthropic/claude-haiku-4-5"], on_unsupported="drop")
    async with TwoProviders(answer(""), answer("yes"), route) as two:
        assert (await two.ask(seed=7)).text == "yes"
        with pytest.raises(UnsupportedParameterError):
            await two.ask(seed=7, on_unsupported="raise")


# --- context windows ---


def long() -> Callable[[ChatRequest], str]:
    return always(ContextWindowExceededError("too long"))


async def test_a_long_prompt_goes_to_a_larger_window() -> None:
    """It would be sent to models that have the same window."""
    route = Route(
        [
            RouteTarget("openai/small", context_window=8_000),
            RouteTarget("openai/same", context_window=8_000),
            RouteTarget("anthropic/large", context_window=100_000),
        ]
    )
    async with TwoProviders(long(), answer("yes"), route) as two:
        reply = await two.ask()
        assert [each.target for each in reply.info.tried] == ["openai/small", "anthropic/large"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_prompt_that_is_too_long_for_all_is_raised(stream: bool) -> None:
    """The caller could not tell that the prompt has to be shortened."""
    async with TwoProviders(long(), long()) as two:
        with pytest.raises(ContextWindowExceededError):
            await two.ask(stream=stream)
        assert two.asked == (1, 1)


async def test_a_window_that_the_prompt_cannot_fit_into_is_passed_over() -> None:
    """A request would be made that must be refused."""
    route = Route([RouteTarget("openai/small", context_window=100), RouteTarget("anthropic/large")])
    async with TwoProviders(answer("no"), answer("yes"), route) as two:
        assert (await two.client.create("pair", "word " * 1_000)).text == "yes"
        assert (await two.client.create("pair", "word")).text == "no"


async def test_on_context_window_can_raise() -> None:
    """`on_context_window="raise"` would have no effect."""
    async with TwoProviders(long(), answer("yes"), Route(ROUTE, on_context_window="raise")) as two:
        with pytest.raises(ContextWindowExceededError):
            await two.ask()
        assert two.asked == (1, 0)


# --- time ---


@pytest.mark.parametrize("stream", [False, True])
async def test_one_deadline_covers_all_targets(stream: bool) -> None:
    """Each target would get the whole timeout."""
    async with TwoProviders(always(down()), answer("yes")) as two:
        two.first.latency, two.last.latency = 0.06, 1.0
        began = asyncio.get_running_loop().time()
        with pytest.raises(APITimeoutError) as caught:
            await two.ask(timeout=0.2, stream=stream)
        assert caught.value.phase == "total"
        assert asyncio.get_running_loop().time() - began < 0.6
        assert two.asked == (1, 1)


@pytest.mark.parametrize("stream", [False, True])
async def test_the_total_of_a_target_is_a_limit_of_its_visits(stream: bool) -> None:
    """A slow target would use up the time of the whole call."""
    slow = RouteTarget(ROUTE[0], options={"timeout": 0.05})
    async with TwoProviders(answer("late"), answer("yes"), Route([slow, ROUTE[1]])) as two:
        two.first.latency = 1.0
        reply = await two.ask(stream=stream)
        assert reply.text == "yes"
        assert isinstance(reply.info.tried[0].error, APITimeoutError)


async def test_a_call_without_time_left_does_not_move_on() -> None:
    """A request would be sent whose reply comes too late."""
    async with TwoProviders(always(down()), answer("yes")) as two:
        two.first.latency = 0.19
        with pytest.raises((InternalServerError, APITimeoutError)):
            await two.ask(timeout=0.2)
        assert two.asked == (1, 0)


# --- names and fallbacks ---


async def test_fallbacks_need_no_route() -> None:
    """`fallbacks` of a call or of a view would not work without `routes`."""
    first, last = FakeProvider(always(down()), name="openai"), FakeProvider(answer("yes"), name="anthropic")
    async with AsyncCompletion(providers=[first, last]) as client:
        reply = await client.create("gpt-4o", "Hello!", fallbacks=[ROUTE[1]])
        assert (reply.info.route, reply.info.target) == (None, ROUTE[1])
        view = client.with_options(fallbacks=[RouteTarget(ROUTE[1], name="backup", params={"max_tokens": 9})])
        assert (await view.create("openai/gpt-4o", "Hello!")).info.target == "backup"
        async with view.stream("openai/gpt-4o", "Hello!") as stream:
            assert (await stream.get_final_completion()).text == "yes"
        with pytest.raises(InternalServerError):
            await view.create("openai/gpt-4o", "Hello!", fallbacks=[], max_retries=0)
        with pytest.raises(InternalServerError):
            await client.create("openai/gpt-4o", "Hello!", max_retries=0)


@pytest.mark.parametrize("wrong", ["openai/gpt-4o", 3, [3], ["nowhere/model"], ["gpt"]])
async def test_wrong_fallbacks_are_refused(wrong: Any) -> None:
    """A misspelled fallback would show in an outage only."""
    async with AsyncCompletion(providers=[FakeProvider(answer("yes"))]) as client:
        with pytest.raises(InvalidRequestError, match="fallbacks"):
            await client.create("openai/gpt-4o", "Hello!", fallbacks=wrong)


@pytest.mark.parametrize(
    "routes",
    [
        {"a/b": Route(ROUTE)},
        {"": Route(ROUTE)},
        {"gpt-fast": Route(ROUTE)},
        {"fast": Route(["nowhere/model"])},
        {"fast": Route(["unknown"])},
        {"fast": Route(["fast"])},
    ],
    ids=repr,
)
def test_wrong_routes_are_refused(routes: dict[str, Route]) -> None:
    """A mistake in the configuration would show at the first call."""
    with pytest.raises(ConfigurationError, match="routes"):
        AsyncCompletion(routes=routes)


@pytest.mark.parametrize("routes", [["fast"], {"fast": ROUTE}, {3: Route(ROUTE)}])
def test_routes_of_wrong_types_are_refused(routes: Any) -> None:
    """A list in place of a Route would fail at the first call."""
    with pytest.raises(InvalidRequestError, match="routes"):
        AsyncCompletion(routes=routes)


async def test_a_call_that_names_its_provider_takes_no_route() -> None:
    """A model with the name of a route could not be called."""
    async with TwoProviders(answer("openai"), answer("anthropic"), Route(ROUTE[1:])) as two:
        assert (await two.ask()).text == "anthropic"
        assert (await two.ask(provider="openai")).text == "openai"


async def test_check_returns_the_target_and_its_route() -> None:
    """A service could not check its routes at its start, and a cache could not tell routes apart."""
    async with TwoProviders(always(down()), answer("yes"), Route(ROUTE, breaker=ONE_FAILURE)) as two:
        target = two.client.check("pair")
        assert (target.provider, target.model, target.route) == ("openai", "gpt-4o", "pair")
        assert len(target.route_digest or "") == 32
        assert two.client.check("openai/gpt-4o").route is None
        await two.ask()
        assert two.client.check("pair").provider == "anthropic"
        assert two.client.check("pair").route_digest == target.route_digest


async def test_middleware_runs_once_and_sees_the_name_of_the_route() -> None:
    """Middleware would run for each target, or could not tell which route is called."""
    seen: list[Any] = []

    async def watch(request: Any, options: Any, call_next: Any) -> Any:
        seen.append((request.model, call_next.target(request, options).route))
        return await call_next(request, options)

    async with TwoProviders(always(down()), answer("yes"), middleware=[watch]) as two:
        reply = await two.ask()
        await two.ask(stream=True)
        await two.ask("openai/gpt-4o", fallbacks=[ROUTE[1]])
        assert reply.info.target == ROUTE[1]
        assert seen == [("pair", "pair"), ("pair", "pair"), ("openai/gpt-4o", None)]


async def test_a_client_with_routes_pickles() -> None:
    """Worker processes could not use routes."""
    async with AsyncCompletion(routes={"fast": Route(ROUTE, "weighted")}) as client:
        view = client.with_options(fallbacks=[RouteTarget("groq/llama")])
        again = pickle.loads(pickle.dumps(view))  # noqa: S301 (made here)
        assert again.stats().routes.keys() == {"fast"}
        await again.aclose()


async def test_closing_the_client_ends_calls_that_wait() -> None:
    """A call that waits for another one's probe would wait for ever."""
    async with TwoProviders(always(down()), always(down()), Route(ROUTE, breaker=ONE_FAILURE)) as two:
        with pytest.raises(AllTargetsFailedError):
            await two.ask()
        two.first.latency = 30.0
        calls = [asyncio.create_task(two.ask()) for _ in range(3)]
        await asyncio.sleep(0.02)
        await two.client.aclose()
        results = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 5)
        assert all(isinstance(each, CompletionError) for each in results)


@pytest.mark.parametrize("of_view", [False, True])
async def test_a_fallback_that_is_no_list_is_refused_with_what_to_write(of_view: bool) -> None:
    """A caller would have to guess what is wrong with one fallback written as a text."""
    alone: Any = "groq/llama"
    async with AsyncCompletion(providers=[FakeProvider("Hi!")]) as client:
        with pytest.raises(InvalidRequestError, match=r"write a list: fallbacks=\[") as caught:
            if of_view:
                client.with_options(fallbacks=alone)
            else:
                await client.create("openai/gpt-4o", "Hello!", fallbacks=alone)
        assert caught.value.param == "fallbacks"


async def test_a_key_that_is_set_later_brings_its_target_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target without a key would stay left out until the program is started again."""
    monkeypatch.delenv("LATE_KEY", raising=False)
    monkeypatch.setattr(route_planning, "_REFUSED_FOR", 0.0)
    async with SimulatorServer(reply="from the first") as server:
        first = RouteTarget("openai/gpt-4o", options={"api_key": EnvKey("LATE_KEY")})
        client = AsyncCompletion(
            base_urls={"openai": server.base_urls["openai"]},
            providers=[FakeProvider(answer("from the last"), name="anthropic")],
            routes={"pair": Route([first, ROUTE[1]])},
        )
        async with client:
            reply = await client.create("pair", "Hello!")
            assert reply.text == "from the last"
            assert any("LATE_KEY" in text for text in reply.info.warnings)
            monkeypatch.setenv("LATE_KEY", server.api_keys["openai"])
            assert (await client.create("pair", "Hello!")).text == "from the first"


async def test_middleware_sees_the_target_of_each_view_and_call() -> None:
    """What is kept of a target would be that of another call, and a cache would mix the replies of two servers."""
    seen: list[tuple[str, str | None]] = []

    async def look(request: ChatRequest, options: CallOptions, call_next: CallNext) -> Reply:
        target = call_next.target(request, options)
        seen.append((target.base_url, target.route_digest))
        return await call_next(request, options)

    fake, urls = FakeProvider(answer("yes")), ("https://one.example/v1", "https://two.example/v1")
    routes = {"one": Route([ROUTE[0]]), "other": Route(["openai/gpt-4o-mini"])}
    async with AsyncCompletion(providers=[fake], routes=routes, middleware=[look]) as client:
        for _ in range(2):
            await client.create("one", "Hello!")
            await client.create("other", "Hello!")
            await client.create("one", "Hello!", base_url=urls[0], api_key="sk-1")
            await client.with_options(base_url=urls[1], api_key="sk-2").create("one", "Hello!")
            await client.create("openai/gpt-4o", "Hello!", fallbacks=["openai/gpt-4o-mini"])
    assert seen[:5] == seen[5:]
    assert len(set(seen[:5])) == 5
    assert [url for url, _ in seen[2:4]] == list(urls)


@pytest.mark.parametrize("strategy", ["order", "weighted", "least_busy", "fastest", "cheapest"])
def test_a_route_is_checked_before_there_is_an_event_loop(strategy: Any) -> None:
    """A service could not check its configuration where it is started, as it can for a model."""
    keys = {"openai": "sk-1", "anthropic": "sk-2"}
    windows = [RouteTarget(ROUTE[0], context_window=1000), ROUTE[1]]
    client = AsyncCompletion(api_keys=keys, routes={"pair": Route(ROUTE, strategy), "sized": Route(windows, strategy)})
    for name in ("pair", "sized"):
        target = client.check(name)
        assert f"{target.provider}/{target.model}" in ROUTE
        assert target.route == name
    assert client.check(ROUTE[0], fallbacks=[ROUTE[1]]).provider == "openai"
    asyncio.run(client.aclose())
