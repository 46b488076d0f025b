"""A schema in plain form as one format's rules allow it: keywords, closed objects, unions and references. Pure."""

from __future__ import annotations

from typing import Any, cast

from .dropped_keywords import keyword_text, with_text
from .schema_nodes import Schema, as_names, as_schema, cycles, definitions, references, with_children, with_flat_union
from .schema_rules import SchemaRules

_STRUCTURE = frozenset(
    (
        *("type", "properties", "required", "additionalProperties", "items", "prefixItems"),
        *("anyOf", "$ref", "$defs", "enum", "const", "description"),
    )
)
"""Keywords that all formats have, or that have a rule of their own."""

_LOOKAROUND = ("(?=", "(?!", "(?<=", "(?<!")
_EXCLUSIVE = (("exclusiveMinimum", "minimum", 1, max), ("exclusiveMaximum", "maximum", -1, min))
"""Exclusive bound, the inclusive one, the distance to the next integer, and which of two bounds counts."""


class SchemaRestriction:
    """Rewrites one schema by rules, and records what they do not allow.

    Args:
        rules: the format's rules.
        nullable: whether optional properties become required ones that may be null.
    """

    def __init__(self, rules: SchemaRules, *, nullable: bool) -> None:
        self._rules = rules
        self._nullable = nullable
        self.dropped: list[str] = []
        """Paths and keywords of what is now in descriptions, or nowhere."""

    def apply(self, schema: Schema) -> Schema:
        """The schema as the rules allow it; the schema itself is not changed."""
        restricted = self._node(schema, "$")
        return _with_optional_cycles(restricted) if self._rules.recursion == "optional" else restricted

    def _node(self, value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            return value
        texts: list[str] = []
        kept: Schema = {}
        for keyword, member in self._converted(cast("Schema", value), texts).items():
            if self._keeps(keyword, member):
                kept[keyword] = member
            else:
                self.dropped.append(f"{path}: {keyword}")
                texts += filter(None, [keyword_text(keyword, member)])
        description = with_text(kept.pop("description", None), texts)
        kept = with_flat_union(with_children(kept, lambda child, step: self._node(child, path + step)))
        kept = self._object(kept)
        if description is not None:
            kept["description"] = description
        if "$ref" in kept and len(kept.keys() - {"$defs"}) > 1:
            kept = {"anyOf": [{"$ref": kept.pop("$ref")}], **kept}
        return kept

    # --- keywords -----------------------------------------------------------------------------------------------------

    def _keeps(self, keyword: str, value: Any) -> bool:
        rules = self._rules
        if rules.keywords is None or keyword in _STRUCTURE:
            return True
        if keyword not in rules.keywords:
            return False
        match keyword:
            case "format":
                return rules.formats is None or value in rules.formats
            case "pattern":
                return rules.lookaround or not any(each in str(value) for each in _LOOKAROUND)
            case _:
                return True

    def _converted(self, node: Schema, texts: list[str]) -> Schema:
        """The node with the other form of those keywords that have one, where the rules have only that."""
        rules = self._rules
        found = dict(node)
        if "const" in found and not rules.const:
            found["enum"] = [found.pop("const")]
        if "prefixItems" in found and not rules.tuples:
            members: list[Any] = found.pop("prefixItems")
            texts += filter(None, [keyword_text("prefixItems", members)])
            found["items"] = {"anyOf": members} if members else False
        if rules.max_min_items is not None and found.get("minItems", 0) > rules.max_min_items:
            texts += filter(None, [keyword_text("minItems", found["minItems"])])
            found["minItems"] = rules.max_min_items
        if not rules.exclusive_bounds and found.get("type") == "integer":
            for exclusive, inclusive, step, choose in _EXCLUSIVE:
                if isinstance(found.get(exclusive), int):
                    bound = found.pop(exclusive) + step
                    found[inclusive] = choose(bound, found.get(inclusive, bound))
        return found

    # --- objects ------------------------------------------------------------------------------------------------------

    def _object(self, node: Schema) -> Schema:
        if "properties" not in node:
            return node
        properties = as_schema(node["properties"])
        required = [name for name in as_names(node.get("required")) if name in properties]
        closed = {**node, "properties": properties}
        closed.setdefault("additionalProperties", False)
        if self._nullable:
            optional = [name for name in properties if name not in required]
            closed["properties"] = {
                name: or_null(each) if name in optional else each for name, each in properties.items()
            }
            required = list(properties)
        elif self._rules.first_required and properties and not required:
            first = next(iter(properties))
            closed["properties"] = {**properties, first: or_null(properties[first])}
            required = [first]
        closed["required"] = required
        return closed


def or_null(value: Any) -> Schema:
    """The schema of a property that may be null."""
    node = as_schema(value)
    if takes_null(node):
        return node
    if "anyOf" in node and not _is_reference(node):
        return {**node, "anyOf": [*node["anyOf"], {"type": "null"}]}
    inner = {keyword: member for keyword, member in node.items() if keyword != "description"}
    if _is_reference(node):
        inner = node["anyOf"][0]
    described = {"description": node["description"]} if "description" in node else {}
    return {"anyOf": [inner, {"type": "null"}], **described}


def _is_reference(node: Schema) -> bool:
    """Whether a union has one member only: a reference with a description beside it."""
    return len(node.get("anyOf", ())) == 1


def takes_null(node: Schema) -> bool:
    """Whether null fits a schema in plain form, as far as its own keywords say; anything fits one without a type."""
    if "anyOf" in node:
        return any(takes_null(as_schema(option)) for option in cast("list[Any]", node["anyOf"]))
    if "$ref" in node:
        return False
    kinds = node.get("type")
    names: list[Any] = cast("list[Any]", kinds) if isinstance(kinds, list) else [kinds]
    values: list[Any] = node["enum"] if "enum" in node else [node["const"]] if "const" in node else [None]
    return ("null" in names or kinds is None) and None in values


def _with_optional_cycles(schema: Schema) -> Schema:
    """The schema in which properties that lead back to their own definition are not required."""
    recursive = cycles(definitions(schema))

    def relaxed(value: Any, cycle: frozenset[str]) -> Any:
        node = as_schema(value)
        if not node:
            return value
        changed = with_children(node, lambda child, _: relaxed(child, cycle))
        properties = as_schema(changed.get("properties"))
        ends = [name for name in as_names(changed.get("required")) if references(properties.get(name)) & cycle]
        if ends:
            changed["required"] = [name for name in changed["required"] if name not in ends]
            changed["properties"] = {
                name: _with_description(each, "required") if name in ends else each for name, each in properties.items()
            }
        return changed

    defs = {name: relaxed(each, recursive.get(name, frozenset())) for name, each in definitions(schema).items()}
    return {**schema, "$defs": defs} if defs else schema


def _with_description(value: Any, keyword: str) -> Schema:
    node = as_schema(value)
    text = with_text(node.get("description"), [keyword_text(keyword, True) or ""])
    if "$ref" in node:
        return {"anyOf": [{"$ref": node["$ref"]}], "description": text}
    return {**node, "description": text}
