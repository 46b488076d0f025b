"""Tests of middleware: it runs once per logical call, and may change, answer, repeat or refuse it."""

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
    """Function that opens clients with some middleware."""
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
class Recorder:
    """Middleware that records requests, options and replies and changes nothing."""

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


# --- observing ---


@every_way
async def test_middleware_runs_once_for_every_way_of_calling(connect: Open, server: SimulatorServer, way: str) -> None:
    """One way of calling would bypass middleware, or run it twice."""
    seen = Recorder()
    text = await WAYS[way](connect(seen))
    assert text.startswith("You said: Hello!")
    assert [request.model for request in seen.requests] == [MODEL]
    assert seen.requests[0].messages == [UserMessage("Hello!")]
    assert seen.streams == [way in STREAMS]
    assert [type(reply) for reply in seen.replies] == [CompletionStream if way in STREAMS else ChatCompletion]
    assert len(server.requests) == 1


@pytest.mark.parametrize("way", ["create", "create a stream", "stream"])
async def test_branches_and_retries_are_one_call(connect: Open, server: SimulatorServer, way: str) -> None:
    """Middleware would run once for each branch or attempt."""
    server.fault = Fault.status(429, retry_after=0.01, times=1)
    seen = Recorder()
    client = connect(seen).with_options(max_retries=3)
    stream = client.stream(ELSEWHERE, "Hello!", n=3)
    final = await client.create(ELSEWHERE, "Hello!", n=3) if way == "create" else await stream.get_final_completion()
    assert len(final.choices) == 3
    assert len(seen.requests) == 1
    assert seen.requests[0].n == 3
    assert len(server.requests) == 4


async def test_middleware_gets_each_option_under_one_name(connect: Open) -> None:
    """Middleware would have to know LiteLLM's names, or its change of an option would conflict with another name."""
    seen = Recorder()
    client = connect(seen).with_options(max_retries=7)
    await client.create("our-gpt", "Hello!", forceTimeout=30, azure=True)
    await client.create(MODEL, "Hello!")
    assert seen.options == [{"timeout": Timeout(total=30), "provider": "azure"}, {}]


async def test_middleware_sees_the_tags_of_the_call_or_else_of_its_view(connect: Open) -> None:
    """A budget or cache for each customer would need a context variable."""
    seen = Recorder()
    client = connect(seen)
    view = client.with_options(tags={"customer": "c-7"})
    await client.create(MODEL, "Hello!", tags={"customer": "c-1"})
    await view.create(MODEL, "Hello!")
    await view.stream(MODEL, "Hello!", tags={"user": "u-2"}).get_final_completion()
    await view.stream(MODEL, "Hello!").get_final_completion()
    items = [{"model": MODEL, "messages": "Hello!", "tags": {"row": "3"}}, {"model": MODEL, "messages": "Hello!"}]
    assert [result.ok async for result in view.batch(items, ordered=True, concurrency=1)] == [True, True]
    given = [{"customer": "c-1"}, {"customer": "c-7"}, {"user": "u-2"}, {"customer": "c-7"}, {"row": "3"}]
    assert [options.get("tags") for options in seen.options] == [*given, {"customer": "c-7"}]


@pytest.mark.parametrize("of_view", [False, True])
async def test_a_logger_function_sees_the_tags(connect: Open, of_view: bool) -> None:
    """A callback for all calls could not attribute one to a customer."""
    events: list[dict[str, Any]] = []
    client = connect().with_options(logger_fn=events.append)
    tags = {"customer": "c-7"}
    await (client.with_options(tags=tags).create(MODEL, "Hi") if of_view else client.create(MODEL, "Hi", tags=tags))
    await client.create(MODEL, "Hi")
    assert [event.get("tags") for event in events] == [tags, tags, None, None]


async def test_middleware_can_get_the_target_of_a_request(connect: Open, server: SimulatorServer) -> None:
    """Middleware could not determine the provider of a model without a prefix."""
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


async def test_the_first_middleware_is_the_outermost(connect: Open) -> None:
    """Middleware would run in another order than that of the list."""
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
    expected = ["a in", "b in", "c in", "c out", "b out", "a out"]
    assert order == expected
    stream = client.stream(MODEL, "Hello!")
    assert order == expected  # a stream runs middleware when it is sent
    await stream.get_final_completion()
    assert order == expected * 2


# --- changing and answering ---


@every_way
async def test_middleware_may_change_the_request_and_the_options(
    connect: Open, server: SimulatorServer, way: str
) -> None:
    """Changes of a request or of options by middleware would not be sent."""

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


async def test_a_request_changed_in_place_is_sent_with_its_changes(connect: Open, server: SimulatorServer) -> None:
    """A parameter that middleware sets in place would be lost, or be set in the caller's record."""

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
async def test_a_changed_request_is_validated_again(connect: Open, server: SimulatorServer, way: str) -> None:
    """A mistake of middleware would be sent, or raise an internal error."""

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
async def test_middleware_may_answer_a_call(connect: Open, server: SimulatorServer, way: str) -> None:
    """A cached reply could not answer a call, or a stream."""
    cache: dict[str, ChatCompletion] = {}

    async def cached(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        key = repr(request.to_dict())
        if key in cache:
            return cache[key]
        reply = await call_next(request, options)
        if isinstance(reply, ChatCompletion):
            cache[key] = reply
        else:
            reply.on_end(lambda completion, error: cache.update({key: completion} if error is None else {}))
        return reply

    client = connect(cached)
    first = await WAYS[way](client)
    assert await WAYS[way](client) == first
    assert await plain(client) == first
    assert await lazy(client) == first
    assert len(server.requests) == 1


async def test_a_stream_of_middleware_answers_a_plain_call(connect: Open, server: SimulatorServer) -> None:
    """Middleware that returns a stream would break calls without streaming."""
    inner = connect()

    async def streamed(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        return inner.stream(request.model, request.messages)

    reply = await connect(streamed).create(MODEL, "Hello!")
    assert reply.text.startswith("You said: Hello!")
    assert reply.usage is not None
    assert reply.info.provider == "openai"


@every_way
async def test_middleware_may_call_again(connect: Open, server: SimulatorServer, way: str) -> None:
    """Middleware could not fall back to another provider."""
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
async def test_exceptions_of_middleware_are_raised_unchanged(connect: Open, server: SimulatorServer, way: str) -> None:
    """Middleware could not refuse a call with its own exception."""

    class TooExpensiveError(Exception):
        """Exception of the application."""

    async def refuse(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        raise TooExpensiveError

    with pytest.raises(TooExpensiveError):
        await WAYS[way](connect(refuse))
    assert server.requests == []


async def test_another_exception_of_middleware_ends_a_batch_and_an_attempt(connect: Open) -> None:
    """A budget that is used up would be one failed result among others, and the batch go on asking."""

    class BudgetUsedUp(Exception):
        pass

    async def budget(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        if request.custom_id == "2":
            raise BudgetUsedUp
        return await call_next(request, options)

    client, seen = connect(budget), list[str | None]()
    with pytest.raises(BudgetUsedUp):
        async with client.batch(
            [ChatRequest(MODEL, "Hello!", custom_id=f"{n}") for n in range(9)], concurrency=1
        ) as run:
            async for result in run:
                seen.append(result.custom_id)
    assert seen == ["0", "1"]

    async def refuse(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        raise BudgetUsedUp

    with pytest.raises(BudgetUsedUp):
        await connect(refuse).attempt(MODEL, "Hello!")


async def test_an_error_of_ours_from_middleware_is_a_result(connect: Open) -> None:
    """`attempt` and batches would raise an error of middleware instead of returning it."""

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
    """The error of middleware without a `return` would not name it."""

    async def forgetful(request: ChatRequest, options: Options, call_next: Next) -> Any:
        await call_next(request, options)

    with pytest.raises(TypeError, match=r"middleware .*forgetful returned NoneType"):
        await WAYS[way](connect(forgetful))


def test_middleware_that_is_not_callable_is_refused_at_once() -> None:
    """Middleware of a wrong type would be an error only at the first call."""
    wrong: Any = [print, "log"]
    with pytest.raises(InvalidRequestError) as caught:
        AsyncCompletion(middleware=wrong)
    assert caught.value.param == "middleware[1]"


# --- streams ---


async def test_middleware_may_change_the_chunks(connect: Open) -> None:
    """Chunks could not be changed, or the final reply would differ from the changed chunks."""

    def upper_case(chunk: ChatCompletionChunk) -> ChatCompletionChunk | None:
        for choice in chunk.choices:
            if choice.delta.content is not None:
                choice.delta.content = choice.delta.content.upper()
        return chunk if any(choice.delta.content != " SAID:" for choice in chunk.choices) else None

    async def change(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        reply = await call_next(request, options)
        return reply.map(upper_case) if isinstance(reply, CompletionStream) else reply

    stream = connect(change).stream(MODEL, "Hello!")
    text = "".join([piece async for piece in stream.text])
    assert text.startswith("YOU HELLO!")
    final = await stream.get_final_completion()
    assert final.text == text
    assert final.usage is not None
    assert final.choices[0].finish_reason == "stop"
    assert final.info.request_id


@pytest.mark.parametrize("requested", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("n", [1, 3])
async def test_usage_chunks_are_the_same_with_middleware(connect: Open, requested: bool, layers: int, n: int) -> None:
    """With middleware an unrequested usage chunk would be delivered, or a requested one would be missing."""

    async def same(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        reply = await call_next(request, options)
        return reply.map(lambda chunk: chunk) if isinstance(reply, CompletionStream) else reply

    usage: list[list[tuple[bool, bool]]] = []
    for client in (connect(), connect(*[same] * layers)):
        stream = client.stream(ELSEWHERE, "Hello!", n=n, stream_options={"include_usage": requested})
        chunks = [chunk async for chunk in stream]
        assert stream.usage is not None
        assert (await stream.get_final_completion()).usage == stream.usage
        usage.append(sorted((bool(chunk.choices), chunk.usage is not None) for chunk in chunks))
    assert usage[0] == usage[1]


async def test_an_exception_of_a_chunk_function_ends_the_stream(connect: Open, server: SimulatorServer) -> None:
    """An exception for a chunk would be swallowed, or leave a connection open."""

    def refuse(chunk: ChatCompletionChunk) -> ChatCompletionChunk:
        raise LookupError("no such word")

    async def change(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        reply = await call_next(request, options)
        return reply.map(refuse) if isinstance(reply, CompletionStream) else reply

    server.fault = "stall-after-2-events"
    client = connect(change)
    with pytest.raises(LookupError):
        await client.stream(MODEL, "Hello!").get_final_completion()
    assert "0 in flight" in repr(client)


async def test_the_partial_text_has_the_changed_chunks(connect: Open, server: SimulatorServer) -> None:
    """The partial text of a failed stream would be that of the unchanged chunks."""

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
    """A stream whose end middleware observes."""
    ends: Ends = []

    async def watch(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        reply = await call_next(request, options)
        assert isinstance(reply, CompletionStream)
        reply.on_end(lambda completion, error: ends.append((completion.text, error)))
        return reply

    yield connect(watch).stream(MODEL, "Hello!"), ends


async def test_end_callbacks_are_called_once(connect: Open) -> None:
    """An end callback would be called twice, or before the end."""
    async with ending(connect) as (stream, ends):
        async with stream:
            text = "".join([piece async for piece in stream.text])
            assert ends == [(text, None)]
            await stream.get_final_completion()
        await stream.aclose()
    assert ends == [(text, None)]


async def test_end_callbacks_of_a_failed_stream_get_its_error(connect: Open, server: SimulatorServer) -> None:
    """An end callback would treat a truncated reply as complete."""
    server.fault = "cut-after-4-events"
    async with ending(connect) as (stream, ends):
        with pytest.raises(StreamInterruptedError) as caught:
            await stream.get_final_completion()
        await stream.aclose()
    assert ends == [("You said: Hello!", caught.value)]


async def test_end_callbacks_of_a_closed_stream_are_called(connect: Open) -> None:
    """An end callback of a stream that its reader closed would never be called."""
    async with ending(connect) as (stream, ends):
        await anext(stream)
        await stream.aclose()
    ((_, error),) = ends
    assert isinstance(error, StreamInterruptedError)
    assert error.phase == "closed"


async def test_a_dropped_stream_is_closed_and_its_end_callbacks_called(connect: Open, server: SimulatorServer) -> None:
    """A dropped stream would go on, and its end callback would never be called."""
    server.fault = "stall-after-2-events"
    async with ending(connect) as (stream, ends):
        await anext(stream)
        del stream
    gc.collect()
    ((_, error),) = ends
    assert isinstance(error, StreamInterruptedError)


@pytest.mark.parametrize("method", ["on_end", "map"])
def test_a_function_that_nothing_would_await_is_refused(method: str, connect: Open) -> None:
    """An async callback would never run, and what it stores would be missing without a word."""

    class Later:
        async def __call__(self, *arguments: object) -> None: ...

    stream: Any = connect().stream(MODEL, "Hello!")
    for function, text in ((Later().__call__, "async"), (Later(), "async"), (1, "expected a function, found int")):
        with pytest.raises(TypeError, match=f"{method}: .*{text}"):
            getattr(stream, method)(function)


async def test_an_end_callback_added_after_the_end_is_called_at_once(connect: Open) -> None:
    """An end callback that is added after the end would never be called."""
    ends: Ends = []
    stream = connect().stream(MODEL, "Hello!")
    await stream.get_final_completion()
    stream.on_end(lambda completion, error: ends.append((completion.text, error)))
    assert ends == [(stream.snapshot.text, None)]
    closed = await connect().create(MODEL, "Hello!", stream=True)
    await closed.aclose()
    closed.on_end(lambda completion, error: ends.append((completion.text, error)))
    assert isinstance(ends[1][1], StreamInterruptedError)


async def test_a_failing_end_callback_does_not_break_the_stream(
    connect: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """An error in an end callback would fail the call."""

    async def watch(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        reply = await call_next(request, options)
        assert isinstance(reply, CompletionStream)
        reply.on_end(lambda completion, error: 1 / 0)
        return reply

    with caplog.at_level(logging.WARNING, "anycompletion"):
        assert await lazy(connect(watch))
    assert [record.getMessage() for record in caplog.records] == ["on_end failed with ZeroDivisionError"]


async def test_a_stream_that_middleware_read_to_its_end_is_replayed(connect: Open) -> None:
    """Middleware that waits for the complete reply would leave an empty stream to the caller."""

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


async def test_a_stream_that_middleware_read_in_part_is_refused(connect: Open) -> None:
    """The caller would get a stream without its beginning."""

    async def peek(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        reply = await call_next(request, options)
        assert isinstance(reply, CompletionStream)
        await anext(reply)
        return reply

    client = connect(peek)
    with pytest.raises(RuntimeError, match="read a part"):
        await lazy(client)
    gc.collect()
    assert "0 in flight" in repr(client)


async def test_closing_a_stream_ends_its_running_middleware(connect: Open, server: SimulatorServer) -> None:
    """Closing a stream before its first chunk would leave its call running."""
    server.fault = "hang"
    client = connect(Recorder())
    stream = client.stream(MODEL, "Hello!")
    task = asyncio.ensure_future(anext(stream))
    while not server.requests:
        await asyncio.sleep(0.001)
    await stream.aclose()
    with pytest.raises(StreamInterruptedError):
        await task
    assert not task.cancelled()
    assert "0 in flight" in repr(client)


async def test_cancelling_a_reader_ends_the_running_middleware(connect: Open, server: SimulatorServer) -> None:
    """A cancelled reader would get another error, or leave its call running."""
    server.fault = "hang"
    client = connect(Recorder())
    stream = client.stream(MODEL, "Hello!")
    task = asyncio.ensure_future(anext(stream))
    while not server.requests:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(StreamInterruptedError):
        await anext(stream)
    assert "0 in flight" in repr(client)


async def test_closing_the_client_ends_streams_with_middleware(connect: Open, server: SimulatorServer) -> None:
    """Closing the client would hang on a stream that passed through middleware."""
    server.fault = "stall-after-2-events"
    client = connect(Recorder())
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
async def test_closing_a_stream_with_middleware_closes_the_connection(
    connect: Open, server: SimulatorServer, n: int
) -> None:
    """A provider would go on writing after the reader closed its stream."""
    server.fault = "stall-after-2-events"
    client = connect(Recorder(), Recorder())
    async with client.stream(ELSEWHERE, "Hello!", n=n) as stream:
        await anext(stream)
        assert f"{n} in flight" in repr(client)
    assert "0 in flight" in repr(client)


async def identity(request: ChatRequest, options: Options, call_next: Next) -> Reply:
    reply = await call_next(request, options)
    return reply.map(lambda chunk: chunk) if isinstance(reply, CompletionStream) else reply


@pytest.mark.parametrize("case", CASES)
async def test_streams_with_middleware_leak_nothing(server: SimulatorServer, case: str) -> None:
    """Streams with middleware would leak memory or connections when they end early."""
    model, n, _ = CASES[case]
    async with client_of(server, middleware=[identity, identity]) as client, nothing_left(client):
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


# --- isolation ---


async def test_without_middleware_its_code_does_not_run(connect: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls without middleware would have its cost."""

    def refuse(*_: object, **__: object) -> Any:
        raise AssertionError("there is no middleware")

    monkeypatch.setattr("anycompletion.middleware.complete_through", refuse)
    monkeypatch.setattr("anycompletion.middleware.MiddlewareChunks", refuse)
    for way in WAYS.values():
        assert await way(connect())


async def test_frames_of_middleware_show_no_secrets(connect: Open, server: SimulatorServer) -> None:
    """A crash report of an error in middleware would contain prompts and keys."""

    async def crash(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        await call_next(request, options)
        raise LookupError

    key, header, body = server.api_keys["openai"], "header-that-must-stay-secret", "body-that-must-stay-secret"
    with pytest.raises(LookupError) as caught:
        await connect(crash).create(
            MODEL,
            "prompt-that-must-stay-secret",
            api_key=key,
            extra_headers={"X-Mark": header},
            extra_body={"metadata": {"mark": body}},
        )
    report = traceback.TracebackException(LookupError, caught.value, caught.value.__traceback__, capture_locals=True)
    inside = [frame for frame in report.stack if frame.filename != __file__ or frame.name == "crash"]
    assert {frame.name for frame in inside} >= {"create", "complete_through", "__call__", "crash"}
    shown = repr([frame.locals for frame in inside])
    for secret in (key, header, body):
        assert secret not in shown


async def test_views_and_pickles_keep_middleware(connect: Open) -> None:
    """A view or a pickled copy of a client would bypass its middleware."""
    seen = Recorder()
    client = connect(seen)
    await client.with_options(timeout=30).create(MODEL, "Hello!")
    assert len(seen.requests) == 1
    copy: AsyncCompletion = pickle.loads(pickle.dumps(AsyncCompletion(middleware=[counted])))  # noqa: S301 (our own bytes)
    with pytest.raises(NotImplementedError):
        await copy.create(MODEL, "Hello!")


async def counted(request: ChatRequest, options: Options, call_next: Next) -> Reply:
    raise NotImplementedError


async def test_concurrent_calls_do_not_share_middleware_state(connect: Open) -> None:
    """The middleware of one call would get another call's request or reply."""

    async def mark(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        question = request.to_dict()["messages"][0]["content"]
        reply = await call_next(request, options)
        await asyncio.sleep(0)
        completion = await reply.get_final_completion() if isinstance(reply, CompletionStream) else reply
        assert question in completion.text
        return reply

    client = connect(mark, Recorder())
    texts = [f"Question {i:03}" for i in range(50)]
    replies: Sequence[ChatCompletion] = await asyncio.gather(
        *(client.create(MODEL, text) for text in texts),
        *(client.stream(MODEL, text).get_final_completion() for text in texts),
    )
    assert all(text in reply.text for text, reply in zip(texts * 2, replies, strict=True))


# --- observers ---


async def test_a_failing_logger_fn_breaks_nothing(connect: Open, caplog: pytest.LogCaptureFixture) -> None:
    """An error in a `logger_fn` would fail the call."""

    def fail(event: dict[str, Any]) -> None:
        raise RuntimeError(str(event))

    with caplog.at_level(logging.WARNING, "anycompletion"):
        for client in (connect(), connect(Recorder())):
            for way in (plain, opened, lazy):
                assert await way(client, logger_fn=fail)
    assert {record.getMessage() for record in caplog.records} == {"logger_fn failed with RuntimeError"}
    assert len(caplog.records) == 2 * 3 * 2


async def test_a_failing_progress_callback_breaks_no_batch(connect: Open) -> None:
    """An error in a progress callback would end a batch."""

    def fail(progress: object) -> None:
        raise RuntimeError

    requests = [ChatRequest(MODEL, "Hello!", custom_id=str(i)) for i in range(3)]
    async with connect().batch(requests, on_progress=fail) as run:
        assert [result.ok async for result in run] == [True] * 3


# --- aiohttp's traces and client middleware ---


async def test_a_custom_session_observes_every_attempt(connect: Open, server: SimulatorServer) -> None:
    """Traces and client middleware of a custom session would not observe attempts."""
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
    seen = Recorder()
    async with aiohttp.ClientSession(trace_configs=[trace], middlewares=[mark]) as session:
        client = connect(seen, session=session)
        assert await plain(client)
        assert attempts == [503, 200]
        assert await lazy(client)
        assert attempts == [503, 200, 200]
    assert [request.headers["x-trace"] for request in server.requests] == ["attempt-1", "attempt-2", "attempt-3"]
    assert len(seen.requests) == 2
