"""Encodes replies and errors as Bedrock's Converse sends them; pure, and never looks for mistakes in a request.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from ....records import JsonObject
from .. import aws_eventstream
from ..json_access import as_dict, as_list, dump, text_of
from ..reply_script import ReplyScript
from ..wire_format import AnyResponse, ErrorSpec, SimulatedRequest, StreamedResponse, StreamEvent, WholeResponse

_STOP_REASONS: Mapping[str, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "guardrail_intervened",
}
_NO_ARGUMENTS = "{}"
_METRICS = {"latencyMs": 100}


def encode(request: SimulatedRequest, script: ReplyScript) -> AnyResponse:
    """The response to a request for a reply. Its id is a header, and it has no model."""
    headers = {"x-amzn-requestid": str(script.whole["id"])}
    if request.path.endswith("/converse-stream"):
        events = tuple(_events(script))
        return StreamedResponse(events, headers, content_type="application/vnd.amazon.eventstream")
    message = {"role": "assistant", "content": _content(as_dict(script.choice["message"]))}
    reply = {"metrics": _METRICS, "output": {"message": message}, "stopReason": _stop_reason(script.choice)}
    return WholeResponse(200, dump(reply | _usage(script)), headers)


def _stop_reason(choice: JsonObject) -> str:
    reason = choice.get("finish_reason") or "stop"
    return choice.get("native_finish_reason") or _STOP_REASONS.get(reason, reason)


def _usage(script: ReplyScript) -> JsonObject:
    if script.native_usage is not None:
        return {"usage": script.native_usage}
    if script.usage is None:
        return {}
    details = as_dict(script.usage.get("prompt_tokens_details"))
    read, written = details.get("cached_tokens"), details.get("cache_write_tokens")
    prompt = script.usage.get("prompt_tokens")
    usage = {
        "inputTokens": None if prompt is None else prompt - (read or 0) - (written or 0),
        "outputTokens": script.usage.get("completion_tokens"),
        "totalTokens": script.usage.get("total_tokens"),
        "cacheReadInputTokens": read,
        "cacheWriteInputTokens": written,
    }
    return {"usage": {name: value for name, value in usage.items() if value is not None}}


def _content(message: JsonObject) -> list[JsonObject]:
    content = [_reasoning(as_dict(each)) for each in as_list(message.get("thinking_blocks"))]
    if not content and message.get("reasoning_content"):
        content.append({"reasoningContent": {"reasoningText": {"text": message["reasoning_content"]}}})
    text = text_of(message.get("content"))
    if text:
        content.append({"text": text})
    return content + [_tool_use(each) for each in _calls(message)]


def _reasoning(block: JsonObject) -> JsonObject:
    if block.get("type") == "redacted_thinking":
        return {"reasoningContent": {"redactedContent": block.get("data")}}
    text = {"text": block.get("thinking"), "signature": block.get("signature")}
    return {"reasoningContent": {"reasoningText": {name: value for name, value in text.items() if value is not None}}}


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
        raise ValueError("the arguments of a tool call are a JSON object in Bedrock's format")
    return {"toolUse": {**_start(call), "input": arguments}}


def _start(call: JsonObject) -> JsonObject:
    return {"toolUseId": call.get("id") or "call_0", "name": as_dict(call.get("function")).get("name")}


# --- streams ---------------------------------------------------------------------------------------------------------


def _event(kind: str, **members: Any) -> StreamEvent:
    return StreamEvent(aws_eventstream.event(kind, dump(members)))


def _events(script: ReplyScript) -> Iterator[StreamEvent]:
    yield _event("messageStart", role="assistant", p="abcde")
    blocks = _GrowingContent()
    last: JsonObject = {}
    for choice in script.chunk_choices():
        yield from blocks.add(as_dict(choice.get("delta")))
        last = choice if choice.get("finish_reason") else last
    yield from blocks.close()
    if last:
        stop = aws_eventstream.event("messageStop", dump({"stopReason": _stop_reason(last), "p": "abcdefgh"}))
        yield StreamEvent(stop, "finish")
        metadata = {"metrics": _METRICS, **_usage(script), "p": "abc"}
        yield StreamEvent(aws_eventstream.event("metadata", dump(metadata)), "usage")


@attrs.define
class _GrowingContent:
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
            yield from self._enter("thinking")
            yield self._delta(reasoningContent={"text": delta["reasoning_content"]})
        if delta.get("content"):
            yield from self._enter("text")
            yield self._delta(text=delta["content"])
        for call in _calls(delta):
            yield from self._call(call)

    def close(self) -> Iterator[StreamEvent]:
        """The end of the open block."""
        if self.open:
            self.open = ""
            self.count += 1
            yield _event("contentBlockStop", contentBlockIndex=self.count - 1, p="abcdef")

    def _enter(self, name: str, start: JsonObject | None = None) -> Iterator[StreamEvent]:
        if self.open != name:
            yield from self.close()
            self.open, self.empty = name, True
            if start is not None:
                yield _event("contentBlockStart", contentBlockIndex=self.count, start=start, p="abcd")

    def _delta(self, **delta: Any) -> StreamEvent:
        return _event("contentBlockDelta", contentBlockIndex=self.count, delta=delta, p="abcdefghij")

    def _thinking(self, block: JsonObject) -> Iterator[StreamEvent]:
        yield from self._enter(f"thinking {block.get('index')}")
        for name, member in (("text", "thinking"), ("signature", "signature"), ("redactedContent", "data")):
            if block.get(member):
                yield self._delta(reasoningContent={name: block[member]})

    def _call(self, call: JsonObject) -> Iterator[StreamEvent]:
        name = f"call {call.get('index')}"
        yield from self._enter(name, None if self.open == name else {"toolUse": _start(call)})
        arguments = as_dict(call.get("function")).get("arguments")
        if arguments and not (self.empty and arguments == _NO_ARGUMENTS):
            self.empty = False
            yield self._delta(toolUse={"input": arguments})


# --- errors ----------------------------------------------------------------------------------------------------------


def encode_error(request: SimulatedRequest, error: ErrorSpec) -> WholeResponse:
    """The error response, whose header names the error."""
    named = {"x-amzn-errortype": f"{error.type}:http://internal.amazon.com/coral/com.amazon.bedrock/"}
    return WholeResponse(error.status, dump({"message": error.message}), named if error.type else {})


def stream_error(request: SimulatedRequest, error: ErrorSpec) -> bytes:
    """The exception that reports the error inside a stream."""
    name = error.type or "InternalServerException"
    return aws_eventstream.exception(name[:1].lower() + name[1:], dump({"message": error.message}))
