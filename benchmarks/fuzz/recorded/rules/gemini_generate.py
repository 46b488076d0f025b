"""Gemini's generateContent; an event of a stream has the fields of a reply."""

from __future__ import annotations

from .. import changes
from ..rule_types import MESSAGE, NATIVE, Derived, DialectRules, Rule

_CANDIDATE = r"(\[\]\.)?candidates\[\]"
_PARTS = rf"{_CANDIDATE}\.content\.parts"
_CALL = rf"{_PARTS}\[\]\.functionCall"

RULES = DialectRules(
    apis=("generateContent", "streamGenerateContent"),
    changes=3_000,
    rules=(
        Rule(r"\[\]", "part", None, "an item of an array is a response, or an error"),
        Rule(r"(\[\]\.)?candidates", "part", changes.as_objects),
        Rule(rf"{_CANDIDATE}(\.content)?", "part", changes.as_object),
        Rule(_PARTS, "part", changes.as_objects),
        Rule(rf"{_PARTS}\[\]", "part", changes.as_object),
        Rule(rf"{_PARTS}\[\]\.text", "part", changes.as_text),
        Rule(rf"{_PARTS}\[\]\.thought", "identity", None, "whether the text is a thought"),
        Rule(rf"{_PARTS}\[\]\.inlineData", "part", changes.as_object),
        Rule(rf"{_PARTS}\[\]\.inlineData\.(data|mimeType)", "part", None, "no image, or one of another type"),
        Rule(_CALL, "part", changes.as_object),
        Rule(rf"{_CALL}\.name", "part", changes.as_word),
        Rule(rf"{_CALL}\.args", "part", changes.as_object),
        Rule(rf"{_CALL}\.(partialArgs.*|willContinue)", "identity", None, "pieces of arguments, and their end"),
        Rule(rf"{_CANDIDATE}\.finishReason", "part", changes.as_word),
        Rule(rf"{_CANDIDATE}\.index", "identity", changes.as_choice_index),
        Rule(r"promptFeedback(\.blockReason)?", "part", None, "why there is no candidate"),
        Rule(r"error", "error"),
    ),
    opaque=rf"{_CALL}\.args",
    derived=(
        Derived(r"(\[\]\.)?usageMetadata(\..*)?", ("usage", "service_tier"), "counts are sums of others"),
        Derived(
            r"(\[\]\.)?(responseId|modelVersion|createTime)",
            ("id", "model", "created", "createTime", f"{MESSAGE}.tool_calls.id"),
            "missing ids of calls are made of the reply's",
        ),
        Derived(rf"{_CALL}\.id", (f"{MESSAGE}.tool_calls.id", NATIVE), "its id"),
        Derived(
            rf"{_PARTS}\[\].*",
            (NATIVE, f"{MESSAGE}.tool_calls.extra_content"),
            "native parts are kept, and the signatures of calls are with them as well",
        ),
        Derived(rf"{_CANDIDATE}\.logprobsResult.*", ("choices.logprobs",), "log probabilities"),
        Derived(
            rf"{_CANDIDATE}\.(groundingMetadata|citationMetadata).*",
            (f"{MESSAGE}.annotations", "choices.groundingMetadata", "choices.citationMetadata"),
            "sources become annotations, and stay native",
        ),
        Derived(rf"{_CANDIDATE}\..*", ("choices",), "other fields are kept"),
        Derived(r"promptFeedback.*", (f"{MESSAGE}.refusal", "promptFeedback"), "the reason of a block"),
    ),
)
