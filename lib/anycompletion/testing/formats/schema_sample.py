"""Deterministic sample values for JSON Schemas; never validates anything."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .json_access import as_dict, as_list, as_text, is_number

_DEEPEST = 12
"""Levels after which a recursive schema is ended by its first alternative that allows null."""

_MAX_SIZE = 10_000
"""Maximum of items of an array and characters of a string, whatever the schema asks for."""

_FORMATS = {
    "date-time": "2024-01-31T12:00:00Z",
    "date": "2024-01-31",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def sample(schema: Any, name: str = "value") -> Any:
    """A value that fits `schema`; strings are made from `name`, the name of their property.

    Understands type, enum, const, $ref into the same document, anyOf, oneOf, allOf, required, the usual formats, and
    the bounds of strings, numbers and arrays; `pattern` is not met. An object has its required properties, or all of
    them where the schema requires none.
    """
    return _sample(schema, schema, name, 0)


def _sample(schema: Any, root: Any, name: str, depth: int) -> Any:
    rules = _resolve(schema, root, depth)
    if "const" in rules:
        return rules["const"]
    if values := as_list(rules.get("enum")):
        return values[0]
    for word in ("anyOf", "oneOf"):
        if options := as_list(rules.get(word)):
            return _sample(_choose(options, root, depth), root, name, depth + 1)
    make = _MAKERS.get(_kind(rules), _null)
    return make(rules, root, name, depth)


def _resolve(schema: Any, root: Any, depth: int) -> dict[str, Any]:
    """The rules of `schema`, merged with those of its $ref and allOf."""
    rules = as_dict(schema)
    if depth > 2 * _DEEPEST:
        return {}
    parts = as_list(rules.get("allOf")).copy()
    if "$ref" in rules:
        parts.append(_lookup(as_text(rules["$ref"]), root))
    for part in parts:
        inner = _resolve(part, root, depth + 1)
        merged = {**inner, **{key: value for key, value in rules.items() if key not in ("$ref", "allOf")}}
        if "properties" in inner:
            merged["properties"] = {**as_dict(inner["properties"]), **as_dict(rules.get("properties"))}
        if "required" in inner:
            merged["required"] = [*as_list(inner["required"]), *as_list(rules.get("required"))]
        rules = merged
    return rules


def _lookup(reference: str, root: Any) -> Any:
    """The schema that a reference such as ``#/$defs/Node`` points to; nothing for one outside the document."""
    value = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if step:
            value = as_dict(value).get(step)
    return value


def _choose(options: list[Any], root: Any, depth: int) -> Any:
    """The first alternative; below the maximum depth the one that ends the recursion."""
    if depth >= _DEEPEST:
        return next((option for option in options if _kind(_resolve(option, root, depth)) == "null"), options[0])
    return options[0]


def _kind(rules: dict[str, Any]) -> str:
    kind = rules.get("type")
    if isinstance(kind, list):
        return as_text(next((each for each in as_list(rules["type"]) if each != "null"), "null"))
    if isinstance(kind, str):
        return kind
    return "object" if "properties" in rules else "array" if "items" in rules else "string"


def _object(rules: dict[str, Any], root: Any, name: str, depth: int) -> dict[str, Any]:
    properties = as_dict(rules.get("properties"))
    wanted = [as_text(each) for each in as_list(rules.get("required"))]
    if not wanted and depth < _DEEPEST:
        wanted = list(properties)
    if depth > 2 * _DEEPEST:
        return {}
    return {key: _sample(properties.get(key, {}), root, key, depth + 1) for key in dict.fromkeys(wanted)}


def _array(rules: dict[str, Any], root: Any, name: str, depth: int) -> list[Any]:
    fewest = _size(rules, "minItems", 0)
    length = max(fewest, 1) if depth < _DEEPEST else fewest
    length = min(length, _size(rules, "maxItems", length))
    return [_sample(rules.get("items", {}), root, name, depth + 1) for _ in range(length)]


def _string(rules: dict[str, Any], root: Any, name: str, depth: int) -> str:
    text = _FORMATS.get(as_text(rules.get("format")), f"some {name}")
    text = text.ljust(_size(rules, "minLength", 0), ".")
    return text[: _size(rules, "maxLength", len(text))]


def _size(rules: dict[str, Any], bound: str, default: int) -> int:
    value = rules.get(bound)
    return min(int(value), _MAX_SIZE) if value is not None and is_number(value) and value >= 0 else default


def _number(rules: dict[str, Any], root: Any, name: str, depth: int) -> float:
    bounds = {key: value for key, value in rules.items() if key in _BOUNDS and is_number(value)}
    step = bounds.get("multipleOf") or 1
    value: float = max(1, bounds.get("minimum", 1), bounds.get("exclusiveMinimum", 1 - step) + step)
    if "maximum" in bounds:
        value = min(value, bounds["maximum"])
    if "exclusiveMaximum" in bounds and value >= bounds["exclusiveMaximum"]:
        value = bounds["exclusiveMaximum"] - step
    if bounds.get("multipleOf") and value % step:
        value += step - value % step
    return value


_BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})


def _integer(rules: dict[str, Any], root: Any, name: str, depth: int) -> int:
    return math.ceil(_number(rules, root, name, depth))


def _boolean(rules: dict[str, Any], root: Any, name: str, depth: int) -> bool:
    return True


def _null(rules: dict[str, Any], root: Any, name: str, depth: int) -> Any:
    return None


_MAKERS: dict[str, Callable[[dict[str, Any], Any, str, int], Any]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
}
