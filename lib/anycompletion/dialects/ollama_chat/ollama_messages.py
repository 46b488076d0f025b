"""Messages as Ollama's: contents are texts with images beside them, arguments of calls are objects. Drops nothing
silently.

https://docs.ollama.com/api/chat
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

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
    RefusalPart,
    SystemMessage,
    TextPart,
    ToolMessage,
    UserMessage,
)
from ..base import EncodingReport
from ..shared import arguments_object, sendable_fields, strict_base64, without_nulls


def encode_messages(messages: Iterable[Message], report: EncodingReport) -> list[JsonObject]:
    """The `messages` of Ollama's body.

    Raises:
        InvalidRequestError: the format cannot express a message; `.param` names the place.
    """
    encoder = _OllamaMessageEncoder(report)
    return [encoder.encode(message, f"messages[{index}]") for index, message in enumerate(messages)]


class _OllamaMessageEncoder:
    """Encoder of one conversation, which knows the names of the functions that were called."""

    def __init__(self, report: EncodingReport) -> None:
        self._report = report
        self._called: dict[str, str] = {}
        """Id of a call → name of its function."""

    def encode(self, message: Message, path: str) -> JsonObject:
        """One message."""
        match message:
            case SystemMessage() | DeveloperMessage() | UserMessage():
                if message.name is not None:
                    self._report.unsupported(f"{path}.name", "Ollama's messages have no names; say it in the text")
                role = "user" if isinstance(message, UserMessage) else "system"
                native = {"role": role} | self._content(message.content, path)
            case AssistantMessage() | ChatCompletionMessage():
                native = self._reply(message, path)
            case ToolMessage():
                name = self._called.get(message.tool_call_id) or message.name
                native = {"role": "tool"} | self._content(message.content, path)
                native |= without_nulls({"tool_name": name, "tool_call_id": message.tool_call_id or None})
            case FunctionMessage():
                native = {"role": "tool", "content": message.content or "", "tool_name": message.name}
            case CustomMessage():
                return without_nulls(json.to_wire(message))
            case _:
                assert_never(message)
        return native | sendable_fields(message.extra, path, self._report)

    # --- the assistant's messages ---

    def _reply(self, message: AssistantTurn, path: str) -> JsonObject:
        self._warn_of_losses(message, path)
        native: JsonObject = {"role": "assistant"} | self._content(message.content or message.refusal or "", path)
        if message.reasoning_content:
            native["thinking"] = message.reasoning_content
        calls = self._calls(message, path)
        if calls:
            native["tool_calls"] = calls
        return native

    def _calls(self, message: AssistantTurn, path: str) -> list[JsonObject]:
        if not message.tool_calls:
            legacy = message.function_call
            # The legacy form has no ids; Ollama pairs calls and results by their order.
            return [] if legacy is None else [{"function": self._function(legacy, f"{path}.function_call")}]
        calls: list[JsonObject] = []
        for number, call in enumerate(message.tool_calls):
            place = f"{path}.tool_calls[{number}]"
            if call.custom is not None:
                raise InvalidRequestError(f"{place}: Ollama has no custom tools, only functions", param=place)
            if call.id:
                self._called[call.id] = call.function.name
            native: JsonObject = {"id": call.id} if call.id else {}
            native["function"] = self._function(call.function, f"{place}.function")
            calls.append(native | sendable_fields(call.extra, place, self._report))
        return calls

    def _function(self, call: FunctionCall, path: str) -> JsonObject:
        arguments = arguments_object(call.arguments, f"{path}.arguments", self._report)
        native: JsonObject = {"name": call.name, "arguments": arguments}
        return native | sendable_fields(call.extra, path, self._report)

    def _warn_of_losses(self, message: AssistantTurn, path: str) -> None:
        if message.name is not None:
            self._report.unsupported(f"{path}.name", "Ollama's messages have no names; say it in the text")
        if message.refusal and message.content:
            self._report.warn(f"{path}.refusal left out: the message has content")
        for name in ("thinking_blocks", "reasoning_details"):
            if getattr(message, name):
                self._report.warn(f"{path}.{name} left out: only the provider that wrote it understands it")
        if message.audio is not None:
            self._report.warn(f"{path}.audio left out: Ollama takes no audio")
        if message.tool_calls and message.function_call is not None:
            self._report.warn(f"{path}.function_call left out: the message has tool_calls")

    # --- content ---

    def _content(self, content: Content, path: str) -> JsonObject:
        """The members `content` and `images`: texts are joined, and the images' places among them are lost."""
        if isinstance(content, str):
            return {"content": content}
        texts: list[str] = []
        images: list[str] = []
        for number, part in enumerate(content):
            place = f"{path}.content[{number}]"
            match part:
                case TextPart():
                    texts.append(part.text)
                case RefusalPart():
                    texts.append(part.refusal)
                case ImagePart():
                    image = self._image(part, place)
                    images += [] if image is None else [image]
                case AudioPart() | FilePart():
                    self._report.unsupported(place, f"Ollama takes texts and images, no parts of type {part.type!r}")
                case CustomPart():
                    self._report.unsupported(place, f"Ollama takes texts and images, no parts of type {part.type!r}")
                case _:
                    assert_never(part)
            for name in sorted(without_nulls(part.extra)):
                self._report.warn(f"{place}.{name} left out: Ollama's messages have no parts")
        text: JsonObject = {"content": "\n".join(texts)}
        return text | {"images": images} if images else text

    def _image(self, part: ImagePart, path: str) -> str | None:
        """The base64 of an image; None if it was refused."""
        image = part.image_url
        head, comma, data = image.url.partition(",")
        if not comma or head[:5].lower() != "data:" or not head.lower().endswith(";base64"):
            self._report.unsupported(path, "Ollama fetches no images; pass the image as a data URL in base64")
            return None
        if image.detail not in (None, "auto"):
            self._report.unsupported(f"{path}.image_url.detail", "Ollama has no levels of detail")
        return strict_base64(data)
