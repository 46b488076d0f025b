"""Rules of routes that few calls meet: what is no error of a target, what is never repeated, what costs nothing."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from anycompletion import (
    AllTargetsFailedError,
    APIError,
    APITimeoutError,
    AssistantMessage,
    AsyncCompletion,
    BadRequestError,
    ChatRequest,
    CompletionStream,
    InternalServerError,
    NotFoundError,
    RateLimitError,
    ReplyError,
    StreamInterruptedError,
)
from anycompletion.records.chunks import ChatCompletionChunk, ChunkChoice, Delta
from anycompletion.routing import CircuitBreaker, Route, RouteTarget
from anycompletion.testing import FakeProvider
from support.virtual_clock import run

TARGETS = ["openai/gpt-4o", "groq/llama"]
ONE_FAILURE = CircuitBreaker(failures=1)


def down(request: ChatRequest) -> str:
    raise InternalServerError("down", status_code=500)


def answer(text: str) -> Callable[[ChatRequest], str]:
    return lambda request: text


def client_of(first: Any, last: Any, route: Route | None = None, **options: Any) -> AsyncCompletion:
    """A client with a route over two fakes."""
    fakes = [
        each if isinstance(each, FakeProvider) else FakeProvider(each, name=name)
        for each, name in ((first, "openai"), (last, "groq"))
    ]
    return AsyncCompletion(providers=fakes, routes={"pair": route or Route(TARGETS)}, **options)


# --- errors of no target ---


@attrs.frozen
class City:
    name: str


@pytest.mark.parametrize("stream", [False, True])
async def test_a_reply_that_is_no_value_is_the_callers(stream: bool) -> None:
    """Each target would be asked for a type that the prompt cannot give, and all of them be taken for dead."""
    last = FakeProvider(answer('{"name": "Oslo"}'), name="groq")
    async with client_of(answer('{"name": 7}'), last, Route(TARGETS, breaker=ONE_FAILURE)) as client:
        with pytest.raises(ReplyError):
            if stream:
                await client.parse_stream("pair", "Where?", City).get_final_completion()
            else:
                await client.parse("pair", "Where?", City, max_reasks=0)
        assert last.requests == []
        assert [state.state for state in client.stats().routes["pair"]] == ["closed", "closed"]


async def test_an_error_of_the_apps_own_code_is_raised_as_it_is() -> None:
    """An error in `move_on` or `sticky` would look like one of a provider, or leave a call in flight."""

    def wrong(_: object) -> Any:
        raise ZeroDivisionError

    for route in (Route(TARGETS, move_on=wrong), Route(TARGETS, sticky=wrong)):
        async with client_of(down, answer("yes"), route) as client:
            for stream in (False, True):
                with pytest.raises(ZeroDivisionError):
                    await client.create("pair", "Hello!", stream=stream)
            assert [state.in_flight for state in client.stats().routes["pair"]] == [0, 0]


async def test_move_on_can_move_and_can_stop() -> None:
    """An app could not have a refusal answered elsewhere, or stop at an error that its user must see."""

    def refused(request: ChatRequest) -> str:
        raise BadRequestError("no")

    async with client_of(refused, answer("yes"), Route(TARGETS, move_on=lambda error: True)) as client:
        assert (await client.create("pair", "Hello!")).text == "yes"
    async with client_of(down, answer("yes"), Route(TARGETS, move_on=lambda error: False)) as client:
        with pytest.raises(InternalServerError):
            await client.create("pair", "Hello!")


# --- waiting for a probe ---


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_waits_for_a_probe_no_longer_than_its_timeout(stream: bool) -> None:
    """A call would wait for another call's probe as long as that call may take."""

    async def check() -> None:
        fake = FakeProvider(down, name="*")
        routes = {"pair": Route(TARGETS, breaker=ONE_FAILURE)}
        async with AsyncCompletion(providers=[fake], routes=routes, max_retries=0) as client:
            with pytest.raises(AllTargetsFailedError):
                await client.create("pair", "Hello!")
            fake.latency = 100.0
            probe = asyncio.create_task(client.create("pair", "Hello!"))
            await asyncio.sleep(1)
            began = asyncio.get_running_loop().time()
            with pytest.raises(APITimeoutError) as caught:
                await client.create("pair", "Hello!", timeout=5, stream=stream)
            assert caught.value.phase == "total"
            assert asyncio.get_running_loop().time() - began == pytest.approx(5, abs=0.02)
            with pytest.raises(APIError):
                await probe
            assert [state.in_flight for state in client.stats().routes["pair"]] == [0, 0]

    run(check())


@pytest.mark.parametrize(("asked", "timeout"), [(20.0, 5.0), (90.0, 600.0)])
def test_a_pause_of_a_target_whose_circuit_is_open_ends_a_call_that_has_less_time(asked: float, timeout: float) -> None:
    """A call would outlast its timeout, or wait for minutes, because its only target failed and asks for a pause."""

    async def check() -> None:
        def slow_down(request: ChatRequest) -> str:
            raise RateLimitError("slow down", status_code=429, retry_after=asked)

        fake = FakeProvider(InternalServerError("down", status_code=500), slow_down, latency=1.0)
        routes = {"route": Route(TARGETS[:1], breaker=CircuitBreaker(failures=1, seconds=2))}
        async with AsyncCompletion(providers=[fake], routes=routes, max_retries=0) as client:
            under_way = [asyncio.create_task(client.create("route", "Hello!")) for _ in range(2)]
            await asyncio.gather(*under_way, return_exceptions=True)
            assert client.stats().routes["route"][0].state == "open"
            loop = asyncio.get_running_loop()
            for stream in (False, True):
                began = loop.time()
                with pytest.raises(APIError) as caught:
                    await client.create("route", "Hello!", timeout=timeout, stream=stream)
                assert loop.time() == began
                assert caught.value.retry_after == pytest.approx(asked, abs=2)

    run(check())


# --- one error for all ---


def test_the_error_of_all_targets_has_what_is_known_of_them() -> None:
    """A caller would wait too long, repeat what no target takes, or lose the number by which a provider finds it."""
    first = RateLimitError("slow down", status_code=429, request_id="req-1", retry_after=9.0)
    second = RateLimitError("slow down", status_code=429, request_id="req-2", retry_after=4.0)
    error = AllTargetsFailedError("all failed", errors=[first, second])
    assert (error.retryable, error.retry_after, error.status_code, error.request_id) == (True, 4.0, 429, "req-1")
    final = AllTargetsFailedError("all failed", errors=[NotFoundError("no", status_code=404), NotFoundError("no")])
    assert (final.retryable, final.retry_after, final.status_code) == (False, None, 404)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 (made here)
    assert [(type(each), each.retry_after) for each in again.errors] == [(RateLimitError, 9.0), (RateLimitError, 4.0)]
    assert (again.retryable, again.retry_after, str(again)) == (True, 4.0, str(error))


async def test_each_error_leads_to_the_one_before() -> None:
    """A traceback would show the last target only."""
    async with client_of(down, down, max_retries=0) as client:
        with pytest.raises(AllTargetsFailedError) as caught:
            await client.create("pair", "Hello!")
    first, last = caught.value.errors
    assert (caught.value.__cause__, last.__cause__) == (last, first)


# --- streams ---

OPENING: dict[str, Delta] = {
    "text": Delta(content="a"),
    "reasoning": Delta(reasoning_content="why"),
    "refusal": Delta(refusal="no"),
    "thinking": Delta(thinking_blocks=[{"index": 0, "type": "thinking", "thinking": "why"}]),
}


@pytest.mark.parametrize("name", OPENING)
async def test_whatever_a_model_sends_first_opens_a_stream(name: str) -> None:
    """A stream that begins with reasoning would open late, or its reader get the reasoning of two models."""
    chunks = [
        ChatCompletionChunk("id", [ChunkChoice(0, Delta(role="assistant", content=""))], 5, "m"),
        ChatCompletionChunk("id", [ChunkChoice(0, OPENING[name])], 5, "m"),
    ]
    first = FakeProvider(lambda request: [*chunks, StreamInterruptedError("cut")])
    last = FakeProvider(answer("no"), name="groq")
    async with client_of(first, last) as client:
        stream = await client.create("pair", "Hello!", stream=True)
        assert stream.info.target == TARGETS[0]
        with pytest.raises(StreamInterruptedError):
            await stream.get_final_completion()
        assert last.requests == []


# --- what is sent ---


async def test_thinking_of_another_provider_is_left_out_with_a_warning() -> None:
    """A fallback would refuse the signature of another provider, or a conversation could not go on elsewhere."""
    thought = AssistantMessage(
        "Hello!", thinking_blocks=[{"type": "thinking", "thinking": "greet", "signature": "of-anthropic"}]
    )
    messages: list[Any] = [{"role": "user", "content": "Hi!"}, thought, {"role": "user", "content": "Go on."}]
    first, last = FakeProvider(down, name="anthropic"), FakeProvider(answer("yes"), name="openai")
    routes = {"pair": Route(["anthropic/claude-haiku-4-5", "openai/gpt-4o"])}
    async with AsyncCompletion(providers=[first, last], routes=routes) as client:
        reply = await client.create("pair", messages)
    assert "of-anthropic" in repr(first.requests[0].body)
    assert "of-anthropic" not in repr(last.requests[0].body)
    assert any("thinking_blocks left out" in text for text in reply.info.warnings)
    assert first.requests[0].body["max_tokens"] > 0
    assert "max_tokens" not in last.requests[0].body


# --- what is done once only ---


async def test_a_request_that_may_have_been_done_is_not_made_twice_at_one_provider() -> None:
    """A prediction that a provider may be working at would be begun, and billed, a second time."""
    lost = FakeProvider(lambda request: APITimeoutError("no answer", phase="idle", maybe_billed=True), name="replicate")
    route = Route(["replicate/meta/llama", "openai/gpt-4o"], hedge_after=0.001, breaker=None)
    async with AsyncCompletion(providers=[lost, FakeProvider(down)], routes={"pair": route}) as client:
        with pytest.raises(AllTargetsFailedError):
            await client.create("pair", "Hello!", max_retries=5)
        assert len(lost.requests) == 1


def test_a_provider_that_may_do_things_twice_is_not_hedged() -> None:
    """A slow prediction would be paid for beside the hedge's answer."""

    async def check() -> None:
        slow = FakeProvider(answer("slow"), name="replicate", latency=5)
        other = FakeProvider(answer("fast"))
        route = Route(["replicate/meta/llama", "openai/gpt-4o"], hedge_after=1.0)
        async with AsyncCompletion(providers=[slow, other], routes={"pair": route}) as client:
            assert (await client.create("pair", "Hello!")).text == "slow"
            assert other.requests == []

    run(check())


# --- statistics ---


def test_statistics_show_the_latency_of_targets() -> None:
    """A health page could not tell a slow target from a quick one."""

    async def check() -> None:
        fake = FakeProvider(answer("one two three four"), name="*", latency=2.0)
        async with client_of(fake, fake) as client:
            assert [state.latency for state in client.stats().routes["pair"]] == [None, None]
            await client.create("pair", "Hello!")
            per_token = client.stats().routes["pair"][0].latency
            assert per_token is not None
            assert 0 < per_token <= 2.0
            await client.stream("pair", "Hello!").get_final_completion()
            assert client.stats().routes["pair"][0].latency == pytest.approx(2.0, abs=0.1)
            assert client.stats().routes["pair"][1].latency is None

    run(check())


# --- cost ---


async def scheduled(client: AsyncCompletion, model: str, **options: Any) -> tuple[int, int]:
    """How many tasks a call begins and how many timers it sets, at least: one timer may serve several calls."""
    counts = [await _scheduled(client, model, **options) for _ in range(8)]
    return min(tasks for tasks, _ in counts), min(timers for _, timers in counts)


async def _scheduled(client: AsyncCompletion, model: str, **options: Any) -> tuple[int, int]:
    loop = asyncio.get_running_loop()
    tasks, timers = 0, 0
    call_at = loop.call_at

    def factory(loop: asyncio.AbstractEventLoop, coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
        nonlocal tasks
        tasks += 1
        return asyncio.Task(coro, loop=loop, **kwargs)

    def counted(*args: Any, **kwargs: Any) -> asyncio.TimerHandle:
        nonlocal timers
        timers += 1
        return call_at(*args, **kwargs)

    loop.set_task_factory(factory)
    loop.call_at = counted  # type: ignore[method-assign]
    try:
        reply = await client.create(model, "Hello!", **options)
        if isinstance(reply, CompletionStream):
            await reply.get_final_completion()
    finally:
        loop.set_task_factory(None)
        del loop.call_at  # type: ignore[method-assign]
    return tasks, timers


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("strategy", ["order", "weighted", "least_busy", "cheapest"])
async def test_a_route_whose_first_target_answers_begins_no_task_and_sets_no_timer(strategy: Any, stream: bool) -> None:
    """Each call over a route would cost more than the choice of its target."""
    route = Route([RouteTarget(model, price=(1, 1)) for model in TARGETS], strategy)
    async with client_of(answer("yes"), answer("yes"), route) as client:
        plain = await scheduled(client, "openai/gpt-4o", stream=stream)
        assert await scheduled(client, "pair", stream=stream) == plain


# --- the target to probe ---


def test_the_target_that_is_free_first_is_probed() -> None:
    """A target that is back would not be asked while another one, whose circuit opened earlier, pauses."""

    async def main() -> None:
        is_down = True

        def first(request: ChatRequest) -> str:
            raise RateLimitError("slow down", status_code=429, retry_after=70)

        def last(request: ChatRequest) -> str:
            return down(request) if is_down else "back"

        breaker = CircuitBreaker(failures=1, seconds=2)
        routes = {"first": Route(TARGETS[:1], breaker=breaker), "pair": Route(TARGETS, breaker=breaker)}
        broken = FakeProvider(InternalServerError("down", status_code=500), first, latency=1)
        async with AsyncCompletion(
            providers=[broken, FakeProvider(last, name="groq")], routes=routes, max_retries=0
        ) as client:
            await asyncio.gather(client.attempt("first", "Hi"), client.attempt("first", "Hi"))
            assert not (await client.attempt("pair", "Hi")).ok
            assert [(each.state, each.retry_in) for each in client.stats().routes["pair"]] == [
                ("open", 70),
                ("open", 2),
            ]
            is_down = False
            reply = await client.create("pair", "Hi")
            assert (reply.text, reply.info.target) == ("back", TARGETS[1])

    run(main())


def test_a_target_with_a_total_of_its_own_is_left_after_it() -> None:
    """A first visit with a shorter total would last as long as the call, or end it."""

    async def main() -> None:
        slow = FakeProvider("late", latency=100)
        shorter = RouteTarget(TARGETS[0], options={"timeout": 3})
        async with client_of(slow, "in time", Route([shorter, TARGETS[1]]), timeout=60) as client:
            reply = await client.create("pair", "Hi")
            assert (reply.text, reply.info.target) == ("in time", TARGETS[1])
            assert [each.elapsed for each in reply.info.tried] == [3, 0]
            with pytest.raises(APITimeoutError) as failed:
                await client.create("pair", "Hi", timeout=1)
            assert (failed.value.phase, len(slow.requests)) == ("total", 2)

    run(main())
