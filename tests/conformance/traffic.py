"""The recorded traffic of the folder that ANYCOMPLETION_TRAFFIC names; no recording is part of this repository.

Any folder of recordings can be used: the format of a recording comes from its API, and recordings of APIs without a
dialect are ignored. Only entries of `expected` with a recording's id belong to one folder.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from anycompletion import PROVIDERS, Provider
from anycompletion.testing import Recording, load_folder
from conformance import expected

FOLDER = os.environ.get("ANYCOMPLETION_TRAFFIC")
UNSET = "ANYCOMPLETION_TRAFFIC names no folder of recorded traffic"

OPENAI, ANTHROPIC, COHERE, REPLICATE = "openai_chat", "anthropic_messages", "cohere_chat", "replicate_predictions"
FORMATS = (OPENAI, ANTHROPIC, COHERE)
"""The formats in which one request has one response."""

_APIS = {
    OPENAI: ("chat.completions", "chat"),
    ANTHROPIC: ("messages",),
    COHERE: ("v2/chat",),
    REPLICATE: ("predictions.create", "predictions.get", "predictions.cancel"),
}
"""Format → the folder's names of its API."""

_ALL = load_folder(FOLDER) if FOLDER else []


def is_reference_folder() -> bool:
    """Whether this is the folder that the counts and ids in `expected` come from."""
    index = Path(FOLDER or "", "INDEX.csv")
    return index.is_file() and hashlib.sha256(index.read_bytes()).hexdigest() == expected.KNOWN_INDEX


def format_of(recording: Recording) -> str:
    """A recording's format; "" for one without a dialect."""
    return next((name for name, apis in _APIS.items() if recording.api in apis), "")


def row_of(recording: Recording) -> Provider:
    """The row of the recording's provider; the row of the format's own provider where that has none of this format."""
    row = PROVIDERS.get(expected.ROW_NAMES.get(recording.provider, recording.provider))
    format_ = format_of(recording)
    return row if row is not None and row.dialect == format_ else PROVIDERS[_OWN_ROWS[format_]]


_OWN_ROWS = {OPENAI: "openai", ANTHROPIC: "anthropic", COHERE: "cohere", REPLICATE: "replicate"}
"""Format → the row of the provider that defines it."""


RECORDINGS = {name: [recording for recording in _ALL if format_of(recording) == name] for name in _APIS}
"""Format → its recordings."""


def each(recordings: Iterable[Recording]) -> list[Any]:
    """One test case per recording, with its id; one skipped case if there are none."""
    cases = [pytest.param(recording, id=recording.id) for recording in recordings]
    reason = "no such recordings in this folder" if FOLDER else UNSET
    return cases or [pytest.param(None, id="none", marks=pytest.mark.skip(reason=reason))]


def recorded(*formats: str) -> list[Recording]:
    """All recordings in these formats."""
    return [recording for name in formats for recording in RECORDINGS[name]]


def replies(*formats: str) -> list[Recording]:
    """Complete replies that are not streams."""
    return [r for r in recorded(*formats) if not is_stream(r) and not is_error(r)]


def streams(*formats: str) -> list[Recording]:
    """Complete streams."""
    return [r for r in recorded(*formats) if is_stream(r) and not is_error(r) and is_complete(r)]


def cut_streams(*formats: str) -> list[Recording]:
    """Streams whose recording ends too early."""
    return [r for r in recorded(*formats) if is_stream(r) and not is_error(r) and not is_complete(r)]


def event_streams(*formats: str) -> list[Recording]:
    """All recordings of server-sent events, including errors."""
    return [r for r in recorded(*formats) if is_stream(r)]


def errors(*formats: str) -> list[Recording]:
    """All recordings of errors."""
    return [r for r in recorded(*formats) if is_error(r)]


def some(recordings: list[Recording], count: int) -> list[Recording]:
    """About `count` of them, evenly spaced."""
    return recordings[:: max(1, len(recordings) // count)]


def request_of(recording: Recording) -> dict[str, Any]:
    """The recorded request body; empty if only the response was recorded."""
    body = recording.request.body if recording.request is not None else None
    return body if isinstance(body, dict) else {}


# --- kinds of recordings ----------------------------------------------------------------------------------------------


def is_stream(recording: Recording) -> bool:
    """Whether it is a stream; some servers answer a request for a stream with a complete reply."""
    return recording.framing == "sse" and recording.status < 400


def is_error(recording: Recording) -> bool:
    """Whether it is an error: by its status, in the body of a 200 or in an event of a stream."""
    return recording.status >= 400 or error_in(recording) is not None


def error_in(recording: Recording) -> dict[str, Any] | None:
    """The object with the error in a response with a good status: the body, an event of a stream, or a choice."""
    objects = json_objects(recording)
    choices = [choice for data in objects for choice in data.get("choices") or () if choice.get("error")]
    return next((data for data in objects if _is_error_object(data)), choices[0] if choices else None)


def json_objects(recording: Recording) -> list[dict[str, Any]]:
    """The JSON objects of a body: the body itself, or its events."""
    if is_stream(recording):
        values = [data_of(event) for event in events_of(recording)]
    else:
        try:
            values = [json.loads(recording.body)]
        except ValueError:
            values = []
    return [value for value in values if isinstance(value, dict)]


def _is_error_object(data: dict[str, Any]) -> bool:
    if data.get("error") or data.get("type") == "error":
        return True
    end = data.get("delta") if data.get("type") == "message-end" else data
    return isinstance(end, dict) and (end.get("finish_reason") in ("ERROR", "TIMEOUT") or bool(end.get("error")))


# --- the events of a stream, without the package's parser -------------------------------------------------------------


def events_of(recording: Recording) -> list[bytes]:
    """The events of a recorded stream, each with the blank line that ends it."""
    *blocks, _ = recording.body.replace(b"\r\n", b"\n").split(b"\n\n")
    return [block + b"\n\n" for block in blocks]


def data_of(event: bytes) -> Any:
    """The JSON of an event; None for an event without JSON, such as ``[DONE]``."""
    data = b"".join(line.removeprefix(b"data:") for line in event.split(b"\n") if line.startswith(b"data:")).strip()
    return json.loads(data) if data.startswith(b"{") else None


def is_complete(recording: Recording) -> bool:
    """Whether a stream has a finish reason or an end marker."""
    return events_until_finished(recording) is not None


def events_until_finished(recording: Recording) -> int | None:
    """Number of events up to the last choice's finish reason, or up to the end marker; None for a cut stream."""
    waiting = set(range(request_of(recording).get("n") or 1))
    finished = set[int]()
    for count, event in enumerate(events_of(recording), 1):
        data = data_of(event) or {}
        waiting |= {choice.get("index") or 0 for choice in data.get("choices") or ()} - finished
        finished |= set(_finished(data))
        waiting -= finished
        if not waiting or event.strip().endswith(b"data: [DONE]"):
            return count
    return None


def events_until_complete(recording: Recording) -> int:
    """Number of events after which nothing that is needed can be missing.

    A few servers send content after the finish reason. Unless it has a finish reason as well, more could come until the
    end marker.
    """
    finished = events_until_finished(recording)
    assert finished is not None, "the stream is complete"
    events = [data_of(event) or {} for event in events_of(recording)]
    last = max((count for count, data in enumerate(events, 1) if any(_has_content(data))), default=finished)
    if last <= finished:
        return finished
    return last if _finished(events[last - 1]) else len(events)


def _finished(data: dict[str, Any]) -> list[int]:
    """The choices that an event ends."""
    match data.get("type"):
        case "message_delta":
            return [0] if data["delta"]["stop_reason"] is not None else []
        case "message-end":
            return [0]
        case _:
            return [choice.get("index") or 0 for choice in data.get("choices") or () if choice.get("finish_reason")]


def _has_content(data: dict[str, Any]) -> Iterator[bool]:
    if "choices" not in data:
        yield data.get("type") in ("content_block_delta", "content-delta", "message_delta", "message-end")
    for choice in data.get("choices") or ():
        delta = choice.get("delta") or {}
        yield bool(choice.get("finish_reason")) or any(value for name, value in delta.items() if name != "role")
