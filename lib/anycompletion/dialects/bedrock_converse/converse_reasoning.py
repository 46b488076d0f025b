"""`reasoning_effort` and `thinking` as the fields of each family of models on Bedrock; other families take neither.

https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-call.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ...records import ChatRequest, JsonObject
from ..base import EncodingReport
from ..claude_thinking import Thinking, encode_thinking
from .model_families import AMAZON, CLAUDE, OPENAI, BedrockModelFamily


class _Efforts(NamedTuple):
    """How a family of models takes an effort, and which ones it takes."""

    vendor: str
    prefix: str
    """Beginning of the model's name."""
    values: tuple[str, ...]
    fields: Callable[[str], JsonObject]


_LOW_TO_HIGH = ("low", "medium", "high")

_FAMILIES = (
    _Efforts(
        AMAZON,
        "nova-2",
        ("none", *_LOW_TO_HIGH),
        lambda effort: (
            {} if effort == "none" else {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": effort}}
        ),
    ),
    _Efforts(OPENAI, "gpt-oss", _LOW_TO_HIGH, lambda effort: {"reasoning_effort": effort}),
    _Efforts(
        OPENAI,
        "gpt-5",
        ("none", "minimal", *_LOW_TO_HIGH, "xhigh"),
        lambda effort: {"reasoning": {"effort": effort}},
    ),
    _Efforts("deepseek", "v3", _LOW_TO_HIGH, lambda effort: {"reasoning_effort": effort}),
    _Efforts("qwen", "qwen3", ("low", "high"), lambda effort: {"reasoning_config": effort}),
)


def reasoning_fields(
    request: ChatRequest, family: BedrockModelFamily, model: str, report: EncodingReport
) -> JsonObject:
    """The reasoning fields of `additionalModelRequestFields`.

    Raises:
        UnsupportedParameterError: the model has no such reasoning, under the policy "raise".
    """
    effort, thinking = request.reasoning_effort, request.thinking
    if family.vendor == CLAUDE:
        return _of_claude(effort, thinking, model, report)
    if thinking is not None:
        if not family.is_visible:
            return {"thinking": dict(thinking)}
        report.unsupported("thinking", "only Claude models on Bedrock take it; reasoning_effort is for all that reason")
    return {} if effort is None else _of_others(effort, family, report)


def _of_claude(effort: str | None, thinking: Thinking | None, model: str, report: EncodingReport) -> JsonObject:
    thinking, effort = encode_thinking(effort, thinking, model, report)
    fields: JsonObject = {} if thinking is None else {"thinking": dict(thinking)}
    return fields if effort is None else fields | {"output_config": {"effort": effort}}


def _of_others(effort: str, family: BedrockModelFamily, report: EncodingReport) -> JsonObject:
    for known in _FAMILIES:
        if family.vendor == known.vendor and family.name.startswith(known.prefix):
            if effort in known.values:
                return known.fields(effort)
            report.unsupported("reasoning_effort", f"expected one of {', '.join(known.values)} for this model")
            return {}
    hint = "pass the model's own field as extra_body={'additionalModelRequestFields': {...}}"
    problem = "the model does not reason" if family.is_visible else "the id does not show which model it is"
    report.unsupported("reasoning_effort", f"{problem}; {hint}")
    return {}


def is_thinking(fields: Mapping[str, Any]) -> bool:
    """Whether Claude's thinking is switched on in `additionalModelRequestFields`."""
    thinking: Any = fields.get("thinking")
    return isinstance(thinking, Mapping) and thinking.get("type") in ("enabled", "adaptive")
