"""Limits of a value that stand in the description of its schema, because the provider's schemas cannot have them.

Clients write them so: "title of the dish (minimum length 3, format uri)". Never changes a schema.
"""

from __future__ import annotations

import json
import re
from typing import Any

from .json_access import as_dict, as_text, is_number

_NUMBER = r"(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
_TEXTS = tuple(
    (keyword, re.compile(rf"(?:^|[(,] ?){words} {value}(?=[,)]|$)"))
    for keyword, words, value in (
        ("minimum", "minimum", _NUMBER),
        ("maximum", "maximum", _NUMBER),
        ("exclusiveMinimum", "greater than", _NUMBER),
        ("exclusiveMaximum", "less than", _NUMBER),
        ("multipleOf", "multiple of", _NUMBER),
        ("minLength", "minimum length", r"(\d+)"),
        ("maxLength", "maximum length", r"(\d+)"),
        ("minItems", "minimum number of items", r"(\d+)"),
        ("maxItems", "maximum number of items", r"(\d+)"),
        ("format", "format", r"([a-z0-9-]+)"),
        ("contentEncoding", "encoded as", r"([a-z0-9-]+)"),
    )
)
"""Keyword, and where a description has its value."""

_PATTERN = re.compile(r"(?:(\()|^|, )pattern (.+)$", re.DOTALL)
"""The pattern of a text, which is the last limit; behind an opening parenthesis there is a closing one."""


_REQUIRED = "always present"
"""The description of a property that the provider's schemas cannot require, because it leads to a cycle."""


def is_described_as_required(schema: Any) -> bool:
    """Whether the description of a property states that it is required."""
    return _REQUIRED in as_text(as_dict(schema).get("description"))


def with_described_limits(rules: dict[str, Any]) -> dict[str, Any]:
    """The keywords of a schema with those that its description has; its own count more."""
    description = as_text(rules.get("description"))
    if not description:
        return rules
    found: dict[str, Any] = {}
    for keyword, expression in _TEXTS:
        match = expression.search(description)
        if match is not None:
            found[keyword] = match[1] if keyword in ("format", "contentEncoding") else json.loads(match[1])
    pattern = _PATTERN.search(description)
    if pattern is not None:
        found["pattern"] = pattern[2].removesuffix(")") if "(" in description[: pattern.start(2)] else pattern[2]
    if is_number(rules.get("minItems")) and "minItems" in found:
        found["minItems"] = max(found["minItems"], rules["minItems"])  # the schema's own may be the most it may have
        return {**rules, **found}
    return {**found, **rules} if found else rules
