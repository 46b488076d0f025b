"""Exceptions of user code that end loops: never an end of a stream, a call or a batch as if it were complete."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from anycompletion import AsyncCompletion, ChatCompletion, ChatCompletionChunk, CompletionStream, ConfigurationError
from anycompletion import CallNext as Next
from anycompletion import CallOptions as Options
from anycompletion import ChatRequest as Request
from anycompletion.testing import FakeProvider, tool_call

Reply = ChatCompletion | CompletionStream
MODEL = "openai/m"

KINDS = (StopIteration, StopAsyncIteration, GeneratorExit)


Open = Callable[..., AsyncCompletion]


@pytest.fixture
async def open_client() -> AsyncIterator[Open]:
    """Function that opens clients with some middleware; their provider replies in two pieces."""
    clients: list[AsyncCompletion] = []

    def open_client(*middleware: Any, reply: Any = ("Hel", "lo.")) -> AsyncCompletion:
        reply = list(reply) if isinstance(reply, tuple) else reply
        clients.append(AsyncCompletion(providers=[FakeProvider(*[reply] * 9)], middleware=middleware))
        return clients[-1]

    yield open_client
    for client in clients:
        await client.aclose()


async def call(client: AsyncCompletion) -> int:
    """Replies of one call; a StopAsyncIteration would be an end here, as in many a class of users."""

    class OneReply:
        def __aiter__(self) -> OneReply:
            return self

        async def __anext__(self) -> ChatCompletion:
            return await client.create(MODEL, "Hi.")

    async for _ in OneReply():
        return 1
    return 0


async def read(client: AsyncCompletion) -> int:
    return len([chunk async for chunk in client.stream(MODEL, "Hi.")])


async def opened(client: AsyncCompletion) -> int:
    async with client.stream(MODEL, "Hi.") as stream:
        return len([chunk async for chunk in stream])


async def fanned_out(client: AsyncCompletion) -> int:
    return len([chunk async for chunk in client.stream(MODEL, "Hi.", n=2)])


async def relayed(client: AsyncCompletion) -> int:
    return len([data async for data in client.stream(MODEL, "Hi.").sse()])


async def batched(client: AsyncCompletion) -> int:
    async with client.batch([{"model": MODEL, "messages": "Hi."}] * 3, concurrency=1) as run:
        return len([result async for result in run])


async def in_parts(client: AsyncCompletion) -> int:
    return len([partial async for partial in client.parse_stream(MODEL, "Hi.", str, mode="tool").partials()])


async def in_items(client: AsyncCompletion) -> int:
    return len([item async for item in client.parse_stream(MODEL, "Hi.", list[str]).items()])


async def by_turns(client: AsyncCompletion) -> int:
    return len([turn async for turn in client.run_tools(MODEL, "Hi.", [])])


async def by_events(client: AsyncCompletion) -> int:
    return len([event async for event in client.run_tools(MODEL, "Hi.", []).events()])


async def in_a_run(client: AsyncCompletion) -> int:
    return len([piece async for piece in client.run_tools(MODEL, "Hi.", []).text])


WAYS: dict[str, Callable[[AsyncCompletion], Awaitable[int]]] = {
    "create": call,
    "stream": read,
    "async with stream": opened,
    "stream of several": fanned_out,
    "sse": relayed,
    "partials": in_parts,
    "items": in_items,
    "batch": batched,
    "run by turns": by_turns,
    "run by events": by_events,
    "text of a run": in_a_run,
}


def _as_raised(error: BaseException, kind: type[BaseException]) -> bool:
    """Whether an error has what user code raised as a cause; Python itself replaces a StopIteration of a coroutine."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, kind):
        found = found.__cause__
    return found is not None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS)
async def test_a_middlewares_exception_is_an_error(way: str, kind: type[BaseException], open_client: Open) -> None:
    """A reader would take what it has for the whole reply, or for all results."""

    async def fail(request: Request, options: Options, call_next: Next) -> Reply:
        raise kind

    expected = GeneratorExit if kind is GeneratorExit and way != "batch" else RuntimeError
    with pytest.raises(expected) as caught:
        await WAYS[way](open_client(fail))
    assert _as_raised(caught.value, kind)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_map_functions_exception_is_an_error(kind: type[BaseException], open_client: Open) -> None:
    """A stream would end silently where the function that changes its chunks fails."""
    failing = iter([False, True])

    def change(chunk: ChatCompletionChunk) -> ChatCompletionChunk:
        if next(failing):
            raise kind
        return chunk

    stream = open_client().stream(MODEL, "Hi.").map(change)
    got: list[ChatCompletionChunk] = []
    with pytest.raises(RuntimeError) as caught:
        async for chunk in stream:
            got.append(chunk)
    assert isinstance(caught.value.__cause__, kind)
    assert len(got) == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_an_observers_exception_changes_nothing(kind: type[BaseException], open_client: Open) -> None:
    """The reader of a stream would lose its end, or a call its reply."""

    def fail(*args: Any) -> None:
        raise kind

    client = open_client()
    stream = client.stream(MODEL, "Hi.", logger_fn=fail)
    stream.on_end(fail)
    assert "".join([text async for text in stream.text]) == "Hello."
    assert (await client.create(MODEL, "Hi.", logger_fn=fail)).text == "Hello."
    async with client.batch([{"model": MODEL, "messages": "Hi."}] * 2, on_progress=fail) as run:
        assert [result.ok async for result in run] == [True] * 2


@pytest.mark.parametrize("kind", KINDS)
async def test_a_describe_functions_exception_is_an_error(kind: type[BaseException], open_client: Open) -> None:
    """A relayed stream would end without a word after an error."""

    def fail(error: BaseException) -> Any:
        raise kind

    client = open_client(reply=ConfigurationError("no"))
    with pytest.raises(RuntimeError) as caught:
        async for _ in client.stream(MODEL, "Hi.").sse(fail):
            pass
    assert isinstance(caught.value.__cause__, kind)


@pytest.mark.parametrize("kind", [StopIteration, StopAsyncIteration])
@pytest.mark.parametrize("way", WAYS)
async def test_a_key_functions_exception_is_an_error_of_ours(way: str, kind: type[BaseException]) -> None:
    """A stream without a key would look like an empty reply."""

    async def key() -> str:
        raise kind

    client = AsyncCompletion(api_keys={"openai": key}, base_urls={"openai": "http://127.0.0.1:9/v1"})
    async with client:
        if way in ("batch", "sse"):
            assert await WAYS[way](client) in (1, 3)  # errors are values there
            return
        with pytest.raises(ConfigurationError, match="the function that gives the key"):
            await WAYS[way](client)


class _Iterable:
    """An iterable whose own code fails with something else than the end of its loop."""

    def __init__(self, kind: type[BaseException]) -> None:
        self._kind = kind

    def __iter__(self) -> Iterator[dict[str, str]]:
        yield {"model": MODEL, "messages": "Hi."}
        raise self._kind


@pytest.mark.parametrize("kind", KINDS)
async def test_an_iterables_exception_ends_a_batch_with_an_error(kind: type[BaseException], open_client: Open) -> None:
    """A batch of which a part was never read would look complete."""
    got = 0
    with pytest.raises(RuntimeError) as caught:
        async with open_client().batch(_Iterable(kind)) as run:
            async for _ in run:
                got += 1
    assert _as_raised(caught.value, kind)
    assert got == 1


class _AsyncIterable:
    """The same, read asynchronously, where Python does not replace what is raised."""

    def __init__(self, kind: type[BaseException]) -> None:
        self._kind = kind
        self._count = 0

    def __aiter__(self) -> _AsyncIterable:
        return self

    async def __anext__(self) -> dict[str, str]:
        self._count += 1
        if self._count > 1:
            raise self._kind
        return {"model": MODEL, "messages": "Hi."}


@pytest.mark.parametrize("kind", [StopIteration, GeneratorExit])
async def test_an_async_iterables_exception_ends_a_batch_with_an_error(
    kind: type[BaseException], open_client: Open
) -> None:
    """A batch of which a part was never read would look complete, or its consumer would wait for ever."""
    with pytest.raises(RuntimeError) as caught:
        async with asyncio.timeout(5), open_client().batch(_AsyncIterable(kind)) as run:
            async for _ in run:
                pass
    assert _as_raised(caught.value, kind)


async def test_a_coroutine_of_a_call_can_be_closed(open_client: Open) -> None:
    """Closing a call's coroutine would raise an error in place of ending it, as for a task of a loop that ends."""

    async def wait(request: Request, options: Options, call_next: Next) -> Reply:
        await asyncio.sleep(0)
        return await call_next(request, options)

    running = open_client(wait).create(MODEL, "Hi.")
    running.send(None)
    running.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("function", ["stop_when", "approve", "async approve"])
async def test_a_function_of_a_run_that_fails_is_an_error(
    function: str, kind: type[BaseException], open_client: Open
) -> None:
    """A reader would take the events so far for all of a run."""

    def look() -> str:
        """Look."""
        return "seen"

    def fail(_: object) -> bool:
        raise kind

    async def fail_later(_: object) -> bool:
        raise kind

    run = open_client(reply=tool_call("look")).run_tools(
        MODEL,
        "Hi.",
        [look],
        approve_every=True,
        approve={"stop_when": lambda call: True, "approve": fail, "async approve": fail_later}[function],
        stop_when=fail,
    )
    is_pythons = kind is GeneratorExit and function == "async approve"  # which closes what awaits it
    with pytest.raises(GeneratorExit if is_pythons else RuntimeError) as caught:
        async for _ in run.events():
            pass
    assert _as_raised(caught.value, kind)
