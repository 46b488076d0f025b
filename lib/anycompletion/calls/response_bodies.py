"""Bodies of responses: their kind, recognized by the first bytes, and their events. Servers get content types wrong."""

from __future__ import annotations

from ..codecs.sse import Event, SSEParser, looks_like_events
from ..dialects.base import BodyKind, Framing
from ..dialects.error_body import page_title
from ..errors import APIResponseError

BLANK = b" \t\r\n"
"""White space, which servers send before a body to keep the connection alive."""


def body_kind(start: bytes) -> BodyKind | None:
    """The kind of a body that begins with `start`; None while that is unknown, and for any other text."""
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip(BLANK)
    if text.startswith((b"{", b"[", b'"')):
        return "json"
    if text.startswith(b"<"):
        return "page"
    return "events" if looks_like_events(text) else None


def page_error(body: bytes) -> APIResponseError:
    """The exception for a web page with a good status; its message has the page's title."""
    title = page_title(body)
    text = f"the answer is a web page: {title}" if title else "the answer is a web page"
    return APIResponseError(text, body=body.decode("utf-8", "replace"), maybe_billed=True)


def events_of(body: bytes, framing: Framing) -> list[Event]:
    """The events of a whole body that is a stream of them.

    Raises:
        APIResponseError: an event is too long.
    """
    events = framing.feed(body) + framing.finish()
    if framing.error is not None:
        raise framing.error
    return events


def without_event_framing(body: bytes) -> bytes:
    """The body of a bad status; where a server sends it as an event, which some do for streams, the event's data."""
    if body_kind(body) != "events":
        return body
    parser = SSEParser()
    events = parser.feed(body) + parser.finish()
    return next((event.data for event in events if event.data), body)


def json_lines(body: bytes) -> list[Event]:
    """The lines of a body that has one JSON object per line, as events; none if the body has another form."""
    lines = [line for line in (each.strip() for each in body.split(b"\n")) if line]
    if len(lines) < 2 or not all(line.startswith(b"{") and line.endswith(b"}") for line in lines):
        return []
    return [Event(line) for line in lines]
