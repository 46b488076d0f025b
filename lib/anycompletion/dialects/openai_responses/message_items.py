"""Messages as input items of the Responses API. Drops nothing silently.

https://platform.openai.com/docs/api-reference/responses/create
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from ...codecs import json
from ...codecs.json import PlainMessage, as_plain_message
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
    FunctionMessage,
    ImagePart,
    JsonObject,
    Message,
    Part,
    RefusalPart,
    SystemMessage,
    TextPart,
    ToolMessage,
    UserMessage,
)
from ..base import EncodingReport, Target
from ..shared import data_url, sendable_fields, without_nulls
from .native_items import items_of_message, rebuilt
from .responses_quirks import OpenAIResponsesQuirks


def encode_input(
    messages: Iterable[Message], target: Target, quirks: OpenAIResponsesQuirks, report: EncodingReport, *, reasons: bool
) -> list[JsonObject | PlainMessage]:
    """The `input` of the body; `reasons`: whether the model does.

    Raises:
        InvalidRequestError: the format cannot express a message; `.param` names the place.
    """
    encoder = _OpenAIInputEncoder(target, quirks, report, reasons=reasons)
    for index, message in enumerate(messages):
        encoder.add(message, index)
    return encoder.items


class _OpenAIInputEncoder:
    """The input items of the messages added so far."""

    def __init__(self, target: Target, quirks: OpenAIResponsesQuirks, report: EncodingReport, *, reasons: bool) -> None:
        self.items: list[JsonObject | PlainMessage] = []
        self._target = target
        self._quirks = quirks
        self._report = report
        self._reasons = reasons
        self._custom: set[str] = set()
        """Ids of calls of custom tools, whose results have a type of their own."""
        self._unanswered: dict[str, list[str]] = {}
        """Name of a function → ids of its calls without a result, in order; a legacy result has only the name."""

    def add(self, message: Message, index: int) -> None:
        """Adds the items of a message."""
        path = f"messages[{index}]"
        plain = as_plain_message(message)
        if plain is not None and plain.role in _PLAIN_ROLES and (plain.content or plain.role != "assistant"):
            self.items.append(plain)
            return
        match message:
            case SystemMessage() | UserMessage():
                self._add_message(message.role, message, path)
            case DeveloperMessage():
                self._add_message(message.role if self._quirks.developer_role else "system", message, path)
            case AssistantMessage() | ChatCompletionMessage():
                self._add_assistant(message, index, path)
            case ToolMessage():
                # A name here repeats the id, so it is left out.
                self._add_result(message.tool_call_id, message.content, message.extra, path)
            case FunctionMessage():
                self._add_result(self._call_id_of(message.name, path), message.content or "", message.extra, path)
            case CustomMessage():
                self.items.append(json.to_wire(message))
            case _:
                assert_never(message)

    def _add_message(self, role: str, message: SystemMessage | DeveloperMessage | UserMessage, path: str) -> None:
        if message.name is not None:
            self._report.unsupported(f"{path}.name", "OpenAI's Responses API has no names; say it in the text")
        content = self._content(message.content, path)
        self.items.append({"role": role, "content": content, **self._extra(message.extra, path)})

    def _extra(self, fields: JsonObject, path: str) -> JsonObject:
        return sendable_fields(fields, path, self._report)

    # --- the assistant's turns ---

    def _add_assistant(self, message: AssistantTurn, index: int, path: str) -> None:
        if message.name is not None:
            self._report.unsupported(f"{path}.name", "OpenAI's Responses API has no names; say it in the text")
        self._refuse_other_parts(message.content, path)
        items = items_of_message(message, self._target, path, self._report, reasons=self._reasons)
        if items is None:
            items = rebuilt(message, f"function_call_{index}")
            self._warn_of_losses(message, path)
        extra = self._extra(message.extra, path)
        if extra:
            items = [item | extra if item.get("role") == "assistant" else item for item in items]
        if not items:
            self._report.warn(f"{path} left out: it has no text and no calls")
        if self._quirks.calls_last:
            items = sorted(items, key=lambda item: item.get("type") in _CALLS)
        for item in items:
            kind = item.get("type")
            if kind == "custom_tool_call":
                self._custom.add(str(item.get("call_id")))
            elif kind == "function_call":
                self._unanswered.setdefault(str(item.get("name")), []).append(str(item.get("call_id")))
        self.items += items

    def _refuse_other_parts(self, content: Content | None, path: str) -> None:
        """Reports parts that the assistant's messages cannot have."""
        for i, part in enumerate(content if content and not isinstance(content, str) else ()):
            if not isinstance(part, (TextPart, RefusalPart)):
                self._report.unsupported(f"{path}.content[{i}]", "the assistant's messages are texts")

    def _warn_of_losses(self, message: AssistantTurn, path: str) -> None:
        for name in ("reasoning_content", "thinking_blocks", "reasoning_details"):
            if getattr(message, name):
                self._report.warn(f"{path}.{name} left out: only the provider that wrote it can continue it")
                break
        if message.audio is not None:
            self._report.warn(f"{path}.audio left out: the Responses API takes none back")
        others = (message.provider_specific_fields or {}).keys() - {"openai_responses"}
        if others:
            self._report.warn(
                f"{path}.provider_specific_fields left out: only the provider that wrote it understands it"
            )
        if message.tool_calls and message.function_call is not None:
            self._report.warn(f"{path}.function_call left out: the message has tool_calls")

    # --- results of calls ---

    def _add_result(self, call_id: str, content: Content, extra: JsonObject, path: str) -> None:
        for ids in self._unanswered.values():
            if call_id in ids:
                ids.remove(call_id)
                break
        kind = "custom_tool_call_output" if call_id in self._custom else "function_call_output"
        output = self._content(content, path)
        self.items.append({"type": kind, "call_id": call_id, "output": output, **self._extra(extra, path)})

    def _call_id_of(self, name: str, path: str) -> str:
        ids = self._unanswered.get(name)
        if not ids:
            raise InvalidRequestError(f"{path}.name: answers no earlier call of that function", param=f"{path}.name")
        return ids[0]

    # --- content ---

    def _content(self, content: Content, path: str) -> str | list[JsonObject]:
        if isinstance(content, str):
            return content
        parts = [self._part(part, f"{path}.content[{i}]") for i, part in enumerate(content)]
        return [part for part in parts if part is not None]

    def _part(self, part: Part, path: str) -> JsonObject | None:
        match part:
            case TextPart():
                return {"type": "input_text", "text": part.text, **without_nulls(part.extra)}
            case RefusalPart():
                return {"type": "input_text", "text": part.refusal, **without_nulls(part.extra)}
            case ImagePart():
                return _image(part)
            case FilePart():
                return _file(part, path)
            case AudioPart():
                self._report.unsupported(path, "OpenAI's Responses API takes no audio")
                return None
            case CustomPart():
                return without_nulls(json.to_wire(part))
            case _:
                assert_never(part)


_PLAIN_ROLES = frozenset(("system", "user", "assistant"))
"""Messages of these roles that have a text only are the same as in the chat API."""

_CALLS = ("function_call", "custom_tool_call")


def _image(part: ImagePart) -> JsonObject:
    image = part.image_url
    detail = {} if image.detail is None else {"detail": image.detail}
    fields = {"type": "input_image", "image_url": data_url(image.url), **detail}
    return fields | without_nulls(image.extra) | without_nulls(part.extra)


def _file(part: FilePart, path: str) -> JsonObject:
    file = part.file
    if file.file_id is None and not file.file_data:
        raise InvalidRequestError(f"{path}.file: has neither file_id nor file_data", param=f"{path}.file")
    fields: JsonObject = {"type": "input_file", "file_id": file.file_id}
    if file.file_data:
        is_address = file.file_data[:6].lower().startswith(("http:/", "https:"))
        fields["file_url" if is_address else "file_data"] = file.file_data if is_address else data_url(file.file_data)
    fields["filename"] = file.filename
    return without_nulls(fields) | without_nulls(file.extra) | without_nulls(part.extra)
