"""Checks of JSON Schemas that providers make before they accept a request; never changes a schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import attrs

from .json_access import as_dict, as_list, as_text

_TYPES = frozenset(("object", "array", "string", "number", "integer", "boolean", "null"))
_BY_NAME = ("properties", "$defs", "definitions")
_SEVERAL = ("anyOf", "oneOf", "allOf", "prefixItems")
_ONE = ("items", "additionalProperties", "not", "contains")


@attrs.frozen
class SchemaProblem:
    """What is wrong with a schema, and where: the steps from its root."""

    path: tuple[str, ...]
    text: str


@attrs.frozen(kw_only=True)
class SchemaChecks:
    """What a provider refuses in schemas; the default refuses only what is no JSON Schema."""

    keywords: frozenset[str] | None = None
    """The only keywords that are accepted; None is all."""
    object_root: bool = False
    """Whether the type of the root must be object."""
    formats: frozenset[str] | None = None
    """The only formats of strings that are accepted; None is all."""
    lookaround: bool = True
    """Whether patterns may look ahead and behind."""
    anchored_patterns: bool = False
    """Whether patterns must begin with ``^`` and end with ``$``."""
    alone: bool = False
    """Whether nothing may stand beside a ``$ref``."""
    closed: bool = False
    """Whether each object must have its properties and ``additionalProperties`` false."""
    all_required: bool = False
    """Whether each property must be required."""
    one_required: bool = False
    """Whether each object must have a required property."""
    typed: bool = False
    """Whether each value must have a type."""
    primitive_enums: bool = False
    """Whether enums may have no objects and arrays."""
    most_min_items: int | None = None
    """The greatest ``minItems``."""
    cycles: Literal["any", "optional", "none"] = "any"
    """Where a definition may refer to itself: anywhere, in properties that are not required, or nowhere."""
    most_optional: int | None = None
    """The greatest number of properties that are not required."""
    most_unions: int | None = None
    """The greatest number of properties with several types."""
    most_levels: int | None = None
    """The greatest number of objects inside each other."""
    most_properties: int | None = None
    """The greatest number of properties."""
    most_enum_values: int | None = None
    """The greatest number of values of all enums."""

    def problem(self, schema: Any) -> SchemaProblem | None:
        """The first thing that the provider refuses; None for a schema that it accepts."""
        if not isinstance(schema, dict):
            return SchemaProblem((), "schema must be a JSON Schema object")
        root = as_dict(schema)
        if self.object_root and root.get("type") != "object":
            return SchemaProblem((), f"schema must be a JSON Schema of 'type: \"object\"', got {root.get('type')!r}.")
        for path, node in _nodes(root, ()):
            text = self._node_problem(node, root)
            if text is not None:
                return SchemaProblem(path, text)
        text = self._cycle_problem(root) or self._count_problem(root)
        return None if text is None else SchemaProblem((), text)

    # --- one node -----------------------------------------------------------------------------------------------------

    def _node_problem(self, node: dict[str, Any], root: dict[str, Any]) -> str | None:
        return (
            _malformed(node)
            or self._keyword_problem(node)
            or self._reference_problem(node, root)
            or self._value_problem(node)
            or self._object_problem(node)
        )

    def _keyword_problem(self, node: dict[str, Any]) -> str | None:
        if self.keywords is not None and (unknown := sorted(node.keys() - self.keywords)):
            return f"'{unknown[0]}' is not permitted."
        if self.formats is not None and "format" in node and node["format"] not in self.formats:
            return f"'{node['format']}' is not a valid format."
        pattern = as_text(node.get("pattern"))
        if not self.lookaround and any(each in pattern for each in ("(?=", "(?!", "(?<=", "(?<!")):
            return "patterns with lookaround are not permitted."
        if self.anchored_patterns and pattern and not (pattern.startswith("^") and pattern.endswith("$")):
            return "Pattern must start with '^' and end with '$'"
        return None

    def _reference_problem(self, node: dict[str, Any], root: dict[str, Any]) -> str | None:
        if "$ref" not in node:
            return None
        if _target(node, root) is None:
            return f"reference to a component '{node['$ref']}' which was not found in the schema."
        beside = sorted(name for name in node if not name.startswith("$"))
        return f"$ref cannot have keywords {beside}." if self.alone and beside else None

    def _value_problem(self, node: dict[str, Any]) -> str | None:
        if self.typed and not node.keys() & {"type", "anyOf", "$ref"}:
            return "schema must have a 'type' key."
        if self.typed and node.get("type") == "array" and "items" not in node:
            return "array schema missing items."
        if self.primitive_enums and any(isinstance(each, (dict, list)) for each in as_list(node.get("enum"))):
            return "enum values must be primitive."
        fewest = node.get("minItems")
        if self.most_min_items is not None and isinstance(fewest, int) and fewest > self.most_min_items:
            return f"For 'array' type, 'minItems' values other than 0 or {self.most_min_items} are not supported"
        return None

    def _object_problem(self, node: dict[str, Any]) -> str | None:
        properties, required = as_dict(node.get("properties")), as_list(node.get("required"))
        if node.get("type") != "object" and "properties" not in node:
            return None
        if self.closed and node.get("additionalProperties") is not False:
            return "'additionalProperties' is required to be supplied and to be false."
        if self.all_required and set(required) != properties.keys():
            missing = next((name for name in properties if name not in required), None)
            extra = next((name for name in required if name not in properties), None)
            reason = f"Missing '{missing}'." if missing is not None else f"Extra required key '{extra}' supplied."
            return (
                "'required' is required to be supplied and to be an array including every key in properties. " + reason
            )
        if self.one_required and not required:
            return "an object must have at least one required field."
        return None

    # --- the whole schema ---------------------------------------------------------------------------------------------

    def _cycle_problem(self, root: dict[str, Any]) -> str | None:
        if self.cycles == "any":
            return None
        for name, definition in as_dict(root.get("$defs")).items():
            if name in _reached(definition, root, only_required=self.cycles == "optional"):
                return f"the definition {name} refers to itself"
        return None

    def _count_problem(self, root: dict[str, Any]) -> str | None:
        nodes = [node for _, node in _nodes(root, ())]
        objects = [node for node in nodes if "properties" in node]
        optional = sum(len(node["properties"].keys() - set(as_list(node.get("required")))) for node in objects)
        members = [as_dict(each) for node in objects for each in node["properties"].values()]
        unions = sum(len(as_list(each.get("anyOf"))) > 1 or isinstance(each.get("type"), list) for each in members)
        counts = (
            ("optional parameters", optional, self.most_optional),
            ("parameters with union types", unions, self.most_unions),
            ("object properties", len(members), self.most_properties),
            ("enum values", sum(len(as_list(node.get("enum"))) for node in nodes), self.most_enum_values),
            ("levels of nesting", _levels(root, root, {}) if self.most_levels else 0, self.most_levels),
        )
        for noun, found, most in counts:
            if most is not None and found > most:
                return f"Schemas contains too many {noun} ({found}); the limit is {most}."
        return None


def _nodes(schema: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """All subschemas with the steps that lead to them, parents first."""
    node = as_dict(schema)
    if schema is True or schema is False:
        return
    yield path, node
    for keyword in _BY_NAME:
        for name, child in as_dict(node.get(keyword)).items():
            yield from _nodes(child, (*path, keyword, name))
    for keyword in _SEVERAL:
        for at, child in enumerate(as_list(node.get(keyword))):
            yield from _nodes(child, (*path, keyword, str(at)))
    for keyword in _ONE:
        if isinstance(node.get(keyword), dict):
            yield from _nodes(node[keyword], (*path, keyword))


def _malformed(node: Mapping[str, Any]) -> str | None:
    """What makes a node no JSON Schema."""
    kinds: list[Any] = as_list(node["type"]) if isinstance(node.get("type"), list) else [node.get("type", "null")]
    if not kinds or any(kind not in _TYPES for kind in kinds):
        return f"{node.get('type')!r} is not valid under any of the given schemas."
    for keyword, kind in (("properties", dict), ("required", list), ("enum", list), ("anyOf", list)):
        if keyword in node and not isinstance(node[keyword], kind):
            return f"{node[keyword]!r} is not of type '{'object' if kind is dict else 'array'}'."
    for keyword in ("enum", "anyOf"):
        if keyword in node and not node[keyword]:
            return f"'{keyword}' must not be empty."
    required = as_list(node.get("required"))
    if len(required) != len(set(map(str, required))) or not all(isinstance(each, str) for each in required):
        return "'required' must name each property once."
    return None


def _target(node: Mapping[str, Any], root: dict[str, Any]) -> Any:
    """The schema that a reference points to; None if there is none."""
    ref = as_text(node.get("$ref"))
    value: Any = root if ref.startswith("#") else None
    for step in ref.removeprefix("#").strip("/").split("/") if ref != "#" else ():
        value = as_dict(value).get(step.replace("~1", "/").replace("~0", "~"))
    return value


def _reached(schema: Any, root: dict[str, Any], *, only_required: bool) -> set[str]:
    """The names of the definitions that a schema refers to, directly or by way of others."""
    found: set[str] = set()
    waiting = [schema]
    while waiting:
        for name in _direct(waiting.pop(), only_required=only_required) - found:
            found.add(name)
            waiting.append(as_dict(root.get("$defs")).get(name))
    return found


def _direct(schema: Any, *, only_required: bool) -> set[str]:
    node = as_dict(schema)
    properties = as_dict(node.get("properties"))
    required = as_list(node.get("required"))
    inner = [each for name, each in properties.items() if not only_required or name in required]
    inner += [each for keyword in _SEVERAL for each in as_list(node.get(keyword))]
    inner += [node[keyword] for keyword in _ONE if keyword in node]
    names = {name for each in inner for name in _direct(each, only_required=only_required)}
    ref = as_text(node.get("$ref"))
    return names | {ref.rpartition("/")[2].replace("~1", "/").replace("~0", "~")} if ref else names


def _levels(schema: Any, root: dict[str, Any], known: dict[str, int]) -> int:
    """The number of objects inside each other; one that refers to itself counts once."""
    node = as_dict(schema)
    ref = as_text(node.get("$ref"))
    if ref:
        if ref not in known:
            known[ref] = 0  # until it is counted, for references to itself
            known[ref] = _levels(_target(node, root), root, known)
        return known[ref]
    inner = [*as_dict(node.get("properties")).values(), *(node.get(keyword) for keyword in _ONE)]
    inner += [each for keyword in _SEVERAL for each in as_list(node.get(keyword))]
    return max((_levels(each, root, known) for each in inner if each), default=0) + ("properties" in node)


# --- the providers' checks --------------------------------------------------------------------------------------------

_BASE = frozenset(
    (
        *("type", "properties", "required", "additionalProperties", "items", "anyOf", "enum", "description", "title"),
        *("$ref", "$defs", "$schema"),
    )
)
_NUMBERS = frozenset(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"))
_FORMATS = frozenset(("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"))

OPENAI_STRICT = SchemaChecks(
    keywords=_BASE
    | _NUMBERS
    | {"const", "pattern", "format", "minItems", "maxItems", "minLength", "maxLength", "definitions"},
    object_root=True,
    formats=_FORMATS,
    lookaround=False,
    alone=True,
    closed=True,
    all_required=True,
    typed=True,
    most_levels=10,
    most_properties=5_000,
    most_enum_values=1_000,
)
JSON_SCHEMA = SchemaChecks()
CLAUDE_SCHEMA = SchemaChecks(
    keywords=_BASE | {"const", "format", "minItems", "allOf", "default"},
    formats=_FORMATS | {"uri"},
    alone=True,
    closed=True,
    typed=True,
    primitive_enums=True,
    most_min_items=1,
    cycles="none",
    most_optional=24,
    most_unions=16,
)
GEMINI_SCHEMA = SchemaChecks(
    keywords=_BASE
    | {"$id", "$anchor", "format", "prefixItems", "minItems", "maxItems", "minimum", "maximum", "oneOf"}
    | {"propertyOrdering"},
    alone=True,
    cycles="optional",
)
COHERE_SCHEMA = SchemaChecks(
    keywords=_BASE | {"const", "pattern", "format"},
    object_root=True,
    formats=frozenset(("date-time", "date", "time", "uuid")),
    one_required=True,
)
GRAMMAR_SCHEMA = SchemaChecks(anchored_patterns=True)
"""The schemas of llama.cpp, which makes a grammar of them."""
