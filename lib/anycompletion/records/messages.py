"""Messages and tool calls of a chat, in OpenAI's exact shape.

Field names and meanings are OpenAI's (https://platform.openai.com/docs/api-reference/chat), LiteLLM's where OpenAI has
none (`reasoning_content`, `thinking_blocks`, `provider_specific_fields`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias, cast

from attrs import define, field

from ..codecs.lenient import (
    as_list,
    as_object,
    as_optional_str,
    as_str,
    optional_int,
    optional_list,
    optional_object,
    optional_objects,
    optional_str,
    unknown_fields,
)
from .base import JsonObject, Record, extra_field, field_names, hidden
from .content_parts import Content, CustomPart, Part, RefusalPart, TextPart

# --- calls ---


@define(repr=False, eq=False)
class FunctionCall(Record):
    """Call of a function by the model; `arguments` is the model's JSON text, which may be invalid."""

    name: str
    arguments: str = ""
    extra: JsonObject = extra_field()

    @classmethod
    def from_dict(cls, data: object, path: str = "function") -> FunctionCall:
        """Reads OpenAI's JSON leniently."""
        source = as_object(data, path)
        return cls(
            as_str(source.get("name")),
            as_str(source.get("arguments")),
            extra=unknown_fields(source, _FUNCTION_CALL),
        )


@define(repr=False, eq=False)
class CustomCall(Record):
    """Call of a custom (grammar) tool by the model; `input` is free text."""

    name: str
    input: str = ""
    extra: JsonObject = extra_field()

    @classmethod
    def from_dict(cls, data: object, path: str = "custom") -> CustomCall:
        """Reads OpenAI's JSON leniently."""
        source = as_object(data, path)
        return cls(
            as_str(source.get("name")),
            as_str(source.get("input")),
            extra=unknown_fields(source, _CUSTOM_CALL),
        )


@define(repr=False, eq=False)
class ToolCall(Record):
    """Tool call of an assistant message.

    `function` is set for every type but ``custom``, where it is empty and `custom` holds the call.
    """

    id: str
    function: FunctionCall = field(factory=lambda: FunctionCall(""))
    type: str = "function"
    custom: CustomCall | None = None
    extra: JsonObject = extra_field()

    @classmethod
    def from_dict(cls, data: object, path: str = "tool_call") -> ToolCall:
        """Reads OpenAI's JSON leniently; a call without `function` may have the name and arguments themselves."""
        source = as_object(data, path)
        call_id = optional_str(source.get("id")) or ""
        kind = optional_str(source.get("type")) or ""
        function, custom = source.get("function"), source.get("custom")
        # Some servers send both, one of them empty, and some leave the type out.
        is_custom = kind == "custom" if bool(function) == bool(custom) else bool(custom)
        if is_custom:
            custom = CustomCall.from_dict(custom or {}, f"{path}.custom")
            return cls(call_id, type="custom", custom=custom, extra=unknown_fields(source, _TOOL_CALL))
        kind = kind or "function"
        if not function and "name" in source:
            call = FunctionCall(as_str(source["name"]), as_str(source.get("arguments")))
            return cls(call_id, call, kind, extra=unknown_fields(source, _FLAT_TOOL_CALL))
        call = FunctionCall.from_dict(function or {}, f"{path}.function")
        return cls(call_id, call, kind, extra=unknown_fields(source, _TOOL_CALL))

    def to_dict(self) -> JsonObject:
        """OpenAI's JSON; a custom call has no `function`."""
        out = super().to_dict()
        if self.custom is not None:
            del out["function"]
        return out


# --- messages ---


@define(repr=False, eq=False)
class SystemMessage(Record):
    """Instructions in the role system."""

    content: Content
    name: str | None = None
    role: str = field(default="system", kw_only=True)
    extra: JsonObject = extra_field()


@define(repr=False, eq=False)
class DeveloperMessage(Record):
    """Instructions in the role developer, which replaces system for OpenAI's reasoning models."""

    content: Content
    name: str | None = None
    role: str = field(default="developer", kw_only=True)
    extra: JsonObject = extra_field()


@define(repr=False, eq=False)
class UserMessage(Record):
    """Message of the user: text, or a list of parts."""

    content: Content
    name: str | None = None
    role: str = field(default="user", kw_only=True)
    extra: JsonObject = extra_field()


@define(repr=False, eq=False)
class ToolMessage(Record):
    """Result of a tool call."""

    content: Content
    tool_call_id: str
    name: str | None = None
    role: str = field(default="tool", kw_only=True)
    extra: JsonObject = extra_field()


@define(repr=False, eq=False)
class FunctionMessage(Record):
    """Result of a legacy function call."""

    content: str | None
    name: str
    role: str = field(default="function", kw_only=True)
    extra: JsonObject = extra_field()

    def to_dict(self) -> JsonObject:
        """OpenAI's JSON; a function without a result has the content null."""
        return {"content": None} | super().to_dict()


@define(repr=False, eq=False)
class CustomMessage(Record):
    """Message of a role that this package does not know; sent as it is."""

    role: str
    extra: JsonObject = extra_field()


@define(repr=False, eq=False)
class UrlCitation(Record):
    """Citation of a web page; indexes are characters of the content."""

    url: str = ""
    title: str = ""
    start_index: int | None = None
    end_index: int | None = None
    extra: JsonObject = extra_field()


@define(repr=False, eq=False)
class Annotation(Record):
    """Citation in a reply. ``url_citation`` is OpenAI's type; others keep the provider's own fields in `extra`."""

    type: str
    url_citation: UrlCitation | None = None
    extra: JsonObject = extra_field()

    @classmethod
    def from_dict(cls, data: object, path: str = "annotation") -> Annotation:
        """Reads OpenAI's JSON leniently."""
        source = as_object(data, path)
        citation = optional_object(source.get("url_citation"))
        return cls(
            optional_str(source.get("type")) or "",
            None
            if citation is None
            else UrlCitation(
                optional_str(citation.get("url")) or "",
                optional_str(citation.get("title")) or "",
                optional_int(citation.get("start_index")),
                optional_int(citation.get("end_index")),
                extra=unknown_fields(citation, _URL_CITATION),
            ),
            extra=unknown_fields(source, _ANNOTATION),
        )


@define(repr=False, eq=False)
class Audio(Record):
    """Audio of a reply: base64 `data`, its `transcript`, and the Unix time until which `id` can be referred to."""

    id: str | None = None
    data: str | None = None
    transcript: str | None = None
    expires_at: int | None = None
    extra: JsonObject = extra_field()

    @classmethod
    def from_dict(cls, data: JsonObject) -> Audio:
        """Reads OpenAI's JSON leniently."""
        return cls(
            optional_str(data.get("id")),
            optional_str(data.get("data")),
            optional_str(data.get("transcript")),
            optional_int(data.get("expires_at")),
            extra=unknown_fields(data, _AUDIO),
        )


@define(repr=False, eq=False)
class AssistantMessage(Record):
    """Message of the assistant in a request: an earlier turn, as callers write it."""

    content: Content | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    function_call: FunctionCall | None = None
    audio: Audio | None = None
    annotations: list[Annotation] | None = None
    reasoning_content: str | None = None
    """The model's reasoning as text, where the provider returns it."""
    thinking_blocks: list[JsonObject] | None = None
    """Anthropic's thinking blocks with their signatures, in order; sent back unchanged."""
    reasoning_details: list[JsonObject] | None = None
    """OpenRouter's reasoning blocks, in order; sent back unchanged."""
    provider_specific_fields: JsonObject | None = None
    """Provider's or dialect's name → fields that only it understands, which are sent back to it alone."""
    name: str | None = None
    role: str = field(default="assistant", kw_only=True)
    extra: JsonObject = extra_field()

    @classmethod
    def from_dict(cls, data: object, path: str = "message") -> AssistantMessage:
        """Reads OpenAI's JSON leniently."""
        source = as_object(data, path)
        content = source.get("content")
        return cls(
            content_parts(cast("list[object]", content)) if isinstance(content, list) else as_optional_str(content),
            **_assistant_fields(source, path),
        )


@define(repr=False, eq=False)
class ChatCompletionMessage(Record):
    """Message of a reply; it can be appended to the messages of the next request as it is."""

    content: str | None = None
    """The text, or None. Where the provider sent parts, their texts joined."""
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    function_call: FunctionCall | None = None
    audio: Audio | None = None
    annotations: list[Annotation] | None = None
    reasoning_content: str | None = None
    """The model's reasoning as text, where the provider returns it."""
    thinking_blocks: list[JsonObject] | None = None
    """Anthropic's thinking blocks with their signatures, in order; sent back unchanged."""
    reasoning_details: list[JsonObject] | None = None
    """OpenRouter's reasoning blocks, in order; sent back unchanged."""
    provider_specific_fields: JsonObject | None = None
    """Provider's or dialect's name → fields that only it understands, which are sent back to it alone."""
    name: str | None = None
    role: str = field(default="assistant", kw_only=True)
    parts: list[Part] | None = hidden(default=None, repr=False, kw_only=True)
    """The parts of the content, where the provider sent parts; not in `to_dict()`."""
    extra: JsonObject = extra_field()

    @classmethod
    def from_dict(cls, data: object, path: str = "message") -> ChatCompletionMessage:
        """Reads OpenAI's JSON leniently."""
        source = as_object(data, path)
        content, parts = source.get("content"), None
        if isinstance(content, list):
            parts = content_parts(cast("list[object]", content))
            texts = [part.text for part in parts if isinstance(part, TextPart)]
            content = "".join(texts) if texts else None
        return cls(as_optional_str(content), parts=parts, **_assistant_fields(source, path))


AssistantTurn: TypeAlias = AssistantMessage | ChatCompletionMessage
"""Message of the assistant in a request: one that a caller wrote, or one of an earlier reply."""


def _assistant_fields(source: JsonObject, path: str) -> dict[str, Any]:
    """The fields of an assistant's message, without its content."""
    calls = source.get("tool_calls")
    function_call = source.get("function_call")
    audio = optional_object(source.get("audio"))
    annotations = optional_objects(source.get("annotations"))
    return {
        "refusal": as_optional_str(source.get("refusal")),
        "tool_calls": [
            ToolCall.from_dict(call, f"{path}.tool_calls[{i}]")
            for i, call in enumerate(as_list(calls, f"{path}.tool_calls") if calls else ())
        ]
        or None,
        "function_call": FunctionCall.from_dict(function_call, f"{path}.function_call") if function_call else None,
        "audio": None if audio is None else Audio.from_dict(audio),
        "annotations": None if annotations is None else list(map(Annotation.from_dict, annotations)),
        "reasoning_content": as_optional_str(source.get("reasoning_content")),
        "thinking_blocks": optional_objects(source.get("thinking_blocks")),
        "reasoning_details": optional_objects(source.get("reasoning_details")),
        "provider_specific_fields": optional_object(source.get("provider_specific_fields")),
        "name": optional_str(source.get("name")),
        "role": optional_str(source.get("role")) or "assistant",
        "extra": unknown_fields(source, _ASSISTANT),
    }


class SupportsModelDump(Protocol):
    """Object of another SDK that returns itself as a dict, such as a pydantic model."""

    def model_dump(self) -> dict[str, Any]:
        """The object as a dict."""
        ...


Message: TypeAlias = (
    SystemMessage
    | DeveloperMessage
    | UserMessage
    | AssistantMessage
    | ChatCompletionMessage
    | ToolMessage
    | FunctionMessage
    | CustomMessage
)
"""Message of a conversation, by its `role`; dicts with an unknown role are `CustomMessage`s."""

Messages: TypeAlias = str | Sequence[Message | Mapping[str, Any] | SupportsModelDump]
"""Messages as callers write them: one user message as text, or a list of records, dicts in OpenAI's format, and message
objects of other SDKs."""


def content_parts(value: object) -> list[Part]:
    """The parts of a reply's content; an item that is no object is the text of a part."""
    return list(map(_reply_part, optional_list(value) or ()))


def _reply_part(item: object) -> Part:
    if not isinstance(item, dict):
        return TextPart(as_str(item))
    source = cast("JsonObject", item)
    kind = optional_str(source.get("type")) or ("text" if "text" in source else "")
    if kind == "text":
        return TextPart(as_str(source.get("text")), extra=unknown_fields(source, _TEXT))
    if kind == "refusal":
        return RefusalPart(as_str(source.get("refusal")), extra=unknown_fields(source, _REFUSAL))
    return CustomPart(kind, extra=unknown_fields(source, _TYPE))


# --- JSON fields that are attributes ---

_TEXT, _REFUSAL, _TYPE = field_names(TextPart), field_names(RefusalPart), frozenset({"type"})
_FUNCTION_CALL, _CUSTOM_CALL, _TOOL_CALL = field_names(FunctionCall), field_names(CustomCall), field_names(ToolCall)
_FLAT_TOOL_CALL = _TOOL_CALL | {"name", "arguments"}
_URL_CITATION, _ANNOTATION, _AUDIO = field_names(UrlCitation), field_names(Annotation), field_names(Audio)
_ASSISTANT = field_names(AssistantMessage)
