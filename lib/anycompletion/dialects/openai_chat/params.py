"""Parameter support of OpenAI's chat completions API, and the fields that are added to requests: data only.

https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...params import FUNCTION_CALLS, NATIVE, TOOL_CHOICES, ParamSupport, ParamTable, unsupported
from ...records import PARAM_NAMES

NAME = "openai_chat"
PATH = "/chat/completions"

STREAM_DEFAULTS: Mapping[str, Any] = {"stream_options": {"include_usage": True}}
"""Fields that are added to the body of streams, unless the caller set them: a stream's usage is free."""

PARAMS: ParamTable = {
    **dict.fromkeys(PARAM_NAMES, NATIVE),
    "temperature": ParamSupport("native", minimum=0, maximum=2),
    "top_p": ParamSupport("native", minimum=0, maximum=1),
    "n": ParamSupport("native", minimum=1, maximum=128),
    "stop": ParamSupport("native", max_items=4),
    "max_tokens": ParamSupport("native", minimum=1),
    "max_completion_tokens": ParamSupport("native", minimum=1),
    "presence_penalty": ParamSupport("native", minimum=-2, maximum=2),
    "frequency_penalty": ParamSupport("native", minimum=-2, maximum=2),
    "top_logprobs": ParamSupport("native", minimum=0, maximum=20),
    "tool_choice": ParamSupport("native", values=TOOL_CHOICES),
    "function_call": ParamSupport("native", values=FUNCTION_CALLS),
    "thinking": unsupported("OpenAI has no thinking budget; use reasoning_effort"),
}
