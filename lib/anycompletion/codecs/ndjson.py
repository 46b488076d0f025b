"""Parser of newline-delimited JSON: bytes → one event per line; reads no socket.

https://github.com/ndjson/ndjson-spec

The events are the same however the bytes are split, each byte is processed a bounded number of times, and at most one
incomplete line is buffered. Lines end with LF or CRLF; empty ones are skipped. A last line without its end counts at
the proper end of the body (`finish`) if it is whole JSON, to which nothing can be added.
"""

from __future__ import annotations

from typing import Literal

from ..errors import APIResponseError
from .json import NotJSONError, loads
from .sse import MAX_EMPTY, MAX_EVENT, Event


class NDJSONParser:
    """Incremental parser of one stream of JSON lines."""

    __slots__ = ("_buffer", "_empty", "_limit", "error")

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self._limit = limit
        """Bytes of one line; a longer one is an error, so that no server can fill the memory."""
        self._buffer = bytearray()
        """The incomplete line."""
        self._empty = 0
        """Empty lines since the last event."""
        self.error: APIResponseError | None = None
        """Set when a line was longer than the limit, or no more events are expected; earlier ones were returned."""

    @property
    def body_kind(self) -> Literal["json"]:
        """The kind of the bodies that it parses."""
        return "json"

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes; none once `error` is set."""
        if self.error is not None:
            return []
        complete, end, tail = data.rpartition(b"\n")
        if not end:
            self._keep(tail)
            return []
        if self._buffer:
            complete = bytes(self._buffer) + complete
            self._buffer = bytearray()
        lines = complete.split(b"\n")
        if b"\r" not in complete and len(complete) <= self._limit and all(lines) and not any(map(bytes.isspace, lines)):
            self._empty = 0
            self._keep(tail)
            return list(map(Event, lines))
        events: list[Event] = []
        for line in lines:
            if not line or line.isspace():
                self._empty += 1
            elif len(line) > self._limit:
                self._too_long()
                return events
            else:
                events.append(Event(line[:-1] if line.endswith(b"\r") else line))
        if events:
            self._empty = 0
        elif self._empty > MAX_EMPTY:
            self.error = APIResponseError(f"the stream has more than {MAX_EMPTY} lines without an event between them")
            return events
        self._keep(tail)
        return events

    def finish(self) -> list[Event]:
        """The last line at the proper end of the body, if it lacks only its end; later calls return none.

        Not to be called after a connection was cut.
        """
        line = bytes(self._buffer).strip()
        self._buffer = bytearray()
        if self.error is not None or not line:
            return []
        try:
            loads(line)
        except NotJSONError:
            return []
        return [Event(line)]

    def _keep(self, piece: bytes) -> None:
        if len(self._buffer) + len(piece) > self._limit:
            self._too_long()
        else:
            self._buffer += piece

    def _too_long(self) -> None:
        self._buffer = bytearray()
        self.error = APIResponseError(f"a line of the stream is longer than {self._limit} bytes")
