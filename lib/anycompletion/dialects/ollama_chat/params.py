"""Parameter support of Ollama's chat API: data only.

https://docs.ollama.com/api/chat
"""

from __future__ import annotations

from ...params import FUNCTION_CALLS, NATIVE, ParamSupport, ParamTable, unsupported
from ..shared import mapped

NAME = "ollama_chat"

_OPTION = mapped("options, under the same name")
_LIMIT = ParamSupport("mapped", minimum=1, note="options.num_predict, to which 0 is no limit")
_CACHE = unsupported("Ollama keeps the last prompt in its cache by itself; keep_alive in extra_body keeps the model")
_TEXT_ONLY = unsupported("Ollama's chat answers in text only")
_NO_USER = unsupported("Ollama takes no identifier of the user")

PARAMS: ParamTable = {
    "temperature": ParamSupport("mapped", minimum=0, note="options.temperature; by default the model's own, else 0.8"),
    "top_p": ParamSupport("mapped", minimum=0, maximum=1, note="options.top_p; by default the model's own, else 0.9"),
    "n": ParamSupport("fanned_out"),
    "stop": mapped("options.stop"),
    "max_tokens": _LIMIT,
    "max_completion_tokens": _LIMIT,
    "presence_penalty": _OPTION,
    "frequency_penalty": _OPTION,
    "logit_bias": unsupported("Ollama has no logit bias"),
    "user": _NO_USER,
    "functions": mapped("tools"),
    "function_call": ParamSupport(
        "mapped", values=FUNCTION_CALLS, note="none sends no tools; Ollama cannot demand a call"
    ),
    "tools": NATIVE,
    "tool_choice": ParamSupport(
        "mapped", values=("none", "auto"), note="none sends no tools; Ollama cannot demand a call"
    ),
    "parallel_tool_calls": unsupported("Ollama always allows several calls at once"),
    "response_format": mapped('format: "json", or the schema itself; describe the form in the prompt, too'),
    "seed": _OPTION,
    "logprobs": NATIVE,
    "top_logprobs": ParamSupport("native", minimum=0, maximum=20),
    "stream_options": mapped("usage is always part of the stream"),
    "reasoning_effort": ParamSupport(
        "mapped", values=("none", "low", "medium", "high", "max"), note="think: none is false, all others are its level"
    ),
    "thinking": mapped("think: enabled is true, disabled is false; there is no budget"),
    "modalities": _TEXT_ONLY,
    "audio": _TEXT_ONLY,
    "prediction": unsupported("Ollama has no predicted outputs"),
    "service_tier": unsupported("Ollama has no classes of service"),
    "store": unsupported("Ollama stores no completions"),
    "metadata": unsupported("Ollama takes no metadata"),
    "verbosity": unsupported("Ollama has no verbosity; say it in the prompt"),
    "prompt_cache_key": _CACHE,
    "prompt_cache_retention": _CACHE,
    "prompt_cache_options": _CACHE,
    "safety_identifier": _NO_USER,
    "web_search_options": unsupported("Ollama's chat searches no web; offer a tool that does"),
    "moderation": unsupported("Ollama has no moderation"),
}
