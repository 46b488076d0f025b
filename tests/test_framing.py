"""Framing: the WHATWG rules for event streams, however the bytes are cut."""

import itertools
import time
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anycompletion.errors import APIResponseError
from anycompletion.framing import MAX_EVENT, SSEFraming
from anycompletion.wire import Event

BOM = b"\xef\xbb\xbf"

CASES: dict[str, tuple[bytes, list[bytes | tuple[bytes, str]]]] = {
    # line ends
    "lf": (b"data: one\n\ndata: two\n\n", [b"one", b"two"]),
    "crlf": (b"data: one\r\n\r\ndata: two\r\n\r\n", [b"one", b"two"]),
    "cr": (b"data: one\r\rdata: two\r\r", [b"one", b"two"]),
    "lf then cr": (b"data: one\n\rdata: two\r\n\r\n", [b"one", b"two"]),
    "crlf then cr": (b"data: one\r\n\rdata: two\n\n", [b"one", b"two"]),
    "cr then crlf": (b"data: one\r\r\ndata: two\r\r\n", [b"one", b"two"]),
    "every line another end": (b"event: a\rdata: 1\ndata: 2\r\n\ndata: 3\r\r", [(b"1\n2", "a"), b"3"]),
    "crlf is one end, not two": (b"data: a\r\ndata: b\r\n\r\n", [b"a\nb"]),
    "lf cr is two ends": (b"data: a\n\rdata: b\n\n", [b"a", b"b"]),
    # byte-order marks
    "a mark": (BOM + b"data: x\n\n", [b"x"]),
    "a mark alone": (BOM, []),
    "a mark before a comment": (BOM + b": hi\n\ndata: x\n\n", [b"x"]),
    "a mark before a blank line": (BOM + b"\n\ndata: x\n\n", [b"x"]),
    "half a mark is no mark": (b"\xef\xbbdata: x\n\ndata: y\n\n", [b"y"]),
    "the second mark spoils the field's name": (BOM + BOM + b"data: x\n\ndata: y\n\n", [b"y"]),
    "a later mark is data": (b"data: " + BOM + b"x\n\n", [BOM + b"x"]),
    # fields
    "no space": (b"data:x\n\n", [b"x"]),
    "one space is dropped, the next is kept": (b"data:   x \n\n", [b"  x "]),
    "a tab is kept": (b"data:\tx\n\n", [b"\tx"]),
    "colons in the value": (b'data: {"u": "http://h:1"}\n\n', [b'{"u": "http://h:1"}']),
    "only the first colon counts": (b"data::x\n\n", [b":x"]),
    "several lines of data": (b"data: a\ndata:\ndata: c\n\n", [b"a\n\nc"]),
    "an empty value": (b"data:\n\ndata: \n\n", [b"", b""]),
    "a field without a colon": (b"data\n\ndata\ndata\n\n", [b"", b"\n"]),
    "names are case-sensitive": (b"DATA: no\nData: no\ndata: x\n\n", [b"x"]),
    "a space before the name makes another field": (b" data: no\ndata: x\n\n", [b"x"]),
    "a longer name is another field": (b"data2: no\ndatax\ndata: x\n\n", [b"x"]),
    "unknown fields": (b"foo: bar\nfoo\ndata: x\n: c\nbar:\n\n", [b"x"]),
    "id and retry": (b"id: 7\nretry: 500\ndata: x\n\nid\nretry: soon\ndata: y\n\n", [b"x", b"y"]),
    # names
    "a name": (b"event: ping\ndata: x\n\n", [(b"x", "ping")]),
    "the name after the data": (b"data: x\nevent: error\n\n", [(b"x", "error")]),
    "the last name counts": (b"event: a\nevent: b\ndata: x\n\n", [(b"x", "b")]),
    "a name holds for one event": (b"event: a\ndata: x\n\ndata: y\n\n", [(b"x", "a"), b"y"]),
    "a name without data is forgotten": (b"event: a\n\ndata: x\n\n", [b"x"]),
    "an empty name": (b"event:\ndata: x\n\n", [b"x"]),
    "a name of no UTF-8": (b"event: \xff\ndata: x\n\n", [(b"x", "\ufffd")]),
    "many named events": (b"event: a\ndata: 1\n\n" * 5, [(b"1", "a")] * 5),
    # comments and blank lines
    "a comment": (b": keep-alive\n\ndata: x\n\n", [b"x"]),
    "an empty comment": (b":\n\n:\n:\ndata: x\n\n", [b"x"]),
    "a comment within an event": (b"data: a\n: data: no\ndata: b\n\n", [b"a\nb"]),
    "a comment right after an event's data": (b"data: a\n:\n\ndata: b\n\n", [b"a", b"b"]),
    "blank lines first": (b"\n\r\n\r\n\ndata: x\n\n", [b"x"]),
    "many blank lines": (b"data: x\n\n\n\n\n\ndata: y\n\n\n", [b"x", b"y"]),
    "an odd number of blank lines": (b"data: x\n\n\ndata: y\n\n", [b"x", b"y"]),
    "blocks without data": (b"id: 1\nretry: 9\n\nevent: a\n\nfoo\n\ndata: x\n\n", [b"x"]),
    # what data may hold
    "what str.splitlines would cut": (
        "data: a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\x1dh\x1ei\n\n".encode(),
        ["a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\x1dh\x1ei".encode()],
    ),
    "nul": (b"data: a\0b\n\n", [b"a\0b"]),
    "four bytes of one character": ("data: \U0001f600\n\n".encode(), ["\U0001f600".encode()]),
    "no utf-8": (b"data: a\xff\xe2\x82\n\n", [b"a\xff\xe2\x82"]),
    "a backslash n is no line end": (b'data: "a\\nb"\n\n', [b'"a\\nb"']),
    # the end of the body
    "nothing": (b"", []),
    "an event without its blank line": (b"data: x\n\ndata: cut\n", [b"x"]),
    "an event without its line end": (b"data: x\n\ndata: cut", [b"x"]),
    "a field cut in its name": (b"data: x\n\nda", [b"x"]),
    "an event cut before the second half of its crlf": (b"data: x\r\n\r", [b"x"]),
    "a lone cr at the end": (b"data: x\r", []),
    "done": (b'data: {"a": 1}\n\ndata: [DONE]\n\n', [b'{"a": 1}', b"[DONE]"]),
}


def events(pieces: Iterable[bytes]) -> list[Event]:
    framing = SSEFraming()
    out = [event for piece in pieces for event in framing.feed(piece)]
    assert framing.fault is None
    return out


def cut(data: bytes, *places: int) -> list[bytes]:
    return [data[a:b] for a, b in itertools.pairwise((0, *places, len(data)))]


def wanted(name: str) -> list[Event]:
    return [Event(*item) if isinstance(item, tuple) else Event(item) for item in CASES[name][1]]


@pytest.mark.parametrize("name", CASES)
def test_in_one_piece(name: str):
    """An event would be lost, invented or changed."""
    assert events([CASES[name][0]]) == wanted(name)


@pytest.mark.parametrize("name", CASES)
def test_byte_by_byte(name: str):
    """An event would change with the size of the reads."""
    data = CASES[name][0]
    assert events(data[i : i + 1] for i in range(len(data))) == wanted(name)


@pytest.mark.parametrize("name", CASES)
def test_at_every_cut(name: str):
    """An event would change with where a read happens to end."""
    data, expected = CASES[name][0], wanted(name)
    for place in range(len(data) + 1):
        assert events(cut(data, place)) == expected, place


@pytest.mark.parametrize("name", [name for name, (data, _) in CASES.items() if len(data) <= 40])
def test_at_every_pair_of_cuts(name: str):
    """A read of one or two bytes between two others would change an event."""
    data, expected = CASES[name][0], wanted(name)
    for places in itertools.combinations_with_replacement(range(len(data) + 1), 2):
        assert events(cut(data, *places)) == expected, places


def test_enough_cases():
    """The table above could shrink unseen."""
    assert len(CASES) >= 50


PIECES = st.lists(
    st.sampled_from([b"data: a", b"data:b", b"data", b"event: e", b"event:", b":c", b"id: 1", b"x: y", b"\n", b"\r"])
    | st.sampled_from([b"\n\n", b"\r\n", b"\r\r", b" ", BOM, b"\xff"]),
    max_size=14,
)


@settings(max_examples=400, derandomize=True, deadline=None)
@given(PIECES, st.data())
def test_any_bytes_at_any_cuts(pieces: list[bytes], data: st.DataObject):
    """Some sequence of lines would read differently when cut."""
    body = b"".join(pieces)
    places = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    assert events(cut(body, *places)) == events([body]) == reference(body)


def reference(body: bytes) -> list[Event]:
    """The rules as the standard tells them, on the whole body."""
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
    framing = SSEFraming(LIMIT)
    out = [event.data for piece in pieces for event in framing.feed(piece)]
    return out, framing.fault is not None


@pytest.mark.parametrize("name", WITHIN)
def test_within_the_limit(name: str):
    """A legal event would be refused, or refused only where a read happens to end."""
    body = WITHIN[name]
    expected = [event.data for event in reference(body)]
    assert expected
    for place in range(len(body) + 1):
        assert limited(cut(body, place)) == (expected, False), place


@pytest.mark.parametrize("name", BEYOND)
def test_beyond_the_limit(name: str):
    """A hostile server could fill the memory, or events before the fault would be lost."""
    body = b"data: first\n\n" + BEYOND[name] + b"\n\ndata: after\n\n"
    for place in range(len(body) + 1):
        assert limited(cut(body, place)) == ([b"first"], True), place


def test_the_fault():
    """The caller would not learn what was wrong."""
    framing = SSEFraming(LIMIT)
    assert framing.feed(b"data: first\n\n" + FULL + b"x") == [Event(b"first")]
    assert isinstance(framing.fault, APIResponseError)
    assert str(framing.fault) == "an event of the stream is longer than 32 bytes"
    assert framing.feed(b"\n\ndata: y\n\n") == []


def test_sixteen_mebibytes_pass():
    """A picture in one event would be refused."""
    assert MAX_EVENT == 16 * 1024 * 1024
    line = b"data: " + b"x" * (MAX_EVENT - 6)
    for pieces in ([line + b"\n\n"], cut(line + b"\n\n", 5, MAX_EVENT // 2, MAX_EVENT - 1)):
        assert [len(event.data) for event in events(pieces)] == [MAX_EVENT - 6]
    framing = SSEFraming()
    assert framing.feed(line + b"x\n\n") == []
    assert framing.fault is not None


# --- time ---


def seconds(pieces: Iterable[bytes], limit: int = 1 << 40) -> float:
    framing = SSEFraming(limit)
    start = time.process_time()
    for piece in pieces:
        framing.feed(piece)
    return time.process_time() - start


def test_linear_time():
    """A long line, a long event or many small reads would stop the event loop for seconds."""
    kib = b"x" * 1024
    shapes: list[Iterable[bytes]] = [
        [b"data: ", *[kib] * 16_000, b"\n\n"],
        [b"data: x\n" * 250_000 + b"\n"],
        [b"data: x\n\n" * 100_000],
        [b"event: a\ndata: x\n\n" * 100_000],
        [b"\r" * 1_000_000],
        [b"\n" * 1_000_000],
        [b": keep-alive\n\n" * 100_000],
        (b"x" for _ in range(80_000)),
        itertools.chain([b"event: a\n"], (b"data: x\n" for _ in range(80_000))),
    ]
    assert [spent for spent in map(seconds, shapes) if spent > 2] == []
