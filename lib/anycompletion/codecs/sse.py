"""Bytes → events: server-sent events after the WHATWG rules (html 9.2.6); reads no socket and knows no JSON.

Strategy: every function here must give the same events however the bytes are cut, touch each byte a bounded number of
times, and hold no more than one unfinished event. Lines end with LF, CR or CRLF; an event is dispatched by a blank
line only, so a block that the end of the body cuts off is dropped: whether that loses anything is for the dialect's
end marker to say.
"""

from __future__ import annotations

import msgspec

from ..errors import APIResponseError

MAX_EVENT = 16 * 1024 * 1024
"""Bytes of one event; a longer one is an error, not a reason to fill the memory."""

_LINES = 1 << 12
"""Data lines of one event that are held one by one: short ones take several times their bytes."""

_BOM = b"\xef\xbb\xbf"


class Event(msgspec.Struct, gc=False):
    """One event of a stream: its data as the bytes that were framed, and its name ("" where none was given)."""

    data: bytes
    name: str = ""


class SSEParser:
    """An incremental parser of one event stream."""

    __slots__ = ("_data", "_joined", "_limit", "_name", "_pieces", "_size", "_skip_lf", "_start", "error")

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self._limit = limit
        self._start: bytes | None = b""
        """The first bytes, held until it is sure whether they are a byte-order mark; None once that is settled."""
        self._pieces: list[bytes] | None = None
        """The line whose end has not arrived; None where there is nothing, because many streams are open at a time."""
        self._data: list[bytes] | None = None
        """The values of the data lines of the event that no blank line has ended."""
        self._joined = 0
        """So many of them, the first ones, are many lines each."""
        self._name = ""
        self._size = 0
        """Bytes of its data lines, and of the line whose end has not arrived."""
        self._skip_lf = False
        self.error: APIResponseError | None = None
        """Set when an event was longer than the limit; what came before it was still given."""

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes; once `fault` is set, none."""
        if self.error is not None:
            return []
        # Nearly always whole events have come, of a single line each.
        if (
            data.startswith(b"data: ")
            and data.endswith(b"\n\n")
            and len(data) <= self._limit
            and self._is_between(data)
        ):
            found = data[6:-2].split(b"\n\ndata: ")
            if data.count(b"\n") == 2 * len(found):
                self._start = None
                return [Event(each) for each in found]
        events: list[Event] = []
        try:
            self._feed(data, events)
        except APIResponseError as fault:
            self.error = fault
        return events

    def _is_between(self, data: bytes) -> bool:
        """Whether nothing is held of what came before, and all lines of `data` end with LF."""
        is_open = self._start or self._skip_lf or self._pieces or self._data or self._name
        return not is_open and b"\r" not in data

    def _feed(self, data: bytes, events: list[Event]) -> None:
        if self._start is not None:
            data = self._without_bom(data)
        if self._skip_lf and data:
            self._skip_lf = False
            if data.startswith(b"\n"):
                data = data[1:]
        if b"\r" in data:
            self._skip_lf = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if not data:
            return
        at = 0
        # What an earlier read left open is finished line by line, ...
        while self._pieces or self._data or self._name:
            end = data.find(b"\n", at)
            if end < 0:
                self._keep(data[at:])
                return
            self._end_line(data[at:end], events)
            at = end + 1
        # ... the rest is cut at blank lines, which is where events end.
        blocks = (data[at:] if at else data).split(b"\n\n")
        tail = blocks.pop()
        for block in blocks:
            if not block:
                continue  # blank lines come in any number, and mean nothing here
            is_line = b"\n" not in block and len(block) <= self._limit
            if is_line and block.startswith(b"data: "):
                events.append(Event(block[6:]))
            elif is_line and block.startswith(b":"):
                continue  # nor do comments
            elif block.startswith(b"event: ") and len(block) <= self._limit and (named := _named(block)) is not None:
                events.append(named)
            else:
                for line in block.split(b"\n"):
                    self._line(line, events)
                self._line(b"", events)
        *lines, tail = tail.split(b"\n")
        for line in lines:
            self._line(line, events)
        self._keep(tail)

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
        # Whole lines count, not their values alone: what has arrived of a line does not tell what it will be.
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
            self._name = ""
            self._size = 0
            return
        self._grow(len(line))
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            if self._data is None:
                self._data = []
            self._data.append(value)
            if len(self._data) - self._joined > _LINES:
                self._data[self._joined :] = [b"\n".join(self._data[self._joined :])]
                self._joined += 1
            return
        self._size -= len(line)  # only data is kept
        if field == b"event":
            self._name = value.decode("utf-8", "replace")


def _named(block: bytes) -> Event | None:
    """An event that is a line with its name and one with its data, as Anthropic's are; None for all others."""
    name, _, data = block[7:].partition(b"\ndata: ")
    return Event(data, name.decode("utf-8", "replace")) if data and b"\n" not in name and b"\n" not in data else None
