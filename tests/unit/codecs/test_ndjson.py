"""Parser of newline-delimited JSON: any bytes, cut anywhere, limits and time."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anycompletion.codecs.ndjson import NDJSONParser
from anycompletion.codecs.sse import MAX_EMPTY
from anycompletion.errors import APIResponseError

CASES: dict[str, tuple[bytes, list[bytes]]] = {
    "nothing": (b"", []),
    "one line": (b'{"a":1}\n', [b'{"a":1}']),
    "two lines": (b'{"a":1}\n{"b":2}\n', [b'{"a":1}', b'{"b":2}']),
    "carriage returns": (b'{"a":1}\r\n{"b":2}\r\n', [b'{"a":1}', b'{"b":2}']),
    "empty lines": (b'\n\r\n{"a":1}\n\n \t\n{"b":2}\n\n', [b'{"a":1}', b'{"b":2}']),
    "spaces around": (b' {"a":1} \n', [b' {"a":1} ']),
    "a newline in a text": (b'{"a":"x\\ny"}\n', [b'{"a":"x\\ny"}']),
    "other line separators": ('{"a":"x\u2028\x0b\x85y"}\n'.encode(), ['{"a":"x\u2028\x0b\x85y"}'.encode()]),
    "characters of several bytes": ('{"a":"é🎉"}\n'.encode(), ['{"a":"é🎉"}'.encode()]),
    "a byte-order mark": (b'\xef\xbb\xbf{"a":1}\n', [b'\xef\xbb\xbf{"a":1}']),
    "no JSON": (b"oops\n", [b"oops"]),
    "a lone carriage return": (b'{"a":\r1}\n', [b'{"a":\r1}']),
    "without its end": (b'{"a":1}\n{"b":', [b'{"a":1}']),
}


def events(pieces: Iterable[bytes]) -> list[bytes]:
    parser = NDJSONParser()
    found = [event.data for piece in pieces for event in parser.feed(piece)]
    assert parser.error is None
    return found


def split(data: bytes, *places: int) -> list[bytes]:
    return [data[start:stop] for start, stop in itertools.pairwise((0, *places, len(data)))]


@pytest.mark.parametrize("name", CASES)
def test_a_line_is_an_event_at_every_cut(name: str) -> None:
    """A line would be lost, changed or invented where a read ends inside it."""
    body, expected = CASES[name]
    assert events([body]) == expected
    assert events(body[at : at + 1] for at in range(len(body))) == expected
    for places in itertools.combinations_with_replacement(range(len(body) + 1), 2):
        assert events(split(body, *places)) == expected, places


PIECES = st.lists(
    st.sampled_from([b'{"a":1}', b'{"b":', b"x", b"\n", b"\n\n", b"\r\n", b"\r", b" ", b"\xff"]), max_size=14
)


@settings(max_examples=400, derandomize=True, deadline=None)
@given(PIECES, st.data())
def test_any_bytes_split_anywhere(pieces: list[bytes], data: st.DataObject) -> None:
    """Some sequence of lines would give other events when split."""
    body = b"".join(pieces)
    places = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    lines = [line.removesuffix(b"\r") for line in body.split(b"\n")[:-1] if line.strip()]
    assert events(split(body, *places)) == events([body]) == lines


# --- the end of the body ---

UNFINISHED: dict[bytes, list[bytes]] = {
    b"": [],
    b" \r": [],
    b'{"b":2}': [b'{"b":2}'],
    b' {"b":2}\r': [b'{"b":2}'],
    b'{"b":2': [],
    b'{"b":2}{"c"': [],
    b"oops": [],
}
"""End of a body → the events that it completes."""


@pytest.mark.parametrize("end", UNFINISHED)
def test_the_end_of_the_body_completes_whole_json_only(end: bytes) -> None:
    """The last line of a server that omits its end would be lost, or half a line would count."""
    body = b'{"a":1}\n' + end
    for place in range(len(body) + 1):
        parser = NDJSONParser()
        found = [event.data for part in split(body, place) for event in parser.feed(part)]
        found += [event.data for event in parser.finish()]
        assert found == [b'{"a":1}', *UNFINISHED[end]], place
        assert parser.finish() == []
        assert parser.error is None


# --- limits ---


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_longer_than_the_limit_is_an_error(size: int, end: bytes) -> None:
    """A line without an end would fill the memory, or the lines before it would be lost."""
    body = b'{"a":1}\n' + b"x" * 21 + end
    parser = NDJSONParser(limit=20)
    found = [event.data for at in range(0, len(body), size) for event in parser.feed(body[at : at + size])]
    assert found == [b'{"a":1}']
    assert isinstance(parser.error, APIResponseError)
    assert "longer than 20 bytes" in str(parser.error)
    assert parser.feed(b'{"b":2}\n') == parser.finish() == []


def test_a_line_of_the_limit_is_an_event() -> None:
    """The limit would be another one than documented."""
    parser = NDJSONParser(limit=20)
    assert [event.data for event in parser.feed(b"x" * 20 + b"\n")] == [b"x" * 20]
    assert parser.error is None


def test_empty_lines_without_end_are_an_error() -> None:
    """A server could hold a reader for ever."""
    parser = NDJSONParser()
    for _ in range(MAX_EMPTY):
        assert parser.feed(b"\n") == []
    assert parser.error is None
    parser.feed(b"\n")
    assert isinstance(parser.error, APIResponseError)


def test_the_time_grows_with_the_size_only() -> None:
    """A long line in small reads would take minutes."""

    def seconds(size: int) -> float:
        started = time.process_time()
        parser = NDJSONParser()
        for _ in range(size // 16):
            parser.feed(b"x" * 16)
        assert len(parser.feed(b"\n")) == 1
        return time.process_time() - started

    small, large = (min(seconds(size) for _ in range(3)) for size in (200_000, 1_600_000))
    assert large < 40 * small
