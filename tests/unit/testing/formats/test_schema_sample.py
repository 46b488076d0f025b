"""Tests of values for JSON Schemas: they fit, are deterministic, and no schema raises."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anycompletion.testing.formats.schema_sample import sample

NODE: dict[str, Any] = {
    "$defs": {
        "Node": {
            "type": "object",
            "properties": {"next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}},
            "required": ["next"],
        }
    },
    "$ref": "#/$defs/Node",
}

CASES: list[tuple[Any, Any]] = [
    ({"type": "string"}, "some value"),
    ({"type": "string", "minLength": 12, "maxLength": 12}, "some value.."),
    ({"type": "string", "maxLength": 4}, "some"),
    ({"type": "string", "format": "date"}, "2024-01-31"),
    ({"type": ["null", "integer"]}, 1),
    ({"type": "integer", "minimum": 5}, 5),
    ({"type": "integer", "exclusiveMinimum": 5}, 6),
    ({"type": "integer", "maximum": -3}, -3),
    ({"type": "number", "exclusiveMaximum": 1}, 0),
    ({"type": "integer", "minimum": 7, "multipleOf": 5}, 10),
    ({"type": "boolean"}, True),
    ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
    ({"type": "number", "minimum": 0.5, "maximum": 0.7, "multipleOf": 0.2}, 0.6000000000000001),
    ({"type": "string", "pattern": "^[A-Z]{3}-\\d+(a|b)?$"}, "AAA-0"),
    ({"type": "string", "pattern": "some"}, "some"),
    ({"type": "string", "pattern": "^(?!x)(?P<key>[A-Z]{2})$"}, "AA"),
    ({"type": "string", "pattern": "^(?=x)y"}, "some value"),
    ({"type": "string", "contentEncoding": "base64"}, "c29tZSBieXRlcw=="),
    ({"type": "string", "description": "a place (minimum length 12, format any)"}, "some value.."),
    ({"type": "string", "description": "pattern ^[(]x$"}, "(x"),
    ({"type": "string", "description": "the key (minimum length 1, pattern ^(a|b)$)"}, "a"),
    ({"type": "integer", "description": "minimum 5, maximum 9"}, 5),
    ({"anyOf": [{"type": "number"}, {"type": "null"}], "description": "greater than 2.5"}, 3),
    ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "boolean"}], "items": False}, [1, True]),
    ({"type": "null"}, None),
    ({"enum": ["b", "a"]}, "b"),
    ({"const": 42}, 42),
    ({"type": "array", "items": {"type": "integer"}}, [1]),
    ({"type": "array", "items": {"enum": [0]}, "minItems": 3}, [0, 0, 0]),
    ({"type": "array", "maxItems": 0}, []),
    ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, True),
    ({"type": "object", "properties": {"a": {"type": "string"}, "b": {}}, "required": ["a"]}, {"a": "some a"}),
    ({"properties": {"a": {"type": "string"}}}, {"a": "some a"}),
    ({"type": "object", "required": ["x"]}, {"x": "some x"}),
    ({"type": "object"}, {}),
    ({"allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}}]}, {"a": 1, "b": 2}),
    ({"$ref": "https://example.com/other"}, "some value"),
    (None, "some value"),
    (True, "some value"),
]


@pytest.mark.parametrize(("schema", "value"), CASES, ids=lambda value: json.dumps(value)[:60])
def test_the_value_fits(schema: Any, value: Any) -> None:
    """Tool calls and structured replies would not fit their schema."""
    assert sample(schema) == value


def test_a_recursive_schema_ends() -> None:
    """A linked list would never end, and a tree with two branches would fill the memory."""
    assert sample(NODE) == {"next": None}
    option = {"anyOf": [{"$ref": "#/$defs/Tree"}, {"type": "null"}]}
    tree = {"type": "object", "properties": {"left": option, "right": option}, "required": ["left", "right"]}
    items = {"type": "object", "properties": {"all": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}}}
    assert sample({"$ref": "#/$defs/Tree", "$defs": {"Tree": tree}}) == {"left": None, "right": None}
    assert sample({"$ref": "#/$defs/Tree", "$defs": {"Tree": items}}) == {"all": []}


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
        {"properties": {"self": {"$ref": "#"}}, "required": ["self"]},
        {"type": "array", "items": {"$ref": "#"}, "minItems": 1},
    ],
)
def test_a_schema_without_finite_values_ends(schema: Any) -> None:
    """A schema that only infinite values fit would hang the simulator."""
    json.dumps(sample(schema))


WORDS = [
    *("type", "enum", "const", "$ref", "anyOf", "allOf", "required", "properties", "items", "minItems", "maxItems"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "format", "a"),
]
LEAVES = st.none() | st.booleans() | st.integers(-9, 10**9) | st.sampled_from(["object", "array", "integer", "#", "a"])
SCHEMAS = st.recursive(
    LEAVES | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(SCHEMAS)
def test_no_schema_raises(schema: Any) -> None:
    """A client's mistake would crash the simulator."""
    json.dumps(sample(schema))
