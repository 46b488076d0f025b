"""The recorded traffic these tests read where it lies; nothing of it is ever copied into this tree."""

import json
import os
import re
from collections.abc import Iterable
from typing import Any

import pytest

from anycompletion.testing import Recording, load_folder

FOLDER = os.environ.get("ANYCOMPLETION_TRAFFIC")

APIS = {"openai": "chat.completions", "anthropic": "messages"}
"""Provider → the API of its chat completions."""

_ALL = load_folder(FOLDER) if FOLDER else []

RECORDINGS = {provider: [r for r in _ALL if (r.provider, r.api) == (provider, api)] for provider, api in APIS.items()}
"""Provider → everything recorded of that API."""

UNSET = "ANYCOMPLETION_TRAFFIC names no folder of recorded traffic"


def each(recordings: Iterable[Recording]) -> list[Any]:
    """One case per recording, named after it; one skipped case where there is no traffic."""
    if not FOLDER:
        return [pytest.param(None, id="none", marks=pytest.mark.skip(reason=UNSET))]
    return [pytest.param(recording, id=recording.id) for recording in recordings]


def recorded(*providers: str) -> list[Recording]:
    """Everything recorded of these providers."""
    return [recording for provider in providers for recording in RECORDINGS[provider]]


def is_error(recording: Recording) -> bool:
    """True for an error, whether its status says so or an event of its stream."""
    return recording.status >= 400 or re.search(rb"^event: error$", recording.body, re.MULTILINE) is not None


def replies(*providers: str) -> list[Recording]:
    """Whole answers in one piece."""
    return [r for r in recorded(*providers) if not r.streaming and not is_error(r)]


def streams(*providers: str) -> list[Recording]:
    """Streams that came to their proper end."""
    return [r for r in recorded(*providers) if r.streaming and not is_error(r)]


def event_streams(*providers: str) -> list[Recording]:
    """Everything that arrived as server-sent events, errors among them."""
    return [r for r in recorded(*providers) if r.framing == "sse"]


def errors(*providers: str) -> list[Recording]:
    """Everything that is an error."""
    return [r for r in recorded(*providers) if is_error(r)]


def request_of(recording: Recording) -> dict[str, Any]:
    """The recorded request body; empty where only the answer was kept."""
    return recording.request.body if recording.request is not None and recording.request.body else {}


# --- a recorded stream, taken apart without our framing -----------------------------------------------------------


def events_of(recording: Recording) -> list[bytes]:
    """The events of a recorded stream, each with the blank line that ends it."""
    *blocks, rest = recording.body.split(b"\n\n")
    assert not rest, "a recorded stream ends with a blank line"
    return [block + b"\n\n" for block in blocks]


def data_of(event: bytes) -> Any:
    """The JSON an event holds; None where it holds none, as ``[DONE]``."""
    data = b"".join(line.removeprefix(b"data:") for line in event.split(b"\n") if line.startswith(b"data:")).strip()
    return json.loads(data) if data.startswith(b"{") else None


def events_until_finished(recording: Recording) -> int:
    """How many events it takes until the provider has said why it stopped, for every choice."""
    waiting = set(range(request_of(recording).get("n") or 1))
    for count, event in enumerate(events_of(recording), 1):
        waiting -= set(_finished(data_of(event) or {}))
        if not waiting:
            return count
    raise AssertionError(f"{recording.id} never finished")


def _finished(data: dict[str, Any]) -> list[int]:
    if data.get("type") == "message_delta":
        return [0] if data["delta"]["stop_reason"] is not None else []
    return [choice["index"] for choice in data.get("choices", ()) if choice["finish_reason"] is not None]
