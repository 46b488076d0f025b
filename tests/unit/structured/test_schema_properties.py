"""Properties of the schemas that providers are sent, over random schemas of types and all targets."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings

from anycompletion import UnsupportedParameterError
from anycompletion.providers import PROVIDERS
from anycompletion.providers.structured_support import STRUCTURED_MODES
from anycompletion.structured.schemas import PreparedSchema, resolve_mode, schema_for
from anycompletion.structured.types import compile_type
from anycompletion.testing.formats.schema_checks import (
    CLAUDE_SCHEMA,
    COHERE_SCHEMA,
    GEMINI_SCHEMA,
    GRAMMAR_SCHEMA,
    JSON_SCHEMA,
    OPENAI_STRICT,
    SchemaChecks,
)
from anycompletion.testing.formats.schema_sample import sample
from support.neutral_schemas import SCHEMAS, Schema
from support.random_types import typed_values

TARGETS: list[tuple[str, str, SchemaChecks]] = [
    ("openai", "gpt-5.4", OPENAI_STRICT),
    ("openai", "responses/gpt-5.4", OPENAI_STRICT),
    ("azure", "gpt-5.4", OPENAI_STRICT),
    ("anthropic", "claude-haiku-4-5", CLAUDE_SCHEMA),
    ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", CLAUDE_SCHEMA),
    ("gemini", "gemini-3-flash", GEMINI_SCHEMA),
    ("cohere", "command-a-03-2025", COHERE_SCHEMA),
    ("ollama", "qwen3", GRAMMAR_SCHEMA),
    ("vllm", "qwen3", JSON_SCHEMA),
    ("deepseek", "deepseek-chat", JSON_SCHEMA),
    ("replicate", "meta/llama", JSON_SCHEMA),
]

few = settings(
    max_examples=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def prepared(schema: Schema, provider: str, model: str) -> PreparedSchema:
    """The schema that is sent in the mode that suits it."""
    row = PROVIDERS[provider]
    return schema_for(row, model, schema, mode=resolve_mode(row, model, schema))


@few
@given(SCHEMAS)
def test_the_provider_accepts_the_schema(schema: Schema) -> None:
    """A type would be answered with a 400, or with a schema that is none."""
    checked: list[Schema] = []
    for provider, model, checks in TARGETS:
        row = PROVIDERS[provider]
        mode = resolve_mode(row, model, schema)
        sent = schema_for(row, model, schema, mode=mode)
        if sent.schema not in checked:
            jsonschema.Draft202012Validator.check_schema(sent.schema)
            checked.append(sent.schema)
        is_enforced = mode == "schema" and (checks is not OPENAI_STRICT or sent.strict)
        problem = (checks if is_enforced else JSON_SCHEMA).problem(sent.schema)
        assert problem is None, (provider, problem, sent.schema)


@few
@given(SCHEMAS)
def test_a_prepared_schema_stays_as_it_is(schema: Schema) -> None:
    """A schema of a journal or cache would change when it is sent again, and the caller's own would change."""
    before = copy.deepcopy(schema)
    for provider, model, _ in TARGETS:
        row = PROVIDERS[provider]
        for mode in STRUCTURED_MODES:
            once = schema_for(row, model, schema, mode=mode)
            again = schema_for(row, model, once.schema, mode=mode)
            assert (again.schema, again.strict) == (once.schema, once.strict), (provider, mode)
            assert json.dumps(again.schema) == json.dumps(once.schema)  # the order of properties as well
    assert schema == before


def with_nulls(value: Any, schema: Any, root: Schema) -> Any:
    """The value with null for each property that the schema requires and the value has not."""
    node = schema if isinstance(schema, dict) else {}
    if "$ref" in node:
        name = node["$ref"].removeprefix("#/$defs/").replace("~1", "/").replace("~0", "~")
        return with_nulls(value, root["$defs"][name], root)
    for option in node.get("anyOf", ()):
        filled = with_nulls(value, option, root)
        if jsonschema.Draft202012Validator({**option, "$defs": root.get("$defs", {})}).is_valid(filled):
            return filled
    if isinstance(value, list):
        return [with_nulls(each, node.get("items"), root) for each in value]
    if not isinstance(value, dict):
        return value
    properties = node.get("properties", {})
    filled = {name: with_nulls(each, properties.get(name), root) for name, each in value.items()}
    return {**dict.fromkeys(node.get("required", ())), **filled} if "properties" in node else filled


@few
@given(SCHEMAS)
def test_values_of_the_type_fit_what_is_sent(schema: Schema) -> None:
    """A provider would be kept from giving a value that the type has."""
    value = sample(schema)
    if not jsonschema.Draft202012Validator(schema).is_valid(value):
        return  # no finite value fits, or none that the simulator finds
    for provider, model, _ in TARGETS:
        sent = prepared(schema, provider, model).schema
        filled = with_nulls(value, sent, sent)
        jsonschema.Draft202012Validator(sent).validate(filled)


@few
@given(typed_values())
def test_types_are_sent_and_answered(case: tuple[Any, Any]) -> None:
    """A value of a type would not fit the schema that is sent for it, or the simulator's reply not the type."""
    into, value = case
    plan = compile_type(into)
    encoded = json.loads(plan.encode(value))
    for provider, model, checks in TARGETS:
        row = PROVIDERS[provider]
        mode = resolve_mode(row, model, plan.schema)
        sent = schema_for(row, model, plan.schema, mode=mode)
        is_enforced = mode == "schema" and (checks is not OPENAI_STRICT or sent.strict)
        assert (checks if is_enforced else JSON_SCHEMA).problem(sent.schema) is None
        filled = with_nulls(encoded, sent.schema, sent.schema)
        jsonschema.Draft202012Validator(sent.schema).validate(filled)
        plan.decode(json.dumps(filled).encode())
        plan.decode(json.dumps(sample(sent.schema)).encode())


@pytest.mark.parametrize(("provider", "model", "checks"), TARGETS)
def test_the_simulator_answers_with_a_value_that_fits(provider: str, model: str, checks: SchemaChecks) -> None:
    """Limits that a provider's schemas cannot have would not reach the model, nor the simulator."""
    schema: Schema = {
        "type": "object",
        "properties": {
            "code": {"type": "string", "pattern": "^[A-Z]{2}$", "minLength": 2},
            "size": {"type": "integer", "minimum": 5, "exclusiveMaximum": 7},
            "parts": {"type": "array", "items": {"type": "number", "exclusiveMinimum": 2}, "minItems": 2},
            "data": {"type": "string", "contentEncoding": "base64"},
        },
        "required": ["code", "size", "parts", "data"],
    }
    value = sample(prepared(schema, provider, model).schema)
    jsonschema.Draft202012Validator(schema).validate(value)
    assert value["code"] == "AA"
    assert len(value["parts"]) == 2


def test_a_strict_schema_is_refused_where_it_cannot_be() -> None:
    """`strict=True` would be dropped silently."""
    open_schema: Schema = {"type": "object", "properties": {"a": {}}}
    with pytest.raises(UnsupportedParameterError, match=r"strict: .*\$\.a takes any value"):
        resolve_mode(PROVIDERS["openai"], "gpt-5.4", open_schema, strict=True)
    with pytest.raises(UnsupportedParameterError, match="strict: anthropic takes no strict schema"):
        resolve_mode(PROVIDERS["anthropic"], "claude-haiku-4-5", open_schema, strict=True)
