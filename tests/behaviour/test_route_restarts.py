"""Streams that begin anew at the next target after a cut (`restart_streams`): no reply is mixed with another."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import weakref
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from anycompletion import (
    AllTargetsFailedError,
    APIConnectionError,
    APITimeoutError,
    AsyncCompletion,
    BadRequestError,
    CallNext,
    CallOptions,
    ChatRequest,
    CompletionError,
    CompletionStream,
    InternalServerError,
    InvalidRequestError,
    RateLimitError,
    Reply,
    StreamInterruptedError,
    Timeout,
)
from anycompletion.caching import MemoryStore, cached
from anycompletion.routing import CircuitBreaker, Route
from anycompletion.testing import FakeProvider, SimulatorServer, tool_call
from anycompletion.web import aiohttp_sse, chat_completions_app, starlette_sse
from support.virtual_clock import run

TARGETS = ["openai/gpt-4o", "groq/llama", "mistral/small"]
WHOLE = "one two three four five"


def cut_after(events: int) -> FakeProvider:
    return FakeProvider(lambda request: WHOLE, fault=f"cut-after-{events}-events", name="openai")


def answering(text: str = "from the second", name: str = "groq") -> FakeProvider:
    return FakeProvider(lambda request: text, name=name)


def failing_with(*pieces: Any, name: str = "openai") -> FakeProvider:
    return FakeProvider(lambda request: list(pieces), name=name)


@asynccontextmanager
async def route_over(*fakes: FakeProvider, middleware: Any = (), **settings: Any) -> AsyncGenerator[AsyncCompletion]:
    """A client with a route over these providers, whose streams begin anew."""
    given: dict[str, Any] = {"restart_streams": True, "breaker": CircuitBreaker(failures=1)} | settings
    routes = {"pair": Route(TARGETS[: len(fakes)], **given)}
    async with AsyncCompletion(providers=fakes, routes=routes, middleware=middleware) as client:
        yield client
        assert not any(state.in_flight for state in client.stats().routes["pair"])


async def read(stream: CompletionStream) -> tuple[list[str], CompletionError | None]:
    """The texts that a reader gets, each reply's as one, and the error at the end."""
    replies = [""]
    stream.on_restart(lambda error: replies.append(""))
    try:
        async for text in stream.text:
            replies[-1] += text
    except CompletionError as error:
        return replies, error
    return replies, None


@pytest.mark.parametrize("events", range(7))
@pytest.mark.parametrize("n", [1, 3])
async def test_a_cut_at_every_chunk_begins_anew(events: int, n: int) -> None:
    """A reply would have pieces of two models' answers, or end where the first one was cut off."""
    async with route_over(cut_after(events), answering()) as client:
        async with client.stream("pair", "Hello!", max_retries=0, n=n) as stream:
            replies, error = await read(stream)
        assert error is None
        assert replies[-1] == "from the second"
        assert all(WHOLE.startswith(each) for each in replies[:-1])
        assert stream.restarts == len(replies) - 1
        assert (stream.restarts == 0) if events < 2 else (stream.restarts == 1 or n > 1)
        whole = stream.snapshot
        assert [choice.message.content for choice in whole.choices] == ["from the second"] * n
        assert whole.info.target == "groq/llama"
        assert [each.target for each in whole.info.tried] == TARGETS[:2]
        assert isinstance(whole.info.tried[0].error, StreamInterruptedError)
        assert [state.state for state in client.stats().routes["pair"]] == ["open", "closed"]


@pytest.mark.parametrize("fault", ["reset", "close", "cut", "error"])
@pytest.mark.parametrize("events", range(6))
async def test_over_connections_a_cut_leaves_nothing_open(fault: str, events: int) -> None:
    """A connection of the cut reply would stay, or the reader would get a part of it after the restart."""
    async with (
        SimulatorServer(fault=f"{fault}-after-{events}-events", reply=WHOLE) as one,
        SimulatorServer(reply="from the second") as two,
    ):
        urls = {"openai": one.base_urls["openai"], "groq": two.base_urls["openai"]}
        keys = {"openai": one.api_keys["openai"], "groq": two.api_keys["openai"]}
        routes = {"pair": Route(TARGETS[:2], restart_streams=True)}
        async with AsyncCompletion(base_urls=urls, api_keys=keys, routes=routes, max_retries=0) as client:
            async with client.stream("pair", "Hello!") as stream:
                replies, error = await read(stream)
            assert (replies[-1], error) == ("from the second", None)
            assert len(replies) <= 2
            assert all(WHOLE.startswith(each) for each in replies[:-1])
            assert (len(one.requests), len(two.requests)) == (1, 1)
            assert [each.in_flight for each in client.stats().providers.values()] == [0, 0]


@pytest.mark.parametrize("events", range(2, 6))
async def test_without_the_option_nothing_begins_anew(events: int) -> None:
    """A reader that knows nothing of restarts would get the beginning of an answer twice."""
    second = answering()
    async with route_over(cut_after(events), second, restart_streams=False) as client:
        async with client.stream("pair", "Hello!", max_retries=0) as stream:
            replies, error = await read(stream)
        assert isinstance(error, StreamInterruptedError)
        assert WHOLE.startswith(replies[0])
        assert (len(replies), stream.restarts, len(second.requests)) == (1, 0, 0)
        assert not stream.may_restart


async def test_the_callback_comes_before_the_next_chunk_and_finds_an_empty_snapshot() -> None:
    """An interface would show the new text behind the old one, or lose what `partial` could still tell."""
    seen: list[Any] = []
    async with route_over(cut_after(4), answering()) as client, client.stream("pair", "Hello!") as stream:
        received: list[str] = []

        def on_restart(error: CompletionError) -> None:
            partial: Any = error.partial
            seen.append((error.provider, partial.text, partial.info.target, stream.snapshot.text, stream.restarts))
            assert partial.text == "".join(received)
            received.clear()

        stream.on_restart(on_restart)
        async for text in stream.text:
            received.append(text)
            assert stream.snapshot.text == "".join(received)
        assert "".join(received) == "from the second"
        assert stream.usage == (await stream.get_final_completion()).usage
    (provider, partial, target, snapshot, restarts) = seen[0]
    assert (provider, target, snapshot or "", restarts) == ("openai", TARGETS[0], "", 1)
    assert partial
    assert WHOLE.startswith(partial)


async def test_several_restarts_within_one_call() -> None:
    """The second cut would end the stream, or requests would be counted twice."""
    fakes = [
        cut_after(3),
        failing_with("other", StreamInterruptedError("cut"), name="groq"),
        answering("end", "mistral"),
    ]
    async with route_over(*fakes) as client, client.stream("pair", "Hello!", max_retries=0) as stream:
        replies, error = await read(stream)
    assert error is None
    assert (replies[1:], stream.restarts) == (["other", "end"], 2)
    assert [each.attempts for each in stream.info.tried] == [1, 1, 1]
    assert stream.info.attempts == 3
    assert ["began anew" in text for text in stream.info.warnings] == [True, True]


async def test_attempts_before_and_after_the_first_content_count_once() -> None:
    """A target that failed before its first content would count again when the next one is cut off."""
    down = FakeProvider(_down, name="openai")
    fakes = [down, failing_with("other", StreamInterruptedError("cut"), name="groq"), answering("end", "mistral")]
    async with route_over(*fakes) as client, client.stream("pair", "Hello!", max_retries=0) as stream:
        replies, _ = await read(stream)
    assert (replies, stream.info.attempts) == (["other", "end"], 3)
    assert [each.attempts for each in stream.info.tried] == [1, 1, 1]


def _down(request: ChatRequest) -> str:
    raise InternalServerError("down", status_code=500)


async def test_all_targets_cut_the_reply() -> None:
    """The reader would not get what had arrived, or the call would go on for ever."""
    fakes = [failing_with("first", StreamInterruptedError("cut")) for _ in range(1)]
    fakes.append(failing_with("second", StreamInterruptedError("cut"), name="groq"))
    async with route_over(*fakes) as client, client.stream("pair", "Hello!", max_retries=0) as stream:
        replies, error = await read(stream)
    assert isinstance(error, AllTargetsFailedError)
    assert [each.provider for each in error.errors] == ["openai", "groq"]
    assert replies == ["first", "second"]
    assert error.partial is not None
    assert error.partial.text == "second"
    assert sum(len(fake.requests) for fake in fakes) == 2


async def test_a_target_that_is_down_after_the_cut_leaves_what_was_read() -> None:
    """The callback would clear a text in whose place nothing comes."""
    fakes = [failing_with("first", StreamInterruptedError("cut")), FakeProvider(_down, name="groq")]
    async with route_over(*fakes) as client, client.stream("pair", "Hello!", max_retries=0) as stream:
        replies, error = await read(stream)
        assert (replies, stream.restarts) == (["first"], 0)
    assert isinstance(error, AllTargetsFailedError)
    assert error.partial is not None
    assert error.partial.text == "first"


async def test_an_error_that_moves_nothing_on_ends_the_stream() -> None:
    """A request that is wrong everywhere would be paid for at each target."""
    second = answering()
    fakes = [failing_with("first", BadRequestError("no")), second]
    async with route_over(*fakes) as client, client.stream("pair", "Hello!") as stream:
        _, error = await read(stream)
    assert isinstance(error, BadRequestError)
    assert not second.requests


async def test_a_target_that_cut_its_reply_is_not_asked_again() -> None:
    """A provider that cuts long answers would be paid for the same beginning several times."""
    first = failing_with("first", StreamInterruptedError("cut"))
    async with route_over(first, breaker=None) as client, client.stream("pair", "Hello!", max_retries=3) as stream:
        replies, error = await read(stream)
    assert (replies, type(error), len(first.requests)) == (["first"], StreamInterruptedError, 1)


async def test_a_stream_that_is_left_does_not_begin_anew() -> None:
    """A reader that has gone would pay for a second answer."""
    second = answering()
    async with route_over(FakeProvider(lambda request: WHOLE, chunk_delay=0.01), second) as client:
        async with client.stream("pair", "Hello!") as stream:
            async for _ in stream.text:
                break
        await asyncio.sleep(0.02)
        assert not second.requests


@pytest.mark.parametrize("way", ["close", "cancel", "client"])
async def test_leaving_while_the_next_target_is_asked(way: str) -> None:
    """A connection would be left, or a reader would wait for a target that is not wanted any more."""
    slow = FakeProvider(lambda request: "late", name="groq", latency=30)
    async with route_over(failing_with("first", StreamInterruptedError("cut")), slow) as client:
        stream = client.stream("pair", "Hello!")
        reading = asyncio.create_task(read(stream))
        while not slow.requests:
            await asyncio.sleep(0.001)
        if way == "cancel":
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
        else:
            await (stream if way == "close" else client).aclose()
            replies, error = await asyncio.wait_for(reading, 2)
            assert replies == ["first"]
            assert error is not None
        assert stream.restarts == 0


async def test_a_dropped_stream_is_not_kept_by_its_source() -> None:
    """A stream without a reader would keep its connection until the garbage collector finds it."""
    async with route_over(FakeProvider(lambda request: WHOLE, chunk_delay=0.01), answering()) as client:
        stream = client.stream("pair", "Hello!")
        await stream.open()
        dropped = weakref.ref(stream)
        gc.disable()
        try:
            del stream
            assert dropped() is None
        finally:
            gc.enable()
        await asyncio.sleep(0.01)


def test_an_explicit_total_covers_all_replies_and_a_default_one_begins_anew() -> None:
    """A deadline would be passed, or a long answer that was cut off could never begin anew."""

    async def late_cut(total: Timeout | None) -> tuple[list[str], CompletionError | None]:
        first = FakeProvider(lambda request: WHOLE, chunk_delay=200, fault="cut-after-6-events")
        second = FakeProvider(lambda request: "end", name="groq", latency=5)
        async with route_over(first, second) as client:
            options: Any = {} if total is None else {"timeout": total}
            async with client.stream("pair", "Hello!", max_retries=0, **options) as stream:
                return await read(stream)

    replies, error = run(late_cut(Timeout(idle=None)))
    assert (replies[-1], error) == ("end", None)
    replies, error = run(late_cut(Timeout(total=900.0, idle=None)))
    assert isinstance(error, APITimeoutError | StreamInterruptedError)
    assert len(replies) == 1


def test_the_next_target_may_be_hedged() -> None:
    """A slow target would be waited for although the route hedges."""

    async def check() -> None:
        slow = FakeProvider(lambda request: "slow", name="groq", latency=60)
        fakes = [failing_with("first", StreamInterruptedError("cut")), slow, answering("quick", "mistral")]
        async with route_over(*fakes, hedge_after=1.0) as client, client.stream("pair", "Hello!") as stream:
            assert await read(stream) == (["first", "quick"], None)

    run(check())


async def test_calls_are_made_of_the_last_reply_alone() -> None:
    """The arguments of a call would have a beginning of another model's."""
    first = failing_with(tool_call("weather", city="Oslo"), StreamInterruptedError("cut"))
    second = FakeProvider(lambda request: tool_call("weather", city="Bergen"), name="groq")
    async with route_over(first, second) as client, client.stream("pair", "Hello!") as stream:
        reply = await stream.get_final_completion()
    calls: Any = reply.choices[0].message.tool_calls
    assert [call.function.arguments for call in calls] == ['{"city": "Bergen"}']


async def test_sse_and_web_relays_refuse_such_streams() -> None:
    """Readers of events would show the beginning of an answer twice."""
    fakes = [cut_after(3), answering()]
    async with route_over(*fakes) as client:
        stream = client.stream("pair", "Hello!")
        request: Any = None
        for relay in (stream.sse, lambda: starlette_sse(stream)):
            with pytest.raises(InvalidRequestError) as caught:
                relay()
            assert caught.value.param == "restart_streams"
        with pytest.raises(InvalidRequestError):
            await aiohttp_sse(request, client.stream("pair", "Hello!"))
    assert not any(fake.requests for fake in fakes)


async def pass_through(request: ChatRequest, options: CallOptions, call_next: CallNext) -> Reply:
    return await call_next(request, options)


async def other_model(request: ChatRequest, options: CallOptions, call_next: CallNext) -> Reply:
    request.model = "pair"
    return await call_next(request, options)


async def test_sse_behind_middleware() -> None:
    """Middleware would hide that a stream may begin anew."""
    fakes = [cut_after(3), answering()]
    async with route_over(*fakes, middleware=[pass_through]) as client:
        with pytest.raises(InvalidRequestError):
            client.stream("pair", "Hello!").sse()
        assert not any(fake.requests for fake in fakes)
    async with route_over(*fakes, middleware=[other_model]) as client:
        events = [event async for event in client.stream("openai/gpt-4o", "Hello!").sse()]
        assert len(events) == 1
        assert b'"restart_streams"' in events[0]


async def test_the_endpoint_refuses_such_streams() -> None:
    """A caller of the endpoint would get the beginning of an answer twice, or read about the service's routes."""
    fakes = [cut_after(3), answering()]
    async with route_over(*fakes) as client:
        app = chat_completions_app(client, authorize=lambda request: True)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://endpoint") as http:
            body = {"model": "pair", "messages": [{"role": "user", "content": "Hello!"}]}
            refused = await http.post("/v1/chat/completions", json=body | {"stream": True})
            assert (refused.status_code, refused.json()["error"]["code"]) == (500, "internal_error")
            assert not any(fake.requests for fake in fakes)
            assert (await http.post("/v1/chat/completions", json=body)).status_code == 200


async def mapping(request: ChatRequest, options: CallOptions, call_next: CallNext) -> Reply:
    reply = await call_next(request, options)
    assert isinstance(reply, CompletionStream)
    return reply.map(lambda chunk: chunk)


@pytest.mark.parametrize("middleware", [pass_through, mapping], ids=["passed", "mapped"])
async def test_restarts_pass_through_middleware_and_map(middleware: Any) -> None:
    """A reader behind middleware would get two replies as one."""
    async with route_over(cut_after(3), answering(), middleware=[middleware]) as client:
        stream = client.stream("pair", "Hello!", max_retries=0, stream_options={"include_usage": True})
        replies, error = await read(stream.map(lambda chunk: chunk))
        assert (replies[1:], error) == (["from the second"], None)
    async with route_over(cut_after(3), answering(), middleware=[middleware]) as client:
        stream = client.stream("pair", "Hello!", max_retries=0)
        reply = await stream.get_final_completion()
        assert (reply.text, stream.restarts) == ("from the second", 1)
        assert reply.usage is not None


async def test_a_cache_keeps_no_reply_that_began_anew() -> None:
    """A stored stream would give the beginning of the cut reply, too."""
    store = MemoryStore()
    second = answering()
    async with route_over(cut_after(3), second, middleware=[cached(store)], breaker=None) as client:
        for _ in range(2):
            async with client.stream("pair", "Hello!", max_retries=0) as stream:
                replies, _ = await read(stream)
                assert replies[1:] == ["from the second"]
        assert len(second.requests) == 2


async def test_a_partial_value_begins_anew_and_items_are_refused() -> None:
    """A value would have members of two replies, or items would come twice."""
    first = failing_with('{"value": [1, 2', StreamInterruptedError("cut"))
    second = FakeProvider(lambda request: '{"value": [7, 8, 9]}', name="groq")
    async with route_over(first, second) as client:
        stream = client.parse_stream("pair", "Hello!", list[int])
        with pytest.raises(InvalidRequestError) as caught:
            stream.items()
        assert caught.value.param == "restart_streams"
        values = [partial.data async for partial in stream.partials(every=0)]
        assert values[-1] == [7, 8, 9]
        assert (await stream.get_final_completion()).parsed == [7, 8, 9]
        assert stream.restarts == 1
        assert all(value in ([], [1], [1, 2], [7], [7, 8], [7, 8, 9]) for value in values)


async def test_an_answer_by_tool_begins_anew() -> None:
    """The arguments of the call of the cut reply would stand before those of the new one."""
    first = failing_with(tool_call("answer", value=[1, 2]), StreamInterruptedError("cut"))
    second = FakeProvider(lambda request: tool_call("answer", value=[7]), name="groq")
    async with route_over(first, second) as client:
        stream = client.parse_stream("pair", "Hello!", list[int], mode="tool")
        assert (await stream.get_final_completion()).parsed == [7]
        assert stream.restarts == 1


async def test_a_callback_that_fails_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """An error of an interface would end the call, or pass unnoticed."""

    def fail(error: CompletionError) -> None:
        raise ValueError("mistake")

    async def wrong(error: CompletionError) -> None:
        raise AssertionError

    async with route_over(cut_after(3), answering()) as client, client.stream("pair", "Hello!") as stream:
        with pytest.raises(TypeError):
            stream.on_restart(wrong)
        stream.on_restart(fail)
        with caplog.at_level(logging.WARNING, "anycompletion"):
            replies, _ = await read(stream)
    assert replies[1:] == ["from the second"]
    assert any("on_restart" in record.getMessage() for record in caplog.records)


def test_the_option_is_a_flag() -> None:
    """A text such as "no" would switch it on."""
    with pytest.raises(InvalidRequestError) as caught:
        Route(["openai/gpt-4o"], restart_streams="no")  # type: ignore[arg-type]
    assert caught.value.param == "restart_streams"


FAILURES: tuple[Any, ...] = (
    StreamInterruptedError,
    InternalServerError,
    RateLimitError,
    BadRequestError,
    APIConnectionError,
)


class RandomRoute:
    """A route with random settings over providers that answer, fail or cut their replies at random."""

    def __init__(self, seed: int) -> None:
        self.random = draw = random.Random(seed)  # noqa: S311 (nothing secret)
        names = draw.sample(["openai", "groq", "mistral", "anthropic"], draw.randint(1, 4))
        self.fakes = [
            FakeProvider(
                self._script(name), name=name, latency=draw.choice((0, 0.1, 3)), chunk_delay=draw.choice((0, 1))
            )
            for name in names
        ]
        self.retries, attempts = draw.randint(0, 4), draw.randint(1, 2)
        self.most_requests = max(self.retries + 1, len(names) * attempts)
        self.route = Route(
            [f"{name}/m" for name in names],
            strategy=draw.choice(("order", "weighted", "least_busy", "fastest", "cheapest")),
            attempts_per_target=attempts,
            breaker=draw.choice((None, CircuitBreaker(failures=1), CircuitBreaker())),
            hedge_after=draw.choice((None, 1.0)),
            restart_streams=True,
        )

    def _script(self, name: str) -> Any:
        def reply(request: ChatRequest) -> Any:
            words: list[Any] = [f"{name} "] * self.random.randint(0, 5)
            is_whole = self.random.random() < 0.4
            return (words or "") if is_whole else [*words, self.random.choice(FAILURES)("no")]

        return reply

    @property
    def requests(self) -> int:
        return sum(len(call.wire) for fake in self.fakes for call in fake.requests)


@pytest.mark.parametrize("seed", range(40))
def test_whatever_fails_a_reply_is_of_one_target(seed: int) -> None:
    """Some order of failures, hedges and restarts would mix two replies, or ask more often than a call may."""
    random.seed(seed)
    made = RandomRoute(seed)

    async def check() -> None:
        async with AsyncCompletion(providers=made.fakes, routes={"any": made.route}) as client:
            for _ in range(3):
                before = made.requests
                stream = client.stream("any", "Hello!", max_retries=made.retries, timeout=60)
                replies, error = await read(stream)
                assert (stream.snapshot.text or "") == replies[-1]
                assert stream.restarts == len(replies) - 1
                await stream.aclose()
                if error is None:
                    assert set(replies[-1].split()) <= {stream.info.provider}
                    assert stream.info.attempts == sum(each.attempts for each in stream.info.tried)
                assert all(len(set(each.split())) <= 1 for each in replies)
                assert made.requests - before <= made.most_requests
                assert not any(state.in_flight for state in client.stats().routes["any"])
                await asyncio.sleep(20)

    run(check())
