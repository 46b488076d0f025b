"""The JSON Schema in a prompt that asks for a value of it; never changes a request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

_SIGN = "JSON Schema"
"""What a text speaks of before the schema."""


def prompted_schema(body: dict[str, Any]) -> dict[str, Any] | None:
    """The schema that a message asks a reply to fit, whatever the wire format of the request; None without one."""
    for text in _texts(body):
        _, found, rest = text.partition(_SIGN)
        start = rest.find("{")
        if not found or start < 0:
            continue
        try:
            schema, _ = json.JSONDecoder().raw_decode(rest[start:])
        except ValueError:
            continue
        if isinstance(schema, dict) and not {"type", "anyOf", "$ref"}.isdisjoint(cast("dict[str, Any]", schema)):
            return cast("dict[str, Any]", schema)
    return None


def _texts(value: Any) -> Iterator[str]:
    """All strings of a JSON value."""
    match value:
        case str():
            yield value
        case dict():
            for member in cast("dict[str, Any]", value).values():
                yield from _texts(member)
        case list():
            for item in cast("list[Any]", value):
                yield from _texts(item)
        case _:
            pass
