"""Builds events of Cohere's stream, and reads them into chunks and replies."""

import json
from typing import Any

from anycompletion.codecs.sse import Event
from anycompletion.dialects.base import Target
from anycompletion.dialects.cohere_chat.dialect import DIALECT
from anycompletion.records import ChatRequest, UserMessage
from anycompletion.records.chunks import ChatCompletionChunk
from anycompletion.streaming.accumulator import accumulated

TARGET = Target(provider="cohere", model="command-a", base_url="https://api.cohere.com", stream=True)
CHAT = ChatRequest("command-a", [UserMessage("Hi")])

BLANK: dict[str, Any] = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
START = {"type": "message-start", "id": "gen_1", "delta": {"message": BLANK}}
USAGE = {"billed_units": {"input_tokens": 1}, "tokens": {"input_tokens": 3.0, "output_tokens": 5}, "cached_tokens": 2}


def event(data: Any) -> Event:
    """The event of an object, with its type as the name."""
    return Event(json.dumps(data).encode(), data.get("type", ""))


def message_event(kind: str, index: int | None = None, **message: Any) -> dict[str, Any]:
    """An event with fields of the message in its delta."""
    place = {} if index is None else {"index": index}
    return {"type": kind, **place, "delta": {"message": message}}


def begin(index: int | None, **content: Any) -> dict[str, Any]:
    """The start of a content part."""
    return message_event("content-start", index, content=content)


def piece(index: int | None, **content: Any) -> dict[str, Any]:
    """A piece of a content part."""
    return message_event("content-delta", index, content=content)


def end(index: int) -> dict[str, Any]:
    """The end of a content part."""
    return {"type": "content-end", "index": index}


def call(index: int | None, call_id: str, name: str, arguments: str = "") -> dict[str, Any]:
    """The start of a tool call."""
    native = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
    return message_event("tool-call-start", index, tool_calls=native)


def fragment(index: int | None, arguments: str) -> dict[str, Any]:
    """A piece of the arguments of a tool call."""
    return message_event("tool-call-delta", index, tool_calls={"function": {"arguments": arguments}})


def call_end(index: int) -> dict[str, Any]:
    """The end of a tool call."""
    return {"type": "tool-call-end", "index": index}


def cite(index: int, **citation: Any) -> dict[str, Any]:
    """A citation."""
    return message_event("citation-start", index, citations=citation)


def plan(text: str) -> dict[str, Any]:
    """A piece of the tool plan."""
    return message_event("tool-plan-delta", tool_plan=text)


def stop(reason: str | None = "COMPLETE", **members: Any) -> dict[str, Any]:
    """The end of the message."""
    return {"type": "message-end", "delta": {"finish_reason": reason, "usage": USAGE, **members}}


def run(*events: dict[str, Any], request: ChatRequest = CHAT) -> list[ChatCompletionChunk]:
    """The chunks of events."""
    decoder = DIALECT.decoder(request, TARGET)
    chunks = [chunk for data in events for chunk in decoder.feed(event(data))]
    chunks += decoder.finish()
    return chunks


def native_fields(*events: dict[str, Any], request: ChatRequest = CHAT) -> Any:
    """The reply's provider_specific_fields of the events between the start and the end of a message."""
    return accumulated(run(START, *events, stop(), request=request)).choices[0].message.provider_specific_fields
