"""JSON Schema in one plain form, for all providers: few keywords, each with one way to write it. Pure.

``oneOf`` becomes ``anyOf``, ``allOf`` is merged, each ``enum`` gets a type, and annotations that no model needs are
left out. A value fits the plain form if it fits the schema.
"""

from __future__ import annotations

from typing import Any, cast

from .schema_nodes import Schema, as_names, as_schema, definitions, target_name, with_children

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

_HIGHER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_LOWER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")


def plain_form(schema: Schema) -> Schema:
    """The schema in the plain form; the schema itself is not changed."""
    return as_schema(_plain(schema, definitions(schema)))


def _plain(value: Any, defs: Schema) -> Any:
    if not isinstance(value, dict):
        return {} if value is True else value
    node = _merged(cast("Schema", value), defs)
    if "oneOf" in node:
        node.setdefault("anyOf", node["oneOf"])
        del node["oneOf"]
    node = _with_flat_union(with_children(node, lambda child, _: _plain(child, defs)))
    found = None if node.keys() & {"type", "$ref", "anyOf"} else _implied_type(node)
    return {"type": found, **node} if found else node


def _implied_type(node: Schema) -> str | list[str] | None:
    values: list[Any] = [node["const"]] if "const" in node else node.get("enum") or []
    names = list(dict.fromkeys(next(name for kind, name in _TYPES if isinstance(each, kind)) for each in values))
    if names:
        return names[0] if len(names) == 1 else names
    return next((kind for keyword, kind in _IMPLIED.items() if keyword in node), None)


# --- unions -----------------------------------------------------------------------------------------------------------


def _with_flat_union(node: Schema) -> Schema:
    """The node without unions of one member, and without unions directly in unions."""
    options = node.get("anyOf")
    if not isinstance(options, list):
        return node
    flat: list[Any] = []
    for option in map(as_schema, cast("list[Any]", options)):
        nested: list[Any] = option["anyOf"] if option.keys() == {"anyOf"} else [option]
        flat += [each for each in nested if each not in flat]
    if len(flat) > 1:
        return {**node, "anyOf": flat}
    siblings = {keyword: value for keyword, value in node.items() if keyword != "anyOf"}
    return {**as_schema(flat[0] if flat else {}), **siblings}


# --- intersections ----------------------------------------------------------------------------------------------------


def _merged(node: Schema, defs: Schema) -> Schema:
    """The node without ``allOf``, and without a reference beside keywords that limit the value."""
    parts = [as_schema(part) for part in cast("list[Any]", node.get("allOf") or ())]
    base = {keyword: value for keyword, value in node.items() if keyword != "allOf" and keyword not in _UNUSED}
    if "$ref" in base and (parts or set(base) - {"$ref", "description", "$defs"}):
        parts.insert(0, {"$ref": base.pop("$ref")})
    if not parts:
        return base
    if len(parts) == 1 and set(base) <= {"description", "$defs"}:
        return _merged({**parts[0], **base}, defs)
    merged: Schema = {}
    for part in parts:
        merged = _both(merged, _resolved(part, defs, ()))
    return _both(merged, base)


def _resolved(part: Schema, defs: Schema, seen: tuple[str, ...]) -> Schema:
    """A part of an intersection with what it refers to, and the parts of that, in one node."""
    name = target_name(part)
    found = {keyword: value for keyword, value in part.items() if keyword not in _UNUSED}
    if name in defs and name not in seen:
        del found["$ref"]
        found = _both(_resolved(as_schema(defs[name]), defs, (*seen, name)), found)
    for inner in map(as_schema, cast("list[Any]", found.pop("allOf", None) or ())):
        found = _both(_resolved(inner, defs, seen), found)
    return found


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
