"""Recorded bodies as events and as JSON, cut without the package's parsers."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from anycompletion.testing import Recording


class RecordedFraming(NamedTuple):
    """How the bytes of a recorded stream are its events."""

    split: Callable[[bytes], list[bytes]]
    """The events of a body, each with the bytes that end it."""
    data: Callable[[bytes], Any]
    """The JSON of an event; None for an event without JSON, such as ``[DONE]``."""


def _sse_events(body: bytes) -> list[bytes]:
    """The events; the last one too if only its blank line is absent."""
    *blocks, last = body.replace(b"\r\n", b"\n").split(b"\n\n")
    return [block + b"\n\n" for block in [*blocks, *([last.rstrip()] if last.rstrip().endswith(b"}") else [])]]


def _sse_data(event: bytes) -> Any:
    data = b"".join(line.removeprefix(b"data:") for line in event.split(b"\n") if line.startswith(b"data:")).strip()
    return json.loads(data) if data.startswith(b"{") else None


def _lines(body: bytes) -> list[bytes]:
    return [line + b"\n" for line in body.split(b"\n") if line.strip()]


def _aws_messages(body: bytes) -> list[bytes]:
    messages: list[bytes] = []
    while body:
        size = int.from_bytes(body[:4])
        messages.append(body[:size])
        body = body[size:]
    return messages


def _aws_data(message: bytes) -> Any:
    """The payload; that of an exception has its name as well."""
    start = 12 + int.from_bytes(message[4:8])
    data = json.loads(message[start:-4] or b"{}")
    name = re.search(rb":exception-type\x07..(\w+?Exception)", message[:start], re.DOTALL)
    return data if name is None else {**data, ":exception-type": name[1].decode()}


FRAMINGS: Mapping[str, RecordedFraming] = {
    "aws-eventstream": RecordedFraming(_aws_messages, _aws_data),
    "sse": RecordedFraming(_sse_events, _sse_data),
    "ndjson": RecordedFraming(_lines, json.loads),
}
"""A recording's framing → how its events are read, for those whose bodies are streams."""


def is_stream(recording: Recording) -> bool:
    """Whether it is a stream; some servers answer a request for a stream with a complete reply."""
    return recording.framing in FRAMINGS and recording.status < 400


def events_of(recording: Recording) -> list[bytes]:
    """The events of a recorded stream, each with the bytes that end it."""
    return FRAMINGS[recording.framing].split(recording.body)


def data_of(recording: Recording) -> list[Any]:
    """The JSON of each event; None for an event without JSON, such as ``[DONE]``."""
    return list(map(FRAMINGS[recording.framing].data, events_of(recording)))


def json_objects(recording: Recording) -> list[dict[str, Any]]:
    """The JSON objects of a body: the body itself, or its events."""
    if is_stream(recording):
        values = data_of(recording)
    else:
        try:
            values = [json.loads(recording.body)]
        except ValueError:
            values = []
    return [value for value in values if isinstance(value, dict)]
