"""Tests of single changes to schemas: how each part of a type's schema is sent to each kind of provider."""

from __future__ import annotations

from typing import Any

import pytest

from anycompletion.providers import PROVIDERS
from anycompletion.structured.schemas import schema_for

NULL = {"type": "null"}
TEXT = {"type": "string"}
PART: dict[str, Any] = {"Part": {"type": "object", "properties": {"a": TEXT}, "required": ["a"]}}

FIELDS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    # annotations that no model needs
    ("openai", {**TEXT, "title": "A", "default": "x", "examples": ["y"]}, TEXT),
    # one way to write what has several
    ("openai", {"oneOf": [TEXT, NULL], "discriminator": {"propertyName": "kind"}}, {"anyOf": [TEXT, NULL]}),
    ("openai", {"anyOf": [{"anyOf": [TEXT, NULL]}, TEXT]}, {"anyOf": [TEXT, NULL]}),
    ("openai", {"anyOf": [TEXT], "description": "a"}, {**TEXT, "description": "a"}),
    ("openai", {"enum": ["a", "b"]}, {"type": "string", "enum": ["a", "b"]}),
    (
        "openai",
        {"enum": ["a", 1, True, None]},
        {"type": ["string", "integer", "boolean", "null"], "enum": ["a", 1, True, None]},
    ),
    ("openai", {"const": 1.5}, {"type": "number", "const": 1.5}),
    ("openai", {"items": TEXT}, {"type": "array", "items": TEXT}),
    ("openai", {**TEXT, "format": "uuid4"}, {**TEXT, "format": "uuid"}),
    (
        "openai",
        {"allOf": [{"type": "integer", "minimum": 1}, {"minimum": 3, "maximum": 9}], "description": "a"},
        {"type": "integer", "minimum": 3, "maximum": 9, "description": "a"},
    ),
    (
        "openai",
        {"allOf": [{"$ref": "#/$defs/Part"}, {"properties": {"b": TEXT}, "required": ["b"]}]},
        {
            "type": "object",
            "properties": {"a": TEXT, "b": TEXT},
            "required": ["a", "b"],
            "additionalProperties": False,
        },
    ),
    # references stand alone
    ("openai", {"allOf": [{"$ref": "#/$defs/Part"}], "title": "A"}, {"$ref": "#/$defs/Part"}),
    (
        "openai",
        {"$ref": "#/$defs/Part", "description": "a", "default": None},
        {"anyOf": [{"$ref": "#/$defs/Part"}], "description": "a"},
    ),
    # keywords become words, where a provider lacks them
    ("openai", {**TEXT, "minLength": 1, "maxLength": 9}, {**TEXT, "minLength": 1, "maxLength": 9}),
    ("azure", {**TEXT, "minLength": 1, "maxLength": 9}, {**TEXT, "description": "minimum length 1, maximum length 9"}),
    ("openai", {**TEXT, "format": "uri", "description": "a"}, {**TEXT, "description": "a (format uri)"}),
    ("anthropic", {**TEXT, "format": "uri"}, {**TEXT, "format": "uri"}),
    ("openai", {**TEXT, "pattern": "^(?=a)a{1,2}"}, {**TEXT, "description": "pattern ^(?=a)a{1,2}"}),
    (
        "anthropic",
        {"description": "a", **TEXT, "pattern": "^a,b", "minLength": 1},
        {**TEXT, "description": "a (minimum length 1, pattern ^a,b)"},
    ),
    (
        "openai",
        {"type": "array", "items": TEXT, "uniqueItems": True},
        {"type": "array", "items": TEXT, "description": "no item twice"},
    ),
    (
        "anthropic",
        {"type": "integer", "minimum": 1, "maximum": 9},
        {"type": "integer", "description": "minimum 1, maximum 9"},
    ),
    (
        "anthropic",
        {"type": "array", "items": TEXT, "minItems": 3},
        {"type": "array", "items": TEXT, "minItems": 1, "description": "minimum number of items 3"},
    ),
    ("anthropic", {"type": "array", "items": TEXT, "minItems": 1}, {"type": "array", "items": TEXT, "minItems": 1}),
    (
        "anthropic",
        {"type": "array", "prefixItems": [TEXT, TEXT], "items": False},
        {"type": "array", "items": TEXT, "description": "exactly 2 items"},
    ),
    ("gemini", {"const": "a"}, {"type": "string", "enum": ["a"]}),
    (
        "gemini",
        {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 10, "maximum": 5},
        {"type": "integer", "minimum": 1, "maximum": 5},
    ),
    ("gemini", {"type": "number", "exclusiveMinimum": 0}, {"type": "number", "description": "greater than 0"}),
    ("llamacpp", {**TEXT, "pattern": "a", "minLength": 1}, {**TEXT, "minLength": 1, "description": "pattern a"}),
    ("openai", {**TEXT, "contentEncoding": "base64"}, {**TEXT, "description": "encoded as base64"}),
    # what no words are for is left out, and checked when the reply is read
    ("openai", {**TEXT, "not": {"const": "a"}}, TEXT),
    (
        "deepseek",
        {**TEXT, "not": {"const": "a"}, "pattern": "a"},
        {**TEXT, "not": {"type": "string", "const": "a"}, "pattern": "a"},
    ),
]
"""Provider, a property's schema, and how it is sent."""


@pytest.mark.parametrize(("provider", "field", "sent"), FIELDS)
def test_a_field_is_sent_as_the_provider_takes_it(provider: str, field: dict[str, Any], sent: dict[str, Any]) -> None:
    """The provider would refuse the schema, or the model not learn of a limit."""
    schema = {"type": "object", "properties": {"field": field}, "required": ["field"], "$defs": PART}
    mode: Any = "json" if provider == "deepseek" else "schema"
    assert schema_for(PROVIDERS[provider], "any", schema, mode=mode).schema["properties"]["field"] == sent


OPTIONAL: dict[str, Any] = {
    "type": "object",
    "properties": {"a": TEXT, "b": {"anyOf": [TEXT, NULL]}, "c": {"$ref": "#/$defs/Part", "description": "c"}},
    "$defs": PART,
}


def test_optional_fields_of_strict_schemas_may_be_null() -> None:
    """OpenAI refuses strict schemas with optional properties."""
    sent = schema_for(PROVIDERS["openai"], "gpt-5.4", OPTIONAL)
    assert sent.strict is True
    assert sent.schema["required"] == ["a", "b", "c"]
    assert sent.schema["properties"] == {
        "a": {"anyOf": [TEXT, NULL]},
        "b": {"anyOf": [TEXT, NULL]},
        "c": {"anyOf": [{"$ref": "#/$defs/Part"}, NULL], "description": "c"},
    }
    loose = schema_for(PROVIDERS["openai"], "gpt-5.4", OPTIONAL, strict=False)
    assert (loose.strict, loose.schema["required"], loose.schema["properties"]["a"]) == (False, [], TEXT)


def test_other_providers_keep_optional_fields() -> None:
    """A model would have to write what the type leaves out."""
    sent = schema_for(PROVIDERS["anthropic"], "claude-haiku-4-5", OPTIONAL).schema
    assert (sent["required"], sent["properties"]["a"]) == ([], TEXT)
    first = schema_for(PROVIDERS["cohere"], "command-a-03-2025", OPTIONAL).schema  # which needs one
    assert (first["required"], first["properties"]["a"]) == (["a"], {"anyOf": [TEXT, NULL]})


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ({"type": "object", "additionalProperties": TEXT}, "$.field takes any keys"),
        ({"type": "object", "properties": {}, "additionalProperties": True}, "$.field takes further keys"),
        ({}, "$.field takes any value"),
        ({"type": "array"}, "$.field[] takes any value"),
        ({"type": "array", "items": {"anyOf": [{}, NULL]}}, "$.field[] takes any value"),
        ({"type": "array", "prefixItems": [TEXT]}, "$.field is a tuple"),
        ({"type": "integer", "enum": list(range(1_001))}, "more than 1000 values of enums"),
        ({"type": "string", "enum": [f"{n:070}" for n in range(251)]}, "an enum with more than 15000 characters"),
        ({"type": "object", "properties": {f"p{n}": TEXT for n in range(5_001)}}, "more than 5000 properties"),
        ({"type": "object", "properties": {"p" * 120_001: TEXT}}, "more than 120000 characters of names and values"),
    ],
)
def test_a_schema_is_not_strict_where_it_would_mean_another_type(field: dict[str, Any], reason: str) -> None:
    """The provider would answer 400, or only give empty objects for a dict."""
    schema = {"type": "object", "properties": {"field": field}, "required": ["field"]}
    sent = schema_for(PROVIDERS["openai"], "gpt-5.4", schema)
    assert (sent.strict, sent.notes) == (False, (f"schema not strict: {reason}",))
    assert schema_for(PROVIDERS["openai"], "gpt-5.4", schema, strict=False).notes == ()
    assert schema_for(PROVIDERS["together"], "any", schema).notes == ()


def test_ten_levels_are_strict_and_eleven_are_not() -> None:
    """OpenAI would answer 400 to a type with many levels; one that refers to itself has one."""
    nested: dict[str, Any] = {"type": "object", "properties": {"a": TEXT}}
    for _ in range(9):
        nested = {"type": "object", "properties": {"a": nested}}
    assert schema_for(PROVIDERS["openai"], "gpt-5.4", nested).strict is True
    assert schema_for(PROVIDERS["openai"], "gpt-5.4", {"type": "object", "properties": {"a": nested}}).strict is False
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}
    assert schema_for(PROVIDERS["openai"], "gpt-5.4", {**node, "$defs": {"Node": node}}).strict is True


def test_gemini_cannot_require_what_leads_to_a_cycle() -> None:
    """Gemini answers 400 to a cycle of required properties; the description asks for them instead."""
    node = {
        "type": "object",
        "properties": {
            "name": TEXT,
            "next": {"$ref": "#/$defs/Node"},
            "all": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
        },
        "required": ["name", "next", "all"],
    }
    schema = {
        "type": "object",
        "properties": {"root": {"$ref": "#/$defs/Node"}},
        "required": ["root"],
        "$defs": {"Node": node},
    }
    sent = schema_for(PROVIDERS["gemini"], "gemini-3-flash", schema).schema
    assert (sent["required"], sent["$defs"]["Node"]["required"]) == (["root"], ["name"])
    properties = sent["$defs"]["Node"]["properties"]
    assert properties["next"] == {"anyOf": [{"$ref": "#/$defs/Node"}], "description": "always present"}
    assert properties["all"]["description"] == "always present"


def test_dropped_keywords_are_listed_with_their_place() -> None:
    """A tool could not show what a provider's schema leaves to the check of the reply."""
    schema = {"type": "object", "properties": {"a": {"type": "array", "items": {**TEXT, "minLength": 1, "not": NULL}}}}
    assert schema_for(PROVIDERS["anthropic"], "claude-haiku-4-5", schema).dropped == ("$.a[]: minLength", "$.a[]: not")
    assert schema_for(PROVIDERS["anthropic"], "claude-haiku-4-5", schema, mode="tool").dropped == ()


def test_definitions_that_nothing_uses_are_left_out() -> None:
    """Each call would be paid for what is not in the type."""
    schema = {"type": "object", "properties": {"a": TEXT}, "$defs": PART}
    assert "$defs" not in schema_for(PROVIDERS["openai"], "gpt-5.4", schema).schema


def test_a_root_that_is_a_reference_is_sent_as_an_object() -> None:
    """OpenAI refuses a root without a type."""
    node = {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#/$defs/Node"}, NULL]}}, "required": ["next"]}
    sent = schema_for(PROVIDERS["openai"], "gpt-5.4", {"$ref": "#/$defs/Node", "$defs": {"Node": node}}).schema
    assert (sent["type"], sent["required"], list(sent["$defs"])) == ("object", ["next"], ["Node"])


def test_objects_that_are_joined_stay_closed() -> None:
    """A part that forbids other keys would allow them, and the schema not be strict."""
    parts = [{"properties": {"a": TEXT}, "additionalProperties": False}, {"additionalProperties": True}]
    schema = {"type": "object", "properties": {"field": {"type": "object", "allOf": parts}}}
    assert schema_for(PROVIDERS["openai"], "gpt-5.4", schema).strict is True


def test_a_definition_that_joins_itself_ends() -> None:
    """A call with such a type would never be sent."""
    again = {"allOf": [{"$ref": "#/$defs/Node"}, {"required": ["a"]}]}
    node = {"type": "object", "properties": {"a": TEXT, "next": again}}
    schema = {"type": "object", "properties": {"root": again}, "required": ["root"], "$defs": {"Node": node}}
    sent = schema_for(PROVIDERS["vllm"], "any", schema).schema
    assert sent["properties"]["root"]["properties"]["next"] == {"anyOf": [{"$ref": "#/$defs/Node"}, NULL]}


def test_the_types_of_a_tuple_are_one_union() -> None:
    """A union in a union would be another schema when it is prepared again."""
    members = [TEXT, {"anyOf": [TEXT, NULL]}, {"type": "integer"}]
    schema = {"type": "object", "properties": {"a": {"type": "array", "prefixItems": members}}}
    sent = schema_for(PROVIDERS["anthropic"], "claude-haiku-4-5", schema).schema
    assert sent["properties"]["a"]["items"] == {"anyOf": [TEXT, NULL, {"type": "integer"}]}


def test_references_stay_where_a_schema_without_them_would_be_huge() -> None:
    """A type of thirty classes would be a tool of a billion properties."""
    nexts = [{"$ref": f"#/$defs/P{n + 1}"} for n in range(30)]
    parts = {f"P{n}": {"type": "object", "properties": {"a": each, "b": each}} for n, each in enumerate(nexts)}
    schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/P0"}}, "$defs": {**parts, "P30": TEXT}}
    assert len(schema_for(PROVIDERS["groq"], "any", schema, mode="tool").schema["$defs"]) == 31


def test_strict_tools_keep_references() -> None:
    """OpenAI's tools would be larger than they need to be."""
    schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/Part"}}, "required": ["a"], "$defs": PART}
    assert "$defs" in schema_for(PROVIDERS["openai"], "gpt-5.4", schema, mode="tool").schema


def test_a_long_limit_is_not_put_into_words() -> None:
    """A pattern of a page would be part of the prompt of each call."""
    schema = {"type": "object", "properties": {"a": {**TEXT, "pattern": "^(" + "a|" * 200 + "b)$"}}}
    assert schema_for(PROVIDERS["anthropic"], "claude-haiku-4-5", schema).schema["properties"]["a"] == TEXT
