"""Encodes replies and errors as Ollama's chat sends them; pure, and never looks for mistakes in a request.

https://docs.ollama.com/api/chat
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from ....records import JsonObject
from ..json_access import as_dict, as_list, dump, text_of
from ..reply_script import ReplyScript
from ..wire_format import AnyResponse, ErrorSpec, SimulatedRequest, StreamedResponse, StreamEvent, WholeResponse

NDJSON = "application/x-ndjson"


def encode(request: SimulatedRequest, script: ReplyScript) -> AnyResponse:
    """The response to a request for a chat."""
    if as_dict(request.body).get("stream", True):
        return StreamedResponse(tuple(_lines(request, script)), content_type=NDJSON)
    choice = script.choice
    message = as_dict(choice["message"])
    whole = {**_head(request, script), "message": _message(message), **_end(choice, script), **_logprobs(choice)}
    return WholeResponse(200, dump(whole))


def _head(request: SimulatedRequest, script: ReplyScript) -> JsonObject:
    """The members of every line. Ollama has no ids; a fake's reply keeps its own."""
    # With the nanoseconds of a Go program; the request's own digits make the time of each reply another one.
    moment = datetime.fromtimestamp(int(request.now), UTC).strftime("%Y-%m-%dT%H:%M:%S")
    head = {"model": script.whole["model"], "created_at": f"{moment}.{int(request.uid[:7], 16):09}Z"}
    return {"id": script.whole["id"], **head} if script.whole["id"] else head


def _message(message: JsonObject) -> JsonObject:
    native: JsonObject = {"role": "assistant", "content": text_of(message.get("content"))}
    if message.get("reasoning_content"):
        native["thinking"] = message["reasoning_content"]
    calls = _calls(message)
    return native | {"tool_calls": calls} if calls else native


def _calls(message: JsonObject) -> list[JsonObject]:
    calls = [as_dict(each) for each in as_list(message.get("tool_calls"))]
    if message.get("function_call"):
        calls.append({"id": "call_0", "function": message["function_call"]})
    return [_call(call, number) for number, call in enumerate(calls)]


def _call(call: JsonObject, number: int) -> JsonObject:
    function = as_dict(call.get("function"))
    arguments: Any = json.loads(function.get("arguments") or "{}")
    return {"id": call.get("id"), "function": {"index": number, "name": function.get("name"), "arguments": arguments}}


def _end(choice: JsonObject, script: ReplyScript) -> JsonObject:
    """The members of a reply's end. Ollama stops after a call, too."""
    reason = choice.get("native_finish_reason") or choice.get("finish_reason") or "stop"
    reason = "stop" if reason in ("tool_calls", "function_call") else reason
    return {"done": True, "done_reason": reason, **_usage(script)}


def _usage(script: ReplyScript) -> JsonObject:
    if script.native_usage is not None:
        return script.native_usage
    usage = script.usage or {}
    cached = as_dict(usage.get("prompt_tokens_details")).get("cached_tokens")
    counts = {
        "prompt_eval_count": usage.get("prompt_tokens"),
        "eval_count": usage.get("completion_tokens"),
        "prompt_eval_cached_count": cached,
    }
    return {name: count for name, count in counts.items() if count is not None}


def _logprobs(choice: JsonObject) -> JsonObject:
    tokens = as_list(as_dict(choice.get("logprobs")).get("content"))
    return {"logprobs": tokens} if tokens else {}


# --- streams ---------------------------------------------------------------------------------------------------------


def _lines(request: SimulatedRequest, script: ReplyScript) -> Iterator[StreamEvent]:
    """The lines of a stream: pieces of thinking and of text, whole calls, and the end."""
    head = _head(request, script)
    ending: JsonObject = {}
    called: dict[int, JsonObject] = {}
    for choice in script.chunk_choices():
        delta = as_dict(choice.get("delta"))
        _add_calls(called, delta)
        if choice.get("finish_reason"):
            ending = choice
        message = _message({name: delta.get(name) for name in ("content", "reasoning_content")})
        if message["content"] or message.get("thinking") or _logprobs(choice):
            yield _line({**head, "message": message, "done": False, **_logprobs(choice)})
    empty = {"role": "assistant", "content": ""}
    for number, call in enumerate(called.values()):
        yield _line({**head, "message": {**empty, "tool_calls": [_call(call, number)]}, "done": False})
    if ending:
        yield _line({**head, "message": empty, **_end(ending, script)}, end=True)


def _add_calls(called: dict[int, JsonObject], delta: JsonObject) -> None:
    """Adds the pieces of calls in a delta to the calls so far; Ollama sends whole calls."""
    pieces = [as_dict(each) for each in as_list(delta.get("tool_calls"))]
    if delta.get("function_call"):
        pieces.append({"index": 0, "id": "call_0", "function": delta["function_call"]})
    for piece in pieces:
        call = called.setdefault(piece.get("index") or 0, {"function": {"name": "", "arguments": ""}})
        function, added = call["function"], as_dict(piece.get("function"))
        call["id"] = piece.get("id") or call.get("id")
        function["name"] = added.get("name") or function["name"]
        function["arguments"] += added.get("arguments") or ""


def _line(value: JsonObject, *, end: bool = False) -> StreamEvent:
    return StreamEvent(dump(value) + b"\n", "finish" if end else "body")


# --- errors ----------------------------------------------------------------------------------------------------------


def encode_error(request: SimulatedRequest, error: ErrorSpec) -> WholeResponse:
    """The error response."""
    return WholeResponse(error.status, dump({"error": error.message}))


def stream_error(request: SimulatedRequest, error: ErrorSpec) -> bytes:
    """The line that reports an error inside a stream, where it has no status."""
    return dump({"error": error.message}) + b"\n"
