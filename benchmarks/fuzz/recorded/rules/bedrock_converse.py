"""Bedrock's Converse and ConverseStream; their events have no type inside, so the patterns of both have no prefix."""

from __future__ import annotations

from .. import changes
from ..rule_types import LIST_ITEM, MESSAGE, NATIVE, Derived, DialectRules, Rule

_CONTENT = r"output\.message\.content"
_BLOCK = rf"{_CONTENT}{LIST_ITEM}"
_USE = rf"{_BLOCK}\.toolUse(<[^>]*>)?"
_CITED = rf"{_BLOCK}\.citationsContent"
_START = r"start\.toolUse(<[^>]*>)?"

RULES = DialectRules(
    apis=("converse", "converse-stream"),
    changes=1_000,
    rules=(
        Rule(r"output(\.message)?", "part", changes.as_object),
        Rule(_CONTENT, "part", changes.as_objects),
        Rule(rf"{_BLOCK}(\.(toolUse|reasoningContent|citationsContent))?", "part", changes.as_object),
        Rule(rf"{_BLOCK}\.text", "part", changes.as_text),
        Rule(rf"{_USE}\.name", "part", changes.as_text),
        Rule(rf"{_USE}\.input", "part", changes.as_object),
        Rule(rf"{_USE}\.type", "identity", None, "whether Bedrock itself runs the tool"),
        Rule(rf"{_BLOCK}\.reasoningContent\.reasoningText", "part", changes.as_object),
        Rule(rf"{_CITED}\.content({LIST_ITEM}(\.text)?)?", "identity", None, "a cited text is a part of the content"),
        Rule(r"stopReason", "part", changes.as_word),
        Rule(r"usage", "part", changes.as_optional_object),
        Rule(r"message|Message|code|__type", "error"),
        Rule(r"contentBlockIndex", "identity", None, "names the block that a piece belongs to"),
        Rule(r"delta|start", "part", changes.as_object),
        Rule(rf"delta\.(toolUse|reasoningContent)|{_START}", "part", changes.as_object),
        Rule(r"delta\.(text|toolUse\.input|reasoningContent\.text)", "part", changes.as_text),
        Rule(rf"{_START}\.name", "part", changes.as_text),
        Rule(rf"{_START}\.type", "identity", None, "whether Bedrock itself runs the tool"),
    ),
    opaque=r"(.*\.)?input|trace|(.*\.)?toolResult.*",
    derived=(
        Derived(r"usage\..*", ("usage",), "prompt tokens are the sum of three counts"),
        Derived(r"metrics\..*", ("metrics",), "kept as it is"),
        Derived(r"performanceConfig\..*", ("performanceConfig",), "kept as it is"),
        Derived(rf"({_USE}|{_START})\.toolUseId", (f"{MESSAGE}.tool_calls.id", NATIVE), "the call's id"),
        Derived(
            rf"{_BLOCK}\.reasoningContent.*|delta\.reasoningContent.*",
            (f"{MESSAGE}.reasoning_content", f"{MESSAGE}.thinking_blocks", NATIVE),
            "the message's reasoning",
        ),
        Derived(
            rf"{_CITED}.*|delta\.citation.*",
            (f"{MESSAGE}.annotations", NATIVE),
            "citations become annotations, and stay native",
        ),
        Derived(rf"{_BLOCK}.*|delta\..*|start\..*", (NATIVE,), "the native blocks are kept"),
    ),
)
