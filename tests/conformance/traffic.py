"""The recorded traffic of the folder that ANYCOMPLETION_TRAFFIC names; no recording is part of this repository.

Any folder of recordings can be used: the format of a recording comes from its API, and recordings of APIs without a
dialect are ignored. Only entries of `expected` with a recording's id belong to one folder.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from anycompletion import PROVIDERS, Provider
from anycompletion.testing import Recording, load_folder
from conformance import expected
from conformance.bodies import data_of, events_of, is_stream, json_objects
from conformance.formats import FORMATS as ALL_FORMATS

FOLDER = os.environ.get("ANYCOMPLETION_TRAFFIC")
UNSET = "ANYCOMPLETION_TRAFFIC names no folder of recorded traffic"

OPENAI, ANTHROPIC, COHERE, REPLICATE = "openai_chat", "anthropic_messages", "cohere_chat", "replicate_predictions"
FORMATS = tuple(name for name, format_ in ALL_FORMATS.items() if format_.one_response)
"""The formats in which one request has one response."""

_ALL = load_folder(FOLDER) if FOLDER else []


def is_reference_folder() -> bool:
    """Whether this is the folder that the counts and ids in `expected` come from."""
    index = Path(FOLDER or "", "INDEX.csv")
    return index.is_file() and hashlib.sha256(index.read_bytes()).hexdigest() == expected.KNOWN_INDEX


def format_of(recording: Recording) -> str:
    """A recording's format; "" for one without a dialect."""
    fitting = ((name, format_) for name, format_ in ALL_FORMATS.items() if recording.api in format_.apis)
    return next((name for name, format_ in fitting if format_.takes(recording)), "")


def row_of(recording: Recording) -> Provider:
    """The row of the recording's provider; the row of the format's own provider where that has none of this format.

    A format that is a variant of a row is its own there.
    """
    name, format_ = expected.ROW_NAMES.get(recording.provider, recording.provider), format_of(recording)
    # A provider with several formats has a row for each of them, as ollama and ollama-openai, or variants of one.
    rows = [row for row in PROVIDERS.values() if row.name == name or row.name.startswith(f"{name}-")]
    spoken = [
        form
        for row in [*rows, PROVIDERS[ALL_FORMATS[format_].row]]
        for form in (row, *map(row.as_variant, row.variants))
    ]
    return next((row for row in spoken if row.dialect == format_), PROVIDERS[ALL_FORMATS[format_].row])


def model_of(recording: Recording) -> str:
    """A model of the recording's row, asked for in the recording's format."""
    row = row_of(recording)
    variants = PROVIDERS[row.name].variants.items() if PROVIDERS[row.name].dialect != row.dialect else ()
    prefix = next((f"{name}/" for name, variant in variants if variant.dialect == row.dialect), "")
    return f"{row.name}/{prefix}any"


RECORDINGS = {name: [recording for recording in _ALL if format_of(recording) == name] for name in ALL_FORMATS}
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
    """All recordings of streams, including errors."""
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


def is_error(recording: Recording) -> bool:
    """Whether it is an error: by its status, in the body of a 200 or in an event of a stream."""
    return recording.status >= 400 or error_in(recording) is not None


def error_in(recording: Recording) -> dict[str, Any] | None:
    """The object with the error in a response with a good status: the body, an event of a stream, or a choice."""
    objects = json_objects(recording)
    choices = [choice for data in objects for choice in data.get("choices") or () if choice.get("error")]
    is_error_object = ALL_FORMATS[format_of(recording)].is_error
    return next(filter(is_error_object, objects), choices[0] if choices else None)


# --- the events of a stream, without the package's parser -------------------------------------------------------------


def is_complete(recording: Recording) -> bool:
    """Whether a stream has a finish reason or an end marker."""
    return events_until_finished(recording) is not None


def events_until_finished(recording: Recording) -> int | None:
    """Number of events up to the last choice's finish reason, or up to the end marker; None for a cut stream."""
    ends = ALL_FORMATS[format_of(recording)].ends
    waiting = set(range(request_of(recording).get("n") or 1))
    finished = set[int]()
    for count, (event, found) in enumerate(zip(events_of(recording), data_of(recording), strict=True), 1):
        data = found or {}
        waiting |= {choice.get("index") or 0 for choice in data.get("choices") or ()} - finished
        finished |= set(ends(data))
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
    format_ = ALL_FORMATS[format_of(recording)]
    events = [data or {} for data in data_of(recording)]
    last = max((count for count, data in enumerate(events, 1) if format_.has_content(data)), default=finished)
    if last <= finished:
        return finished
    return last if format_.ends(events[last - 1]) else len(events)


__all__ = [
    "data_of",
    "events_of",
    "is_stream",
    "json_objects",
]
