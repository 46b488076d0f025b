"""Messages as Anthropic's turns: `system` separate, equal roles merged, tool results first. Drops nothing silently.

https://docs.anthropic.com/en/api/messages
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, assert_never, cast

from ...codecs import json
from ...codecs.lenient import ShapeError
from ...errors import InvalidRequestError
from ...records import (
    AssistantMessage,
    AssistantTurn,
    ChatCompletionMessage,
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
from ..edited_replies import given_ids, is_edited
from ..shared import arguments_object, warn_of_native_fields, without_nulls
from .anthropic_call_ids import anthropic_call_ids
from .content_blocks import content_blocks, is_blank, text_block, warn_of_blank
from .reply_blocks import read_blocks

NATIVE_CONTENT = "anthropic_content"
"""The field of `provider_specific_fields` that contains a reply's native blocks."""

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
        self._left_out: str | None = None
        """Path of the last message, if it is a user message that was left out."""
        self._ids = anthropic_call_ids()

    def add(self, message: Message, index: int) -> None:
        path = f"messages[{index}]"
        match message:
            case SystemMessage() | DeveloperMessage():
                self._add_system(message, path)
                return
            case UserMessage():
                self._report_name(message.name, path)
                self._add_user(message, path)
            case AssistantMessage() | ChatCompletionMessage():
                self._report_name(message.name, path)
                self._add_assistant(message, index)
            case ToolMessage():
                self._add_result(self._ids.of_result(message.tool_call_id), message, path)
            case FunctionMessage():
                self._add_result(self._call_id_of(message.name, path), message, path)
            case CustomMessage():
                self._turns.append(json.to_wire(message))
                self._open = self._left_out = None
            case _:
                assert_never(message)
        self._leading = False

    def system(self) -> str | list[JsonObject] | None:
        if all(isinstance(content, str) and not extra for content, extra, _ in self._system):
            return "\n\n".join(cast("str", content) for content, _, _ in self._system) or None
        blocks: list[JsonObject] = []
        for content, extra, path in self._system:
            blocks += _add_to_last_block(content_blocks(content, path, self._report), extra)
        return blocks or None

    def turns(self) -> list[JsonObject]:
        if self._left_out is not None:
            place = f"{self._left_out}.content"
            raise InvalidRequestError(f"{place}: Anthropic refuses an empty message", param=place)
        if not self._turns:
            raise InvalidRequestError("messages: Anthropic needs one besides the system's", param="messages")
        self._strip_last()
        for turn in self._turns:
            if turn["role"] == "user" and isinstance(turn["content"], list):
                # The API requires tool results before all other blocks; the sort is stable.
                turn["content"] = sorted(cast("list[JsonObject]", turn["content"]), key=_is_not_result)
        return self._turns

    def _add_system(self, message: SystemMessage | DeveloperMessage, path: str) -> None:
        if not self._leading:
            self._report.moved_to_front(f"{path}.role", "Anthropic takes instructions before the first message only")
        self._report_name(message.name, path)
        if is_blank(message.content):
            warn_of_blank(message.content, f"{path}.content", self._report)
            return
        self._system.append((message.content, without_nulls(message.extra), path))

    def _report_name(self, name: str | None, path: str) -> None:
        if name is not None:
            self._report.unsupported(f"{path}.name", "Anthropic's messages have no names; say it in the text")

    def _add_user(self, message: UserMessage, path: str) -> None:
        content = self._content(message.content, without_nulls(message.extra), path)
        if content:
            for block in () if isinstance(content, str) else content:
                if block.get("type") == "tool_result":
                    block["tool_use_id"] = self._ids.of_result(str(block.get("tool_use_id") or ""))
            self._append("user", content)
        else:
            self._left_out = path
            self._report.warn(f"{path} left out: it is empty, which Anthropic refuses")

    def _add_assistant(self, message: AssistantTurn, index: int) -> None:
        path = f"messages[{index}]"
        warn_of_native_fields(message.provider_specific_fields, NATIVE_CONTENT, path, self._report)
        native: object = (message.provider_specific_fields or {}).get(NATIVE_CONTENT)
        blocks = None
        if native:
            place = f"{path}.provider_specific_fields.{NATIVE_CONTENT}"
            own = _native_blocks(native, place)
            if not is_edited(message, _message_of_native(own), place, self._report):
                blocks = [block for block in own if not is_blank_block(block)]
                uses = [block for block in blocks if block.get("type") == "tool_use"]
                for use, call_id in zip(uses, given_ids(message, [str(use.get("id")) for use in uses]), strict=True):
                    use["id"] = call_id
                self._add_cache_control(blocks, message.extra, path)
        if blocks is None:
            blocks = assistant_blocks(message, index, self._report)
        for block in blocks:
            if block.get("type") == "tool_use":
                self._set_id(block, path)
        if not blocks:
            if not message.content:  # else the report has its reason
                self._report.warn(f"{path} left out: it is empty, which Anthropic refuses")
            return
        is_text = len(blocks) == 1 and blocks[0].keys() == {"type", "text"} and isinstance(message.content, str)
        self._append("assistant", blocks[0]["text"] if is_text else blocks)

    def _add_cache_control(self, blocks: list[JsonObject], extra: JsonObject, path: str) -> None:
        """Adds a message's `cache_control` to the last of its native blocks, unless that is thinking."""
        caching = extra.get("cache_control")
        if caching is None:
            return
        if blocks and blocks[-1].get("type") not in ("thinking", "redacted_thinking"):
            blocks[-1] = {**blocks[-1], "cache_control": caching}
        else:
            self._report.warn(f"{path}.cache_control left out: Anthropic takes none on thinking")

    def _set_id(self, block: JsonObject, path: str) -> None:
        given = str(block.get("id") or "")
        block["id"] = sent = self._ids.of_call(given, str(block.get("name")))
        if sent != given and given:
            self._report.warn(f"{path}: call id {given!r} sent as {sent}, because Anthropic refuses it")

    def _add_result(self, call_id: str, message: ToolMessage | FunctionMessage, path: str) -> None:
        block: JsonObject = {"type": "tool_result", "tool_use_id": call_id}
        content = message.content
        native = content if isinstance(content, str) else content_blocks(content or [], path, self._report)
        if is_blank(native):
            warn_of_blank(native, f"{path}.content", self._report)
        elif native:
            block["content"] = native
        self._append("user", [block | without_nulls(message.extra)])

    def _call_id_of(self, name: str, path: str) -> str:
        call_id = self._ids.of_function_result(name)
        if call_id is None:
            raise InvalidRequestError(f"{path}.name: answers no earlier call of that function", param=f"{path}.name")
        return call_id

    def _content(self, content: Content, extra: JsonObject, path: str) -> str | list[JsonObject]:
        if is_blank(content):
            return ""
        if isinstance(content, str) and not extra:
            return content
        return _add_to_last_block(content_blocks(content, path, self._report), extra)

    def _strip_last(self) -> None:
        """Cuts the white space at the end of a last message of the assistant, where Anthropic refuses it."""
        turn = self._turns[-1]
        if turn["role"] != "assistant" or not turn.get("content"):
            return
        holder, key = (turn, "content") if isinstance(turn["content"], str) else (turn["content"][-1], "text")
        text = holder.get(key)
        if isinstance(text, str) and text != text.rstrip():
            holder[key] = text.rstrip()
            self._report.warn("the last message is sent without the white space at its end, which Anthropic refuses")

    def _append(self, role: str, content: str | list[JsonObject]) -> None:
        self._left_out = None
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


def assistant_blocks(message: AssistantTurn, index: int, report: EncodingReport) -> list[JsonObject]:
    """An assistant message as native blocks: thinking first, then its content, then its calls.

    Raises:
        InvalidRequestError: a call is not a function call.
    """
    path = f"messages[{index}]"
    thinking = _signed(message, path, report)
    blocks = content_blocks(message.content or [], path, report)
    if message.refusal and not blocks:
        block = text_block(message.refusal, {}, f"{path}.refusal", report)
        blocks = [] if block is None else [block]
    blocks += _calls(message, index, report)
    _warn_of_losses(message, path, report, refusal_sent=message.content in (None, "", []))
    return thinking + _add_to_last_block(blocks, _reply_fields(message.extra, path, report))


def _signed(message: AssistantTurn, path: str, report: EncodingReport) -> list[JsonObject]:
    """The thinking of a message, without blocks that have no signature: models of other vendors sign none."""
    blocks = [without_nulls(dict(block)) for block in message.thinking_blocks or ()]
    signed = [block for block in blocks if block.get("type") != "thinking" or "signature" in block]
    if len(signed) < len(blocks):
        report.warn(f"{path}.thinking_blocks left out: Anthropic takes only thinking that is signed")
    return signed


def _native_blocks(native: object, path: str) -> list[JsonObject]:
    blocks = cast("Sequence[object]", native if isinstance(native, (list, tuple)) else [None])
    if not all(isinstance(block, Mapping) for block in blocks):
        raise InvalidRequestError(f"{path}: expected a list of content blocks", param=path)
    return [dict(cast("Mapping[str, Any]", block)) for block in blocks]


def _message_of_native(blocks: list[JsonObject]) -> ChatCompletionMessage | None:
    """The text and the calls of native blocks; None if they cannot be read."""
    try:
        read = read_blocks(blocks)
    except ShapeError:
        return None
    calls = [
        ToolCall(block["id"], FunctionCall(block["name"], json.dumps(block["input"]).decode()))
        for block in read
        if block["type"] == "tool_use"
    ]
    return ChatCompletionMessage("".join(block["text"] for block in read if block["type"] == "text"), tool_calls=calls)


def is_blank_block(block: JsonObject) -> bool:
    """Whether a block is a blank text, which Anthropic sometimes returns and always refuses."""
    text = block.get("text")
    return block.get("type") == "text" and (not text or is_blank(text))


def _warn_of_losses(message: AssistantTurn, path: str, report: EncodingReport, *, refusal_sent: bool) -> None:
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


def _calls(message: AssistantTurn, index: int, report: EncodingReport) -> list[JsonObject]:
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
    return _use(call.id, call.function, f"{path}.function", report) | _reply_fields(call.extra, path, report)


def _use(call_id: str, function: FunctionCall, path: str, report: EncodingReport) -> JsonObject:
    arguments = arguments_object(function.arguments, f"{path}.arguments", report)
    block: JsonObject = {"type": "tool_use", "id": call_id, "name": function.name, "input": arguments}
    return block | _reply_fields(function.extra, path, report)
