"""Streams over routes: they move on until their first content, deliver nothing twice, and leave nothing open."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from anycompletion import (
    AllTargetsFailedError,
    AsyncCompletion,
    ClientClosedError,
    CompletionError,
    InternalServerError,
    StreamInterruptedError,
)
from anycompletion.routing import CircuitBreaker, Route, TargetState
from anycompletion.testing import FakeProvider, tool_call

TARGETS = ["openai/gpt-4o", "groq/llama"]
ONE_FAILURE = CircuitBreaker(failures=1)
Reply = Callable[[Any], Any]


@asynccontextmanager
async def pair(
    first: FakeProvider, last: FakeProvider | None = None, *, breaker: CircuitBreaker | None = ONE_FAILURE
) -> AsyncGenerator[AsyncCompletion]:
    """A client with a route over two providers."""
    last = last or FakeProvider(lambda request: "from the last", name="groq")
    routes = {"pair": Route(TARGETS, breaker=breaker)}
    async with AsyncCompletion(providers=[first, last], routes=routes) as client:
        yield client
        assert not any(state.in_flight for state in client.stats().routes["pair"])


def states(client: AsyncCompletion) -> list[TargetState]:
    return client.stats().routes["pair"]


def failing(error: CompletionError) -> Reply:
    def fail(request: Any) -> Any:
        raise error

    return fail


async def texts_of(stream: Any) -> tuple[list[str], CompletionError | None]:
    """The texts that a reader gets, and the error at the end."""
    texts: list[str] = []
    try:
        async for text in stream.text:
            texts.append(text)
    except CompletionError as error:
        return texts, error
    return texts, None


@pytest.mark.parametrize("events", range(6))
async def test_a_cut_stream_moves_on_before_its_first_content_only(events: int) -> None:
    """A reader would get the beginning of an answer twice, or an error although nothing had arrived yet."""
    first = FakeProvider(lambda request: "one two three four", fault=f"cut-after-{events}-events")
    async with pair(first) as client:
        async with client.stream("pair", "Hello!", max_retries=0) as stream:
            texts, error = await texts_of(stream)
        if events < 2:  # the first event has the role only
            assert ("".join(texts), error) == ("from the last", None)
            assert stream.info.target == "groq/llama"
            assert isinstance(stream.info.tried[0].error, StreamInterruptedError)
        else:
            assert isinstance(error, StreamInterruptedError)
            assert "one two three four".startswith("".join(texts))
            assert texts[0] == "one"
            assert stream.info.target == "openai/gpt-4o"
        assert [state.state for state in states(client)] == ["open", "closed"]
        assert [state.in_flight for state in states(client)] == [0, 0]


async def test_an_error_in_place_of_the_first_content_moves_on() -> None:
    """An error inside a response with status 200 would reach the reader."""
    first = FakeProvider(lambda request: [InternalServerError("overloaded")])
    async with pair(first) as client, client.stream("pair", "Hello!") as stream:
        assert (await stream.get_final_completion()).text == "from the last"


@pytest.mark.parametrize(
    "piece",
    ["text", tool_call("weather", city="Oslo")],
    ids=["text", "call"],
)
async def test_an_open_stream_is_committed_to_its_target(piece: Any) -> None:
    """`open` would return before it is known which target answers."""
    first = FakeProvider(lambda request: [piece, StreamInterruptedError("cut")])
    async with pair(first) as client:
        stream = client.stream("pair", "Hello!")
        await stream.open()
        assert (stream.info.target, stream.info.attempts) == ("openai/gpt-4o", 1)
        with pytest.raises(StreamInterruptedError) as caught:
            await stream.get_final_completion()
        assert caught.value.partial is not None


async def test_no_chunk_is_lost_or_doubled_by_opening() -> None:
    """The chunks that opening reads would be missing, or come twice."""
    async with pair(FakeProvider(lambda request: "a b c d")) as client, client.stream("pair", "Hello!") as stream:
        chunks = [chunk async for chunk in stream]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "a b c d"
        assert sum(bool(chunk.choices and chunk.choices[0].delta.role) for chunk in chunks) == 1
        assert stream.usage is not None


async def test_an_empty_answer_is_an_answer() -> None:
    """A stream without a text would be asked for again, and be paid for twice."""
    first = FakeProvider(lambda request: "")
    async with pair(first) as client:
        stream = await client.create("pair", "Hello!", stream=True)
        assert not (await stream.get_final_completion()).text
        assert len(first.requests) == 1


async def test_a_reader_that_leaves_closes_the_stream() -> None:
    """A connection, or a call in flight of a target, would be left."""
    first = FakeProvider(lambda request: "a b c d e f", chunk_delay=0.01)
    async with pair(first) as client:
        async with client.stream("pair", "Hello!") as stream:
            async for _ in stream:
                assert states(client)[0].in_flight == 1
                break
        assert [state.in_flight for state in states(client)] == [0, 0]
        assert [state.state for state in states(client)] == ["closed", "closed"]


async def test_a_dropped_stream_closes_itself() -> None:
    """A stream that is not closed would count as in flight for ever."""
    async with pair(FakeProvider(lambda request: "a b c d e f", chunk_delay=0.01)) as client:
        stream = client.stream("pair", "Hello!")
        await stream.open()
        del stream
        await asyncio.sleep(0.01)
        assert states(client)[0].in_flight == 0


async def test_closing_a_stream_that_is_being_opened() -> None:
    """The reader would wait for the target although the stream was closed."""
    async with pair(FakeProvider(lambda request: "late", latency=30)) as client:
        stream = client.stream("pair", "Hello!")
        opening = asyncio.create_task(stream.open())
        await asyncio.sleep(0.02)
        stream.close()
        with pytest.raises(CompletionError):
            await asyncio.wait_for(opening, 2)
        assert states(client)[0].in_flight == 0
        assert states(client)[0].state == "closed"


async def test_cancelling_while_a_stream_is_opened() -> None:
    """A cancelled call would leave its connection, or count against the target."""
    async with pair(FakeProvider(lambda request: "late", latency=30)) as client:
        opening = asyncio.create_task(client.create("pair", "Hello!", stream=True))
        await asyncio.sleep(0.02)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        assert [(state.in_flight, state.state) for state in states(client)] == [(0, "closed")] * 2


async def test_a_stream_that_is_never_opened_changes_nothing() -> None:
    """A stream that was only made would take the probe of an open circuit, or count as in flight."""
    first = FakeProvider(failing(InternalServerError("down", status_code=500)))
    async with pair(first, breaker=CircuitBreaker(failures=1, seconds=0.03)) as client:
        await client.create("pair", "Hello!")
        await asyncio.sleep(0.04)
        unused = client.stream("pair", "Hello!")
        assert [(state.in_flight, state.state) for state in states(client)] == [(0, "half_open"), (0, "closed")]
        await client.create("pair", "Hello!")
        assert len(first.requests) == 2
        await unused.aclose()


async def test_a_stream_picks_its_target_when_it_is_opened() -> None:
    """A stream that is opened later would go to a target that has failed in the meantime."""
    first = FakeProvider(failing(InternalServerError("down", status_code=500)))
    async with pair(first) as client:
        early = client.stream("pair", "Hello!")
        await client.create("pair", "Hello!")
        async with early:
            assert early.info.target == "groq/llama"
        assert len(first.requests) == 1


async def test_calls_that_wait_for_a_probe_go_on_when_its_stream_has_begun() -> None:
    """They would wait until the stream has ended, which may take minutes, although its target answers."""
    is_down = True

    def reply(request: Any) -> Any:
        if is_down:
            raise InternalServerError("down", status_code=500)
        return "a b c"

    both = FakeProvider(reply, name="*")
    async with AsyncCompletion(providers=[both], routes={"pair": Route(TARGETS, breaker=ONE_FAILURE)}) as client:
        with pytest.raises(AllTargetsFailedError):
            await client.create("pair", "Hello!", max_retries=0)
        is_down, both.latency = False, 0.02
        opening = asyncio.create_task(client.create("pair", "Hello!", stream=True))
        await asyncio.sleep(0.01)
        assert [state.state for state in states(client)] == ["half_open", "open"]
        waiting = [asyncio.create_task(client.create("pair", "Hello!")) for _ in range(3)]
        stream = await opening
        replies = await asyncio.wait_for(asyncio.gather(*waiting), 5)
        assert {reply.text for reply in replies} == {"a b c"}
        assert [state.state for state in states(client)] == ["closed", "open"]
        assert (await stream.get_final_completion()).text == "a b c"
        assert [state.in_flight for state in states(client)] == [0, 0]


async def test_a_probe_whose_stream_is_cut_opens_the_circuit_again() -> None:
    """A target that begins answers and ends none would get all calls after its first words."""
    pieces: list[Any] = ["a", StreamInterruptedError("cut")]
    first = FakeProvider(lambda request: pieces)
    async with pair(first, breaker=CircuitBreaker(failures=1, seconds=0.03)) as client:
        for pause in (0.0, 0.04):
            await asyncio.sleep(pause)
            stream = await client.create("pair", "Hello!", stream=True)
            assert states(client)[0].state == "closed"
            with pytest.raises(StreamInterruptedError):
                await stream.get_final_completion()
            assert states(client)[0].state == "open"


async def test_all_targets_fail_a_stream() -> None:
    """Opening would raise the last error only."""
    down = failing(InternalServerError("down", status_code=500))
    async with pair(FakeProvider(down), FakeProvider(down, name="groq")) as client:
        with pytest.raises(AllTargetsFailedError):
            await client.create("pair", "Hello!", stream=True)
        stream = client.stream("pair", "Hello!")
        with pytest.raises(CompletionError):
            async for _ in stream:
                pass


async def test_closing_the_client_ends_an_open_stream() -> None:
    """A reader would wait for a connection that is closed."""
    async with pair(FakeProvider(lambda request: "a b c", chunk_delay=5)) as client:
        stream = client.stream("pair", "Hello!")
        opening = asyncio.create_task(stream.open())
        await asyncio.sleep(0.02)
        await client.aclose()
        with pytest.raises((ClientClosedError, StreamInterruptedError)):
            await asyncio.wait_for(opening, 2)


@pytest.mark.parametrize("n", [2, 3])
async def test_all_choices_of_a_stream_come_from_one_target(n: int) -> None:
    """One choice would be another model's answer than the others."""
    last = FakeProvider(lambda request: "from the last", name="groq")
    async with pair(FakeProvider(lambda request: [StreamInterruptedError("cut")]), last) as client:
        async with client.stream("pair", "Hello!", n=n) as stream:
            reply = await stream.get_final_completion()
        assert [choice.message.content for choice in reply.choices] == ["from the last"] * n
        assert reply.info.target == "groq/llama"


async def test_keep_text_and_usage_work_as_without_a_route() -> None:
    """Options of streams would be lost on the way through a route."""
    async with pair(FakeProvider(lambda request: "a b c")) as client:
        async with client.stream("pair", "Hello!", keep_text=False) as stream:
            async for chunk in stream:
                assert chunk.choices
        assert stream.snapshot.text is None or stream.snapshot.text == ""
        asked = {"include_usage": True}
        async with client.stream("pair", "Hello!", stream_options=asked) as stream:
            assert [chunk async for chunk in stream][-1].usage is not None


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("cut", [False, True])
async def test_the_end_of_a_stream_of_several_choices_is_logged_once(
    provider: str, cut: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Logs would count each choice as a call, with a part of the tokens."""
    caplog.set_level(logging.DEBUG, "anycompletion")
    first = FakeProvider(lambda request: "a b", name=provider, fault="cut-after-0-events" if cut else None)
    last = FakeProvider(lambda request: "a b", name="groq")
    routes = {"pair": Route([f"{provider}/x", "groq/llama"])}
    client = AsyncCompletion(providers=[first, last], routes=routes, max_retries=0)
    async with client, client.stream("pair", "Hello!", n=3) as stream:
        reply = await stream.get_final_completion()
    records: list[Any] = [record for record in caplog.records if getattr(record, "ac_event", "") == "finished"]
    assert [record.ac_provider for record in records] == ["groq" if cut else provider]
    assert reply.usage is not None
    assert records[0].ac_completion_tokens == reply.usage.completion_tokens == 6
