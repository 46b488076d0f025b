"""Messages as Bedrock's turns: `system` separate, equal roles merged, tool results first. Drops nothing silently.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, assert_never, cast

from ...codecs import json
from ...errors import InvalidRequestError
from ...records import (
    AssistantMessage,
    AssistantTurn,
    ChatCompletionMessage,
    CustomMessage,
    DeveloperMessage,
    FunctionMessage,
    JsonObject,
    Message,
    SystemMessage,
    ToolMessage,
    UserMessage,
)
from ..base import EncodingReport
from ..edited_replies import given_ids, is_edited
from ..shared import warn_of_native_fields, without_nulls
from ..tool_call_ids import ToolCallIds
from .bedrock_models import BedrockModelFamily
from .converse_blocks import message_of_native, read_blocks
from .converse_call_ids import converse_call_ids
from .converse_parts import BedrockParts
from .converse_turns import NATIVE_CONTENT, assistant_blocks, checked_blocks, own_blocks


class BedrockMessages:
    """The turns of the messages added so far."""

    def __init__(self, family: BedrockModelFamily, report: EncodingReport) -> None:
        self._report = report
        self._family = family
        self._parts = BedrockParts(report)
        self._turns: list[JsonObject] = []
        self._leading = True
        self.system: list[JsonObject] = []
        """The blocks of all instructions."""
        self.has_calls = False
        """Whether a turn has a call or a result."""

    @functools.cached_property
    def _ids(self) -> ToolCallIds:
        """The ids of the calls."""
        return converse_call_ids(self._family)

    def add_all(self, messages: Iterable[Message]) -> list[JsonObject]:
        """Adds all messages of a conversation and returns its turns.

        Raises:
            InvalidRequestError: the format cannot express a message; `.param` names the place.
        """
        for index, message in enumerate(messages):
            self._add(message, index)
        if self._turns:
            self._strip_last()
        if not self.has_calls:
            return self._turns
        for turn in self._turns:
            if turn["role"] == "user":
                turn["content"] = _results_first(turn["content"])
        return self._turns

    def _add(self, message: Message, index: int) -> None:
        path = f"messages[{index}]"
        match message:
            case SystemMessage() | DeveloperMessage():
                self._add_system(message, path)
                return
            case UserMessage():
                if message.name is not None:
                    self._report_name(path)
                self._add_user(message, path)
            case AssistantMessage() | ChatCompletionMessage():
                if message.name is not None:
                    self._report_name(path)
                self._add_assistant(message, index)
            case ToolMessage():
                self._add_result(self._ids.of_result(message.tool_call_id), message, path)
            case FunctionMessage():
                self._add_result(self._call_id_of(message.name, path), message, path)
            case CustomMessage():
                self._turns.append(json.to_wire(message))
            case _:
                assert_never(message)
        self._leading = False

    def _add_system(self, message: SystemMessage | DeveloperMessage, path: str) -> None:
        if not self._leading:
            self._report.moved_to_front(f"{path}.role", "Bedrock takes instructions before the first message only")
        if message.name is not None:
            self._report_name(path)
        blocks = self._parts.blocks(message.content, path, "system")
        self.system += self._with_fields(blocks, message.extra, path)

    def _report_name(self, path: str) -> None:
        self._report.unsupported(f"{path}.name", "Bedrock's messages have no names; say it in the text")

    def _add_user(self, message: UserMessage, path: str) -> None:
        blocks = self._with_fields(self._parts.blocks(message.content, path, "user"), message.extra, path)
        if not blocks:
            place = f"{path}.content"
            raise InvalidRequestError(f"{place}: Bedrock refuses an empty message", param=place)
        for block in blocks:
            result: Any = block.get("toolResult")
            if isinstance(result, dict):
                given: Any = cast("JsonObject", result).get("toolUseId")
                block["toolResult"] = {**result, "toolUseId": self._ids.of_result(str(given or ""))}
                self.has_calls = True
        self._append("user", blocks)

    def _add_assistant(self, message: AssistantTurn, index: int) -> None:
        path = f"messages[{index}]"
        warn_of_native_fields(message.provider_specific_fields, NATIVE_CONTENT, path, self._report)
        blocks = self._native_blocks(message, path)
        if blocks is None:
            blocks = assistant_blocks(message, index, self._family, self._report, self._parts)
        caching = message.extra.get("cache_control")
        blocks = blocks if caching is None else self._parts.with_cache_point(blocks, caching, path)
        for block in blocks:
            self._set_id(block, path)
        if blocks:
            self._append("assistant", blocks)
        elif not message.content:  # else the report has its reason
            self._report.warn(f"{path} left out: it is empty, which Bedrock refuses")

    def _native_blocks(self, message: AssistantTurn, path: str) -> list[JsonObject] | None:
        """The blocks of the reply that a message is; None if there are none, or the caller has edited the message."""
        native: object = (message.provider_specific_fields or {}).get(NATIVE_CONTENT)
        if not native:
            return None
        place = f"{path}.provider_specific_fields.{NATIVE_CONTENT}"
        blocks = checked_blocks(native, place)
        if is_edited(message, message_of_native(blocks, self._family), place, self._report):
            return None
        return _with_ids_of(message, own_blocks(read_blocks(blocks), place, self._family, self._report))

    def _set_id(self, block: JsonObject, path: str) -> None:
        """Sets the id of a call by the model; those of tools that Bedrock runs go back unchanged."""
        use: Any = block.get("toolUse")
        if not isinstance(use, dict):
            return
        self.has_calls = True
        call = cast("JsonObject", use)
        if _is_of_server(call):
            return
        given = str(call.get("toolUseId") or "")
        sent = self._ids.of_call(given, str(call.get("name")))
        block["toolUse"] = {**call, "toolUseId": sent}
        if sent != given and given:
            self._report.warn(f"{path}: call id {given!r} sent as {sent}, because the model refuses it")

    def _add_result(self, call_id: str, message: ToolMessage | FunctionMessage, path: str) -> None:
        # A name here repeats the id, so it is dropped.
        content = self._parts.blocks(message.content or "", path, "tool")
        points = [block for block in content if "cachePoint" in block]  # they stand behind the result
        result: JsonObject = {"toolUseId": call_id, "content": [block for block in content if block not in points]}
        extra = without_nulls(message.extra)
        status = extra.pop("status", None)
        if status is not None:
            result["status"] = status
        self.has_calls = True
        self._append("user", self._with_fields([{"toolResult": result}, *points[-1:]], extra, path))

    def _call_id_of(self, name: str, path: str) -> str:
        call_id = self._ids.of_function_result(name)
        if call_id is None:
            raise InvalidRequestError(f"{path}.name: answers no earlier call of that function", param=f"{path}.name")
        return call_id

    def _with_fields(self, blocks: list[JsonObject], extra: JsonObject, path: str) -> list[JsonObject]:
        """The blocks with what a message's own fields ask for."""
        if not extra:
            return blocks
        fields = without_nulls(extra)
        caching = fields.pop("cache_control", None)
        for name in fields:
            self._report.unsupported(f"{path}.{name}", "Bedrock's messages have no such field")
        return blocks if caching is None else self._parts.with_cache_point(blocks, caching, path)

    def _append(self, role: str, blocks: list[JsonObject]) -> None:
        # All results of one turn must stand in the next message, and most models refuse two messages of one role.
        if self._turns and self._turns[-1].get("role") == role and isinstance(self._turns[-1].get("content"), list):
            self._turns[-1]["content"] += blocks
        else:
            self._turns.append({"role": role, "content": blocks})

    def _strip_last(self) -> None:
        """Cuts the white space at the end of a last message of the assistant, where models refuse it."""
        turn = self._turns[-1]
        if turn["role"] != "assistant" or not turn.get("content"):
            return
        text = turn["content"][-1].get("text")
        if isinstance(text, str) and text != text.rstrip():
            turn["content"][-1] = {"text": text.rstrip()}
            self._report.warn("the last message is sent without the white space at its end, which Bedrock refuses")


def _with_ids_of(message: AssistantTurn, blocks: list[JsonObject]) -> list[JsonObject]:
    """The blocks of a reply, whose calls have the ids that they have in the message."""
    uses = [i for i, block in enumerate(blocks) if "toolUse" in block and not _is_of_server(block["toolUse"])]
    found = list(blocks)
    own = [str(blocks[i]["toolUse"].get("toolUseId")) for i in uses]
    for i, call_id in zip(uses, given_ids(message, own), strict=True):
        found[i] = {"toolUse": {**blocks[i]["toolUse"], "toolUseId": call_id}}
    return found


def _is_of_server(use: JsonObject) -> bool:
    """Whether a call is one of a tool that Bedrock runs."""
    return use.get("type") == "server_tool_use"


def _results_first(blocks: list[JsonObject]) -> list[JsonObject]:
    """Tool results before all other blocks, where models want them; a cache point stays behind its block."""
    results: list[JsonObject] = []
    others: list[JsonObject] = []
    last = others
    for block in blocks:
        if "cachePoint" not in block:
            last = results if "toolResult" in block else others
        last.append(block)
    return results + others
