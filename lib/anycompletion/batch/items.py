"""What a batch is given, item by item → requests; a bad item is an error as a value, and the next one is read."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias, cast

import attrs

from ..errors import InvalidRequestError
from ..records import ChatRequest

BatchItem: TypeAlias = (
    ChatRequest | Mapping[str, Any] | tuple[str, ChatRequest | Mapping[str, Any]] | InvalidRequestError
)
"""A `ChatRequest`; a dict of `create`'s arguments, with ``custom_id`` if it has an id; an input line of OpenAI's Batch
API (``custom_id`` and ``body``); ``(id, request)``; or, where an item could not be read, the error that becomes its
result."""

BatchItems: TypeAlias = Iterable[BatchItem] | AsyncIterable[BatchItem]

_PATH = "/chat/completions"
"""How the `url` of a Batch input line ends, where it has one."""


class Item(NamedTuple):
    """One item as it was read: a request, or why it is none."""

    custom_id: str | None
    request: ChatRequest | None
    error: InvalidRequestError | None = None


def read_item(item: object) -> Item:
    """Reads an item; whether the request can be meant is found out when it is sent."""
    if isinstance(item, ChatRequest):
        return Item(item.custom_id, item)
    if isinstance(item, InvalidRequestError):
        return Item(None, None, item)
    custom_id: object = None
    try:
        if isinstance(item, tuple):
            custom_id, item = _pair(cast("tuple[Any, ...]", item))
            if isinstance(item, ChatRequest):
                return Item(_id(custom_id), attrs.evolve(item, custom_id=_id(custom_id)))
        body = dict(_mapping(item))
        # What is said beside a request goes before what is said in it.
        inner_id = body.pop("custom_id", None)
        custom_id = inner_id if custom_id is None else custom_id
        if "body" in body:
            body = _body_of_line(body)
        return Item(_id(custom_id), _request(body, _id(custom_id)))
    except InvalidRequestError as fault:
        error = fault.with_traceback(None)
    except Exception as fault:  # noqa: BLE001 (the caller's own types may fail in any way)
        error = InvalidRequestError(f"the item cannot be read: {type(fault).__name__}")
    return Item(custom_id if isinstance(custom_id, str) else None, None, error)


def _pair(item: tuple[Any, ...]) -> tuple[object, object]:
    if len(item) != 2:
        raise InvalidRequestError(f"an item that is a tuple is (id, request); this one has {len(item)} members")
    return item[0], item[1]


def _id(custom_id: object) -> str | None:
    if custom_id is None or isinstance(custom_id, str):
        return custom_id
    raise InvalidRequestError(f"an id is text, not {type(custom_id).__name__}", param="custom_id")


def _mapping(item: object) -> Mapping[str, Any]:
    if isinstance(item, Mapping):
        return cast("Mapping[str, Any]", item)
    raise InvalidRequestError(f"an item is a ChatRequest, a dict or (id, request), not {type(item).__name__}")


def _body_of_line(line: dict[str, Any]) -> dict[str, Any]:
    """The body of an input line of OpenAI's Batch API."""
    method, url = line.get("method"), line.get("url")
    if method not in (None, "POST"):
        raise InvalidRequestError("method: only POST makes a chat completion", param="method")
    if url is not None and not str(url).endswith(_PATH):
        raise InvalidRequestError(f"url: only …{_PATH} makes a chat completion", param="url")
    body = line["body"]
    if not isinstance(body, Mapping):
        raise InvalidRequestError(f"body: expected a dict, found {type(body).__name__}", param="body")
    return dict(cast("Mapping[str, Any]", body))


def _request(body: dict[str, Any], custom_id: str | None) -> ChatRequest:
    for name in ("model", "messages"):
        if name not in body:
            raise InvalidRequestError(f"{name}: is missing", param=name)
    more = body.pop("extra_body", None)
    request = ChatRequest.from_dict(body, custom_id=custom_id)
    if more is not None:
        request.extra_body = more if request.extra_body is None else {**request.extra_body, **more}
    return request
