"""Chunks of streamed replies, as msgspec Structs in OpenAI's exact shape.

A chunk keeps the bytes of the provider's event. `.raw` decodes them at its first use, so fields that this package does
not know are never lost and cost nothing.

Annotations are no strings here: msgspec would evaluate each of them, which takes time of a process's first call.
"""

from typing import Any, Self

import msgspec

from ..codecs.lenient import (
    as_list,
    as_object,
    as_optional_object,
    as_optional_str,
    loads,
    optional_int,
    optional_object,
    optional_objects,
    optional_str,
    unknown_fields,
)
from .base import JsonObject, plain
from .completion import Usage
from .logprobs import Logprobs


class FunctionDelta(msgspec.Struct, gc=False, omit_defaults=True):
    """Fragment of a function call: the name comes once, `arguments` are appended."""

    name: str | None = None
    arguments: str | None = None


class CustomDelta(msgspec.Struct, gc=False, omit_defaults=True):
    """Fragment of a custom tool call: the name comes once, `input` is appended."""

    name: str | None = None
    input: str | None = None


class ToolCallDelta(msgspec.Struct, gc=False, omit_defaults=True):
    """Fragment of the tool call number `index`; id, type and name come once."""

    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: FunctionDelta | None = None
    custom: CustomDelta | None = None


class Delta(msgspec.Struct, gc=False, omit_defaults=True):
    """Fragment of the message of one choice."""

    role: str | None = None
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCallDelta] | None = None
    function_call: FunctionDelta | None = None
    audio: JsonObject | None = None
    annotations: list[JsonObject] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    """Another name of `reasoning_content`, used by some OpenAI-compatible servers; decoders move it there."""
    thinking_blocks: list[JsonObject] | None = None
    """Fragments of Anthropic's thinking blocks; each has the `index` of its block."""
    reasoning_details: list[JsonObject] | None = None
    provider_specific_fields: JsonObject | None = None


class ChunkChoice(msgspec.Struct, gc=False):
    """Fragment of one choice."""

    index: int = 0
    delta: Delta = msgspec.field(default_factory=Delta)
    finish_reason: str | None = None
    logprobs: Logprobs | None = None
    native_finish_reason: str | None = None
    extra: JsonObject | None = msgspec.field(default=None, name="anycompletion:extra")
    """Fields of the choice beyond OpenAI's; the accumulator merges them into `Choice.extra`."""
    content_filter_results: JsonObject | None = None
    """Results of Azure's content filter for this choice so far."""


class ChatCompletionChunk(msgspec.Struct, gc=False, eq=False):
    """Chunk of a streamed reply."""

    id: str = ""
    choices: list[ChunkChoice] = msgspec.field(default_factory=list[ChunkChoice])
    created: int = 0
    model: str = ""
    object: str = "chat.completion.chunk"
    usage: Usage | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    prompt_filter_results: list[JsonObject] | None = None
    """Results of Azure's content filter for the prompt."""
    native: Any = msgspec.field(default=None, name="anycompletion:native")
    """Data of the provider's event: bytes of JSON, or text; `raw` decodes it."""
    _error: Any = msgspec.field(default=None, name="error")
    """Set only while an event is decoded. It is a field, because searching the bytes for it takes half as long as
    decoding them."""

    @property
    def raw(self) -> Any:
        """The data of the provider's event: decoded JSON, or text; None if there is none."""
        data: Any = self.native
        if not isinstance(data, bytes):
            return data
        try:
            return msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return loads(data)

    def __eq__(self, other: Any) -> bool:
        if not isinstance(other, ChatCompletionChunk):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in _COMPARED)

    __hash__ = None  # type: ignore[assignment]  # mutable, like every Struct with eq

    def __repr__(self) -> str:
        return f"ChatCompletionChunk({', '.join(f'{name}={getattr(self, name)!r}' for name in (*_COMPARED, 'native'))})"

    def to_dict(self) -> JsonObject:
        """OpenAI's JSON for this chunk."""
        out: JsonObject = {
            "id": self.id,
            "object": self.object,
            "created": self.created,
            "model": self.model,
            "choices": [_choice_dict(choice) for choice in self.choices],
        }
        for name in ("service_tier", "system_fingerprint", "prompt_filter_results"):
            value = getattr(self, name)
            if value is not None:
                out[name] = value
        if self.usage is not None:
            out["usage"] = self.usage.to_dict()
        return out

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Reads OpenAI's JSON leniently: null counts as missing, and missing fields get their defaults.

        Raises:
            ShapeError: a field has a wrong type; the text names its path.
        """
        source = as_object(data, "chunk")
        usage = optional_object(source.get("usage"))
        choices = as_list(source.get("choices"), "choices")
        return cls(
            optional_str(source.get("id")) or "",
            [_choice(item, f"choices[{i}]") for i, item in enumerate(choices)],
            optional_int(source.get("created")) or 0,
            optional_str(source.get("model")) or "",
            optional_str(source.get("object")) or "chat.completion.chunk",
            None if usage is None else Usage.from_dict(usage),
            optional_str(source.get("service_tier")),
            optional_str(source.get("system_fingerprint")),
            optional_objects(source.get("prompt_filter_results")),
        )


_CHOICE = frozenset(("index", "delta", "finish_reason", "logprobs", "native_finish_reason", "content_filter_results"))
_CHOICE_BUT_LOGPROBS = _CHOICE - {"logprobs"}
_COMPARED = tuple(name for name in ChatCompletionChunk.__struct_fields__ if name not in ("native", "_error"))


def _choice_dict(choice: ChunkChoice) -> JsonObject:
    out: JsonObject = {
        "index": choice.index,
        "delta": msgspec.to_builtins(choice.delta),
        "finish_reason": choice.finish_reason,
        "logprobs": plain(choice.logprobs),
    }
    for name in ("native_finish_reason", "content_filter_results"):
        value = getattr(choice, name)
        if value is not None:
            out[name] = value
    return out if choice.extra is None else out | choice.extra


def _choice(value: object, path: str) -> ChunkChoice:
    source = as_object(value, path)
    logprobs = optional_object(source.get("logprobs"))
    known = _CHOICE_BUT_LOGPROBS if logprobs is None and source.get("logprobs") is not None else _CHOICE
    return ChunkChoice(
        optional_int(source.get("index")) or 0,
        _delta(source.get("delta") or {}, f"{path}.delta"),
        optional_str(source.get("finish_reason")),
        None if logprobs is None else Logprobs.from_dict(logprobs),
        optional_str(source.get("native_finish_reason")),
        unknown_fields(source, known) or None,
        optional_object(source.get("content_filter_results")),
    )


def _delta(value: object, path: str) -> Delta:
    source = as_object(value, path)
    calls = source.get("tool_calls")
    function_call = as_optional_object(source.get("function_call"), f"{path}.function_call")
    return Delta(
        role=optional_str(source.get("role")),
        content=as_optional_str(source.get("content")),
        refusal=as_optional_str(source.get("refusal")),
        tool_calls=[
            _call(item, f"{path}.tool_calls[{i}]") for i, item in enumerate(as_list(calls, f"{path}.tool_calls"))
        ]
        if calls
        else None,
        function_call=None if function_call is None else _function(function_call),
        audio=optional_object(source.get("audio")),
        annotations=optional_objects(source.get("annotations")),
        reasoning_content=as_optional_str(source.get("reasoning_content")),
        reasoning=as_optional_str(source.get("reasoning")),
        thinking_blocks=optional_objects(source.get("thinking_blocks")),
        reasoning_details=optional_objects(source.get("reasoning_details")),
        provider_specific_fields=optional_object(source.get("provider_specific_fields")),
    )


def _call(value: object, path: str) -> ToolCallDelta:
    source = as_object(value, path)
    function = as_optional_object(source.get("function"), f"{path}.function")
    custom = as_optional_object(source.get("custom"), f"{path}.custom")
    return ToolCallDelta(
        optional_int(source.get("index")),
        optional_str(source.get("id")),
        optional_str(source.get("type")),
        None if function is None else _function(function),
        None
        if custom is None
        else CustomDelta(
            optional_str(custom.get("name")),
            as_optional_str(custom.get("input")),
        ),
    )


def _function(source: JsonObject) -> FunctionDelta:
    return FunctionDelta(
        as_optional_str(source.get("name")),
        as_optional_str(source.get("arguments")),
    )
