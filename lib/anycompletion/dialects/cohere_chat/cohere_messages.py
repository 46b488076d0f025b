"""Messages as Cohere's turns: one system turn first, tool results by call id. Drops nothing silently.

https://docs.cohere.com/reference/chat
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, assert_never, cast

from ...codecs import json
from ...errors import InvalidRequestError
from ...records import (
    AssistantMessage,
    AssistantTurn,
    AudioPart,
    ChatCompletionMessage,
    Content,
    CustomMessage,
    CustomPart,
    DeveloperMessage,
    FilePart,
    FunctionCall,
    FunctionMessage,
    ImagePart,
    JsonObject,
    Message,
    Part,
    RefusalPart,
    SystemMessage,
    TextPart,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from ..base import EncodingReport
from ..result_media import split_media
from ..shared import data_url, sendable_fields, without_nulls

NATIVE = "cohere"
"""The field of `provider_specific_fields` that contains what OpenAI's fields cannot express."""

_EMPTY_RESULT = '""'
"""An empty text as JSON: Cohere refuses an empty content, and a result may be empty."""

_DETAILS = (None, "auto", "low", "high")


def encode_messages(messages: Iterable[Message], report: EncodingReport) -> list[JsonObject]:
    """The `messages` of Cohere's body.

    Raises:
        InvalidRequestError: the format cannot express a message; `.param` names the place.
    """
    encoder = _CohereMessageEncoder(report)
    for index, message in enumerate(messages):
        encoder.add(message, index)
    return encoder.turns()


class _CohereMessageEncoder:
    """The turns of the messages added so far."""

    def __init__(self, report: EncodingReport) -> None:
        self._report = report
        self._system: list[JsonObject] = []
        self._turns: list[JsonObject] = []
        self._unanswered: dict[str, str] = {}
        """Ids of calls without a result → names, in order; a legacy result has only the name."""
        self._leading = True
        self._media: list[Part] = []
        """Media of the results since the last other message."""
        self._results_end = ""
        """Path of the last result."""

    def add(self, message: Message, index: int) -> None:
        path = f"messages[{index}]"
        if not isinstance(message, ToolMessage):
            self._end_results()
        match message:
            case SystemMessage() | DeveloperMessage():
                self._add_system(message, path)
                return
            case UserMessage():
                self._report_name(message.name, path)
                content = self._content(message.content, path, images=True)
                self._turns.append({"role": "user", "content": content} | self._extra(message.extra, path))
            case AssistantMessage() | ChatCompletionMessage():
                self._report_name(message.name, path)
                self._add_assistant(message, index)
            case ToolMessage():
                message, media = split_media(message, path, "Cohere", self._report)
                self._media += media
                self._results_end = path
                # A name here repeats the id, so it is dropped.
                self._add_result(message.tool_call_id, message.content, message.extra, path)
            case FunctionMessage():
                self._add_result(self._call_id_of(message.name, path), message.content or "", message.extra, path)
            case CustomMessage():
                self._turns.append(json.to_wire(message))
            case _:
                assert_never(message)
        self._leading = False

    def turns(self) -> list[JsonObject]:
        self._end_results()
        return [*_joined(self._system), *self._turns]

    def _add_system(self, message: SystemMessage | DeveloperMessage, path: str) -> None:
        if not self._leading:
            self._report.moved_to_front(f"{path}.role", "Cohere takes instructions before the first message only")
        self._report_name(message.name, path)
        content = self._content(message.content, path, images=False)
        if content:
            self._system.append({"role": "system", "content": content} | self._extra(message.extra, path))

    def _extra(self, fields: JsonObject, path: str) -> JsonObject:
        return sendable_fields(fields, path, self._report)

    def _report_name(self, name: str | None, path: str) -> None:
        if name is not None:
            self._report.unsupported(f"{path}.name", "Cohere's messages have no names; say it in the text")

    def _add_result(self, call_id: str, content: Content, extra: JsonObject, path: str) -> None:
        self._unanswered.pop(call_id, None)
        native = self._content(content, path, images=False) or _EMPTY_RESULT
        turn = {"role": "tool", "tool_call_id": call_id, "content": native}
        self._turns.append(turn | self._extra(extra, path))

    def _end_results(self) -> None:
        """Adds the message of the user with the media of the results before it."""
        if self._media:
            content = self._content(self._media, self._results_end, images=True)
            self._turns.append({"role": "user", "content": content})
            self._media = []

    def _call_id_of(self, name: str, path: str) -> str:
        for call_id, called in self._unanswered.items():
            if called == name:
                return call_id
        raise InvalidRequestError(f"{path}.name: answers no earlier call of that function", param=f"{path}.name")

    # --- the assistant's turns ---

    def _add_assistant(self, message: AssistantTurn, index: int) -> None:
        path = f"messages[{index}]"
        native = _native_fields(message, f"{path}.provider_specific_fields.{NATIVE}")
        calls = self._calls(message, index)
        content = native.get("content") or self._content(message.content or message.refusal or "", path)
        fields = {
            # The content of this role is optional, and Cohere refuses one without a token.
            "content": "" if isinstance(content, str) and content.isspace() else content,
            "tool_calls": calls,
            "tool_plan": native.get("tool_plan"),
            "citations": native.get("citations"),
        }
        turn = {name: value for name, value in fields.items() if value} | self._extra(message.extra, path)
        self._warn_of_losses(message, native, path)
        if not turn:
            self._report.warn(f"{path} left out: it is empty, which Cohere refuses")
            return
        self._turns.append({"role": "assistant"} | turn)
        for call in calls:
            self._unanswered[call["id"]] = call["function"]["name"]

    def _calls(self, message: AssistantTurn, index: int) -> list[JsonObject]:
        path = f"messages[{index}]"
        if message.tool_calls:
            calls = enumerate(message.tool_calls)
            return [_tool_call(call, f"{path}.tool_calls[{j}]", self._report) for j, call in calls]
        if message.function_call is None:
            return []
        # The legacy form has no ids; the index of the message stays the same as the conversation grows.
        return [_call(f"function_call_{index}", message.function_call, f"{path}.function_call", self._report)]

    def _warn_of_losses(self, message: AssistantTurn, native: Mapping[str, Any], path: str) -> None:
        warn = self._report.warn
        if message.refusal and message.content:
            warn(f"{path}.refusal left out: the message has content")
        if "content" not in native and (message.reasoning_content or message.thinking_blocks):
            warn(f"{path}.reasoning_content left out: it is not the thinking of a Cohere model")
        if message.audio is not None:
            warn(f"{path}.audio left out: Cohere takes no audio")
        if message.tool_calls and message.function_call is not None:
            warn(f"{path}.function_call left out: the message has tool_calls")
        elif native.get("tool_calls"):
            warn(f"{path}: only the call in function_call sent: the legacy form has no results for others")

    # --- content ---

    def _content(self, content: Content, path: str, *, images: bool = False) -> str | list[JsonObject]:
        if isinstance(content, str):
            return content
        parts = (self._part(part, f"{path}.content[{i}]", images) for i, part in enumerate(content))
        return [part for part in parts if part is not None]

    def _part(self, part: Part, path: str, images: bool) -> JsonObject | None:
        match part:
            case TextPart():
                return {"type": "text", "text": part.text} | without_nulls(part.extra)
            case RefusalPart():
                return {"type": "text", "text": part.refusal} | without_nulls(part.extra)
            case ImagePart():
                return self._image(part, path, images)
            case AudioPart():
                self._report.unsupported(path, "Cohere takes no audio")
            case FilePart():
                self._report.unsupported(path, "Cohere takes no files; pass texts as documents in extra_body")
            case CustomPart():
                return without_nulls(json.to_wire(part))
            case _:
                assert_never(part)
        return None

    def _image(self, part: ImagePart, path: str, allowed: bool) -> JsonObject | None:
        if not allowed:
            self._report.unsupported(path, "Cohere takes images in user messages only")
            return None
        image = part.image_url
        native: JsonObject = {"url": data_url(image.url)}
        if image.detail not in _DETAILS:
            self._report.unsupported(f"{path}.image_url.detail", "Cohere's levels of detail are auto, low and high")
        elif image.detail is not None:
            native["detail"] = image.detail
        return {"type": "image_url", "image_url": native | without_nulls(image.extra)} | without_nulls(part.extra)


def _joined(system: list[JsonObject]) -> list[JsonObject]:
    """One system turn for several: texts separated by a blank line, or all parts where one is not a text."""
    if len(system) < 2:
        return system
    merged = {name: value for turn in system for name, value in turn.items()}
    parts = [_as_parts(turn["content"]) for turn in system]
    if all(part.keys() == {"type", "text"} and part["type"] == "text" for turn in parts for part in turn):
        merged["content"] = "\n\n".join("".join(part["text"] for part in turn) for turn in parts)
    else:
        merged["content"] = [part for turn in parts for part in turn]
    return [merged]


def _as_parts(content: str | list[JsonObject]) -> list[JsonObject]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _native_fields(message: AssistantTurn, path: str) -> JsonObject:
    native: object = (message.provider_specific_fields or {}).get(NATIVE)
    if native is None:
        return {}
    if not isinstance(native, Mapping):
        raise InvalidRequestError(f"{path}: expected an object", param=path)
    fields = dict(cast("Mapping[str, Any]", native))
    for name in ("content", "citations"):
        value: object = fields.get(name)
        if value is None:
            continue
        items = cast("Sequence[object]", value if isinstance(value, (list, tuple)) else [value])
        if not all(isinstance(item, Mapping) for item in items):
            raise InvalidRequestError(f"{path}.{name}: expected a list of objects", param=f"{path}.{name}")
        fields[name] = [without_nulls(dict(cast("Mapping[str, Any]", item))) for item in items]
    return fields


def _tool_call(call: ToolCall, path: str, report: EncodingReport) -> JsonObject:
    if call.custom is not None:
        raise InvalidRequestError(f"{path}: Cohere has no custom tools, only functions", param=path)
    return _call(call.id, call.function, f"{path}.function", report) | sendable_fields(call.extra, path, report)


def _call(call_id: str, function: FunctionCall, path: str, report: EncodingReport) -> JsonObject:
    native = {"name": function.name, "arguments": function.arguments or "{}"}
    native |= sendable_fields(function.extra, path, report)
    return {"id": call_id, "type": "function", "function": native}
