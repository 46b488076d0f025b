"""Gemini's token counts as OpenAI's usage. Estimates nothing.

https://ai.google.dev/api/generate-content#UsageMetadata
"""

from __future__ import annotations

from collections.abc import Mapping

from ...codecs.lenient import optional_int, optional_objects, optional_str
from ...records import CompletionTokensDetails, JsonObject, PromptTokensDetails, Usage
from ...records.base import field_names

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
    count = usage.get
    prompt = optional_int(count("promptTokenCount")) or 0
    tools = optional_int(count("toolUsePromptTokenCount")) or 0
    written = optional_int(count("candidatesTokenCount")) or 0
    thoughts = optional_int(count("thoughtsTokenCount")) or 0
    total = optional_int(count("totalTokenCount"))
    extra = {name: value for name, value in usage.items() if value is not None and name not in _READ}
    if total is None and not (prompt or tools or written or thoughts):
        return Usage(extra=extra)
    includes_thoughts = thoughts > 0 and total == prompt + tools + written  # some older models count them twice
    completion = written if includes_thoughts else written + thoughts
    prompt += tools
    of_prompt = _by_modality(count("promptTokensDetails"))
    of_completion = _by_modality(count("candidatesTokensDetails"))
    return Usage(
        prompt,
        completion,
        prompt + completion if total is None else total,
        PromptTokensDetails(
            optional_int(count("cachedContentTokenCount")) or 0,
            of_prompt.get("AUDIO"),
            image_tokens=of_prompt.get("IMAGE"),
        ),
        CompletionTokensDetails(thoughts, of_completion.get("AUDIO")),
        extra=extra,
    )


_NONE: Mapping[str | None, int | None] = {}


def _by_modality(details: object) -> Mapping[str | None, int | None]:
    """The tokens of each modality; of several entries of one, the first counts."""
    if details is None:
        return _NONE
    found: dict[str | None, int | None] = {}
    for entry in optional_objects(details) or ():
        found.setdefault(optional_str(entry.get("modality")), optional_int(entry.get("tokenCount")))
    return found
