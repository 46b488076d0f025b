"""`reasoning_effort` as the thinking of Claude models: which of them have a budget, and how many tokens per effort.

https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from .base import EncodingReport

Thinking = Mapping[str, Any]

BUDGETS = {"minimal": 1024, "low": 1024, "medium": 2048, "high": 4096, "xhigh": 8192, "max": 16384}
"""Effort → thinking tokens, for models with a thinking budget; Anthropic's minimum is 1024."""

_WITHOUT_THINKING = (
    "claude-instant",
    "claude-2",
    "claude-v2",
    "claude-3-haiku",
    "claude-3-sonnet",
    "claude-3-opus",
    "claude-3-5",
)
_WITH_BUDGET = (
    "claude-3-7",
    "claude-opus-4-0",
    "claude-opus-4-20250514",
    "claude-opus-4-1",
    "claude-opus-4-5",
    "claude-sonnet-4-0",
    "claude-sonnet-4-20250514",
    "claude-sonnet-4-5",
    "claude-haiku-4-5",
)
"""Newer and unknown models have adaptive thinking."""


def encode_thinking(
    effort: str | None, thinking: Thinking | None, model: str, report: EncodingReport
) -> tuple[Thinking | None, str | None]:
    """Anthropic's `thinking` and `output_config.effort`; an explicit `thinking` passes unchanged.

    Raises:
        UnsupportedParameterError: the model has no thinking, or not this effort, under the policy "raise".
    """
    if effort is None:
        return thinking, None
    if _is_of(model, _WITH_BUDGET) or _is_of(model, _WITHOUT_THINKING):
        if thinking is not None:
            report.warn("reasoning_effort left out: thinking was given, and wins")
            return thinking, None
        return (_disabled(model) if effort == "none" else _budget(effort, model, report)), None
    if effort == "none":
        return thinking or {"type": "disabled"}, None
    if effort == "minimal":
        report.warn("reasoning_effort 'minimal' sent as 'low', Anthropic's lowest")
        effort = "low"
    return thinking or {"type": "adaptive"}, effort


def _is_of(model: str, families: tuple[str, ...]) -> bool:
    """Whether a model belongs to one of `families`; gateways prefix Anthropic's name and write 4.5 for 4-5."""
    name = model[max(model.find("claude"), 0) :].replace(".", "-")
    return any(name == family or name.startswith((f"{family}-", f"{family}@", f"{family}:")) for family in families)


def _disabled(model: str) -> Thinking | None:
    return None if _is_of(model, _WITHOUT_THINKING) else {"type": "disabled"}


def _budget(effort: str, model: str, report: EncodingReport) -> Thinking | None:
    if _is_of(model, _WITHOUT_THINKING):
        report.unsupported("reasoning_effort", f"{model} does not think")
        return None
    if effort not in BUDGETS:
        report.unsupported("reasoning_effort", f"expected one of none, {', '.join(BUDGETS)}")
        return None
    return {"type": "enabled", "budget_tokens": BUDGETS[effort]}


def thinking_budget(thinking: object) -> int:
    """The tokens of a thinking budget; 0 for none."""
    if not isinstance(thinking, Mapping):
        return 0
    budget = cast("Mapping[str, object]", thinking).get("budget_tokens")
    return budget if isinstance(budget, int) else 0
