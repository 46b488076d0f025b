"""Finds the recording that answers a request, by provider, method, path and body; never makes up a response."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from ..formats.json_access import as_dict
from ..formats.wire_format import StreamedResponse, StreamEvent, WholeResponse
from .recordings import Recording, load_folder
from .replay_server import CONNECTION_HEADERS, CONTENT_TYPES

_EVENT = re.compile(rb"(?:[^\r\n].*?)(?:\r\n\r\n|\n\n|\r\r|\Z)", re.DOTALL)


class RecordingMatcher:
    """Recordings by request. Repeats of a request get its next recordings, and then the last one again.

    Args:
        recordings: recordings, or a folder of them; those without a request are ignored.
    """

    def __init__(self, recordings: Iterable[Recording] | str | os.PathLike[str]) -> None:
        if isinstance(recordings, (str, os.PathLike)):
            recordings = load_folder(recordings)
        self._recordings = [each for each in recordings if each.request is not None]
        self._used: Counter[str] = Counter()
        self.providers = tuple(sorted({each.provider for each in self._recordings}))
        """The providers of the recordings."""

    def find(self, provider: str, method: str, path: str, body: Any) -> Recording | str:
        """The recording, or why there is none."""
        candidates = [each for each in self._recordings if _has_path(each, provider, method, path)]
        found = [each for each in candidates if each.request is not None and each.request.body == body]
        if found:
            used = self._used[found[0].id]
            self._used[found[0].id] += 1
            return found[min(used, len(found) - 1)]
        problem = f"no recording answers {method} {path} of {provider} with this body"
        if not candidates:
            return f"{problem}: there is none for that path; record it with Recorder, or check that it is in the folder"
        nearest = min(candidates, key=lambda each: len(_differences(each, body)))
        return (
            f"{problem}; the nearest, {nearest.id}, differs in {', '.join(_differences(nearest, body)) or 'its form'}"
        )

    def response(self, recording: Recording, url: str) -> WholeResponse | StreamedResponse:
        """The recording as a response, with links to `url` (a provider's root) instead of the recorded host."""
        headers = {
            name: value
            for name, value in recording.headers.items()
            if name not in CONNECTION_HEADERS | {"content-type"}
        }
        kind = recording.headers.get("content-type") or CONTENT_TYPES.get(recording.framing, "application/octet-stream")
        body = recording.body
        for origin in self._origins(recording.provider):
            body = body.replace(origin, url.encode())
        if recording.framing != "sse":
            return WholeResponse(recording.status, body, headers, kind)
        return StreamedResponse(tuple(map(_event, _EVENT.findall(body))), headers, kind, recording.status)

    def _origins(self, provider: str) -> set[bytes]:
        urls = [urlsplit(each.request.url) for each in self._recordings if each.request and each.provider == provider]
        return {f"{parts.scheme}://{parts.netloc}".encode() for parts in urls if parts.netloc}


def _event(data: bytes) -> StreamEvent:
    return StreamEvent(data, "comment" if data.startswith(b":") else "body")


def _has_path(recording: Recording, provider: str, method: str, path: str) -> bool:
    request = recording.request
    if request is None or recording.provider != provider or request.method != method:
        return False
    return unquote(urlsplit(request.url).path).endswith(path)


def _differences(recording: Recording, body: Any) -> list[str]:
    """The members in which a recorded body and another one differ."""
    recorded: Mapping[str, Any] = as_dict(None if recording.request is None else recording.request.body)
    actual = as_dict(body)
    return sorted(name for name in {*recorded, *actual} if recorded.get(name) != actual.get(name))
