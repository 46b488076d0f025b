"""The recorded traffic these tests read where it lies; nothing of it is ever copied into this tree.

Any folder of recordings will do: which provider speaks which format is read off the package's rows, and recordings of
other providers and other APIs are left alone. Only what stands in `expected` under an id is about one folder.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from anycompletion import PROVIDERS
from anycompletion.testing import Recording, load_folder
from conformance.expected import KNOWN_INDEX

FOLDER = os.environ.get("ANYCOMPLETION_TRAFFIC")
UNSET = "ANYCOMPLETION_TRAFFIC names no folder of recorded traffic"

OPENAI, ANTHROPIC, COHERE, REPLICATE = "openai_chat", "anthropic_messages", "cohere_chat", "replicate_predictions"
FORMATS = (OPENAI, ANTHROPIC, COHERE)
"""The formats in which one request has one answer."""

_APIS = {
    OPENAI: ("chat.completions", "chat"),
    ANTHROPIC: ("messages",),
    COHERE: ("v2/chat",),
    REPLICATE: ("predictions.create", "predictions.get", "predictions.cancel"),
}
"""Format → what the folder calls its API."""

_ALL = load_folder(FOLDER) if FOLDER else []


def is_known() -> bool:
    """True for the folder that the counts and the ids in `expected` were taken from."""
    index = Path(FOLDER or "", "INDEX.csv")
    return index.is_file() and hashlib.sha256(index.read_bytes()).hexdigest() == KNOWN_INDEX


def format_of(recording: Recording) -> str:
    """The format a recording is written in; "" for one that this package does not speak."""
    row = PROVIDERS.get(recording.provider)
    return row.dialect if row is not None and recording.api in _APIS.get(row.dialect, ()) else ""


RECORDINGS = {name: [recording for recording in _ALL if format_of(recording) == name] for name in _APIS}
"""Format → everything recorded in it."""


def each(recordings: Iterable[Recording]) -> list[Any]:
    """One case per recording, named after it; one skipped case where there are none."""
    cases = [pytest.param(recording, id=recording.id) for recording in recordings]
    reason = "no such recordings in this folder" if FOLDER else UNSET
    return cases or [pytest.param(None, id="none", marks=pytest.mark.skip(reason=reason))]


def recorded(*formats: str) -> list[Recording]:
    """Everything recorded in these formats."""
    return [recording for name in formats for recording in RECORDINGS[name]]


def replies(*formats: str) -> list[Recording]:
    """Whole answers in one piece."""
    return [r for r in recorded(*formats) if not is_stream(r) and not is_error(r)]


def streams(*formats: str) -> list[Recording]:
    """Streams that came to their proper end."""
    return [r for r in recorded(*formats) if is_stream(r) and not is_error(r) and is_whole(r)]


def cut_streams(*formats: str) -> list[Recording]:
    """Streams whose recording ends too early."""
    return [r for r in recorded(*formats) if is_stream(r) and not is_error(r) and not is_whole(r)]


def event_streams(*formats: str) -> list[Recording]:
    """Everything that arrived as server-sent events, errors among them."""
    return [r for r in recorded(*formats) if is_stream(r)]


def errors(*formats: str) -> list[Recording]:
    """Everything that is an error."""
    return [r for r in recorded(*formats) if is_error(r)]


def some(recordings: list[Recording], count: int) -> list[Recording]:
    """About so many of them, from everywhere in the list."""
    return recordings[:: max(1, len(recordings) // count)]


def request_of(recording: Recording) -> dict[str, Any]:
    """The recorded request body; empty where only the answer was kept."""
    body = recording.request.body if recording.request is not None else None
    return body if isinstance(body, dict) else {}


# --- what a recording is ------------------------------------------------------------------------------------------


def is_stream(recording: Recording) -> bool:
    """True for server-sent events; some servers answer a question for a stream with a whole reply."""
    return recording.framing == "sse" and recording.status < 400


def is_error(recording: Recording) -> bool:
    """True for an error, whether its status says so, the body of a 200 or an event of its stream."""
    return recording.status >= 400 or error_in(recording) is not None


def error_in(recording: Recording) -> dict[str, Any] | None:
    """The object that tells the error of a good status: a body, or an event of a stream."""
    return next((data for data in said(recording) if _tells_error(data)), None)


def said(recording: Recording) -> list[dict[str, Any]]:
    """The JSON objects of a body: one, or those of its events."""
    if is_stream(recording):
        values = [data_of(event) for event in events_of(recording)]
    else:
        try:
            values = [json.loads(recording.body)]
        except ValueError:
            values = []
    return [value for value in values if isinstance(value, dict)]


def _tells_error(data: dict[str, Any]) -> bool:
    if data.get("error") or data.get("type") == "error":
        return True
    ended = data.get("delta") if data.get("type") == "message-end" else data
    return isinstance(ended, dict) and (ended.get("finish_reason") in ("ERROR", "TIMEOUT") or bool(ended.get("error")))


# --- a recorded stream, taken apart without our framing -----------------------------------------------------------


def events_of(recording: Recording) -> list[bytes]:
    """The events of a recorded stream, each with the blank line that ends it; what none ends is no event."""
    *blocks, _ = recording.body.replace(b"\r\n", b"\n").split(b"\n\n")
    return [block + b"\n\n" for block in blocks]


def data_of(event: bytes) -> Any:
    """The JSON an event holds; None where it holds none, as ``[DONE]``."""
    data = b"".join(line.removeprefix(b"data:") for line in event.split(b"\n") if line.startswith(b"data:")).strip()
    return json.loads(data) if data.startswith(b"{") else None


def is_whole(recording: Recording) -> bool:
    """True for a stream in which the provider said why it stopped, or marked the end."""
    return events_until_finished(recording) is not None


def events_until_finished(recording: Recording) -> int | None:
    """How many events it takes until the provider has said why it stopped, for every choice; or marked the end."""
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


def events_until_all_is_said(recording: Recording) -> int:
    """How many events hold anything of the answer; few servers go on after they have said why they stopped."""
    finished = events_until_finished(recording)
    assert finished is not None, "asked of whole streams only"
    speaking = [count for count, event in enumerate(events_of(recording), 1) if any(_spoken(data_of(event) or {}))]
    return max(finished, *speaking)


def _finished(data: dict[str, Any]) -> list[int]:
    """The choices that an event ends."""
    match data.get("type"):
        case "message_delta":
            return [0] if data["delta"]["stop_reason"] is not None else []
        case "message-end":
            return [0]
        case _:
            return [choice.get("index") or 0 for choice in data.get("choices") or () if choice.get("finish_reason")]


def _spoken(data: dict[str, Any]) -> Iterator[bool]:
    if "choices" not in data:
        yield data.get("type") in ("content_block_delta", "content-delta", "message_delta", "message-end")
    for choice in data.get("choices") or ():
        delta = choice.get("delta") or {}
        yield bool(choice.get("finish_reason")) or any(value for name, value in delta.items() if name != "role")
