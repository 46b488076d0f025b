"""Parameter support of Anthropic's Messages API: data only.

https://docs.anthropic.com/en/api/messages
"""

from __future__ import annotations

from ...params import FUNCTION_CALLS, NATIVE, TOOL_CHOICES, ParamSupport, ParamTable, unsupported
from ..shared import EFFORTS, mapped

NAME = "anthropic_messages"

SERVICE_TIERS = {
    "auto": "auto",
    "default": "standard_only",
    "standard": "standard_only",
    "standard_only": "standard_only",
}
"""OpenAI's value, or Anthropic's own → Anthropic's value."""

_CACHE = unsupported("Anthropic marks what to cache in place: put cache_control on messages, parts or tools")
_TEXT_ONLY = unsupported("Anthropic answers in text only")
_NO_LOGPROBS = unsupported("Anthropic gives no log probabilities")

PARAMS: ParamTable = {
    "temperature": ParamSupport("native", minimum=0, maximum=1),
    "top_p": ParamSupport("native", minimum=0, maximum=1),
    "n": ParamSupport("fanned_out"),
    "stop": mapped("stop_sequences"),
    "max_tokens": NATIVE,
    "max_completion_tokens": mapped("max_tokens"),
    "presence_penalty": unsupported("Anthropic has no penalties"),
    "frequency_penalty": unsupported("Anthropic has no penalties"),
    "logit_bias": unsupported("Anthropic has no logit bias"),
    "user": mapped("metadata.user_id"),
    "functions": mapped("tools"),
    "function_call": mapped("tool_choice", FUNCTION_CALLS),
    "tools": mapped("tools"),
    "tool_choice": mapped("tool_choice", TOOL_CHOICES),
    "parallel_tool_calls": mapped("tool_choice.disable_parallel_tool_use"),
    "response_format": mapped("output_config.format"),
    "seed": unsupported("Anthropic has no seed"),
    "logprobs": _NO_LOGPROBS,
    "top_logprobs": _NO_LOGPROBS,
    "stream_options": mapped("usage is always part of the stream"),
    "reasoning_effort": mapped("thinking and output_config.effort", EFFORTS),
    "thinking": NATIVE,
    "modalities": _TEXT_ONLY,
    "audio": _TEXT_ONLY,
    "prediction": unsupported("Anthropic has no predicted outputs"),
    "service_tier": mapped("service_tier: auto or standard_only", tuple(SERVICE_TIERS)),
    "store": unsupported("Anthropic stores no completions"),
    "metadata": unsupported("Anthropic's metadata holds a user id only: pass user="),
    "verbosity": unsupported("Anthropic has no verbosity; say it in the prompt"),
    "prompt_cache_key": _CACHE,
    "prompt_cache_retention": _CACHE,
    "prompt_cache_options": _CACHE,
    "safety_identifier": unsupported("Anthropic's only identifier is metadata.user_id: pass user="),
    "web_search_options": unsupported(
        'put Anthropic\'s own tool into tools: {"type": "web_search_20250305", "name": "web_search"}'
    ),
    "moderation": unsupported(),
}
