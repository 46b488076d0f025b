"""The configured converters: records → wire values by cattrs, JSON by msgspec, chunks by msgspec's fast path.

Never validates what callers write (`validate` does) and never knows a provider.
"""

from __future__ import annotations

import json
import operator
from typing import Any

import msgspec

from ..records import AssistantMessage, DeveloperMessage, SystemMessage, UserMessage
from ..records.base import names
from . import lenient
from .lenient import NotJSONError, ShapeError

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_encode_sorted = msgspec.json.Encoder(order="deterministic").encode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def dumps(value: Any) -> bytes:
    """`value` as JSON bytes.

    Raises:
        TypeError, ValueError, RecursionError: `value` cannot be said in JSON.
    """
    try:
        return _encode(value)
    except TypeError:
        # Subclasses of str, int and float, which msgspec does not take; NumPy's floats are such.
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_members_of)
    return text.encode()


def _members_of(value: object) -> Any:
    if isinstance(value, PlainMessage):
        return value.to_dict()
    raise TypeError(f"{type(value).__name__} is nothing that JSON has")


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


class PlainMessage(msgspec.Struct, gc=False):
    """A message that is a role and a text; as JSON it is what a dict of the two is.

    Python's garbage collector does not walk over it, as it does over the dicts of thousands of messages.
    """

    role: str
    content: str

    def to_dict(self) -> dict[str, Any]:
        """The dict."""
        return {"role": self.role, "content": self.content}


def as_plain_message(value: Any) -> PlainMessage | None:
    """A message that is no more than a role and a text, as this; None for all else."""
    if type(value) in _SIMPLE:
        if type(value.content) is str and value.name is None and not value.extra:
            return PlainMessage(value.role, value.content)
    elif type(value) is AssistantMessage and type(value.content) is str and _besides(value) == _NOTHING:
        return PlainMessage(value.role, value.content)
    return None


def to_wire(value: Any) -> Any:
    """Records (and lists of them) as dicts in OpenAI's shape: what the caller wrote, and no more."""
    brief = as_plain_message(value)
    if brief is not None:
        return brief.to_dict()
    from .converters import unstructure  # noqa: PLC0415 (loads cattrs, which simple messages do not need)

    return unstructure(value)


_SIMPLE = frozenset((UserMessage, SystemMessage, DeveloperMessage))

_BESIDES = sorted(names(AssistantMessage) - {"role", "content"})
_besides = operator.attrgetter(*_BESIDES, "extra")
"""All that an assistant's message may hold besides a text."""

_NOTHING = (*[None] * len(_BESIDES), dict[str, Any]())

__all__ = [
    "NotJSONError",
    "PlainMessage",
    "ShapeError",
    "as_plain_message",
    "canonical",
    "dumps",
    "loads",
    "members",
    "to_wire",
]
