"""Parameter support of Gemini's generateContent: data only. What depends on the model is in `model_families`.

https://ai.google.dev/api/generate-content#generationconfig
"""

from __future__ import annotations

from ...params import FUNCTION_CALLS, TOOL_CHOICES, ParamSupport, ParamTable, unsupported
from ..shared import EFFORTS, mapped
from .gemini_quirks import SERVICE_TIERS

NAME = "gemini_generate"

_PENALTY = ParamSupport("mapped", minimum=-2, maximum=2, note="generationConfig")
_CACHE = unsupported("Gemini caches prompts by itself; pass extra_body={'cachedContent': ...} for a cache of your own")
_NO_USER = unsupported("Gemini takes no identifier of the user")

PARAMS: ParamTable = {
    "temperature": ParamSupport("mapped", minimum=0, maximum=2, note="generationConfig.temperature"),
    "top_p": ParamSupport("mapped", minimum=0, maximum=1, note="generationConfig.topP"),
    "n": ParamSupport("fanned_out", note="candidateCount of models before Gemini 3"),
    "stop": ParamSupport("mapped", max_items=5, note="generationConfig.stopSequences"),
    "max_tokens": mapped("maxOutputTokens"),
    "max_completion_tokens": mapped("maxOutputTokens"),
    "presence_penalty": _PENALTY,
    "frequency_penalty": _PENALTY,
    "logit_bias": unsupported("Gemini has no logit bias"),
    "user": _NO_USER,
    "functions": mapped("tools"),
    "function_call": mapped("toolConfig", FUNCTION_CALLS),
    "tools": mapped("tools.functionDeclarations"),
    "tool_choice": mapped("toolConfig.functionCallingConfig", TOOL_CHOICES),
    "parallel_tool_calls": unsupported("Gemini always allows several calls at once"),
    "response_format": mapped("responseMimeType and responseJsonSchema"),
    "seed": mapped("generationConfig.seed"),
    "logprobs": mapped("responseLogprobs"),
    "top_logprobs": ParamSupport("mapped", minimum=0, maximum=20, note="logprobs"),
    "stream_options": mapped("usage is always part of the stream"),
    "reasoning_effort": mapped("thinkingConfig: a level, or a budget of Gemini 2.5", EFFORTS),
    "thinking": mapped("thinkingConfig"),
    "modalities": mapped("responseModalities"),
    "audio": mapped("speechConfig"),
    "prediction": unsupported("Gemini has no predicted outputs"),
    "service_tier": mapped("serviceTier", tuple(SERVICE_TIERS)),
    "store": unsupported("Gemini stores no completions"),
    "metadata": unsupported("Gemini takes no metadata; Vertex AI has labels"),
    "verbosity": unsupported("Gemini has no verbosity; write it into the prompt"),
    "prompt_cache_key": _CACHE,
    "prompt_cache_retention": _CACHE,
    "prompt_cache_options": _CACHE,
    "safety_identifier": _NO_USER,
    "web_search_options": mapped("tools.googleSearch"),
    "moderation": unsupported("Gemini has safety settings instead: pass extra_body={'safetySettings': [...]}"),
}
