"""Tests of tool runs that are left, closed, dropped or cancelled: what goes on ends, and the messages stay valid."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from anycompletion import AsyncCompletion, ClientClosedError, ToolMessage
from anycompletion.client.client import client_state
from anycompletion.testing import FakeProvider, tool_call
from anycompletion.tools import CallStarted, TextDelta, ToolRun

MODEL = "openai/gpt-4o"


class ToolClient:
    """A client, and a tool that never ends by itself."""

    def __init__(self, *replies: Any, latency: float = 0.0) -> None:
        calls = [tool_call("cook"), tool_call("look")]
        self.fake = FakeProvider(*(replies or (calls, "Done")), latency=latency)
        self.client = AsyncCompletion(providers=[self.fake])
        self.cooking = asyncio.Event()
        self.ends: list[str] = []

    async def cook(self) -> None:
        """Cook."""
        self.cooking.set()
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            self.ends.append("cancelled")
            raise

    async def look(self) -> str:
        """Look."""
        return "good"

    def run(self, **params: Any) -> ToolRun[None]:
        return self.client.run_tools(MODEL, "Go", [self.cook, self.look], **params)

    async def __aenter__(self) -> ToolClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()
        for _ in range(3):
            await asyncio.sleep(0)
        assert {task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("tool ")} == set()
        assert not client_state(self.client).tasks


def roles(run: ToolRun[Any]) -> str:
    return "".join(message.role[0] for message in run.messages)


async def read_events(run: ToolRun[None]) -> None:
    async for _ in run.events():
        pass


async def read_turns(run: ToolRun[None]) -> None:
    async for _ in run:
        pass


async def read_text(run: ToolRun[None]) -> None:
    async for _ in run.text:
        pass


async def wait(run: ToolRun[None]) -> None:
    await run


READERS = pytest.mark.parametrize("read", [wait, read_turns, read_events, read_text])


@READERS
async def test_cancelling_the_reader_cancels_the_tools(read: Callable[[ToolRun[None]], Awaitable[None]]) -> None:
    """Tools would go on for a caller who is gone, or their results be lost."""
    async with ToolClient() as tools:
        run = tools.run()
        task = asyncio.ensure_future(read(run))
        await tools.cooking.wait()
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert tools.ends == ["cancelled"]
        assert roles(run) == "uat", "the result of the tool that has ended"
        result = run.messages[-1]
        assert isinstance(result, ToolMessage)
        assert result.content == "good"
        with pytest.raises(ClientClosedError, match="was cancelled"):
            await run
        assert run.status is None


@READERS
async def test_closing_ends_what_another_task_reads(read: Callable[[ToolRun[None]], Awaitable[None]]) -> None:
    """A service that shuts down would wait for tools and replies, or the reader be cancelled itself."""
    async with ToolClient() as tools:
        run = tools.run()
        task = asyncio.ensure_future(read(run))
        await tools.cooking.wait()
        await run.aclose()
        assert tools.ends == ["cancelled"]
        with pytest.raises(ClientClosedError, match="was closed"):
            await task
        assert task.cancelling() == 0
        with pytest.raises(ClientClosedError, match="was closed"):
            await run


@READERS
async def test_closing_ends_the_request(read: Callable[[ToolRun[None]], Awaitable[None]]) -> None:
    """A request would go on, and be paid for, although its reply is not wanted."""
    async with ToolClient("late", latency=600) as tools:
        run = tools.run()
        task = asyncio.ensure_future(read(run))
        while not tools.fake.requests:
            await asyncio.sleep(0.001)
        await run.aclose()
        with pytest.raises(ClientClosedError, match="was closed"):
            await task
        assert roles(run) == "u"


async def test_leaving_the_context_ends_the_run() -> None:
    """A reader who has seen enough would leave a stream open and tools running."""
    async with ToolClient() as tools:
        async with tools.run() as run:
            async for event in run.events():
                if isinstance(event, CallStarted):
                    await tools.cooking.wait()
                    break
        assert tools.ends == ["cancelled"]
        assert roles(run) == "uat"
        with pytest.raises(ClientClosedError):
            await run


async def test_leaving_the_context_closes_the_stream() -> None:
    """The connection of a stream that is not read would stay open until it is collected."""
    async with ToolClient(" ".join(["word"] * 5000)) as tools:
        async with tools.run() as run:
            async for event in run.events():
                assert isinstance(event, TextDelta)
                break
        assert tools.client.stats().providers["openai"].in_flight == 0
        assert roles(run) == "u"


async def test_dropping_a_run_ends_its_tools() -> None:
    """A run that is forgotten would go on until its tools end by themselves."""
    async with ToolClient() as tools:
        run = tools.run()
        events = run.events()
        assert isinstance(await anext(events), CallStarted)
        await tools.cooking.wait()
        del run, events
        gc.collect()
        for _ in range(5):
            await asyncio.sleep(0)
        assert tools.ends == ["cancelled"]


async def test_closing_a_finished_run_changes_nothing() -> None:
    """The outcome would be lost where a run is used as a context manager."""
    async with ToolClient("Hi") as tools:
        async with tools.run() as run:
            outcome = await run
        assert (await run) is outcome
        assert run.status == "finished"


async def test_closing_a_run_that_was_never_read_sends_nothing() -> None:
    """A run that is given up before its start could be read later."""
    async with ToolClient("Hi") as tools:
        async with tools.run() as run:
            pass
        with pytest.raises(ClientClosedError, match="was closed"):
            await run
        assert tools.fake.requests == []


async def test_a_tool_that_does_not_end_is_left(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """A caller who cancels would wait as long as a tool wants that ignores it."""
    monkeypatch.setattr("anycompletion.tools.running_call.GRACE", 0.01)
    entered, released = asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        """Go on."""
        entered.set()
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue

    async with AsyncCompletion(providers=[FakeProvider(tool_call("stubborn"), "Done")]) as client:
        task = asyncio.ensure_future(wait(client.run_tools(MODEL, "Go", [stubborn])))
        await entered.wait()
        with caplog.at_level(logging.WARNING):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert any("did not end" in record.getMessage() for record in caplog.records)
        released.set()
        await asyncio.sleep(0)


async def test_a_closed_client_ends_its_runs() -> None:
    """A run would go on to send with a client that is closed."""
    tools = ToolClient([tool_call("look")], "never")
    run = tools.run()
    turns = aiter(run)
    assert (await anext(turns)).outcomes[0].content == "good"
    await tools.client.aclose()
    with pytest.raises(ClientClosedError):
        await anext(turns)
    assert roles(run) == "uat"


async def test_a_timeout_around_a_read_leaves_valid_messages() -> None:
    """A caller that gives an event a limited time would have a conversation that no provider takes."""
    async with ToolClient() as tools:
        run = tools.run()

        async def expire(limit: asyncio.Timeout) -> None:
            await tools.cooking.wait()
            await asyncio.sleep(0.01)
            limit.reschedule(asyncio.get_running_loop().time())

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(None) as limit:
                expiring = asyncio.ensure_future(expire(limit))
                await run
        await expiring
        assert (tools.ends, roles(run)) == (["cancelled"], "uat")


async def test_a_reader_that_python_drops_ends_its_run() -> None:
    """A reader that is dropped while tools run would be reported as one that ignores its end."""
    async with ToolClient() as tools:
        run = tools.run()
        reader = run.__await__()
        for _ in range(500):  # the steps of the event loop
            waits_for = reader.send(None)
            if tools.cooking.is_set():
                break
            while waits_for is not None and not waits_for.done():
                await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert tools.cooking.is_set()
        reader.close()
        with pytest.raises(ClientClosedError, match="was closed"):
            await run
        del reader
        await run.aclose()
        assert tools.ends == ["cancelled"]


@pytest.mark.parametrize("is_eager", [False, True], ids=["stepped", "eager"])
async def test_an_observer_can_close_its_run(is_eager: bool) -> None:
    """The tool would run although its run is closed, or its reader would get a cancellation that is not its own."""
    eager_task_factory: Any = getattr(asyncio, "eager_task_factory", None)
    if is_eager and eager_task_factory is None:
        pytest.skip("eager tasks need Python 3.12 or newer")
    if is_eager:
        asyncio.get_running_loop().set_task_factory(eager_task_factory)
    looked: list[int] = []

    async def look(at: int) -> int:
        looked.append(at)
        return at

    closing: list[Any] = []

    def close(event: object) -> None:
        if isinstance(event, CallStarted):
            coroutine = run.aclose()
            if is_eager:
                closing.append(asyncio.create_task(coroutine))
            else:  # what an eager task does first
                with contextlib.suppress(StopIteration):
                    coroutine.send(None)
                closing.append(coroutine)

    fake = FakeProvider([tool_call("look", at=1), tool_call("look", at=2)], "Done")
    async with AsyncCompletion(providers=[fake]) as client:
        run = client.run_tools(MODEL, "Look!", [look], on_event=close)
        with pytest.raises(ClientClosedError):
            await run
        await asyncio.sleep(0)  # a cancellation that is left would come here
    assert (len(closing), looked, roles(run)) == (1, [], "ua")
