"""OpenAI's chat completions, of OpenAI and of compatible servers."""

from collections.abc import Mapping, Sequence
from typing import Any

from conformance import openai_facts
from conformance.recorded_format import RecordedFormat


def _ends(data: Mapping[str, Any]) -> Sequence[int]:
    return [choice.get("index") or 0 for choice in data.get("choices") or () if choice.get("finish_reason")]


def _has_content(data: Mapping[str, Any]) -> bool:
    return any(
        choice.get("finish_reason")
        or any(value for name, value in (choice.get("delta") or {}).items() if name != "role")
        for choice in data.get("choices") or ()
    )


FORMAT = RecordedFormat(
    apis=("chat.completions", "chat"),
    recorded=651,
    row="openai",
    ends=_ends,
    has_content=_has_content,
    by_rule=openai_facts.by_rule,
)
