"""Text for what a provider's schemas cannot say: keywords as part of a description. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from .schema_nodes import as_schema

_LABELS: Mapping[str, str] = {
    "minimum": "minimum",
    "maximum": "maximum",
    "exclusiveMinimum": "greater than",
    "exclusiveMaximum": "less than",
    "multipleOf": "multiple of",
    "minLength": "minimum length",
    "maxLength": "maximum length",
    "pattern": "pattern",
    "format": "format",
    "contentEncoding": "encoded as",
    "minItems": "minimum number of items",
    "maxItems": "maximum number of items",
    "minProperties": "minimum number of properties",
    "maxProperties": "maximum number of properties",
    "const": "always",
    "enum": "one of",
}
"""Keyword → the words before its value."""

_MAX_TEXT = 200
"""Characters of a value that a description may hold."""


def keyword_text(keyword: str, value: Any) -> str | None:
    """A keyword in words; None for one that has none, such as `not`."""
    if keyword == "uniqueItems":
        return "no item twice" if value is True else None
    if keyword == "required":
        return "always present"
    if keyword == "prefixItems":
        return f"exactly {len(cast('list[Any]', value))} items"
    if keyword == "propertyNames":
        return _property_names(value)
    if keyword not in _LABELS:
        return None
    shown = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return f"{_LABELS[keyword]} {shown}" if len(shown) <= _MAX_TEXT else None


def _property_names(value: Any) -> str | None:
    rules = as_schema(value).items()
    texts = [text for keyword, each in rules if (text := keyword_text(keyword, each)) is not None]
    return f"property names: {', '.join(texts)}" if texts else None


def with_text(description: object, texts: list[str]) -> str | None:
    """A description with `texts` behind it, a pattern last, which may hold commas; None if there is neither."""
    given = description if isinstance(description, str) and description else None
    added = ", ".join(sorted(texts, key=lambda text: text.startswith("pattern ")))
    return f"{given} ({added})" if given and added else given or added or None
