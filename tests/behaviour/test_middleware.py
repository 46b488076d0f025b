"""Middleware around the logical call: what it sees, what it may change, and that it is run once for all there is."""

from __future__ import annotations

import asyncio
import gc
import logging
import pickle
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import attrs
import pytest

from anycompletion import (
    AsyncCompletion,
    ChatCompletion,
    ChatCompletionChunk,
    ChatRequest,
    ClientClosedError,
    CompletionError,
    CompletionStream,
    InvalidRequestError,
    Message,
    Middleware,
    ServiceUnavailableError,
    StreamInterruptedError,
    Timeout,
    UserMessage,
)
from anycompletion import CallNext as Next
from anycompletion import CallOptions as Options
from anycompletion.testing import Fault, SimulatorServer
from support.resource_leaks import CASES, client_of, nothing_left

Reply = ChatCompletion | CompletionStream

MODEL = "openai/gpt-4o"
ELSEWHERE = "anthropic/claude-haiku-4-5"


@pytest.fixture
async def server() -> AsyncIterator[SimulatorServer]:
    async with SimulatorServer() as server:
        yield server


Open = Callable[..., AsyncCompletion]


@pytest.fixture
async def connect(server: SimulatorServer) -> AsyncIterator[Open]:
    """Opens clients with the middleware given."""
    clients: list[AsyncCompletion] = []

    def open_client(*middleware: Middleware, **options: Any) -> AsyncCompletion:
        urls, keys = server.base_urls, server.api_keys
        clients.append(AsyncCompletion(base_urls=urls, api_keys=keys, middleware=middleware, **options))
        return clients[-1]

    yield open_client
    for client in clients:
        await client.aclose()


async def plain(client: AsyncCompletion, **params: Any) -> str:
    reply: ChatCompletion = await client.create(MODEL, "Hello!", **params)
    return reply.text


async def sent(client: AsyncCompletion, **params: Any) -> str:
    reply: ChatCompletion = await client.send(ChatRequest(MODEL, "Hello!"), **params)
    return reply.text


async def attempted(client: AsyncCompletion, **params: Any) -> str:
    return (await client.attempt(MODEL, "Hello!", **params)).unwrap().text


async def opened(client: AsyncCompletion, **params: Any) -> str:
    stream = await client.create(MODEL, "Hello!", stream=True, **params)
    return "".join([piece async for piece in stream.text])


async def lazy(client: AsyncCompletion, **params: Any) -> str:
    async with client.stream(MODEL, "Hello!", **params) as stream:
        return "".join([piece async for piece in stream.text])


async def batched(client: AsyncCompletion, **params: Any) -> str:
    async with client.batch([ChatRequest(MODEL, "Hello!", custom_id="1")]) as run:
        return "".join([result.unwrap().text async for result in run])


Way = Callable[..., Awaitable[str]]

WAYS: dict[str, Way] = {
    "create": plain,
    "send": sent,
    "attempt": attempted,
    "create a stream": opened,
    "stream": lazy,
    "batch": batched,
}
STREAMS = {"create a stream", "stream"}
every_way = pytest.mark.parametrize("way", WAYS)


@attrs.define
class Seen:
    """Middleware that changes nothing and remembers what it saw."""

    requests: list[ChatRequest] = attrs.field(factory=list[ChatRequest])
    options: list[Options] = attrs.field(factory=list[Options])
    streams: list[bool] = attrs.field(factory=list[bool])
    replies: list[Reply] = attrs.field(factory=list[Reply])

    async def __call__(self, request: ChatRequest, options: Options, call_next: Next) -> Reply:
        self.requests.append(request)
        self.options.append(options)
        self.streams.append(call_next.stream)
        self.replies.append(await call_next(request, options))
        return self.replies[-1]


# --- what it sees ---


@every_way
async def test_every_way_of_calling_goes_through_it_once(connect: Open, server: SimulatorServer, way: str) -> None:
    """One way of calling would go unseen, or be seen twice."""
    seen = Seen()
    said = await WAYS[way](connect(seen))
    assert said.startswith("You said: Hello!")
    assert [request.model for request in seen.requests] == [MODEL]
    assert seen.requests[0].messages == [UserMessage("Hello!")]
    assert seen.streams == [way in STREAMS]
    assert [type(reply) for reply in seen.replies] == [CompletionStream if way in STREAMS else ChatCompletion]
    assert len(server.requests) == 1


@pytest.mark.parametrize("way", ["create", "create a stream", "stream"])
async def test_branches_and_retries_are_one_call(connect: Open, server: SimulatorServer, way: str) -> None:
    """A log line for each call would be one for each branch or attempt."""
    server.fault = Fault.status(429, retry_after=0.01, times=1)
    seen = Seen()
    client = connect(seen).with_options(max_retries=3)
    stream = client.stream(ELSEWHERE, "Hello!", n=3)
    final = await client.create(ELSEWHERE, "Hello!", n=3) if way == "create" else await stream.get_final_completion()
    assert len(final.choices) == 3
    assert len(seen.requests) == 1
    assert seen.requests[0].n == 3
    assert len(server.requests) == 4


async def test_it_sees_the_options_of_the_call_under_one_name_each(connect: Open) -> None:
    """Middleware would have to know LiteLLM's names, or could change an option only to be contradicted by another."""
    seen = Seen()
    client = connect(seen).with_options(max_retries=7)
    await client.create("our-gpt", "Hello!", forceTimeout=30, azure=True)
    await client.create(MODEL, "Hello!")
    assert seen.options == [{"timeout": Timeout(total=30), "provider": "azure"}, {}]


async def test_it_can_ask_where_a_request_would_go(connect: Open, server: SimulatorServer) -> None:
    """Middleware could not tell providers apart, with models that name none."""
    targets: list[tuple[str, str, str]] = []

    async def ask(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        target = call_next.target(request, options)
        targets.append((target.provider, target.model, target.base_url))
        return await call_next(request, options)

    client = connect(ask)
    await client.create("gpt-4o", "Hello!")
    await client.with_options(provider="anthropic").create("claude-haiku-4-5", "Hello!")
    await client.stream(ELSEWHERE, "Hello!").get_final_completion()
    urls = server.base_urls
    assert targets == [
        ("openai", "gpt-4o", urls["openai"]),
        *[("anthropic", "claude-haiku-4-5", urls["anthropic"])] * 2,
    ]


async def test_the_first_is_the_outermost(connect: Open) -> None:
    """Middleware would be run in an order nobody meant."""
    order: list[str] = []

    def named(name: str) -> Middleware:
        async def middleware(request: ChatRequest, options: Options, call_next: Next) -> Reply:
            order.append(f"{name} in")
            reply = await call_next(request, options)
            order.append(f"{name} out")
            return reply

        return middleware

    client = connect(named("a"), named("b"), named("c"))
    await client.create(MODEL, "Hello!")
    whole = ["a in", "b in", "c in", "c out", "b out", "a out"]
    assert order == whole
    stream = client.stream(MODEL, "Hello!")
    assert order == whole  # nothing is run before it is sent
    await stream.get_final_completion()
    assert order == whole * 2


# --- what it may change ---


@every_way
async def test_it_may_change_the_request_and_the_options(connect: Open, server: SimulatorServer, way: str) -> None:
    """What middleware adds to a request would not be sent."""

    async def change(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        messages: list[Message | dict[str, Any]] = [{"role": "system", "content": "Be brief."}, UserMessage("Bye!")]
        changed = attrs.evolve(request, model=ELSEWHERE, messages=messages, temperature=0.5)
        return await call_next(changed, {**options, "extra_headers": {"X-Team": "blue"}})

    assert (await WAYS[way](connect(change))).startswith("You said: Bye!")
    (request,) = server.requests
    assert request.provider == "anthropic"
    assert request.body["temperature"] == 0.5
    assert request.body["system"] == "Be brief."
    assert request.headers["x-team"] == "blue"


async def test_a_request_changed_in_place_is_sent_as_it_is_now(connect: Open, server: SimulatorServer) -> None:
    """A parameter that middleware sets on the record itself would be lost, or land in the caller's own record."""

    async def change(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        request.seed = 7
        request.temperature = None
        return await call_next(request, options)

    mine = ChatRequest(MODEL, "Hello!", temperature=1.0)
    await connect(change).send(mine)
    assert server.requests[0].body["seed"] == 7
    assert "temperature" not in server.requests[0].body
    assert mine == ChatRequest(MODEL, "Hello!", temperature=1.0)


@pytest.mark.parametrize("way", ["create", "stream"])
async def test_what_it_changed_is_validated_again(connect: Open, server: SimulatorServer, way: str) -> None:
    """A mistake of middleware would be sent, or be an error from the depths."""

    async def change(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        return await call_next(attrs.evolve(request, temperature=float("nan")), options)

    with pytest.raises(InvalidRequestError) as caught:
        await WAYS[way](connect(change))
    assert caught.value.param == "temperature"

    async def mistake(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        wrong: Any = {"max_retry": 1}
        return await call_next(request, wrong)

    with pytest.raises(TypeError, match="did you mean 'max_retries'"):
        await WAYS[way](connect(mistake))
    assert server.requests == []


@every_way
async def test_it_may_answer_itself(connect: Open, server: SimulatorServer, way: str) -> None:
    """A cache could not answer a stream with what it has, or a plain call with a stream."""
    kept: dict[str, ChatCompletion] = {}

    async def cached(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        key = repr(request.to_dict())
        if key in kept:
            return kept[key]
        reply = await call_next(request, options)
        if isinstance(reply, ChatCompletion):
            kept[key] = reply
        else:
            reply.on_end(lambda whole, error: kept.update({key: whole} if error is None else {}))
        return reply

    client = connect(cached)
    first = await WAYS[way](client)
    assert await WAYS[way](client) == first
    assert await plain(client) == first
    assert await lazy(client) == first
    assert len(server.requests) == 1


async def test_a_stream_serves_for_a_plain_call(connect: Open, server: SimulatorServer) -> None:
    """Middleware that always streams would break every plain call."""
    inner = connect()

    async def streamed(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        return inner.stream(request.model, request.messages)

    reply = await connect(streamed).create(MODEL, "Hello!")
    assert reply.text.startswith("You said: Hello!")
    assert reply.usage is not None
    assert reply.info.provider == "openai"


@every_way
async def test_it_may_call_again(connect: Open, server: SimulatorServer, way: str) -> None:
    """There would be no falling back to another provider."""
    server.fault = "unavailable"

    async def fallback(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        try:
            return await call_next(request, {**options, "max_retries": 0})
        except ServiceUnavailableError:
            server.fault = None
            return await call_next(attrs.evolve(request, model=ELSEWHERE), options)

    assert (await WAYS[way](connect(fallback))).startswith("You said: Hello!")
    assert [request.provider for request in server.requests] == ["openai", "anthropic"]


@pytest.mark.parametrize("way", [name for name in WAYS if name not in ("attempt", "batch")])
async def test_its_exceptions_are_the_callers(connect: Open, server: SimulatorServer, way: str) -> None:
    """An app could not refuse a call by an exception of its own."""

    class TooDear(Exception):
        """The app's own."""

    async def refuse(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        raise TooDear

    with pytest.raises(TooDear):
        await WAYS[way](connect(refuse))
    assert server.requests == []


async def test_an_error_of_ours_from_middleware_is_a_result(connect: Open) -> None:
    """`attempt` and batches would raise what they give as values."""

    async def refuse(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        raise InvalidRequestError("not today", param="model")

    client = connect(refuse)
    result = await client.attempt(MODEL, "Hello!")
    assert isinstance(result.error, InvalidRequestError)
    async with client.batch([ChatRequest(MODEL, "Hello!", custom_id="1")]) as run:
        results = [result async for result in run]
    assert isinstance(results[0].error, InvalidRequestError)


@pytest.mark.parametrize("way", ["create", "stream"])
async def test_middleware_that_returns_nothing_is_named(connect: Open, way: str) -> None:
    """Who forgets `return` would search for long."""

    async def forgetful(request: ChatRequest, options: Options, call_next: Next) -> Any:
        await call_next(request, options)

    with pytest.raises(TypeError, match=r"middleware .*forgetful returned NoneType"):
        await WAYS[way](connect(forgetful))


def test_what_cannot_be_called_is_refused_at_once() -> None:
    """A mistake at the start of a program would show at its first call."""
    wrong: Any = [print, "log"]
    with pytest.raises(InvalidRequestError) as caught:
        AsyncCompletion(middleware=wrong)
    assert caught.value.param == "middleware[1]"


# --- streams ---


async def test_it_may_change_the_chunks(connect: Open) -> None:
    """Text could not be cleaned on its way, or the reply at the end would be another than was streamed."""

    def loud(chunk: ChatCompletionChunk) -> ChatCompletionChunk | None:
        for choice in chunk.choices:
            if choice.delta.content is not None:
                choice.delta.content = choice.delta.content.upper()
        return chunk if any(choice.delta.content != " SAID:" for choice in chunk.choices) else None

    async def change(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        reply = await call_next(request, options)
        return reply.map(loud) if isinstance(reply, CompletionStream) else reply

    stream = connect(change).stream(MODEL, "Hello!")
    text = "".join([piece async for piece in stream.text])
    assert text.startswith("YOU HELLO!")
    final = await stream.get_final_completion()
    assert final.text == text
    assert final.usage is not None
    assert final.choices[0].finish_reason == "stop"
    assert final.info.request_id


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("n", [1, 3])
async def test_usage_is_told_as_it_is_without_middleware(connect: Open, asked: bool, layers: int, n: int) -> None:
    """A chunk with usage would be delivered that nobody asked for, or one be missing that was asked for."""

    async def same(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        reply = await call_next(request, options)
        return reply.map(lambda chunk: chunk) if isinstance(reply, CompletionStream) else reply

    told: list[list[tuple[bool, bool]]] = []
    for client in (connect(), connect(*[same] * layers)):
        stream = client.stream(ELSEWHERE, "Hello!", n=n, stream_options={"include_usage": asked})
        chunks = [chunk async for chunk in stream]
        assert stream.usage is not None
        assert (await stream.get_final_completion()).usage == stream.usage
        told.append(sorted((bool(chunk.choices), chunk.usage is not None) for chunk in chunks))
    assert told[0] == told[1]


async def test_an_exception_of_a_change_ends_the_stream(connect: Open, server: SimulatorServer) -> None:
    """A chunk that middleware refuses would be swallowed, or leave a connection open."""

    def refuse(chunk: ChatCompletionChunk) -> ChatCompletionChunk:
        raise LookupError("no such word")

    async def change(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        reply = await call_next(request, options)
        return reply.map(refuse) if isinstance(reply, CompletionStream) else reply

    server.fault = "stall-after-2-events"
    client = connect(change)
    with pytest.raises(LookupError):
        await client.stream(MODEL, "Hello!").get_final_completion()
    assert "live=0" in repr(client)


async def test_what_had_arrived_is_what_the_reader_saw(connect: Open, server: SimulatorServer) -> None:
    """A failed stream would show the text from before it was cleaned."""

    def mask(chunk: ChatCompletionChunk) -> ChatCompletionChunk:
        for choice in chunk.choices:
            choice.delta.content = choice.delta.content and "*"
        return chunk

    async def change(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        reply = await call_next(request, options)
        return reply.map(mask) if isinstance(reply, CompletionStream) else reply

    server.fault = "cut-after-4-events"
    with pytest.raises(StreamInterruptedError) as caught:
        await connect(change).stream(MODEL, "Hello!").get_final_completion()
    assert caught.value.partial is not None
    assert set(caught.value.partial.text) == {"*"}


Ends = list[tuple[str, CompletionError | None]]


@asynccontextmanager
async def ending(connect: Open) -> AsyncIterator[tuple[CompletionStream, Ends]]:
    """A stream whose end middleware watches."""
    ends: Ends = []

    async def watch(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        reply = await call_next(request, options)
        assert isinstance(reply, CompletionStream)
        reply.on_end(lambda whole, error: ends.append((whole.text, error)))
        return reply

    yield connect(watch).stream(MODEL, "Hello!"), ends


async def test_the_end_is_told_once(connect: Open) -> None:
    """A watcher would be told of the end twice, or early."""
    async with ending(connect) as (stream, ends):
        async with stream:
            text = "".join([piece async for piece in stream.text])
            assert ends == [(text, None)]
            await stream.get_final_completion()
        await stream.aclose()
    assert ends == [(text, None)]


async def test_a_failure_is_told_with_what_had_arrived(connect: Open, server: SimulatorServer) -> None:
    """A watcher would take a cut answer for a whole one."""
    server.fault = "cut-after-4-events"
    async with ending(connect) as (stream, ends):
        with pytest.raises(StreamInterruptedError) as caught:
            await stream.get_final_completion()
        await stream.aclose()
    assert ends == [("You said: Hello!", caught.value)]


async def test_a_reader_who_leaves_is_told(connect: Open) -> None:
    """A watcher would wait for the end of a stream that nobody reads any more."""
    async with ending(connect) as (stream, ends):
        await anext(stream)
        await stream.aclose()
    ((_, error),) = ends
    assert isinstance(error, StreamInterruptedError)
    assert error.phase == "closed"


async def test_a_dropped_stream_is_told_and_closed(connect: Open, server: SimulatorServer) -> None:
    """A forgotten stream would go on, and its watcher would wait for ever."""
    server.fault = "stall-after-2-events"
    async with ending(connect) as (stream, ends):
        await anext(stream)
        del stream
    gc.collect()
    ((_, error),) = ends
    assert isinstance(error, StreamInterruptedError)


async def test_who_asks_too_late_is_told_at_once(connect: Open) -> None:
    """A watcher of a stream that is over would never hear of it."""
    ends: Ends = []
    stream = connect().stream(MODEL, "Hello!")
    await stream.get_final_completion()
    stream.on_end(lambda whole, error: ends.append((whole.text, error)))
    assert ends == [(stream.snapshot.text, None)]
    left = await connect().create(MODEL, "Hello!", stream=True)
    await left.aclose()
    left.on_end(lambda whole, error: ends.append((whole.text, error)))
    assert isinstance(ends[1][1], StreamInterruptedError)


async def test_a_failing_watcher_breaks_no_stream(connect: Open, caplog: pytest.LogCaptureFixture) -> None:
    """A bug in bookkeeping would take the answer with it."""

    async def watch(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        reply = await call_next(request, options)
        assert isinstance(reply, CompletionStream)
        reply.on_end(lambda whole, error: 1 / 0)
        return reply

    with caplog.at_level(logging.WARNING, "anycompletion"):
        assert await lazy(connect(watch))
    assert [record.getMessage() for record in caplog.records] == ["on_end failed with ZeroDivisionError"]


async def test_a_stream_read_to_its_end_is_told_again(connect: Open) -> None:
    """Middleware that waits for the whole reply would leave an empty stream to the caller."""

    async def wait(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        reply = await call_next(request, options)
        if isinstance(reply, CompletionStream):
            await reply.get_final_completion()
        return reply

    client = connect(wait)
    assert await lazy(client) == await lazy(connect())
    stream = client.stream(MODEL, "Hello!")
    final = await stream.get_final_completion()
    assert final.usage is not None
    assert final.choices[0].finish_reason == "stop"


async def test_a_stream_read_in_part_is_refused(connect: Open) -> None:
    """The caller would get an answer without its beginning."""

    async def peek(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        reply = await call_next(request, options)
        assert isinstance(reply, CompletionStream)
        await anext(reply)
        return reply

    client = connect(peek)
    with pytest.raises(RuntimeError, match="read a part"):
        await lazy(client)
    gc.collect()
    assert "live=0" in repr(client)


async def test_closing_ends_middleware_that_is_under_way(connect: Open, server: SimulatorServer) -> None:
    """A reader who leaves before the first chunk would leave the call behind."""
    server.fault = "hang"
    client = connect(Seen())
    stream = client.stream(MODEL, "Hello!")
    task = asyncio.ensure_future(anext(stream))
    while not server.requests:
        await asyncio.sleep(0.001)
    await stream.aclose()
    with pytest.raises(StreamInterruptedError):
        await task
    assert not task.cancelled()
    assert "live=0" in repr(client)


async def test_cancelling_ends_middleware_that_is_under_way(connect: Open, server: SimulatorServer) -> None:
    """A cancelled reader would be told something else, or leave the call behind."""
    server.fault = "hang"
    client = connect(Seen())
    stream = client.stream(MODEL, "Hello!")
    task = asyncio.ensure_future(anext(stream))
    while not server.requests:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(StreamInterruptedError):
        await anext(stream)
    assert "live=0" in repr(client)


async def test_a_closed_client_ends_its_relayed_streams(connect: Open, server: SimulatorServer) -> None:
    """A shutdown would hang on a stream that middleware passed on."""
    server.fault = "stall-after-2-events"
    client = connect(Seen())
    stream = client.stream(MODEL, "Hello!")
    task = asyncio.ensure_future(stream.get_final_completion())
    while not stream.snapshot.choices:
        await asyncio.sleep(0.001)
    await client.aclose()
    with pytest.raises(CompletionError):
        await task
    with pytest.raises(ClientClosedError):
        client.stream(MODEL, "Hello!")


@pytest.mark.parametrize("n", [1, 3])
async def test_leaving_a_relayed_stream_closes_the_connection(connect: Open, server: SimulatorServer, n: int) -> None:
    """A provider would go on writing for a reader who has left."""
    server.fault = "stall-after-2-events"
    client = connect(Seen(), Seen())
    async with client.stream(ELSEWHERE, "Hello!", n=n) as stream:
        await anext(stream)
        assert f"live={n}" in repr(client)
    assert "live=0" in repr(client)


async def passed(request: ChatRequest, options: Options, call_next: Next) -> Reply:
    reply = await call_next(request, options)
    return reply.map(lambda chunk: chunk) if isinstance(reply, CompletionStream) else reply


@pytest.mark.parametrize("case", CASES)
async def test_relayed_streams_leave_nothing_behind(server: SimulatorServer, case: str) -> None:
    """A service with middleware would lose memory or connections with every user who leaves."""
    model, n, _ = CASES[case]
    async with client_of(server, middleware=[passed, passed]) as client, nothing_left(client):
        for _ in range(3):
            await client.stream(model, "Hello!", n=n).get_final_completion()
            async with client.stream(model, "Hello!", n=n) as stream:
                await anext(stream)
            dropped = await client.create(model, "Hello!", n=n, stream=True)
            await anext(dropped)
            del dropped
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await client.stream(model, "Hello!", n=n).get_final_completion()


# --- what it may not do ---


async def test_without_middleware_nothing_of_it_is_run(connect: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls without middleware would pay for it."""

    def refuse(*_: object, **__: object) -> Any:
        raise AssertionError("there is no middleware")

    monkeypatch.setattr("anycompletion.client.desk.complete", refuse)
    monkeypatch.setattr("anycompletion.client.desk.Chained", refuse)
    for way in WAYS.values():
        assert await way(connect())


async def test_secrets_do_not_show_in_its_frames(connect: Open, server: SimulatorServer) -> None:
    """A report of a crash in middleware would show prompts and keys."""

    async def crash(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        await call_next(request, options)
        raise LookupError

    key, header, body = server.api_keys["openai"], "header-nobody-may-see", "body-nobody-may-see"
    with pytest.raises(LookupError) as caught:
        await connect(crash).create(
            MODEL,
            "prompt-nobody-may-see",
            api_key=key,
            extra_headers={"X-Mark": header},
            extra_body={"metadata": {"mark": body}},
        )
    report = traceback.TracebackException(LookupError, caught.value, caught.value.__traceback__, capture_locals=True)
    inside = [frame for frame in report.stack if frame.filename != __file__ or frame.name == "crash"]
    assert {frame.name for frame in inside} >= {"create", "complete", "__call__", "crash"}
    shown = repr([frame.locals for frame in inside])
    for secret in (key, header, body, "nobody-may-see"):
        assert secret not in shown


async def test_views_and_pickles_keep_it(connect: Open) -> None:
    """A view would be a way around middleware, and so would a worker's copy."""
    seen = Seen()
    client = connect(seen)
    await client.with_options(timeout=30).create(MODEL, "Hello!")
    assert len(seen.requests) == 1
    copy: AsyncCompletion = pickle.loads(pickle.dumps(AsyncCompletion(middleware=[counted])))  # noqa: S301 (our own bytes)
    with pytest.raises(NotImplementedError):
        await copy.create(MODEL, "Hello!")


async def counted(request: ChatRequest, options: Options, call_next: Next) -> Reply:
    raise NotImplementedError


async def test_many_calls_at_a_time_do_not_meet(connect: Open) -> None:
    """One call's middleware would see another call's request or reply."""

    async def mark(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        asked = request.to_dict()["messages"][0]["content"]
        reply = await call_next(request, options)
        await asyncio.sleep(0)
        whole = await reply.get_final_completion() if isinstance(reply, CompletionStream) else reply
        assert asked in whole.text
        return reply

    client = connect(mark, Seen())
    texts = [f"Question {i:03}" for i in range(50)]
    replies: Sequence[ChatCompletion] = await asyncio.gather(
        *(client.create(MODEL, text) for text in texts),
        *(client.stream(MODEL, text).get_final_completion() for text in texts),
    )
    assert all(text in reply.text for text, reply in zip(texts * 2, replies, strict=True))


# --- observers ---


async def test_a_failing_logger_fn_breaks_nothing(connect: Open, caplog: pytest.LogCaptureFixture) -> None:
    """A bug in logging would take the answer with it."""

    def fail(event: dict[str, Any]) -> None:
        raise RuntimeError(str(event))

    with caplog.at_level(logging.WARNING, "anycompletion"):
        for client in (connect(), connect(Seen())):
            for way in (plain, opened, lazy):
                assert await way(client, logger_fn=fail)
    assert {record.getMessage() for record in caplog.records} == {"logger_fn failed with RuntimeError"}
    assert len(caplog.records) == 2 * 3 * 2


async def test_a_failing_progress_callback_breaks_no_batch(connect: Open) -> None:
    """A bug in a progress bar would end a batch."""

    def fail(progress: object) -> None:
        raise RuntimeError

    requests = [ChatRequest(MODEL, "Hello!", custom_id=str(i)) for i in range(3)]
    async with connect().batch(requests, on_progress=fail) as run:
        assert [result.ok async for result in run] == [True] * 3


# --- around each attempt: aiohttp's own ---


async def test_a_session_of_the_apps_own_watches_every_attempt(connect: Open, server: SimulatorServer) -> None:
    """aiohttp's traces and client middleware, which see attempts and not calls, could not be used."""
    attempts: list[int] = []
    marked: list[str] = []

    async def ended(session: aiohttp.ClientSession, context: Any, params: aiohttp.TraceRequestEndParams) -> None:
        attempts.append(params.response.status)

    async def mark(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        request.headers["X-Trace"] = f"attempt-{len(marked) + 1}"
        marked.append(request.url.path)
        return await handler(request)

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(ended)
    server.fault = Fault.status(503, retry_after=0.01, times=1)
    seen = Seen()
    async with aiohttp.ClientSession(trace_configs=[trace], middlewares=[mark]) as session:
        client = connect(seen, session=session)
        assert await plain(client)
        assert attempts == [503, 200]
        assert await lazy(client)
        assert attempts == [503, 200, 200]
    assert [request.headers["x-trace"] for request in server.requests] == ["attempt-1", "attempt-2", "attempt-3"]
    assert len(seen.requests) == 2
