"""JSON Schema in one plain form, for all providers: few keywords, each with one way to write it. Pure.

``oneOf`` becomes ``anyOf``, ``allOf`` is merged, each ``enum`` gets a type, and annotations that no model needs are
left out. A value fits the plain form if it fits the schema.
"""

from __future__ import annotations

import re
from typing import Any, cast

from ...errors import InvalidRequestError
from .schema_nodes import Schema, as_names, as_schema, definitions, target_name, with_children, with_flat_union

_UNUSED = frozenset(
    (
        *("title", "default", "examples", "example", "discriminator", "deprecated", "readOnly", "writeOnly"),
        *("$schema", "$id", "$anchor", "$comment", "contentMediaType"),
    )
)
"""Annotations that are not sent."""

_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "boolean"),  # before int, of which it is a subclass
    (int, "integer"),
    (float, "number"),
    (str, "string"),
    (type(None), "null"),
    (dict, "object"),
    (list, "array"),
)
_IMPLIED = {"properties": "object", "additionalProperties": "object", "items": "array", "prefixItems": "array"}
"""Keyword → the type of a schema that names none."""

_BESIDE_REFERENCE = frozenset(("$ref", "description", "$defs"))
"""Keywords of a node with a reference that leave its values as they are."""

_UUID = re.compile(r"^uuid\d$")
"""Formats of single versions of UUIDs, which libraries of types write and no provider has."""

_HIGHER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_LOWER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")


def plain_form(schema: Schema) -> Schema:
    """The schema in the plain form; the schema itself is not changed.

    Raises:
        InvalidRequestError: the type has more levels than Python's stack.
    """
    try:
        return as_schema(_plain(schema, definitions(schema), ()))
    except RecursionError:
        raise InvalidRequestError("into: the type has too many levels", param="into") from None


def _plain(value: Any, defs: Schema, merged: tuple[str, ...]) -> Any:
    """A subschema in the plain form; `merged` are the definitions that stand in place of references around it."""
    if not isinstance(value, dict):
        return {} if value is True else value
    node, merged = _merged(cast("Schema", value), defs, merged)
    if "oneOf" in node:
        node.setdefault("anyOf", node["oneOf"])
        del node["oneOf"]
    node = with_flat_union(with_children(node, lambda child, _: _plain(child, defs, merged)))
    if isinstance(node.get("format"), str):
        node["format"] = _UUID.sub("uuid", node["format"])
    found = None if node.keys() & {"type", "$ref", "anyOf"} else _implied_type(node)
    return {"type": found, **node} if found else node


def _implied_type(node: Schema) -> str | list[str] | None:
    values: list[Any] = [node["const"]] if "const" in node else node.get("enum") or []
    names = list(dict.fromkeys(next(name for kind, name in _TYPES if isinstance(each, kind)) for each in values))
    if names:
        return names[0] if len(names) == 1 else names
    return next((kind for keyword, kind in _IMPLIED.items() if keyword in node), None)


# --- intersections ----------------------------------------------------------------------------------------------------


def _merged(node: Schema, defs: Schema, merged: tuple[str, ...]) -> tuple[Schema, tuple[str, ...]]:
    """The node without ``allOf``, and without a reference beside keywords that limit the value.

    A reference to a definition in which the node itself stands is left alone, without those keywords, because it would
    have to be merged again and again.
    """
    parts = [as_schema(part) for part in cast("list[Any]", node.get("allOf") or ())]
    base = {keyword: value for keyword, value in node.items() if keyword != "allOf" and keyword not in _UNUSED}
    if "$ref" in base and (parts or base.keys() - _BESIDE_REFERENCE):
        parts.insert(0, {"$ref": base.pop("$ref")})
    if not parts:
        return base, merged
    if len(parts) == 1 and base.keys() <= _BESIDE_REFERENCE:
        return _merged({**parts[0], **base}, defs, merged)
    found: Schema = {}
    for part in parts:
        resolved, merged = _resolved(part, defs, merged)
        found = _both(found, resolved)
    whole = _both(found, base)
    return {
        keyword: value for keyword, value in whole.items() if "$ref" not in whole or keyword in _BESIDE_REFERENCE
    }, merged


def _resolved(part: Schema, defs: Schema, merged: tuple[str, ...]) -> tuple[Schema, tuple[str, ...]]:
    """A part of an intersection with what it refers to, and the parts of that, in one node."""
    name = target_name(part)
    found = {keyword: value for keyword, value in part.items() if keyword not in _UNUSED}
    if name in defs and name not in merged:
        del found["$ref"]
        inner, merged = _resolved(as_schema(defs[name]), defs, (*merged, name))
        found = _both(inner, found)
    for each in map(as_schema, cast("list[Any]", found.pop("allOf", None) or ())):
        inner, merged = _resolved(each, defs, merged)
        found = _both(inner, found)
    return found, merged


def _both(first: Schema, second: Schema) -> Schema:
    """The keywords of two schemas for one value; of two descriptions, the second's."""
    merged = {**first, **second}
    for keyword in first.keys() & second.keys():
        merged[keyword] = _both_values(keyword, first[keyword], second[keyword])
    return merged


def _both_values(keyword: str, first: Any, second: Any) -> Any:
    if keyword in ("properties", "$defs"):
        return {
            **first,
            **{name: _both(as_schema(first.get(name)), as_schema(each)) for name, each in second.items()},
        }
    if keyword == "required":
        return list(dict.fromkeys([*as_names(first), *as_names(second)]))
    if keyword in _HIGHER:
        return max(first, second)
    if keyword in _LOWER:
        return min(first, second)
    if keyword == "additionalProperties" and first is False:
        return first
    if keyword == "enum":
        return [value for value in second if value in first]
    return second
