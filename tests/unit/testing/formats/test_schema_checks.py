"""Tests of the checks of schemas: each provider's simulator refuses what the provider refuses, and accepts the rest."""

from __future__ import annotations

from typing import Any

import pytest

from anycompletion.testing.formats.schema_checks import (
    CLAUDE_SCHEMA,
    COHERE_SCHEMA,
    GEMINI_SCHEMA,
    GRAMMAR_SCHEMA,
    JSON_SCHEMA,
    OPENAI_STRICT,
    SchemaChecks,
)

TEXT: dict[str, Any] = {"type": "string"}


def closed(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An object with all properties required and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
        **more,
    }


NODE = {"Node": closed({"next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}})}
LOOSE_NODE = {"Node": {**NODE["Node"], "required": []}}
DEEP: dict[str, Any] = TEXT
for _ in range(11):
    DEEP = closed({"a": DEEP})

ACCEPTED: list[tuple[SchemaChecks, dict[str, Any]]] = [
    (OPENAI_STRICT, closed({"a": {"type": "string", "pattern": "^a$", "minLength": 1, "format": "date"}})),
    (OPENAI_STRICT, closed({"a": {"$ref": "#/$defs/Node"}}, **{"$defs": NODE})),
    (OPENAI_STRICT, closed({"a": {"anyOf": [TEXT, {"type": "null"}]}, "b": {"type": ["string", "null"]}})),
    (
        CLAUDE_SCHEMA,
        closed({"a": {"type": "array", "items": TEXT, "minItems": 1}, "b": {"const": 1, "type": "integer"}}),
    ),
    (GEMINI_SCHEMA, closed({"a": {"$ref": "#/$defs/Node"}}, **{"$defs": LOOSE_NODE})),
    (GEMINI_SCHEMA, {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}}),
    (COHERE_SCHEMA, {"type": "object", "properties": {"a": TEXT, "b": TEXT}, "required": ["a"]}),
    (GRAMMAR_SCHEMA, {"type": "string", "pattern": "^a$"}),
    (JSON_SCHEMA, {"type": "object", "properties": {"a": {"not": {}}}, "if": {}}),
]

REFUSED: list[tuple[SchemaChecks, Any, str]] = [
    (OPENAI_STRICT, {"type": "object", "properties": {"a": TEXT}, "required": ["a"]}, "additionalProperties"),
    (OPENAI_STRICT, {**closed({"a": TEXT}), "required": []}, "Missing 'a'"),
    (OPENAI_STRICT, {**closed({}), "required": ["a"]}, "Extra required key 'a'"),
    (OPENAI_STRICT, closed({"a": {}}), "must have a 'type' key"),
    (OPENAI_STRICT, closed({"a": {"type": "array"}}), "missing items"),
    (OPENAI_STRICT, closed({"a": {**TEXT, "default": "x"}}), "'default' is not permitted"),
    (OPENAI_STRICT, closed({"a": {"type": "array", "items": TEXT, "uniqueItems": True}}), "'uniqueItems'"),
    (OPENAI_STRICT, closed({"a": {**TEXT, "format": "uri"}}), "'uri' is not a valid format"),
    (OPENAI_STRICT, closed({"a": {**TEXT, "pattern": "(?=a)"}}), "lookaround"),
    (OPENAI_STRICT, closed({"a": {"oneOf": [TEXT]}}), "'oneOf' is not permitted"),
    (OPENAI_STRICT, closed({"a": {"$ref": "#/$defs/X"}}), "was not found"),
    (OPENAI_STRICT, closed({"a": {"$ref": "#/$defs/Node", "description": "x"}}, **{"$defs": NODE}), "cannot have"),
    (OPENAI_STRICT, closed({"a": {"type": "object", "additionalProperties": TEXT}}), "additionalProperties"),
    (OPENAI_STRICT, {"anyOf": [closed({})]}, "'type: \"object\"'"),
    (OPENAI_STRICT, DEEP, "levels of nesting"),
    (OPENAI_STRICT, closed({f"p{n}": TEXT for n in range(5_001)}), "object properties"),
    (OPENAI_STRICT, closed({"a": {"type": "integer", "enum": list(range(1_001))}}), "enum values"),
    (CLAUDE_SCHEMA, closed({"a": {"type": "integer", "minimum": 1}}), "'minimum' is not permitted"),
    (CLAUDE_SCHEMA, closed({"a": {"type": "array", "items": TEXT, "minItems": 2}}), "'minItems' values other than"),
    (CLAUDE_SCHEMA, closed({"a": {"type": "object"}}), "additionalProperties"),
    (CLAUDE_SCHEMA, closed({"a": {"type": "array", "items": TEXT, "enum": [[]]}}), "primitive"),
    (CLAUDE_SCHEMA, closed({"a": {"$ref": "#/$defs/Node"}}, **{"$defs": NODE}), "refers to itself"),
    (CLAUDE_SCHEMA, {**closed({f"p{n}": TEXT for n in range(25)}), "required": []}, "optional parameters"),
    (CLAUDE_SCHEMA, closed({f"p{n}": {"type": ["string", "null"]} for n in range(17)}), "union types"),
    (GEMINI_SCHEMA, closed({"a": {"$ref": "#/$defs/Node"}}, **{"$defs": NODE}), "refers to itself"),
    (GEMINI_SCHEMA, closed({"a": {"type": "string", "const": "x"}}), "'const' is not permitted"),
    (COHERE_SCHEMA, {"type": "object", "properties": {"a": TEXT}}, "at least one required"),
    (GRAMMAR_SCHEMA, {"type": "string", "pattern": "a"}, "start with '^'"),
    (JSON_SCHEMA, [], "must be a JSON Schema object"),
    (JSON_SCHEMA, {"type": "text"}, "'text' is not valid"),
    (JSON_SCHEMA, {"type": "string", "enum": []}, "must not be empty"),
    (JSON_SCHEMA, {"properties": []}, "is not of type 'object'"),
    (JSON_SCHEMA, {"required": ["a", "a"]}, "once"),
]


@pytest.mark.parametrize(("checks", "schema"), ACCEPTED)
def test_a_valid_schema_is_accepted(checks: SchemaChecks, schema: dict[str, Any]) -> None:
    """The simulator would refuse what the provider accepts."""
    assert checks.problem(schema) is None


@pytest.mark.parametrize(("checks", "schema", "text"), REFUSED)
def test_an_invalid_schema_is_refused(checks: SchemaChecks, schema: Any, text: str) -> None:
    """A schema that the provider answers 400 to would pass the tests of an app."""
    problem = checks.problem(schema)
    assert problem is not None
    assert text in problem.text


def test_the_place_of_the_problem_is_named() -> None:
    """The one wrong field among a hundred would not be found."""
    schema = closed({"a": {"type": "array", "items": closed({"b": {**TEXT, "format": "uri"}})}})
    problem = OPENAI_STRICT.problem(schema)
    assert problem is not None
    assert problem.path == ("properties", "a", "items", "properties", "b")
