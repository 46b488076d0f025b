"""Parser of the AWS event stream encoding (``application/vnd.amazon.eventstream``): bytes → events; reads no socket.

https://smithy.io/2.0/aws/amazon-eventstream.html

A message is a prelude (its length, that of its headers, and their CRC-32), headers, a payload, and the CRC-32 of all
that. The events are the same however the bytes are split, each byte is processed a bounded number of times, and at most
one incomplete message is buffered. A length is believed only after the prelude's checksum was verified.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from zlib import crc32

from ..errors import BODY_LIMIT, APIResponseError
from .sse import Event

MAX_HEADERS = 128 * 1024
"""Bytes of the headers of one message; the limit of AWS's own clients, as the next one."""

MAX_PAYLOAD = 24 * 1024 * 1024
"""Bytes of the payload of one message."""

_PRELUDE = struct.Struct(">III")
"""Length of the message, length of its headers, checksum of these two."""
_CHECKSUM = struct.Struct(">I")
_LENGTH = struct.Struct(">H")
_read_prelude = _PRELUDE.unpack_from
_read_checksum = _CHECKSUM.unpack_from
_START = _PRELUDE.size
_END = _CHECKSUM.size
_CHECKED = _START - _END
"""Bytes of a prelude without its checksum."""
_LEAST = _START + _END

_CACHED_HEADERS = 512
"""Bytes of the largest headers that are kept: nearly all messages have the same few."""

HeaderValue: TypeAlias = bool | int | str | bytes
"""Value of a header; a timestamp is an int of milliseconds, and a UUID its 16 bytes."""


class AwsEvent(Event, gc=False):
    """Message of an AWS event stream: `data` is its payload, `name` the type of the event or of the exception."""

    message_type: str = "event"
    """event, exception, or error, which has no payload."""
    headers: Mapping[str, HeaderValue] = {}
    """All headers, by name."""


class AwsEventStreamParser:
    """Incremental parser of one AWS event stream."""

    __slots__ = ("_buffer", "_needed", "error")

    def __init__(self) -> None:
        self._buffer = bytearray()
        """The incomplete message."""
        self._needed = _PRELUDE.size
        """Bytes that must be buffered before more of them can be read."""
        self.error: APIResponseError | None = None
        """Set when the bytes cannot be parsed further; the events before them were returned."""

    @property
    def body_kind(self) -> None:
        """No kind: its bodies begin with a length, whose first byte is never that of JSON or a web page."""

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes; none once `error` is set."""
        if self.error is not None:
            return []
        events: list[Event] = []
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._needed:
                return events
            data, self._buffer = bytes(self._buffer), bytearray()
        try:
            read = self._read(data, events)
        except APIResponseError as exc:
            self.error = exc
        else:
            self._buffer += data[read:]
        return events

    def finish(self) -> list[Event]:
        """No events: the end of the body completes none. A message that it cuts is dropped."""
        return []

    def _read(self, data: bytes, events: list[Event]) -> int:
        """Appends the events of all complete messages; returns the number of bytes that they take.

        Raises:
            APIResponseError: a checksum or a length is wrong, or headers cannot be read.
        """
        at, size = 0, len(data)
        self._needed = _START
        while size - at >= _START:
            length, headers_length, checksum = _read_prelude(data, at)
            end = at + length
            if end > size or length < _LEAST:
                _check_prelude(data, at)
                self._needed = length
                break
            start, stop = at + _START, end - _END
            payload = start + headers_length
            # Begun with the prelude's own checksum, that of the message is right only if both are.
            if crc32(data[at + _CHECKED : stop], checksum) != _read_checksum(data, stop)[0]:
                _check_prelude(data, at)
                raise APIResponseError("the stream is damaged: a message has a wrong checksum")
            _check_lengths(length, headers_length)
            headers = data[start:payload]
            kind, name, values = _cached_kind(headers) if headers_length <= _CACHED_HEADERS else _kind(headers)
            events.append(AwsEvent(data[payload:stop], name, kind, values))
            at = end
        return at


def _check_prelude(data: bytes, at: int) -> None:
    """Raises if a prelude has a wrong checksum, or lengths that no message has."""
    length, headers_length, checksum = _read_prelude(data, at)
    if crc32(data[at : at + _CHECKED]) != checksum:
        raise _no_message(data[at : at + BODY_LIMIT])
    _check_lengths(length, headers_length)


def _no_message(start: bytes) -> APIResponseError:
    """The error for bytes that begin no message; a text has no zero byte first, and is kept."""
    text = start.decode("utf-8", "replace") if start[0] else None
    return APIResponseError("the stream is damaged, or no AWS event stream: a prelude has a wrong checksum", body=text)


def _check_lengths(length: int, headers_length: int) -> None:
    problem = ""
    if headers_length > MAX_HEADERS:
        problem = f"the headers of a message of the stream are longer than {MAX_HEADERS} bytes"
    elif length - headers_length > _LEAST + MAX_PAYLOAD:
        problem = f"a message of the stream is longer than {MAX_PAYLOAD} bytes"
    elif length - headers_length < _LEAST:
        problem = "the stream is damaged: a message is shorter than its headers"
    if problem:
        raise APIResponseError(problem)


# --- headers ----------------------------------------------------------------------------------------------------------


def _kind(block: bytes) -> tuple[str, str, Mapping[str, HeaderValue]]:
    """The type of a message, the name of its event, exception or error, and its headers."""
    headers = read_headers(block)
    kind = str(headers.get(":message-type", "event"))
    return kind, str(headers.get(_NAMES.get(kind, ":event-type"), "")), headers


_cached_kind = functools.lru_cache(64)(_kind)

_NAMES = {"exception": ":exception-type", "error": ":error-code"}
"""Type of a message → the header with its name; that of events is ``:event-type``."""


def read_headers(block: bytes) -> dict[str, HeaderValue]:
    """The headers of a message.

    Raises:
        APIResponseError: they are cut, have a value of an unknown type, or the same name twice.
    """
    headers: dict[str, HeaderValue] = {}
    at, problem = 0, ""
    try:
        while at < len(block):
            start = at + 1
            at = start + block[at]
            name, kind = block[start:at].decode("utf-8", "replace"), block[at]
            if name in headers:
                problem = f"the header {name!r} comes twice"
                break
            value, at = _VALUES[kind](block, at + 1)
            if at > len(block):
                problem = "a header is cut"
                break
            headers[name] = value
    except (IndexError, struct.error):
        problem = "a header is cut"
    except KeyError as exc:
        problem = f"a header has the type {exc}, which is unknown"
    if problem:
        raise APIResponseError(f"the stream is damaged: {problem}")
    return headers


_Reader: TypeAlias = Callable[[bytes, int], tuple[Any, int]]
"""Reads the value at a place; returns it and the place after it."""


def _integer(form: str) -> _Reader:
    packed = struct.Struct(form)

    def read(block: bytes, at: int) -> tuple[int, int]:
        return packed.unpack_from(block, at)[0], at + packed.size

    return read


def _bytes(block: bytes, at: int) -> tuple[bytes, int]:
    (size,) = _LENGTH.unpack_from(block, at)
    start = at + _LENGTH.size
    return block[start : start + size], start + size


def _text(block: bytes, at: int) -> tuple[str, int]:
    value, end = _bytes(block, at)
    return value.decode("utf-8", "replace"), end


_VALUES: Mapping[int, _Reader] = {
    0: lambda _, at: (True, at),
    1: lambda _, at: (False, at),
    2: _integer(">b"),
    3: _integer(">h"),
    4: _integer(">i"),
    5: _integer(">q"),
    6: _bytes,
    7: _text,
    8: _integer(">q"),
    9: lambda block, at: (block[at : at + 16], at + 16),
}
"""Type of a header's value → its reader."""
