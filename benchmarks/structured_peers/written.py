"""Data as a model writes it under a schema that the provider enforces: with the members that the data lacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.structured_peers.cases import NAME

Schema = Mapping[str, Any]


def written(data: Any, schema: Schema) -> Any:
    """`data` in the form of a schema.

    A schema of one member, which the data is not, is one that the client has put around its type.
    """
    root = _resolved(schema, schema)
    members: Mapping[str, Any] = root.get("properties") or {}
    own = data.keys() - {NAME} if isinstance(data, dict) else None
    if len(members) == 1 and own != members.keys():
        name = next(iter(members))
        return {name: _written(data, members[name], schema)}
    return _written(data, schema, schema)


def _written(data: Any, schema: Schema, root: Schema) -> Any:
    schema = _chosen(data, _resolved(schema, root), root)
    if isinstance(data, list):
        items = schema.get("prefixItems")
        if items:
            return [_written(each, kind, root) for each, kind in zip(data, items, strict=False)]
        return [_written(each, schema.get("items") or {}, root) for each in data]
    if not isinstance(data, dict):
        return data
    members: Mapping[str, Any] = schema.get("properties") or {}
    open_members = schema.get("additionalProperties")
    rest = open_members if isinstance(open_members, dict) else {}
    found = {name: _written(value, members.get(name, rest), root) for name, value in data.items() if name != NAME}
    for name in schema.get("required") or ():
        if name not in found:
            found[name] = _constant(_resolved(members.get(name) or {}, root))
    return found


def _constant(schema: Schema) -> Any:
    """The only value of a schema, or null."""
    if "const" in schema:
        return schema["const"]
    values = schema.get("enum") or [None]
    return values[0] if len(values) == 1 else None


def _resolved(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        target: Any = root
        for part in str(schema["$ref"]).removeprefix("#").strip("/").split("/"):
            target = target[part] if part else target
        schema = target
    one = schema.get("allOf") or ()
    return _resolved(one[0], root) if len(one) == 1 else schema


def _chosen(data: Any, schema: Schema, root: Schema) -> Schema:
    """The member of a union that the data belongs to."""
    members = schema.get("anyOf") or schema.get("oneOf")
    if not members:
        return schema
    fitting = [each for each in members if _fits(data, each, root)]
    return _chosen(data, _resolved((fitting or members)[0], root), root)


def _fits(data: Any, schema: Schema, root: Schema) -> bool:
    plain = _resolved(schema, root)
    if isinstance(data, dict) and NAME in data:
        names = {str(schema.get("$ref", "")).rpartition("/")[2], str(plain.get("title"))}
        names |= {str(_constant(each)) for each in (plain.get("properties") or {}).values()}
        return data[NAME] in names
    kinds = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
    expected = "null" if data is None else kinds[type(data)]
    given = plain.get("type")
    return expected in (given if isinstance(given, list) else [given]) or (expected, given) == ("integer", "number")
