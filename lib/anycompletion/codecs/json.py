"""JSON by msgspec, with the standard library for what it refuses, and records → JSON; validates nothing."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from ..records import (
    AssistantMessage,
    ChatCompletionMessage,
    DeveloperMessage,
    SystemMessage,
    ToolMessage,
    UserMessage,
)
from ..records.base import field_names
from . import lenient
from .lenient import SHALLOW, NotJSONError, ShapeError

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_encode_sorted = msgspec.json.Encoder(order="deterministic").encode
_decode_raw_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def dumps(value: Any) -> bytes:
    """`value` as JSON bytes.

    Raises:
        TypeError, ValueError, RecursionError: `value` is not JSON-serializable.
    """
    try:
        return _encode(value)
    except TypeError:
        # Subclasses of str, int and float (NumPy's floats, for example), which msgspec refuses.
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_to_dict)
    return text.encode()


def _to_dict(value: object) -> Any:
    if isinstance(value, PlainMessage):
        return value.to_dict()
    raise TypeError(f"{type(value).__name__} is not JSON-serializable")


def loads(data: bytes) -> Any:
    """The value of JSON bytes; invalid UTF-8 and lone surrogates are replaced by U+FFFD.

    A byte-order mark, raw control characters in texts, NaN and any number are accepted, too.

    Raises:
        NotJSONError: the bytes are not JSON, nested too deeply, or too many values.
    """
    if len(data) > SHALLOW and lenient.may_be_large(data):
        lenient.check_structure(data)
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return lenient.loads(data)


def decoded(data: bytes, decode: Callable[[bytes], T]) -> T | None:
    """The value of JSON bytes by a decoder of one form; None for another form, or what may be nested too deeply."""
    if len(data) > SHALLOW and lenient.may_be_large(data):
        return None
    try:
        return decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def canonical(value: Any) -> bytes:
    """`value` as JSON bytes with sorted fields, for hashes.

    Raises:
        TypeError, ValueError, RecursionError: `value` is not JSON-serializable.
    """
    try:
        return _encode_sorted(value)
    except TypeError:
        return _encode_sorted(_decode(dumps(value)))


def raw_fields(data: bytes) -> dict[str, bytes]:
    """The fields of a JSON object, each as undecoded bytes.

    Raises:
        NotJSONError: the bytes are not a JSON object, nested too deeply, or too many values.
    """
    if lenient.may_be_large(data):  # an object around a whole reply has more levels than that
        lenient.check_structure(data, 2 * lenient.MAX_SEPARATORS, 2 * lenient.MAX_DEPTH)
    try:
        return {name: bytes(value) for name, value in _decode_raw_fields(data).items()}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise NotJSONError("not a JSON object") from None


class PlainMessage(msgspec.Struct, gc=False):
    """Message with a role and a text only; its JSON is that of a dict of the two.

    The garbage collector does not traverse it, unlike a dict, which matters for thousands of messages.
    """

    role: str
    content: str

    def to_dict(self) -> dict[str, Any]:
        """The message as a dict."""
        return {"role": self.role, "content": self.content}


def as_plain_message(value: Any) -> PlainMessage | None:
    """A message that has a role and a text only as a `PlainMessage`; None for all else."""
    if type(value) in _SIMPLE:
        if type(value.content) is str and value.name is None and not value.extra:
            return PlainMessage(value.role, value.content)
    elif type(value) in _ASSISTANTS and type(value.content) is str and _other_fields(value) == _UNSET:
        return PlainMessage(value.role, value.content)
    return None


def to_wire(value: Any) -> Any:
    """Records, and lists of them, as dicts in OpenAI's format: exactly what the caller wrote."""
    plain = as_plain_message(value)
    if plain is not None:
        return plain.to_dict()
    if type(value) is ToolMessage and type(value.content) is str and value.name is None and not value.extra:
        # Runs of tools send these again with each turn, and converting them takes ten times as long.
        return {"content": value.content, "tool_call_id": value.tool_call_id, "role": value.role}
    from .converters import unstructure  # noqa: PLC0415 (imports cattrs, which plain messages do not need)

    return unstructure(value)


_SIMPLE = frozenset((UserMessage, SystemMessage, DeveloperMessage))

_ASSISTANTS = frozenset((AssistantMessage, ChatCompletionMessage))

_OTHER_FIELDS = sorted(field_names(AssistantMessage) - {"role", "content"})
_other_fields = operator.attrgetter(*_OTHER_FIELDS, "extra")
"""The fields of an assistant's message besides role and content."""

_UNSET = (*[None] * len(_OTHER_FIELDS), dict[str, Any]())

__all__ = [
    "NotJSONError",
    "PlainMessage",
    "ShapeError",
    "as_plain_message",
    "canonical",
    "dumps",
    "loads",
    "raw_fields",
    "to_wire",
]
