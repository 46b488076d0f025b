"""Replies as Anthropic's messages API sends them; pure, and checks nothing of the request.

https://docs.claude.com/en/api/messages
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from ...fake.replies import JsonObject, Script
from ..json_access import as_dict, as_list
from ..openai_chat.simulate import text_of
from ..wire_format import Call, Failure, Plain, Stream, StreamEvent, dump, sse

_STOP: Mapping[str, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


def say(call: Call, script: Script) -> Plain | Stream:
    """The answer to a request for a message."""
    if as_dict(call.body).get("stream"):
        return Stream(tuple(_events(script)))
    choice = script.whole["choices"][0]
    message = {**_message(script), "content": _content(as_dict(choice["message"])), **_stop(choice)}
    return Plain(200, dump({**message, "usage": _usage(script)}))


def _message(script: Script) -> JsonObject:
    return {"id": script.whole["id"], "type": "message", "role": "assistant", "model": script.whole["model"]}


def _stop(choice: JsonObject) -> JsonObject:
    reason = choice.get("finish_reason") or "stop"
    return {"stop_reason": choice.get("native_finish_reason") or _STOP.get(reason, reason), "stop_sequence": None}


def _usage(script: Script) -> JsonObject:
    usage = script.usage or {}
    details = as_dict(usage.get("prompt_tokens_details"))
    told = {
        "cache_read_input_tokens": details.get("cached_tokens"),
        "cache_creation_input_tokens": details.get("cache_write_tokens"),
        "output_tokens": usage.get("completion_tokens"),
    }
    if usage.get("prompt_tokens") is not None:
        cached = sum(details.get(name) or 0 for name in ("cached_tokens", "cache_write_tokens"))
        told["input_tokens"] = usage["prompt_tokens"] - cached
    return {name: value for name, value in told.items() if value is not None}


def _content(message: JsonObject) -> list[JsonObject]:
    content: list[JsonObject] = [as_dict(each) for each in as_list(message.get("thinking_blocks"))]
    if not content and message.get("reasoning_content"):
        content.append({"type": "thinking", "thinking": message["reasoning_content"], "signature": ""})
    text = text_of(message.get("content"))
    if text:
        content.append({"type": "text", "text": text})
    content += [_tool_use(as_dict(each)) for each in as_list(message.get("tool_calls"))]
    if message.get("function_call"):
        content.append(_tool_use({"id": "call_0", "function": message["function_call"]}))
    return content


def _tool_use(call: JsonObject) -> JsonObject:
    told = as_dict(call.get("function"))
    given = json.loads(told.get("arguments") or "{}")
    if not isinstance(given, dict):
        raise ValueError("the arguments of a tool call are a JSON object in Anthropic's format")
    return {"type": "tool_use", "id": call.get("id") or "call_0", "name": told.get("name"), "input": given}


# --- streams ---------------------------------------------------------------------------------------------------------


def _event(kind: str, **members: Any) -> StreamEvent:
    return StreamEvent(sse({"type": kind, **members}, kind))


def _events(script: Script) -> Iterator[StreamEvent]:
    start: JsonObject = {**_message(script), "content": [], "stop_reason": None, "stop_sequence": None}
    yield _event("message_start", message={**start, "usage": {**_usage(script), "output_tokens": 1}})
    blocks = _Blocks()
    last: JsonObject = {}
    for choice in (each for chunk in script.chunks for each in chunk["choices"]):
        yield from blocks.add(as_dict(choice.get("delta")))
        last = choice if choice.get("finish_reason") else last
    yield from blocks.close()
    if last:
        told = {"type": "message_delta", "delta": _stop(last), "usage": _usage(script)}
        yield StreamEvent(sse(told, "message_delta"), "finish")
        yield StreamEvent(sse({"type": "message_stop"}, "message_stop"), "end")


@attrs.define
class _Blocks:
    """The content blocks of a stream, one after another."""

    count: int = 0
    open: str = ""
    """What the block that is open holds; "" where none is."""

    def add(self, delta: JsonObject) -> Iterator[StreamEvent]:
        """The events that say what a delta says."""
        for block in as_list(delta.get("thinking_blocks")):
            yield from self._thinking(as_dict(block))
        if delta.get("reasoning_content"):
            yield from self._enter("thinking", {"type": "thinking", "thinking": "", "signature": ""})
            yield self._delta({"type": "thinking_delta", "thinking": delta["reasoning_content"]})
        if delta.get("content"):
            yield from self._enter("text", {"type": "text", "text": ""})
            yield self._delta({"type": "text_delta", "text": delta["content"]})
        calls = [as_dict(each) for each in as_list(delta.get("tool_calls"))]
        if delta.get("function_call"):
            calls.append({"index": 0, "id": "call_0", "function": delta["function_call"]})
        for call in calls:
            yield from self._call(call)

    def close(self) -> Iterator[StreamEvent]:
        """The end of the block that is open."""
        if self.open:
            self.open = ""
            self.count += 1
            yield _event("content_block_stop", index=self.count - 1)

    def _enter(self, what: str, block: JsonObject) -> Iterator[StreamEvent]:
        if self.open != what:
            yield from self.close()
            self.open = what
            yield _event("content_block_start", index=self.count, content_block=block)

    def _delta(self, delta: JsonObject) -> StreamEvent:
        return _event("content_block_delta", index=self.count, delta=delta)

    def _thinking(self, block: JsonObject) -> Iterator[StreamEvent]:
        if block.get("type") != "thinking":
            yield from self.close()
            self.open = "other"
            whole = {name: value for name, value in block.items() if name != "index"}
            yield _event("content_block_start", index=self.count, content_block=whole)
            return
        what = f"thinking {block.get('index')}"
        yield from self._enter(what, {"type": "thinking", "thinking": "", "signature": ""})
        for kind, member in (("thinking_delta", "thinking"), ("signature_delta", "signature")):
            if block.get(member):
                yield self._delta({"type": kind, member: block[member]})

    def _call(self, call: JsonObject) -> Iterator[StreamEvent]:
        told = as_dict(call.get("function"))
        block: JsonObject = {
            "type": "tool_use",
            "id": call.get("id") or "call_0",
            "name": told.get("name"),
            "input": {},
        }
        yield from self._enter(f"call {call.get('index')}", block)
        if told.get("arguments"):
            yield self._delta({"type": "input_json_delta", "partial_json": told["arguments"]})


def refuse(call: Call, failure: Failure) -> Plain:
    """The error answer for `failure`."""
    error = {"type": failure.type, "message": failure.message}
    told = {"type": "error", "error": error, "request_id": f"req_{call.uid}"}
    return Plain(failure.status, dump(told))
