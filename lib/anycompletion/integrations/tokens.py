"""Billable tokens of a reply: providers count them in different ways."""

from __future__ import annotations

from typing import Any, cast

from .. import Usage


def billable_tokens(usage: Usage) -> tuple[int | None, int | None]:
    """The billed tokens of the prompt and of the completion; None where they are unknown.

    Cohere bills fewer tokens than its model read (`billed_units`). Some servers (xAI, Gemini) do not count reasoning
    tokens as completion tokens, and only the total includes them.
    """
    units: object = usage.extra.get("billed_units")
    prompt, completion = count(units, "input_tokens"), count(units, "output_tokens")
    if prompt is not None and completion is not None:
        return prompt, completion
    prompt, completion, total = usage.prompt_tokens, usage.completion_tokens, usage.total_tokens
    if prompt is not None and completion is not None and total is not None:
        completion = max(completion, total - prompt)
    return prompt, completion


def count(counts: object, name: str) -> int | None:
    """The number of tokens that a provider's object has under `name`; None if it is no valid count."""
    value: object = cast("dict[str, Any]", counts).get(name) if isinstance(counts, dict) else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and value >= 0 else None
