"""Tests of tool runs as callers read them: awaited, turn by turn, as events and as text, with one cursor."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from anycompletion import (
    AsyncCompletion,
    CallNext,
    CallOptions,
    ChatCompletion,
    ChatRequest,
    ClientClosedError,
    InternalServerError,
    Reply,
    StreamInterruptedError,
    ToolMessage,
    Usage,
)
from anycompletion.caching import MemoryStore, cached
from anycompletion.testing import FakeProvider, tool_call
from anycompletion.tools import (
    Budget,
    CallFinished,
    CallStarted,
    ChunkEvent,
    ReasoningDelta,
    RunFinished,
    TextDelta,
    ToolEvent,
    TurnFinished,
    tool,
)

MODEL = "openai/gpt-4o"
SOUPS = [tool_call("minutes", dish="toast"), tool_call("minutes", dish="soup")]


@tool
async def minutes(dish: str) -> int:
    """How long a dish takes."""
    return len(dish)


def short(event: ToolEvent) -> str:
    """An event in a word."""
    match event:
        case TextDelta() | ReasoningDelta():
            return f"{event.turn}:{event.text}"
        case CallStarted() | CallFinished():
            mark = ">" if isinstance(event, CallStarted) else "<"
            return f"{event.turn}{mark}{json.loads(event.call.function.arguments)['dish']}"
        case TurnFinished():
            return f"{event.turn} ends"
        case RunFinished():
            return event.outcome.status
        case ChunkEvent():
            return f"{event.turn} chunk"


EVENTS = ["0>toast", "0>soup", "0<toast", "0<soup", "0 ends"]


async def test_awaiting_runs_to_the_end() -> None:
    """The calls of the model would not be executed, or their results not be sent in the order of the calls."""
    fake = FakeProvider(SOUPS, "5 and 4 minutes")
    async with AsyncCompletion(providers=[fake]) as client:
        run = client.run_tools(MODEL, "How long?", [minutes])
        assert (run.status, run.turns) == (None, [])
        outcome = await run
    assert (outcome.status, outcome.text, outcome.unwrap().text) == ("finished", "5 and 4 minutes", "5 and 4 minutes")
    assert outcome.parsed is None
    assert [[each.content for each in turn.outcomes] for turn in outcome.turns] == [["5", "4"], []]
    assert [turn.index for turn in outcome.turns] == [0, 1]
    assert outcome.pending == []
    first, second = (each.request for each in fake.requests)
    assert [message.role for message in second.messages] == ["user", "assistant", "tool", "tool"]
    assert [each.content for each in second.messages if isinstance(each, ToolMessage)] == ["5", "4"]
    assert [each.function.name for each in first.tools or ()] == ["minutes"]
    assert [each.function.name for each in second.tools or ()] == ["minutes"]
    assert [message.role for message in run.messages] == ["user", "assistant", "tool", "tool", "assistant"]
    assert (run.messages, run.turns, run.status) == (outcome.messages, outcome.turns, "finished")


async def test_awaiting_again_sends_nothing() -> None:
    """A second await would make and pay for a second run."""
    fake = FakeProvider(SOUPS, "Done")
    async with AsyncCompletion(providers=[fake]) as client:
        run = client.run_tools(MODEL, "How long?", [minutes])
        assert await run is await run
        assert [turn async for turn in run] == [event async for event in run.events()] == []
    assert len(fake.requests) == 2


def test_a_run_is_not_started_by_its_construction() -> None:
    """A run that is made outside of an event loop, or never read, would fail or be paid for."""
    fake = FakeProvider("Hi")
    client = AsyncCompletion(providers=[fake])
    run = client.run_tools(MODEL, "Hi", [minutes])
    assert repr(run) == "<ToolRun unfinished: 0 turns>"
    del run
    assert fake.requests == []


async def test_iterating_gives_each_turn_when_it_has_ended() -> None:
    """A reader would get turns late, twice, or after the next request was sent."""
    fake = FakeProvider(SOUPS, tool_call("minutes", dish="tea"), "Done")
    async with AsyncCompletion(providers=[fake]) as client:
        run = client.run_tools(MODEL, "How long?", [minutes])
        seen = [(turn.index, len(turn.outcomes), len(fake.requests)) async for turn in run]
        assert seen == [(0, 2, 1), (1, 1, 2), (2, 0, 3)]
        assert (await run).text == "Done"
    assert len(fake.requests) == 3


async def test_events_come_as_they_happen_and_turns_are_streamed() -> None:
    """A terminal would show text and calls late, or in another order than they happened."""
    fake = FakeProvider(["Let me ", "see.", *SOUPS], "5 and 4", chunks=2)
    async with AsyncCompletion(providers=[fake]) as client:
        run = client.run_tools(MODEL, "How long?", [minutes])
        events = [event async for event in run.events()]
    assert [short(event) for event in events] == [
        *("0:Let me ", "0:see.", *EVENTS),
        *("1:5 a", "1:nd 4", "1 ends", "finished"),
    ]
    assert all(each.stream for each in fake.requests)
    last = events[-1]
    assert isinstance(last, RunFinished)
    assert last.outcome is await run


async def test_reasoning_has_events_of_its_own() -> None:
    """A reader would show the model's reasoning as its answer."""
    message = {"role": "assistant", "content": "4", "reasoning_content": "2 and 2"}
    reply = ChatCompletion.from_dict({"choices": [{"message": message, "finish_reason": "stop"}]})
    async with AsyncCompletion(providers=[FakeProvider(reply, name="deepseek")]) as client:
        run = client.run_tools("deepseek/deepseek-chat", "2 + 2?", [minutes])
        events = [event async for event in run.events()]
    assert "".join(each.text for each in events if isinstance(each, ReasoningDelta)) == "2 and 2"
    assert "".join(each.text for each in events if isinstance(each, TextDelta)) == "4"


async def test_raw_events_have_the_chunks() -> None:
    """A relay would not get chunks as the provider sent them, or get each piece of text in another order."""
    fake = FakeProvider(["Hi", *SOUPS], "Done")
    async with AsyncCompletion(providers=[fake]) as client:
        run = client.run_tools(MODEL, "How long?", [minutes])
        events = [event async for event in run.events(raw=True)]
    texts = [
        choice.delta.content
        for event in events
        if isinstance(event, ChunkEvent)
        for choice in event.chunk.choices
        if choice.delta.content
    ]
    assert texts == [event.text for event in events if isinstance(event, TextDelta)] == ["Hi", "Done"]
    chunks = [at for at, event in enumerate(events) if isinstance(event, ChunkEvent) and event.turn == 0]
    assert chunks[-1] < next(at for at, event in enumerate(events) if isinstance(event, CallStarted))


async def test_a_client_that_keeps_no_texts_has_whole_turns() -> None:
    """The calls of a streamed turn would be lost with a default that is for plain streams."""
    async with AsyncCompletion(providers=[FakeProvider(["Hm", *SOUPS], "Done")]) as client:
        run = client.with_options(keep_text=False).run_tools(MODEL, "How long?", [minutes])
        assert [short(event) for event in [event async for event in run.events()]][1:6] == EVENTS
        assert (await run).text == "Done"


async def test_text_is_that_of_all_turns() -> None:
    """Text that the model writes before its calls would be lost, or run into the text after them."""
    fake = FakeProvider(["Wait.", *SOUPS], SOUPS, ["And", *SOUPS], "5 and 4")
    async with AsyncCompletion(providers=[fake]) as client:
        run = client.run_tools(MODEL, "How long?", [minutes])
        assert "".join([text async for text in run.text]) == "Wait.\n\nAnd\n\n5 and 4"
        assert (await run).status == "finished"


async def test_all_ways_of_reading_share_one_cursor() -> None:
    """A reader that goes from events to turns and then awaits would get events twice, or start a second run."""
    fake = FakeProvider(["Hm", *SOUPS], tool_call("minutes", dish="tea"), "Done")
    async with AsyncCompletion(providers=[fake]) as client:
        run = client.run_tools(MODEL, "How long?", [minutes])
        events = run.events()
        assert short(await anext(events)) == "0:Hm"
        assert short(await anext(events)) == "0>toast"
        assert (await anext(aiter(run))).index == 0
        assert short(await anext(events)) == "1>tea"
        assert (await run).text == "Done"
        assert [event async for event in events] == []
    assert [each.stream for each in fake.requests] == [True, True, False]


async def test_two_readers_at_a_time_are_refused() -> None:
    """Two tasks would take events from each other, or fail with an error that is not about the run."""
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> str:
        """Waits."""
        entered.set()
        await go_on.wait()
        return "now"

    fake = FakeProvider(tool_call("slow"), "Done")
    async with AsyncCompletion(providers=[fake]) as client:
        run = client.run_tools(MODEL, "Go", [slow])
        first = asyncio.ensure_future(anext(aiter(run)))
        await entered.wait()
        for read in (run, anext(run.events()), anext(run.text), anext(aiter(run))):
            with pytest.raises(ClientClosedError, match="two tasks read this run"):
                await read
        go_on.set()
        assert (await first).outcomes[0].content == "now"
        assert (await run).text == "Done"


async def test_the_observer_sees_all_events_but_pieces() -> None:
    """A log of what a run did would have gaps where the run is awaited or iterated."""
    for way in ("await", "turns", "events"):
        seen: list[ToolEvent] = []
        fake = FakeProvider(["Hm", *SOUPS], "Done")
        async with AsyncCompletion(providers=[fake]) as client:
            run = client.run_tools(MODEL, "How long?", [minutes], on_event=seen.append)
            if way == "turns":
                _ = [turn async for turn in run]
            elif way == "events":
                _ = [event async for event in run.events()]
            await run
        assert [short(event) for event in seen] == [*EVENTS, "1 ends", "finished"], way


async def test_what_an_observer_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A mistake in an observer would end the run, or its text would put the prompt into the log."""

    def observe(event: ToolEvent) -> None:
        raise ValueError("How long?")

    async with AsyncCompletion(providers=[FakeProvider(SOUPS, "Done")]) as client:
        outcome = await client.run_tools(MODEL, "How long?", [minutes], on_event=observe)
    assert outcome.status == "finished"
    assert {record.getMessage() for record in caplog.records} == {"on_event failed with ValueError"}


async def test_a_cut_stream_runs_nothing() -> None:
    """Calls of a reply whose end is missing would be executed."""
    ran: list[str] = []

    def note(text: str) -> None:
        """Note it."""
        ran.append(text)

    fake = FakeProvider([tool_call("note", text="a"), StreamInterruptedError("cut")], "Done")
    async with AsyncCompletion(providers=[fake], max_retries=0) as client:
        run = client.run_tools(MODEL, "Go", [note])
        with pytest.raises(StreamInterruptedError) as caught:
            _ = [event async for event in run.events()]
        assert caught.value.partial is not None
        assert (ran, [message.role for message in run.messages], run.turns) == ([], ["user"], [])
        with pytest.raises(StreamInterruptedError):
            await run
        outcome = await client.run_tools(MODEL, run.messages, [note])
    assert outcome.text == "Done"


@pytest.mark.parametrize("stream", [False, True], ids=["awaited", "events"])
async def test_an_error_of_the_provider_leaves_a_valid_conversation(stream: bool) -> None:
    """What was done before an error would have to be done and paid for again."""
    fake = FakeProvider(SOUPS, InternalServerError("down", retryable=False), "5 and 4")
    async with AsyncCompletion(providers=[fake], max_retries=0) as client:
        run = client.run_tools(MODEL, "How long?", [minutes])
        with pytest.raises(InternalServerError, match="down"):
            if stream:
                _ = [event async for event in run.events()]
            else:
                await run
        assert [message.role for message in run.messages] == ["user", "assistant", "tool", "tool"]
        assert (len(run.turns), run.status) == (1, None)
        outcome = await client.run_tools(MODEL, run.messages, [minutes])
    assert (outcome.text, len(outcome.turns)) == ("5 and 4", 1)


async def test_messages_are_appended_as_they_came() -> None:
    """Signatures of thinking and fields of the provider would be lost on the way back."""
    call = SOUPS[0].to_dict() | {"note": "kept"}
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [call],
        "thinking_blocks": [{"type": "thinking", "thinking": "Hm", "signature": "c2ln"}],
        "reasoning_details": [{"type": "reasoning.text", "text": "Hm", "id": "r1"}],
        "from_the_future": {"a": 1},
    }
    reply = ChatCompletion.from_dict({"choices": [{"message": message, "finish_reason": "tool_calls"}]})
    async with AsyncCompletion(providers=[FakeProvider(reply, "Done")]) as client:
        outcome = await client.run_tools(MODEL, "How long?", [minutes])
    assert outcome.messages[1] is outcome.turns[0].reply.message
    assert outcome.messages[1].to_dict() == {name: value for name, value in message.items() if value is not None}


async def test_each_turn_is_one_logical_call() -> None:
    """Middleware, its limits and its spans would see a run as one call, or each attempt of a turn as several."""
    seen: list[str] = []

    async def count(request: ChatRequest, options: CallOptions, call_next: CallNext) -> Reply:
        seen.append(" ".join(message.role for message in request.messages))
        return await call_next(request, options)

    fake = FakeProvider(InternalServerError("down"), SOUPS, InternalServerError("down"), "Done")
    async with AsyncCompletion(providers=[fake], middleware=[count]) as client:
        outcome = await client.run_tools(MODEL, "How long?", [minutes], tags={"user": "7"})
    assert seen == ["user", "user assistant tool tool"]
    assert [turn.reply.info.attempts for turn in outcome.turns] == [2, 2]


@pytest.mark.parametrize("stream", [False, True], ids=["awaited", "events"])
async def test_a_run_stays_where_its_last_turn_was_answered(stream: bool) -> None:
    """Thinking signatures and the prompt cache of a target would be lost, or each turn wait for one that fails."""
    first = FakeProvider(InternalServerError("down"), "never", name="openai")
    second = FakeProvider(SOUPS, "Done", name="anthropic")
    async with AsyncCompletion(providers=[first, second], max_retries=0) as client:
        run = client.run_tools(MODEL, "How long?", [minutes], fallbacks=["anthropic/claude-haiku-4-5"])
        if stream:
            _ = [event async for event in run.events()]
        assert (await run).text == "Done"
    assert (len(first.requests), len(second.requests)) == (1, 2)


async def test_a_stored_turn_runs_its_tools_again() -> None:
    """A run whose replies a cache has would answer with the results of an earlier run."""
    counted: list[str] = []

    def now(zone: str) -> int:
        """The time."""
        counted.append(zone)
        return len(counted)

    call = tool_call("now", zone="utc")
    fake = FakeProvider(call, "It is 1", "It is 2")
    async with AsyncCompletion(providers=[fake], middleware=[cached(MemoryStore())]) as client:
        first = await client.run_tools(MODEL, "What time?", [now])
        second = await client.run_tools(MODEL, "What time?", [now])
    assert (first.text, second.text, counted) == ("It is 1", "It is 2", ["utc", "utc"])
    assert [turn.reply.info.cached for turn in second.turns] == [True, False]
    assert second.usage == second.reply.usage, "what was paid for before is not paid for again"


async def test_a_run_of_stored_turns_uses_nothing() -> None:
    """What a run has used would be unknown, and end one with a budget, where a cache has all its replies."""
    fake = FakeProvider(tool_call("minutes", dish="tea"), "3")
    async with AsyncCompletion(providers=[fake], middleware=[cached(MemoryStore())]) as client:
        for _ in range(2):
            run = client.run_tools(MODEL, "How long?", [minutes], budget=Budget(total_tokens=100))
            assert (await run).text == "3"
    assert run.usage == Usage(0, 0, 0, cost=0.0)


async def test_a_slow_reader_slows_the_stream() -> None:
    """A run would read on while its events are not taken, so that a long reply fills the memory."""
    pieces: list[int] = []

    async def watch(request: ChatRequest, options: CallOptions, call_next: CallNext) -> Reply:
        reply = await call_next(request, options)
        assert not isinstance(reply, ChatCompletion)

        def count(chunk: Any) -> Any:
            pieces.append(len(pieces))
            return chunk

        return reply.map(count)

    fake = FakeProvider(" ".join("a" * 64 for _ in range(20_000)), chunks=2000)
    async with AsyncCompletion(providers=[fake], middleware=[watch]) as client:
        run = client.run_tools(MODEL, "Go", [minutes])
        events: AsyncIterator[ToolEvent] = run.events()
        for _ in range(3):
            await anext(events)
        await asyncio.sleep(0.01)
        assert len(pieces) < 1000
        await run.aclose()


async def test_tools_go_on_while_their_events_are_not_read() -> None:
    """A slow reader would slow the tools of a turn down to one at a time."""
    done: list[str] = []

    async def work(text: str) -> None:
        """Work."""
        await asyncio.sleep(0)
        done.append(text)

    fake = FakeProvider([tool_call("work", text=name) for name in "abc"], "Done")
    async with AsyncCompletion(providers=[fake]) as client:
        events = client.run_tools(MODEL, "Go", [work], concurrency=1).events()
        assert isinstance(await anext(events), CallStarted)
        for _ in range(20):
            await asyncio.sleep(0)
        assert done == ["a", "b", "c"]
        assert len(fake.requests) == 1
