"""Rows of vendors with formats of their own: Anthropic, Cohere and Replicate."""

from __future__ import annotations

from ...auth import header_key
from ..provider import Provider
from .shared_parts import CLAUDE, SCHEMA

ROWS: tuple[Provider, ...] = (
    Provider(
        "anthropic",
        "https://api.anthropic.com",
        "anthropic_messages",
        key_env=("ANTHROPIC_API_KEY",),
        base_url_env=("ANTHROPIC_BASE_URL", "ANTHROPIC_API_BASE"),
        token_env=("ANTHROPIC_AUTH_TOKEN",),
        auth=header_key("x-api-key"),
        request_id_header="request-id",
        prefixes=("claude-",),
        structured=CLAUDE,
        docs="https://docs.anthropic.com/en/api/messages",
    ),
    Provider(
        "cohere",
        "https://api.cohere.com",
        "cohere_chat",
        key_env=("CO_API_KEY", "COHERE_API_KEY"),
        base_url_env=("CO_API_URL",),
        request_id_header="x-debug-trace-id",
        prefixes=("command",),
        structured=SCHEMA,
        docs="https://docs.cohere.com/reference/chat",
        unverified="which keywords of JSON Schema its schemas of replies take",
    ),
    Provider(
        "replicate",
        "https://api.replicate.com",
        "replicate_predictions",
        key_env=("REPLICATE_API_TOKEN", "REPLICATE_API_KEY"),
        base_url_env=("REPLICATE_BASE_URL",),
        rate_limit_scope="key",
        retry_safe=False,
        docs="https://replicate.com/docs/reference/http",
    ),
)
