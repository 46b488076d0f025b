"""Recorded streams that stop too early: never silently short, and never taken for broken when nothing is missing."""

import pytest

from anycompletion import ChatCompletion, ChatCompletionChunk, CompletionStream, StreamInterruptedError
from anycompletion.testing import Recording
from conformance import traffic
from conformance.cutting import CutServer, Ending
from conformance.decoding import Decoded, decode
from conformance.replay import Replay, model_of, stream_options

pytestmark = [pytest.mark.traffic]

ENDINGS: list[Ending] = ["end", "close", "reset"]
STREAMS = traffic.streams(*traffic.FORMATS)
HANDFUL = [recording for name in traffic.FORMATS for recording in traffic.some(traffic.streams(name), 6)]


def prefix(recording: Recording, events: int) -> bytes:
    """The first so many events of a stream."""
    return b"".join(traffic.events_of(recording)[:events])


def texts(completion: ChatCompletion) -> dict[int, str]:
    """What each choice says."""
    return {choice.index: text for choice, text in zip(completion.choices, completion.texts, strict=True)}


def said(completion: ChatCompletion) -> list[object]:
    """What each choice says, calls, and why it stopped."""
    return [(choice.index, choice.message, choice.finish_reason) for choice in completion.choices]


def whole(recording: Recording) -> ChatCompletion:
    """The reply of the whole stream."""
    return decode(recording, [recording.body]).completion()


def finish(recording: Recording) -> int:
    """How many events it takes until the provider has said why it stopped."""
    count = traffic.events_until_finished(recording)
    assert count is not None, "asked of whole streams only"
    return count


def first_chunk(recording: Recording) -> int:
    """How many events it takes until there is anything to hand out; some servers begin with comments or pings."""
    return next(
        count for count in range(1, finish(recording) + 1) if decode(recording, [prefix(recording, count)]).chunks
    )


def places(start: int, stop: int, count: int) -> list[int]:
    """About so many numbers of a range, the first and the last ones among them."""
    every = range(start, stop)
    return sorted({*every[:3], *every[:: max(1, len(every) // count)], *every[-3:]})


# --- the pure decoder, at many events -----------------------------------------------------------------------------


@pytest.mark.parametrize("recording", traffic.each(STREAMS))
def test_a_stream_cut_before_its_finish_reason_is_interrupted(recording: Recording) -> None:
    """Half an answer would be taken for a whole one, or hold something the whole one does not."""
    complete = texts(whole(recording))
    for events in places(0, finish(recording), 25):
        decoded = decode(recording, [prefix(recording, events)])
        assert type(decoded.error) is StreamInterruptedError, f"after {events} events"
        assert all(complete[index].startswith(text) for index, text in texts(decoded.completion()).items())


@pytest.mark.parametrize("recording", traffic.each(STREAMS))
def test_a_stream_cut_after_its_finish_reason_is_whole(recording: Recording) -> None:
    """Servers that leave out the end marker would seem to fail at the very end of each answer."""
    complete = said(whole(recording))
    for events in range(traffic.events_until_all_is_said(recording), len(traffic.events_of(recording)) + 1):
        decoded = decode(recording, [prefix(recording, events)])
        assert decoded.error is None, f"after {events} events"
        assert said(decoded.completion()) == complete


@pytest.mark.parametrize("recording", traffic.each(STREAMS))
def test_a_stream_cut_inside_its_last_needed_event_is_interrupted(recording: Recording) -> None:
    """A finish reason that arrived in part would count as one."""
    events = finish(recording)
    start, stop = len(prefix(recording, events - 1)), len(prefix(recording, events))
    for at in places(start, stop - 1, 40):
        assert type(decode(recording, [recording.body[:at]]).error) is StreamInterruptedError, f"after {at} bytes"


# --- through the client -------------------------------------------------------------------------------------------


def stream_from(replay: Replay, server: CutServer, recording: Recording) -> CompletionStream:
    """The client's stream of what a server sends."""
    options = {**replay.options(recording), "base_url": server.url}
    return replay.client.stream(model_of(recording), "Hello", **stream_options(recording), **options)


async def read(stream: CompletionStream, server: CutServer, expected: Decoded) -> list[ChatCompletionChunk]:
    """As many chunks as the events make, without what a decoder holds back until the end; then that may come."""
    chunks = [await anext(stream) for chunk in expected.chunks if chunk.choices or chunk.usage is None]
    server.everything_read.set()
    return chunks


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("recording", traffic.each(r for r in HANDFUL if first_chunk(r) < finish(r)))
async def test_a_cut_answer_raises_with_all_that_arrived(
    replay: Replay, recording: Recording, share: float, ending: Ending
) -> None:
    """A caller would get half an answer without a word, or lose the half that arrived."""
    events = max(first_chunk(recording), int(share * (finish(recording) - 1)))
    body = prefix(recording, events)
    expected = decode(recording, [body])
    async with CutServer(body, ending) as server, stream_from(replay, server, recording) as stream:
        assert await read(stream, server, expected) == expected.chunks
        with pytest.raises(StreamInterruptedError) as caught:
            await stream.get_final_completion()
    assert caught.value.partial == expected.completion()
    assert whole(recording).text.startswith(expected.completion().text)


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("recording", traffic.each(HANDFUL))
async def test_an_empty_answer_raises(replay: Replay, recording: Recording) -> None:
    """A stream without any event would be an empty answer."""
    async with CutServer(b"", "end") as server:
        stream = stream_from(replay, server, recording)
        with pytest.raises(StreamInterruptedError) as caught:
            await stream.get_final_completion()
    assert caught.value.partial is not None
    assert caught.value.partial.text == ""


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("recording", traffic.each(HANDFUL))
async def test_an_answer_that_only_lacks_its_end_marker_is_whole(
    replay: Replay, recording: Recording, ending: Ending
) -> None:
    """An answer of which nothing is missing would be thrown away."""
    body = prefix(recording, traffic.events_until_all_is_said(recording))
    async with CutServer(body, ending) as server, stream_from(replay, server, recording) as stream:
        await read(stream, server, decode(recording, [body]))
        completion = await stream.get_final_completion()
    assert said(completion) == said(whole(recording))
