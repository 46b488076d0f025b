"""Parser of AWS event streams: any bytes, cut or damaged anywhere; limits and time; botocore as the reference."""

from __future__ import annotations

import itertools
import struct
import time
from collections.abc import Iterable
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anycompletion.codecs.aws_eventstream import MAX_HEADERS, MAX_PAYLOAD, AwsEvent, AwsEventStreamParser, read_headers
from anycompletion.errors import APIResponseError
from anycompletion.testing.formats.aws_eventstream import event, exception, message

HELLO = event("contentBlockDelta", b'{"delta":{"text":"Hello"}}')
BYE = event("messageStop", b'{"stopReason":"end_turn"}')
FAILED = exception("throttlingException", b'{"message":"Too many."}')
STREAM = HELLO + FAILED + BYE


def parsed(pieces: Iterable[bytes]) -> tuple[list[tuple[str, str, bytes]], str | None]:
    """Type, name and payload of each event, and the error."""
    parser = AwsEventStreamParser()
    found = [each for piece in pieces for each in parser.feed(piece)]
    assert parser.finish() == []
    assert all(isinstance(each, AwsEvent) for each in found)
    shown = [(each.message_type, each.name, each.data) for each in found if isinstance(each, AwsEvent)]
    return shown, None if parser.error is None else parser.error.message


def split(data: bytes, *places: int) -> list[bytes]:
    return [data[a:b] for a, b in itertools.pairwise((0, *places, len(data)))]


def raw_message(
    headers: bytes, payload: bytes, *, length: int | None = None, headers_length: int | None = None
) -> bytes:
    """A message with right checksums, whatever lengths it claims."""
    size = len(headers) + len(payload) + 16
    lengths = struct.pack(
        ">II",
        size if length is None else length,
        len(headers) if headers_length is None else headers_length,
    )
    checked = lengths + struct.pack(">I", crc32(lengths)) + headers + payload
    return checked + struct.pack(">I", crc32(checked))


def header(name: str, kind: int, value: bytes) -> bytes:
    return bytes((len(name),)) + name.encode() + bytes((kind,)) + value


# --- events -----------------------------------------------------------------------------------------------------------

EVENTS = [
    ("event", "contentBlockDelta", b'{"delta":{"text":"Hello"}}'),
    ("exception", "throttlingException", b'{"message":"Too many."}'),
    ("event", "messageStop", b'{"stopReason":"end_turn"}'),
]


def test_events_have_their_type_their_name_and_their_payload() -> None:
    """An exception would be taken for an event, or an event would be lost."""
    assert parsed([STREAM]) == (EVENTS, None)


def test_the_events_are_the_same_at_every_pair_of_cuts() -> None:
    """A network that splits the bytes elsewhere would give other events."""
    for places in itertools.combinations(range(0, len(STREAM) + 1, 3), 2):
        assert parsed(split(STREAM, *places)) == (EVENTS, None), places


def test_the_events_are_the_same_one_byte_at_a_time() -> None:
    """A prelude or a checksum that is cut would be read wrongly."""
    assert parsed(STREAM[at : at + 1] for at in range(len(STREAM))) == (EVENTS, None)


def test_an_error_has_its_code_as_its_name() -> None:
    """An error of the service inside a stream would be an event of no name, and be ignored."""
    headers = {":message-type": "error", ":error-code": "InternalFailure", ":error-message": "Oops."}
    (found,) = AwsEventStreamParser().feed(message(b"", headers))
    assert isinstance(found, AwsEvent)
    assert (found.message_type, found.name, found.data) == ("error", "InternalFailure", b"")
    assert found.headers[":error-message"] == "Oops."


def test_a_message_without_headers_is_an_event_without_a_name() -> None:
    """A proxy that leaves headers out would crash the parser."""
    assert parsed([message(b"{}")]) == ([("event", "", b"{}")], None)


# --- damaged bytes ----------------------------------------------------------------------------------------------------


def test_no_damaged_byte_is_part_of_an_event() -> None:
    """A broken network would change a reply, or bytes that follow would be read as a message."""
    for at in range(len(STREAM)):
        damaged = bytearray(STREAM)
        damaged[at] ^= 0x10
        found, error = parsed([bytes(damaged)])
        assert error is not None, at
        assert found == EVENTS[: len(found)]
        assert len(found) == (0 if at < len(HELLO) else 1 if at < len(HELLO + FAILED) else 2)


@pytest.mark.parametrize("size", range(1, len(HELLO)))
def test_a_cut_message_is_no_event(size: int) -> None:
    """Half a message at the end of a body would count."""
    assert parsed([BYE + HELLO[:size]]) == ([EVENTS[2]], None)


def test_a_length_is_not_believed_before_its_checksum_was_verified() -> None:
    """A damaged length would make the parser wait for gigabytes in place of reporting the damage."""
    damaged = bytearray(HELLO)
    damaged[0] = 0x7F
    found, error = parsed([bytes(damaged[:12])])
    assert found == []
    assert error == "the stream is damaged, or no AWS event stream: a prelude has a wrong checksum"


@pytest.mark.parametrize("body", [b"<!DOCTYPE html><html></html>", b'{"message": "Forbidden"}', b"data: {}\n\n" * 2])
def test_other_bodies_are_no_event_streams(body: bytes) -> None:
    """A web page or JSON in place of a stream would be waited for."""
    assert parsed([body])[1] == "the stream is damaged, or no AWS event stream: a prelude has a wrong checksum"


def test_nothing_is_returned_after_an_error() -> None:
    """Bytes after a damaged message would be read from a wrong place."""
    parser = AwsEventStreamParser()
    parser.feed(b"x" * 12)
    assert isinstance(parser.error, APIResponseError)
    assert parser.feed(HELLO) == []


WRONG_LENGTHS = {
    "shorter than its headers": raw_message(b"", b"abc", headers_length=4),
    "shorter than a prelude": raw_message(b"", b"", length=12),
    "nothing": raw_message(b"", b"", length=0),
}


@pytest.mark.parametrize("name", WRONG_LENGTHS)
def test_lengths_that_contradict_each_other_are_an_error(name: str) -> None:
    """A message with a negative length would be read for ever."""
    assert parsed([WRONG_LENGTHS[name]]) == ([], "the stream is damaged: a message is shorter than its headers")


# --- headers ----------------------------------------------------------------------------------------------------------

VALUES = {
    0: (b"", True),
    1: (b"", False),
    2: (b"\xff", -1),
    3: (b"\x01\x00", 256),
    4: (b"\xff\xff\xff\xfe", -2),
    5: (b"\x00" * 7 + b"\x05", 5),
    6: (b"\x00\x02\xff\x00", b"\xff\x00"),
    7: (b"\x00\x03\xe2\x82\xac", "€"),
    8: (b"\x00\x00\x01\x90\x00\x00\x00\x00", 400 << 32),
    9: (bytes(range(16)), bytes(range(16))),
}
"""Type → bytes of a value, and the value."""


@pytest.mark.parametrize("kind", VALUES)
def test_headers_of_all_types_are_read(kind: int) -> None:
    """A header of a type that Bedrock does not send today would break its streams tomorrow."""
    data, value = VALUES[kind]
    found = read_headers(header("a", kind, data) + header("b", 7, b"\x00\x01x"))
    assert found == {"a": value, "b": "x"}
    assert type(found["a"]) is type(value)


BAD_HEADERS = {
    "of an unknown type": (header("a", 10, b""), "a header has the type 10, which is unknown"),
    "twice": (header("a", 0, b"") * 2, "the header 'a' comes twice"),
    "cut in its name": (b"\x05ab", "a header is cut"),
    "cut before its type": (b"\x02ab", "a header is cut"),
    "cut in its length": (header("a", 7, b"\x00"), "a header is cut"),
    "cut in its text": (header("a", 7, b"\x00\x05abc"), "a header is cut"),
    "cut in its number": (header("a", 5, b"\x00\x05"), "a header is cut"),
    "cut in its id": (header("a", 9, b"\x00\x05"), "a header is cut"),
}


@pytest.mark.parametrize("name", BAD_HEADERS)
def test_headers_that_cannot_be_read_are_an_error(name: str) -> None:
    """An exception of another kind would reach the caller, or a header would have bytes of the payload."""
    block, problem = BAD_HEADERS[name]
    assert parsed([HELLO + raw_message(block, b"{}")]) == ([EVENTS[0]], f"the stream is damaged: {problem}")


def test_headers_that_are_no_utf8_are_replaced() -> None:
    """A strange header would cost a reply."""
    assert read_headers(b"\x01\xff" + b"\x07\x00\x01\xfe") == {"\ufffd": "\ufffd"}


# --- against botocore -------------------------------------------------------------------------------------------------

HEADER_VALUES = st.one_of(
    st.text(max_size=12).map(lambda text: (7, struct.pack(">H", len(text.encode())) + text.encode())),
    st.binary(max_size=12).map(lambda data: (6, struct.pack(">H", len(data)) + data)),
    st.integers(-128, 127).map(lambda number: (2, struct.pack(">b", number))),
    st.integers(-(2**15), 2**15 - 1).map(lambda number: (3, struct.pack(">h", number))),
    st.integers(-(2**31), 2**31 - 1).map(lambda number: (4, struct.pack(">i", number))),
    st.integers(-(2**63), 2**63 - 1).map(lambda number: (5, struct.pack(">q", number))),
    st.integers(0, 2**40).map(lambda number: (8, struct.pack(">q", number))),
    st.sampled_from([(0, b""), (1, b"")]),
    st.binary(min_size=16, max_size=16).map(lambda data: (9, data)),
)
MESSAGES = st.tuples(
    st.dictionaries(st.text(st.characters(codec="ascii"), min_size=1, max_size=9), HEADER_VALUES, max_size=5),
    st.binary(max_size=60),
)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(MESSAGES, max_size=4), st.data())
def test_messages_are_read_as_by_botocore(found: list[tuple[dict[str, Any], bytes]], data: st.DataObject) -> None:
    """A valid message would have other headers or another payload than in AWS's own client."""
    eventstream = pytest.importorskip("botocore.eventstream")
    body = b"".join(
        raw_message(b"".join(header(name, *value) for name, value in headers.items()), payload)
        for headers, payload in found
    )
    reference = eventstream.EventStreamBuffer()
    reference.add_data(body)
    theirs = [(dict(each.headers), each.payload) for each in reference]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    parser = AwsEventStreamParser()
    events = [each for piece in split(body, *cuts) for each in parser.feed(piece)]
    assert parser.error is None
    assert [(dict(each.headers), each.data) for each in events if isinstance(each, AwsEvent)] == theirs


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 200))
def test_any_bytes_are_read_or_an_error(body: bytes, cut: int) -> None:
    """A hostile server could raise an exception that no caller catches."""
    parser = AwsEventStreamParser()
    parser.feed(body[:cut])
    parser.feed(body[cut:])
    assert parser.error is None or isinstance(parser.error, APIResponseError)


# --- limits and time --------------------------------------------------------------------------------------------------


def test_the_largest_message_is_read() -> None:
    """An image that Bedrock may send would be refused."""
    payload = b"x" * MAX_PAYLOAD
    assert parsed([raw_message(b"", payload)]) == ([("event", "", payload)], None)


LARGE = {
    "payload": (
        raw_message(b"", b"", length=MAX_PAYLOAD + 17)[:12],
        f"a message of the stream is longer than {MAX_PAYLOAD}",
    ),
    "headers": (
        raw_message(b"", b"", length=MAX_HEADERS + 100, headers_length=MAX_HEADERS + 1)[:12],
        f"the headers of a message of the stream are longer than {MAX_HEADERS}",
    ),
}


@pytest.mark.parametrize("name", LARGE)
def test_a_larger_message_is_refused_before_it_arrives(name: str) -> None:
    """A hostile server could fill the memory."""
    prelude, text = LARGE[name]
    assert parsed([HELLO, prelude]) == ([EVENTS[0]], f"{text} bytes")


def seconds(pieces: Iterable[bytes]) -> float:
    parser = AwsEventStreamParser()
    start = time.process_time()
    for piece in pieces:
        parser.feed(piece)
    assert parser.error is None
    return time.process_time() - start


def test_linear_time() -> None:
    """A large message in small pieces, or many messages in one, would block the event loop for seconds."""
    large = raw_message(b"", b"x" * (8 << 20))
    shapes: tuple[Iterable[bytes], ...] = (
        split(large, *range(1000, len(large), 1000)),
        (large[at : at + 1] for at in range(200_000)),
        [HELLO * 50_000],
        [HELLO[:5], HELLO[5:] + HELLO * 50_000],
        split(HELLO * 20_000, *range(7, len(HELLO) * 20_000, 7)),
    )
    assert [spent for spent in map(seconds, shapes) if spent > 2] == []
