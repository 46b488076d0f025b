"""Parameter support of Replicate's predictions API: data only.

https://replicate.com/docs/reference/http

Which parameters a model accepts, and in which range, depends on its input schema, which only the encoder knows.
"""

from __future__ import annotations

from ...params import ParamSupport, ParamTable, unsupported

NAME = "replicate_predictions"

TOKEN_LIMITS = ("max_completion_tokens", "max_tokens", "max_new_tokens", "max_length")
"""Names of a model's token limit; the first one in its schema is used."""
STOPS = ("stop_sequences", "stop")
"""Names of a model's stop sequences; the first one in its schema is used."""

_BY_MODEL = ParamSupport("native", note="where the model's input has it")
_LIMIT = ParamSupport("mapped", note="the first the model has of " + ", ".join(TOKEN_LIMITS))
_NO_TOOLS = unsupported("Replicate's models take no tools")
_NO_LOGPROBS = unsupported("Replicate gives no log probabilities")
_TEXT_ONLY = unsupported("a prediction answers in text only")
_NO_CACHE = unsupported("Replicate has no prompt cache")
_NO_USER = unsupported("Replicate takes no name of the user")

PARAMS: ParamTable = {
    "temperature": _BY_MODEL,
    "top_p": _BY_MODEL,
    "n": ParamSupport("fanned_out"),
    "stop": ParamSupport("mapped", note="stop_sequences, joined with commas, where the model's input has it"),
    "max_tokens": _LIMIT,
    "max_completion_tokens": _LIMIT,
    "presence_penalty": _BY_MODEL,
    "frequency_penalty": _BY_MODEL,
    "logit_bias": unsupported("Replicate's models have no logit bias"),
    "user": _NO_USER,
    "functions": _NO_TOOLS,
    "function_call": _NO_TOOLS,
    "tools": _NO_TOOLS,
    "tool_choice": _NO_TOOLS,
    "parallel_tool_calls": _NO_TOOLS,
    "response_format": unsupported("Replicate's models promise no format; say it in the prompt"),
    "seed": _BY_MODEL,
    "logprobs": _NO_LOGPROBS,
    "top_logprobs": _NO_LOGPROBS,
    "stream_options": ParamSupport("mapped", note="usage is asked for after every stream"),
    "reasoning_effort": _BY_MODEL,
    "thinking": unsupported("models name it each in their own way: pass the model's field in extra_body"),
    "modalities": _TEXT_ONLY,
    "audio": _TEXT_ONLY,
    "prediction": unsupported("Replicate has no predicted outputs"),
    "service_tier": unsupported("Replicate has no service tiers; a deployment is what comes close"),
    "store": unsupported("Replicate deletes predictions of the API after an hour"),
    "metadata": unsupported("Replicate keeps no metadata"),
    "verbosity": _BY_MODEL,
    "prompt_cache_key": _NO_CACHE,
    "prompt_cache_retention": _NO_CACHE,
    "prompt_cache_options": _NO_CACHE,
    "safety_identifier": _NO_USER,
    "web_search_options": unsupported("Replicate has no web search"),
    "moderation": unsupported("Replicate has no moderation beside its models"),
}
