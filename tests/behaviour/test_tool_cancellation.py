"""Tests of tool runs that end early, and are resumed: cancelled at every suspension point, closed, dropped, killed."""

import asyncio
import contextlib
import gc
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from anycompletion import AsyncCompletion, ClientClosedError, InternalServerError, Message
from anycompletion.client.client import client_state
from anycompletion.tools import CallStarted, PendingCall, ToolContext, ToolRun, running_call, tool
from faults.harness import LOOPS, client_to
from support.cancel_points import MAX_ITERATIONS, Act, Run, at_every_point, cancel, cancel_twice
from support.resource_leaks import nothing_left, pools
from support.tool_model import ToolModel

TURNS = (
    [("a", "look", {"text": "A"}), ("b", "count", {"text": "BB"}), ("c", "delete", {"text": "C"})],
    [("d", "look", {"text": "D"}), ("e", "look", {"text": "E"})],
)
ANSWER = "seen A|2|deleted C|seen D|seen E"
ROLES = ["user", "assistant", "tool", "tool", "tool", "assistant", "tool", "tool", "assistant"]

Runs = Callable[[Any], None]
Read = Callable[[ToolRun[None]], Awaitable[object]]


@pytest.fixture(params=LOOPS)
def runs(request: pytest.FixtureRequest) -> Iterator[Runs]:
    """Runs a coroutine on an event loop of each kind."""
    with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
        yield runner.run


class Tools:
    """Tools that record what they do."""

    def __init__(self) -> None:
        self.running: list[str] = []
        self.begun: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.approved: list[str] = []

    @property
    def all(self) -> list[Any]:
        return [tool(self.look), tool(self.count), tool(needs_approval=True)(self.delete)]

    async def look(self, text: str, context: ToolContext[None]) -> str:
        """Look."""
        async with self._running(context.call.id):
            return f"seen {text}"

    async def delete(self, text: str, context: ToolContext[None]) -> str:
        """Delete."""
        async with self._running(context.call.id):
            return f"deleted {text}"

    def count(self, text: str, context: ToolContext[None]) -> int:
        """Count in a thread."""
        self.begun[context.call.id] += 1
        return len(text)

    async def approve(self, pending: PendingCall) -> bool:
        await asyncio.sleep(0)
        self.approved.append(pending.id)
        return True

    @asynccontextmanager
    async def _running(self, call_id: str) -> AsyncIterator[None]:
        self.begun[call_id] += 1
        self.running.append(call_id)
        try:
            await asyncio.sleep(0)
            await asyncio.sleep(0.0001)
            yield
            self.ended[call_id] += 1
        finally:
            self.running.remove(call_id)


async def awaited(run: ToolRun[None]) -> object:
    return (await run).status


async def by_turns(run: ToolRun[None]) -> object:
    async for _ in run:
        await asyncio.sleep(0)
    return run.status


async def by_events(run: ToolRun[None]) -> object:
    async with run:
        async for _ in run.events():
            await asyncio.sleep(0)
    return run.status


async def by_text(run: ToolRun[None]) -> object:
    async with run:
        async for _ in run.text:
            pass
    return run.status


READS: Sequence[Read] = (awaited, by_turns, by_events, by_text)
IDS = [read.__name__ for read in READS]
ACTS: dict[str, tuple[Act, bool]] = {"early": (cancel, False), "late": (cancel, True), "twice": (cancel_twice, False)}
"""A cancellation as a wait begins, one as it ends, and two in a row."""


def stored(messages: Sequence[Message]) -> Any:
    """Messages as a program that stores them reads them again."""
    return json.loads(json.dumps([each.to_dict() for each in messages]))


def results(messages: Sequence[dict[str, Any]]) -> set[str]:
    """Ids of the calls that have results."""
    return {each["tool_call_id"] for each in messages if each["role"] == "tool"}


@asynccontextmanager
async def stage(*turns: Any, **options: Any) -> AsyncIterator[tuple[AsyncCompletion, ToolModel]]:
    async with (
        ToolModel(*(turns or TURNS)) as model,
        client_to(model.url, **options) as client,
        nothing_left(client, seconds=60),
    ):
        yield client, model
        assert not model.problems


def start(client: AsyncCompletion, tools: Tools, messages: Any = "Look!", **options: Any) -> ToolRun[None]:
    return client.run_tools("openai/m", messages, tools.all, approve=tools.approve, **options)


async def idle(client: AsyncCompletion) -> None:
    """Waits a few iterations of the loop until nothing is in flight."""
    # A response that was read to its end may still wait for the end of its body.
    for iteration in range(MAX_ITERATIONS * 2):
        if not any(pool.in_flight for pool in pools(client)) and not client_state(client).tasks:
            return
        await asyncio.sleep(0 if iteration < MAX_ITERATIONS else 0.001)
    raise AssertionError("a request or a task is left")


async def resumed(client: AsyncCompletion, tools: Tools, messages: Any, read: Read, where: object) -> None:
    """Resumes a run from stored messages: it has to end as one that was never interrupted, without repeating a tool."""
    there = results(messages)
    lost = [call_id for call_id in tools.ended if call_id not in there]
    assert not lost, f"{where}: the results of {lost} are lost"
    if messages == await whole(client):
        return  # the answer was there, and was not read
    before = tools.begun.copy()
    run = start(client, tools, messages)
    assert await read(run) == "finished"
    again = [call_id for call_id, count in tools.begun.items() if call_id in there and count > before[call_id]]
    assert not again, f"{where}: {again} ran again"
    assert stored(run.messages) == await whole(client), where


async def whole(client: AsyncCompletion) -> Any:
    """The messages of a run that nothing interrupts."""
    found: Any = EXPECTED.get(client)
    if found is None:
        run = start(client, Tools())
        await run
        found = EXPECTED[client] = stored(run.messages)
        assert [each["role"] for each in found] == ROLES
        assert found[-1]["content"] == ANSWER
    return found


EXPECTED: dict[AsyncCompletion, Any] = {}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("read", READS, ids=IDS)
def test_a_run_can_be_cancelled_anywhere_and_resumed(runs: Runs, read: Read, act: str) -> None:
    """A tool would go on after its run, run twice when it is resumed, or the conversation would no longer be valid."""

    async def play() -> None:
        async with stage() as (client, _):
            tools = run = None
            await whole(client)

            async def use() -> None:
                nonlocal tools, run
                tools = Tools()
                run = start(client, tools)
                await read(run)

            async def check(point: Run) -> None:
                assert tools is not None
                assert run is not None
                assert point.task.cancelled(), f"{point}: {point.task!r}"
                assert point.iterations <= MAX_ITERATIONS, f"{point}: it went on for {point.iterations} iterations"
                assert not tools.running or act == "twice", f"{point}: {tools.running} go on"
                await idle(client)
                assert not tools.running, f"{point}: {tools.running} go on"
                messages = stored(run.messages)
                assert [each["role"] for each in messages] == ROLES[: len(messages)] or messages[-1]["role"] == "tool"
                await resumed(client, tools, messages, read, point)

            interfere, late = ACTS[act]
            points = await at_every_point(use, check, interfere, late=late)
            assert points > 15, "it did not wait where it should"
            EXPECTED.clear()

    runs(play())


# --- other ends -----------------------------------------------------------------------------------------------------


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


class Endless(Tools):
    """Tools of which those in the loop run until they are cancelled."""

    async def look(self, text: str, context: ToolContext[None]) -> str:
        """Look."""
        async with self._running(context.call.id):
            await asyncio.sleep(1000)
        return text


async def leave(run: ToolRun[None]) -> None:
    async with run:
        async for event in run.events():
            if isinstance(event, CallStarted):
                return


async def close(run: ToolRun[None]) -> None:
    async for event in run.events():
        if isinstance(event, CallStarted):
            break
    await run.aclose()


async def cancel_reader(run: ToolRun[None]) -> None:
    async def read() -> None:
        async for _ in run.events():
            pass

    task = asyncio.create_task(read())
    await until(lambda: len(run.messages) > 2)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


@pytest.mark.parametrize("end", [leave, close, cancel_reader], ids=["left", "closed", "cancelled"])
async def test_a_run_that_is_left_cancels_its_tools_and_can_be_resumed(end: Read) -> None:
    """Tools would go on after the web request for which they ran."""
    async with stage() as (client, _):
        tools = Endless()
        run = start(client, tools)
        await end(run)
        assert not tools.running
        assert run.status is None
        await resumed(client, Tools(), stored(run.messages), awaited, "left")
        with pytest.raises(ClientClosedError):
            await run


async def test_a_run_that_is_dropped_cancels_its_tools() -> None:
    """Tools would go on for ever where a program forgets a run."""
    async with stage() as (client, _):
        tools = Endless()
        run = start(client, tools)
        async for event in run.events():
            if isinstance(event, CallStarted):
                break
        await until(lambda: tools.running)
        messages = run.messages
        del run
        gc.collect()
        await until(lambda: not tools.running)
        await resumed(client, Tools(), stored(messages), awaited, "dropped")


@pytest.mark.parametrize("read", READS, ids=IDS)
async def test_closing_the_client_cancels_the_tools_of_its_runs(read: Read) -> None:
    """Tools would go on with a client that is closed, and the program would hang at its end."""
    async with ToolModel(*TURNS) as model:
        client = client_to(model.url)
        tools = Endless()
        run = start(client, tools)
        reading = asyncio.create_task(read(run))
        await until(lambda: tools.running)
        await client.aclose()
        assert not tools.running
        with pytest.raises(ClientClosedError):
            await reading
        async with client_to(model.url) as other:
            await resumed(other, Tools(), stored(run.messages), awaited, "client closed")


@pytest.mark.parametrize("what", ["run", "client"])
async def test_a_tool_can_close_what_it_runs_for(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool "good bye" would wait for its own end, until it is left behind."""
    monkeypatch.setattr(running_call, "GRACE", 1000)

    async def leave_all() -> None:
        """Say good bye."""
        await (run if what == "run" else client).aclose()
        await asyncio.sleep(1000)

    async with ToolModel([("a", "leave_all", {}), ("b", "look", {"text": "B"})]) as model:
        client = client_to(model.url)
        tools = Endless()
        run = client.run_tools("openai/m", "Look!", [leave_all, tools.look])
        async with asyncio.timeout(5):
            with pytest.raises(ClientClosedError):
                await run
            await client.aclose()
        assert not tools.running
        assert [each.role for each in run.messages] == ["user", "assistant"]


async def test_a_tool_that_ignores_its_cancellation_is_left_after_a_while(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A program could not be ended because of one tool."""
    monkeypatch.setattr(running_call, "GRACE", 0.01)
    begun, release = asyncio.Event(), asyncio.Event()

    async def stubborn(text: str) -> str:
        """Never end."""
        begun.set()
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await release.wait()
        return text

    async with stage([("a", "stubborn", {"text": "A"})]) as (client, _):
        run = client.run_tools("openai/m", "Look!", [stubborn])
        async for event in run.events():
            if isinstance(event, CallStarted):
                break
        await begun.wait()
        await run.aclose()
        assert [record.getMessage() for record in caplog.records if "stubborn" in record.getMessage()]
        assert [each.role for each in run.messages] == ["user", "assistant"]
        release.set()
        await asyncio.sleep(0)
        assert [each.role for each in run.messages] == ["user", "assistant"], "a result came after the run was closed"


async def test_an_error_of_the_provider_leaves_a_conversation_that_can_be_resumed() -> None:
    """The work of ten turns would be lost with one bad gateway."""
    async with stage() as (client, model):
        tools = Tools()
        model.failures = [200, 500]
        run = start(client, tools)
        with pytest.raises(InternalServerError):
            await run
        messages = stored(run.messages)
        assert [each["role"] for each in messages] == ROLES[:5]
        await resumed(client, tools, messages, awaited, "error")


# --- killed ---------------------------------------------------------------------------------------------------------

PROGRAM = """
import asyncio, json, os, signal, sys
from pathlib import Path
from anycompletion import AsyncCompletion, FunctionCall, ToolCall
from anycompletion.testing import FakeProvider
from anycompletion.tools import CallFinished, tool

folder = Path(sys.argv[1])
calls = [[("a", "look"), ("b", "count"), ("c", "look")], [("d", "count"), ("e", "look")]]

def model(request):
    turn = sum(message.role == "assistant" for message in request.messages)
    if turn == len(calls):
        return "|".join(message.content for message in request.messages if message.role == "tool")
    return [ToolCall(call_id, FunctionCall(name, json.dumps({"text": call_id}))) for call_id, name in calls[turn]]

@tool
async def look(text: str) -> str:
    "Look."
    await asyncio.sleep(0)
    return f"seen {text}"

@tool
def count(text: str) -> str:
    "Count."
    return f"counted {text}"

async def run_and_save(store, last_event):
    events = 0

    def save(event):
        nonlocal events
        events += 1
        store.write_text(json.dumps([message.to_dict() for message in run.messages]))
        if isinstance(event, CallFinished):
            with store.with_suffix(".log").open("a") as log:
                log.write(event.call.id)
        if events == last_event:
            os.kill(os.getpid(), signal.SIGKILL)

    async with AsyncCompletion(providers=[FakeProvider(model)]) as client:
        messages = json.loads(store.read_text()) if store.exists() else "Look!"
        run = client.run_tools("openai/gpt-4o", messages, [look, count], on_event=save)
        await run

def in_child(*arguments):
    child = os.fork()  # while there is no event loop
    if not child:
        asyncio.run(run_and_save(*arguments))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

asyncio.run(run_and_save(folder / "0.json", None))
whole = (folder / "0.json").read_text()
point = 1
while in_child(store := folder / f"{point}.json", point) == -signal.SIGKILL:
    if store.read_text() != whole:
        assert in_child(store, None) == 0, point
    point += 1
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the program forks")
def test_a_run_that_is_killed_at_any_event_ends_as_one_that_is_not(tmp_path: Path) -> None:
    """A program that is killed and resumed would run a tool twice, or come to another end."""
    subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], check=True, timeout=60)
    ends = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("*.json")}
    logs = {path.stem: path.read_text() for path in tmp_path.glob("*.log")}
    assert len(ends) > 12
    assert [each["role"] for each in ends["0"]] == ROLES
    for point, end in ends.items():
        assert end == ends["0"], f"killed at event {point}"
        assert sorted(logs[point]) == ["a", "b", "c", "d", "e"], f"killed at event {point}"
