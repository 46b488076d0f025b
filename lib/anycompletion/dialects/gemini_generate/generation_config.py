"""Parameters of sampling, form and thinking as Gemini's `generationConfig`. Clamps nothing.

https://ai.google.dev/api/generate-content#generationconfig, https://ai.google.dev/gemini-api/docs/thinking
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ...errors import InvalidRequestError
from ...records import ChatRequest, JsonObject
from ..base import EncodingReport
from ..shared import token_limit, without_nulls
from .model_families import MAX_CANDIDATES, GeminiFamily

_AUDIO_FORMAT = "pcm16"
"""The only form of audio that Gemini returns."""

_FIELDS: Mapping[str, str] = {
    "temperature": "temperature",
    "top_p": "topP",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "top_logprobs": "logprobs",
}
"""Parameter → field of the same value."""

_ZERO_IS_DEFAULT = frozenset(("presence_penalty", "frequency_penalty", "top_logprobs"))
"""Parameters whose zero is left out: it is the default, and newer models refuse the fields."""

_NATIVE_THINKING = frozenset(("thinkingBudget", "thinkingLevel", "includeThoughts"))


def encode_config(
    request: ChatRequest, family: GeminiFamily, resolution: str | None, has_tools: bool, report: EncodingReport
) -> JsonObject:
    """The generation config, without fields that are not set.

    Raises:
        InvalidRequestError: a JSON schema is missing.
    """
    config: JsonObject = {}
    for name, value in request.given().items():
        field = _FIELDS.get(name)
        if field is not None and (value or name not in _ZERO_IS_DEFAULT):
            config[field] = value
    limit = token_limit(request, report)
    if limit is not None:
        config["maxOutputTokens"] = limit
    if request.n is not None and request.n > 1:
        # More are asked for by further requests, as whatever is missing from a reply.
        config["candidateCount"] = min(request.n, MAX_CANDIDATES)
    if request.stop:
        config["stopSequences"] = [request.stop] if isinstance(request.stop, str) else list(request.stop)
    if request.logprobs or request.top_logprobs:
        config["responseLogprobs"] = True
    if resolution is not None:
        config["mediaResolution"] = resolution
    thinking = _thinking(request, family, report)
    if thinking is not None:
        config["thinkingConfig"] = thinking
    if request.modalities is not None or request.audio is not None:
        config |= _modalities(request, report)
    if request.response_format is not None:
        config |= _response_format(request.response_format, family, has_tools, report)
    return config


def _modalities(request: ChatRequest, report: EncodingReport) -> JsonObject:
    fields: JsonObject = {}
    if request.modalities is not None:
        fields["responseModalities"] = [modality.upper() for modality in request.modalities]
    if request.audio is None:
        return fields
    audio = request.audio
    if audio.get("format") not in (None, _AUDIO_FORMAT):
        report.unsupported("audio.format", f"Gemini returns {_AUDIO_FORMAT} only")
    voice = audio.get("voice")
    if voice is not None:
        fields["speechConfig"] = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}}
    return fields


def _response_format(
    wanted: Mapping[str, Any], family: GeminiFamily, has_tools: bool, report: EncodingReport
) -> JsonObject:
    kind = wanted.get("type")
    if kind == "text":
        return {}
    if kind not in ("json_object", "json_schema"):
        report.unsupported("response_format", "Gemini knows json_object and json_schema only")
        return {}
    if has_tools and family.generation < (3, 0):
        report.unsupported("response_format", "models before Gemini 3 take none together with tools")
        return {}
    fields: JsonObject = {"responseMimeType": "application/json"}
    if kind == "json_object" and wanted.get("schema") is not None:
        fields["responseJsonSchema"] = wanted["schema"]
    if kind == "json_schema":
        named = cast("Mapping[str, Any]", wanted.get("json_schema") or {})
        schema = named.get("schema")
        if named.get("description"):
            report.warn("response_format.json_schema.description left out: Gemini takes the schema alone")
        if schema is None:
            place = "response_format.json_schema.schema"
            raise InvalidRequestError(f"{place}: is missing", param=place)
        fields["responseJsonSchema"] = schema
    return fields


# --- thinking ---------------------------------------------------------------------------------------------------------


def _thinking(request: ChatRequest, family: GeminiFamily, report: EncodingReport) -> JsonObject | None:
    if request.thinking is None:
        effort = request.reasoning_effort
        return None if effort is None else _of_effort(effort, "reasoning_effort", family, report)
    if request.reasoning_effort is not None:
        report.warn("reasoning_effort left out: thinking was given, and wins")
    thinking = request.thinking
    if not _NATIVE_THINKING.isdisjoint(thinking):
        if thinking.get("type") not in (None, "enabled", "adaptive"):
            report.unsupported("thinking.type", "the other fields are Gemini's own, which have no type")
        return {name: value for name, value in thinking.items() if name != "type"}
    for name in sorted(without_nulls(dict(thinking)).keys() - {"type", "budget_tokens"}):
        report.unsupported(f"thinking.{name}", "Gemini's own fields are thinkingBudget, thinkingLevel, includeThoughts")
    match thinking.get("type"):
        case "disabled":
            return _of_effort("none", "thinking.type", family, report)
        case "adaptive":
            budget = {} if family.generation >= (3, 0) else {"thinkingBudget": -1}
            return budget | {"includeThoughts": True}
        case "enabled":
            tokens = thinking.get("budget_tokens")
            return ({} if tokens is None else {"thinkingBudget": tokens}) | {"includeThoughts": True}
        case kind:
            report.unsupported("thinking.type", f"expected enabled, adaptive or disabled, found {kind!r}")
            return None


def _of_effort(effort: str, param: str, family: GeminiFamily, report: EncodingReport) -> JsonObject | None:
    fields = family.efforts.get(effort)
    if fields is None:
        problem = "the model always thinks" if effort == "none" else f"expected one of {', '.join(family.efforts)}"
        report.unsupported(param, problem)
        return None
    return dict(fields) if effort == "none" else {**fields, "includeThoughts": True}
