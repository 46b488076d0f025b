"""Output items that go back to their provider with an assistant's message. No I/O.

https://platform.openai.com/docs/guides/reasoning

Encrypted reasoning, phases, and the order of items cannot be expressed by a message's own fields. Items go back without
their ids, which a server would look up in vain unless it stored the response. Items of the server's own tools, and
reasoning without its text, cannot do that: they go back only if the response was stored, and then all with their ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from ...codecs.lenient import ShapeError, optional_list, optional_object
from ...errors import InvalidRequestError
from ...records import AssistantTurn, ChatCompletionMessage, JsonObject, RefusalPart, TextPart, ToolCall
from ..base import EncodingReport, Target
from ..edited_replies import given_ids
from .output_items import OpenAIOfferedTools, is_call, item_fields, message_parts, read_items, read_message
from .params import NAME


def native_fields(
    items: list[JsonObject],
    message: ChatCompletionMessage,
    target: Target,
    offered: OpenAIOfferedTools,
    *,
    stored: bool,
) -> JsonObject | None:
    """The `provider_specific_fields` of a message; None where its own fields express all that can go back."""
    if offered.legacy:
        items = _with_one_call(items, offered)
    if replayed(items, offered, stored=stored) == rebuilt(message, ""):
        return None
    native: JsonObject = {"provider": target.provider, "model": target.model, "items": items}
    return {NAME: native | {"stored": True} if stored else native}


def is_plain_text(item: JsonObject) -> bool:
    """Whether an item is a message of one text, which the message's own fields express; a quick check."""
    parts = optional_list(item.get("content")) or ()
    if item["type"] != "message" or not item.keys() <= _PLAIN_MESSAGE or len(parts) != 1:
        return False
    part = optional_object(parts[0]) or {}
    text: object = part.get("text")
    return part.keys() <= _PLAIN_PART and isinstance(text, str) and text != "" and not part.get("annotations")


_PLAIN_MESSAGE = frozenset(("type", "id", "status", "role", "content"))
_PLAIN_PART = frozenset(("type", "text", "annotations", "logprobs"))


def _with_one_call(items: list[JsonObject], offered: OpenAIOfferedTools) -> list[JsonObject]:
    """The items without calls after the first one: the legacy form has no place for them, nor for their results."""
    later = frozenset([i for i, item in enumerate(items) if is_call(item, offered)][1:])
    return [item for i, item in enumerate(items) if i not in later] if later else items


def replayed(items: Sequence[JsonObject], offered: OpenAIOfferedTools, *, stored: bool) -> list[JsonObject]:
    """Output items as input items."""
    by_themselves = [item for item in items if not _needs_store(item, offered)]
    if not stored or len(by_themselves) == len(items):
        return [_replayed(item, offered, with_ids=False) for item in by_themselves]
    return [_replayed(item, offered, with_ids=True) for item in items]


def _needs_store(item: JsonObject, offered: OpenAIOfferedTools) -> bool:
    """Whether only the server's own copy of an item has what continues it."""
    if item["type"] == "reasoning":
        return not (item.get("encrypted_content") or item.get("content"))
    return _is_of_server(item, offered)


def _is_of_server(item: JsonObject, offered: OpenAIOfferedTools) -> bool:
    """Whether an item is one of the server's own tools."""
    return item["type"] not in ("message", "reasoning") and not is_call(item, offered)


def _replayed(item: JsonObject, offered: OpenAIOfferedTools, *, with_ids: bool) -> JsonObject:
    kind = item["type"]
    if _is_of_server(item, offered):
        return dict(item)
    left_out = ("status",) if with_ids else ("status", "id")
    fields = item_fields(item, *left_out)
    if kind == "reasoning":
        if not fields.get("content"):
            fields.pop("content", None)
        return fields | {"summary": item.get("summary") or []}
    if kind != "message":
        return fields
    parts = [_sent_part(part) for part in message_parts(item)]
    if with_ids:
        return fields | {"content": parts}
    return message_item(parts, {name: value for name, value in fields.items() if name == "phase"})


def _sent_part(part: JsonObject) -> JsonObject:
    """A content part of a message as it goes back: without log probabilities, and with a list of annotations."""
    fields = item_fields(part, "logprobs")
    return fields if "refusal" in fields else {"annotations": [], **fields}


def message_item(parts: list[JsonObject], fields: JsonObject) -> JsonObject:
    """A message of the assistant as an input item, in the simple form if it is one text."""
    if len(parts) == 1 and parts[0].keys() <= {"type", "text", "annotations"} and not parts[0].get("annotations"):
        text: object = parts[0].get("text")
        if isinstance(text, str):
            return {"role": "assistant", "content": text, **fields}
    return {"type": "message", "role": "assistant", "content": parts, **fields}


def rebuilt(message: AssistantTurn, legacy_call_id: str) -> list[JsonObject]:
    """The input items of a message's own fields: its text before its calls."""
    parts = _content_parts(message)
    items = [message_item(parts, {})] if parts else []
    for call in message.tool_calls or ():
        items.append(_call_item(call))
    legacy = message.function_call
    if legacy is not None and not message.tool_calls:
        fields = {"call_id": legacy_call_id, "name": legacy.name, "arguments": legacy.arguments}
        items.append({"type": "function_call", **fields})
    return items


def _content_parts(message: AssistantTurn) -> list[JsonObject]:
    content = message.content
    given = content if content and not isinstance(content, str) else ()
    texts = [part.text for part in given if isinstance(part, TextPart)] if given else [content]
    refusals = [part.refusal for part in given if isinstance(part, RefusalPart)]
    if message.refusal:
        refusals.append(message.refusal)
    return [
        *({"type": "output_text", "text": text, "annotations": []} for text in texts if text),
        *({"type": "refusal", "refusal": refusal} for refusal in refusals),
    ]


def _call_item(call: ToolCall) -> JsonObject:
    extra = {name: value for name, value in call.extra.items() if value is not None and name in _CALL_EXTRA}
    if call.custom is not None:
        fields = {"call_id": call.id, "name": call.custom.name, "input": call.custom.input}
        return {"type": "custom_tool_call", **fields, **extra}
    fields = {"call_id": call.id, "name": call.function.name, "arguments": call.function.arguments}
    return {"type": "function_call", **fields, **extra}


_CALL_EXTRA = frozenset(("namespace",))
"""Fields of a call that only this format has, and that go back with it."""


# --- requests ---------------------------------------------------------------------------------------------------------


def items_of_message(
    message: AssistantTurn, target: Target, path: str, report: EncodingReport, *, reasons: bool
) -> list[JsonObject] | None:
    """The input items of the output that a message came from; None if there is none for this provider.

    Args:
        message: the message.
        target: what is asked.
        path: the message's place in the request.
        report: gets the warnings.
        reasons: whether the model reasons; one that does not refuses the reasoning of another one.

    Raises:
        InvalidRequestError: the items are none.
    """
    native: object = (message.provider_specific_fields or {}).get(NAME)
    if native is None:
        return None
    place = f"{path}.provider_specific_fields.{NAME}"
    fields: Mapping[str, object] = cast("Mapping[str, object]", native) if isinstance(native, Mapping) else {}
    if fields.get("provider") != target.provider:
        report.warn(f"{place} left out: only {fields.get('provider') or 'the provider that wrote it'} understands it")
        return None
    items, stored = _checked_items(fields.get("items"), f"{place}.items"), fields.get("stored") is True
    custom = frozenset(call.custom.name for call in message.tool_calls or () if call.custom is not None)
    offered = OpenAIOfferedTools(message.function_call is not None, custom)
    if not _agrees(message, items, offered):
        report.warn(f"{place} left out: the message was changed, and no longer agrees with it")
        return None
    if offered.legacy:
        items = _with_one_call(items, offered)
    items = _with_ids_of(message, items, offered)
    if not reasons and fields.get("model") != target.model and any(item["type"] == "reasoning" for item in items):
        report.warn(f"{place}: reasoning left out, because {target.model} is not known to reason")
        items, stored = [item for item in items if item["type"] != "reasoning"], False
    if not stored and any(_is_of_server(item, offered) for item in items):
        report.warn(f"{place}: items of the server's own tools left out, because the response was not stored")
    return replayed(items, offered, stored=stored)


def _with_ids_of(message: AssistantTurn, items: list[JsonObject], offered: OpenAIOfferedTools) -> list[JsonObject]:
    """The items, whose calls have the ids that they have in the message."""
    calls = [i for i, item in enumerate(items) if is_call(item, offered)]
    found = list(items)
    for i, call_id in zip(calls, given_ids(message, [str(items[i].get("call_id")) for i in calls]), strict=True):
        found[i] = {**items[i], "call_id": call_id}
    return found


def _checked_items(value: object, place: str) -> list[JsonObject]:
    try:
        return read_items(list(cast("Sequence[object]", value)) if isinstance(value, (list, tuple)) else 0)
    except ShapeError:
        pass
    raise InvalidRequestError(f"{place}: expected a list of items", param=place)


def _agrees(message: AssistantTurn, items: list[JsonObject], offered: OpenAIOfferedTools) -> bool:
    """Whether the text and the calls of a message are still those of its items."""
    try:
        read = read_message(items, offered)
    except ShapeError:
        return False
    return _essence(message) == _essence(read)


def _essence(message: AssistantTurn) -> tuple[object, ...]:
    parts = _content_parts(message)
    text = "".join(part["text"] for part in parts if "text" in part)
    refusal = "".join(part["refusal"] for part in parts if "refusal" in part)
    function = message.function_call
    calls = [
        (call.custom.name, call.custom.input)
        if call.custom is not None
        else (call.function.name, call.function.arguments)
        for call in message.tool_calls or ()
    ]
    return text, refusal, calls, function and (function.name, function.arguments)
