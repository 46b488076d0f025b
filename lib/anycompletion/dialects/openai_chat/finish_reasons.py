"""Finish reasons of compatible servers as OpenAI's words; the server's own word is kept. No I/O.

Reasons of failed generations are errors; see `dialects/error_body.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...records import Choice
    from ...records.chunks import ChunkChoice

OPENAI_REASONS = frozenset(("stop", "length", "tool_calls", "content_filter", "function_call"))
"""OpenAI's own words."""

FINISH_REASONS: Mapping[str, str] = {
    # Engines of open models
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "model_length": "length",
    # Z.ai
    "sensitive": "content_filter",
    # Claude's and Gemini's own words, which gateways in front of them pass on
    "end_turn": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
}
"""A server's finish reason → OpenAI's. Words that are in neither stay as they are."""

NO_REASONS = frozenset(("", "null", "none", "None"))
"""Words for none, which some servers send with every chunk before the last."""


def normalize_finish_reason(choice: Choice | ChunkChoice, table: Mapping[str, str]) -> None:
    """Replaces a finish reason of the table, and keeps the server's own in `native_finish_reason`.

    An empty reason is none (Snowflake). Gemini adds the details after a colon: ``content_filter: PROHIBITED_CONTENT``.
    """
    reason = choice.finish_reason
    if reason is None or reason in NO_REASONS:
        choice.finish_reason = None
        return
    word = reason.partition(":")[0] if reason.startswith("content_filter:") else table.get(reason, reason)
    if word != reason:
        choice.finish_reason = word
        if choice.native_finish_reason is None:
            choice.native_finish_reason = reason
