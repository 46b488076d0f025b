"""The dialect's column of the parameter table; holds no behaviour.

https://docs.cohere.com/reference/chat
"""

from ...params import FUNCTION_CALLS, NATIVE, TOOL_CHOICES, ParamSupport, ParamTable, unsupported

NAME = "cohere_chat"

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


def _mapped(note: str, values: tuple[str, ...] | None = None) -> ParamSupport:
    return ParamSupport("mapped", note=note, values=values)


_PENALTY = ParamSupport("native", minimum=0, maximum=1, note="some models take only one of the two penalties")
_CACHE = unsupported("Cohere caches prompts by itself and takes no wishes about it")
_TEXT_ONLY = unsupported("Cohere answers in text only")

PARAMS: ParamTable = {
    "temperature": ParamSupport("native", minimum=0),
    "top_p": ParamSupport(
        "mapped", minimum=0.01, maximum=0.99, note="p; leave it out instead of passing 1 (Cohere's own default is 0.75)"
    ),
    "n": ParamSupport("fanned_out"),
    "stop": ParamSupport("mapped", max_items=5, note="stop_sequences"),
    "max_tokens": NATIVE,
    "max_completion_tokens": _mapped("max_tokens"),
    "presence_penalty": _PENALTY,
    "frequency_penalty": _PENALTY,
    "logit_bias": unsupported("Cohere has no logit bias"),
    "user": unsupported("Cohere takes no identifier of the user"),
    "functions": _mapped("tools"),
    "function_call": _mapped("tool_choice", FUNCTION_CALLS),
    "tools": NATIVE,
    "tool_choice": _mapped("tool_choice: REQUIRED or NONE; a named tool is sent alone with REQUIRED", TOOL_CHOICES),
    "parallel_tool_calls": unsupported("Cohere always allows several calls at once"),
    "response_format": _mapped("response_format: json_object, with the schema itself as json_schema"),
    "seed": NATIVE,
    "logprobs": NATIVE,
    "top_logprobs": unsupported(
        "Cohere tells the probabilities of the tokens it chose and of no others: pass logprobs=True"
    ),
    "stream_options": _mapped("usage is always part of the stream"),
    "reasoning_effort": _mapped("thinking: none switches it off, all others on; there are no levels", EFFORTS),
    "thinking": _mapped("thinking, with budget_tokens as token_budget"),
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
