"""Tests of the mode in which a typed reply is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from anycompletion import UnsupportedParameterError
from anycompletion.providers import PROVIDERS
from anycompletion.structured.schemas import resolve_mode

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
        ("anthropic", "claude-haiku-4-5", "schema"),
        ("anthropic", "claude-opus-4-1-20250805", "tool"),
        ("anthropic", "claude-sonnet-4-20250514", "tool"),
        ("vertex-anthropic", "claude-sonnet-4@20250514", "tool"),
        ("vertex-anthropic", "claude-sonnet-4-5@20250929", "schema"),
        ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "schema"),
        ("bedrock", "amazon.nova-pro-v1:0", "tool"),
        ("groq", "openai/gpt-oss-120b", "schema"),
        ("groq", "llama-3.3-70b-versatile", "json"),
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


@pytest.mark.parametrize(
    ("provider", "model", "mode"),
    [("deepseek", "deepseek-chat", "schema"), ("anthropic", "claude-haiku-4-5", "json"), ("replicate", "m", "tool")],
)
def test_a_mode_that_the_provider_lacks_is_refused(provider: str, model: str, mode: Any) -> None:
    """The provider would be sent what it is known to refuse."""
    with pytest.raises(UnsupportedParameterError, match="mode: ") as caught:
        resolve_mode(PROVIDERS[provider], model, PLAIN, mode=mode)
    assert caught.value.param == "mode"
