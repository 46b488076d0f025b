"""Parser of server-sent events: any bytes, limits and time. The conformance tests cover single streams."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anycompletion.codecs.sse import MAX_EMPTY, Event, SSEParser
from anycompletion.errors import APIResponseError
from support.sse_cases import BOM, UNFINISHED


def events(pieces: Iterable[bytes]) -> list[Event]:
    parser = SSEParser()
    out = [event for piece in pieces for event in parser.feed(piece)]
    assert parser.error is None
    return out


def split(data: bytes, *places: int) -> list[bytes]:
    return [data[a:b] for a, b in itertools.pairwise((0, *places, len(data)))]


PIECES = st.lists(
    st.sampled_from([b"data: a", b"data:b", b"data", b"event: e", b"event:", b":c", b"id: 1", b"x: y", b"\n", b"\r"])
    | st.sampled_from([b"\n\n", b"\r\n", b"\r\r", b" ", BOM, b"\xff"]),
    max_size=14,
)


@settings(max_examples=400, derandomize=True, deadline=None)
@given(PIECES, st.data())
def test_any_bytes_split_anywhere(pieces: list[bytes], data: st.DataObject) -> None:
    """Some sequence of lines would give other events when split."""
    body = b"".join(pieces)
    places = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    assert events(split(body, *places)) == events([body]) == reference(body)


def reference(body: bytes) -> list[Event]:
    """The standard's algorithm, applied to the whole body."""
    lines = body.removeprefix(BOM).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")[:-1]
    out: list[Event] = []
    data: list[bytes] = []
    name = ""
    for line in lines:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not line:
            if data:
                out.append(Event(b"\n".join(data), name))
            data, name = [], ""
        elif field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    return out


# --- the end of the body ---


@pytest.mark.parametrize("name", UNFINISHED)
def test_the_end_of_the_body_completes_whole_json_only(name: str) -> None:
    """The last chunk of a server that omits the last blank line would be lost, or half an event would count."""
    end, expected = UNFINISHED[name]
    body = f"data: first\n\n{end}".encode()
    for place in range(len(body) + 1):
        parser = SSEParser()
        found = [event for part in split(body, place) for event in parser.feed(part)]
        found += parser.finish()
        seen = [(event.name, event.data.decode()) if event.name else event.data.decode() for event in found]
        assert seen == ["first", *expected], place
        assert parser.finish() == []
        assert parser.error is None


def test_the_end_of_the_body_after_a_long_event() -> None:
    """An event that was refused would be returned at the end."""
    parser = SSEParser(LIMIT)
    assert parser.feed(b"data: {" + b" " * LIMIT + b"}") == []
    assert parser.finish() == []


# --- limits ---

LIMIT = 32
FULL = b"data: " + b"x" * (LIMIT - 6)

WITHIN = {
    "one line": FULL + b"\n\n",
    "two lines": b"data: " + b"x" * 10 + b"\ndata: " + b"y" * 10 + b"\n\n",
    "two events": (FULL + b"\n\n") * 2,
    "crlf": FULL + b"\r\n\r\n",
    "with a name": b"event: " + b"e" * (LIMIT - 7) + b"\ndata: x\n\n",
    "with comments": (b":" + b"c" * (LIMIT - 1) + b"\n") * 3 + FULL + b"\n\n",
    "comments without end": b": keep\n" * 50 + b"data: x\n\n",
    "with ids": b"data: x\n" + b"id: 1\n" * 20 + b"\n",
}
BEYOND = {
    "one line": FULL + b"x\n\n",
    "one line without end": FULL + b"x",
    "two lines": b"data: " + b"x" * 10 + b"\ndata: " + b"y" * 11 + b"\n\n",
    "many empty lines of data": b"data\n" * 9,
    "a comment": b":" + b"c" * LIMIT + b"\n",
    "an unknown field": b"data: x\n" + b"f" * (LIMIT - 6) + b"\n",
    "a name": b"event: " + b"e" * (LIMIT - 6) + b"\n",
    "crlf": FULL + b"x\r\n\r\n",
}


def limited(pieces: Iterable[bytes]) -> tuple[list[bytes], bool]:
    parser = SSEParser(LIMIT)
    out = [event.data for piece in pieces for event in parser.feed(piece)]
    return out, parser.error is not None


@pytest.mark.parametrize("name", WITHIN)
def test_within_the_limit(name: str) -> None:
    """A valid event would be refused, for some ends of a read or always."""
    body = WITHIN[name]
    expected = [event.data for event in reference(body)]
    assert expected
    for place in range(len(body) + 1):
        assert limited(split(body, place)) == (expected, False), place


@pytest.mark.parametrize("name", BEYOND)
def test_beyond_the_limit(name: str) -> None:
    """A hostile server could fill the memory, or events before the long one would be lost."""
    body = b"data: first\n\n" + BEYOND[name] + b"\n\ndata: after\n\n"
    for place in range(len(body) + 1):
        assert limited(split(body, place)) == ([b"first"], True), place


def test_the_error_of_a_long_event() -> None:
    """The caller would not see the cause."""
    parser = SSEParser(LIMIT)
    assert parser.feed(b"data: first\n\n" + FULL + b"x") == [Event(b"first")]
    assert isinstance(parser.error, APIResponseError)
    assert str(parser.error) == "an event of the stream is longer than 32 bytes"
    assert parser.feed(b"\n\ndata: y\n\n") == []


# --- time ---


def seconds(pieces: Iterable[bytes], limit: int = 1 << 40) -> float:
    parser = SSEParser(limit)
    start = time.process_time()
    for piece in pieces:
        parser.feed(piece)
    return time.process_time() - start


def test_linear_time() -> None:
    """A long line, a long event or many small reads would block the event loop for seconds."""
    kib = b"x" * 1024
    shapes: tuple[Iterable[bytes], ...] = (
        [b"data: ", *[kib] * 16_000, b"\n\n"],
        [b"data: x\n" * 250_000 + b"\n"],
        [b"data: x\n\n" * 100_000],
        [b"event: a\ndata: x\n\n" * 100_000],
        [b"\r" * 1_000_000],
        [b"\n" * 1_000_000],
        [b": keep-alive\n\n" * 100_000],
        (b"x" for _ in range(80_000)),
        [b'{"a": 1}\n' * 100_000],
        [b'{"a":}\n' * 100_000],
        [b'data: {"a": "' + kib * 1000 + b"}\n" + b'{"a": 1}\n' * 100_000],
        itertools.chain([b"event: a\n"], (b"data: x\n" for _ in range(80_000))),
    )
    assert [spent for spent in map(seconds, shapes) if spent > 2] == []


EMPTY = [b": ping\n\n", b":\n", b"\n", b"id: 1\n", b"event: a\n\n", b"retry: 1\r\n"]


@pytest.mark.parametrize("line", EMPTY)
def test_lines_without_an_event_are_bounded(line: bytes) -> None:
    """A server could hold a reader for ever, whatever timeout there is for silence."""
    parser = SSEParser()
    for _ in range(3):
        for _ in range(MAX_EMPTY // 2 - 10):
            assert parser.feed(line) == []
        assert [event.data for event in parser.feed(b"data: {}\n\n")] == [b"{}"]
        assert parser.error is None
    for _ in range(MAX_EMPTY + 1):
        parser.feed(line)
    assert isinstance(parser.error, APIResponseError)
    assert parser.feed(b"data: {}\n\n") == []


def test_an_event_may_have_many_lines() -> None:
    """The lines of one large event would count as lines without an event."""
    parser = SSEParser()
    for _ in range(3 * MAX_EMPTY):
        assert parser.feed(b"data: a\n") == []
    assert len(parser.feed(b"\n")) == 1
