"""Converts the caller's messages and tools to records; the simple cases cost two look-ups each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from ..records import (
    AssistantMessage,
    AssistantTurn,
    DeveloperMessage,
    Message,
    SystemMessage,
    ToolMessage,
    UserMessage,
)
from .values import is_instance_strict, refuse, to_builtin, to_json_level, type_name


def to_record(value: object, cls: Any, param: str) -> Any:
    """`value` as a record of type `cls`.

    Raises:
        InvalidRequestError: `.param` is `param` and the path below it.
    """
    from .structure import structure  # noqa: PLC0415 (loads cattrs, which simple messages do not need)

    return structure(value, cls, param)


def parse_messages(messages: object) -> list[Message]:
    """Records from a string, or from a list of records and OpenAI dicts.

    Raises:
        InvalidRequestError: `.param` is the place, such as ``messages[3].content[0].image_url.url``.
    """
    if type(messages) is str:
        return [UserMessage(messages)]
    if is_instance_strict(messages, str):
        return [UserMessage(to_builtin(messages))]
    if not isinstance(messages, (list, tuple)):
        hint = "; pass list(messages)" if hasattr(messages, "__iter__") and not isinstance(messages, Mapping) else ""
        refuse("messages", f"expected a string or a list, found {type_name(cast('object', messages))}{hint}")
    items = cast("Sequence[object]", to_json_level(cast("object", messages)))
    if not items:
        refuse("messages", "is empty")
    return [_parse_message(item, i) for i, item in enumerate(items)]


def require_ids(messages: Sequence[Message]) -> None:
    """Checks that every tool call and every tool result has the id that links the two.

    Raises:
        InvalidRequestError: one has none; `.param` is its place.
    """
    for i, message in enumerate(messages):
        if isinstance(message, ToolMessage):
            if not message.tool_call_id:
                refuse(f"messages[{i}].tool_call_id", "is missing")
        elif isinstance(message, AssistantTurn):
            for j, call in enumerate(message.tool_calls or ()):
                if not call.id:
                    refuse(f"messages[{i}].tool_calls[{j}].id", "is missing")


def _parse_message(item: object, i: int) -> Message:
    # Nearly every message is a dict of a role and a text; those cost two look-ups and no converter.
    if type(item) is dict and len(item) == 2:  # pyright: ignore[reportUnknownArgumentType]
        data = cast("dict[str, Any]", item)
        role, content = data.get("role"), data.get("content")
        if type(content) is str and type(role) is str:
            simple = _SIMPLE.get(role)
            if simple is not None:
                return simple(content)
    elif (
        type(cast("Any", item)) in _SIMPLE_RECORDS
        and type((record := cast("UserMessage", item)).content) is str
        and type(record.role) is str
        and record.name is None
        and not record.extra
    ):
        return record
    message: Message = to_record(cast("object", item), Message, f"messages[{i}]")
    return message


_SIMPLE: Mapping[str, Callable[[str], Message]] = {
    "user": UserMessage,
    "assistant": AssistantMessage,
    "system": SystemMessage,
    "developer": DeveloperMessage,
}
_SIMPLE_RECORDS = (UserMessage, SystemMessage, DeveloperMessage)
