"""Chat-completion requests: the record, its parameters' names, and their types for keyword arguments.

Annotations are no strings here, as in `options`.
"""

import operator
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

import attrs
from attrs import define, field

from ..errors import InvalidRequestError
from ..options import CallOptions
from .base import JsonObject, Record, hidden
from .messages import Messages
from .tool_definitions import FunctionDefinition, Tool, ToolLike, tool_definitions

if TYPE_CHECKING:

    def _optional_tools(tools: Sequence[ToolLike] | None) -> Sequence[Tool | Mapping[str, Any]] | None: ...
else:
    # By attrs, which takes a request without tools through none of the package's functions.
    _optional_tools = attrs.converters.optional(tool_definitions)


# Assigned values are converted when the request is validated: attrs would make each assignment a call.
@define(repr=False, eq=False, on_setattr=attrs.setters.NO_OP)
class ChatRequest(Record):
    """Chat-completion request: OpenAI's fields and `custom_id` for batches. No field contains a key.

    `extra_body` has the fields of a single provider; they are merged into the body unchanged.
    """

    model: str
    """``provider/model``."""
    messages: Messages
    """The conversation, or one user message as text."""
    temperature: float | None = field(default=None, kw_only=True)
    top_p: float | None = field(default=None, kw_only=True)
    n: int | None = field(default=None, kw_only=True)
    stop: str | Sequence[str] | None = field(default=None, kw_only=True)
    max_tokens: int | None = field(default=None, kw_only=True)
    max_completion_tokens: int | None = field(default=None, kw_only=True)
    presence_penalty: float | None = field(default=None, kw_only=True)
    frequency_penalty: float | None = field(default=None, kw_only=True)
    logit_bias: Mapping[str, float] | Mapping[int, float] | None = field(default=None, kw_only=True)
    user: str | None = field(default=None, kw_only=True)
    functions: Sequence[FunctionDefinition | Mapping[str, Any]] | None = field(default=None, kw_only=True)
    function_call: str | Mapping[str, Any] | None = field(default=None, kw_only=True)
    tools: Sequence[Tool | Mapping[str, Any]] | None = field(default=None, kw_only=True, converter=_optional_tools)
    tool_choice: str | Mapping[str, Any] | None = field(default=None, kw_only=True)
    parallel_tool_calls: bool | None = field(default=None, kw_only=True)
    response_format: Mapping[str, Any] | None = field(default=None, kw_only=True)
    seed: int | None = field(default=None, kw_only=True)
    logprobs: bool | int | None = field(default=None, kw_only=True)
    top_logprobs: int | None = field(default=None, kw_only=True)
    stream_options: Mapping[str, Any] | None = field(default=None, kw_only=True)
    reasoning_effort: str | None = field(default=None, kw_only=True)
    thinking: Mapping[str, Any] | None = field(default=None, kw_only=True)
    modalities: Sequence[str] | None = field(default=None, kw_only=True)
    audio: Mapping[str, Any] | None = field(default=None, kw_only=True)
    prediction: Mapping[str, Any] | None = field(default=None, kw_only=True)
    service_tier: str | None = field(default=None, kw_only=True)
    store: bool | None = field(default=None, kw_only=True)
    metadata: Mapping[str, str] | None = field(default=None, kw_only=True)
    verbosity: str | None = field(default=None, kw_only=True)
    prompt_cache_key: str | None = field(default=None, kw_only=True)
    prompt_cache_retention: str | None = field(default=None, kw_only=True)
    prompt_cache_options: Mapping[str, Any] | None = field(default=None, kw_only=True)
    safety_identifier: str | None = field(default=None, kw_only=True)
    web_search_options: Mapping[str, Any] | None = field(default=None, kw_only=True)
    moderation: Mapping[str, Any] | None = field(default=None, kw_only=True)
    extra_body: Mapping[str, Any] | None = field(default=None, kw_only=True)
    """Fields of the JSON body that only the provider knows."""
    custom_id: str | None = field(default=None, kw_only=True)
    """Id of the request in a batch; it is not sent."""
    reply_schema: Mapping[str, Any] | None = hidden(default=None, repr=False, kw_only=True)
    """What a typed call over a route asks for, in the form of no provider, so that each target is asked in its own. It
    is not sent."""
    preferred_target: str | None = hidden(default=None, repr=False, kw_only=True)
    """Name of the route's target that is visited first while it can be. It is not sent."""
    _given: dict[str, Any] | None = hidden(default=None, init=False, repr=False)
    """The result of `given`, while the fields cannot have changed since."""

    if not TYPE_CHECKING:
        __iter__ = None  # a request is no list of requests, and `batch` should refuse it

    def given(self) -> dict[str, Any]:
        """The wire parameters with a value, by name."""
        if self._given is not None:
            return self._given
        values = _params(self)
        if values == _NONE_GIVEN:
            return {}
        return {name: value for name, value in zip(PARAM_NAMES, values, strict=True) if value is not None}

    def cache_given(self, given: dict[str, Any]) -> None:
        """Sets the result of `given`, for a request that is encoded before other code can change it."""
        self._given = given

    def __repr__(self) -> str:
        # Without the prompt, because logs and tracebacks with locals show reprs.
        messages = "text" if isinstance(self.messages, str) else f"{len(self.messages)} messages"
        given = [name for name in PARAM_NAMES if getattr(self, name) is not None]
        return f"<ChatRequest {self.model!r}: {messages}{''.join(', ' + name for name in given)}>"

    def to_dict(self) -> JsonObject:
        """OpenAI's request body; `extra_body` is merged in, `custom_id` is left out."""
        out = super().to_dict()
        out.pop("custom_id", None)
        out.update(out.pop("extra_body", {}))
        if isinstance(self.messages, str):
            out["messages"] = [{"role": "user", "content": self.messages}]
        return out

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, custom_id: str | None = None) -> "ChatRequest":
        """A request from OpenAI's body; unknown fields go to `extra_body`, `stream` is left out.

        Raises:
            InvalidRequestError: a name of a call option, such as `api_key`, which no provider may get as a field.
        """
        if refused := next((name for name in data if name in _NO_FIELDS), None):
            raise InvalidRequestError(f"{refused}: is an option of the call, no field of the request", param=refused)
        known = {name: value for name, value in data.items() if name in _REQUEST}
        unknown = {name: value for name, value in data.items() if name not in _REQUEST and name != "stream"}
        return cls(**known, extra_body=unknown or None, custom_id=custom_id)


PARAM_NAMES: tuple[str, ...] = tuple(
    attribute.name
    for attribute in attrs.fields(ChatRequest)
    if attribute.name not in ("model", "messages", "extra_body", "custom_id") and not attribute.metadata.get("hidden")
)
"""Names of the wire parameters, in the order of the record's fields."""

_params = operator.attrgetter(*PARAM_NAMES)
_NONE_GIVEN = (None,) * len(PARAM_NAMES)

_REQUEST = frozenset(("model", "messages", *PARAM_NAMES))

_NO_FIELDS = frozenset(CallOptions.__annotations__) - {"provider", "extra_body", "project"}
"""Call options that are no provider's field, unlike OpenRouter's `provider`."""


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
