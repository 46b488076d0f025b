"""Content parts of a message as Gemini's parts: text, and media by value or by address. Fetches nothing.

https://ai.google.dev/api/caching#Part
"""

from __future__ import annotations

import mimetypes
from collections.abc import Iterable
from typing import assert_never
from urllib.parse import urlsplit

from ...errors import InvalidRequestError
from ...records import (
    AudioPart,
    Content,
    CustomPart,
    FilePart,
    ImagePart,
    JsonObject,
    Part,
    RefusalPart,
    TextPart,
)
from ..base import EncodingReport
from ..shared import media_type, strict_base64, without_nulls

_RESOLUTIONS = {"low": "MEDIA_RESOLUTION_LOW", "medium": "MEDIA_RESOLUTION_MEDIUM", "high": "MEDIA_RESOLUTION_HIGH"}
"""OpenAI's detail of an image → Gemini's resolution."""

_KNOWN_TO_SERVER = ("youtube.com", "www.youtube.com", "youtu.be", "generativelanguage.googleapis.com")
"""Hosts of files whose media type the server knows itself."""

_TYPE_FIELDS = ("format", "mime_type")
"""Fields of an image or a file that may name its media type (LiteLLM's names)."""


class GeminiPartEncoder:
    """Encodes content parts of one request.

    `resolution` is set where the model takes one resolution for the whole request.
    """

    __slots__ = ("_per_part", "_report", "resolution")

    def __init__(self, report: EncodingReport, *, per_part: bool) -> None:
        self._report = report
        self._per_part = per_part
        """Whether each part may have a resolution of its own."""
        self.resolution: str | None = None

    def parts(self, content: Content, path: str) -> list[JsonObject]:
        """The parts of a content; empty texts are left out. `path` is the message's."""
        if isinstance(content, str):
            return [{"text": content}] if content else []
        found = (self._part(part, f"{path}.content[{i}]") for i, part in enumerate(content))
        return [part for part in found if part is not None]

    def _part(self, part: Part, path: str) -> JsonObject | None:
        match part:
            case TextPart():
                return _text(part.text, part.extra)
            case RefusalPart():
                return _text(part.refusal, part.extra)
            case ImagePart():
                return self._image(part, path)
            case FilePart():
                return self._file(part, path)
            case AudioPart():
                audio = part.input_audio
                data = {"mimeType": f"audio/{audio.format}", "data": audio.data}
                return {"inlineData": data, **without_nulls(part.extra)}
            case CustomPart():
                return self._custom(part, path)
            case _:
                assert_never(part)

    def _image(self, part: ImagePart, path: str) -> JsonObject | None:
        image = part.image_url
        source = self._source(image.url, _given_type(image.extra), f"{path}.image_url.url")
        if source is None:
            return None
        return source | self._detail(image.detail, f"{path}.image_url") | without_nulls(part.extra)

    def _file(self, part: FilePart, path: str) -> JsonObject | None:
        file = part.file
        extra = without_nulls(file.extra)
        kind = _given_type(extra) or (mimetypes.guess_type(file.filename)[0] if file.filename else None)
        if file.file_id is not None:
            source = self._source(file.file_id, kind, f"{path}.file.file_id")
        elif not file.file_data:
            raise InvalidRequestError(f"{path}.file: has neither file_id nor file_data", param=f"{path}.file")
        elif file.file_data[:8].lower().startswith(("data:", "http:", "https:", "gs:")):
            source = self._source(file.file_data, kind, f"{path}.file.file_data")
        else:
            source = {"inlineData": {"mimeType": media_type(kind or "application/pdf"), "data": file.file_data}}
        if source is None:
            return None
        video = extra.get("video_metadata", extra.get("videoMetadata"))
        metadata = {} if video is None else {"videoMetadata": video}
        return source | metadata | self._detail(extra.get("detail"), f"{path}.file") | without_nulls(part.extra)

    def _detail(self, detail: object, path: str) -> JsonObject:
        if detail in (None, "auto"):
            return {}
        level = _RESOLUTIONS.get(detail) if isinstance(detail, str) else None
        if level is None:
            self._report.unsupported(f"{path}.detail", f"Gemini knows {', '.join(_RESOLUTIONS)}")
        elif self._per_part:
            return {"mediaResolution": {"level": level}}
        elif self.resolution in (None, level):
            self.resolution = level
        else:
            self._report.unsupported(f"{path}.detail", "before Gemini 3, all images have one level of detail")
        return {}

    def _custom(self, part: CustomPart, path: str) -> JsonObject | None:
        """A part of Gemini's own, such as ``{"type": "executableCode", "executableCode": {...}}``."""
        if part.type in part.extra:
            return without_nulls(part.extra)
        self._report.unsupported(path, f"Gemini has no parts of the type {part.type!r}")
        return None

    def _source(self, url: str, kind: str | None, path: str) -> JsonObject | None:
        """The part with the data of a data URL, or with the address of a file."""
        scheme = url.partition(":")[0].lower()
        if scheme == "data":
            return {"inlineData": _inline_data(url, kind, path)}
        if scheme in ("https", "gs") or url.startswith("files/"):
            data = {"fileUri": url}
            kind = kind or _type_of_url(url)
            if kind is None and not _is_known_to_server(url):
                text = "its media type is neither given nor in its name; add the field format, such as image/png"
                raise InvalidRequestError(f"{path}: {text}", param=path)
            return {"fileData": data if kind is None else {"mimeType": media_type(kind), **data}}
        text = "Gemini takes data URLs, https and gs:// URLs, and files of its own Files API (files/...)"
        self._report.unsupported(path, text)
        return None


def _text(text: str, extra: JsonObject) -> JsonObject | None:
    return {"text": text, **without_nulls(extra)} if text else None


def _given_type(extra: JsonObject) -> str | None:
    names: Iterable[object] = (extra.get(name) for name in _TYPE_FIELDS)
    return next((name for name in names if isinstance(name, str) and "/" in name), None)


def _type_of_url(url: str) -> str | None:
    try:
        path = urlsplit(url).path
    except ValueError:
        return None
    return mimetypes.guess_type(path)[0]


def _is_known_to_server(url: str) -> bool:
    if url.startswith("files/"):
        return True
    try:
        return urlsplit(url).hostname in _KNOWN_TO_SERVER
    except ValueError:
        return False


def _inline_data(url: str, kind: str | None, path: str) -> JsonObject:
    head, comma, data = url[len("data:") :].partition(",")
    named, *options = head.split(";")
    if not comma or "base64" not in (option.strip().lower() for option in options):
        raise InvalidRequestError(f"{path}: expected a data URL in base64", param=path)
    named = named.strip().lower() or kind or ""
    if not named:
        raise InvalidRequestError(f"{path}: the data URL has no media type", param=path)
    return {"mimeType": media_type(named), "data": strict_base64(data)}
