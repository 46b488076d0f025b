"""Which fields of each format carry a reply, which identify a part of it, and what is derived from others: data.

A pattern is a path without indices (see `changes.Place.pattern`); the first rule whose expression matches decides. A
field without a rule is one that is not needed: whatever it holds, the rest of the reply stays the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from . import changes

Role = Literal["part", "identity", "error"]
"""`part`: carries the reply; its value is read by `convert`, or the reply is an error.

`identity`: distinguishes parts; another type is read by `convert` or inferred, or the reply is an error.

`error`: any value that is not empty makes the reply an error.
"""


class Rule(NamedTuple):
    """Role of the fields that match an expression."""

    pattern: str
    role: Role
    convert: Callable[[Any], Any] | None = None
    why: str = ""


class Derived(NamedTuple):
    """Places of a reply that change with a field that is not needed."""

    pattern: str
    places: Sequence[str]
    why: str


_LIST_ITEM = r"\[[^\]]*\]"


def _openai(message: str) -> tuple[Rule, ...]:
    """The rules of OpenAI's format, where a choice's message is called `message`, or `delta` in streams."""
    body = rf"choices{_LIST_ITEM}\.{message}"
    call = rf"{body}\.tool_calls{_LIST_ITEM}"
    function = rf"({call}\.function|{body}\.function_call)"
    return (
        Rule(r"choices", "part", changes.as_objects),
        Rule(rf"choices{_LIST_ITEM}", "part", changes.as_object),
        Rule(body, "part", changes.as_object),
        Rule(rf"{body}\.content", "part", changes.as_content),
        Rule(rf"{body}\.content\[text\]\.text", "part", changes.as_text),
        Rule(rf"{body}\.content{_LIST_ITEM}", "part", changes.as_part),
        Rule(rf"{body}\.content{_LIST_ITEM}\.type", "identity", changes.as_word, "names the part"),
        Rule(rf"{body}\.tool_calls", "part", changes.as_objects),
        Rule(call, "part", changes.as_object),
        Rule(function, "part", changes.as_object),
        Rule(rf"{function}\.(name|arguments)", "part", changes.as_text),
        Rule(rf"{call}\.custom", "part", changes.as_object),
        Rule(rf"{call}\.custom\.(name|input)", "part", changes.as_text),
        Rule(rf"{body}\.tool_calls\[custom\]\.type", "identity", changes.as_word, "says which field has the call"),
        Rule(rf"choices{_LIST_ITEM}\.finish_reason", "part", changes.as_word),
        Rule(r"usage", "part", changes.as_optional_object),
        Rule(r"usage\.(prompt|completion|total)_tokens", "part", changes.as_count),
        Rule(rf"(choices{_LIST_ITEM}\.)?error", "error"),
    )


_OPENAI = _openai("message")
_OPENAI_STREAM = (
    Rule(rf"choices{_LIST_ITEM}\.index", "part", changes.as_choice_index, "distinguishes the choices of a stream"),
    Rule(
        rf"choices{_LIST_ITEM}\.delta\.tool_calls{_LIST_ITEM}\.index",
        "identity",
        changes.as_count,
        "distinguishes the calls of a stream",
    ),
    *_openai("delta"),
)

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

_REPLICATE = (
    Rule(r"output", "part", changes.as_output),
    Rule(r"output\[[^\]]*\]", "part", changes.as_text),
    Rule(r"status", "identity", changes.as_word, "whether the prediction ended, and how; an unknown one is an error"),
    Rule(r"error", "error"),
    Rule(r"urls(\.\w+)?|id", "identity", None, "where the next request of an unfinished prediction goes"),
)

OF_ERRORS = frozenset(
    {"error", "errors", "message", "detail", "details", "finish_reason", "choices", "delta", "type", "status"}
)
"""Fields that describe an error, or that hold those."""

OPAQUE: Mapping[str, str] = {
    "openai_chat": r"choices\[[^\]]*\]\.message\.content",
    "anthropic_messages": r"(.*[./])?input",
    "cohere_chat": r"(?!)",
    "replicate_predictions": r"input",
}
"""Dialect → places whose JSON is the model's own or the request's: nothing inside is changed."""

RULES: Mapping[str, Sequence[Rule]] = {
    "openai_chat": _OPENAI,
    "openai_chat stream": _OPENAI_STREAM,
    "anthropic_messages": _ANTHROPIC,
    "cohere_chat": _COHERE,
    "replicate_predictions": _REPLICATE,
}
"""Dialect → the rules of its fields; of its streams, where a dialect has other rules for them."""

_MESSAGE = "choices.message"
NATIVE = f"{_MESSAGE}.provider_specific_fields"
"""Place of the provider's own form of a message, which keeps values of any type as they are."""

_THINKING = (f"{_MESSAGE}.reasoning_content", f"{_MESSAGE}.thinking_blocks", NATIVE)

DERIVED: Mapping[str, Sequence[Derived]] = {
    "openai_chat": (
        Derived(r"(.*\.)?usage\..*", ("usage",), "counts and costs are parts of one record, wherever it stands"),
        Derived(
            r"choices\[[^\]]*\]\.logprobs\..*",
            ("choices.logprobs",),
            "the parallel lists of the older form become a list of tokens",
        ),
        Derived(r"id", ("created",), "the time is that of the first chunk with an id"),
        Derived(
            r"choices\[[^\]]*\]\.delta\.reasoning_details.*",
            (f"{_MESSAGE}.reasoning_details",),
            "pieces of a block are merged by index and type",
        ),
        Derived(r"x_groq(\..*)?", ("usage",), "Groq's usage stands in it where the standard one was not requested"),
        Derived(
            r"(.*\.)?(message|delta)\.reasoning",
            (f"{_MESSAGE}.reasoning_content",),
            "another name of `reasoning_content`",
        ),
        Derived(
            r"(.*\.)?content\[thinking\].*",
            (f"{_MESSAGE}.reasoning_content", f"{_MESSAGE}.content"),
            "Mistral's thinking parts become `reasoning_content`; parts that are not text stay parts",
        ),
    ),
    "anthropic_messages": (
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
            (f"{_MESSAGE}.annotations", NATIVE),
            "citations become annotations, and stay native where these do not express them",
        ),
        Derived(
            r"content\[[^\]]*\]\..*|content_block_start/content_block<[^>]*>\..*|content_block_delta/delta<[^>]*>\..*",
            (NATIVE,),
            "the native blocks are kept where OpenAI's fields do not express them",
        ),
        Derived(
            r"content\[tool_use\]\.id|.*content_block<tool_use>\.id", (f"{_MESSAGE}.tool_calls.id", NATIVE), "its id"
        ),
        Derived(
            r"(.*[./])?stop_details(<[^>]*>)?(\..*)?",
            (f"{_MESSAGE}.refusal", "choices.stop_details"),
            "the explanation of a refusal",
        ),
    ),
    "cohere_chat": (
        Derived(r"(.*[./])?usage\..*", ("usage",), "the total is the sum of two counts"),
        Derived(
            r".*content(\[thinking\]|<thinking>)?\.thinking",
            (f"{_MESSAGE}.reasoning_content", NATIVE),
            "the message's reasoning",
        ),
        Derived(r"(.*[./])?tool_plan", (NATIVE,), "OpenAI's messages have no tool plan"),
        Derived(
            r"(.*[./])?(citations|citation-start/delta\.message).*",
            (f"{_MESSAGE}.annotations", NATIVE),
            "citations become annotations, and stay native",
        ),
        Derived(r"(.*[./])?logprobs.*", ("choices.logprobs",), "log probabilities are sums of Cohere's"),
        Derived(r"(.*[./])?content(\[[^\]]*\]|<[^>]*>)?\..*", (NATIVE,), "native parts are kept"),
    ),
    "replicate_predictions": (
        Derived(r"metrics(\..*)?", ("usage",), "the counts of tokens"),
        Derived(r"created_at", ("created",), "the time in seconds"),
    ),
}
"""Dialect → what is derived from fields that is not needed, besides the field of the same name."""


def rule_of(dialect: str, kind: str, pattern: str) -> Rule | None:
    """The first rule that matches."""
    rules = RULES.get(f"{dialect} {kind}", RULES[dialect])
    return next((rule for rule in rules if re.fullmatch(rule.pattern, pattern)), None)


def places_of(dialect: str, pattern: str) -> list[str]:
    """Where a reply may change with a field that is not needed: prefixes of paths without indices."""
    names = re.sub(r"\[[^\]]*\]|<[^>]*>", "", pattern.rpartition("/")[2])
    # A chunk's `delta` is the reply's `message`; other formats have other names above the field.
    found = [names, re.sub(r"^choices\.delta\b", _MESSAGE, names)]
    if dialect != "openai_chat":
        found = [names.rpartition(".")[2]]
    for derived in DERIVED[dialect]:
        if re.fullmatch(derived.pattern, pattern):
            found += derived.places
    return found
