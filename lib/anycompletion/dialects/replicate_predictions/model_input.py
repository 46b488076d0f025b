"""Messages as a model's input: its `messages`, or a prompt. Guesses no model's chat template.

https://replicate.com/docs/reference/http#predictions.create

A model whose schema has `messages` gets OpenAI's messages, any other a prompt. A single user message is the prompt.
Several turns become a plain transcript; the model's own code applies its template::

    User: What is the capital of France?

    Assistant: Paris.

    User: And of Spain?

    Assistant:

The last line is left out if the conversation ends with the assistant, whose text the model then continues. System
messages become `system_prompt`, or the start of the prompt if the model has none. Images keep their place in
`messages`; with a prompt they are sent as `image_input` (a list) or `image` (one), in their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, assert_never

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
from ..base import EncodingReport
from ..shared import data_url, sendable_fields, without_nulls
from .model_schema import Fields, is_array, missing

_IMAGES = ("image_input", "image")
_SEPARATOR = "\n\n"
_NO_TOOLS = "Replicate's models take no tools"
_REPLY_ONLY = ("reasoning_content", "reasoning_details", "thinking_blocks", "audio")
"""Fields of an earlier reply that no model of Replicate accepts."""


def encode_messages(messages: Iterable[Message], fields: Fields, report: EncodingReport) -> JsonObject:
    """The fields of a model's input that contain the messages.

    Raises:
        InvalidRequestError: the format cannot express a message, or the model is not a chat model; `.param` names the
            place.
    """
    if "messages" in fields:
        return {"messages": _native_messages(messages, fields["messages"], report)}
    if "prompt" not in fields:
        raise InvalidRequestError("model: takes neither messages nor a prompt, so it is no chat model", param="model")
    transcript = _Transcript(fields, report)
    for index, message in enumerate(messages):
        transcript.add(message, f"messages[{index}]")
    return transcript.model_input()


# --- messages ---------------------------------------------------------------------------------------------------------


def _native_messages(messages: Iterable[Message], field: JsonObject, report: EncodingReport) -> list[JsonObject] | str:
    found = (_native(message, f"messages[{index}]", report) for index, message in enumerate(messages))
    native = [message for message in found if message is not None]
    if field.get("type") != "string":
        return native
    # Some models accept the list as a JSON string.
    try:
        return json.dumps(native).decode()
    except (TypeError, ValueError, RecursionError):
        pass  # raised below, so that the error's context does not hold the messages
    raise InvalidRequestError("messages: contain something that is not JSON-serializable", param="messages")


def _native(message: Message, path: str, report: EncodingReport) -> JsonObject | None:
    match message:
        case ToolMessage() | FunctionMessage():
            report.unsupported(f"{path}.role", _NO_TOOLS)
            return None
        case CustomMessage():
            return without_nulls(json.to_wire(message))
        case AssistantMessage() | ChatCompletionMessage():
            content = _reply_content(message, path, report)
        case SystemMessage() | DeveloperMessage() | UserMessage():
            content = message.content
        case _:
            assert_never(message)
    if not content and isinstance(message, AssistantTurn):
        _warn_of_empty(path, report)
        return None
    native_content = content if isinstance(content, str) else _native_parts(content, path, report)
    name = {} if message.name is None else {"name": message.name}
    return {"role": message.role, "content": native_content, **name, **sendable_fields(message.extra, path, report)}


def _native_parts(parts: Sequence[Part], path: str, report: EncodingReport) -> list[JsonObject]:
    found = (_native_part(part, f"{path}.content[{i}]", report) for i, part in enumerate(parts))
    return [part for part in found if part is not None]


def _native_part(part: Part, path: str, report: EncodingReport) -> Any:
    match part:
        case RefusalPart():
            return {"type": "text", "text": part.refusal}
        case AudioPart() | FilePart():
            _refuse_part(part, path, report)
            return None
        case TextPart() | CustomPart():
            return without_nulls(json.to_wire(part))
        case ImagePart():
            native = without_nulls(json.to_wire(part))
            image = without_nulls(native["image_url"])
            return native | {"image_url": image | {"url": data_url(part.image_url.url)}}
        case _:
            assert_never(part)


# --- messages and prompts ---------------------------------------------------------------------------------------------


def _reply_content(message: AssistantTurn, path: str, report: EncodingReport) -> Content:
    """The content of an earlier reply; its other fields are refused, or left out with a warning."""
    if message.tool_calls:
        report.unsupported(f"{path}.tool_calls", _NO_TOOLS)
    if message.function_call is not None:
        report.unsupported(f"{path}.function_call", _NO_TOOLS)
    for name in _REPLY_ONLY:
        if getattr(message, name):
            report.warn(f"{path}.{name} left out: Replicate's models take the text of an answer only")
    return message.content or message.refusal or ""


def _warn_of_empty(path: str, report: EncodingReport) -> None:
    report.warn(f"{path} left out: it is empty")


def _refuse_part(part: Part, path: str, report: EncodingReport) -> None:
    report.unsupported(path, f"Replicate's models take text and images, not {part.type!r}")


# --- a prompt ---------------------------------------------------------------------------------------------------------


class _Transcript:
    """The messages added so far as a prompt, with the system prompt and images."""

    def __init__(self, fields: Fields, report: EncodingReport) -> None:
        self._fields = fields
        self._report = report
        self._system: list[str] = []
        self._turns: list[tuple[str, str]] = []
        self._images: list[str] = []
        self._image_field = next((name for name in _IMAGES if name in fields), None)

    def add(self, message: Message, path: str) -> None:
        """Adds a message."""
        report = self._report
        match message:
            case ToolMessage() | FunctionMessage():
                report.unsupported(f"{path}.role", _NO_TOOLS)
                return
            case CustomMessage():
                report.unsupported(f"{path}.role", f"a prompt has no role {message.role!r}")
                return
            case SystemMessage() | DeveloperMessage():
                if self._turns:
                    report.moved_to_front(f"{path}.role", "a prompt takes instructions before the first message only")
                self._system.append(self._text(message.content, path))
            case UserMessage():
                self._turns.append(("User", self._text(message.content, path)))
            case AssistantMessage() | ChatCompletionMessage():
                text = self._text(_reply_content(message, path, report), path)
                if text:
                    self._turns.append(("Assistant", text))
                else:
                    _warn_of_empty(path, report)
            case _:
                assert_never(message)
        if message.name is not None:
            report.unsupported(f"{path}.name", "a prompt has no names; say it in the text")
        self._warn_of_extra(message.extra, path)

    def model_input(self) -> JsonObject:
        """The prompt, and the system prompt and images where there are any."""
        if not self._turns:
            raise InvalidRequestError("messages: a prompt needs one besides the system's", param="messages")
        prompt = self._prompt()
        system = _SEPARATOR.join(text for text in self._system if text)
        if system and "system_prompt" not in self._fields:
            prompt, system = system + _SEPARATOR + prompt, ""
        values: JsonObject = {"system_prompt": system} if system else {}
        values["prompt"] = prompt
        if self._images and self._image_field is not None:
            values[self._image_field] = self._images if self._accepts_several_images() else self._images[0]
        return values

    def _prompt(self) -> str:
        (role, text), *more = self._turns
        if role == "User" and not more:
            return text
        lines = [f"{role}: {text}" for role, text in self._turns]
        if self._turns[-1][0] == "User":
            lines.append("Assistant:")
        return _SEPARATOR.join(lines)

    def _text(self, content: Content, path: str) -> str:
        if isinstance(content, str):
            return content
        texts = (self._part(part, f"{path}.content[{i}]") for i, part in enumerate(content))
        return _SEPARATOR.join(text for text in texts if text)

    def _part(self, part: Part, path: str) -> str | None:
        match part:
            case TextPart():
                self._warn_of_extra(part.extra, path)
                return part.text
            case RefusalPart():
                return part.refusal
            case ImagePart():
                self._add_image(part, path)
                return None
            case AudioPart() | FilePart() | CustomPart():
                _refuse_part(part, path, self._report)
                return None
            case _:
                assert_never(part)

    def _add_image(self, part: ImagePart, path: str) -> None:
        if self._image_field is None:
            self._report.unsupported(path, missing(self._fields, *_IMAGES))
            return
        if self._images and not self._accepts_several_images():
            self._report.unsupported(path, "the model takes one image only")
            return
        if part.image_url.detail not in (None, "auto"):
            self._report.unsupported(f"{path}.image_url.detail", "the model has no levels of detail")
        self._warn_of_extra(part.extra, path)
        self._warn_of_extra(part.image_url.extra, f"{path}.image_url")
        self._images.append(data_url(part.image_url.url))

    def _accepts_several_images(self) -> bool:
        name = self._image_field or ""
        field = self._fields[name]
        return is_array(field) or (name == "image_input" and "type" not in field)

    def _warn_of_extra(self, extra: JsonObject, path: str) -> None:
        for name in without_nulls(extra):
            self._report.warn(f"{path}.{name} left out: a prompt is text only")
