"""The configured converters: records → wire values by cattrs, JSON by msgspec, chunks by msgspec's fast path.

Never validates what callers write (`validate` does) and never knows a provider.
"""

from __future__ import annotations

import json
import operator
from typing import Any

import msgspec

from .. import lenient
from ..chunks import ChatCompletionChunk
from ..lenient import NotJSONError, ShapeError
from ..records import AssistantMessage, DeveloperMessage, SystemMessage, UserMessage
from ..records.base import names

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_encode_sorted = msgspec.json.Encoder(order="deterministic").encode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_chunk = msgspec.json.Decoder(ChatCompletionChunk).decode


def dumps(value: Any) -> bytes:
    """`value` as JSON bytes.

    Raises:
        TypeError, ValueError, RecursionError: `value` cannot be said in JSON.
    """
    try:
        return _encode(value)
    except TypeError:
        # Subclasses of str, int and float, which msgspec does not take; NumPy's floats are such.
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode()


def loads(data: bytes) -> Any:
    """JSON bytes as a value; invalid UTF-8 reads as U+FFFD, NaN, lone surrogates and any number are survived.

    Raises:
        NotJSONError: the bytes are no JSON, or nested too deeply.
    """
    try:
        value = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return lenient.loads(data)
    lenient.check_depth(data, value)
    return value


def canonical(value: Any) -> bytes:
    """`value` as JSON bytes that do not depend on the order of an object's members; for hashes.

    Raises:
        TypeError, ValueError, RecursionError: `value` cannot be said in JSON.
    """
    try:
        return _encode_sorted(value)
    except TypeError:
        return _encode_sorted(_decode(dumps(value)))


def members(data: bytes) -> dict[str, bytes]:
    """The members of a JSON object, each as the bytes that say it; these are not read.

    Raises:
        NotJSONError: the bytes are no JSON object.
    """
    try:
        return {name: bytes(value) for name, value in _decode_members(data).items()}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise NotJSONError("not a JSON object") from None


def read_chunk(data: bytes) -> ChatCompletionChunk:
    """One chunk in OpenAI's format: the fast path, and the tolerant one where the JSON does not fit it.

    Raises:
        NotJSONError: the bytes are no JSON.
        ShapeError: a member has a type that cannot be read.
    """
    try:
        chunk = _decode_chunk(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        chunk = ChatCompletionChunk.from_dict(loads(data))
    else:
        if chunk.usage is not None or lenient.may_be_deep(data):
            # Rare. Usage is the only place of a chunk where members we have no field for belong to the reply.
            chunk = ChatCompletionChunk.from_dict(loads(data))
    chunk.native = data
    return chunk


def to_wire(value: Any) -> Any:
    """Records (and lists of them) as dicts in OpenAI's shape: what the caller wrote, and no more."""
    if isinstance(value, _SIMPLE) and type(value.content) is str and value.name is None and not value.extra:
        return {"role": value.role, "content": value.content}
    if type(value) is AssistantMessage and type(value.content) is str and _besides(value) == _NOTHING:
        return {"role": value.role, "content": value.content}
    from .records import unstructure  # noqa: PLC0415 (loads cattrs, which simple messages do not need)

    return unstructure(value)


_SIMPLE = (UserMessage, SystemMessage, DeveloperMessage)

_BESIDES = sorted(names(AssistantMessage) - {"role", "content"})
_besides = operator.attrgetter(*_BESIDES, "extra")
"""All that an assistant's message may hold besides a text."""

_NOTHING = (*[None] * len(_BESIDES), dict[str, Any]())

__all__ = ["NotJSONError", "ShapeError", "canonical", "dumps", "loads", "members", "read_chunk", "to_wire"]
