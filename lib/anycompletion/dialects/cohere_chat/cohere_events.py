"""Events of Cohere's stream: which type an event has, and the fields that carry its message.

https://docs.cohere.com/docs/streaming
"""

from __future__ import annotations

from typing import Any

from ...codecs.lenient import ShapeError, as_list, as_object, as_optional_object, optional_object
from ...records import JsonObject

TYPES = frozenset(
    {
        "message-start",
        "content-start",
        "content-delta",
        "content-end",
        "tool-plan-delta",
        "tool-call-start",
        "tool-call-delta",
        "tool-call-end",
        "citation-start",
        "citation-end",
        "message-end",
        "debug",
        "error",
    }
)
"""Types of Cohere's events, and the one that proxies use."""


def type_of_event(data: JsonObject, name: str) -> str:
    """The type of an event whose data has no known one: the event's name, else what its fields show; "" for none."""
    return name if name in TYPES else _type_by_fields(data)


def _type_by_fields(data: JsonObject) -> str:
    delta = optional_object(data.get("delta")) or {}
    if "finish_reason" in delta:
        return "message-end"
    message = optional_object(delta.get("message")) or {}
    if "role" in message:
        return "message-start"
    if message.get("tool_plan") is not None:
        return "tool-plan-delta"
    if message.get("citations") is not None:
        return "citation-start"
    if message.get("tool_calls") is not None:
        call = optional_object(message["tool_calls"]) or {}
        return "tool-call-start" if "id" in call else "tool-call-delta"
    content = message.get("content")
    if content is None:
        return ""
    return "content-start" if "type" in (optional_object(content) or {}) else "content-delta"


def message_of_event(data: JsonObject) -> JsonObject:
    """The message in an event's delta; {} if there is none.

    Raises:
        ShapeError: there is something else in its place.
    """
    delta: Any = data.get("delta")
    if delta.__class__ is not dict:
        delta = delta_of_event(data)
    message: Any = delta.get("message")
    return message if message.__class__ is dict else as_optional_object(message, "delta.message") or {}


def delta_of_event(data: JsonObject) -> JsonObject:
    """An event's delta; {} if there is none.

    Raises:
        ShapeError: there is something else in its place.
    """
    return as_optional_object(data.get("delta"), "delta") or {}


def calls_of_event(data: JsonObject) -> list[JsonObject]:
    """The tool calls in an event, which has one object where replies have a list.

    Raises:
        ShapeError: there is something else in their place.
    """
    calls: Any = message_of_event(data).get("tool_calls")
    if calls.__class__ is dict:
        return [calls]
    path = "delta.message.tool_calls"
    if calls is None:
        delta = delta_of_event(data)
        around = message_of_event(data) if "message" in delta else delta
        if around and "tool_calls" not in around:
            raise ShapeError(path, "an object", calls)
    items = as_list([calls] if isinstance(calls, str) else calls, path)
    return [as_object(item, path) for item in items]
