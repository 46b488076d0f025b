"""Messages as Anthropic's turns: `system` separate, equal roles merged, tool results first. Drops nothing silently.

https://docs.anthropic.com/en/api/messages
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, assert_never, cast

from ...codecs import json
from ...codecs.lenient import NotJSONError
from ...errors import InvalidRequestError
from ...records import (
    AssistantMessage,
    Content,
    CustomMessage,
    DeveloperMessage,
    FunctionCall,
    FunctionMessage,
    JsonObject,
    Message,
    SystemMessage,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from ..base import EncodingReport
from ..shared import without_nulls
from .content_blocks import content_blocks, text_block

NATIVE_CONTENT = "anthropic_content"
"""The field of `provider_specific_fields` that contains a reply's native blocks."""

_UNSAFE = re.compile(r"[^a-zA-Z0-9_-]")
_REPLY_FIELDS = frozenset({"cache_control", "caller"})
"""Unknown fields of earlier replies that Anthropic accepts; it refuses a request with any other."""


def encode_messages(
    messages: Iterable[Message], report: EncodingReport
) -> tuple[str | list[JsonObject] | None, list[JsonObject]]:
    """The `system` and the `messages` of Anthropic's body.

    Raises:
        InvalidRequestError: the format cannot express a message; `.param` names the place.
    """
    encoder = _AnthropicMessageEncoder(report)
    for index, message in enumerate(messages):
        encoder.add(message, index)
    return encoder.system(), encoder.turns()


class _AnthropicMessageEncoder:
    """The turns of the messages added so far."""

    def __init__(self, report: EncodingReport) -> None:
        self._report = report
        self._system: list[tuple[Content, JsonObject, str]] = []
        self._turns: list[JsonObject] = []
        self._open: JsonObject | None = None
        """The last turn, if the content of another message of its role may be appended to it."""
        self._leading = True
        self._unanswered: dict[str, str] = {}
        """Ids of calls without a result → names, in order; a legacy result has only the name."""

    def add(self, message: Message, index: int) -> None:
        path = f"messages[{index}]"
        match message:
            case SystemMessage() | DeveloperMessage():
                self._add_system(message, path)
                return
            case UserMessage():
                self._report_name(message.name, path)
                self._add_user(message, path)
            case AssistantMessage():
                self._report_name(message.name, path)
                self._add_assistant(message, index)
            case ToolMessage():
                self._add_result(tool_id(message.tool_call_id), message.content, message.extra, path)
            case FunctionMessage():
                self._add_result(self._call_id_of(message.name, path), message.content, message.extra, path)
            case CustomMessage():
                self._turns.append(json.to_wire(message))
                self._open = None
            case _:
                assert_never(message)
        self._leading = False

    def system(self) -> str | list[JsonObject] | None:
        if all(isinstance(content, str) and not extra for content, extra, _ in self._system):
            return "\n\n".join(cast("str", content) for content, _, _ in self._system if content) or None
        blocks: list[JsonObject] = []
        for content, extra, path in self._system:
            blocks += _add_to_last_block(content_blocks(content, path, self._report), extra)
        return blocks or None

    def turns(self) -> list[JsonObject]:
        if not self._turns:
            raise InvalidRequestError("messages: Anthropic needs one besides the system's", param="messages")
        for turn in self._turns:
            if turn["role"] == "user" and isinstance(turn["content"], list):
                # The API requires tool results before all other blocks; the sort is stable.
                turn["content"] = sorted(cast("list[JsonObject]", turn["content"]), key=_is_not_result)
        return self._turns

    def _add_system(self, message: SystemMessage | DeveloperMessage, path: str) -> None:
        if not self._leading:
            self._report.unsupported(f"{path}.role", "Anthropic takes instructions before the first message only")
            return
        self._report_name(message.name, path)
        self._system.append((message.content, without_nulls(message.extra), path))

    def _report_name(self, name: str | None, path: str) -> None:
        if name is not None:
            self._report.unsupported(f"{path}.name", "Anthropic's messages have no names; say it in the text")

    def _add_user(self, message: UserMessage, path: str) -> None:
        content = self._content(message.content, without_nulls(message.extra), path)
        if not content:
            raise InvalidRequestError(f"{path}.content: Anthropic refuses an empty message", param=f"{path}.content")
        self._append("user", content)

    def _add_assistant(self, message: AssistantMessage, index: int) -> None:
        path = f"messages[{index}]"
        native = (message.provider_specific_fields or {}).get(NATIVE_CONTENT)
        if native:
            blocks = _native_blocks(native, f"{path}.provider_specific_fields.{NATIVE_CONTENT}")
        else:
            blocks = assistant_blocks(message, index, self._report)
        for block in blocks:
            if block.get("type") == "tool_use":
                self._unanswered[str(block.get("id"))] = str(block.get("name"))
        if not blocks:
            self._report.warn(f"{path} left out: it is empty, which Anthropic refuses")
            return
        is_text = len(blocks) == 1 and blocks[0].keys() == {"type", "text"} and isinstance(message.content, str)
        self._append("assistant", blocks[0]["text"] if is_text else blocks)

    def _add_result(self, call_id: str, content: Content | None, extra: JsonObject, path: str) -> None:
        self._unanswered.pop(call_id, None)
        block: JsonObject = {"type": "tool_result", "tool_use_id": call_id}
        native = content if isinstance(content, str) else content_blocks(content or [], path, self._report)
        if native:
            block["content"] = native
        self._append("user", [block | without_nulls(extra)])

    def _call_id_of(self, name: str, path: str) -> str:
        for call_id, called in self._unanswered.items():
            if called == name:
                return call_id
        raise InvalidRequestError(f"{path}.name: answers no earlier call of that function", param=f"{path}.name")

    def _content(self, content: Content, extra: JsonObject, path: str) -> str | list[JsonObject]:
        if isinstance(content, str) and not extra:
            return content
        return _add_to_last_block(content_blocks(content, path, self._report), extra)

    def _append(self, role: str, content: str | list[JsonObject]) -> None:
        last = self._open
        if last is None or last["role"] != role:
            self._open = {"role": role, "content": content}
            self._turns.append(self._open)
            return
        if isinstance(last["content"], str):
            last["content"] = _as_blocks(last["content"])
        last["content"] += _as_blocks(content)


def _as_blocks(content: str | list[JsonObject]) -> list[JsonObject]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _is_not_result(block: JsonObject) -> bool:
    return block.get("type") != "tool_result"


def _add_to_last_block(blocks: list[JsonObject], extra: JsonObject) -> list[JsonObject]:
    """Adds fields of a message to its last block: a cache breakpoint there covers everything before it."""
    if blocks and extra:
        blocks[-1] = blocks[-1] | extra
    return blocks


# --- the assistant's turns --------------------------------------------------------------------------------------------


def assistant_blocks(message: AssistantMessage, index: int, report: EncodingReport) -> list[JsonObject]:
    """An assistant message as native blocks: thinking first, then its content, then its calls.

    Raises:
        InvalidRequestError: a call's arguments are not a JSON object, or the call is not a function call.
    """
    path = f"messages[{index}]"
    thinking = [dict(block) for block in message.thinking_blocks or ()]
    blocks = content_blocks(message.content or [], path, report)
    if message.refusal and not blocks:
        blocks = [cast("JsonObject", text_block(message.refusal, {}))]
    blocks += _calls(message, index, report)
    _warn_of_losses(message, path, report, refusal_sent=message.content in (None, "", []))
    return thinking + _add_to_last_block(blocks, _reply_fields(message.extra, path, report))


def _native_blocks(native: object, path: str) -> list[JsonObject]:
    blocks = cast("Sequence[object]", native if isinstance(native, (list, tuple)) else [None])
    if not all(isinstance(block, Mapping) for block in blocks):
        raise InvalidRequestError(f"{path}: expected a list of content blocks", param=path)
    own = [dict(cast("Mapping[str, Any]", block)) for block in blocks]
    return [block for block in own if not is_empty_text(block)]


def is_empty_text(block: JsonObject) -> bool:
    """Whether a block is an empty text, which Anthropic sometimes returns and always refuses."""
    return block.get("type") == "text" and not block.get("text")


def _warn_of_losses(message: AssistantMessage, path: str, report: EncodingReport, *, refusal_sent: bool) -> None:
    if message.refusal and not refusal_sent:
        report.warn(f"{path}.refusal left out: the message has content")
    if message.thinking_blocks is None and (message.reasoning_content or message.reasoning_details):
        report.warn(f"{path}.reasoning_content left out: Anthropic takes only thinking blocks that it signed")
    if message.audio is not None:
        report.warn(f"{path}.audio left out: Anthropic takes no audio")
    if message.tool_calls and message.function_call is not None:
        report.warn(f"{path}.function_call left out: the message has tool_calls")


def _reply_fields(extra: JsonObject, path: str, report: EncodingReport) -> JsonObject:
    fields: JsonObject = {}
    for name, value in without_nulls(extra).items():
        if name in _REPLY_FIELDS:
            fields[name] = value
        elif name != "index":  # some servers number the calls of whole replies
            report.warn(f"{path}.{name} left out: Anthropic refuses members it does not know")
    return fields


def _calls(message: AssistantMessage, index: int, report: EncodingReport) -> list[JsonObject]:
    path = f"messages[{index}]"
    if message.tool_calls:
        return [_tool_use(call, f"{path}.tool_calls[{j}]", report) for j, call in enumerate(message.tool_calls)]
    if message.function_call is None:
        return []
    # The legacy form has no ids; the index of the message stays the same as the conversation grows.
    return [_use(f"function_call_{index}", message.function_call, f"{path}.function_call", report)]


def _tool_use(call: ToolCall, path: str, report: EncodingReport) -> JsonObject:
    if call.custom is not None:
        raise InvalidRequestError(f"{path}: Anthropic has no custom tools, only functions", param=path)
    call_id = tool_id(call.id)
    if call_id != call.id:
        report.warn(f"{path}.id sent as {call_id}: Anthropic takes letters, digits, _ and - only")
    return _use(call_id, call.function, f"{path}.function", report) | _reply_fields(call.extra, path, report)


def _use(call_id: str, function: FunctionCall, path: str, report: EncodingReport) -> JsonObject:
    arguments = _arguments(function.arguments, f"{path}.arguments")
    block: JsonObject = {"type": "tool_use", "id": call_id, "name": function.name, "input": arguments}
    return block | _reply_fields(function.extra, path, report)


def _arguments(text: str, path: str) -> JsonObject:
    if not text.strip():
        return {}
    try:
        value = json.loads(text.encode("utf-8", "replace"))
    except NotJSONError:
        value = None
    if not isinstance(value, dict):
        raise InvalidRequestError(f"{path}: expected the JSON text of an object", param=path)
    return cast("JsonObject", value)


def tool_id(given_id: str) -> str:
    """An id that Anthropic accepts, deterministic; the digest keeps two different ids different."""
    if given_id and not _UNSAFE.search(given_id):
        return given_id
    digest = hashlib.sha256(given_id.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{_UNSAFE.sub('_', given_id)}_{digest}"
