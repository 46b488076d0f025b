"""`reasoning_effort` and `thinking` as the fields of each family of models on Bedrock; other families take neither.

https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-call.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ...records import ChatRequest, JsonObject
from ..base import EncodingReport
from ..claude_thinking import Thinking, encode_thinking
from .bedrock_models import AMAZON, CLAUDE, OPENAI, BedrockModelFamily


class _Efforts(NamedTuple):
    """How a family of models takes an effort, and which ones it takes."""

    vendor: str
    prefix: str
    """Beginning of the model's name."""
    values: tuple[str, ...]
    field: str
    """The field of the effort, or of the object that has it under `name`."""
    name: str = ""
    others: Mapping[str, str] = {}
    """Other fields of that object."""


_LOW_TO_HIGH = ("low", "medium", "high")

_FAMILIES = (
    _Efforts(AMAZON, "nova-2", _LOW_TO_HIGH, "reasoningConfig", "maxReasoningEffort", {"type": "enabled"}),
    _Efforts(OPENAI, "gpt-oss", _LOW_TO_HIGH, "reasoning_effort"),
    _Efforts(OPENAI, "gpt-5", ("none", "minimal", *_LOW_TO_HIGH, "xhigh"), "reasoning", "effort"),
    _Efforts("deepseek", "v3", _LOW_TO_HIGH, "reasoning_effort"),
    _Efforts("qwen", "qwen3", ("low", "high"), "reasoning_config"),
)

_REASONS_ONLY_IF_ASKED = ((AMAZON, "nova-2"),)
"""Vendors and beginnings of names of models to which "none" is sent as nothing."""


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
    known = next((each for each in _FAMILIES if _is_of(family, each.vendor, each.prefix)), None)
    if known is None:
        hint = "pass the model's own field as extra_body={'additionalModelRequestFields': {...}}"
        problem = "the model does not reason" if family.is_visible else "the id does not show which model it is"
        report.unsupported("reasoning_effort", f"{problem}; {hint}")
        return {}
    if effort in known.values:
        return {known.field: {**known.others, known.name: effort} if known.name else effort}
    if effort != "none" or not any(_is_of(family, *each) for each in _REASONS_ONLY_IF_ASKED):
        report.unsupported("reasoning_effort", f"expected one of {', '.join(known.values)} for this model")
    return {}


def _is_of(family: BedrockModelFamily, vendor: str, prefix: str) -> bool:
    return family.vendor == vendor and family.name.startswith(prefix)


def is_thinking(fields: JsonObject) -> bool:
    """Whether Claude's thinking is switched on in `additionalModelRequestFields`."""
    thinking: JsonObject = fields.get("thinking") or {}
    return thinking.get("type") in ("enabled", "adaptive")
