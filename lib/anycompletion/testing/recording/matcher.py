"""Which recording answers a request: provider, method, path and body decide; sends nothing and invents nothing."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from ..formats.json_access import as_dict
from ..formats.wire_format import Plain, Stream, StreamEvent
from .recordings import Recording, load_folder
from .replay_server import NEVER, TYPES

_EVENT = re.compile(rb"(?:[^\r\n].*?)(?:\r\n\r\n|\n\n|\r\r|\Z)", re.DOTALL)


class Matcher:
    """Recordings by what was asked. The same question again gets its next recording, and at last the last one again.

    Args:
        recordings: recordings, or a folder of them; those that lack the request are left out.
    """

    def __init__(self, recordings: Iterable[Recording] | str | os.PathLike[str]) -> None:
        if isinstance(recordings, (str, os.PathLike)):
            recordings = load_folder(recordings)
        self._recordings = [each for each in recordings if each.request is not None]
        self._used: Counter[str] = Counter()
        self.providers = tuple(sorted({each.provider for each in self._recordings}))
        """Whose recordings there are."""

    def find(self, provider: str, method: str, path: str, body: Any) -> Recording | str:
        """The recording, or why there is none."""
        asked = [each for each in self._recordings if _is_about(each, provider, method, path)]
        found = [each for each in asked if each.request is not None and each.request.body == body]
        if found:
            used = self._used[found[0].id]
            self._used[found[0].id] += 1
            return found[min(used, len(found) - 1)]
        problem = f"no recording answers {method} {path} of {provider} with this body"
        if not asked:
            return f"{problem}: there is none for that path; record it with Recorder, or see that it is in the folder"
        nearest = min(asked, key=lambda each: len(_differences(each, body)))
        return (
            f"{problem}; the nearest, {nearest.id}, differs in {', '.join(_differences(nearest, body)) or 'its form'}"
        )

    def answer(self, recording: Recording, url: str) -> Plain | Stream:
        """The recording as an answer, with links that lead to `url` (a provider's root) instead of where they led."""
        headers = {name: value for name, value in recording.headers.items() if name not in NEVER | {"content-type"}}
        kind = recording.headers.get("content-type") or TYPES.get(recording.framing, "application/octet-stream")
        body = recording.body
        for origin in self._origins(recording.provider):
            body = body.replace(origin, url.encode())
        if recording.framing != "sse":
            return Plain(recording.status, body, headers, kind)
        return Stream(tuple(map(_event, _EVENT.findall(body))), headers, kind, recording.status)

    def _origins(self, provider: str) -> set[bytes]:
        urls = [urlsplit(each.request.url) for each in self._recordings if each.request and each.provider == provider]
        return {f"{parts.scheme}://{parts.netloc}".encode() for parts in urls if parts.netloc}


def _event(data: bytes) -> StreamEvent:
    return StreamEvent(data, "comment" if data.startswith(b":") else "body")


def _is_about(recording: Recording, provider: str, method: str, path: str) -> bool:
    request = recording.request
    if request is None or recording.provider != provider or request.method != method:
        return False
    return urlsplit(request.url).path.endswith(path)


def _differences(recording: Recording, body: Any) -> list[str]:
    """The members in which a recorded body and another one differ."""
    told: Mapping[str, Any] = as_dict(None if recording.request is None else recording.request.body)
    asked = as_dict(body)
    return sorted(name for name in {*told, *asked} if told.get(name) != asked.get(name))
