"""The configured converters: records → wire values by cattrs, JSON by msgspec, chunks by msgspec's fast path.

Never validates what callers write (`validate` does) and never knows a provider.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from .. import lenient
from ..chunks import ChatCompletionChunk
from ..lenient import NotJSONError, ShapeError
from ..records import DeveloperMessage, SystemMessage, UserMessage

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
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
    """JSON bytes as a value; invalid UTF-8 reads as U+FFFD, NaN and lone surrogates are survived.

    Raises:
        NotJSONError: the bytes are no JSON.
    """
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return lenient.loads(data)


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
        if chunk.usage is not None:
            # Rare, and the only place of a chunk where members we have no field for belong to the reply.
            chunk = ChatCompletionChunk.from_dict(loads(data))
    chunk.native = data
    return chunk


def to_wire(value: Any) -> Any:
    """Records (and lists of them) as dicts in OpenAI's shape: what the caller wrote, and no more."""
    if isinstance(value, _SIMPLE) and type(value.content) is str and value.name is None and not value.extra:
        return {"role": value.role, "content": value.content}
    from .records import unstructure  # noqa: PLC0415 (loads cattrs, which simple messages do not need)

    return unstructure(value)


_SIMPLE = (UserMessage, SystemMessage, DeveloperMessage)

__all__ = ["NotJSONError", "ShapeError", "dumps", "loads", "read_chunk", "to_wire"]
