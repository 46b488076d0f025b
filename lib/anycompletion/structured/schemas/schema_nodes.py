"""Structure of JSON Schemas: subschemas, references into ``$defs``, cycles of them, and inlining. Pure; copies nothing
that it does not change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias, cast

Schema: TypeAlias = dict[str, Any]

_REF = "#/$defs/"
_STEPS: Mapping[str, str] = {
    "properties": ".",
    "$defs": ".$defs.",
    "patternProperties": ".*",
    "dependentSchemas": ".*",
    "prefixItems": "[]",
    "items": "[]",
    "contains": "[]",
    "additionalProperties": ".*",
    "propertyNames": ".*",
    **dict.fromkeys(("anyOf", "oneOf", "allOf", "not", "if", "then", "else"), ""),
}
"""Keyword with subschemas → its part of a path; "" for keywords that are about the same value."""
_BY_NAME = frozenset(("properties", "$defs", "patternProperties", "dependentSchemas"))
"""Those of them with subschemas by name."""

_MAX_INLINED = 2_000
"""Schemas that a schema without references may have; a schema that would have more keeps its references."""


def as_schema(value: object) -> Schema:
    """A subschema as a dict; true, false and values that are no schema say nothing of the value."""
    return cast("Schema", value) if isinstance(value, dict) else {}


def as_names(value: object) -> list[str]:
    """The value of `required`."""
    return [each for each in cast("list[Any]", value) if isinstance(each, str)] if isinstance(value, list) else []


def definitions(schema: Mapping[str, Any]) -> Schema:
    """The schemas in ``$defs``."""
    return as_schema(schema.get("$defs"))


def target_name(node: Mapping[str, Any]) -> str | None:
    """The name in ``$defs`` that a ``$ref`` points to; None without one, and for references elsewhere."""
    ref = node.get("$ref")
    if not isinstance(ref, str) or not ref.startswith(_REF):
        return None
    return ref.removeprefix(_REF).replace("~1", "/").replace("~0", "~")


def reference(name: str) -> Schema:
    """A reference to a name in ``$defs``."""
    return {"$ref": _REF + name.replace("~", "~0").replace("/", "~1")}


def children(node: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Path below the node and value of each direct subschema, those in ``$defs`` included."""
    for keyword, value in node.items():
        step = _STEPS.get(keyword)
        if step is None:
            continue
        if isinstance(value, list):
            for child in cast("list[Any]", value):
                yield step, child
        elif isinstance(value, dict):
            if keyword in _BY_NAME:
                for name, child in cast("Schema", value).items():
                    yield step + name, child
            else:
                yield step, value


def walk(schema: object) -> Iterator[tuple[str, Schema]]:
    """All nodes with their paths, parents first; references are not followed."""
    waiting: list[tuple[str, Any]] = [("$", schema)]
    while waiting:
        path, value = waiting.pop()
        node = as_schema(value)
        yield path, node
        waiting += reversed([(path + step, child) for step, child in children(node)])


def with_children(node: Schema, change: Callable[[Any, str], Any]) -> Schema:
    """A copy of the node with each direct subschema changed; `change` gets it and its path below the node."""
    changed = dict(node)
    for keyword, value in node.items():
        step = _STEPS.get(keyword)
        if step is None:
            continue
        if isinstance(value, list):
            changed[keyword] = [change(child, step) for child in cast("list[Any]", value)]
        elif isinstance(value, dict):
            members = cast("Schema", value)
            is_map = keyword in _BY_NAME
            changed[keyword] = (
                {name: change(child, step + name) for name, child in members.items()} if is_map else change(value, step)
            )
    return changed


def with_flat_union(node: Schema) -> Schema:
    """The node without unions of one member, unions directly in unions, and members that are there twice."""
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


# --- references -------------------------------------------------------------------------------------------------------


def references(schema: object) -> set[str]:
    """The names in ``$defs`` that a schema refers to itself, not by way of others."""
    return {name for _, node in walk(schema) if (name := target_name(node)) is not None}


def reachable(names: set[str], defs: Mapping[str, Any]) -> set[str]:
    """The names that are referred to from `names`, with `names` themselves."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in defs and name not in found:
            found.add(name)
            waiting += references(defs[name])
    return found


def cycles(defs: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """Name of each recursive definition → the names of its cycle: those it refers to that refer back to it."""
    reach = {name: reachable(references(schema), defs) for name, schema in defs.items()}
    return {
        name: frozenset(other for other in found if name in reach[other])
        for name, found in reach.items()
        if name in found
    }


def without_unused_definitions(schema: Schema) -> Schema:
    """The schema with those ``$defs`` only that something refers to."""
    defs = definitions(schema)
    if not defs:
        return schema
    body = {keyword: value for keyword, value in schema.items() if keyword != "$defs"}
    used = reachable(references(body), defs)
    return {**body, "$defs": {name: defs[name] for name in defs if name in used}} if used else body


def with_object_root(schema: Schema) -> Schema:
    """The schema with what its root refers to in place of that reference."""
    body, seen = schema, set[str]()
    while (name := target_name(body)) is not None and name in definitions(schema) and name not in seen:
        seen.add(name)
        siblings = {keyword: value for keyword, value in body.items() if keyword != "$ref"}
        body = {**as_schema(definitions(schema)[name]), **siblings}
    return body


def inlined(schema: Schema) -> Schema:
    """The schema with definitions in place of references, except to recursive ones; unchanged if it gets too large."""
    defs = definitions(schema)
    recursive = cycles(defs)
    sizes: dict[str, int] = {}

    def size(node: object) -> int:
        total = 0
        for _, each in walk(node):
            name = target_name(each)
            if name in defs and name not in recursive:
                if name not in sizes:
                    sizes[name] = size(defs[name])
                total += sizes[name]
            total += 1
        return total

    def expand(node: Any, _: str = "") -> Any:
        found = as_schema(node)
        name = target_name(found)
        if name in defs and name not in recursive:
            siblings = {keyword: value for keyword, value in found.items() if keyword != "$ref"}
            return expand({**as_schema(defs[name]), **siblings})
        return with_children(found, expand) if found else node

    body = {keyword: value for keyword, value in schema.items() if keyword != "$defs"}
    kept = {name: defs[name] for name in defs if name in recursive}
    if size({**body, "$defs": kept}) > _MAX_INLINED:
        return schema
    whole = expand({**body, "$defs": kept} if kept else body)
    return without_unused_definitions(whole)
