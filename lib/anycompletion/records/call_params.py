"""Types of the keyword arguments of calls, for functions that pass them on.

Annotations are no strings here, as in `options`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from ..options import CallOptions
from .tool_definitions import FunctionDefinition, ToolLike


class SharedParams(TypedDict, total=False):
    """The parameters that every kind of call has."""

    temperature: float | None
    """Randomness of the sampling; 0 takes the likeliest tokens."""
    top_p: float | None
    """Nucleus sampling: the share of probability from which tokens are taken, 0 to 1."""
    stop: str | Sequence[str] | None
    """Text, or texts, before which the reply ends."""
    max_tokens: int | None
    """Maximum tokens of the reply."""
    max_completion_tokens: int | None
    """Maximum tokens of the reply, reasoning included: OpenAI's newer name of `max_tokens`."""
    presence_penalty: float | None
    """How much less likely a token becomes once it has occurred."""
    frequency_penalty: float | None
    """How much less likely a token becomes with each occurrence."""
    logit_bias: Mapping[str, float] | Mapping[int, float] | None
    """Token id → bias from -100 to 100, added to its logit."""
    user: str | None
    """Id of your end user; OpenAI replaces it by `safety_identifier` and `prompt_cache_key`."""
    seed: int | None
    """Number with which equal requests are sampled alike, as far as the provider can."""
    logprobs: bool | int | None
    """Whether the reply has the log probabilities of its tokens."""
    top_logprobs: int | None
    """Number of alternative tokens with their log probabilities at each place."""
    stream_options: Mapping[str, Any] | None
    """Options of a stream. ``{"include_usage": True}`` is the default, where the server has it."""
    reasoning_effort: str | None
    """How much the model reasons: "none", "minimal", "low", "medium", "high" and others of the provider."""
    thinking: Mapping[str, Any] | None
    """Anthropic's and LiteLLM's form of reasoning: ``{"type": "enabled", "budget_tokens": 2048}``."""
    modalities: Sequence[str] | None
    """Kinds of output: ``["text"]``, ``["text", "audio"]``."""
    audio: Mapping[str, Any] | None
    """Voice and format of a reply with audio."""
    prediction: Mapping[str, Any] | None
    """Text that the reply will mostly repeat, such as a file that is edited."""
    service_tier: str | None
    """Class of service, which may differ in price: "auto", "default", "flex", "priority" and others."""
    store: bool | None
    """Whether the provider stores the reply."""
    metadata: Mapping[str, str] | None
    """Texts that the provider stores with the reply."""
    verbosity: str | None
    """Length of the reply: "low", "medium" or "high"."""
    prompt_cache_key: str | None
    """Key by which the provider finds cached prompts."""
    prompt_cache_retention: str | None
    """How long the provider keeps a cached prompt, such as "24h"."""
    prompt_cache_options: Mapping[str, Any] | None
    """OpenAI's options of prompt caching."""
    safety_identifier: str | None
    """Id of your end user, for the provider's detection of abuse."""
    web_search_options: Mapping[str, Any] | None
    """Options of the provider's own web search."""
    moderation: Mapping[str, Any] | None
    """OpenAI's options of moderation."""


class Params(SharedParams, total=False):
    """Parameters of OpenAI's chat-completion request, and `thinking` (LiteLLM's name). None is as if left out.

    Their values: https://platform.openai.com/docs/api-reference/chat/create. `supported_params(model)` returns what a
    provider does with each.

    * Sampling: `temperature`, `top_p`, `presence_penalty`, `frequency_penalty`, `logit_bias`, `seed`, `n`
    * Length: `max_tokens`, `max_completion_tokens`, `stop`, `verbosity`
    * Tools: `tools`, `tool_choice`, `parallel_tool_calls`, `functions`, `function_call`, `web_search_options`
    * Form: `response_format`, `modalities`, `audio`, `prediction`, `logprobs`, `top_logprobs`, `stream_options`
    * Reasoning: `reasoning_effort`, `thinking`
    * Account: `user`, `safety_identifier`, `service_tier`, `store`, `metadata`, `moderation`, `prompt_cache_key`,
      `prompt_cache_retention`, `prompt_cache_options`
    """

    n: int | None
    """Number of choices; 1 where it is left out."""
    functions: Sequence[FunctionDefinition | Mapping[str, Any]] | None
    """Functions that the model may call: the form that `tools` replaces."""
    function_call: str | Mapping[str, Any] | None
    """The function to call, or "none" or "auto": the form that `tool_choice` replaces."""
    tools: Sequence[ToolLike] | None
    """Tools that the model may call: `FunctionTool`s, dicts in OpenAI's form, or functions, for their definition."""
    tool_choice: str | Mapping[str, Any] | None
    """The tool to call, in OpenAI's form, or "none", "auto" or "required"."""
    parallel_tool_calls: bool | None
    """Whether one reply may call several tools."""
    response_format: Mapping[str, Any] | None
    """Form of the reply: ``{"type": "json_schema", "json_schema": {"name": ..., "schema": {...}}}``."""


class CreateParams(Params, CallOptions, total=False):
    """Keyword arguments of `create` besides model, messages and stream."""


class ParseParams(SharedParams, CallOptions, total=False):
    """Keyword arguments of `parse` besides model, messages and its own: those of `create`, but for tools and
    `response_format`, which `parse` sets."""

    n: int | None
    """Number of choices; 1 where it is left out."""
