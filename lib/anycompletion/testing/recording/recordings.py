"""Recorded HTTP exchanges as values, read from files; never opens a connection.

A recording is one JSON file; a folder of recordings may have folders in it. The file is an object:

* ``id``: a name that no other recording has; it becomes a segment of a URL.
* ``provider``, ``api``: the provider that responded, and which of its APIs (``openai``, ``chat.completions``).
* ``streaming``: true if the request asked for a stream.
* ``framing``: how the body is cut: ``json``, ``sse``, ``ndjson``, ``json-array``, ``aws-eventstream`` or ``text``.
* ``request``: ``method``, ``url``, ``headers`` and ``body`` (the parsed JSON); null where only the response was
  recorded. The headers must not contain the key.
* ``response``: ``status``, ``headers``, and the body with any compression undone: ``body_text``, or ``body_base64``
  where it is not UTF-8. Optionally ``chunk_lengths``, the bytes of each read, which add up to the body.
* optionally ``features``, a list of words to select recordings by, and ``group``, a name that the calls of one
  task share.

Other members are ignored, so a file may also contain its origin. ``bytes`` above are those of the body in UTF-8.
"""

from __future__ import annotations

import base64
import json
import os
import tempfile
from pathlib import Path
from typing import Any, Self

import attrs

from ..formats.json_access import as_dict, as_list


@attrs.frozen
class RecordedCall:
    """The request of a recording."""

    method: str
    """The HTTP method."""
    url: str
    """The whole URL."""
    headers: dict[str, str] = attrs.field(factory=dict[str, str], repr=False)
    """The request's headers, without the key."""
    body: Any = attrs.field(default=None, repr=False)
    """The parsed JSON."""


@attrs.frozen(kw_only=True)
class Recording:
    """One recorded exchange. Make one by hand, or `load` it from a file of the format that this module describes."""

    id: str
    """A name that no other recording has."""
    provider: str
    """The provider that responded."""
    api: str = ""
    """Which of its APIs, such as ``chat.completions``."""
    streaming: bool = False
    """Whether a stream was asked for."""
    framing: str = "json"
    """How the body is cut: ``json``, ``sse``, ``ndjson``, ``json-array``, ``aws-eventstream`` or ``text``."""
    status: int = 200
    """HTTP status of the response."""
    headers: dict[str, str] = attrs.field(factory=dict[str, str], repr=False)
    """The response's headers, names in lower case."""
    body: bytes = attrs.field(default=b"", repr=False)
    """The response's body, decompressed."""
    chunk_lengths: tuple[int, ...] = attrs.field(default=(), repr=False)
    """Bytes of each read of the body; empty where they were not recorded."""
    request: RecordedCall | None = None
    """The request; None where only the response was recorded."""
    features: tuple[str, ...] = attrs.field(default=(), repr=False)
    """Words to select recordings by."""
    group: str | None = None
    """A name that the calls of one task share."""
    path: Path | None = attrs.field(default=None, eq=False)
    """The file it came from."""

    def __attrs_post_init__(self) -> None:
        if not self.id or "/" in self.id:
            raise ValueError(f"a recording needs an id without slashes, got {self.id!r}")
        if self.chunk_lengths and sum(self.chunk_lengths) != len(self.body):
            raise ValueError(f"chunk_lengths add up to {sum(self.chunk_lengths)}, the body has {len(self.body)} bytes")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The recording in a file.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is no recording; the message names the file.
        """
        file = Path(path)
        try:
            return cls._from_json(json.loads(file.read_bytes()), file)
        except KeyError as error:
            raise ValueError(f"{file}: no recording, {error} is missing") from None
        except (ValueError, TypeError) as error:
            raise ValueError(f"{file}: no recording, {error}") from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the recording into a file atomically; the file is readable by its owner only.

        Raises:
            OSError: the file cannot be written.
        """
        file = Path(path)
        text = json.dumps(self._to_json(), ensure_ascii=False, indent=1) + "\n"
        # A name of its own, because a link with a name that can be foreseen would be followed.
        descriptor, unfinished = tempfile.mkstemp(".part", f".{file.name[:100]}.", file.parent)
        try:
            with open(descriptor, "w", encoding="utf-8") as opened:
                opened.write(text)
            Path(unfinished).replace(file)
        except BaseException:
            Path(unfinished).unlink(missing_ok=True)
            raise

    def _to_json(self) -> dict[str, Any]:
        request = self.request
        members: dict[str, Any] = {
            "id": self.id,
            "provider": self.provider,
            "api": self.api,
            "streaming": self.streaming,
            "framing": self.framing,
            "request": None
            if request is None
            else {"method": request.method, "url": request.url, "headers": request.headers, "body": request.body},
            "response": {"status": self.status, "headers": self.headers, **_body_json(self.body)},
        }
        if self.chunk_lengths:
            members["response"]["chunk_lengths"] = list(self.chunk_lengths)
        if self.features:
            members["features"] = list(self.features)
        if self.group is not None:
            members["group"] = self.group
        return members

    @classmethod
    def _from_json(cls, value: Any, path: Path) -> Self:
        if not isinstance(value, dict):
            raise TypeError("not a JSON object")
        data = as_dict(value)
        response: dict[str, Any] = data["response"]
        return cls(
            id=data["id"],
            provider=data["provider"],
            api=data.get("api") or "",
            streaming=bool(data.get("streaming")),
            framing=data.get("framing") or "json",
            status=int(response["status"]),
            headers={name.lower(): str(each) for name, each in as_dict(response.get("headers")).items()},
            body=_body(response),
            chunk_lengths=tuple(int(each) for each in as_list(response.get("chunk_lengths"))),
            request=_call(data.get("request")),
            features=tuple(as_list(data.get("features"))),
            group=data.get("group"),
            path=path,
        )


def load_folder(
    path: str | os.PathLike[str], *, provider: str | None = None, api: str | None = None
) -> list[Recording]:
    """All recordings in a folder and the folders in it, sorted by id.

    Args:
        path: the folder; its ``*.json`` files are the recordings.
        provider: only recordings of this provider.
        api: only recordings of this API.

    Raises:
        OSError: the folder or a file cannot be read.
        ValueError: a file is no recording, or two have the same id.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is no folder")
    found: dict[str, Recording] = {}
    for file in sorted(folder.rglob("*.json")):
        recording = Recording.load(file)
        if recording.id in found:
            raise ValueError(f"{file}: the id {recording.id!r} is taken by {found[recording.id].path}")
        found[recording.id] = recording
    return [each for _, each in sorted(found.items()) if provider in (None, each.provider) and api in (None, each.api)]


def _body_json(body: bytes) -> dict[str, str]:
    try:
        return {"body_text": body.decode()}
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(body).decode()}


def _body(response: dict[str, Any]) -> bytes:
    if "body_base64" in response:
        return base64.b64decode(response["body_base64"], validate=True)
    # A recorder may have written a lone surrogate; it is kept rather than rejected.
    return str(response["body_text"]).encode("utf-8", "surrogatepass")


def _call(value: Any) -> RecordedCall | None:
    if value is None:
        return None
    data = as_dict(value)
    headers = {name.lower(): str(each) for name, each in as_dict(data.get("headers")).items()}
    return RecordedCall(data.get("method") or "POST", data["url"], headers, data.get("body"))
