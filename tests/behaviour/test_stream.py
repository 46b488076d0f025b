"""Tests of CompletionStream: ending it in every way closes its connection, and no stream ends without a cause."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated

import msgspec
import pytest

from anycompletion import (
    APIConnectionError,
    AsyncCompletion,
    ClientClosedError,
    CompletionStream,
    InternalServerError,
    StreamInterruptedError,
)
from anycompletion.testing import Fault, SimulatorServer
from support.raw_server import DONE, END, REQUEST, STALL, STREAM, WHOLE, RawServer, Step, answer, event, piece
from support.resource_leaks import CASES, Case, Reader, client_of, nothing_left

EndEarly = Callable[[AsyncCompletion, Case], Awaitable[None]]

Text = Annotated[str, msgspec.Meta(min_length=900)]
"""A type for which the simulator makes a value of many pieces."""

TYPED = Case("openai/gpt-4o-mini", 1, 1)

KINDS = CASES | {"typed": TYPED}
"""All kinds of streams, the last one of `parse_stream`."""

every_kind = pytest.mark.parametrize("case", KINDS.values(), ids=KINDS)


@asynccontextmanager
async def slow(**options: float) -> AsyncIterator[tuple[SimulatorServer, AsyncCompletion]]:
    """A server whose streams take three seconds, and a client for it."""
    settings = {"chunk_delay": 0.01, "chunks": 300, **options}
    async with (
        SimulatorServer(**settings) as sim,  # type: ignore[arg-type]
        client_of(sim) as client,
    ):
        yield sim, client


def begin(client: AsyncCompletion, case: Case) -> CompletionStream:
    if case is TYPED:
        return client.parse_stream(case.model, "Tell me a story.", Text)
    return client.stream(case.model, "Tell me a story.", n=case.n)


async def closed_at_once(sim: SimulatorServer, case: Case) -> None:
    """Checks that the server saw every connection closed before it could write ten more chunks."""
    written = [request.chunks_written for request in sim.requests]
    assert len(written) == case.requests
    assert all([await request.wait_closed(1) for request in sim.requests])
    assert all(request.chunks_written < before + 10 for request, before in zip(sim.requests, written, strict=True))


WORDS = json.dumps({"value": ["word"] * 900})
"""A message that the simulator repeats, and that is so the value of its reply."""

# --- ways to end a stream early ------------------------------------------------------------------------------------


async def end_by_break(client: AsyncCompletion, case: Case) -> None:
    count = 0
    async with begin(client, case) as stream:
        async for _ in stream:
            count += 1
            if count == 5:
                break


async def end_by_cancel(client: AsyncCompletion, case: Case) -> None:
    reader = Reader(begin(client, case))
    await reader.has(5)
    reader.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader.task


async def end_by_cancel_inside_with(client: AsyncCompletion, case: Case) -> None:
    ready = asyncio.Event()

    async def read() -> None:
        async with begin(client, case) as stream:
            async for _ in stream:
                ready.set()

    task = asyncio.create_task(read())
    await ready.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def end_by_exception(client: AsyncCompletion, case: Case) -> None:
    mine = LookupError("mine")
    with pytest.raises(LookupError) as caught:
        async with begin(client, case) as stream:
            async for _ in stream:
                raise mine
    assert caught.value is mine


async def end_by_dropping(client: AsyncCompletion, case: Case) -> None:
    stream = begin(client, case)
    await anext(stream)
    del stream


async def end_by_break_without_with(client: AsyncCompletion, case: Case) -> None:
    async for _ in begin(client, case):
        break


async def end_by_dropping_a_view(client: AsyncCompletion, case: Case) -> None:
    async for _ in begin(client, case).text:
        break


async def end_by_dropping_partials(client: AsyncCompletion, case: Case) -> None:
    async for _ in client.parse_stream(case.model, WORDS, list[str], mode="prompt", n=case.n).partials():
        break


async def end_by_leaving_items(client: AsyncCompletion, case: Case) -> None:
    async with client.parse_stream(case.model, WORDS, list[str], mode="prompt", n=case.n) as stream:
        async for _ in stream.items():
            break


async def end_unread(client: AsyncCompletion, case: Case) -> None:
    stream = await client.create(case.model, "Tell me a story.", n=case.n, stream=True)
    await asyncio.sleep(0.03)
    del stream


async def end_by_closing_elsewhere(client: AsyncCompletion, case: Case) -> None:
    reader = Reader(begin(client, case))
    await reader.has(5)
    await reader.stream.aclose()
    error = await reader.end()
    assert isinstance(error, StreamInterruptedError)
    assert error.partial is not None
    assert any(error.partial.texts)


async def end_by_closing_the_client(client: AsyncCompletion, case: Case) -> None:
    reader = Reader(begin(client, case))
    await reader.has(5)
    await client.aclose()
    error = await reader.end()
    assert isinstance(error, ClientClosedError)
    assert error.partial is not None
    assert any(error.partial.texts)


async def end_by_the_callers_timeout(client: AsyncCompletion, case: Case) -> None:
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(0.1):
            async for _ in begin(client, case):
                pass
    assert type(caught.value) is TimeoutError


WAYS: list[EndEarly] = [
    end_by_break,
    end_by_cancel,
    end_by_cancel_inside_with,
    end_by_exception,
    end_by_dropping,
    end_by_break_without_with,
    end_by_dropping_a_view,
    end_by_dropping_partials,
    end_by_leaving_items,
    end_unread,
    end_by_closing_elsewhere,
    end_by_closing_the_client,
    end_by_the_callers_timeout,
]


@every_kind
@pytest.mark.parametrize("end", WAYS, ids=lambda way: way.__name__.removeprefix("end_"))
async def test_ending_a_stream_early_closes_its_connection_without_leaks(end: EndEarly, case: Case) -> None:
    """A provider would go on generating, and billing, after the caller ended its stream."""
    async with slow() as (sim, client), nothing_left(client):
        await end(client, case)
        await closed_at_once(sim, case)


@every_kind
async def test_closing_the_client_ends_many_live_streams(case: Case) -> None:
    """Closing the client would hang, or leave readers waiting for ever."""
    async with slow(chunk_delay=0.02) as (sim, client), nothing_left(client):
        readers = [Reader(begin(client, case)) for _ in range(15)]
        for reader in readers:
            await reader.has(2)
        async with asyncio.timeout(1):
            await client.aclose()
        assert all([isinstance(await reader.end(), ClientClosedError) for reader in readers])
        assert all([await request.wait_closed(1) for request in sim.requests])


@every_kind
@pytest.mark.parametrize("whole_client", [False, True])
async def test_closing_ends_a_stream_whose_consumer_is_busy(case: Case, whole_client: bool) -> None:
    """A consumer that is busy while its stream is closed would wait for ever at its next read."""
    async with slow(chunk_delay=0.002) as (_, client), nothing_left(client):
        stream = begin(client, case)
        await anext(stream)
        await asyncio.sleep(0.1)  # the queue of a merged stream is full after this
        await (client if whole_client else stream).aclose()
        with pytest.raises(ClientClosedError if whole_client else StreamInterruptedError):
            async with asyncio.timeout(1):
                async for _ in stream:
                    pass


@every_kind
@pytest.mark.parametrize("whole_client", [False, True])
async def test_closing_ends_a_stream_that_waits_for_a_chunk(case: Case, whole_client: bool) -> None:
    """A reader that waits for a stalled server would go on waiting after its stream was closed."""
    async with slow(chunk_delay=0.5) as (_, client), nothing_left(client):
        stream = begin(client, case)
        await stream.open()
        for _ in range(case.requests):
            await anext(stream)
        reader = Reader(stream)
        await asyncio.sleep(0.05)
        await (client if whole_client else stream).aclose()
        assert isinstance(await reader.end(), ClientClosedError if whole_client else StreamInterruptedError)


@every_kind
@pytest.mark.parametrize("whole_client", [False, True])
async def test_closing_ends_a_stream_that_waits_for_its_headers(case: Case, whole_client: bool) -> None:
    """A stream closed before its response would go on and be billed."""
    async with slow(latency=5) as (sim, client), nothing_left(client):
        reader = Reader(begin(client, case))
        while len(sim.requests) < case.requests:
            await asyncio.sleep(0.01)
        await (client if whole_client else reader.stream).aclose()
        assert isinstance(await reader.end(), ClientClosedError if whole_client else StreamInterruptedError)
        assert all([await request.wait_closed(1) for request in sim.requests])


@every_kind
@pytest.mark.parametrize("whole_client", [False, True])
async def test_closing_ends_a_stream_that_waits_for_a_retry(case: Case, whole_client: bool) -> None:
    """A stream closed between two attempts would send another request."""
    async with slow() as (sim, client), nothing_left(client):
        sim.fault = Fault.status(429, retry_after=0.3)  # type: ignore[assignment]
        reader = Reader(begin(client, case))
        while len(sim.requests) < case.requests:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        await (client if whole_client else reader.stream).aclose()
        assert isinstance(await reader.end(0.2), ClientClosedError if whole_client else StreamInterruptedError)
        await asyncio.sleep(0.35)
        assert len(sim.requests) == case.requests


@every_kind
async def test_cancelling_before_the_headers_closes_the_connection(case: Case) -> None:
    """A cancelled caller would leave requests running."""
    async with slow(latency=5) as (sim, client), nothing_left(client):
        reader = Reader(begin(client, case))
        while len(sim.requests) < case.requests:
            await asyncio.sleep(0.01)
        reader.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader.task
        await closed_at_once(sim, case)


async def test_closing_before_sending_sends_nothing() -> None:
    """Reading a stream that was closed before it was sent would send it."""
    async with slow() as (sim, client), nothing_left(client):
        stream = client.stream("openai/gpt-4o", "Hi.")
        await stream.aclose()
        with pytest.raises(StreamInterruptedError):
            await anext(stream)
        with pytest.raises(StreamInterruptedError):
            await stream.open()
        assert sim.requests == []


@every_kind
async def test_closing_twice_and_from_inside_is_harmless(case: Case) -> None:
    """Closing a stream that a web framework has closed would fail."""
    async with slow() as (_, client), nothing_left(client):
        async with begin(client, case) as stream:
            await anext(stream)
            await stream.aclose()
            stream.close()
        await stream.aclose()


@every_kind
async def test_a_second_cancellation_during_the_first_changes_nothing(case: Case) -> None:
    """A cancellation while the stream is being closed would leave the connection open."""
    async with slow() as (sim, client), nothing_left(client):

        async def read() -> None:
            async with begin(client, case) as stream:
                async for _ in stream:
                    pass

        task = asyncio.create_task(read())
        while not sim.requests or sim.requests[-1].chunks_written < 3:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await closed_at_once(sim, case)


@every_kind
async def test_a_stream_may_be_read_and_closed_in_another_task_than_it_was_opened_in(case: Case) -> None:
    """A web framework that opens a stream in one task could not read it in another."""
    async with slow() as (sim, client), nothing_left(client):
        stream = await asyncio.create_task(client.create(case.model, "Hi.", n=case.n, stream=True))
        await asyncio.create_task(stream.__anext__())
        await asyncio.create_task(stream.aclose())
        await closed_at_once(sim, case)


# --- one cursor ----------------------------------------------------------------------------------------------------


@every_kind
async def test_two_tasks_cannot_iterate_one_stream(case: Case) -> None:
    """Two concurrent readers would get a part of the text each."""
    async with slow() as (_, client), nothing_left(client), begin(client, case) as stream:
        first, second = await asyncio.gather(_drain(stream, 500), _drain(stream, 500), return_exceptions=True)
        assert first is None
        assert isinstance(second, RuntimeError)
        assert "two tasks" in str(second)


async def _drain(stream: CompletionStream, limit: int) -> None:
    for _ in range(min(limit, 5)):
        await anext(stream)


async def test_reading_while_another_task_opens_is_an_error() -> None:
    """Reading while the stream is being opened would fail with an internal error."""
    async with slow(latency=0.1) as (_, client), nothing_left(client):
        stream = client.stream("openai/gpt-4o", "Hi.")
        opening = asyncio.create_task(stream.open())
        await asyncio.sleep(0.02)
        with pytest.raises(RuntimeError, match="two tasks"):
            await anext(stream)
        await opening
        await anext(stream)
        await stream.aclose()


@every_kind
async def test_text_chunks_and_sse_share_a_cursor(case: Case) -> None:
    """A caller who mixes chunks, text and SSE would get a part twice, or miss one."""
    async with slow(chunk_delay=0, chunks=20) as (_, client), nothing_left(client):
        async with begin(client, case) as stream:
            seen: dict[int, str] = {}
            for _ in range(4):
                for choice in (await anext(stream)).choices:
                    seen[choice.index] = seen.get(choice.index, "") + (choice.delta.content or "")
            before = len(seen.get(0, ""))
            piece = await anext(stream.text)
            assert stream.snapshot.text[before:].endswith(piece)
            lines = [line async for line in stream.sse()]
        final = await stream.get_final_completion()
        pieces = [json.loads(line[6:]) for line in lines[:-1]]
        texts = {
            index: "".join(
                choice["delta"].get("content") or ""
                for data in pieces
                for choice in data["choices"]
                if choice["index"] == index
            )
            for index in range(case.n)
        }
        assert final.texts[0].endswith(piece + texts[0])
        assert lines[-1] == b"data: [DONE]\n\n"
        assert [choice.finish_reason for choice in final.choices] == ["stop"] * case.n


@every_kind
async def test_the_snapshot_equals_the_delivered_chunks(case: Case) -> None:
    """The snapshot would have more, or less, than the chunks that were delivered."""
    async with slow(chunk_delay=0, chunks=20) as (_, client), nothing_left(client), begin(client, case) as stream:
        texts: dict[int, str] = {}
        async for chunk in stream:
            for choice in chunk.choices:
                texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
            assert stream.snapshot.texts == [texts[index] for index in sorted(texts)]


@every_kind
async def test_iterating_after_the_end_stops_again(case: Case) -> None:
    """A stream that was read to its end would fail, or be requested again."""
    async with slow(chunk_delay=0, chunks=5) as (sim, client), nothing_left(client):
        async with begin(client, case) as stream:
            final = await stream.get_final_completion()
            assert [chunk async for chunk in stream] == []
        assert [chunk async for chunk in stream] == []
        assert (await stream.get_final_completion()) == final
        assert len(sim.requests) == case.requests


@every_kind
async def test_the_final_completion_of_a_stream_ended_early_is_an_error_with_its_partial_text(case: Case) -> None:
    """A partial reply would be returned as a complete one."""
    async with slow() as (_, client), nothing_left(client):
        async with begin(client, case) as stream:
            text = await anext(stream.text)
        with pytest.raises(StreamInterruptedError) as caught:
            await stream.get_final_completion()
        error = caught.value
        assert error.partial is not None
        assert error.partial.text.startswith(text)
        assert error.provider == case.model.partition("/")[0]
        assert error.attempts == case.requests
        assert error.partial.choices[0].finish_reason is None


async def test_an_error_is_raised_again_at_the_next_read() -> None:
    """An interrupted stream would seem complete at the second read."""
    async with slow(chunk_delay=0) as (sim, client), nothing_left(client):
        sim.fault = "error-after-3-events"  # type: ignore[assignment]
        stream = client.stream("openai/gpt-4o", "Hi.")
        errors = []
        for _ in range(3):
            with pytest.raises(InternalServerError) as caught:
                await stream.get_final_completion()
            errors.append(caught.value)
        assert errors[0] is errors[1] is errors[2]
        assert errors[0].partial is not None


# --- sse -----------------------------------------------------------------------------------------------------------


@every_kind
async def test_sse_of_a_complete_stream_ends_with_done(case: Case) -> None:
    """An OpenAI client in a browser could not read the relayed stream."""
    async with slow(chunk_delay=0, chunks=5) as (_, client), nothing_left(client):
        lines = [line async for line in begin(client, case).sse()]
    assert lines[-1] == b"data: [DONE]\n\n"
    for line in lines[:-1]:
        assert line.startswith(b"data: {")
        assert line.endswith(b"}\n\n")
        assert json.loads(line[6:])["object"] == "chat.completion.chunk"


@every_kind
@pytest.mark.parametrize("fault", ["cut-after-3-events", "reset-after-3-events", "error-after-3-events"])
async def test_sse_of_a_broken_stream_ends_with_an_error_and_no_done(case: Case, fault: str) -> None:
    """A browser would treat a truncated reply as complete."""
    async with slow(chunk_delay=0, fault=fault) as (_, client), nothing_left(client):  # type: ignore[arg-type]
        lines = [line async for line in begin(client, case).sse()]
    assert b"data: [DONE]\n\n" not in lines
    error = json.loads(lines[-1][6:])["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]


async def test_sse_contains_an_error_before_the_first_chunk() -> None:
    """A relay whose request was refused would send an empty response."""
    async with slow(fault="authentication") as (_, client), nothing_left(client):  # type: ignore[arg-type]
        lines = [line async for line in client.stream("openai/gpt-4o", "Hi.").sse()]
    assert len(lines) == 1
    assert json.loads(lines[0][6:])["error"]["code"] == "invalid_api_key"


# --- usage ---------------------------------------------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("requested", [False, True])
async def test_a_usage_chunk_is_delivered_only_where_it_is_requested(case: Case, requested: bool) -> None:
    """A chunk without choices would be delivered unrequested, or a requested one would be missing."""
    options = {"stream_options": {"include_usage": True}} if requested else {}
    async with slow(chunk_delay=0, chunks=5) as (_, client), nothing_left(client):
        async with client.stream(case.model, "One two three.", n=case.n, **options) as stream:
            chunks = [chunk async for chunk in stream]
        bare = [chunk for chunk in chunks if not chunk.choices]
        assert len(bare) == (1 if requested else 0)
        assert stream.usage is not None
        assert stream.usage == stream.snapshot.usage
        # Cohere counts a preamble of its own, too.
        preamble = 60 if case.model.startswith("cohere/") else 0
        assert stream.usage.prompt_tokens == (3 + preamble) * case.requests
        assert stream.usage.completion_tokens > 0
        if requested:
            assert chunks[-1].usage == stream.usage


async def test_usage_is_not_requested_where_the_caller_turned_it_off() -> None:
    """A caller's own stream options would be overwritten."""
    async with slow(chunk_delay=0, chunks=5) as (sim, client), nothing_left(client):
        async with client.stream("openai/gpt-4o", "Hi.", stream_options={"include_usage": False}) as stream:
            await stream.get_final_completion()
        assert stream.usage is None
        assert sim.requests[0].body["stream_options"] == {"include_usage": False}


# --- the format decides the end of a stream ------------------------------------------------------------------------


def raw_client(server: RawServer, **options: float) -> AsyncCompletion:
    return AsyncCompletion(base_urls={"openai": server.url}, api_keys={"openai": "key"}, **options)  # type: ignore[arg-type]


async def test_a_stream_ends_at_done_although_the_server_keeps_the_body_open() -> None:
    """A server that does not end its body would keep the caller waiting."""
    script = (REQUEST, *WHOLE[:-1], DONE, STALL)
    async with RawServer(script) as server, raw_client(server) as client, nothing_left(client):
        async with asyncio.timeout(1), client.stream("openai/m", "Hi.") as stream:
            assert (await stream.get_final_completion()).text == "Hello."
        while server.open:
            await asyncio.sleep(0.01)


async def test_a_finished_stream_releases_its_connection() -> None:
    """Every streamed call would open a new connection."""
    late = (REQUEST, *WHOLE[:-1], DONE, 0.01, END)
    async with RawServer((*late, *late, REQUEST, *WHOLE)) as server, raw_client(server) as client:
        for _ in range(3):
            async with client.stream("openai/m", "Hi.") as stream:
                assert (await stream.get_final_completion()).text == "Hello."
            await asyncio.sleep(0.03)
        assert server.connections == 1


async def test_data_after_done_is_dropped() -> None:
    """Data after the end marker would be delivered."""
    script = (REQUEST, *WHOLE[:-1], DONE + event("ghost") + END)
    async with RawServer(script) as server, raw_client(server) as client, nothing_left(client):
        assert (await client.stream("openai/m", "Hi.").get_final_completion()).text == "Hello."


async def test_a_finish_reason_without_done_is_an_end() -> None:
    """Streams of servers that send no `[DONE]` would count as interrupted."""
    script = (REQUEST, *WHOLE[:-1], END)
    async with RawServer(script) as server, raw_client(server) as client, nothing_left(client):
        assert (await client.stream("openai/m", "Hi.").get_final_completion()).text == "Hello."


@every_kind
@pytest.mark.parametrize("fault", ["cut-after-3-events", "no-finish-reason"])
async def test_a_clean_end_before_the_finish_reason_is_an_interruption(case: Case, fault: str) -> None:
    """A truncated reply would count as complete."""
    async with slow(chunk_delay=0, chunks=5, fault=fault) as (_, client), nothing_left(client):  # type: ignore[arg-type]
        async with begin(client, case) as stream:
            with pytest.raises(StreamInterruptedError) as caught:
                await stream.get_final_completion()
        assert caught.value.partial is not None
        assert isinstance(caught.value, APIConnectionError)
        assert caught.value.maybe_billed


@pytest.mark.parametrize(
    ("end", "error"),
    [
        (answer({"id": "p1", "status": "failed", "error": "CUDA out of memory"}), "CUDA out of memory"),
        (answer({"id": "p1", "status": "canceled"}), "canceled"),
        (answer({"id": "p1", "status": "succeeded", "output": "Hello.", "metrics": {"predict_time": 1}}), None),
        (answer({"detail": "gone"}, 500), None),
    ],
)
async def test_work_that_failed_after_its_stream_is_an_error(end: bytes, error: str | None) -> None:
    """A prediction that failed would look complete; its end is known only from another response than the stream."""
    script: list[Step] = []
    async with (
        RawServer(script) as server,
        AsyncCompletion(base_urls={"replicate": server.url}, api_keys={"replicate": "key"}, max_retries=0) as client,
    ):
        created = answer({"id": "p1", "status": "starting", "urls": {"stream": f"{server.url}/s1"}}, 201)
        pieces = piece(b"event: output\ndata: Hello.\n\nevent: done\ndata: {}\n\n")
        script += [REQUEST, created, REQUEST, STREAM, pieces, END, REQUEST, end]
        stream = client.stream(f"replicate/{'0' * 64}", "Hi.")
        if error is None:
            reply = await stream.get_final_completion()
            assert reply.text == "Hello."
            assert reply.extra == ({"metrics": {"predict_time": 1}} if b"metrics" in end else {})
            return
        with pytest.raises(InternalServerError, match=error) as caught:
            await stream.get_final_completion()
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Hello."


async def test_repr_shows_the_state_and_no_text() -> None:
    """A stream's repr in a log would show its text, or not its state."""
    async with slow(chunk_delay=0, chunks=5) as (_, client):
        stream = client.stream("openai/gpt-4o", "Secret words.")
        states = [repr(stream)]
        await anext(stream)
        states.append(repr(stream))
        await stream.get_final_completion()
        states.append(repr(stream))
        await stream.aclose()
        unsent = client.stream("openai/gpt-4o", "Secret words.")
        await unsent.aclose()
        states.append(repr(unsent))
    assert states == [
        f"<CompletionStream openai/gpt-4o {state}>" for state in ("not sent", "open", "finished", "closed")
    ]
