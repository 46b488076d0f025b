"""Tests of equal calls at the same time: one request is sent, and each waiting call keeps its own life."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from anycompletion import (
    APIConnectionError,
    APITimeoutError,
    AsyncCompletion,
    AuthenticationError,
    BadRequestError,
    CallNext,
    CallOptions,
    ChatCompletion,
    ChatCompletionMessage,
    ChatRequest,
    Choice,
    CompletionError,
    Reply,
    Usage,
)
from anycompletion.caching import CacheMiddleware, CacheStore, MemoryStore, SQLiteStore, cached
from anycompletion.routing import Route
from anycompletion.testing import FakeProvider
from support import virtual_clock

MODEL = "openai/gpt-4o"


def reply_of(text: str = "reply", **members: Any) -> ChatCompletion:
    """A reply with counts."""
    choice = Choice(0, ChatCompletionMessage(text, **members), "stop")
    return ChatCompletion("id", [choice], "gpt-4o", 1, usage=Usage(1, 2, 3, cost=0.5))


class Gate:
    """Middleware in place of the provider: its calls wait until they are released."""

    def __init__(self, answer: Callable[[], ChatCompletion] = reply_of) -> None:
        self.calls = 0
        self.answer = answer
        self.error: CompletionError | None = None
        self.opened = asyncio.Event()
        self.waits = 0
        """Suspension points of a call."""

    async def __call__(self, request: ChatRequest, options: CallOptions, call_next: CallNext) -> Reply:
        self.calls += 1
        for _ in range(self.waits):
            await asyncio.sleep(0)
        await self.opened.wait()
        if self.error is not None:
            raise self.error
        return self.answer()


def client_of(gate: Gate, cache: CacheMiddleware | None = None) -> AsyncCompletion:
    """A client with a cache around the gate."""
    middleware = [cache or cached(MemoryStore()), gate]
    return AsyncCompletion(providers=[FakeProvider()], middleware=middleware, routes={"route": Route([MODEL])})


async def settle() -> None:
    """Lets all tasks go on until they wait."""
    for _ in range(30):
        await asyncio.sleep(0)


async def test_a_thousand_equal_calls_are_one_request() -> None:
    """A burst of equal calls would be paid for a thousand times."""
    gate = Gate()
    async with client_of(gate) as client:
        tasks = [asyncio.create_task(client.create(MODEL, "Hi")) for _ in range(1000)]
        await settle()
        gate.opened.set()
        replies = await asyncio.gather(*tasks)
    assert gate.calls == 1
    assert sum(reply.info.cached for reply in replies) == 999
    assert {reply.info.cache_age for reply in replies if reply.info.cached} == {0.0}
    assert {reply.info.attempts for reply in replies if reply.info.cached} == {0}
    assert sum(reply.usage.cost or 0 for reply in replies if reply.usage) == 0.5
    replies[0].choices[0].message.content = replies[1].choices[0].message.content = "edited"
    assert {reply.text for reply in replies[2:]} == {"reply"}


@pytest.mark.parametrize("store", [MemoryStore, SQLiteStore])
async def test_calls_that_wait_for_a_store_are_one_request(store: Any, tmp_path: Any) -> None:
    """Calls that look into a slow store at the same time would all find nothing and ask."""
    made: CacheStore = store() if store is MemoryStore else store(tmp_path / "replies")
    gate = Gate()
    gate.opened.set()
    async with client_of(gate, cached(made)) as client:
        replies = await asyncio.gather(*[client.create(MODEL, "Hi") for _ in range(50)])
        again = await asyncio.gather(*[client.create(MODEL, "Hi") for _ in range(50)])
    await made.aclose()
    assert gate.calls == 1
    assert all(reply.info.cached for reply in again)
    assert len({reply.info.cache_key for reply in (*replies, *again)}) == 1


async def test_without_single_flight_each_call_asks() -> None:
    """A user could not switch the waiting off."""
    gate = Gate()
    gate.opened.set()
    gate.waits = 3
    async with client_of(gate, cached(MemoryStore(), single_flight=False)) as client:
        await asyncio.gather(*[client.create(MODEL, "Hi") for _ in range(5)])
    assert gate.calls == 5


@pytest.mark.parametrize("mode", ["skip", "refresh"])
async def test_calls_that_want_a_new_reply_do_not_wait(mode: Any) -> None:
    """A call that wants a new reply would get another call's."""
    gate = Gate()
    async with client_of(gate) as client:
        tasks = [asyncio.create_task(client.create(MODEL, "Hi"))]
        tasks += [asyncio.create_task(client.create(MODEL, "Hi", cache=mode)) for _ in range(2)]
        await settle()
        assert gate.calls == 3
        gate.opened.set()
        assert [reply.info.cached for reply in await asyncio.gather(*tasks)] == [False] * 3


async def test_an_error_of_the_provider_goes_to_all_who_wait_and_to_no_later_call() -> None:
    """Each waiting call would send the request that was just refused, or the error would last."""
    gate = Gate()
    gate.error = BadRequestError("no", status_code=400)
    async with client_of(gate) as client:
        tasks = [asyncio.create_task(client.create(MODEL, "Hi")) for _ in range(5)]
        await settle()
        gate.opened.set()
        errors = await asyncio.gather(*tasks, return_exceptions=True)
        assert gate.calls == 1
        assert all(isinstance(error, BadRequestError) and error.status_code == 400 for error in errors)
        assert len({id(error) for error in errors}) == 5
        gate.error = None
        assert (await client.create(MODEL, "Hi")).text == "reply"


class UserError(Exception):
    """An error of the app's own code."""


@pytest.mark.parametrize(
    "error",
    [APITimeoutError("over", phase="total"), AuthenticationError("no"), APIConnectionError("no"), UserError()],
    ids=lambda error: type(error).__name__,
)
async def test_what_concerns_one_call_alone_stays_with_it(error: Any) -> None:
    """The end of one call's own time, or the error of an app's own code, would fail all others."""
    gate = Gate()
    gate.error = error
    is_of_provider = isinstance(error, (AuthenticationError, APIConnectionError)) and error.phase != "total"
    async with client_of(gate) as client:
        tasks = [asyncio.create_task(client.create(MODEL, "Hi")) for _ in range(3)]
        await settle()
        gate.opened.set()
        await asyncio.wait(tasks)
    assert gate.calls == (1 if is_of_provider else 3)
    assert all(type(task.exception()) is type(error) for task in tasks)


@pytest.mark.parametrize("point", range(12))
async def test_a_call_that_is_cancelled_leaves_the_others_their_reply(point: int) -> None:
    """The cancellation of one caller would cancel the others, hang them, or have each of them ask."""
    gate = Gate()
    gate.waits = 5
    async with client_of(gate) as client:
        first = asyncio.create_task(client.create(MODEL, "Hi"))
        await asyncio.sleep(0)
        others = [asyncio.create_task(client.create(MODEL, "Hi")) for _ in range(20)]
        for _ in range(point):
            await asyncio.sleep(0)
        first.cancel()
        gate.opened.set()
        async with asyncio.timeout(10):
            replies = await asyncio.gather(*others)
        await asyncio.wait([first])
    assert first.cancelled()
    assert gate.calls <= 2
    assert {reply.text for reply in replies} == {"reply"}
    assert sum(not reply.info.cached for reply in replies) <= 1


async def test_each_waiting_call_can_be_cancelled_alone() -> None:
    """A caller who gives up would take the others along."""
    gate = Gate()
    async with client_of(gate) as client:
        tasks = [asyncio.create_task(client.create(MODEL, "Hi")) for _ in range(6)]
        await settle()
        for task in (tasks[1], tasks[3]):
            task.cancel()
        await settle()
        tasks[0].cancel()  # the one that asks; the next one that waits is tasks[2]
        tasks[2].cancel()  # which is cancelled before it runs
        await settle()
        gate.opened.set()
        done = await asyncio.gather(*tasks, return_exceptions=True)
    assert gate.calls == 2
    assert [isinstance(one, asyncio.CancelledError) for one in done] == [True, True, True, True, False, False]


@pytest.mark.parametrize("model", [MODEL, "route"])
def test_each_call_keeps_its_own_total_timeout(model: str) -> None:
    """A call would wait longer than its caller allows, because another one has more time."""

    async def main() -> None:
        gate = Gate()
        async with client_of(gate) as client:
            loop = asyncio.get_running_loop()
            began = loop.time()

            async def ended_after(timeout: float) -> float:
                with pytest.raises(APITimeoutError) as failed:
                    await client.create(model, "Hi", timeout=timeout)
                assert failed.value.phase == "total"
                return loop.time() - began

            leader = asyncio.create_task(client.create(model, "Hi", timeout=1000))
            await settle()
            times = await asyncio.gather(ended_after(3), ended_after(1), ended_after(2))
            assert times == pytest.approx([3, 1, 2], abs=0.02)
            assert gate.calls == 1
            gate.opened.set()
            await leader

    virtual_clock.run(main())


class LateStore(MemoryStore):
    """A store whose answers take 2 s."""

    async def get(self, key: str) -> bytes | None:
        await asyncio.sleep(2)
        return await super().get(key)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("single_flight", [False, True])
def test_the_time_of_the_store_is_part_of_the_total_timeout(single_flight: bool, stream: bool) -> None:
    """A call would wait longer than its caller allows, because the store is slow."""

    async def main() -> None:
        gate = Gate()
        async with client_of(gate, cached(LateStore(), single_flight=single_flight)) as client:
            began = asyncio.get_running_loop().time()
            for timeout in (1, 3):
                with pytest.raises(APITimeoutError) as failed:
                    await client.create(MODEL, "Hi", timeout=timeout, stream=stream)
                assert failed.value.phase == "total"
            assert asyncio.get_running_loop().time() - began == pytest.approx(4, abs=0.02)
            assert gate.calls == 1

    virtual_clock.run(main())


def test_a_call_that_asks_after_it_waited_has_only_the_rest_of_its_time() -> None:
    """A call would take twice its timeout."""

    async def main() -> None:
        gate = Gate()
        async with client_of(gate) as client:
            loop = asyncio.get_running_loop()
            leader = asyncio.create_task(client.create(MODEL, "Hi"))
            await settle()
            began = loop.time()
            waiting = asyncio.create_task(client.create(MODEL, "Hi", timeout=5))
            await asyncio.sleep(3)
            leader.cancel()
            with pytest.raises(APITimeoutError):
                await waiting
            assert loop.time() - began == pytest.approx(5, abs=0.02)
            assert gate.calls == 2

    virtual_clock.run(main())


async def test_replies_that_cannot_be_stored_are_copied_for_those_who_wait() -> None:
    """Waiting calls would share one object, or ask again one by one."""
    gate = Gate(lambda: reply_of("\ud800", extra={"not JSON": object()}))
    async with client_of(gate) as client:
        tasks = [asyncio.create_task(client.create(MODEL, "Hi")) for _ in range(3)]
        await settle()
        gate.opened.set()
        first, second, third = await asyncio.gather(*tasks)
    assert gate.calls == 1
    assert (first.info.cached, second.info.cached, third.info.cached) == (False, True, True)
    assert second is not third
    assert second.message is not third.message
    assert second.usage is not None
    assert second.usage.cost == 0.0


async def test_streams_do_not_wait_for_each_other() -> None:
    """A slow reader of a stream would hold up all others."""
    fake = FakeProvider(lambda request: "a b c")
    async with AsyncCompletion(providers=[fake], middleware=[cached(MemoryStore())]) as client:
        async with client.stream(MODEL, "Hi") as first, client.stream(MODEL, "Hi") as second:
            await anext(second)
            assert (await second.get_final_completion()).text == "a b c"
            assert (await first.get_final_completion()).text == "a b c"
        assert len(fake.requests) == 2
        assert (await client.create(MODEL, "Hi")).info.cached


def test_a_cache_that_two_event_loops_use_does_not_mix_their_calls() -> None:
    """A call of one loop would wait for ever for one of another."""
    cache, gate = cached(MemoryStore()), Gate()

    async def waits() -> tuple[AsyncCompletion, asyncio.Task[ChatCompletion]]:
        client = client_of(gate, cache)
        task = asyncio.create_task(client.create(MODEL, "Hi"))
        await settle()
        return client, task

    async def asks() -> str:
        other = Gate()
        other.opened.set()
        async with client_of(other, cache) as client, asyncio.timeout(10):
            return (await client.create(MODEL, "Hi")).text

    async def ends(client: AsyncCompletion, task: asyncio.Task[ChatCompletion]) -> None:
        gate.opened.set()
        assert (await task).text == "reply"
        await client.aclose()

    with asyncio.Runner() as first, asyncio.Runner() as second:
        client, task = first.run(waits())
        assert second.run(asks()) == "reply"
        first.run(ends(client, task))
