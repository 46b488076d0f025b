"""The dialect's column of the parameter table; holds no behaviour.

https://docs.cohere.com/reference/chat
"""

from ...options import FUNCTION_CALLS, NATIVE, TOOL_CHOICES, Cell, Table, refused

NAME = "cohere_chat"

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


def _mapped(note: str, values: tuple[str, ...] | None = None) -> Cell:
    return Cell("mapped", note=note, values=values)


_PENALTY = Cell("native", minimum=0, maximum=1, note="some models take only one of the two penalties")
_CACHE = refused("Cohere caches prompts by itself and takes no wishes about it")
_TEXT_ONLY = refused("Cohere answers in text only")

PARAMS: Table = {
    "temperature": Cell("native", minimum=0),
    "top_p": Cell(
        "mapped", minimum=0.01, maximum=0.99, note="p; leave it out instead of passing 1 (Cohere's own default is 0.75)"
    ),
    "n": Cell("fanned_out"),
    "stop": Cell("mapped", max_items=5, note="stop_sequences"),
    "max_tokens": NATIVE,
    "max_completion_tokens": _mapped("max_tokens"),
    "presence_penalty": _PENALTY,
    "frequency_penalty": _PENALTY,
    "logit_bias": refused("Cohere has no logit bias"),
    "user": refused("Cohere takes no identifier of the user"),
    "functions": _mapped("tools"),
    "function_call": _mapped("tool_choice", FUNCTION_CALLS),
    "tools": NATIVE,
    "tool_choice": _mapped("tool_choice: REQUIRED or NONE; a named tool is sent alone with REQUIRED", TOOL_CHOICES),
    "parallel_tool_calls": refused("Cohere always allows several calls at once"),
    "response_format": _mapped("response_format: json_object, with the schema itself as json_schema"),
    "seed": NATIVE,
    "logprobs": NATIVE,
    "top_logprobs": refused(
        "Cohere tells the probabilities of the tokens it chose and of no others: pass logprobs=True"
    ),
    "stream_options": _mapped("usage is always part of the stream"),
    "reasoning_effort": _mapped("thinking: none switches it off, all others on; there are no levels", EFFORTS),
    "thinking": _mapped("thinking, with budget_tokens as token_budget"),
    "modalities": _TEXT_ONLY,
    "audio": _TEXT_ONLY,
    "prediction": refused("Cohere has no predicted outputs"),
    "service_tier": refused('Cohere has a number instead: pass extra_body={"priority": 0}'),
    "store": refused("Cohere stores no completions for later"),
    "metadata": refused("Cohere takes no metadata"),
    "verbosity": refused("Cohere has no verbosity; say it in the prompt"),
    "prompt_cache_key": _CACHE,
    "prompt_cache_retention": _CACHE,
    "prompt_cache_options": _CACHE,
    "safety_identifier": refused("Cohere takes no identifier of the user"),
    "web_search_options": refused("Cohere's v2 chat searches no web; offer a tool that does"),
    "moderation": refused('Cohere has safety modes instead: pass extra_body={"safety_mode": "STRICT"}'),
}
