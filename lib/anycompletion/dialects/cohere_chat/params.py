"""Parameter support of Cohere's v2 chat API: data only.

https://docs.cohere.com/reference/chat
"""

from __future__ import annotations

from ...params import FUNCTION_CALLS, NATIVE, TOOL_CHOICES, ParamSupport, ParamTable, unsupported
from ..shared import EFFORTS, mapped

NAME = "cohere_chat"

_PENALTY = ParamSupport("native", minimum=0, maximum=1, note="some models take only one of the two penalties")
_CACHE = unsupported("Cohere caches prompts by itself and has no options for it")
_TEXT_ONLY = unsupported("Cohere answers in text only")

PARAMS: ParamTable = {
    "temperature": ParamSupport("native", minimum=0),
    "top_p": ParamSupport(
        "mapped", minimum=0.01, maximum=0.99, note="p; leave it out instead of passing 1 (Cohere's own default is 0.75)"
    ),
    "n": ParamSupport("fanned_out"),
    "stop": ParamSupport("mapped", max_items=5, note="stop_sequences"),
    "max_tokens": NATIVE,
    "max_completion_tokens": mapped("max_tokens"),
    "presence_penalty": _PENALTY,
    "frequency_penalty": _PENALTY,
    "logit_bias": unsupported("Cohere has no logit bias"),
    "user": unsupported("Cohere takes no identifier of the user"),
    "functions": mapped("tools"),
    "function_call": mapped("tool_choice", FUNCTION_CALLS),
    "tools": NATIVE,
    "tool_choice": mapped("tool_choice: REQUIRED or NONE; a named tool is sent alone with REQUIRED", TOOL_CHOICES),
    "parallel_tool_calls": unsupported("Cohere always allows several calls at once"),
    "response_format": mapped("response_format: json_object, with the schema itself as json_schema"),
    "seed": NATIVE,
    "logprobs": NATIVE,
    "top_logprobs": unsupported("Cohere returns the probabilities of the chosen tokens only: pass logprobs=True"),
    "stream_options": mapped("usage is always part of the stream"),
    "reasoning_effort": mapped("thinking: none disables it, all others enable it; there are no levels", EFFORTS),
    "thinking": mapped("thinking, with budget_tokens as token_budget"),
    "modalities": _TEXT_ONLY,
    "audio": _TEXT_ONLY,
    "prediction": unsupported("Cohere has no predicted outputs"),
    "service_tier": unsupported('Cohere has a number instead: pass extra_body={"priority": 0}'),
    "store": unsupported("Cohere stores no completions for later"),
    "metadata": unsupported("Cohere takes no metadata"),
    "verbosity": unsupported("Cohere has no verbosity; say it in the prompt"),
    "prompt_cache_key": _CACHE,
    "prompt_cache_retention": _CACHE,
    "prompt_cache_options": _CACHE,
    "safety_identifier": unsupported("Cohere takes no identifier of the user"),
    "web_search_options": unsupported("Cohere's v2 chat searches no web; offer a tool that does"),
    "moderation": unsupported('Cohere has safety modes instead: pass extra_body={"safety_mode": "STRICT"}'),
}
