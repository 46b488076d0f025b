"""Content parts of a message as Bedrock's content blocks. Fetches nothing.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, TypeGuard, assert_never, cast

from ...codecs import json
from ...errors import InvalidRequestError
from ...records import AudioPart, Content, CustomPart, FilePart, ImagePart, JsonObject, Part, RefusalPart, TextPart
from ..base import EncodingReport
from ..shared import media_type, without_nulls

Place: TypeAlias = Literal["system", "user", "assistant", "tool"]
"""Where a part stands: in a message of that role."""

_FORMATS: Mapping[str, tuple[str, str]] = {
    "image/png": ("image", "png"),
    "image/jpeg": ("image", "jpeg"),
    "image/gif": ("image", "gif"),
    "image/webp": ("image", "webp"),
    "application/pdf": ("document", "pdf"),
    "text/csv": ("document", "csv"),
    "application/msword": ("document", "doc"),
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ("document", "docx"),
    "application/vnd.ms-excel": ("document", "xls"),
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ("document", "xlsx"),
    "text/html": ("document", "html"),
    "text/plain": ("document", "txt"),
    "text/markdown": ("document", "md"),
    "video/x-matroska": ("video", "mkv"),
    "video/quicktime": ("video", "mov"),
    "video/mp4": ("video", "mp4"),
    "video/webm": ("video", "webm"),
    "video/x-flv": ("video", "flv"),
    "video/mpeg": ("video", "mpeg"),
    "video/x-ms-wmv": ("video", "wmv"),
    "video/3gpp": ("video", "three_gp"),
    "audio/mpeg": ("audio", "mp3"),
    "audio/wav": ("audio", "wav"),
    "audio/x-wav": ("audio", "wav"),
    "audio/flac": ("audio", "flac"),
    "audio/ogg": ("audio", "ogg"),
}
"""Media type → kind and format of its block."""

_BY_SUFFIX: Mapping[str, tuple[str, str]] = {found[1]: found for found in _FORMATS.values()} | {
    "jpg": ("image", "jpeg"),
    "htm": ("document", "html"),
    "3gp": ("video", "three_gp"),
}
"""Suffix of a file's name → kind and format of its block."""

_MEDIA: Mapping[Place, tuple[str, ...]] = {
    "system": (),
    "user": ("image", "document", "video", "audio"),
    "assistant": (),
    "tool": ("image", "document", "video"),
}
"""Where a part stands → the media that it may be."""

_NO_POINT_BEHIND = frozenset({"document", "video", "reasoningContent"})
"""Kinds of blocks behind which Bedrock refuses a cache point."""

_NAME = r"(?=.{1,200}\Z)[A-Za-z0-9_\-()\[\]]+( [A-Za-z0-9_\-()\[\]]+)*"
"""Names of documents that Bedrock accepts."""


class BedrockParts:
    """Encoder of one conversation's content parts; it keeps the names of its documents different."""

    __slots__ = ("_names", "_report")

    def __init__(self, report: EncodingReport) -> None:
        self._report = report
        self._names: set[str] = set()

    def blocks(self, content: Content, path: str, place: Place) -> list[JsonObject]:
        """The blocks of a message's content; `path` is the message's."""
        if isinstance(content, str):
            return self.text(content, f"{path}.content")
        found: list[JsonObject] = []
        for i, part in enumerate(content):
            where = f"{path}.content[{i}]"
            blocks, caching = self._blocks_of(part, where, place)
            found += blocks
            if caching is not None and place == "tool":
                found.append(cache_point(caching, f"{where}.cache_control"))  # the caller puts it behind the result
            elif caching is not None:
                found = self.with_cache_point(found, caching, where)
        return found

    def text(self, text: str, path: str) -> list[JsonObject]:
        """A text block; none for a blank text, which Bedrock refuses."""
        if not is_blank(text):
            return [{"text": text}]
        if text:
            self._report.warn(f"{path} left out: Bedrock refuses a text of white space only")
        return []

    def with_cache_point(self, blocks: list[JsonObject], caching: object, path: str) -> list[JsonObject]:
        """The blocks of a message with a cache point behind the last one after which Bedrock takes it."""
        point = cache_point(caching, f"{path}.cache_control")
        end = len(blocks)
        while end and not _NO_POINT_BEHIND.isdisjoint(blocks[end - 1]):
            end -= 1
        if not end:
            self._report.warn(f"{path}.cache_control left out: Bedrock takes its place behind no block here")
            return blocks
        if end < len(blocks):
            what = "the file or the reasoning, behind which Bedrock refuses its end"
            self._report.warn(f"{path}.cache_control: the cache ends before {what}")
        return blocks if "cachePoint" in blocks[end - 1] else [*blocks[:end], point, *blocks[end:]]

    # --- parts ---

    def _blocks_of(self, part: Part, path: str, place: Place) -> tuple[list[JsonObject], object]:
        """The blocks of a part, and its `cache_control`."""
        extra = without_nulls(part.extra)
        if isinstance(part, CustomPart):
            return _native(part)
        caching = extra.pop("cache_control", None)
        match part:
            case TextPart():
                blocks = self.text(part.text, path)
            case RefusalPart():
                blocks = self.text(part.refusal, path)
            case ImagePart():
                blocks = self._image(part, path, place)
            case FilePart():
                blocks = self._file(part, extra, path, place)
                extra = {}
            case AudioPart():
                audio = part.input_audio
                source = {"format": audio.format, "source": {"bytes": audio.data}}
                blocks = self._media("audio", source, path, place)
            case _:
                assert_never(part)
        for name in extra:
            self._report.unsupported(f"{path}.{name}", "Bedrock's blocks have no such field")
        return blocks, caching

    def _media(self, kind: str, value: JsonObject, path: str, place: Place) -> list[JsonObject]:
        if kind in _MEDIA[place]:
            return [{kind: value}]
        self._report.unsupported(path, f"Bedrock takes no {kind} in messages of the {place}")
        return []

    def _image(self, part: ImagePart, path: str, place: Place) -> list[JsonObject]:
        image, where = part.image_url, f"{path}.image_url.url"
        given = image.extra.get("format")
        found = self._source(image.url, given if isinstance(given, str) else "", where)
        if found is None:
            return []
        kind, form, source = found
        if kind != "image":
            self._report.unsupported(where, "expected a PNG, JPEG, GIF or WebP image")
            return []
        if image.detail not in (None, "auto"):
            self._report.unsupported(f"{path}.image_url.detail", "Bedrock has no levels of detail")
        for name in without_nulls(image.extra).keys() - {"format"}:
            self._report.unsupported(f"{path}.image_url.{name}", "Bedrock's images have no such field")
        return self._media(kind, {"format": form, "source": source}, path, place)

    def _file(self, part: FilePart, extra: JsonObject, path: str, place: Place) -> list[JsonObject]:
        file = part.file
        others = without_nulls(file.extra) | extra
        given = others.pop("format", None)
        data, where = (
            (file.file_data, f"{path}.file.file_data") if file.file_data else (file.file_id, f"{path}.file.file_id")
        )
        if not data:
            raise InvalidRequestError(f"{path}.file: has neither file_id nor file_data", param=f"{path}.file")
        form = given if isinstance(given, str) else (file.filename or "").rpartition(".")[2]
        found = self._source(data, form, where, is_id=not file.file_data)
        if found is None:
            return []
        kind, form, source = found
        if kind == "document":
            return self._media(
                kind, {"format": form, "name": self._name(file.filename, path), "source": source, **others}, path, place
            )
        for name in others:
            self._report.unsupported(f"{path}.{name}", "Bedrock has such a field for documents only")
        return self._media(kind, {"format": form, "source": source}, path, place)

    def _name(self, filename: str | None, path: str) -> str:
        """The document's name, which the model reads."""
        given = filename.rpartition(".")[0] or filename if filename else ""
        name, number = given, len(self._names)
        while name in self._names or not re.fullmatch(_NAME, name):
            number += 1
            name = f"document-{number}"
        self._names.add(name)
        if given and name != given:
            self._report.warn(f"{path}: the file is named {name}, because Bedrock refuses its own name")
        return name

    def _source(self, data: str, form: str, path: str, *, is_id: bool = False) -> tuple[str, str, JsonObject] | None:
        """Kind, format and source of a file's data or address; None for one that Bedrock cannot read."""
        scheme = data[:8].partition(":")[0].lower() if ":" in data[:8] else ""
        if scheme == "s3":
            kind = _kind_of(form or data.rpartition(".")[2])
            source: JsonObject = {"s3Location": {"uri": data}}
        elif scheme == "data":
            name, data = _data_url(data, path)
            kind, source = _kind_of(name) or _kind_of(form), {"bytes": data}
        elif scheme in ("http", "https") or is_id:
            what = "no uploaded files" if is_id else "nothing"
            self._report.unsupported(path, f"Bedrock fetches {what}; pass the data as a data URL, or an s3:// address")
            return None
        else:
            kind, source = _kind_of(form or "pdf"), {"bytes": data}
        if kind is None:
            self._report.unsupported(path, f"Bedrock takes no files of this type ({form or 'unknown'})")
            return None
        return (*kind, source)


def _native(part: CustomPart) -> tuple[list[JsonObject], object]:
    """A part of another type: Bedrock's own is ``{"type": "video", "video": {...}}``, others are sent unchanged."""
    kind, value = part.type, json.to_wire(part)
    if kind == "guarded_text" and isinstance(value.get("text"), str):  # LiteLLM's name
        guarded = {name: value[name] for name in ("text", "qualifiers") if name in value}
        return [{"guardContent": {"text": guarded}}], value.get("cache_control")
    if kind in value:
        return [{kind: value[kind]}], value.get("cache_control")
    return [value], None


def cache_point(caching: object, path: str) -> JsonObject:
    """The cache point of a `cache_control`.

    Raises:
        InvalidRequestError: it is no object.
    """
    if not isinstance(caching, Mapping):
        raise InvalidRequestError(f"{path}: expected an object such as {{'type': 'ephemeral'}}", param=path)
    ttl: Any = cast("Mapping[str, Any]", caching).get("ttl")
    return {"cachePoint": {"type": "default"} | ({} if ttl is None else {"ttl": ttl})}


def is_blank(text: object) -> TypeGuard[str]:
    """Whether a value is a text that is empty or has white space only, which Bedrock refuses."""
    return isinstance(text, str) and not text.strip()


def _kind_of(form: str) -> tuple[str, str] | None:
    """Kind and format of a media type, or of a file's suffix."""
    form = media_type(form.lower())
    return _FORMATS.get(form) or _BY_SUFFIX.get(form)


def _data_url(url: str, path: str) -> tuple[str, str]:
    """Media type and base64 of a data URL."""
    head, comma, data = url[len("data:") :].partition(",")
    kind, *options = head.split(";")
    if not comma or "base64" not in (option.strip().lower() for option in options):
        raise InvalidRequestError(f"{path}: expected a data URL in base64", param=path)
    return kind.strip(), data
