"""Converts messages, replies and tools to OpenTelemetry's types; called only if capturing content is switched on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

# The helper library is typed, but has no py.typed marker.
from opentelemetry.util.genai.types import (  # pyright: ignore[reportMissingTypeStubs]
    BlobPart,
    FilePart,
    FunctionToolDefinition,
    GenericToolDefinition,
    InputMessage,
    MessagePart,
    Modality,
    OutputMessage,
    ReasoningPart,
    TextPart,
    ToolCallRequestPart,
    ToolCallResponsePart,
    ToolDefinition,
)
from opentelemetry.util.genai.utils import (  # pyright: ignore[reportMissingTypeStubs]
    decode_base64,
    image_from_url,
)

from .. import ChatCompletion, ChatRequest

Json: TypeAlias = Mapping[str, Any]

_MAX_BRACKETS = 500
"""Brackets in the JSON text of a call's arguments; text with more is not decoded."""


def input_messages(request: ChatRequest) -> list[InputMessage]:
    """The conversation so far; system messages are part of it."""
    messages = request.to_dict()["messages"]
    return [InputMessage(message["role"], list(_parts(message)), message.get("name")) for message in messages]


def output_messages(completion: ChatCompletion) -> list[OutputMessage]:
    """One message for each choice."""
    messages: list[OutputMessage] = []
    for choice in completion.to_dict()["choices"]:
        message = choice["message"]
        reason = choice.get("finish_reason") or "error"
        messages.append(OutputMessage(message["role"], list(_parts(message)), reason))
    return messages


def tool_definitions(request: ChatRequest) -> list[ToolDefinition]:
    """The tools that the model may call."""
    body = request.to_dict()
    functions = [tool.get("function") for tool in body.get("tools", ()) if tool.get("type") == "function"]
    others = [tool for tool in body.get("tools", ()) if tool.get("type") != "function"]
    return [
        *(
            FunctionToolDefinition(function["name"], function.get("description"), function.get("parameters"))
            for function in (*functions, *body.get("functions", ()))
            if function
        ),
        *(GenericToolDefinition(tool.get("custom", tool).get("name", ""), tool.get("type", "")) for tool in others),
    ]


def _parts(message: Json) -> Iterator[MessagePart]:
    if message.get("reasoning_content"):
        yield ReasoningPart(message["reasoning_content"])
    content = message.get("content")
    if message["role"] in ("tool", "function"):
        yield ToolCallResponsePart(content, message.get("tool_call_id") or message.get("name"))
        return
    if isinstance(content, str):
        yield TextPart(content)
    else:
        for part in content or ():
            yield from _part(part)
    if message.get("refusal"):
        yield TextPart(message["refusal"])
    for call in message.get("tool_calls") or ():
        if call.get("type") == "custom":
            yield ToolCallRequestPart(call["custom"].get("input"), call["custom"]["name"], call.get("id"))
        else:
            yield ToolCallRequestPart(_arguments(call["function"]), call["function"]["name"], call.get("id"))
    if message.get("function_call"):
        yield ToolCallRequestPart(_arguments(message["function_call"]), message["function_call"]["name"], None)
    audio: Json = message.get("audio") or {}
    if audio.get("transcript"):
        yield TextPart(audio["transcript"])


def _part(part: Json) -> Iterator[MessagePart]:
    """The converted part of a message; nothing for kinds that the conventions do not cover."""
    found: MessagePart | None = None
    match part:
        case {"type": "text", "text": str(text)} | {"type": "refusal", "refusal": str(text)}:
            found = TextPart(text)
        case {"type": "image_url", "image_url": str(url) | {"url": str(url)}}:
            found = image_from_url(url)
        case {"type": "input_audio", "input_audio": {"data": str(data), "format": str(form)}}:
            audio = decode_base64(data)
            found = None if audio is None else BlobPart(f"audio/{form}", Modality.AUDIO, audio)
        case {"type": "file", "file": {"file_id": str(file_id)}}:
            found = FilePart(None, Modality.DOCUMENT, file_id)
        case {"type": "file", "file": {"file_data": str(data)}}:
            found = image_from_url(data, modality=Modality.DOCUMENT)
        case _:
            pass
    if found is not None:
        yield found


def _arguments(call: Json) -> Any:
    """The arguments as an object, or as text where they are not valid JSON, or might be nested deeply."""
    text: str = call.get("arguments") or "{}"
    # Where the recursion limit is high, decoding deep JSON ends the process.
    if text.count("[") + text.count("{") > _MAX_BRACKETS:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
