"""Converts the caller's messages and tools to records; the simple cases cost two look-ups each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, cast

import attrs

from ..records import (
    AssistantMessage,
    AssistantTurn,
    ChatCompletion,
    DeveloperMessage,
    Message,
    SystemMessage,
    ToolMessage,
    UserMessage,
)
from ..records.base import ModelMethods
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
        found = type_name(messages)
        refuse("messages", f"expected a string or a list, found {found}{_list_hint(messages)}")
    items = cast("Sequence[object]", to_json_level(cast("object", messages)))
    if not items:
        refuse("messages", "is empty")
    return [_parse_message(item, i) for i, item in enumerate(items)]


def _list_hint(messages: object) -> str:
    """What to write in place of messages that are no list: a single message, a whole reply, an iterator."""
    if isinstance(messages, ChatCompletion):
        return "; pass a list of messages: [reply.choices[0].message, ...]"
    if isinstance(messages, (Mapping, ModelMethods)):
        return "; pass a list of messages: [message]"
    return "; pass list(messages)" if hasattr(messages, "__iter__") else ""


def with_call_ids(messages: Sequence[Message]) -> list[Message] | None:
    """The messages with an id for every tool call and its result; None where all have theirs.

    Calls and results without ids, those of servers that have none, are paired in their order, and get ids that stay the
    same as the conversation grows.

    Raises:
        InvalidRequestError: a call or a result without an id has no counterpart; `.param` is its place.
    """
    for message in messages:
        if isinstance(message, ToolMessage):
            if not message.tool_call_id:
                return _paired(messages)
        elif isinstance(message, AssistantTurn):
            for call in message.tool_calls or ():
                if not call.id:
                    return _paired(messages)
    return None


def taken_call_ids(messages: Sequence[Message]) -> set[str]:
    """The ids that the tool calls and the results of a conversation have."""
    taken: set[str] = set()
    for message in messages:
        if isinstance(message, ToolMessage):
            taken.add(message.tool_call_id)
        elif isinstance(message, AssistantTurn):
            taken.update(call.id for call in message.tool_calls or ())
    return taken


def unused_call_id(base: str, taken: Set[str]) -> str:
    """An id that is not taken: `base`, or `base` with underscores."""
    while base in taken:
        base += "_"
    return base


def _paired(messages: Sequence[Message]) -> list[Message]:
    paired: list[Message] = []
    taken = taken_call_ids(messages)
    waiting: dict[str, str] = {}
    """Place of a call without an id and without a result → its new id."""
    for i, message in enumerate(messages):
        if isinstance(message, ToolMessage) and not message.tool_call_id:
            if not waiting:
                refuse(f"messages[{i}].tool_call_id", "is missing")
            paired.append(attrs.evolve(message, tool_call_id=waiting.pop(next(iter(waiting)))))
        elif isinstance(message, AssistantTurn) and message.tool_calls:
            calls = [*message.tool_calls]
            for j, call in enumerate(calls):
                if not call.id:
                    calls[j] = attrs.evolve(call, id=unused_call_id(f"call_{i}_{j}", taken))
                    waiting[f"messages[{i}].tool_calls[{j}].id"] = calls[j].id
            paired.append(attrs.evolve(message, tool_calls=calls))
        else:
            paired.append(message)
    if waiting:
        refuse(next(iter(waiting)), "is missing")
    return paired


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
