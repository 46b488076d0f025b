"""Parser of server-sent events (WHATWG HTML 9.2.6): bytes → events; reads no socket.

The events are the same however the bytes are split, each byte is processed a bounded number of times, and at most one
incomplete event is buffered. Lines end with LF, CR or CRLF. A blank line dispatches an event. Three mistakes of servers
are corrected where the data is whole JSON, to which nothing can be added: a last event without its blank line
(`finish`), events without a blank line between them, and objects without a field name before them (a server that fails
within a stream may write the body of its error).
"""

from __future__ import annotations

import functools
import itertools
import operator
import re
from typing import Literal

import msgspec

from ..errors import APIResponseError
from .json import NotJSONError, loads

MAX_EVENT = 16 * 1024 * 1024
"""Bytes of one event; a longer one is an error, so that no server can fill the memory."""

MAX_MEDIA_EVENT = 64 * 1024 * 1024
"""The same in formats whose events may have images and audio."""

MAX_EMPTY = 20_000
"""Blank lines, comments and other lines without data between two events; more is an error, so that no server can hold a
reader for ever. One that sends a comment each second may be silent for hours."""

_LINES = 1 << 12
"""Data lines of one event that are buffered separately; more are joined, because short lines take several times their
size."""

_BOM = b"\xef\xbb\xbf"
_CR, _LF = b"\r\n"
"""Bytes as ints: `in` finds these in a fifth of the time."""


class Event(msgspec.Struct, gc=False):
    """Event of a stream: its data as bytes, and its name or ""."""

    data: bytes
    name: str = ""


class SSEParser:
    """Incremental parser of one event stream."""

    __slots__ = (
        "_data",
        "_empty",
        "_is_idle",
        "_is_partial",
        "_joined",
        "_limit",
        "_name",
        "_pieces",
        "_size",
        "_skip_lf",
        "_start",
        "error",
    )

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self._limit = limit
        self._start: bytes | None = b""
        """The first bytes, while they may be the beginning of a byte-order mark; None afterwards."""
        self._pieces: list[bytes] | None = None
        """Fragments of an incomplete line; None instead of an empty list, because many streams are open at a time."""
        self._data: list[bytes] | None = None
        """The values of the incomplete event's data lines."""
        self._is_partial = False
        """Whether the incomplete event is known to be no whole JSON."""
        self._joined = 0
        """Number of the first values that are several joined lines each."""
        self._name = ""
        self._size = 0
        """Bytes of the data lines and of the incomplete line."""
        self._skip_lf = False
        self._empty = 0
        """Comments and other lines without data since the last event."""
        self._is_idle = True
        """Whether nothing is buffered."""
        self.error: APIResponseError | None = None
        """Set when an event was longer than the limit; the events before it were returned."""

    @property
    def body_kind(self) -> Literal["events"]:
        """The kind of the bodies that it parses."""
        return "events"

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes; none once `error` is set."""
        if self.error is not None:
            return []
        events: list[Event] = []
        # Nearly always, `data` is complete events of one data line each.
        if self._is_idle and data.startswith(_FIELDS) and len(data) <= self._limit:
            if data.startswith(b"data: ") and data.endswith(b"\n\n") and b"\r" not in data:
                values = data[6:-2].split(b"\n\ndata: ")
                if not any(map(operator.contains, values, itertools.repeat(_LF))):  # less time than counting all
                    self._start = None
                    self._empty = 0
                    return list(map(Event, values))
            found, tail = _split_events(data)
            if found is not None:
                self._start = None
                self._empty = 0
                if not tail:
                    return found
                events, data = found, tail
        try:
            self._feed(data, events)
        except APIResponseError as exc:
            self.error = exc
        if events:
            self._empty = 0
        elif self._empty > MAX_EMPTY:
            self.error = APIResponseError(f"the stream has more than {MAX_EMPTY} lines without an event between them")
        self._is_idle = not (self._start or self._skip_lf or self._pieces or self._data or self._name)
        return events

    def finish(self) -> list[Event]:
        """The event that lacks only its blank line at the proper end of the body; later calls return none.

        Its data must be whole JSON or ``[DONE]``. Not to be called after a connection was cut.
        """
        events: list[Event] = []
        if self.error is None and not self._is_idle:
            try:
                self._end_line(b"", events)
                self._line(b"", events)
            except APIResponseError as exc:
                self.error = exc
            self._is_idle = True
        return [event for event in events if event.data == b"[DONE]" or _is_whole(event.data)]

    def _feed(self, data: bytes, events: list[Event]) -> None:
        data = self._normalized(data)
        if not data:
            return
        at = 0
        # What is buffered is completed line by line; ...
        while self._pieces or self._data or self._name:
            end = data.find(b"\n", at)
            if end < 0:
                self._keep(data[at:])
                return
            self._end_line(data[at:end], events)
            at = end + 1
        # ... the rest is split at blank lines, which end events.
        complete, blank_line, tail = (data[at:] if at else data).rpartition(b"\n\n")
        if blank_line:
            self._complete(complete, events)
        *lines, tail = tail.split(b"\n")
        for line in lines:
            self._line(line, events)
        self._keep(tail)

    def _complete(self, text: bytes, events: list[Event]) -> None:
        """Adds the events of whole blocks; `text` lacks only the blank line at its end."""
        found = _plain_events(text) if len(text) <= self._limit else None
        if found is not None:
            events += found
            return
        for block in text.split(b"\n\n"):
            fits = len(block) <= self._limit
            if fits and block.startswith(b"event: ") and (named := _named(block)) is not None:
                events.append(named)
            elif fits and block.startswith(b"data: ") and b"\n" not in block:
                events.append(Event(block[6:]))
            elif not block or (fits and block.startswith(b":") and b"\n" not in block):
                self._empty += 1  # more blank lines and comments have no meaning
            else:
                for line in block.split(b"\n"):
                    self._line(line, events)
                self._line(b"", events)

    def _normalized(self, data: bytes) -> bytes:
        """`data` without the byte-order mark, and with LF as the end of all lines."""
        if self._start is not None:
            data = self._without_bom(data)
        if self._skip_lf and data:
            self._skip_lf = False
            if data.startswith(b"\n"):
                data = data[1:]
        if b"\r" in data:
            self._skip_lf = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return data

    def _without_bom(self, data: bytes) -> bytes:
        data = (self._start or b"") + data
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._start = data
            return b""
        self._start = None
        return data.removeprefix(_BOM)

    def _keep(self, piece: bytes) -> None:
        if piece:
            if self._pieces is None:
                self._pieces = []
            self._pieces.append(piece)
            self._grow(len(piece))

    def _grow(self, size: int) -> None:
        # Whole lines count, because the field of an incomplete line is not known yet.
        self._size += size
        if self._size > self._limit:
            raise APIResponseError(f"an event of the stream is longer than {self._limit} bytes")

    def _end_line(self, end: bytes, events: list[Event]) -> None:
        if self._pieces:
            self._size -= sum(map(len, self._pieces))
            self._pieces.append(end)
            end = b"".join(self._pieces)
            self._pieces = None
        self._line(end, events)

    def _line(self, line: bytes, events: list[Event]) -> None:
        if not line:
            if self._data:
                events.append(Event(b"\n".join(self._data), self._name))
                self._data = None
                self._joined = 0
                self._is_partial = False
            self._empty += 1
            self._name = ""
            self._size = 0
            return
        self._grow(len(line))
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            if self._data is None:
                self._data = []
            elif len(self._data) == 1 and not self._name and _is_whole(self._data[0]):
                # No JSON continues after its end: the blank line is missing.
                events.append(Event(self._data[0]))
                self._size = len(line)
                self._data = []
            self._data.append(value)
            if len(self._data) - self._joined > _LINES:
                self._data[self._joined :] = [b"\n".join(self._data[self._joined :])]
                self._joined += 1
            return
        self._size -= len(line)  # only data lines are buffered
        if line.startswith(b"{") and line.endswith(b"}"):
            self._object(line, events)
            return
        self._empty += 1
        if field == b"event":
            self._name = value.decode("utf-8", "replace")

    def _object(self, line: bytes, events: list[Event]) -> None:
        """Reads a line that may be an object without a field name before it; one amid an event is ignored."""
        if self._data and not self._is_partial:
            self._is_partial = not _is_whole(b"\n".join(self._data))  # once per event, however many lines follow
        if self._is_partial:
            return
        try:
            loads(line)
        except NotJSONError:
            return
        if self._data:
            self._line(b"", events)
        events.append(Event(line))


def looks_like_events(start: bytes) -> bool:
    """Whether a body that begins with `start` is a stream of events, whatever its content type is."""
    return re.match(rb"(?:\xef\xbb\xbf)?\s*(?:(?:data|event|id|retry)?:|event\s*\n)", start) is not None


def _is_whole(data: bytes) -> bool:
    """Whether data is the JSON of an object or a list; other JSON may be the beginning of a longer one."""
    if not (data.startswith((b"{", b"[")) and data.rstrip().endswith((b"}", b"]"))):
        return False
    try:
        loads(data)
    except NotJSONError:
        return False
    return True


_FIELDS = (b"data: ", b"event: ")
"""What nearly all events begin with."""


def _split_events(data: bytes) -> tuple[list[Event] | None, bytes]:
    """The whole events at the beginning of `data`, and what is behind them; None for events of unusual forms."""
    if b"\r" in data:
        complete, blank_line, tail = data.rpartition(b"\r\n\r\n")
        return _plain_crlf_events(complete) if blank_line else None, tail
    return _plain_events(data[:-2]) if data.endswith(b"\n\n") else None, b""


def _plain_events(text: bytes) -> list[Event] | None:
    """The events of whole blocks that are a data line each, or an event line and a data line each; None for others.

    `text` lacks only the blank line at its end.
    """
    if text.startswith(b"data: "):
        found = text[6:].split(b"\n\ndata: ")
        return None if _any_has(found, _LF) else [*map(Event, found)]
    if not text.startswith(b"event: "):
        return None
    events: list[Event] = []
    for block in text[7:].split(b"\n\nevent: "):
        line, _, data = block.partition(b"\ndata: ")
        name = _event_name(line)
        if name is None or not data or _LF in data:
            return None
        events.append(Event(data, name))
    return events


def _plain_crlf_events(text: bytes) -> list[Event] | None:
    """The events of a data line each whose lines end with CRLF, as Google sends them; None for others."""
    if not text.startswith(b"data: "):
        return None
    found = text[6:].split(b"\r\n\r\ndata: ")
    return None if _any_has(found, _LF) or _any_has(found, _CR) else [*map(Event, found)]


def _any_has(values: list[bytes], byte: int) -> bool:
    # Takes less time than counting the line ends of all.
    return any(map(operator.contains, values, itertools.repeat(byte)))


@functools.lru_cache(64)
def _event_name(line: bytes) -> str | None:
    """The name of an event, of which servers use few; None for several lines."""
    return None if b"\n" in line else line.decode("utf-8", "replace")


def _named(block: bytes) -> Event | None:
    """The event of a block that is one line with its name and one with its data (Anthropic's are); None for others."""
    line, _, data = block[7:].partition(b"\ndata: ")
    name = _event_name(line)
    return Event(data, name) if name is not None and data and _LF not in data else None
