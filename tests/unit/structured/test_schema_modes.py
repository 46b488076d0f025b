"""Tests of the mode in which a typed reply is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from anycompletion import ConfigurationError, InvalidRequestError, Provider, UnsupportedParameterError
from anycompletion.providers import PROVIDERS
from anycompletion.structured import StructuredSupport
from anycompletion.structured.schemas import forces_tool, resolve_mode, schema_for

PLAIN: dict[str, Any] = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
MIXED: dict[str, Any] = {
    "type": "object",
    "properties": {"pair": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]}},
}
OPEN: dict[str, Any] = {"type": "object", "additionalProperties": {"type": "integer"}}


@pytest.mark.parametrize(
    ("provider", "model", "mode"),
    [
        ("openai", "gpt-5.4", "schema"),
        ("openai", "gpt-4o", "schema"),
        ("openai", "gpt-4.1-mini", "schema"),
        ("openai", "ft:gpt-4o-mini-2024-07-18:acme", "schema"),
        ("openai", "gpt-4-turbo", "tool"),
        ("openai", "ft:gpt-3.5-turbo:acme", "tool"),
        ("openai", "gpt-4o-2024-05-13", "tool"),
        ("openai", "responses/gpt-4-turbo", "tool"),
        ("openai", "responses/gpt-5.4", "schema"),
        ("anthropic", "claude-haiku-4-5", "schema"),
        ("anthropic", "claude-opus-4-1-20250805", "tool"),
        ("anthropic", "claude-sonnet-4-20250514", "tool"),
        ("vertex-anthropic", "claude-sonnet-4@20250514", "tool"),
        ("vertex-anthropic", "claude-sonnet-4-5@20250929", "schema"),
        ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "schema"),
        ("bedrock", "amazon.nova-pro-v1:0", "tool"),
        ("groq", "openai/gpt-oss-120b", "schema"),
        ("groq", "llama-3.3-70b-versatile", "json"),
        ("groq", "responses/llama-3.3-70b-versatile", "json"),
        ("deepseek", "deepseek-chat", "json"),
        ("deepseek", "responses/deepseek-chat", "schema"),
        ("replicate", "meta/llama", "prompt"),
        ("snowflake", "claude-3-7-sonnet", "schema"),
        ("snowflake", "llama3.1-70b", "prompt"),
    ],
)
def test_the_mode_is_that_of_the_model(provider: str, model: str, mode: str) -> None:
    """A model would be asked in a mode that it does not have, or in a weaker one than it has."""
    assert resolve_mode(PROVIDERS[provider], model, PLAIN) == mode


@pytest.mark.parametrize(("provider", "mode"), [("anthropic", "tool"), ("cohere", "json"), ("openai", "schema")])
def test_a_schema_that_the_format_lacks_changes_the_mode(provider: str, mode: str) -> None:
    """An object with any keys would come back empty, and the items of a tuple in any order."""
    assert resolve_mode(PROVIDERS[provider], "claude-haiku-4-5", OPEN) == mode
    assert resolve_mode(PROVIDERS[provider], "claude-haiku-4-5", MIXED) == mode


RECURSIVE: dict[str, Any] = {
    "type": "object",
    "properties": {"root": {"$ref": "#/$defs/Node"}},
    "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}},
}


@pytest.mark.parametrize(
    ("schema", "mode"),
    [
        (RECURSIVE, "tool"),
        ({"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(24)}}, "schema"),
        ({"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(25)}}, "tool"),
        ({"type": "object", "properties": {f"p{n}": {"type": ["string", "null"]} for n in range(16)}}, "schema"),
        ({"type": "object", "properties": {f"p{n}": {"type": ["string", "null"]} for n in range(17)}}, "tool"),
    ],
)
def test_limits_of_anthropic_change_the_mode(schema: dict[str, Any], mode: str) -> None:
    """Anthropic would answer 400 to a type that refers to itself, or has many optional fields or unions."""
    assert resolve_mode(PROVIDERS["anthropic"], "claude-haiku-4-5", schema) == mode
    if mode == "tool":
        with pytest.raises(UnsupportedParameterError, match=r"mode: .*use mode='tool'"):
            resolve_mode(PROVIDERS["anthropic"], "claude-haiku-4-5", schema, mode="schema")


@pytest.mark.parametrize(
    ("provider", "model", "mode"),
    [("deepseek", "deepseek-chat", "schema"), ("anthropic", "claude-haiku-4-5", "json"), ("replicate", "m", "tool")],
)
def test_a_mode_that_the_provider_lacks_is_refused(provider: str, model: str, mode: Any) -> None:
    """The provider would be sent what it is known to refuse."""
    with pytest.raises(UnsupportedParameterError, match="mode: ") as caught:
        resolve_mode(PROVIDERS[provider], model, PLAIN, mode=mode)
    assert caught.value.param == "mode"


def test_a_type_with_too_many_levels_is_refused() -> None:
    """A type without end would end the call with an error about Python's stack."""
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(2_000):
        deep = {"type": "object", "properties": {"inner": deep}, "required": ["inner"]}
    with pytest.raises(InvalidRequestError, match="too many levels") as caught:
        schema_for(PROVIDERS["openai"], "gpt-5.4", deep)
    assert caught.value.param == "into"


@pytest.mark.parametrize(
    ("provider", "model", "params", "forced"),
    [
        ("openai", "gpt-5.4", {"reasoning_effort": "high"}, True),
        ("anthropic", "claude-3-7-sonnet", {}, True),
        ("anthropic", "claude-3-7-sonnet", {"reasoning_effort": "none"}, True),
        ("anthropic", "claude-3-7-sonnet", {"reasoning_effort": "low"}, False),
        ("anthropic", "claude-3-7-sonnet", {"thinking": {"type": "enabled", "budget_tokens": 1024}}, False),
        ("bedrock", "us.anthropic.claude-3-7-sonnet", {"thinking": {"type": "disabled"}}, True),
        ("ollama", "qwen3", {}, False),
    ],
)
def test_a_tool_is_demanded_where_it_can_be(provider: str, model: str, params: dict[str, Any], forced: bool) -> None:
    """A call that thinks would be answered with a 400, and a tool that could be demanded only be offered."""
    assert forces_tool(PROVIDERS[provider], model, params) is forced


@pytest.mark.parametrize(
    ("provider", "model", "mode", "strict"),
    [
        ("openai", "gpt-5.4", "schema", True),
        ("openai", "gpt-5.4", "tool", True),
        ("mistral", "mistral-large-latest", "schema", True),
        ("mistral", "mistral-large-latest", "tool", None),
        ("groq", "openai/gpt-oss-120b", "schema", True),
        ("groq", "meta-llama/llama-4-scout-17b-16e-instruct", "schema", None),
        ("vllm", "qwen3", "schema", None),
        ("anthropic", "claude-haiku-4-5", "schema", None),
        ("openai", "gpt-5.4", "json", None),
    ],
)
def test_strict_is_sent_where_it_is_known(provider: str, model: str, mode: Any, strict: bool | None) -> None:
    """A provider would refuse a member that it does not know, or not enforce a schema that it could."""
    assert schema_for(PROVIDERS[provider], model, PLAIN, mode=mode).strict is strict
    asked = schema_for(PROVIDERS[provider], model, PLAIN, mode=mode, strict=False).strict
    assert asked is (None if strict is None else False)


def test_tools_of_open_models_have_no_references() -> None:
    """A model whose prompt shows tools without their definitions would not see the type of a field."""
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"first": {"$ref": "#/$defs/Part"}, "tree": {"$ref": "#/$defs/Tree", "description": "all of it"}},
        "required": ["first", "tree"],
        "$defs": {"Part": PLAIN, "Tree": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Tree"}}}},
    }
    sent = schema_for(PROVIDERS["groq"], "openai/gpt-oss-120b", schema, mode="tool").schema
    assert sent["properties"]["first"]["properties"] == PLAIN["properties"]
    assert list(sent["$defs"]) == ["Tree"]  # which has no end without a reference
    assert "Part" in schema_for(PROVIDERS["anthropic"], "claude-3-7-sonnet", schema, mode="tool").schema["$defs"]


@pytest.mark.parametrize("value", ["sometimes", "auto", 1, None])
def test_an_unknown_mode_of_a_row_is_refused(value: Any) -> None:
    """A misspelled mode would count as another one at the first typed reply."""
    with pytest.raises(ConfigurationError, match="structured: expected"):
        Provider("acme", "https://api.acme.example/v1", structured=value)


def test_a_row_takes_a_mode_or_a_support() -> None:
    """The documented form of a row would be refused."""
    short = Provider("acme", "https://api.acme.example/v1", structured="schema")
    assert short.structured == StructuredSupport("schema")
    assert resolve_mode(short, "any", PLAIN) == "schema"
    assert resolve_mode(Provider("acme", "https://api.acme.example/v1"), "any", PLAIN) == "prompt"
    by_model = StructuredSupport("schema", models={"tiny-": "json"})
    row = Provider("acme", "https://api.acme.example/v1", structured=by_model)
    assert [resolve_mode(row, model, PLAIN) for model in ("large-1", "tiny-1")] == ["schema", "json"]
