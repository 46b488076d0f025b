"""The recorded traffic these tests read where it lies; nothing of it is ever copied into this tree."""

import json
import os
from collections.abc import Iterable
from typing import Any

import pytest
from anycompletion.testing import Recording, load_folder

FOLDER = os.environ.get("ANYCOMPLETION_TRAFFIC")

APIS = {"openai": "chat.completions", "anthropic": "messages"}
"""Provider → the API of its chat completions."""

RECORDINGS: dict[str, list[Recording]] = {
    provider: load_folder(FOLDER, provider=provider, api=api) if FOLDER else [] for provider, api in APIS.items()
}

_UNSET = pytest.param(
    None, id="none", marks=pytest.mark.skip(reason="ANYCOMPLETION_TRAFFIC names no folder of recorded traffic")
)


def each(recordings: Iterable[Recording]) -> list[Any]:
    """One case per recording, named after it; one skipped case where there is no traffic."""
    cases = [pytest.param(recording, id=recording.id) for recording in recordings]
    return cases if FOLDER else [_UNSET]


def is_error(recording: Recording) -> bool:
    """True for an error, whether its status says so or an event of its stream."""
    return recording.status >= 400 or b"\nevent: error\n" in b"\n" + recording.body


def replies(*providers: str) -> list[Recording]:
    """Whole answers in one piece."""
    return [r for p in providers for r in RECORDINGS[p] if not r.streaming and not is_error(r)]


def streams(*providers: str) -> list[Recording]:
    """Streams that came to their proper end."""
    return [r for p in providers for r in RECORDINGS[p] if r.streaming and not is_error(r)]


def errors(*providers: str) -> list[Recording]:
    """Everything that is an error."""
    return [r for p in providers for r in RECORDINGS[p] if is_error(r)]


def events_of(body: bytes) -> list[bytes]:
    """The events of a recorded stream, each with the blank line that ends it."""
    text = body.replace(b"\r\n", b"\n")
    return [block + b"\n\n" for block in text.split(b"\n\n") if block.strip()]


def data_of(event: bytes) -> Any:
    """The JSON an event holds; None for comments and for ``[DONE]``."""
    lines = [line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:")]
    data = b"\n".join(lines)
    return json.loads(data) if data.startswith(b"{") else None
