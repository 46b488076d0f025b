"""Cohere's chat, version 2."""

from __future__ import annotations

from .. import changes
from ..rule_types import MESSAGE, NATIVE, Derived, DialectRules, Rule

_PIECE = r"(content|tool-call|tool-plan|citation)-\w+/"
_COHERE = (
    Rule(r"message|[\w-]+/delta|[\w-]+/delta\.message", "part", changes.as_object),
    Rule(r"message\.content", "part", changes.as_blocks),
    Rule(r"message\.content\[[^\]]*\]", "part", changes.as_block),
    Rule(r"message\.content\[text\]\.text", "part", changes.as_text),
    Rule(r"message\.content\[[^\]]*\]\.type", "identity", changes.as_word, "names the part"),
    Rule(r"message\.tool_calls", "part", changes.as_objects),
    Rule(r"message\.tool_calls\[[^\]]*\](\.function)?", "part", changes.as_object),
    Rule(r"message\.tool_calls\[[^\]]*\]\.function\.(name|arguments)", "part", changes.as_text),
    Rule(r"(message-end/delta\.)?finish_reason", "part", changes.as_word),
    Rule(r"(message-end/delta\.)?usage", "part", changes.as_optional_object),
    Rule(r"(message-end/delta\.)?error", "error"),
    Rule(r"[\w-]+/type", "identity", changes.as_word, "names the event"),
    Rule(_PIECE + "index", "identity", changes.as_count, "names the part that a piece belongs to"),
    Rule(r"content-\w+/delta\.message\.content", "part", changes.as_block),
    Rule(r"content-start/delta\.message\.content<[^>]*>\.type", "identity", changes.as_word, "names the part"),
    Rule(r"content-\w+/delta\.message\.content(<text>)?\.text", "part", changes.as_text),
    Rule(r"tool-call-\w+/delta\.message\.tool_calls", "part", changes.as_object),
    Rule(r"tool-call-\w+/delta\.message\.tool_calls(<[^>]*>)?\.function", "part", changes.as_object),
    Rule(r"tool-call-\w+/delta\.message\.tool_calls(<[^>]*>)?\.function\.(name|arguments)", "part", changes.as_text),
)

RULES = DialectRules(
    apis=("v2/chat",),
    changes=2_000,
    rules=_COHERE,
    derived=(
        Derived(r"(.*[./])?usage\..*", ("usage",), "the total is the sum of two counts"),
        Derived(
            r".*content(\[thinking\]|<thinking>)?\.thinking",
            (f"{MESSAGE}.reasoning_content", NATIVE),
            "the message's reasoning",
        ),
        Derived(r"(.*[./])?tool_plan", (NATIVE,), "OpenAI's messages have no tool plan"),
        Derived(
            r"(.*[./])?(citations|citation-start/delta\.message).*",
            (f"{MESSAGE}.annotations", NATIVE),
            "citations become annotations, and stay native",
        ),
        Derived(r"(.*[./])?logprobs.*", ("choices.logprobs",), "log probabilities are sums of Cohere's"),
        Derived(r"(.*[./])?content(\[[^\]]*\]|<[^>]*>)?\..*", (NATIVE,), "native parts are kept"),
    ),
)
