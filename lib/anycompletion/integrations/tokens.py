"""What a reply's tokens are to whoever pays: provider by provider they are counted in other ways."""

from __future__ import annotations

from typing import Any, cast

from .. import Usage


def billable_tokens(usage: Usage) -> tuple[int | None, int | None]:
    """The tokens of the prompt and of the answer that are charged; None where they are unknown.

    Cohere charges fewer than its model read (`billed_units`). Some servers (xAI, Gemini) leave what was thought out of
    the completion's tokens, and only the total shows it.
    """
    units: object = usage.extra.get("billed_units")
    prompt, completion = count(units, "input_tokens"), count(units, "output_tokens")
    if prompt is not None and completion is not None:
        return prompt, completion
    prompt, completion, total = usage.prompt_tokens, usage.completion_tokens, usage.total_tokens
    if prompt is not None and completion is not None and total is not None:
        completion = max(completion, total - prompt)
    return prompt, completion


def count(counts: object, member: str) -> int | None:
    """One count of an object that a provider wrote."""
    value: object = cast("dict[str, Any]", counts).get(member) if isinstance(counts, dict) else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and value >= 0 else None
