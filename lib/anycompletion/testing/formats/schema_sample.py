"""Deterministic sample values for JSON Schemas, as small as they show each required member; never validates."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Final

from .described_limits import is_described_as_required, with_described_limits
from .json_access import as_dict, as_list, as_text, is_number
from .pattern_sample import pattern_sample

_MAX_SIZE = 10_000
"""Maximum of items of an array and characters of a string, whatever the schema asks for."""

_MAX_DEPTH = 100
"""Levels of a schema after which its values are null."""

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
    "decimal": "1.5",
    "base64": "c29tZSBieXRlcw==",
    "base64url": "c29tZSBieXRlcw==",
}


class _Endless:
    """Marks a schema whose values would contain themselves."""


_ENDLESS: Final = _Endless()


def sample(schema: Any, name: str = "value") -> Any:
    """A value that fits `schema`; strings are made from `name`, the name of their property.

    Understands type, enum, const, $ref into the same document, anyOf, oneOf, allOf, required, the usual formats and
    patterns, and the bounds of strings, numbers and arrays, also those in a description. An object has its required
    properties, or all of them where the schema requires none; an array has one item where it may. A recursive schema
    ends where it first may.
    """
    value = _sample(schema, schema, name, ("#",) if as_dict(schema).get("$ref") != "#" else ())
    return None if value is _ENDLESS else value


def _sample(schema: Any, root: Any, name: str, refs: tuple[str, ...], depth: int = 0) -> Any:
    rules = as_dict(schema)
    ref = as_text(rules.get("$ref"))
    if ref in refs or depth > _MAX_DEPTH:
        return _ENDLESS
    inner = (*refs, ref) if ref else refs
    rules = with_described_limits(_resolve(rules, root, ()))
    if "const" in rules:
        return rules["const"]
    if values := as_list(rules.get("enum")):
        return values[0]
    for word in ("anyOf", "oneOf"):
        if options := as_list(rules.get(word)):
            limits = {key: value for key, value in rules.items() if key in _LIMITS}
            found = (_sample({**limits, **as_dict(each)}, root, name, inner, depth + 1) for each in options)
            return next((value for value in found if value is not _ENDLESS), _ENDLESS)
    make = _MAKERS.get(_kind(rules), _null)
    return make(rules, root, name, inner, depth)


def _resolve(rules: dict[str, Any], root: Any, seen: tuple[str, ...]) -> dict[str, Any]:
    """The rules of a schema, merged with those of its $ref and allOf."""
    parts = as_list(rules.get("allOf")).copy()
    ref = as_text(rules.get("$ref"))
    if ref and ref not in seen:
        parts.append(_lookup(ref, root))
        seen = (*seen, ref)
    for part in parts:
        inner = _resolve(as_dict(part), root, seen)
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
            value = as_dict(value).get(step.replace("~1", "/").replace("~0", "~"))
    return value


def _kind(rules: dict[str, Any]) -> str:
    kind = rules.get("type")
    if isinstance(kind, list):
        return as_text(next((each for each in as_list(rules["type"]) if each != "null"), "null"))
    if isinstance(kind, str):
        return kind
    return "object" if "properties" in rules else "array" if "items" in rules else "string"


def _object(rules: dict[str, Any], root: Any, name: str, refs: tuple[str, ...], depth: int) -> Any:
    properties = as_dict(rules.get("properties"))
    required = [as_text(each) for each in as_list(rules.get("required"))]
    required += [name for name, each in properties.items() if is_described_as_required(each)]
    members: dict[str, Any] = {}
    for key in dict.fromkeys(required or properties):
        value = _sample(properties.get(key, {}), root, key, refs, depth + 1)
        if value is not _ENDLESS:
            members[key] = value
        elif required:
            return _ENDLESS
    return members


def _array(rules: dict[str, Any], root: Any, name: str, refs: tuple[str, ...], depth: int) -> Any:
    fewest = _size(rules, "minItems", 0)
    first = [_sample(each, root, name, refs, depth + 1) for each in as_list(rules.get("prefixItems"))]
    if any(value is _ENDLESS for value in first):
        return _ENDLESS
    if rules.get("items") is False or (first and len(first) >= fewest):
        return first
    item = _sample(rules.get("items", {}), root, name, refs, depth + 1)
    if item is _ENDLESS:
        return _ENDLESS if fewest > len(first) else first
    length = min(max(fewest, 1), _size(rules, "maxItems", max(fewest, 1)))
    return [*first, *[item] * (length - len(first))]


def _string(rules: dict[str, Any], root: Any, name: str, refs: tuple[str, ...], depth: int) -> str:
    format_ = as_text(rules.get("format") or rules.get("contentEncoding"))
    text = _FORMATS.get(format_, f"some {name}")
    text = text.ljust(_size(rules, "minLength", 0), ".")
    text = text[: _size(rules, "maxLength", len(text))]
    matching = pattern_sample(as_text(rules.get("pattern"))) if "pattern" in rules else None
    return text if matching is None else matching


def _size(rules: dict[str, Any], bound: str, default: int) -> int:
    value = rules.get(bound)
    return min(int(value), _MAX_SIZE) if value is not None and is_number(value) and value >= 0 else default


def _number(rules: dict[str, Any], root: Any, name: str, refs: tuple[str, ...], depth: int) -> float:
    bounds: dict[str, float] = {key: value for key, value in rules.items() if key in _BOUNDS and is_number(value)}
    is_whole = _kind(rules) == "integer"
    fitting = (value for value in _candidates(bounds) if _fits(value, bounds) and (not is_whole or value % 1 == 0))
    value = next(fitting, 1)
    return int(value) if is_whole and math.isfinite(value) else value


def _candidates(bounds: dict[str, float]) -> Iterator[float]:
    """Numbers to try: 1, those at the bounds, between them, and the multiples next to them."""
    yield 1
    low = max((bounds[key] for key in ("minimum", "exclusiveMinimum") if key in bounds), default=None)
    high = min((bounds[key] for key in ("maximum", "exclusiveMaximum") if key in bounds), default=None)
    step = abs(bounds.get("multipleOf", 0)) or 1
    for bound, sign in ((low, 1), (high, -1)):
        if bound is not None:
            whole = sign * math.ceil(sign * bound)
            multiple = sign * math.ceil(sign * bound / step)
            yield from (bound, whole, whole + sign * step, bound + sign * step, multiple * step)
            yield (multiple + sign) * step
    if low is not None and high is not None:
        yield (low + high) / 2
    yield from (0, step)


def _fits(value: float, bounds: dict[str, float]) -> bool:
    step = bounds.get("multipleOf")
    return (
        bounds.get("minimum", value) <= value <= bounds.get("maximum", value)
        and not value <= bounds.get("exclusiveMinimum", -math.inf)
        and not value >= bounds.get("exclusiveMaximum", math.inf)
        and (not step or math.isclose(value / step, round(value / step), abs_tol=1e-9))
    )


_BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})
_LIMITS = _BOUNDS | {"minLength", "maxLength", "minItems", "maxItems", "format", "pattern", "contentEncoding"}
"""Keywords that apply to each alternative as well."""


def _boolean(rules: dict[str, Any], root: Any, name: str, refs: tuple[str, ...], depth: int) -> bool:
    return True


def _null(rules: dict[str, Any], root: Any, name: str, refs: tuple[str, ...], depth: int) -> Any:
    return None


_MAKERS: dict[str, Callable[[dict[str, Any], Any, str, tuple[str, ...], int], Any]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "number": _number,
    "integer": _number,
    "boolean": _boolean,
}
