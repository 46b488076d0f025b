"""The assistant's earlier turns as content blocks: reasoning, content and calls, or the blocks that Bedrock sent.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ...codecs.lenient import optional_object
from ...errors import InvalidRequestError
from ...records import AssistantTurn, FunctionCall, JsonObject, ToolCall
from ..base import EncodingReport
from ..shared import arguments_object, without_nulls
from .bedrock_models import CLAUDE, OPENAI, BedrockModelFamily
from .converse_parts import BedrockParts, is_blank

NATIVE_CONTENT = "bedrock_content"
"""The field of `provider_specific_fields` that contains a reply's content blocks."""

_REPLY_FIELDS = frozenset({"cache_control", "index"})
"""Unknown fields of earlier replies that are read elsewhere, or that lose nothing."""


def assistant_blocks(
    message: AssistantTurn, index: int, family: BedrockModelFamily, report: EncodingReport, parts: BedrockParts
) -> list[JsonObject]:
    """An assistant message as content blocks: reasoning first, then its content, then its calls.

    Raises:
        InvalidRequestError: a call is not a function call.
    """
    path = f"messages[{index}]"
    reasoning = _reasoning(message, path, family, report)
    blocks = parts.blocks(message.content or "", path, "assistant")
    is_refusal = message.content in (None, "", [])
    if message.refusal and is_refusal:
        blocks = parts.text(message.refusal, f"{path}.refusal")
    _warn_of_losses(message, path, report, is_refusal=is_refusal)
    return [*reasoning, *blocks, *_calls(message, index, report)]


def _reasoning(
    message: AssistantTurn, path: str, family: BedrockModelFamily, report: EncodingReport
) -> list[JsonObject]:
    """The reasoning that Claude signed, in Bedrock's form."""
    found: list[JsonObject] = []
    for i, block in enumerate(message.thinking_blocks or ()):
        native = _signed(block)
        if native is not None and family.may_be_claude:
            found.append(native)
        else:
            why = "it is not signed" if native is None else "the model is not Claude"
            report.warn(f"{path}.thinking_blocks[{i}] left out: {why}")
    if message.thinking_blocks is None and (message.reasoning_content or message.reasoning_details):
        report.warn(f"{path}.reasoning_content left out: Bedrock takes back only what it sent, in {NATIVE_CONTENT}")
    return found


def _signed(block: Mapping[str, Any]) -> JsonObject | None:
    """A thinking block in Bedrock's form; None for one without a signature."""
    if block.get("type") == "redacted_thinking":
        return {"reasoningContent": {"redactedContent": block["data"]}} if block.get("data") else None
    if block.get("signature"):
        text = {"text": block.get("thinking") or "", "signature": block["signature"]}
        return {"reasoningContent": {"reasoningText": text}}
    return None


def _warn_of_losses(message: AssistantTurn, path: str, report: EncodingReport, *, is_refusal: bool) -> None:
    if message.refusal and not is_refusal:
        report.warn(f"{path}.refusal left out: the message has content")
    if message.audio is not None:
        report.warn(f"{path}.audio left out: Bedrock takes no audio of the assistant")
    if message.tool_calls and message.function_call is not None:
        report.warn(f"{path}.function_call left out: the message has tool_calls")
    for name in without_nulls(message.extra).keys() - _REPLY_FIELDS:
        report.warn(f"{path}.{name} left out: Bedrock's messages have no such field")


def checked_blocks(native: object, path: str) -> list[JsonObject]:
    """The native content of an earlier reply, if it is a list of objects.

    Raises:
        InvalidRequestError: it is not.
    """
    blocks = cast("Sequence[object]", native if isinstance(native, (list, tuple)) else [None])
    if not all(isinstance(block, Mapping) for block in blocks):
        raise InvalidRequestError(f"{path}: expected a list of content blocks", param=path)
    return [dict(cast("Mapping[str, Any]", block)) for block in blocks]


def own_blocks(
    blocks: list[JsonObject], path: str, family: BedrockModelFamily, report: EncodingReport
) -> list[JsonObject]:
    """The blocks that Bedrock sent, without blank texts, which it sometimes sends and always refuses.

    Reasoning of another family's models is left out, because each accepts only its own.
    """
    kept: list[JsonObject] = []
    for i, block in enumerate(blocks):
        if "reasoningContent" in block and not _is_own_reasoning(block["reasoningContent"], family):
            report.warn(f"{path}[{i}] left out: the model takes back only its own reasoning")
        elif not is_blank_block(block):
            kept.append(block)
    return kept


def _is_own_reasoning(content: object, family: BedrockModelFamily) -> bool:
    """Whether reasoning has the form of a family's models: Claude signs it, OpenAI's may encrypt it."""
    reasoning = optional_object(content) or {}
    text = optional_object(reasoning.get("reasoningText"))
    if not family.is_visible or not (text or reasoning.get("redactedContent")):
        return True
    if text is None:
        return family.vendor in (CLAUDE, OPENAI)
    return bool(text.get("signature")) == (family.vendor == CLAUDE)


def is_blank_block(block: JsonObject) -> bool:
    """Whether a block is a text that is empty or has white space only."""
    return len(block) == 1 and is_blank(block.get("text"))


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
        raise InvalidRequestError(f"{path}: Bedrock has no custom tools, only functions", param=path)
    return _use(call.id, call.function, f"{path}.function", report)


def _use(call_id: str, function: FunctionCall, path: str, report: EncodingReport) -> JsonObject:
    arguments = arguments_object(function.arguments, f"{path}.arguments", report)
    return {"toolUse": {"toolUseId": call_id, "name": function.name, "input": arguments}}
