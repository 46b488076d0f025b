"""Messages in the form that the target's server accepts. Earlier replies may come from any provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ...codecs.json import PlainMessage, to_wire
from ...errors import UnsupportedParameterError
from ...records import AssistantTurn, JsonObject, Message, ToolMessage
from ..base import EncodingReport, Target
from ..shared import data_url, without_nulls
from .call_ids import OpenAICallIdForm, fitting_id
from .quirks import Quirks

_REASONING = ("reasoning_content", "reasoning")
"""The names of reasoning text; the first one is that of the records."""

_REPLY_FIELDS = ("refusal", "annotations", "audio")
"""Fields of OpenAI's replies that other servers may refuse in an earlier message; see `Quirks.reply_members`."""

_SPECIFIC = "provider_specific_fields"
"""The field with data for one provider each: ``{"<provider>": {"<field>": ...}}``."""

_DATA_URLS: Mapping[str, str] = {"image_url": "url", "file": "file_data"}
"""Type of a part → the field of its object that may be a data URL."""

_ANSWER = "OK"
"""The text of a message of the assistant that a server requires, and the conversation does not have."""

_INSTRUCTIONS = frozenset(("system", "developer"))


def encode_message(
    message: Message, path: str, target: Target, quirks: Quirks, report: EncodingReport
) -> JsonObject | None:
    """A message of any kind as JSON that the server accepts; None for an empty one that the server refuses.

    Raises:
        UnsupportedParameterError: a part of it is not supported, under the policy "raise".
    """
    wire = _cleaned(to_wire(message))
    if isinstance(message, AssistantTurn):
        _adapt_assistant(wire, message, path, target, quirks, report)
    elif message.role == "developer" and quirks.developer_role is not True:
        if quirks.developer_role is None:
            report.warn(f"{path}.role: some of {target.provider}'s models overlook the role developer")
        else:
            wire["role"] = "system"
    elif isinstance(message, ToolMessage) and not message.tool_call_id:
        del wire["tool_call_id"]
    is_named = message.role not in ("tool", "function") and "name" in wire
    if is_named and not quirks.message_name:
        del wire["name"]
        report.unsupported(f"{path}.name", f"{target.provider}'s messages have no name")
    return wire if quirks.blank_text else without_blank_text(wire, path, report)


# --- nulls and blank texts --------------------------------------------------------------------------------------------


def _cleaned(wire: JsonObject) -> JsonObject:
    """A message without the nulls of earlier replies, which ask for nothing and are refused by some servers.

    The content stays: where an assistant wrote no text, OpenAI's format has null.
    """
    if None in wire.values():
        wire = {name: value for name, value in wire.items() if value is not None or name == "content"}
    for name in ("content", "tool_calls"):
        items: Any = wire.get(name)
        if isinstance(items, list):
            wire[name] = [_cleaned_item(item) for item in cast("list[Any]", items)]
    if isinstance(wire.get("function_call"), dict):
        wire["function_call"] = without_nulls(wire["function_call"])
    return wire


def _cleaned_item(item: Any) -> Any:
    """A part or a call without nulls, and with the registered media types of data URLs."""
    if not isinstance(item, dict):
        return item
    fields = without_nulls(cast("JsonObject", item))
    kind = fields.get("type")
    inner = fields.get(kind) if isinstance(kind, str) else None
    if not isinstance(kind, str) or not isinstance(inner, (dict, str)):
        return fields
    if isinstance(inner, dict):
        inner = without_nulls(cast("JsonObject", inner))
        place = _DATA_URLS.get(kind, "")
        if isinstance(inner.get(place), str):
            inner = inner | {place: data_url(inner[place])}
    elif kind in _DATA_URLS:
        inner = data_url(inner)
    return fields | {kind: inner}


def without_blank_text(wire: JsonObject, path: str, report: EncodingReport) -> JsonObject | None:
    """The message without blank text parts; None for an assistant's message that then has neither text nor calls."""
    content = wire.get("content")
    if isinstance(content, list):
        parts = cast("list[Any]", content)
        kept = [part for part in parts if not _is_blank_part(part)]
        if len(kept) < len(parts) and (kept or wire["role"] == "assistant"):
            content = kept
            wire = wire | {"content": kept}
            report.warn(f"{path}.content: blank texts left out")
    if wire["role"] != "assistant" or any(wire.get(name) for name in ("tool_calls", "function_call")):
        return wire
    if content and not (isinstance(content, str) and not content.strip()):
        return wire
    report.warn(f"{path} left out: it has no text and no calls")
    return None


def _is_blank_part(part: Any) -> bool:
    if not isinstance(part, dict):
        return False
    text = cast("JsonObject", part).get("text")
    return isinstance(text, str) and not text.strip()


# --- earlier replies --------------------------------------------------------------------------------------------------


def _adapt_assistant(
    wire: JsonObject, message: AssistantTurn, path: str, target: Target, quirks: Quirks, report: EncodingReport
) -> None:
    """Changes an earlier reply, which may come from any provider, to one that the server accepts."""
    _adapt_reasoning(wire, path, target, quirks, report)
    _adapt_extensions(wire, path, target, quirks, report)
    for i, call in enumerate(cast("list[JsonObject]", wire.get("tool_calls") or [])):
        _adapt_extensions(call, f"{path}.tool_calls[{i}]", target, quirks, report)
        if not call["id"]:
            del call["id"]
    if not quirks.reply_members:
        for name in _REPLY_FIELDS:
            if wire.pop(name, None):
                report.warn(f"{path}.{name} left out: {target.provider} does not know it")
    elif message.audio is not None and message.audio.id is not None:
        wire["audio"] = {"id": message.audio.id}  # the API takes only the id of its own audio, not the data


def _adapt_reasoning(wire: JsonObject, path: str, target: Target, quirks: Quirks, report: EncodingReport) -> None:
    """Sends reasoning back in the server's own field, and leaves it out for servers that take none."""
    if quirks.reasoning is None:
        for name in _REASONING:
            if wire.pop(name, None) is not None:
                report.warn(f"{path}.{name} left out: {target.provider} takes none back")
    elif quirks.reasoning not in wire:
        for name in _REASONING:
            if name in wire:
                wire[quirks.reasoning] = wire.pop(name)
                break
    if quirks.empty_reasoning and quirks.reasoning is not None and wire.get("tool_calls"):
        wire.setdefault(quirks.reasoning, "")
    if not quirks.reasoning_details:
        _leave_out(wire, "reasoning_details", path, report)
    _leave_out(wire, "thinking_blocks", path, report)


def _adapt_extensions(wire: JsonObject, path: str, target: Target, quirks: Quirks, report: EncodingReport) -> None:
    """Sends extensions of OpenAI's format, of a message or a call, only to the provider that understands them."""
    if not quirks.extra_content:
        _leave_out(wire, "extra_content", path, report)
    specific: object = wire.get(_SPECIFIC)
    if isinstance(specific, Mapping) and target.provider in specific:
        own: object = cast("Mapping[str, object]", wire.pop(_SPECIFIC))[target.provider]
        if isinstance(own, Mapping):
            for name, value in cast("Mapping[str, Any]", own).items():
                wire.setdefault(name, value)
    _leave_out(wire, _SPECIFIC, path, report)


def _leave_out(wire: JsonObject, name: str, path: str, report: EncodingReport) -> None:
    if wire.pop(name, None) is not None:
        report.warn(f"{path}.{name} left out: only the provider that wrote it understands it")


# --- ids of calls -----------------------------------------------------------------------------------------------------


def fit_call_ids(wire: JsonObject, path: str, form: OpenAICallIdForm, provider: str, report: EncodingReport) -> None:
    """Replaces the ids of a message's calls, or the id of the call that it answers, where the server refuses them."""
    found: object = wire.get("tool_calls")
    # In a message of an unknown role, these fields may have any type.
    for i, call in enumerate(cast("list[Any]", found) if isinstance(found, list) else ()):
        if isinstance(call, dict):
            _fit_call_id(cast("JsonObject", call), "id", f"{path}.tool_calls[{i}]", form, provider, report)
    _fit_call_id(wire, "tool_call_id", path, form, provider, report)


def _fit_call_id(
    holder: JsonObject, name: str, path: str, form: OpenAICallIdForm, provider: str, report: EncodingReport
) -> None:
    given: object = holder.get(name)
    if not given or not isinstance(given, str):
        return
    made = fitting_id(given, form)
    if made != given:
        holder[name] = made
        report.warn(f"{path}.{name} sent as {made}: {provider} accepts no ids of that form")


# --- instructions -----------------------------------------------------------------------------------------------------


def join_instructions(
    messages: list[JsonObject | PlainMessage], target: Target, report: EncodingReport
) -> list[JsonObject | PlainMessage]:
    """The messages with one system message at the front, for servers that refuse more: the leading ones are joined.

    Raises:
        UnsupportedParameterError: there are instructions after the first other message, under the policy "raise".
    """
    wires = [message.to_dict() if isinstance(message, PlainMessage) else message for message in messages]
    leading = next((i for i, wire in enumerate(wires) if wire["role"] not in _INSTRUCTIONS), len(wires))
    later = [i for i, wire in enumerate(wires) if i >= leading and wire["role"] in _INSTRUCTIONS]
    if later and report.policy == "raise":
        place = f"messages[{later[0]}].role"
        raise UnsupportedParameterError(
            f"{place}: {target.provider} accepts instructions at the front only", param=place
        )
    if later:
        report.warn(f"messages[{later[0]}] moved to the front: {target.provider} accepts instructions there only")
    instructions = [*wires[:leading], *(wires[i] for i in later)]
    if len(instructions) <= 1:
        return messages
    joined = instructions[0] | {"content": _joined([wire.get("content") for wire in instructions])}
    return [joined, *(message for i, message in enumerate(messages) if i >= leading and i not in later)]


# --- results of calls -------------------------------------------------------------------------------------------------


def answer_results(
    messages: list[JsonObject | PlainMessage], provider: str, report: EncodingReport
) -> list[JsonObject | PlainMessage]:
    """The messages with one of the assistant between a tool result and the user, for servers that require it."""
    answered: list[JsonObject | PlainMessage] = []
    earlier = ""
    for message in messages:
        role = message.role if isinstance(message, PlainMessage) else message["role"]
        if earlier == "tool" and role == "user":
            answered.append(PlainMessage("assistant", _ANSWER))
            report.warn(f"a message of the assistant, {_ANSWER!r}, added after tool results: {provider} requires one")
        answered.append(message)
        earlier = role
    return answered


def _joined(contents: list[Any]) -> Any:
    """Texts joined by a blank line; if one of them is a list of parts, the parts of all."""
    if all(isinstance(content, str) for content in contents):
        return "\n\n".join(contents)
    parts: list[Any] = []
    for content in contents:
        parts += [{"type": "text", "text": content}] if isinstance(content, str) else content or ()
    return parts
