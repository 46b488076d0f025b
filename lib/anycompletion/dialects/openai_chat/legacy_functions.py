"""Legacy functions for servers that have only tools: requests become tools, replies become function calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from ...codecs.json import to_wire
from ...records import (
    AssistantTurn,
    ChatCompletion,
    ChatRequest,
    FunctionDefinition,
    FunctionMessage,
    JsonObject,
    Message,
)
from ...validation import taken_call_ids, unused_call_id
from ..base import Target
from .quirks import Quirks

if TYPE_CHECKING:
    from ...records.chunks import ChatCompletionChunk


def uses_converted_functions(request: ChatRequest, target: Target) -> bool:
    """Whether the request has functions and the server has only tools."""
    quirks = target.quirks
    return request.functions is not None and isinstance(quirks, Quirks) and quirks.functions_as_tools


def add_tools(body: JsonObject, request: ChatRequest) -> None:
    """Adds `functions` and `function_call` to the body as `tools` and `tool_choice`."""
    functions = cast("Sequence[FunctionDefinition]", request.functions or ())
    if functions:
        body["tools"] = [
            *body.get("tools", ()),
            *({"type": "function", "function": to_wire(function)} for function in functions),
        ]
    choice = request.function_call
    if choice == "auto" and not body.get("tools"):
        choice = None  # "auto" is the default, and servers refuse a choice without tools
    if choice is not None:
        body["tool_choice"] = {"type": "function", "function": dict(choice)} if isinstance(choice, Mapping) else choice


def call_ids(messages: Sequence[Message]) -> dict[int, str]:
    """Index of a message → a deterministic id, the same for a function call and its result.

    A result belongs to the oldest earlier call of its name that has no result yet.
    """
    ids: dict[int, str] = {}
    waiting: dict[str, list[str]] = {}
    taken = taken_call_ids(messages)
    for i, message in enumerate(messages):
        if isinstance(message, AssistantTurn) and message.function_call is not None:
            ids[i] = unused_call_id(f"call_{i}_{message.function_call.name}", taken)
            waiting.setdefault(message.function_call.name, []).append(ids[i])
        elif isinstance(message, FunctionMessage):
            open_calls = waiting.get(message.name)
            ids[i] = open_calls.pop(0) if open_calls else unused_call_id(f"call_{i}_{message.name}", taken)
    return ids


def to_tool_form(wire: JsonObject, call_id: str) -> JsonObject:
    """A message of the legacy form in the tools form."""
    call = wire.pop("function_call", None)
    if call is not None:
        wire["tool_calls"] = [*wire.get("tool_calls", ()), {"id": call_id, "type": "function", "function": call}]
    if wire.get("role") == "function":
        wire.pop("name", None)
        wire |= {"role": "tool", "tool_call_id": call_id, "content": wire.get("content") or ""}
    return wire


def to_legacy(completion: ChatCompletion) -> None:
    """Moves the first tool call of each choice to `function_call`; further calls stay in `tool_calls`."""
    for choice in completion.choices:
        calls = choice.message.tool_calls
        if not calls:
            continue
        choice.message.function_call = calls[0].function
        choice.message.tool_calls = calls[1:] or None
        if choice.finish_reason == "tool_calls":
            choice.native_finish_reason, choice.finish_reason = choice.finish_reason, "function_call"


def to_legacy_delta(chunk: ChatCompletionChunk) -> None:
    """Does the same as `to_legacy` with a chunk."""
    for choice in chunk.choices:
        delta = choice.delta
        for call in delta.tool_calls or ():
            if not call.index and call.function is not None:
                delta.function_call = call.function
        if delta.tool_calls is not None:
            delta.tool_calls = [call for call in delta.tool_calls if call.index] or None
        if choice.finish_reason == "tool_calls":
            choice.native_finish_reason, choice.finish_reason = choice.finish_reason, "function_call"
