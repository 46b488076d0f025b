"""Every recorded stream through the decoders, cut at any place, and every chunk compared with its event."""

import pickle
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anycompletion import ChatCompletionChunk
from anycompletion.testing import Recording
from conformance import traffic
from conformance.decoding import decode

pytestmark = pytest.mark.traffic

STREAMS = traffic.streams(*traffic.FORMATS)
EVENT_STREAMS = traffic.event_streams(*traffic.FORMATS)


@pytest.mark.parametrize("recording", traffic.each(EVENT_STREAMS))
@settings(max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_chunks_do_not_depend_on_how_the_bytes_are_cut(recording: Recording, data: st.DataObject) -> None:
    """The same stream would be decoded differently over another network."""
    body = recording.body
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=40).map(sorted))
    pieces = [body[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert decode(recording, pieces).shown() == decode(recording, [body]).shown()


@pytest.mark.parametrize("recording", traffic.each(EVENT_STREAMS))
def test_chunks_are_the_same_one_byte_at_a_time(recording: Recording) -> None:
    """An event that is cut at some place would be decoded wrongly."""
    body = recording.body
    single = [body[at : at + 1] for at in range(len(body))]
    assert decode(recording, single).shown() == decode(recording, [body]).shown()


@pytest.mark.parametrize("recording", traffic.each(r for r in STREAMS if r.framing == "sse"))
def test_chunks_are_the_same_with_other_line_ends(recording: Recording) -> None:
    """A stream with other standard line ends would be decoded differently."""
    expected = decode(recording, [recording.body]).shown()
    for end in (b"\r\n", b"\r"):
        body = recording.body.replace(b"\r\n", b"\n").replace(b"\n", end)
        assert decode(recording, [body]).shown() == expected
        assert decode(recording, [body[at : at + 1] for at in range(len(body))]).shown() == expected


# --- raw --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recording", traffic.each(EVENT_STREAMS))
def test_raw_is_the_events_data_and_is_pickled(recording: Recording) -> None:
    """A provider's own members would be missing or changed, or lost in a pickle."""
    chunks = decode(recording, [recording.body]).chunks
    events = iter(traffic.data_of(recording))
    at: Any = None
    for chunk in chunks:
        at = at if chunk.raw == at else next((event for event in events if event == chunk.raw), None)
        assert at is not None, f"no event, or none in this place, has the data {chunk.raw!r}"
        copy: ChatCompletionChunk = pickle.loads(pickle.dumps(chunk))  # noqa: S301 (bytes of this process)
        assert copy.raw == chunk.raw
        assert copy == chunk


@pytest.mark.parametrize("recording", traffic.each(traffic.streams(traffic.OPENAI)))
def test_every_event_in_openais_format_makes_one_chunk(recording: Recording) -> None:
    """An event would have no chunk, or a chunk no event."""
    events = traffic.data_of(recording)
    chunks = decode(recording, [recording.body]).chunks
    assert [chunk.raw for chunk in chunks] == [event for event in events if event is not None]


def pieces_in(chunk: ChatCompletionChunk) -> list[str]:
    """The pieces of text, thinking, signature and arguments that a chunk adds."""
    pieces: list[str | None] = []
    for choice in chunk.choices:
        delta = choice.delta
        calls = [call.function.arguments for call in delta.tool_calls or () if call.function is not None]
        signatures = [block.get("signature") for block in delta.thinking_blocks or ()]
        pieces += [delta.content, delta.reasoning_content, *signatures, *calls]
    return [piece for piece in pieces if piece]


def pieces_of(event: Any) -> list[str]:
    """The pieces that an event of Anthropic's adds to the reply."""
    delta = event.get("delta") or event.get("content_block") or {}
    return [delta[name] for name in ("text", "thinking", "signature", "partial_json") if delta.get(name)]


@pytest.mark.parametrize("recording", traffic.each(traffic.streams(traffic.ANTHROPIC)))
def test_a_chunk_of_anthropic_has_the_pieces_of_its_raw(recording: Recording) -> None:
    """A chunk would have another event's data as `raw`."""
    chunks = decode(recording, [recording.body]).chunks
    with_pieces = [chunk for chunk in chunks if pieces_in(chunk) and chunk.raw["type"] != "content_block_stop"]
    assert [pieces_in(chunk) for chunk in with_pieces] == [pieces_of(chunk.raw) for chunk in with_pieces]


@pytest.mark.parametrize("recording", traffic.each(traffic.streams(traffic.ANTHROPIC)))
def test_every_piece_of_anthropic_makes_one_chunk(recording: Recording) -> None:
    """A piece of text or thinking would be lost or repeated."""
    events = traffic.data_of(recording)
    kinds = ("text_delta", "thinking_delta", "signature_delta")
    wanted = [event for event in events if (event.get("delta") or {}).get("type") in kinds and pieces_of(event)]
    chunks = decode(recording, [recording.body]).chunks
    assert [chunk.raw for chunk in chunks if (chunk.raw.get("delta") or {}).get("type") in kinds] == wanted
