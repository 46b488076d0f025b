"""Replies as Cohere's chat, version 2, sends them; pure, and checks nothing of the request.

https://docs.cohere.com/reference/chat
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from ...fake.replies import JsonObject, Script
from ..json_access import as_dict, as_list
from ..openai_chat.simulate import text_of
from ..wire_format import Call, Failure, Plain, Stream, StreamEvent, dump, sse

_FINISH: Mapping[str, str] = {
    "stop": "COMPLETE",
    "length": "MAX_TOKENS",
    "tool_calls": "TOOL_CALL",
    "function_call": "TOOL_CALL",
    "content_filter": "ERROR_TOXIC",
}


def say(call: Call, script: Script) -> Plain | Stream:
    """The answer to a request for a chat."""
    if as_dict(call.body).get("stream"):
        return Stream(tuple(_events(script)), content_type="text/event-stream")
    choice = script.whole["choices"][0]
    told = {"id": script.whole["id"], "message": _message(as_dict(choice["message"])), "finish_reason": _finish(choice)}
    return Plain(200, dump({**told, **_usage(script)}))


def _finish(choice: JsonObject) -> str:
    reason = choice.get("finish_reason") or "stop"
    return choice.get("native_finish_reason") or _FINISH.get(reason, reason)


def _usage(script: Script) -> JsonObject:
    if script.usage is None:
        return {}
    names = (("input_tokens", "prompt_tokens"), ("output_tokens", "completion_tokens"))
    tokens = {name: script.usage[member] for name, member in names if script.usage.get(member) is not None}
    cached = as_dict(script.usage.get("prompt_tokens_details")).get("cached_tokens")
    told = {"billed_units": tokens, "tokens": tokens}
    return {"usage": told if cached is None else {**told, "cached_tokens": cached}}


def _message(message: JsonObject) -> JsonObject:
    content: list[JsonObject] = []
    if message.get("reasoning_content"):
        content.append({"type": "thinking", "thinking": message["reasoning_content"]})
    text = text_of(message.get("content"))
    if text:
        content.append({"type": "text", "text": text})
    calls = _calls(message)
    return {
        "role": "assistant",
        **({"content": content} if content else {}),
        **({"tool_calls": calls} if calls else {}),
    }


def _calls(message: JsonObject) -> list[JsonObject]:
    """The calls of a message or a delta; a function call of the old kind is the first of the new."""
    calls = [as_dict(each) for each in as_list(message.get("tool_calls"))]
    if message.get("function_call"):
        calls.append({"index": 0, "id": "call_0", "type": "function", "function": message["function_call"]})
    return calls


# --- streams ---------------------------------------------------------------------------------------------------------


def _events(script: Script) -> Iterator[StreamEvent]:
    blank: JsonObject = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    start = {"id": script.whole["id"], "type": "message-start", "delta": {"message": blank}}
    yield StreamEvent(sse(start, "message-start"))
    parts = _Parts()
    last: JsonObject = {}
    for choice in (each for chunk in script.chunks for each in chunk["choices"]):
        yield from parts.add(as_dict(choice.get("delta")))
        last = choice if choice.get("finish_reason") else last
    yield from parts.close()
    if last:
        delta = {"finish_reason": _finish(last), **_usage(script)}
        yield StreamEvent(sse({"type": "message-end", "delta": delta}, "message-end"), "finish")
        yield StreamEvent(b"data: [DONE]\n\n", "end")


def _event(kind: str, index: int, message: JsonObject | None = None) -> StreamEvent:
    delta: dict[str, Any] = {} if message is None else {"delta": {"message": message}}
    return StreamEvent(sse({"type": kind, "index": index, **delta}, kind))


@attrs.define
class _Parts:
    """The parts of a stream's message, one after another."""

    count: int = 0
    calls: int = 0
    open: str = ""
    """What the part that is open holds; "" where none is."""

    def add(self, delta: JsonObject) -> Iterator[StreamEvent]:
        """The events that say what a delta says."""
        for kind, member in (("thinking", "reasoning_content"), ("text", "content")):
            if delta.get(member):
                if self.open != kind:
                    yield from self.close()
                    self.open = kind
                    yield _event("content-start", self.count, {"content": {"type": kind, kind: ""}})
                yield _event("content-delta", self.count, {"content": {kind: delta[member]}})
        for call in _calls(delta):
            yield from self._call(call)

    def _call(self, call: JsonObject) -> Iterator[StreamEvent]:
        told, what = as_dict(call.get("function")), f"call {call.get('index')}"
        if self.open != what:
            yield from self.close()
            self.open = what
            function = {"name": told.get("name"), "arguments": ""}
            start = {"id": call.get("id") or "call_0", "type": "function", "function": function}
            yield _event("tool-call-start", self.calls, {"tool_calls": start})
        if told.get("arguments"):
            piece = {"function": {"arguments": told["arguments"]}}
            yield _event("tool-call-delta", self.calls, {"tool_calls": piece})

    def close(self) -> Iterator[StreamEvent]:
        """The end of the part that is open."""
        if self.open.startswith("call"):
            yield _event("tool-call-end", self.calls)
            self.calls += 1
        elif self.open:
            yield _event("content-end", self.count)
            self.count += 1
        self.open = ""


def refuse(call: Call, failure: Failure) -> Plain:
    """The error answer for `failure`."""
    return Plain(failure.status, dump({"id": call.uid, "message": failure.message}))
