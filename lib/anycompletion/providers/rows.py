"""The built-in rows, as data: one provider each, and no code."""

from __future__ import annotations

from ..auth import header_key
from .row import Provider

ROWS: tuple[Provider, ...] = (
    Provider(
        "openai",
        "https://api.openai.com/v1",
        key_env=("OPENAI_API_KEY",),
        base_url_env=("OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_API_URL"),
        headers_env={
            "OpenAI-Organization": ("OPENAI_ORG_ID", "OPENAI_ORGANIZATION", "OPENAI_ORGANIZATION_KEY"),
            "OpenAI-Project": ("OPENAI_PROJECT_ID",),
        },
        prefixes=("gpt-", "chatgpt-", "o1", "o3", "o4", "ft:gpt-"),
        docs="https://platform.openai.com/docs/api-reference/chat",
    ),
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
        docs="https://docs.anthropic.com/en/api/messages",
    ),
)
