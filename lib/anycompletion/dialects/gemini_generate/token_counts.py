"""Gemini's token counts as OpenAI's usage. Estimates nothing.

https://ai.google.dev/api/generate-content#UsageMetadata
"""

from __future__ import annotations

from ...codecs.lenient import optional_int, optional_objects, optional_str, unknown_fields
from ...records import CompletionTokensDetails, JsonObject, PromptTokensDetails, Usage
from ...records.base import field_names
from ..shared import without_nulls

_COUNTS = (
    "totalTokenCount",
    "promptTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "toolUsePromptTokenCount",
    "cachedContentTokenCount",
)
_READ = field_names(Usage) | {*_COUNTS, "serviceTier"}


def has_counts(usage: JsonObject | None) -> bool:
    """Whether a usage has counts; early events have only the kind of traffic."""
    return usage is not None and any(usage.get(name) is not None for name in _COUNTS)


def read_usage(usage: JsonObject) -> Usage:
    """Counts as OpenAI defines them: the prompt's with those of tool results, the completion's with those of thoughts.

    Counts that are zero are absent in Google's JSON.
    """
    prompt = _count(usage, "promptTokenCount")
    tools = _count(usage, "toolUsePromptTokenCount")
    written = _count(usage, "candidatesTokenCount")
    thoughts = _count(usage, "thoughtsTokenCount")
    total = optional_int(usage.get("totalTokenCount"))
    if total is None and not any((prompt, tools, written, thoughts)):
        return Usage(extra=without_nulls(unknown_fields(usage, _READ)))
    includes_thoughts = thoughts > 0 and total == prompt + tools + written  # some older models count them twice
    completion = written if includes_thoughts else written + thoughts
    prompt += tools
    return Usage(
        prompt,
        completion,
        prompt + completion if total is None else total,
        PromptTokensDetails(
            optional_int(usage.get("cachedContentTokenCount")) or 0,
            _of_modality(usage, "promptTokensDetails", "AUDIO"),
            image_tokens=_of_modality(usage, "promptTokensDetails", "IMAGE"),
        ),
        CompletionTokensDetails(thoughts, _of_modality(usage, "candidatesTokensDetails", "AUDIO")),
        extra=without_nulls(unknown_fields(usage, _READ)),
    )


def _count(usage: JsonObject, name: str) -> int:
    return optional_int(usage.get(name)) or 0


def _of_modality(usage: JsonObject, field: str, modality: str) -> int | None:
    """The tokens of one modality; None where the details have none of it."""
    if field not in usage:
        return None
    for entry in optional_objects(usage.get(field)) or ():
        if optional_str(entry.get("modality")) == modality:
            return optional_int(entry.get("tokenCount"))
    return None
