"""A JSON Schema in a few words, for errors and for the request to correct a reply."""

from __future__ import annotations

import json
from typing import Any

_MAX_VALUES = 20
"""Values of an enum that are listed."""

_KEYWORDS = {
    "format": "format",
    "contentEncoding": "encoding",
    "pattern": "pattern",
    "minimum": "minimum",
    "exclusiveMinimum": "greater than",
    "maximum": "maximum",
    "exclusiveMaximum": "less than",
    "multipleOf": "multiple of",
    "minLength": "minimum length",
    "maxLength": "maximum length",
    "minItems": "minimum items",
    "maxItems": "maximum items",
    "minProperties": "minimum members",
    "maxProperties": "maximum members",
}


def schema_words(schema: dict[str, Any]) -> str:
    """What a schema allows, in one line: ``integer, minimum 1, maximum 9``."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(schema_words(each) for each in schema["anyOf"]))
    if "const" in schema:
        return json.dumps(schema["const"], ensure_ascii=False)
    if "enum" in schema:
        values = [json.dumps(value, ensure_ascii=False) for value in schema["enum"]]
        more = ["…"] if len(values) > _MAX_VALUES else []
        return f"one of {', '.join(values[:_MAX_VALUES] + more)}"
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    words = [str(schema.get("type", "any value"))]
    words += [f"{word} {schema[keyword]}" for keyword, word in _KEYWORDS.items() if keyword in schema]
    return ", ".join(words)
