"""Messages as the text or the list that a model takes; guesses no model's chat template.

https://replicate.com/docs/reference/http#predictions.create

A model that has `messages` gets OpenAI's messages. Any other gets a prompt. One user message is sent as it is written.
Of several turns a plain transcript is made, which leaves the model's own template to the model's own code::

    User: What is the capital of France?

    Assistant: Paris.

    User: And of Spain?

    Assistant:

The last line is left out where the conversation ends with the assistant, whose words the model then goes on with.
Instructions go into `system_prompt`, or before the prompt where a model has none. Images stay at their place in
`messages`; beside a prompt they go into `image_input` (a list) or `image` (one), in their order.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, assert_never

from ...codecs import json
from ...errors import InvalidRequestError
from ...records import (
    AssistantMessage,
    AudioPart,
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
from .model_schema import Fields, is_array, missing

_IMAGES = ("image_input", "image")
_BETWEEN = "\n\n"
_NO_TOOLS = "Replicate's models take no tools"
_REPLY_ONLY = ("reasoning_content", "reasoning_details", "thinking_blocks", "audio")
"""Of an earlier answer, what no model of Replicate takes back."""


def encode_messages(messages: Iterable[Message], fields: Fields, report: EncodingReport) -> JsonObject:
    """The members of a model's input that say the messages.

    Raises:
        InvalidRequestError: a message cannot be said, or the model cannot be talked to; `.param` names the place.
    """
    if "messages" in fields:
        return {"messages": _native_messages(messages, fields["messages"], report)}
    if "prompt" not in fields:
        raise InvalidRequestError("model: takes neither messages nor a prompt, so it is no chat model", param="model")
    transcript = _Transcript(fields, report)
    for index, message in enumerate(messages):
        transcript.add(message, f"messages[{index}]")
    return transcript.finished()


# --- messages ---------------------------------------------------------------------------------------------------------


def _native_messages(messages: Iterable[Message], field: JsonObject, report: EncodingReport) -> list[JsonObject] | str:
    found = (_native(message, f"messages[{index}]", report) for index, message in enumerate(messages))
    native = [message for message in found if message is not None]
    if field.get("type") != "string":
        return native
    # Some models take the list as JSON in a text.
    try:
        return json.dumps(native).decode()
    except (TypeError, ValueError, RecursionError):
        pass  # raised below, so that no traceback shows the messages
    raise InvalidRequestError("messages: hold something that cannot be said in JSON", param="messages")


def _native(message: Message, path: str, report: EncodingReport) -> JsonObject | None:
    match message:
        case ToolMessage() | FunctionMessage():
            report.unsupported(f"{path}.role", _NO_TOOLS)
            return None
        case CustomMessage():
            native: JsonObject = json.to_wire(message)
            return native
        case AssistantMessage():
            content = _answer(message, path, report)
        case SystemMessage() | DeveloperMessage() | UserMessage():
            content = message.content
        case _:
            assert_never(message)
    if not content and isinstance(message, AssistantMessage):
        _note_silence(path, report)
        return None
    said = content if isinstance(content, str) else _native_parts(content, path, report)
    name = {} if message.name is None else {"name": message.name}
    return {"role": message.role, "content": said, **name, **_given(message.extra)}


def _native_parts(parts: list[Part], path: str, report: EncodingReport) -> list[JsonObject]:
    found = (_native_part(part, f"{path}.content[{i}]", report) for i, part in enumerate(parts))
    return [part for part in found if part is not None]


def _native_part(part: Part, path: str, report: EncodingReport) -> Any:
    match part:
        case RefusalPart():
            return {"type": "text", "text": part.refusal}
        case AudioPart() | FilePart():
            _refuse_part(part, path, report)
            return None
        case TextPart() | ImagePart() | CustomPart():
            return json.to_wire(part)
        case _:
            assert_never(part)


# --- both -------------------------------------------------------------------------------------------------------------


def _answer(message: AssistantMessage, path: str, report: EncodingReport) -> Content:
    """What an earlier answer said; everything else of it is refused, or noted as left out."""
    if message.tool_calls:
        report.unsupported(f"{path}.tool_calls", _NO_TOOLS)
    if message.function_call is not None:
        report.unsupported(f"{path}.function_call", _NO_TOOLS)
    for name in _REPLY_ONLY:
        if getattr(message, name):
            report.warn(f"{path}.{name} left out: Replicate's models take the text of an answer only")
    return message.content or message.refusal or ""


def _note_silence(path: str, report: EncodingReport) -> None:
    report.warn(f"{path} left out: it says nothing")


def _refuse_part(part: Part, path: str, report: EncodingReport) -> None:
    report.unsupported(path, f"Replicate's models take text and images, not {part.type!r}")


def _given(extra: JsonObject) -> JsonObject:
    """Members that nobody here knows. A null asks for nothing."""
    return {name: value for name, value in extra.items() if value is not None}


# --- a prompt ---------------------------------------------------------------------------------------------------------


class _Transcript:
    """The conversation so far, as a prompt and what goes beside it."""

    def __init__(self, fields: Fields, report: EncodingReport) -> None:
        self._fields = fields
        self._report = report
        self._system: list[str] = []
        self._turns: list[tuple[str, str]] = []
        self._images: list[str] = []
        self._image_field = next((name for name in _IMAGES if name in fields), None)

    def add(self, message: Message, path: str) -> None:
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
                    report.unsupported(f"{path}.role", "a prompt takes instructions before the first message only")
                else:
                    self._system.append(self._text(message.content, path))
            case UserMessage():
                self._turns.append(("User", self._text(message.content, path)))
            case AssistantMessage():
                said = self._text(_answer(message, path, report), path)
                if said:
                    self._turns.append(("Assistant", said))
                else:
                    _note_silence(path, report)
            case _:
                assert_never(message)
        if message.name is not None:
            report.unsupported(f"{path}.name", "a prompt has no names; say it in the text")
        self._note_extra(message.extra, path)

    def finished(self) -> JsonObject:
        if not self._turns:
            raise InvalidRequestError("messages: a prompt needs one besides the system's", param="messages")
        prompt = self._prompt()
        system = _BETWEEN.join(text for text in self._system if text)
        if system and "system_prompt" not in self._fields:
            prompt, system = system + _BETWEEN + prompt, ""
        values: JsonObject = {"system_prompt": system} if system else {}
        values["prompt"] = prompt
        if self._images and self._image_field is not None:
            values[self._image_field] = self._images if self._takes_many() else self._images[0]
        return values

    def _prompt(self) -> str:
        (role, said), *more = self._turns
        if role == "User" and not more:
            return said
        lines = [f"{role}: {said}" for role, said in self._turns]
        if self._turns[-1][0] == "User":
            lines.append("Assistant:")
        return _BETWEEN.join(lines)

    def _text(self, content: Content, path: str) -> str:
        if isinstance(content, str):
            return content
        texts = (self._part(part, f"{path}.content[{i}]") for i, part in enumerate(content))
        return _BETWEEN.join(text for text in texts if text)

    def _part(self, part: Part, path: str) -> str | None:
        match part:
            case TextPart():
                self._note_extra(part.extra, path)
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
        if self._images and not self._takes_many():
            self._report.unsupported(path, "the model takes one image only")
            return
        if part.image_url.detail not in (None, "auto"):
            self._report.unsupported(f"{path}.image_url.detail", "the model has no levels of detail")
        self._note_extra(part.extra, path)
        self._note_extra(part.image_url.extra, f"{path}.image_url")
        self._images.append(part.image_url.url)

    def _takes_many(self) -> bool:
        name = self._image_field or ""
        field = self._fields[name]
        return is_array(field) or (name == "image_input" and "type" not in field)

    def _note_extra(self, extra: JsonObject, path: str) -> None:
        for name in _given(extra):
            self._report.warn(f"{path}.{name} left out: a prompt is text only")
