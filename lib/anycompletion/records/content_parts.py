"""Content parts of a message (text, image, audio, file, refusal), in OpenAI's exact shape.

https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from attrs import define

from .base import JsonObject, Record, extra_field, hidden


@define(repr=False, eq=False)
class TextPart(Record):
    """Part with text."""

    text: str
    type: str = "text"
    extra: JsonObject = extra_field()


@define(repr=False, eq=False)
class ImageUrl(Record):
    """Address of an image: an https URL or a data URL."""

    url: str
    detail: str | None = None
    """auto, low, high or original."""
    bare: bool = hidden(default=False, kw_only=True)
    """True if the caller wrote text instead of an object, which OpenAI accepts; it is sent as text again."""
    extra: JsonObject = extra_field()


@define(repr=False, eq=False)
class ImagePart(Record):
    """Part with an image."""

    image_url: ImageUrl
    type: str = "image_url"
    extra: JsonObject = extra_field()

    def to_dict(self) -> JsonObject:
        """OpenAI's JSON."""
        out = super().to_dict()
        return out | {"image_url": self.image_url.url} if self.image_url.bare else out


@define(repr=False, eq=False)
class InputAudio(Record):
    """Audio data, base64, in the given format (wav or mp3)."""

    data: str
    format: str
    extra: JsonObject = extra_field()


@define(repr=False, eq=False)
class AudioPart(Record):
    """Part with audio."""

    input_audio: InputAudio
    type: str = "input_audio"
    extra: JsonObject = extra_field()


@define(repr=False, eq=False)
class FileRef(Record):
    """File: the id of an uploaded one, or the data itself (a data URL) with a name."""

    file_id: str | None = None
    file_data: str | None = None
    filename: str | None = None
    extra: JsonObject = extra_field()


@define(repr=False, eq=False)
class FilePart(Record):
    """Part with a file."""

    file: FileRef
    type: str = "file"
    extra: JsonObject = extra_field()


@define(repr=False, eq=False)
class RefusalPart(Record):
    """Part with a refusal in an earlier message of the assistant."""

    refusal: str
    type: str = "refusal"
    extra: JsonObject = extra_field()


@define(repr=False, eq=False)
class CustomPart(Record):
    """Part of a type that this package does not know; sent as it is."""

    type: str
    extra: JsonObject = extra_field()


Part: TypeAlias = TextPart | ImagePart | AudioPart | FilePart | RefusalPart | CustomPart
"""Part of a message's content, by its `type`; dicts with an unknown type are `CustomPart`s."""

Content: TypeAlias = str | Sequence[Part]
"""Content of a message that callers write: text, or a list or tuple of parts."""
