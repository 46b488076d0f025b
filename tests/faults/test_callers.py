"""Uses of a client: leaving, raising, sharing, closing, forking and dropping; clocks that jump, providers that hang."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from email.utils import formatdate
from pathlib import Path

import anyio
import pytest

from anycompletion import (
    APITimeoutError,
    AsyncCompletion,
    ClientClosedError,
    CompletionError,
    CompletionStream,
    StreamInterruptedError,
    Timeout,
)
from faults.harness import PROMPT, Stage, ask, covers, fails
from support.raw_server import (
    DONE,
    END,
    REQUEST,
    STALL,
    STREAM,
    WHOLE,
    FullListener,
    RawServer,
    Step,
    answer,
    event,
)
from support.resource_leaks import Reader, nothing_left

PAUSED = (REQUEST, STREAM, event("Hel"), event("lo."), STALL)
"""A stream that sends two chunks and then nothing."""


def begin(client: AsyncCompletion) -> CompletionStream:
    return client.stream("openai/m", PROMPT)


async def gone(server: RawServer) -> None:
    """Waits until every client has closed its connections; `nothing_left` bounds how long that may take."""
    while server.open:
        await asyncio.sleep(0.005)


# --- leaving ---------------------------------------------------------------------------------------------------------


@covers("F52")
async def test_break_inside_async_with_closes_the_connection_at_its_end() -> None:
    """A provider would go on generating, and billing, a reply that is not read."""
    async with Stage(PAUSED) as stage:
        async with begin(stage.client) as stream:
            async for _ in stream:
                break
        await gone(stage.server)
        assert (stage.requests, stage.kept) == (1, 0)
        with pytest.raises(StreamInterruptedError) as caught:
            await stream.get_final_completion()
        assert caught.value.partial is not None
        assert caught.value.partial.text.startswith("Hel")


@covers("F52")
async def test_break_without_async_with_closes_the_connection_when_the_stream_is_dropped() -> None:
    """A stream in a variable would be closed while it is read, and a dropped one would stay open."""
    async with Stage(PAUSED, PAUSED) as stage:
        stream = begin(stage.client)
        async for chunk in stream:
            assert chunk.choices[0].delta.content == "Hel"
            break
        await asyncio.sleep(0.02)
        assert stage.server.open == 1
        assert await anext(stream.text) == "lo."
        del stream
        await gone(stage.server)
        async for _ in begin(stage.client):
            break
        await gone(stage.server)
        assert (stage.requests, stage.kept) == (2, 0)


class MyError(Exception):
    """An exception of the caller."""


async def raise_in_async_with(client: AsyncCompletion, mine: MyError) -> None:
    async with begin(client) as stream:
        async for _ in stream:
            raise mine


async def raise_in_a_view(client: AsyncCompletion, mine: MyError) -> None:
    async with begin(client) as stream:
        async for _ in stream.sse():
            raise mine


async def raise_in_a_timeout(client: AsyncCompletion, mine: MyError) -> None:
    async with asyncio.timeout(5), begin(client) as stream:
        async for _ in stream:
            raise mine


async def raise_in_an_anyio_scope(client: AsyncCompletion, mine: MyError) -> None:
    with anyio.fail_after(5):
        async with begin(client) as stream:
            async for _ in stream:
                raise mine


async def raise_in_an_async_generator(client: AsyncCompletion, mine: MyError) -> None:
    async def texts() -> AsyncGenerator[str]:
        async with begin(client) as stream:
            async for text in stream.text:
                yield text

    generator = texts()
    try:
        async for _ in generator:
            raise mine
    finally:
        await generator.aclose()


async def raise_in_a_task_group(client: AsyncCompletion, mine: MyError) -> None:
    async def group_of_two() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(raise_in_async_with(client, mine))
            group.create_task(begin(client).get_final_completion())

    try:
        # In a new task: on Python 3.11 a group leaves a cancellation request on the task it was in.
        await asyncio.create_task(group_of_two())
    except* MyError as caught:
        (only,) = caught.exceptions
        raise only from None


RAISES = (
    raise_in_async_with,
    raise_in_a_view,
    raise_in_a_timeout,
    raise_in_an_anyio_scope,
    raise_in_an_async_generator,
    raise_in_a_task_group,
)


@covers("F53")
@pytest.mark.parametrize("fail", RAISES, ids=lambda way: way.__name__.removeprefix("raise_in_"))
async def test_an_exception_of_the_consumer_is_that_exception(
    fail: Callable[[AsyncCompletion, MyError], Awaitable[None]],
) -> None:
    """A caller's own error would become another, a group, or a cancellation of the caller's task."""
    mine = MyError("mine")
    async with Stage(PAUSED, PAUSED) as stage:
        with pytest.raises(MyError) as caught:
            await fail(stage.client, mine)
        assert caught.value is mine
        await gone(stage.server)
        assert stage.kept == 0
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0


# --- sharing ---------------------------------------------------------------------------------------------------------


@covers("F54")
async def test_a_second_task_that_reads_a_stream_gets_an_error_and_the_first_reads_on() -> None:
    """Each would get half of the text."""
    async with Stage((REQUEST, STREAM, event("Hel"), 0.05, *WHOLE[2:], STALL)) as stage:
        stream = begin(stage.client)
        assert await anext(stream.text) == "Hel"
        first = asyncio.create_task(anext(stream.text))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="two tasks use this stream at the same time"):
            await anext(stream)
        assert await first == "lo."
        assert (await stream.get_final_completion()).text == "Hello."


@covers("F54")
async def test_a_stream_at_its_end_stays_there() -> None:
    """Reading again would send a request, or wait for ever."""
    async with Stage((REQUEST, *WHOLE, STALL)) as stage:
        stream = begin(stage.client)
        assert [text async for text in stream.text] == ["Hel", "lo."]
        assert [chunk async for chunk in stream] == []
        assert (await stream.get_final_completion()).text == "Hello."
        await stream.aclose()
        assert [chunk async for chunk in stream] == []
        assert stage.requests == 1


@covers("F54")
@pytest.mark.parametrize("whole_client", [False, True])
async def test_reading_a_closed_stream_is_an_error(whole_client: bool) -> None:
    """The reply would look complete."""
    async with Stage(PAUSED) as stage:
        stream = begin(stage.client)
        await anext(stream)
        await (stage.client if whole_client else stream).aclose()
        cls = ClientClosedError if whole_client else StreamInterruptedError
        with pytest.raises(cls):
            await stream.get_final_completion()
        with pytest.raises(cls) as caught:
            await anext(stream)
        assert caught.value.partial is not None
        assert caught.value.partial.text.startswith("Hel")


@covers("F55")
@pytest.mark.parametrize("ending", ["read", "closed", "cancelled"])
async def test_a_stream_may_be_opened_read_and_closed_in_three_tasks(ending: str) -> None:
    """Web frameworks do that, and would get errors about scopes and tasks."""
    async with Stage((REQUEST, *WHOLE, STALL) if ending == "read" else PAUSED) as stage:
        stream = await asyncio.create_task(stage.client.create("openai/m", PROMPT, stream=True))
        assert b"Hel" in await asyncio.create_task(anext_of(stream))

        async def send() -> list[bytes]:
            return [data async for data in stream.sse()]

        sender = asyncio.create_task(send())
        if ending == "read":
            assert (await sender)[-1] == b"data: [DONE]\n\n"
        else:
            while len(stream.snapshot.text) < len("Hello."):
                await asyncio.sleep(0)
            if ending == "cancelled":
                sender.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await sender
        await asyncio.create_task(stream.aclose())
        if ending == "closed":
            assert (await sender)[-1].startswith(b'data: {"error"')
        await stage.client.aclose()
        await gone(stage.server)


async def anext_of(stream: CompletionStream) -> bytes:
    return await anext(stream.sse())


# --- closing ---------------------------------------------------------------------------------------------------------

STREAMS, WAITING, CONNECTING, COOLING_DOWN = 200, 40, 150, 20


@covers("F56")
async def test_closing_the_client_ends_all_waits() -> None:
    """A service could not be shut down: its tasks would wait for servers that send nothing."""
    too_many = (REQUEST, answer({"error": {"message": "slow down"}}, 429, {"Retry-After": "30"}), STALL)
    async with (
        RawServer(PAUSED) as paused,
        RawServer((REQUEST, STALL)) as silent,
        FullListener() as full,
        RawServer(too_many) as busy,
    ):
        urls = {
            "openai": paused.url,
            "groq": silent.url,
            "mistral": f"http://127.0.0.1:{full.port}",
            "deepseek": busy.url,
        }
        timeout = Timeout(connect=60)
        async with (
            AsyncCompletion(base_urls=urls, api_keys=dict.fromkeys(urls, "key"), timeout=timeout) as client,
            nothing_left(client, seconds=20, patience=3),
        ):
            readers = [Reader(begin(client)) for _ in range(STREAMS)]
            for reader in readers:
                await reader.has(2)
            counts = {"groq": WAITING, "mistral": CONNECTING, "deepseek": COOLING_DOWN}
            calls = [
                asyncio.create_task(client.create(f"{name}/m", PROMPT))
                for name, count in counts.items()
                for _ in range(count)
            ]
            while len(silent.requests) < WAITING or not busy.requests:
                await asyncio.sleep(0.01)
            await asyncio.gather(client.aclose(), client.aclose())
            ends = [await reader.end(5) for reader in readers]
            ends += await asyncio.gather(*calls, return_exceptions=True)
            assert {type(end) for end in ends} == {ClientClosedError}
            partials = [end.partial for end in ends[:STREAMS] if isinstance(end, CompletionError)]
            assert {partial.text for partial in partials if partial is not None} == {"Hello."}
            await client.aclose()
            assert len(paused.requests) == STREAMS
            for server in (paused, silent, busy):
                await gone(server)


@covers("F57")
async def test_a_closed_client_sends_nothing() -> None:
    """A call after `aclose` would open connections that are never closed."""
    async with Stage((REQUEST, answer(), REQUEST, answer(), STALL)) as stage:
        unsent = begin(stage.client)
        view = stage.client.with_options(max_retries=1)
        assert await ask(stage.client) == "Hello."
        await stage.client.aclose()
        for client in (stage.client, view):
            with pytest.raises(ClientClosedError, match="this client was closed; make calls inside"):
                await client.create("openai/m", PROMPT)
            with pytest.raises(ClientClosedError, match="this client was closed"):
                client.stream("openai/m", PROMPT)
        with pytest.raises(ClientClosedError, match="client was closed"):
            await anext(unsent)
        assert stage.requests == 1


@covers("F57")
async def test_use_from_another_loop_or_thread_is_refused() -> None:
    """Bytes would be written from two threads, or a call wait for another event loop."""
    script = (REQUEST, *WHOLE, REQUEST, STREAM, event("Hel"), 0.05, *WHOLE[2:], STALL)
    async with Stage(script) as stage:
        assert await ask(stage.client, "stream") == "Hello."
        stream, unsent = begin(stage.client), begin(stage.client)
        await anext(stream)

        async def elsewhere() -> list[str]:
            messages: list[str] = []
            for use in (
                lambda: stage.client.create("openai/m", PROMPT),
                lambda: stage.client.create("openai/m", PROMPT, stream=True),
                lambda: anext(stream),
                stream.get_final_completion,
                lambda: anext(unsent),
                unsent.open,
            ):
                with pytest.raises(ClientClosedError, match="belongs to another event loop") as caught:
                    await asyncio.wait_for(use(), 5)
                messages.append(str(caught.value))
            return messages

        messages = await asyncio.to_thread(lambda: asyncio.run(elsewhere()))
        assert all("make one AsyncCompletion per loop" in each or "read it in the loop" in each for each in messages)
        assert (await stream.get_final_completion()).text == "Hello."
        assert stage.requests == 2


# --- other processes -------------------------------------------------------------------------------------------------

HEAD = """
import asyncio, os, sys
from anycompletion import AsyncCompletion, ClientClosedError
from support.raw_server import DONE, END, REQUEST, STALL, STREAM, RawServer, answer, event

PARTS = (STREAM, event("Hel"), 0.1, event("lo."), event(finish_reason="stop"), DONE + END)

def client_to(server):
    return AsyncCompletion(base_urls={"openai": server.url}, api_keys={"openai": "key"}, max_retries=0)

def run(coroutine):
    factory = asyncio.SelectorEventLoop
    if sys.argv[1] == "uvloop":
        from uvloop import new_event_loop as factory
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(coroutine)
"""
TESTS = Path(__file__).parents[1]


def in_another_process(script: str, *arguments: str) -> str:
    """The output of the script on stderr; it must succeed and print "well"."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", HEAD + script, *arguments],
        capture_output=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])},
    )
    stderr = done.stderr.decode()
    assert (done.returncode, done.stdout) == (0, b"well\n"), stderr
    return stderr


FORKED = """
async def main():
    async with RawServer((REQUEST, answer(), REQUEST, answer(), STALL), (REQUEST, *PARTS, STALL)) as server:
        async with client_to(server) as client:
            streams = []
            async def begin():
                streams.append(client.stream("openai/m", "Hi."))
                return await anext(streams[0].text)
            # The kept connection is in use meanwhile, so that the stream gets one of its own.
            first, text = await asyncio.gather(client.create("openai/m", "Hi."), begin())
            assert (first.text, text) == ("Hello.", "Hel")
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    in_the_child(client, streams[0])
                    del client, streams
                    status = 0
                finally:
                    os._exit(status)
            _, status = await asyncio.to_thread(os.waitpid, pid, 0)
            assert status == 0, status
            assert (await streams[0].get_final_completion()).text == "Hello."
            assert (await client.create("openai/m", "Hi.")).text == "Hello."
            assert len(server.requests) == 3, server.requests

def in_the_child(client, stream):
    async def use():
        for asked, why in ((lambda: client.create("openai/m", "Hi."), "this process was forked; make a new"),
                           (lambda: anext(stream), "another event loop")):
            try:
                await asyncio.wait_for(asked(), 5)
            except ClientClosedError as error:
                assert why in str(error), error
            else:
                raise AssertionError("the child used its parent's connection")
        await asyncio.wait_for(stream.aclose(), 5)
        await asyncio.wait_for(client.aclose(), 5)
    asyncio.run(use())

run(main())
print("well")
"""


@covers("F58")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
async def test_a_forked_child_is_refused_and_its_parent_can_go_on(loop_name: str) -> None:
    """A worker process would write into its parent's connections, or close them."""
    await asyncio.to_thread(in_another_process, FORKED, loop_name)


NOT_CLOSED = """
async def main(way):
    async with RawServer((REQUEST, answer(), *(() if way == "idle" else (REQUEST, *PARTS)), STALL)) as server:
        client = client_to(server)
        await client.create("openai/m", "Hi.")
        stream = None
        if way != "idle":
            stream = client.stream("openai/m", "Hi.")
            await anext(stream)
        if way == "dropped":
            del client, stream
            return None
        return client, stream

kept = run(main(sys.argv[2]))
print("well")
"""


@covers("F59")
@pytest.mark.parametrize("way", ["idle", "streaming", "dropped"])
async def test_a_client_that_was_never_closed_warns_once(loop_name: str, way: str) -> None:
    """A short script would end in a traceback about a closed event loop."""
    stderr = await asyncio.to_thread(in_another_process, NOT_CLOSED, loop_name, way)
    assert stderr.count("ResourceWarning: an AsyncCompletion was not closed") == 1
    assert "loop is closed" not in stderr
    assert "CompletionStream" not in stderr
    tracebacks = [line for line in stderr.splitlines() if line and not line.startswith((" ", "Traceback"))]
    assert [line for line in tracebacks if "Exception ignored" not in line and "ResourceWarning" not in line] == []


# --- clocks ----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def jumping(monkeypatch: pytest.MonkeyPatch, seconds: float) -> AsyncGenerator[None]:
    """Makes the wall clock jump back and forth; the loop's own clock does not."""
    true_time = time.time
    sign = 1.0

    async def jump() -> None:
        nonlocal sign
        while True:
            sign = -sign
            await asyncio.sleep(0.01)

    task = asyncio.create_task(jump())
    monkeypatch.setattr(time, "time", lambda: true_time() + sign * seconds)
    try:
        yield
    finally:
        monkeypatch.undo()
        task.cancel()
        await asyncio.wait([task])


@covers("F61")
@pytest.mark.parametrize("seconds", [3600.0, 10.0**8])
async def test_jumps_of_the_wall_clock_do_not_change_timeouts(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """A corrected system time would end every call in progress, or none ever."""
    drip = [step for text in "Hello." for step in (event(text), 0.02)]
    healthy: tuple[Step, ...] = (REQUEST, STREAM, *drip, event(finish_reason="stop"), DONE + END, REQUEST)
    async with Stage((*healthy, STREAM, event("Hel"), STALL), timeout=Timeout(total=5, idle=0.2)) as stage:
        async with jumping(monkeypatch, seconds):
            assert await ask(stage.client, "stream") == "Hello."
            error = await fails(ask(stage.client, "stream"), APITimeoutError, phase="idle", status_code=200)
        assert error.elapsed is not None
        assert error.elapsed < 5


@covers("F61")
@pytest.mark.parametrize("ahead", [-3600.0, 3600.0])
async def test_a_retry_after_date_is_relative_to_the_servers_clock(ahead: float) -> None:
    """A client whose clock is wrong would retry at once, or wait for an hour."""
    now = time.time() + ahead
    headers = {"Date": formatdate(now, usegmt=True), "Retry-After": formatdate(now + 1, usegmt=True)}
    refused = answer({"error": {"message": "slow down"}}, 429, headers)
    async with Stage((REQUEST, refused, REQUEST, answer(), STALL), max_retries=1) as stage:
        reply = await stage.client.create("openai/m", PROMPT)
        assert (reply.text, reply.info.attempts, stage.requests) == ("Hello.", 2, 2)
        assert 1.0 <= reply.info.elapsed < 5


# --- several providers -----------------------------------------------------------------------------------------------

HEALTHY = ("groq", "mistral", "deepseek", "together")


@covers("F62")
async def test_a_provider_that_hangs_does_not_block_the_others() -> None:
    """One provider's outage would become an outage of all."""
    async with (
        RawServer((REQUEST, STALL)) as silent,
        FullListener() as full,
        RawServer((*(REQUEST, answer()) * 50, STALL)) as well,
    ):
        hung = {"openai": silent.url, "xai": f"http://127.0.0.1:{full.port}"}
        urls: Mapping[str, str] = {**hung, **dict.fromkeys(HEALTHY, well.url)}
        async with (
            AsyncCompletion(base_urls=urls, api_keys=dict.fromkeys(urls, "key"), timeout=Timeout(connect=60)) as client,
            nothing_left(client, seconds=20, patience=3),
        ):
            stuck = [asyncio.create_task(client.create(f"{name}/m", PROMPT)) for name in hung for _ in range(150)]
            while len(silent.requests) < 150:
                await asyncio.sleep(0.01)
            async with asyncio.timeout(5):
                for _ in range(3):
                    replies = await asyncio.gather(*(client.create(f"{name}/m", PROMPT) for name in HEALTHY * 5))
                    assert {reply.text for reply in replies} == {"Hello."}
            assert not any(task.done() for task in stuck)
            for task in stuck:
                task.cancel()
            await asyncio.wait(stuck)
            assert all(task.cancelled() for task in stuck)
