"""Finds the values of a request that cannot be serialized as JSON; looks only, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import attrs

from ..codecs.json import dumps, to_wire
from ..errors import InvalidRequestError
from ..records import PARAM_NAMES, ChatRequest, Record
from .values import SURROGATE_ERROR, has_surrogate, refuse


def require_serializable(request: ChatRequest) -> None:
    """Checks that everything in `request` can be serialized, at the cost of serializing it.

    Raises:
        InvalidRequestError: something cannot; `.param` is its place.
    """
    if not all(_is_serializable(value, name) for name, value in _given(request).items()):
        raise unserializable_error(request)


def unserializable_error(request: ChatRequest) -> InvalidRequestError:
    """The error that names the first value of `request` that cannot be serialized."""
    given = _given(request)
    for name, value in given.items():
        for place, item in _walk(name, value):
            problem = _problem(item)
            if problem is not None:
                return _error(place, problem)
    # No single value is wrong: the caller is so deep in a recursion that serializing exceeds Python's limit.
    bad = next((name for name, value in given.items() if not _is_serializable(value, name)), "messages")
    return _error(bad, "is not JSON-serializable")


def _given(request: ChatRequest) -> dict[str, Any]:
    values = {name: getattr(request, name) for name in ("messages", *PARAM_NAMES, "extra_body")}
    return {name: value for name, value in values.items() if value is not None}


def _walk(name: str, root: object) -> Iterator[tuple[str, Any]]:
    """Everything in a parameter with its place, in order; iterative, so that no nesting is too deep."""
    pending = [(name, root)]
    while pending:
        place, value = pending.pop()
        yield place, value
        pending.extend(reversed(list(_children(place, value))))


def _children(place: str, value: object) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Record):
        for field in attrs.fields(type(value)):
            if field.name == "extra":
                yield from _children(place, getattr(value, "extra", {}))
            else:
                yield f"{place}.{field.name}", getattr(value, field.name)
    elif isinstance(value, Mapping):
        for key, item in cast("Mapping[str, Any]", value).items():
            yield f"{place}.{key}", item
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(cast("Sequence[Any]", value)):
            yield f"{place}[{i}]", item


def _problem(value: object) -> str | None:
    """Why this value itself, apart from its children, cannot be serialized."""
    if any(map(has_surrogate, _texts(value))):
        return SURROGATE_ERROR
    if isinstance(value, int) and not _is_serializable(value):
        return "has more digits than Python writes"
    return None


def _texts(value: object) -> list[str]:
    """A text itself, or the keys of an object."""
    if isinstance(value, Record):
        value = getattr(value, "extra", {})
    if isinstance(value, Mapping):
        return [key for key in cast("Mapping[Any, Any]", value) if isinstance(key, str)]
    return [value] if isinstance(value, str) else []


def _error(param: str, text: str) -> InvalidRequestError:
    try:
        refuse(param, text)
    except InvalidRequestError as error:
        return error


_WITH_RECORDS = frozenset({"messages", "tools", "functions"})


def _is_serializable(value: Any, name: str = "") -> bool:
    try:
        dumps(to_wire(value) if name in _WITH_RECORDS else value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True
