"""Identity of the items of a batch: the id, the key by which tables find it, and the hash of the request."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from hashlib import sha256
from operator import attrgetter
from typing import Any, NamedTuple, cast

from ...codecs.json import canonical, to_wire
from ...errors import InvalidRequestError, printable
from ...records import PARAM_NAMES, ChatRequest, DeveloperMessage, SystemMessage, UserMessage, plain
from .index import KeyTable

_MAX_SHOWN = 100
"""Characters of an id in the text of an error; callers choose how long ids are."""

_SCALARS = frozenset({str, int, float, bool, type(None)})
_MESSAGES = frozenset({UserMessage, SystemMessage, DeveloperMessage})


class ItemKey(NamedTuple):
    """Identity of one item of a batch."""

    custom_id: str
    """The caller's id, or one made from the request's hash and its ordinal among equal requests."""
    key: int
    """64 bits of the id's hash, which tables contain instead of the id."""
    request_hash: int
    """64 bits of the request's hash, by which a later run recognizes a changed request."""


class ItemKeys:
    """Makes the keys of the items of one run, in their order; takes about 20 bytes per item, however long its id is.

    Requests must be passed as the caller wrote them, because validation rewrites some of them.
    """

    def __init__(self, expected: int = 0, into: str | None = None) -> None:
        """Makes tables for the expected number of items; there may be more.

        Args:
            into: digest of the type that all replies are to be, which is part of what is asked.
        """
        self._into = into
        self._seen = KeyTable(expected)
        self._requests = KeyTable()
        self._counts = array("I")

    def next_key(self, request: ChatRequest | Mapping[str, Any]) -> ItemKey:
        """The key of the next item.

        A request without a `custom_id` gets one from its hash and its ordinal: the second of two equal requests is
        another item than the first, in this run and in the next.

        Raises:
            InvalidRequestError: the id was used before in this run, is no text, or the request is not
                JSON-serializable.
        """
        digest = request_digest(request, self._into)
        request_hash = int.from_bytes(digest[:8], "big")
        custom_id = request.custom_id if isinstance(request, ChatRequest) else request.get("custom_id")
        if custom_id is None:
            custom_id = f"sha256-{digest.hex()[:32]}-{self._ordinal(request_hash)}"
        return ItemKey(custom_id, self.register(custom_id), request_hash)

    def register(self, custom_id: str) -> int:
        """Registers an id and returns its key.

        Raises:
            InvalidRequestError: the id was used before in this run, is no text, or is not encodable.
        """
        if not isinstance(custom_id, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may not check types
            raise InvalidRequestError(
                f"custom_id: expected a string, found {type(custom_id).__name__}", param="custom_id"
            )
        key = key_of(custom_id)
        known = len(self._seen.keys)
        if self._seen.number(key) < known:
            raise InvalidRequestError(f"the id {shown(custom_id)} was used before in this run", param="custom_id")
        return key

    def _ordinal(self, request_hash: int) -> int:
        number = self._requests.number(request_hash)
        if number == len(self._counts):
            self._counts.append(0)
        self._counts[number] += 1
        return self._counts[number]


def key_of(custom_id: str) -> int:
    """The key of an id: the first 64 bits of its SHA-256.

    Raises:
        InvalidRequestError: the id has a lone surrogate, which UTF-8 cannot encode.
    """
    try:
        return int.from_bytes(sha256(custom_id.encode()).digest()[:8], "big")
    except UnicodeEncodeError:
        text = f"the id {shown(custom_id)} contains a lone surrogate, which UTF-8 cannot encode"
    raise InvalidRequestError(text, param="custom_id")


def shown(custom_id: str) -> str:
    """An id for the text of an error: quoted, in one line and not too long."""
    return printable(repr(custom_id[:_MAX_SHOWN]) + ("…" if len(custom_id) > _MAX_SHOWN else ""))


def request_digest(request: ChatRequest | Mapping[str, Any], into: str | None = None) -> bytes:
    """SHA-256 of the request's JSON with its members sorted; it covers the model and does not cover the id.

    A request that is made of dicts and the same one made of records have the same digest. With `into`, the digest of
    the type of its reply, it is another request.

    Raises:
        InvalidRequestError: the request is not JSON-serializable.
    """
    try:
        body = _wire_form(request)
        return sha256(canonical(body if into is None else {"into": into, "request": body})).digest()
    except (TypeError, ValueError, RecursionError) as error:
        text = f"the request is not JSON-serializable ({type(error).__name__})"
    raise InvalidRequestError(text)


_values = attrgetter(*PARAM_NAMES)
_NO_VALUES = (None,) * len(PARAM_NAMES)


_NOT_PARAMS = frozenset(("model", "messages", "extra_body", "custom_id"))


def _wire_form(request: ChatRequest | Mapping[str, Any]) -> dict[str, Any]:
    """The request's body, as `ChatRequest.to_dict` makes it but three times as fast: a run that resumes hashes all."""
    params: Iterable[tuple[str, Any]]
    if isinstance(request, ChatRequest):
        model, messages, extra_body = request.model, request.messages, request.extra_body
        values = _values(request)
        params = () if values == _NO_VALUES else zip(PARAM_NAMES, values, strict=True)
    else:
        model, messages, extra_body = request["model"], request["messages"], request.get("extra_body")
        params = ((name, value) for name, value in request.items() if name not in _NOT_PARAMS)
    out = {name: value if type(value) in _SCALARS else _plain(value) for name, value in params if value is not None}
    out["model"] = model
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    out["messages"] = messages if _is_plain(messages) else _plain(messages)
    if extra_body is not None:
        out.update(_plain(extra_body))
    return out


def _is_plain(messages: object) -> bool:
    """Whether they are dicts of texts, as most are, which need no conversion."""
    if type(messages) is not list:
        return False
    for message in cast("list[Any]", messages):
        if type(message) is not dict:
            return False
        for value in cast("dict[Any, Any]", message).values():
            if type(value) is not str:
                return False
    return True


def _plain(value: object) -> Any:
    """The result of `records.plain`, faster for the types that most requests consist of."""
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind is dict:
        # Most values are texts, and a function call for each would take most of the time.
        members = cast("dict[str, Any]", value).items()
        return {name: item if type(item) is str else _plain(item) for name, item in members}
    if kind is list:
        return [_plain(item) for item in cast("list[Any]", value)]
    if kind in _MESSAGES and type(cast("UserMessage", value).content) is str:
        return to_wire(value)
    return plain(value)
