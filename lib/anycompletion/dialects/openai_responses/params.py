"""Parameter support of the Responses API: data only.

https://platform.openai.com/docs/api-reference/responses/create
"""

from __future__ import annotations

from ...params import FUNCTION_CALLS, NATIVE, TOOL_CHOICES, ParamSupport, ParamTable, unsupported
from ...records import PARAM_NAMES
from ..shared import mapped

NAME = "openai_responses"
PATH = "/responses"

_ONLY_CHAT = unsupported("only OpenAI's chat API has it, the Responses API does not")
_TEXT_ONLY = unsupported("OpenAI's Responses API answers in text only")
_LIMIT = ParamSupport("mapped", minimum=16, note="max_output_tokens")

PARAMS: ParamTable = {
    **dict.fromkeys(PARAM_NAMES, NATIVE),
    "temperature": ParamSupport("native", minimum=0, maximum=2),
    "top_p": ParamSupport("native", minimum=0, maximum=1),
    "n": ParamSupport("fanned_out"),
    **dict.fromkeys(("stop", "presence_penalty", "frequency_penalty", "logit_bias", "seed", "prediction"), _ONLY_CHAT),
    "max_tokens": _LIMIT,
    "max_completion_tokens": _LIMIT,
    "functions": mapped("tools"),
    "function_call": mapped("tool_choice", FUNCTION_CALLS),
    "tools": mapped("tools, without the inner object"),
    "tool_choice": mapped("tool_choice, without the inner object", TOOL_CHOICES),
    "response_format": mapped("text.format"),
    "verbosity": mapped("text.verbosity"),
    "logprobs": mapped("include: message.output_text.logprobs"),
    "top_logprobs": ParamSupport("native", minimum=0, maximum=20),
    "stream_options": mapped("usage is always part of the stream"),
    "reasoning_effort": mapped("reasoning.effort"),
    "thinking": unsupported("OpenAI has no thinking budget; use reasoning_effort"),
    "modalities": _TEXT_ONLY,
    "audio": _TEXT_ONLY,
    "web_search_options": mapped("tools: web_search"),
}
