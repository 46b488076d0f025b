"""Chunks of streamed replies, as msgspec Structs in OpenAI's exact shape.

A chunk keeps the bytes of the provider's event, which `.raw` decodes at its first use. Fields that OpenAI does not
document are in `extra` of the chunk, the choice, the delta or the tool call, except nulls, and except OpenAI's
`obfuscation`, which is padding. `to_dict()` writes them back to their places.

The classes refuse unknown fields when msgspec decodes into them, so that a decoder learns whether a chunk has any;
`from_dict` reads all.

Annotations are no strings here: msgspec would evaluate each of them, which takes time of a process's first call.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Self

import msgspec

from ..codecs.lenient import (
    ShapeError,
    as_list,
    as_object,
    as_optional_str,
    loads,
    optional_int,
    optional_object,
    optional_objects,
    optional_str,
)
from .base import JsonObject, ModelMethods, plain
from .completion import Usage
from .logprobs import Logprobs

_REPR_LIMIT = 120
"""Characters of a chunk's repr."""

_EXTRA = "anycompletion:extra"
"""Name of `extra` in msgspec's output; no server's field has it."""

_ONLY_TEXT = "anycompletion:only_text"


class FunctionDelta(msgspec.Struct, gc=False, omit_defaults=True, repr_omit_defaults=True):
    """Fragment of a function call: the name comes once, `arguments` are appended."""

    name: str | None = None
    arguments: str | None = None


class CustomDelta(msgspec.Struct, gc=False, omit_defaults=True, repr_omit_defaults=True):
    """Fragment of a custom tool call: the name comes once, `input` is appended."""

    name: str | None = None
    input: str | None = None


class ToolCallDelta(msgspec.Struct, gc=False, omit_defaults=True, forbid_unknown_fields=True, repr_omit_defaults=True):
    """Fragment of the tool call number `index`; id, type and name come once."""

    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: FunctionDelta | None = None
    custom: CustomDelta | None = None
    extra: JsonObject | None = msgspec.field(default=None, name=_EXTRA)
    """Fields of the tool call beyond OpenAI's, such as `extra_content` (Gemini's thought signature)."""


class Delta(msgspec.Struct, gc=False, omit_defaults=True, forbid_unknown_fields=True, repr_omit_defaults=True):
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
    extra: JsonObject | None = msgspec.field(default=None, name=_EXTRA)
    """Fields of the delta beyond those above, such as `images`."""


def tool_call_delta(number: int, function: FunctionDelta, call_id: str | None, *, legacy: bool) -> Delta | None:
    """The delta of a tool call, which begins with `call_id`; in the legacy form None for all calls but the first.

    The legacy form has a place for one call.
    """
    if legacy:
        return Delta(function_call=function) if number == 0 else None
    return Delta(tool_calls=[ToolCallDelta(number, call_id, None if call_id is None else "function", function)])


class ChunkChoice(msgspec.Struct, gc=False, omit_defaults=True, forbid_unknown_fields=True, repr_omit_defaults=True):
    """Fragment of one choice."""

    index: int = 0
    delta: Delta = msgspec.field(default_factory=Delta)
    finish_reason: str | None = None
    logprobs: Logprobs | None = None
    native_finish_reason: str | None = None
    extra: JsonObject | None = msgspec.field(default=None, name=_EXTRA)
    """Fields of the choice beyond OpenAI's."""
    content_filter_results: JsonObject | None = None
    """Results of Azure's content filter for this choice so far."""
    paused: bool = False
    # Null in every chunk of vLLM or SGLang: declared, so that such a chunk is decoded in one step. Other values do not
    # fit the type, and are read into `extra`.
    _stop_reason: None = msgspec.field(default=None, name="stop_reason")
    _matched_stop: None = msgspec.field(default=None, name="matched_stop")
    _token_ids: None = msgspec.field(default=None, name="token_ids")


class ChatCompletionChunk(
    ModelMethods, msgspec.Struct, gc=False, eq=False, omit_defaults=True, forbid_unknown_fields=True
):
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
    extra: JsonObject | None = msgspec.field(default=None, name=_EXTRA)
    """Fields of the chunk beyond OpenAI's, such as `provider` and `citations`."""
    native: Any = msgspec.field(default=None, name="anycompletion:native")
    """Data of the provider's event: bytes of JSON, or text; `raw` decodes it."""
    _error: Any = msgspec.field(default=None, name="error")
    """Set only while an event is decoded. It is a field, because searching the bytes for it takes half as long as
    decoding them."""
    _obfuscation: Any = msgspec.field(default=None, name="obfuscation")
    _only_text: Annotated[str, msgspec.Meta(max_length=0)] | None = msgspec.field(default=None, name=_ONLY_TEXT)
    """The text of the one choice, set by a decoder that knows that the chunk has nothing else. The first accumulator
    takes it away, because readers may change the chunk. No server can set it: it would have to be empty."""

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
        # One short line, because people print chunks in a loop; `to_dict()` has all fields.
        parts = [repr(self.model), *(f"{choice.index}: {_brief(choice)}" for choice in self.choices)]
        if self.usage is not None:
            parts.append(f"usage {self.usage.prompt_tokens}+{self.usage.completion_tokens}")
        text = f"<ChatCompletionChunk {', '.join(parts)}>"
        return text if len(text) <= _REPR_LIMIT else f"{text[: _REPR_LIMIT - 2]}…>"

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
        return out if self.extra is None else out | self.extra

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Reads OpenAI's JSON leniently: null counts as missing, and missing fields get their defaults.

        A choice without a delta may have a whole `message` or a `text` in its place.

        Raises:
            ShapeError: a field has a wrong type; the text names its path.
        """
        source = as_object(data, "chunk")
        return cls(**_fields(source, "", _CHUNK_VALUES, _CHUNK_PARTS))


def _brief(choice: ChunkChoice) -> str:
    """What a choice has, for the repr of its chunk."""
    delta = choice.delta
    values = {name: getattr(delta, name) for name in Delta.__struct_fields__ if name != "tool_calls"}
    shown = [f"{name}={value!r}" for name, value in values.items() if value is not None]
    for call in delta.tool_calls or ():
        function, custom = call.function or FunctionDelta(), call.custom or CustomDelta()
        texts = (function.name, function.arguments, custom.name, custom.input)
        shown.append(" ".join([f"call {call.index}", *(repr(text) for text in texts if text)]))
    if choice.finish_reason is not None:
        shown.append(f"finish_reason={choice.finish_reason!r}")
    return " ".join(shown) or "nothing"


_COMPARED = tuple(name for name in ChatCompletionChunk.__struct_fields__ if name[0] != "_" and name != "native")


def _choice_dict(choice: ChunkChoice) -> JsonObject:
    out: JsonObject = {
        "index": choice.index,
        "delta": _delta_dict(choice.delta),
        "finish_reason": choice.finish_reason,
        "logprobs": plain(choice.logprobs),
    }
    for name in ("native_finish_reason", "content_filter_results", "paused"):
        value = getattr(choice, name)
        if value is not None and value is not False:
            out[name] = value
    return out if choice.extra is None else out | choice.extra


def _delta_dict(delta: Delta) -> JsonObject:
    out: JsonObject = msgspec.to_builtins(delta)
    for item in (out, *out.get("tool_calls", ())):
        extra: JsonObject | None = item.pop(_EXTRA, None)
        if extra is not None:
            item.update(extra)
    return out


def _fields(
    source: JsonObject,
    prefix: str,
    values: Mapping[str, Callable[[object], Any]],
    parts: Mapping[str, Callable[[object, str], Any]],
) -> dict[str, Any]:
    """The fields of `source` that are not null, read by two tables; those of neither table are its `extra`.

    Args:
        source: JSON object of a chunk, a choice, a delta or a call.
        prefix: path of the object, with a dot at its end.
        values: field → reader, which returns None for what is left out.
        parts: field → reader with the field's path, which raises `ShapeError` for what cannot be read.
    """
    found: dict[str, Any] = {}
    extra: JsonObject = {}
    for name, value in source.items():
        if value is None:
            continue
        if (read := values.get(name)) is not None:
            if (known := read(value)) is not None:
                found[name] = known
        elif (read_part := parts.get(name)) is not None:
            found[name] = read_part(value, prefix + name)
        else:
            extra[name] = value
    if extra:
        found["extra"] = extra
    return found


def _choices(value: object, path: str) -> list[ChunkChoice]:
    return [_choice(item, f"{path}[{i}]") for i, item in enumerate(as_list(value, path))]


def _choice(value: object, path: str) -> ChunkChoice:
    source = as_object(value, path)
    if source.get("delta") is None:
        if source and CHOICE_FIELDS.isdisjoint(source) and not ("message" in source or "text" in source):
            raise ShapeError(path, "a choice", value)
        source = _with_delta(source)
    choice = ChunkChoice(**_fields(source, f"{path}.", _CHOICE_VALUES, _CHOICE_PARTS))
    if choice.logprobs is None and source.get("logprobs") is not None:
        choice.extra = (choice.extra or {}) | {"logprobs": source["logprobs"]}
    return choice


def _with_delta(source: JsonObject) -> JsonObject:
    """The choice with its whole `message` or its `text` as its delta, if it has either."""
    for name in ("message", "text"):
        if (found := source.get(name)) is not None:
            rest = {key: value for key, value in source.items() if key != name}
            return rest | {"delta": {"content": found} if name == "text" else found}
    return source


def _delta(value: object, path: str) -> Delta:
    return Delta(**_fields(as_object(value, path), f"{path}.", _DELTA_VALUES, _DELTA_PARTS)) if value else Delta()


def _calls(value: object, path: str) -> list[ToolCallDelta] | None:
    return [_call(item, f"{path}[{i}]") for i, item in enumerate(as_list(value, path))] or None


def _call(value: object, path: str) -> ToolCallDelta:
    return ToolCallDelta(**_fields(as_object(value, path), f"{path}.", _CALL_VALUES, _CALL_PARTS))


def _function(value: object, path: str) -> FunctionDelta:
    source = as_object(value, path)
    return FunctionDelta(as_optional_str(source.get("name")), as_optional_str(source.get("arguments")))


def _custom(value: object, path: str) -> CustomDelta:
    source = as_object(value, path)
    return CustomDelta(as_optional_str(source.get("name")), as_optional_str(source.get("input")))


def _usage(value: object) -> Usage | None:
    found = optional_object(value)
    return None if found is None else Usage.from_dict(found)


def _logprobs(value: object) -> Logprobs | None:
    found = optional_object(value)
    return None if found is None else Logprobs.from_dict(found)


_CHUNK_VALUES: Mapping[str, Callable[[object], Any]] = {
    "id": optional_str,
    "created": optional_int,
    "model": optional_str,
    "object": optional_str,
    "usage": _usage,
    "service_tier": optional_str,
    "system_fingerprint": optional_str,
    "prompt_filter_results": optional_objects,
    "obfuscation": lambda _: None,
}
_CHUNK_PARTS: Mapping[str, Callable[[object, str], Any]] = {"choices": _choices}
_CHOICE_VALUES: Mapping[str, Callable[[object], Any]] = {
    "index": optional_int,
    "finish_reason": optional_str,
    "logprobs": _logprobs,
    "native_finish_reason": optional_str,
    "content_filter_results": optional_object,
    "paused": lambda value: value is True,
}
_CHOICE_PARTS: Mapping[str, Callable[[object, str], Any]] = {"delta": _delta}
_DELTA_VALUES: Mapping[str, Callable[[object], Any]] = {
    "role": optional_str,
    "content": as_optional_str,
    "refusal": as_optional_str,
    "audio": optional_object,
    "annotations": optional_objects,
    "reasoning_content": as_optional_str,
    "reasoning": as_optional_str,
    "thinking_blocks": optional_objects,
    "reasoning_details": optional_objects,
    "provider_specific_fields": optional_object,
}
_DELTA_PARTS: Mapping[str, Callable[[object, str], Any]] = {"tool_calls": _calls, "function_call": _function}
_CALL_VALUES: Mapping[str, Callable[[object], Any]] = {"index": optional_int, "id": optional_str, "type": optional_str}
_CALL_PARTS: Mapping[str, Callable[[object, str], Any]] = {"function": _function, "custom": _custom}

CHUNK_FIELDS = frozenset((*_CHUNK_VALUES, *_CHUNK_PARTS))
CHOICE_FIELDS = frozenset((*_CHOICE_VALUES, *_CHOICE_PARTS))
DELTA_FIELDS = frozenset((*_DELTA_VALUES, *_DELTA_PARTS))
"""Fields of chunks, choices and deltas that are attributes; all others are in `extra`."""
