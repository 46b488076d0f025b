"""Content parts of a message as Anthropic's content blocks. Fetches nothing.

https://docs.anthropic.com/en/api/messages
"""

from __future__ import annotations

import base64
import binascii
import mimetypes
from typing import NamedTuple, TypeGuard, assert_never

from ...codecs import json
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
from ..shared import media_type, without_nulls


def is_blank(text: object) -> TypeGuard[str]:
    """Whether a value is a text that is empty or has white space only, which Anthropic refuses."""
    return isinstance(text, str) and not text.strip()


def text_block(text: str, extra: JsonObject, path: str, report: EncodingReport) -> JsonObject | None:
    """A text block; None for a blank text."""
    if not is_blank(text):
        return {"type": "text", "text": text, **without_nulls(extra)}
    warn_of_blank(text, path, report)
    return None


def warn_of_blank(text: str, path: str, report: EncodingReport) -> None:
    """Reports that a blank text is left out, unless it is empty."""
    if text:
        report.warn(f"{path} left out: Anthropic refuses a text of white space only")


def content_blocks(content: Content, path: str, report: EncodingReport) -> list[JsonObject]:
    """The content blocks of a message; `path` is the message's."""
    if isinstance(content, str):
        block = text_block(content, {}, f"{path}.content", report)
        return [] if block is None else [block]
    blocks = (_block(part, f"{path}.content[{i}]", report) for i, part in enumerate(content))
    return [block for block in blocks if block is not None]


def _block(part: Part, path: str, report: EncodingReport) -> JsonObject | None:
    match part:
        case TextPart():
            return text_block(part.text, part.extra, path, report)
        case RefusalPart():
            return text_block(part.refusal, part.extra, path, report)
        case ImagePart():
            return _image(part, path, report)
        case FilePart():
            return _file(part, path, report)
        case AudioPart():
            report.unsupported(path, "Anthropic takes no audio")
            return None
        case CustomPart():
            return without_nulls(json.to_wire(part))
        case _:
            assert_never(part)


def _image(part: ImagePart, path: str, report: EncodingReport) -> JsonObject | None:
    image = part.image_url
    if image.detail not in (None, "auto"):
        report.unsupported(f"{path}.image_url.detail", "Anthropic has no levels of detail")
    source = _url_source(image.url, f"{path}.image_url.url", report)
    if source is None:
        return None
    return {"type": "image", "source": source} | without_nulls(image.extra) | without_nulls(part.extra)


def _file(part: FilePart, path: str, report: EncodingReport) -> JsonObject | None:
    """A file as a document or image block.

    An uploaded id needs Anthropic's files beta: pass its `anthropic-beta` header in `extra_headers`.
    """
    file = part.file
    extra = without_nulls(file.extra) | without_nulls(part.extra)
    if file.file_id is not None:
        return {"type": "document", "source": {"type": "file", "file_id": file.file_id}, **extra}
    if not file.file_data:
        raise InvalidRequestError(f"{path}.file: has neither file_id nor file_data", param=f"{path}.file")
    source = _file_source(file.file_data, file.filename, f"{path}.file.file_data", report)
    if source is None:
        return None
    if str(source.get("media_type")).startswith("image/"):
        return {"type": "image", "source": source, **extra}
    title = {} if file.filename is None else {"title": file.filename}
    return {"type": "document", "source": source, **title, **extra}


def _file_source(data: str, filename: str | None, path: str, report: EncodingReport) -> JsonObject | None:
    head = data[:8].lower()
    if head.startswith(("data:", "http:", "https:")):
        source = _url_source(data, path, report)
    else:
        kind = mimetypes.guess_type(filename)[0] if filename else None
        source = _base64_source(kind or "application/pdf", data)
    if source is not None and str(source.get("media_type")).startswith("text/"):
        return {"type": "text", "media_type": "text/plain", "data": _decoded(source["data"], path)}
    return source


def _base64_source(kind: str, data: str) -> JsonObject:
    return {"type": "base64", "media_type": media_type(kind), "data": data}


def _url_source(url: str, path: str, report: EncodingReport) -> JsonObject | None:
    scheme = url.partition(":")[0].lower()
    if scheme == "data":
        found = _data_url(url, path)
        return _base64_source(found.kind, found.data)
    if scheme != "https":
        report.unsupported(path, "Anthropic fetches https URLs only; pass the data itself as a data URL")
        return None
    return {"type": "url", "url": url}


class _DataURL(NamedTuple):
    kind: str
    data: str


def _data_url(url: str, path: str) -> _DataURL:
    head, comma, data = url[len("data:") :].partition(",")
    kind, *options = head.split(";")
    if not comma or "base64" not in (option.strip().lower() for option in options):
        raise InvalidRequestError(f"{path}: expected a data URL in base64", param=path)
    return _DataURL(kind.strip().lower(), data)


def _decoded(data: str, path: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        pass  # raised below, so that the error's context does not hold the data
    raise InvalidRequestError(f"{path}: expected UTF-8 text in base64", param=path)
