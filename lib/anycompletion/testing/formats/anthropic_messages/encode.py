"""Encodes replies and errors as Anthropic's messages API sends them; pure, and never looks for mistakes in a request.

https://docs.claude.com/en/api/messages
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from ....records import JsonObject
from ..json_access import as_dict, as_list, dump, sse, text_of
from ..reply_script import ReplyScript
from ..wire_format import AnyResponse, ErrorSpec, SimulatedRequest, StreamedResponse, StreamEvent, WholeResponse

_STOP_REASONS: Mapping[str, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
_NO_ARGUMENTS = "{}"


def encode(request: SimulatedRequest, script: ReplyScript) -> AnyResponse:
    """The response to a request for a message."""
    if as_dict(request.body).get("stream"):
        return StreamedResponse(tuple(_events(script)))
    content = _content(as_dict(script.choice["message"]))
    return WholeResponse(
        200, dump({**_frame(script), "content": content, **_stop(script.choice), "usage": _usage(script)})
    )


def _frame(script: ReplyScript) -> JsonObject:
    return {"id": script.whole["id"], "type": "message", "role": "assistant", "model": script.whole["model"]}


def _stop(choice: JsonObject) -> JsonObject:
    reason = choice.get("finish_reason") or "stop"
    native = choice.get("native_finish_reason") or _STOP_REASONS.get(reason, reason)
    return {"stop_reason": native, "stop_sequence": choice.get("stop_sequence")}


def _usage(script: ReplyScript) -> JsonObject:
    if script.native_usage is not None:
        return script.native_usage
    usage = script.usage or {}
    details = as_dict(usage.get("prompt_tokens_details"))
    native = {
        "cache_read_input_tokens": details.get("cached_tokens"),
        "cache_creation_input_tokens": details.get("cache_write_tokens"),
        "output_tokens": usage.get("completion_tokens"),
    }
    if usage.get("prompt_tokens") is not None:
        cached = sum(details.get(name) or 0 for name in ("cached_tokens", "cache_write_tokens"))
        native["input_tokens"] = usage["prompt_tokens"] - cached
    return {name: value for name, value in native.items() if value is not None}


def _content(message: JsonObject) -> list[JsonObject]:
    content: list[JsonObject] = [as_dict(each) for each in as_list(message.get("thinking_blocks"))]
    if not content and message.get("reasoning_content"):
        content.append({"type": "thinking", "thinking": message["reasoning_content"], "signature": ""})
    text = text_of(message.get("content"))
    if text:
        content.append({"type": "text", "text": text})
    return content + [_tool_use(each) for each in _calls(message)]


def _calls(message: JsonObject) -> list[JsonObject]:
    """The tool calls of a message or a delta; a legacy function call becomes the first tool call."""
    calls = [as_dict(each) for each in as_list(message.get("tool_calls"))]
    if message.get("function_call"):
        calls.append({"index": 0, "function": message["function_call"]})
    return calls


def _tool_use(call: JsonObject) -> JsonObject:
    function = as_dict(call.get("function"))
    arguments = json.loads(function.get("arguments") or _NO_ARGUMENTS)
    if not isinstance(arguments, dict):
        raise ValueError("the arguments of a tool call are a JSON object in Anthropic's format")
    return {"type": "tool_use", "id": call.get("id") or "call_0", "name": function.get("name"), "input": arguments}


# --- streams ---------------------------------------------------------------------------------------------------------


def _event(kind: str, **members: Any) -> StreamEvent:
    return StreamEvent(sse({"type": kind, **members}, kind))


def _events(script: ReplyScript) -> Iterator[StreamEvent]:
    start: JsonObject = {**_frame(script), "content": [], "stop_reason": None, "stop_sequence": None}
    yield _event("message_start", message={**start, "usage": {**_usage(script), "output_tokens": 1}})
    blocks = _ContentBlocks()
    last: JsonObject = {}
    for choice in script.chunk_choices():
        yield from blocks.add(as_dict(choice.get("delta")))
        last = choice if choice.get("finish_reason") else last
    yield from blocks.close()
    if last:
        end = {"type": "message_delta", "delta": _stop(last), "usage": _usage(script)}
        yield StreamEvent(sse(end, "message_delta"), "finish")
        yield StreamEvent(sse({"type": "message_stop"}, "message_stop"), "end")


@attrs.define
class _ContentBlocks:
    """Encodes deltas as the events of content blocks, which are open one at a time."""

    count: int = 0
    """Blocks that were closed."""
    open: str = ""
    """A name for what the open block contains; "" where none is open."""
    empty: bool = True
    """Whether the open block has had no arguments yet."""

    def add(self, delta: JsonObject) -> Iterator[StreamEvent]:
        """The events for one delta."""
        for block in as_list(delta.get("thinking_blocks")):
            yield from self._thinking(as_dict(block))
        if delta.get("reasoning_content"):
            yield from self._enter("thinking", {"type": "thinking", "thinking": "", "signature": ""})
            yield self._delta({"type": "thinking_delta", "thinking": delta["reasoning_content"]})
        if delta.get("content"):
            yield from self._enter("text", {"type": "text", "text": ""})
            yield self._delta({"type": "text_delta", "text": delta["content"]})
        for call in _calls(delta):
            yield from self._call(call)

    def close(self) -> Iterator[StreamEvent]:
        """The end of the open block."""
        if self.open:
            self.open = ""
            self.count += 1
            yield _event("content_block_stop", index=self.count - 1)

    def _enter(self, name: str, block: JsonObject) -> Iterator[StreamEvent]:
        if self.open != name:
            yield from self.close()
            self.open, self.empty = name, True
            yield _event("content_block_start", index=self.count, content_block=block)
            if self.count == 0:
                yield _event("ping")

    def _delta(self, delta: JsonObject) -> StreamEvent:
        return _event("content_block_delta", index=self.count, delta=delta)

    def _thinking(self, block: JsonObject) -> Iterator[StreamEvent]:
        if block.get("type") != "thinking":
            yield from self.close()
            yield from self._enter("other", {name: value for name, value in block.items() if name != "index"})
            return
        name = f"thinking {block.get('index')}"
        yield from self._enter(name, {"type": "thinking", "thinking": "", "signature": ""})
        for kind, member in (("thinking_delta", "thinking"), ("signature_delta", "signature")):
            if block.get(member):
                yield self._delta({"type": kind, member: block[member]})

    def _call(self, call: JsonObject) -> Iterator[StreamEvent]:
        function, name = as_dict(call.get("function")), f"call {call.get('index')}"
        if self.open != name:
            ident = call.get("id") or "call_0"
            yield from self._enter(name, {"type": "tool_use", "id": ident, "name": function.get("name"), "input": {}})
            # The real API sends an empty fragment first; without arguments there is no other.
            yield self._delta({"type": "input_json_delta", "partial_json": ""})
        arguments = function.get("arguments")
        if arguments and not (self.empty and arguments == _NO_ARGUMENTS):
            self.empty = False
            yield self._delta({"type": "input_json_delta", "partial_json": arguments})


# --- errors ----------------------------------------------------------------------------------------------------------


def error_body(request: SimulatedRequest, error: ErrorSpec) -> JsonObject:
    """Anthropic's error body."""
    details = {"type": error.type, "message": error.message}
    return {"type": "error", "error": details, "request_id": request_id(request)}


def request_id(request: SimulatedRequest) -> str:
    """The provider's id of a request."""
    return f"req_01{request.uid[:22]}"


def encode_error(request: SimulatedRequest, error: ErrorSpec) -> WholeResponse:
    """The error response."""
    return WholeResponse(error.status, dump(error_body(request, error)))
