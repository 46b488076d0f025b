"""Recorded streams that are cut: never silently short, and never an error if nothing is missing."""

import msgspec
import pytest

from anycompletion import ChatCompletion, ChatCompletionChunk, CompletionStream, StreamInterruptedError
from anycompletion.testing import Recording
from conformance import traffic
from conformance.cutting import CutServer, Ending
from conformance.decoding import Decoded, decode
from conformance.replay import Replay, stream_options

pytestmark = [pytest.mark.traffic]

ENDINGS: list[Ending] = ["end", "close", "reset"]
STREAMS = traffic.streams(*traffic.FORMATS)
HANDFUL = [recording for name in traffic.FORMATS for recording in traffic.some(traffic.streams(name), 6)]


def prefix(recording: Recording, events: int) -> bytes:
    """The bytes of a stream's first `events` events."""
    return b"".join(traffic.events_of(recording)[:events])


def texts(completion: ChatCompletion) -> dict[int, str]:
    """Index of a choice → its text."""
    return {choice.index: text for choice, text in zip(completion.choices, completion.texts, strict=True)}


def choices_of(completion: ChatCompletion) -> list[object]:
    """The content and finish reason of each choice."""
    return [(choice.index, choice.message, choice.finish_reason) for choice in completion.choices]


def complete_reply(recording: Recording) -> ChatCompletion:
    """The reply of the complete stream."""
    return decode(recording, traffic.events_of(recording)).completion()


def finish(recording: Recording) -> int:
    """Number of events up to the finish reason."""
    count = traffic.events_until_finished(recording)
    assert count is not None, "the stream is complete"
    return count


def first_chunk(recording: Recording) -> int:
    """Number of events up to the first chunk; some servers begin with comments or pings."""
    return next(
        count for count in range(1, finish(recording) + 1) if decode(recording, [prefix(recording, count)]).chunks
    )


def places(start: int, stop: int, count: int) -> list[int]:
    """About `count` numbers of a range, including the first and last ones."""
    every = range(start, stop)
    return sorted({*every[:3], *every[:: max(1, len(every) // count)], *every[-3:]})


# --- the decoder, cut at many events ----------------------------------------------------------------------------------


@pytest.mark.parametrize("recording", traffic.each(STREAMS))
def test_a_stream_cut_before_its_finish_reason_is_interrupted(recording: Recording) -> None:
    """A partial reply would look complete, or would contain text that the complete one does not."""
    complete = texts(complete_reply(recording))
    for events in places(0, finish(recording), 25):
        decoded = decode(recording, [prefix(recording, events)])
        assert type(decoded.error) is StreamInterruptedError, f"after {events} events"
        assert all(complete[index].startswith(text) for index, text in texts(decoded.completion()).items())


@pytest.mark.parametrize("recording", traffic.each(STREAMS))
def test_a_stream_cut_after_its_finish_reason_is_complete(recording: Recording) -> None:
    """Streams of servers without an end marker would raise at their end."""
    complete = choices_of(complete_reply(recording))
    for events in range(traffic.events_until_complete(recording), len(traffic.events_of(recording)) + 1):
        decoded = decode(recording, [prefix(recording, events)])
        assert decoded.error is None, f"after {events} events"
        assert choices_of(decoded.completion()) == complete


@pytest.mark.parametrize("recording", traffic.each(STREAMS))
def test_a_stream_cut_inside_its_last_needed_event_is_interrupted(recording: Recording) -> None:
    """A partial finish reason would count."""
    events = finish(recording)
    start, stop = len(prefix(recording, events - 1)), len(prefix(recording, events))
    for at in places(start, stop - 1, 40):
        assert type(decode(recording, [recording.body[:at]]).error) is StreamInterruptedError, f"after {at} bytes"


# --- through the client -----------------------------------------------------------------------------------------------


def stream_from(replay: Replay, server: CutServer, recording: Recording) -> CompletionStream:
    """The client's stream of what a server sends."""
    options = {**replay.options(recording), "base_url": server.url}
    return replay.client.stream(traffic.model_of(recording), "Hello", **stream_options(recording), **options)


async def read(stream: CompletionStream, server: CutServer, expected: Decoded) -> list[ChatCompletionChunk]:
    """Reads the chunks of the events that were sent, then lets the server end the response.

    A chunk to which the provider gave no time has none here either.
    """
    sent = [chunk for chunk in expected.chunks if chunk.choices or chunk.usage is None]
    chunks = [msgspec.structs.replace(await anext(stream), created=chunk.created) for chunk in sent]
    server.everything_read.set()
    return chunks


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("recording", traffic.each(r for r in HANDFUL if first_chunk(r) < finish(r)))
async def test_a_cut_stream_raises_with_the_partial_reply(
    replay: Replay, recording: Recording, share: float, ending: Ending
) -> None:
    """A program would get a partial reply without an error, or lose the part that arrived."""
    events = max(first_chunk(recording), int(share * (finish(recording) - 1)))
    body = prefix(recording, events)
    expected = decode(recording, [body])
    async with CutServer(body, ending, recording.framing) as server, stream_from(replay, server, recording) as stream:
        assert await read(stream, server, expected) == expected.chunks
        with pytest.raises(StreamInterruptedError) as caught:
            await stream.get_final_completion()
    partial, completion = caught.value.partial, expected.completion()
    assert partial is not None
    assert partial.created
    completion.created = completion.created or partial.created
    assert partial == completion
    assert complete_reply(recording).text.startswith(completion.text)


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("recording", traffic.each(HANDFUL))
async def test_an_empty_stream_raises(replay: Replay, recording: Recording) -> None:
    """A stream without events would be an empty reply."""
    async with CutServer(b"", "end", recording.framing) as server:
        stream = stream_from(replay, server, recording)
        with pytest.raises(StreamInterruptedError) as caught:
            await stream.get_final_completion()
    assert caught.value.partial is not None
    assert caught.value.partial.text == ""


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("recording", traffic.each(HANDFUL))
async def test_a_stream_without_its_end_marker_is_complete(
    replay: Replay, recording: Recording, ending: Ending
) -> None:
    """A complete reply would raise."""
    body = prefix(recording, traffic.events_until_complete(recording))
    async with CutServer(body, ending, recording.framing) as server, stream_from(replay, server, recording) as stream:
        await read(stream, server, decode(recording, [body]))
        completion = await stream.get_final_completion()
    assert choices_of(completion) == choices_of(complete_reply(recording))
