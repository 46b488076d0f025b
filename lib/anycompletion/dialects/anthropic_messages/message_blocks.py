"""Messages as Anthropic's turns: system apart, roles merged, every tool result beside its call; drops nothing silently.

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
from .content_blocks import content_blocks, text_block, without_nulls

NATIVE_CONTENT = "anthropic_content"
"""The key of `provider_specific_fields` that holds a reply's own blocks."""

_UNSAFE = re.compile(r"[^a-zA-Z0-9_-]")
_REPLY_MEMBERS = frozenset({"cache_control", "caller"})
"""Of the unknown members of earlier replies, the ones Anthropic knows: any other makes it refuse the request."""


def encode_messages(
    messages: Iterable[Message], report: EncodingReport
) -> tuple[str | list[JsonObject] | None, list[JsonObject]]:
    """The `system` and the `messages` of Anthropic's body.

    Raises:
        InvalidRequestError: a message cannot be said; `.param` names the place.
    """
    turns = _MessageEncoder(report)
    for index, message in enumerate(messages):
        turns.add(message, index)
    return turns.system(), turns.finished()


class _MessageEncoder:
    """The conversation so far."""

    def __init__(self, report: EncodingReport) -> None:
        self._report = report
        self._system: list[tuple[Content, JsonObject, str]] = []
        self._turns: list[JsonObject] = []
        self._open: JsonObject | None = None
        """The last turn, if a message of the same role may still join it."""
        self._leading = True
        self._unanswered: dict[str, str] = {}
        """Ids of calls without a result → names, in order; legacy results know the name only."""

    def add(self, message: Message, index: int) -> None:
        path = f"messages[{index}]"
        match message:
            case SystemMessage() | DeveloperMessage():
                self._instruct(message, path)
                return
            case UserMessage():
                self._refuse_name(message.name, path)
                self._say_user(message, path)
            case AssistantMessage():
                self._refuse_name(message.name, path)
                self._say_assistant(message, index)
            case ToolMessage():
                self._answer(tool_id(message.tool_call_id), message.content, message.extra, path)
            case FunctionMessage():
                self._answer(self._call_of(message.name, path), message.content, message.extra, path)
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
            blocks += _marked(content_blocks(content, path, self._report), extra)
        return blocks or None

    def finished(self) -> list[JsonObject]:
        if not self._turns:
            raise InvalidRequestError("messages: Anthropic needs one besides the system's", param="messages")
        for turn in self._turns:
            if turn["role"] == "user" and isinstance(turn["content"], list):
                # Results before anything else is a rule of the API; the order among each other stays.
                turn["content"] = sorted(cast("list[JsonObject]", turn["content"]), key=_is_no_result)
        return self._turns

    def _instruct(self, message: SystemMessage | DeveloperMessage, path: str) -> None:
        if not self._leading:
            self._report.unsupported(f"{path}.role", "Anthropic takes instructions before the first message only")
            return
        self._refuse_name(message.name, path)
        self._system.append((message.content, without_nulls(message.extra), path))

    def _refuse_name(self, name: str | None, path: str) -> None:
        if name is not None:
            self._report.unsupported(f"{path}.name", "Anthropic's messages have no names; say it in the text")

    def _say_user(self, message: UserMessage, path: str) -> None:
        content = self._content(message.content, without_nulls(message.extra), path)
        if not content:
            raise InvalidRequestError(f"{path}.content: Anthropic refuses an empty message", param=f"{path}.content")
        self._say("user", content)

    def _say_assistant(self, message: AssistantMessage, index: int) -> None:
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
            self._report.warn(f"{path} left out: it says nothing, which Anthropic refuses")
            return
        is_text = len(blocks) == 1 and blocks[0].keys() == {"type", "text"} and isinstance(message.content, str)
        self._say("assistant", blocks[0]["text"] if is_text else blocks)

    def _answer(self, call_id: str, content: Content | None, extra: JsonObject, path: str) -> None:
        self._unanswered.pop(call_id, None)
        block: JsonObject = {"type": "tool_result", "tool_use_id": call_id}
        said = content if isinstance(content, str) else content_blocks(content or [], path, self._report)
        if said:
            block["content"] = said
        self._say("user", [block | without_nulls(extra)])

    def _call_of(self, name: str, path: str) -> str:
        for call_id, called in self._unanswered.items():
            if called == name:
                return call_id
        raise InvalidRequestError(f"{path}.name: answers no earlier call of that function", param=f"{path}.name")

    def _content(self, content: Content, extra: JsonObject, path: str) -> str | list[JsonObject]:
        if isinstance(content, str) and not extra:
            return content
        return _marked(content_blocks(content, path, self._report), extra)

    def _say(self, role: str, content: str | list[JsonObject]) -> None:
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


def _is_no_result(block: JsonObject) -> bool:
    return block.get("type") != "tool_result"


def _marked(blocks: list[JsonObject], extra: JsonObject) -> list[JsonObject]:
    """Members of a message go onto its last block: a cache breakpoint holds for everything before it."""
    if blocks and extra:
        blocks[-1] = blocks[-1] | extra
    return blocks


# --- the assistant's turns --------------------------------------------------------------------------------------------


def assistant_blocks(message: AssistantMessage, index: int, report: EncodingReport) -> list[JsonObject]:
    """An assistant message as native blocks: thinking first, then what it said, then its calls.

    Raises:
        InvalidRequestError: a call's arguments are no JSON object, or it is a call of no function.
    """
    path = f"messages[{index}]"
    thinking = [dict(block) for block in message.thinking_blocks or ()]
    said = content_blocks(message.content or [], path, report)
    if message.refusal and not said:
        said = [cast("JsonObject", text_block(message.refusal, {}))]
    said += _calls(message, index, report)
    _note_losses(message, path, report, refusal_said=message.content in (None, "", []))
    return thinking + _marked(said, _reply_members(message.extra, path, report))


def _native_blocks(native: object, path: str) -> list[JsonObject]:
    blocks = cast("Sequence[object]", native if isinstance(native, (list, tuple)) else [None])
    if not all(isinstance(block, Mapping) for block in blocks):
        raise InvalidRequestError(f"{path}: expected a list of content blocks", param=path)
    own = [dict(cast("Mapping[str, Any]", block)) for block in blocks]
    return [block for block in own if not is_empty_text(block)]


def is_empty_text(block: JsonObject) -> bool:
    """Anthropic sends such blocks now and then, and refuses to get them back."""
    return block.get("type") == "text" and not block.get("text")


def _note_losses(message: AssistantMessage, path: str, report: EncodingReport, *, refusal_said: bool) -> None:
    if message.refusal and not refusal_said:
        report.warn(f"{path}.refusal left out: the message has content")
    if message.thinking_blocks is None and (message.reasoning_content or message.reasoning_details):
        report.warn(f"{path}.reasoning_content left out: Anthropic takes only thinking blocks that it signed")
    if message.audio is not None:
        report.warn(f"{path}.audio left out: Anthropic takes no audio")
    if message.tool_calls and message.function_call is not None:
        report.warn(f"{path}.function_call left out: the message has tool_calls")


def _reply_members(extra: JsonObject, path: str, report: EncodingReport) -> JsonObject:
    members: JsonObject = {}
    for name, value in without_nulls(extra).items():
        if name in _REPLY_MEMBERS:
            members[name] = value
        elif name != "index":  # some servers number the calls of whole replies
            report.warn(f"{path}.{name} left out: Anthropic refuses members it does not know")
    return members


def _calls(message: AssistantMessage, index: int, report: EncodingReport) -> list[JsonObject]:
    path = f"messages[{index}]"
    if message.tool_calls:
        return [_tool_use(call, f"{path}.tool_calls[{j}]", report) for j, call in enumerate(message.tool_calls)]
    if message.function_call is None:
        return []
    # The legacy form has no ids; the place in the conversation is one that stays when the conversation grows.
    return [_use(f"function_call_{index}", message.function_call, f"{path}.function_call", report)]


def _tool_use(call: ToolCall, path: str, report: EncodingReport) -> JsonObject:
    if call.custom is not None:
        raise InvalidRequestError(f"{path}: Anthropic has no custom tools, only functions", param=path)
    call_id = tool_id(call.id)
    if call_id != call.id:
        report.warn(f"{path}.id sent as {call_id}: Anthropic takes letters, digits, _ and - only")
    return _use(call_id, call.function, f"{path}.function", report) | _reply_members(call.extra, path, report)


def _use(call_id: str, function: FunctionCall, path: str, report: EncodingReport) -> JsonObject:
    arguments = _arguments(function.arguments, f"{path}.arguments")
    block: JsonObject = {"type": "tool_use", "id": call_id, "name": function.name, "input": arguments}
    return block | _reply_members(function.extra, path, report)


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
    """An id Anthropic takes, the same one for the same text; the digest keeps two ids from becoming one."""
    if given_id and not _UNSAFE.search(given_id):
        return given_id
    digest = hashlib.sha256(given_id.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{_UNSAFE.sub('_', given_id)}_{digest}"
