"""Row of OpenAI's own API."""

from __future__ import annotations

from collections.abc import Mapping

from ...dialects.openai_chat.quirks import Quirks
from ..provider import Provider, ProviderVariant
from ..structured_support import StructuredMode, StructuredSupport
from .shared_parts import ALL_MODELS, ASK_RESPONSES, AT_MOST_40

_OLD_OPENAI: Mapping[str, StructuredMode] = {
    **dict.fromkeys(("gpt-3.5", "gpt-4", "gpt-4o-2024-05-13", "gpt-4o-audio", "gpt-audio"), "tool"),
    **dict.fromkeys(("gpt-4o", "gpt-4.1", "gpt-4.5"), "schema"),
}
"""OpenAI's models before gpt-4o-2024-08-06 and those that speak have no schemas for replies; others have."""

_OPENAI = StructuredSupport(
    "schema",
    strict=True,
    strict_tools=True,
    models=_OLD_OPENAI,
    keywords={"minLength": True, "maxLength": True},
    schema_with_tools=ALL_MODELS,
)

_ONLY_RESPONSES = (
    *("o1-pro", "o3-pro", "o3-deep-research", "o4-mini-deep-research", "computer-use-preview"),
    *("gpt-5-codex", "gpt-5.1-codex", "gpt-5.2-codex", "gpt-5.3-codex"),
    *("gpt-5-pro", "gpt-5.2-pro", "gpt-5.4-pro", "gpt-5.5-pro"),
    *("gpt-daybreak", "gpt-rosalind", "gpt-*-cyber", "gpt-*-rosalind", "gpt-*-law"),
)
"""OpenAI's models that have no chat endpoint."""

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
        quirks=Quirks(call_ids=AT_MOST_40),
        prefixes=("gpt-", "chatgpt-", "o1", "o3", "o4", "ft:gpt-"),
        variants={
            "responses": ProviderVariant(
                "openai_responses", only_models=_ONLY_RESPONSES, error_phrases=ASK_RESPONSES, structured=_OPENAI
            )
        },
        structured=_OPENAI,
        docs="https://platform.openai.com/docs/api-reference/chat",
    ),
)
