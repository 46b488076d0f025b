"""`reasoning_effort` and `thinking` as Cohere's `thinking`, which is enabled or disabled.

https://docs.cohere.com/docs/reasoning

Cohere's thinking has an optional budget and no levels. An effort other than ``none`` therefore enables thinking without
a budget: any number chosen here would limit the model arbitrarily.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...records import JsonObject
from ..base import EncodingReport

_TYPES = ("enabled", "disabled")


def encode_thinking(
    effort: str | None, thinking: Mapping[str, Any] | None, report: EncodingReport
) -> JsonObject | None:
    """Cohere's `thinking`; an explicit one wins over an effort.

    Raises:
        UnsupportedParameterError: `thinking` has a type that Cohere does not have, under the policy "raise".
    """
    if thinking is not None:
        if effort is not None:
            report.warn("reasoning_effort left out: thinking was given, and wins")
        return _explicit(thinking, report)
    if effort is None:
        return None
    if effort == "none":
        return {"type": "disabled"}
    report.warn(f"reasoning_effort {effort!r} sent as thinking enabled: Cohere has no levels of effort")
    return {"type": "enabled"}


def _explicit(thinking: Mapping[str, Any], report: EncodingReport) -> JsonObject | None:
    kind = thinking.get("type")
    if kind is not None and kind not in _TYPES:
        report.unsupported("thinking.type", f"Cohere's thinking is {' or '.join(_TYPES)}, not {kind!r}")
        return None
    native = {name: value for name, value in thinking.items() if name != "budget_tokens" and value is not None}
    if thinking.get("budget_tokens") is not None:
        native.setdefault("token_budget", thinking["budget_tokens"])
    return native
