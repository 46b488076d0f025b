"""The items of a batch: what callers may pass, and the requests made of it; an invalid item is an error as a value."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias, cast

import attrs

from ..errors import InvalidRequestError
from ..options import NO_OPTIONS, OptionValues
from ..records import ChatRequest
from ..validation import is_keyword, request_from_arguments, split_keywords, unknown_keyword, validate_request

BatchItem: TypeAlias = (
    ChatRequest | Mapping[str, Any] | tuple[str, ChatRequest | Mapping[str, Any]] | InvalidRequestError
)
"""A `ChatRequest`; a dict of `create`'s arguments, call options included, with ``custom_id`` if it has an id; an input
line of OpenAI's Batch API (``custom_id`` and ``body``, a dict as before); ``(id, request)``; or an error, where the
caller could not read an item: it becomes the result of the item."""

BatchItems: TypeAlias = Iterable[BatchItem] | AsyncIterable[BatchItem]
"""The requests of a batch: any iterable, async or not, of any length; it is read as far as it is needed."""

_URL_PATH = "/chat/completions"
"""End of the `url` of a Batch input line, if it has one."""


RequestSource: TypeAlias = ChatRequest | Mapping[str, Any]
"""A request as it was passed, not validated: a record, or `create`'s arguments by name, with `custom_id`."""


class Item(NamedTuple):
    """One item as it was read: a request and its call options, or the error that is its result."""

    custom_id: str | None
    request: RequestSource | None
    error: InvalidRequestError | None = None
    options: OptionValues = NO_OPTIONS
    """Not checked yet; never part of the request."""


def read_item(item: object) -> Item:
    """Reads an item without validating its request: an item that the journal has finished is never validated."""
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
        # The id beside a request overrides the one inside.
        inner_id = body.pop("custom_id", None)
        custom_id = inner_id if custom_id is None else custom_id
        if "body" in body:
            body = _body_of_line(body)
        request, options = _arguments(body)
        return Item(_id(custom_id), request | {"custom_id": _id(custom_id)}, None, options)
    except InvalidRequestError as invalid:
        error = invalid.with_traceback(None)
    except Exception as unreadable:  # noqa: BLE001 (user-defined types may raise anything)
        error = InvalidRequestError(f"the item cannot be read: {type(unreadable).__name__}")
    return Item(custom_id if isinstance(custom_id, str) else None, None, error)


def validate_item(request: RequestSource) -> ChatRequest:
    """The validated request of an item.

    Raises:
        InvalidRequestError: `.param` names the parameter and the place in it.
        TypeError: model and messages are swapped.
    """
    if isinstance(request, ChatRequest):
        return validate_request(request)
    return request_from_arguments(request)


def _pair(item: tuple[Any, ...]) -> tuple[object, object]:
    if len(item) != 2:
        raise InvalidRequestError(f"an item that is a tuple is (id, request); this one has {len(item)} members")
    return item[0], item[1]


def _id(custom_id: object) -> str | None:
    if custom_id is None or isinstance(custom_id, str):
        return custom_id
    raise InvalidRequestError(f"custom_id: expected a string, found {type(custom_id).__name__}", param="custom_id")


def _mapping(item: object) -> Mapping[str, Any]:
    if isinstance(item, Mapping):
        return cast("Mapping[str, Any]", item)
    raise InvalidRequestError(f"an item is a ChatRequest, a dict or (id, request), not {type(item).__name__}")


def _body_of_line(line: dict[str, Any]) -> dict[str, Any]:
    """The body of an input line of OpenAI's Batch API."""
    method, url = line.get("method"), line.get("url")
    if method not in (None, "POST"):
        raise InvalidRequestError("method: only POST makes a chat completion", param="method")
    if url is not None and not str(url).endswith(_URL_PATH):
        raise InvalidRequestError(f"url: only …{_URL_PATH} makes a chat completion", param="url")
    body = line["body"]
    if not isinstance(body, Mapping):
        raise InvalidRequestError(f"body: expected a dict, found {type(body).__name__}", param="body")
    return dict(cast("Mapping[str, Any]", body))


def _arguments(body: dict[str, Any]) -> tuple[dict[str, Any], OptionValues]:
    """Arguments of `create` as those of the request and the call options.

    The request has `provider` and `extra_body`, too, because they decide what is asked and so belong to its identity.
    """
    for name in ("model", "messages"):
        if name not in body:
            raise InvalidRequestError(f"{name}: is missing", param=name)
    request = {name: body.pop(name) for name in ("model", "messages")}
    body.pop("stream", None)
    for name in body:
        if not is_keyword(name):
            raise InvalidRequestError(unknown_keyword(str(name)), param=str(name)[:_MAX_NAME])
    params, options = split_keywords(body)
    extra_body = options.pop("extra_body", None)
    kept = {"extra_body": extra_body, "provider": options.get("provider")}
    return (
        request | params | {name: value for name, value in kept.items() if value is not None},
        OptionValues(options) if options else NO_OPTIONS,
    )


_MAX_NAME = 100
"""Characters of a wrong name that an error has as its `param`."""
