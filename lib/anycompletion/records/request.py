"""Chat-completion requests: the record, and its parameters' names."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

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
    def from_dict(cls, data: Mapping[str, Any], *, custom_id: str | None = None) -> ChatRequest:
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
