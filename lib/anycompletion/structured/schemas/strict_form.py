"""Whether a schema can be enforced, and why not: what has no closed form, and the limits of formats. Pure."""

from __future__ import annotations

from typing import Any

from .schema_nodes import Schema, as_names, as_schema, children, cycles, definitions, target_name, walk
from .schema_rules import SchemaRules

_MAX_LEVELS = 10
_MAX_PROPERTIES = 5_000
_MAX_ENUM_VALUES = 1_000
_MAX_NAME_CHARACTERS = 120_000
_LONG_ENUM, _MAX_LONG_ENUM_CHARACTERS = 250, 15_000
"""OpenAI's limits for strict schemas; an enum of more than 250 strings has one for their characters."""


def open_part(schema: Schema, *, tuples: bool = False) -> str | None:
    """The first part of a schema in plain form that has no closed form, with its path; None if there is none.

    `tuples`: whether arrays with a type per item have one.
    """
    for path, node in walk(schema):
        if "properties" not in node and node.get("type") == "object":
            return f"{path} takes any keys"
        if "properties" in node and node.get("additionalProperties", False) is not False:
            return f"{path} takes further keys"
        if not node.keys() & {"type", "anyOf", "$ref", "enum", "const"}:
            return f"{path} takes any value"
        if node.get("type") == "array" and not node.keys() & {"items", "prefixItems"}:
            return f"{path}[] takes any value"
        if not tuples and "prefixItems" in node:
            return f"{path} is a tuple"
    return None


def exceeded_limit(schema: Schema) -> str | None:
    """The first of OpenAI's limits for strict schemas that a schema exceeds, in words."""
    nodes = [node for _, node in walk(schema)]
    properties = [name for node in nodes for name in as_schema(node.get("properties"))]
    enums: list[list[Any]] = [node["enum"] for node in nodes if "enum" in node]
    texts = [value for values in enums for value in values if isinstance(value, str)]
    texts += [node["const"] for node in nodes if isinstance(node.get("const"), str)]
    if len(properties) > _MAX_PROPERTIES:
        return f"more than {_MAX_PROPERTIES} properties"
    if sum(map(len, enums)) > _MAX_ENUM_VALUES:
        return f"more than {_MAX_ENUM_VALUES} values of enums"
    if sum(map(len, (*properties, *definitions(schema), *texts))) > _MAX_NAME_CHARACTERS:
        return f"more than {_MAX_NAME_CHARACTERS} characters of names and values"
    if any(len(values) > _LONG_ENUM and _characters(values) > _MAX_LONG_ENUM_CHARACTERS for values in enums):
        return f"an enum with more than {_MAX_LONG_ENUM_CHARACTERS} characters"
    if _levels(schema, definitions(schema), {}) > _MAX_LEVELS:
        return f"more than {_MAX_LEVELS} levels of objects"
    return None


def _characters(values: list[Any]) -> int:
    return sum(len(value) for value in values if isinstance(value, str))


def _levels(node: object, defs: Schema, known: dict[str, int]) -> int:
    """The number of objects inside each other; one that refers to itself counts once."""
    found = as_schema(node)
    name = target_name(found)
    if name in defs:
        if name not in known:
            known[name] = 0  # until it is counted, for references to itself
            known[name] = _levels(defs[name], defs, known)
        return known[name]
    inner = [child for step, child in children(found) if not step.startswith(".$defs.")]
    deepest = max((_levels(child, defs, known) for child in inner), default=0)
    return deepest + ("properties" in found)


def broken_rule(schema: Schema, rules: SchemaRules) -> str | None:
    """Why a schema in plain form cannot be sent by these rules, in words; None if it can."""
    defs = definitions(schema)
    if rules.recursion == "none" and cycles(defs):
        return f"{next(iter(cycles(defs)))} refers to itself"
    if not rules.open_values and (found := open_part(schema, tuples=True)) is not None:
        return found
    if rules.first_required and any(
        node.get("type") == "object" and not node.get("properties") for _, node in walk(schema)
    ):
        return "there is an object without properties"
    if not rules.tuples and (found := _mixed_tuple(schema)) is not None:
        return found
    nodes = [node for _, node in walk(schema) if "properties" in node]
    if rules.max_optional is not None and sum(map(_optional, nodes)) > rules.max_optional:
        return f"there are more than {rules.max_optional} optional properties"
    if rules.max_unions is not None and sum(map(_unions, nodes)) > rules.max_unions:
        return f"there are more than {rules.max_unions} properties with several types"
    return None


def _mixed_tuple(schema: Schema) -> str | None:
    """The first tuple whose items have several types; one type for all items has another form."""
    for path, node in walk(schema):
        members: list[Any] = node.get("prefixItems") or []
        if any(member != members[0] for member in members):
            return f"{path} is a tuple of several types"
    return None


def _optional(node: Schema) -> int:
    return len(as_schema(node["properties"]).keys() - set(as_names(node.get("required"))))


def _unions(node: Schema) -> int:
    properties = map(as_schema, as_schema(node["properties"]).values())
    return sum("anyOf" in each or isinstance(each.get("type"), list) for each in properties)
