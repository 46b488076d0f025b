"""Parameter support of Bedrock's Converse: data only.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

from ...params import FUNCTION_CALLS, TOOL_CHOICES, ParamSupport, ParamTable, unsupported
from ..shared import EFFORTS, mapped

NAME = "bedrock_converse"

SERVICE_TIERS = ("auto", "default", "flex", "priority", "reserved")
"""OpenAI's "auto" is left out, the others are Bedrock's own."""

_LENGTH = ParamSupport("mapped", minimum=1, note="inferenceConfig.maxTokens")
_CACHE = unsupported("Bedrock marks what to cache in place: put cache_control on messages, parts or tools")
_TEXT_ONLY = unsupported("Bedrock's Converse is asked for text only")
_PENALTY = unsupported("Bedrock's Converse has no penalties")
_NO_LOGPROBS = unsupported("Bedrock's Converse gives no log probabilities")
_NO_USER = unsupported("Bedrock takes no identifier of the user; metadata is kept in its invocation logs")

PARAMS: ParamTable = {
    "temperature": ParamSupport("mapped", minimum=0, maximum=1, note="inferenceConfig.temperature"),
    "top_p": ParamSupport("mapped", minimum=0, maximum=1, note="inferenceConfig.topP"),
    "n": ParamSupport("fanned_out"),
    "stop": mapped("inferenceConfig.stopSequences"),
    "max_tokens": _LENGTH,
    "max_completion_tokens": _LENGTH,
    "presence_penalty": _PENALTY,
    "frequency_penalty": _PENALTY,
    "logit_bias": unsupported("Bedrock's Converse has no logit bias"),
    "user": _NO_USER,
    "functions": mapped("toolConfig.tools"),
    "function_call": mapped("toolConfig.toolChoice", FUNCTION_CALLS),
    "tools": mapped("toolConfig.tools"),
    "tool_choice": mapped("toolConfig.toolChoice", TOOL_CHOICES),
    "parallel_tool_calls": mapped("disable_parallel_tool_use of Claude models; others have no such field"),
    "response_format": mapped("outputConfig.textFormat"),
    "seed": unsupported("Bedrock's Converse has no seed"),
    "logprobs": _NO_LOGPROBS,
    "top_logprobs": _NO_LOGPROBS,
    "stream_options": mapped("usage is always part of the stream"),
    "reasoning_effort": mapped("additionalModelRequestFields, in the form of the model's family", EFFORTS),
    "thinking": mapped("additionalModelRequestFields.thinking of Claude models"),
    "modalities": _TEXT_ONLY,
    "audio": _TEXT_ONLY,
    "prediction": unsupported("Bedrock has no predicted outputs"),
    "service_tier": mapped("serviceTier.type", SERVICE_TIERS),
    "store": unsupported("Bedrock stores no completions"),
    "metadata": mapped("requestMetadata"),
    "verbosity": unsupported("Bedrock has no verbosity; say it in the prompt"),
    "prompt_cache_key": _CACHE,
    "prompt_cache_retention": _CACHE,
    "prompt_cache_options": _CACHE,
    "safety_identifier": _NO_USER,
    "web_search_options": unsupported(
        'Bedrock has tools of its own: put {"type": "systemTool", "systemTool": {"name": "nova_grounding"}} into tools'
    ),
    "moderation": unsupported('Bedrock has guardrails instead: pass extra_body={"guardrailConfig": {...}}'),
}
