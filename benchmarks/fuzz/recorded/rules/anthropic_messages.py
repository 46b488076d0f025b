"""Anthropic's messages."""

from __future__ import annotations

from .. import changes
from ..rule_types import MESSAGE, NATIVE, Derived, DialectRules, Rule

_READ = "text|tool_use|thinking|redacted_thinking"
"""Types of blocks that OpenAI's fields express; all others are kept as they are."""

_ANTHROPIC = (
    Rule(r"content", "part", changes.as_objects),
    Rule(r"content\[[^\]]*\]", "part", changes.as_object),
    Rule(r"content\[text\]\.text", "part", changes.as_text),
    Rule(r"content\[tool_use\]\.name", "part", changes.as_text),
    Rule(r"content\[tool_use\]\.input", "part", changes.as_object),
    Rule(rf"content\[({_READ})\]\.type", "identity", changes.as_word, "names the block"),
    Rule(r"stop_reason|message_delta/delta\.stop_reason", "part", changes.as_word),
    Rule(r"(\w+/|message_start/message<message>\.)?usage", "part", changes.as_optional_object),
    Rule(r"(\w+/)?error", "error"),
    Rule(
        r"content_block_\w+/type|message_delta/type",
        "identity",
        changes.as_word,
        "names the event, as its line `event:` does",
    ),
    Rule(r"type", "identity", changes.as_word, "an error has the type `error`"),
    Rule(r"content_block_\w+/index", "identity", changes.as_count, "names the block that a piece belongs to"),
    Rule(r"content_block_start/content_block", "part", changes.as_object),
    Rule(r"content_block_start/content_block<text>\.text", "part", changes.as_text),
    Rule(r"content_block_start/content_block<tool_use>\.name", "part", changes.as_text),
    Rule(r"content_block_start/content_block<tool_use>\.input", "part", changes.as_object),
    Rule(rf"content_block_start/content_block<({_READ})>\.type", "identity", changes.as_word, "names the block"),
    Rule(r"content_block_delta/delta", "part", changes.as_object),
    Rule(r"content_block_delta/delta<text_delta>\.text", "part", changes.as_text),
    Rule(r"content_block_delta/delta<input_json_delta>\.partial_json", "part", changes.as_text),
    Rule(r"content_block_delta/delta<[^>]*>\.type", "identity", changes.as_word, "names the field of the piece"),
    Rule(r"message_delta/delta", "part", changes.as_object),
)

_THINKING = (f"{MESSAGE}.reasoning_content", f"{MESSAGE}.thinking_blocks", NATIVE)

RULES = DialectRules(
    apis=("messages",),
    changes=2_000,
    rules=_ANTHROPIC,
    opaque=r"(.*[./])?input",
    derived=(
        Derived(
            r"message_start/(message|type|message<message>\.content.*)",
            ("id", "model", "usage", "service_tier", "value", NATIVE),
            "the first event has the id, the model and the prompt's counts; unknown fields of the message are kept",
        ),
        Derived(r"(.*[./])?usage\..*", ("usage", "service_tier"), "prompt tokens are the sum of three counts"),
        Derived(r"content\[thinking\].*|.*content_block<thinking>.*", _THINKING, "the message's reasoning"),
        Derived(r".*delta<(thinking|signature)_delta>.*", _THINKING, "pieces of the message's reasoning"),
        Derived(
            r"(.*[./])?(content\[text\]|content_block<text>|delta<citations_delta>)\.citations?.*",
            (f"{MESSAGE}.annotations", NATIVE),
            "citations become annotations, and stay native where these do not express them",
        ),
        Derived(
            r"content\[[^\]]*\]\..*|content_block_start/content_block<[^>]*>\..*|content_block_delta/delta<[^>]*>\..*",
            (NATIVE,),
            "the native blocks are kept where OpenAI's fields do not express them",
        ),
        Derived(
            r"content\[tool_use\]\.id|.*content_block<tool_use>\.id", (f"{MESSAGE}.tool_calls.id", NATIVE), "its id"
        ),
        Derived(
            r"(.*[./])?stop_details(<[^>]*>)?(\..*)?",
            (f"{MESSAGE}.refusal", "choices.stop_details"),
            "the explanation of a refusal",
        ),
    ),
)
