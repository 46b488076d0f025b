"""Parts of a candidate as a message in OpenAI's fields. What they cannot express is kept as it was.

https://ai.google.dev/api/caching#Part
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence

from ...codecs import json
from ...codecs.lenient import (
    ShapeError,
    as_list,
    as_object,
    as_optional_object,
    as_str,
    optional_int,
    optional_object,
    optional_str,
)
from ...records import Audio, FunctionCall, JsonObject, ToolCall

_CANDIDATE = frozenset(
    (
        *("content", "finishReason", "finishMessage", "index", "safetyRatings", "citationMetadata", "tokenCount"),
        *("groundingMetadata", "groundingAttributions", "urlContextMetadata", "avgLogprobs", "logprobsResult"),
        "continuationToken",
    )
)
_CONTENT = frozenset(("parts", "role"))
TEXT_ONLY = frozenset(("text",))
"""Fields of a part that is nothing but a text."""
_TEXT_AND_THOUGHT = frozenset(("text", "thought"))
_CALL_ONLY = frozenset(("functionCall",))
_CALL_FIELDS = frozenset(("name", "args"))


def read_candidate(value: object, path: str) -> JsonObject:
    """A candidate.

    Raises:
        ShapeError: it is no object, or has none of the fields that Google documents.
    """
    candidate = as_object(value, path)
    if candidate and _CANDIDATE.isdisjoint(candidate):
        raise ShapeError(path, "a candidate", value)
    return candidate


def candidate_indexes(candidates: Sequence[JsonObject]) -> list[int]:
    """The indexes of the candidates of one response: one is absent if it is 0, and all if they are the positions."""
    given = [optional_int(candidate.get("index")) for candidate in candidates]
    if all(index is None for index in given):
        return list(range(len(given)))
    return [position if index is not None and index < 0 else index or 0 for position, index in enumerate(given)]


def read_parts(content: object, path: str) -> list[JsonObject]:
    """The parts of a content, which may be missing.

    Raises:
        ShapeError: the content is no object, its parts are no list, or a part is no object.
    """
    if content is None:
        return []
    found = as_object(content, path)
    parts = found.get("parts")
    if parts is None and found and not _CONTENT & found.keys():
        raise ShapeError(path, "an object with parts", content)
    return [as_object(part, f"{path}.parts[{i}]") for i, part in enumerate(as_list(parts, f"{path}.parts"))]


def has_call(part: JsonObject) -> bool:
    """Whether a part is a function call."""
    return part.get("functionCall") is not None


def is_thought(part: JsonObject) -> bool:
    """Whether a part belongs to the model's reasoning."""
    return part.get("thought") in (True, "true")


def text_of(part: JsonObject) -> str:
    """The text of a part; "" for a part of another kind."""
    text = part.get("text")
    return text if isinstance(text, str) else as_str(text)


def arguments_of(call: JsonObject, path: str) -> JsonObject:
    """The arguments of a function call, which are absent if there are none.

    Raises:
        ShapeError: they are no object.
    """
    args = call.get("args")
    return {} if args in (None, "") else as_object(args, f"{path}.args")


def call_name(call: JsonObject, path: str) -> str:
    """The name of the function that is called.

    Raises:
        ShapeError: there is none.
    """
    name = optional_str(call.get("name"))
    if not name:
        raise ShapeError(f"{path}.name", "the name of a function", call.get("name"))
    return name


def call_id(call: JsonObject, response_id: str, number: int) -> str:
    """The id of a function call: the model's, else one made of the reply's id and the number of the call."""
    return optional_str(call.get("id")) or (f"call_{response_id}_{number}" if response_id else f"call_{number}")


def signature_fields(part: JsonObject, backend: str) -> JsonObject:
    """The fields of a tool call that carry its signature, in the form of Google's own chat format."""
    signature = part.get("thoughtSignature")
    return {"extra_content": {backend: {"thought_signature": signature}}} if isinstance(signature, str) else {}


def tool_call_of(part: JsonObject, response_id: str, number: int, backend: str) -> ToolCall:
    """The function call of a part that has one.

    Raises:
        ShapeError: the call has no name, or arguments that are no object.
    """
    call = as_object(part["functionCall"], "functionCall")
    arguments = json.dumps(arguments_of(call, "functionCall")).decode()
    function = FunctionCall(call_name(call, "functionCall"), arguments)
    return ToolCall(call_id(call, response_id, number), function, extra=signature_fields(part, backend))


class GeminiReplyForm:
    """Whether encoding OpenAI's fields gives the same parts again: one text, then calls without ids or signatures.

    Texts that follow each other are pieces of one.
    """

    __slots__ = ("_has_calls", "_has_text", "_joins_texts", "is_expressible")

    def __init__(self, *, joins_texts: bool = True) -> None:
        self._joins_texts = joins_texts
        self._has_text = self._has_calls = False
        self.is_expressible = True

    def add(self, part: JsonObject) -> None:
        """Adds the next part."""
        if part.keys() == TEXT_ONLY:
            if part["text"]:
                is_second = self._has_calls or (self._has_text and not self._joins_texts)
                self._has_text, self.is_expressible = True, self.is_expressible and not is_second
        elif part.keys() == _CALL_ONLY and (optional_object(part["functionCall"]) or {}).keys() <= _CALL_FIELDS:
            self._has_calls = True
        else:
            self.is_expressible = False


def are_expressible(parts: Iterable[JsonObject]) -> bool:
    """The same for the parts of a whole reply, each of which is one."""
    form = GeminiReplyForm(joins_texts=False)
    for part in parts:
        form.add(part)
    return form.is_expressible


def merged_texts(parts: Iterable[JsonObject]) -> list[JsonObject]:
    """The parts, with neighbours joined that have nothing but text, all of it a thought or none."""
    merged: list[JsonObject] = []
    run: JsonObject = {}
    texts: list[str] = []
    for part in (*parts, {}):
        is_text = bool(part) and part.keys() <= _TEXT_AND_THOUGHT and "text" in part
        if texts and not (is_text and part.get("thought") == run.get("thought")):
            merged.append({**run, "text": "".join(texts)})
            texts = []
        if is_text:
            run = part
            texts.append(text_of(part))
        elif part:
            merged.append(part)
    return merged


# --- media ------------------------------------------------------------------------------------------------------------


def media_of(part: JsonObject) -> tuple[str, str] | None:
    """Media type and base64 data of a part with data; None for others, and for those of the reasoning.

    Raises:
        ShapeError: the data are no object.
    """
    data = None if is_thought(part) else as_optional_object(part.get("inlineData"), "inlineData")
    if data is None:
        return None
    return optional_str(data.get("mimeType")) or "", as_str(data.get("data"))


def image(media_type: str, data: str) -> JsonObject:
    """An image as replies of chat formats have it."""
    return {"type": "image_url", "image_url": {"url": f"data:{media_type};base64,{data}"}}


class GeminiAudio:
    """Audio that arrives in pieces, each in base64 of its own: joined so that the whole is base64, too."""

    __slots__ = ("_rest", "media_type")

    def __init__(self) -> None:
        self.media_type = ""
        """The media type, with the sampling rate: ``audio/L16;codec=pcm;rate=24000``."""
        self._rest = b""
        """Bytes after the last whole group of three."""

    def add(self, media_type: str, data: str) -> str:
        """The base64 that a piece adds."""
        self.media_type = self.media_type or media_type
        try:
            decoded = self._rest + base64.b64decode(data, altchars=b"-_" if "-" in data or "_" in data else None)
        except (binascii.Error, ValueError):
            return data  # no base64: left to the reader as it is
        whole = len(decoded) // 3 * 3
        self._rest = decoded[whole:]
        return base64.b64encode(decoded[:whole]).decode()

    def end(self) -> str:
        """The base64 that is left."""
        rest, self._rest = self._rest, b""
        return base64.b64encode(rest).decode()


def audio_of(pieces: Sequence[tuple[str, str]]) -> Audio | None:
    """The audio of a whole reply; None for none."""
    if not pieces:
        return None
    joined = GeminiAudio()
    data = "".join([joined.add(*piece) for piece in pieces]) + joined.end()
    return Audio(data=data, extra={"mime_type": joined.media_type} if joined.media_type else {})
