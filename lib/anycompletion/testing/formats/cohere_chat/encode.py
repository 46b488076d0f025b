"""Encodes replies and errors as Cohere's chat, version 2, sends them; pure, and never looks for mistakes in a request.

https://docs.cohere.com/reference/chat
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from ....records import JsonObject
from ..json_access import as_dict, as_list, as_text, dump, sse, text_of
from ..reply_script import ReplyScript
from ..wire_format import AnyResponse, ErrorSpec, SimulatedRequest, StreamedResponse, StreamEvent, WholeResponse

DONE = StreamEvent(b"data: [DONE]\n\n", "end")

_FINISH: Mapping[str, str] = {
    "stop": "COMPLETE",
    "length": "MAX_TOKENS",
    "tool_calls": "TOOL_CALL",
    "function_call": "TOOL_CALL",
    "content_filter": "ERROR_TOXIC",
}


def encode(request: SimulatedRequest, script: ReplyScript) -> AnyResponse:
    """The response to a request for a chat."""
    if as_dict(request.body).get("stream"):
        return StreamedResponse(tuple(_events(script)), content_type="text/event-stream")
    choice = script.choice
    logprobs = [_logprobs(each) for each in _tokens(choice)]
    whole = {
        "id": script.whole["id"],
        "message": _message(as_dict(choice["message"])),
        "finish_reason": _finish(choice),
        **_usage(script),
        **({"logprobs": logprobs} if logprobs else {}),
    }
    return WholeResponse(200, dump(whole))


def _finish(choice: JsonObject) -> str:
    reason = choice.get("finish_reason") or "stop"
    return choice.get("native_finish_reason") or _FINISH.get(reason, reason)


def _usage(script: ReplyScript) -> JsonObject:
    if script.native_usage is not None:
        return {"usage": script.native_usage}
    if script.usage is None:
        return {}
    names = (("input_tokens", "prompt_tokens"), ("output_tokens", "completion_tokens"))
    tokens = {name: script.usage[member] for name, member in names if script.usage.get(member) is not None}
    cached = as_dict(script.usage.get("prompt_tokens_details")).get("cached_tokens")
    usage = {"billed_units": tokens, "tokens": tokens}
    return {"usage": usage if cached is None else {**usage, "cached_tokens": cached}}


def _message(message: JsonObject) -> JsonObject:
    content: list[JsonObject] = []
    if message.get("reasoning_content"):
        content.append({"type": "thinking", "thinking": message["reasoning_content"]})
    text = text_of(message.get("content"))
    if text:
        content.append({"type": "text", "text": text})
    members = {"tool_plan": message.get("tool_plan"), "tool_calls": _calls(message), "content": content}
    return {"role": "assistant", **{name: value for name, value in members.items() if value}}


def _calls(message: JsonObject) -> list[JsonObject]:
    """The tool calls of a message or a delta; a legacy function call becomes the first tool call."""
    calls = [as_dict(each) for each in as_list(message.get("tool_calls"))]
    if message.get("function_call"):
        calls.append({"index": 0, "id": "call_0", "type": "function", "function": message["function_call"]})
    return calls


def _tokens(choice: JsonObject) -> list[JsonObject]:
    """The tokens of a choice with their log probabilities, in OpenAI's JSON."""
    return [as_dict(each) for each in as_list(as_dict(choice.get("logprobs")).get("content"))]


def _logprobs(token: JsonObject) -> JsonObject:
    text = as_text(token.get("token"))
    return {"text": text, "token_ids": [len(text)], "logprobs": [token.get("logprob")]}


# --- streams ---------------------------------------------------------------------------------------------------------


def _events(script: ReplyScript) -> Iterator[StreamEvent]:
    blank: JsonObject = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    start = {"id": script.whole["id"], "type": "message-start", "delta": {"message": blank}}
    yield StreamEvent(sse(start, "message-start"))
    parts = _MessageParts()
    last: JsonObject = {}
    for choice in script.chunk_choices():
        yield from parts.add(choice)
        last = choice if choice.get("finish_reason") else last
    yield from parts.close()
    if last:
        delta = {"finish_reason": _finish(last), **_usage(script)}
        yield StreamEvent(sse({"type": "message-end", "delta": delta}, "message-end"), "finish")
        yield DONE


def _event(kind: str, index: int | None, message: JsonObject | None = None, **members: Any) -> StreamEvent:
    at = {} if index is None else {"index": index}
    delta: JsonObject = {} if message is None else {"delta": {"message": message}}
    return StreamEvent(sse({"type": kind, **at, **delta, **members}, kind))


@attrs.define
class _MessageParts:
    """Encodes deltas as the events of a message's parts, which are open one at a time."""

    count: int = 0
    """Content parts that were closed."""
    calls: int = 0
    """Tool calls that were closed."""
    open: str = ""
    """A name for what the open part contains; "" where none is open."""

    def add(self, choice: JsonObject) -> Iterator[StreamEvent]:
        """The events for one choice of a chunk."""
        delta = as_dict(choice.get("delta"))
        for kind, member in (("thinking", "reasoning_content"), ("text", "content")):
            if delta.get(member):
                if self.open != kind:
                    yield from self.close()
                    self.open = kind
                    yield _event("content-start", self.count, {"content": {"type": kind, kind: ""}})
                tokens = _tokens(choice)
                logprobs = {"logprobs": _logprobs(tokens[0])} if tokens else {}
                yield _event("content-delta", self.count, {"content": {kind: delta[member]}}, **logprobs)
        if delta.get("tool_plan"):
            yield _event("tool-plan-delta", None, {"tool_plan": delta["tool_plan"]})
        for call in _calls(delta):
            yield from self._call(call)

    def _call(self, call: JsonObject) -> Iterator[StreamEvent]:
        function, name = as_dict(call.get("function")), f"call {call.get('index')}"
        if self.open != name:
            yield from self.close()
            self.open = name
            empty = {"name": function.get("name"), "arguments": ""}
            start = {"id": call.get("id") or "call_0", "type": "function", "function": empty}
            yield _event("tool-call-start", self.calls, {"tool_calls": start})
        if function.get("arguments"):
            piece = {"function": {"arguments": function["arguments"]}}
            yield _event("tool-call-delta", self.calls, {"tool_calls": piece})

    def close(self) -> Iterator[StreamEvent]:
        """The end of the open part."""
        if self.open.startswith("call"):
            yield _event("tool-call-end", self.calls)
            self.calls += 1
        elif self.open:
            yield _event("content-end", self.count)
            self.count += 1
        self.open = ""


# --- errors ----------------------------------------------------------------------------------------------------------


def response_id(request: SimulatedRequest) -> str:
    """The provider's id of a response."""
    return str(uuid.UUID(request.uid))


def encode_error(request: SimulatedRequest, error: ErrorSpec) -> WholeResponse:
    """The error response."""
    return WholeResponse(error.status, dump({"id": response_id(request), "message": error.message}))
