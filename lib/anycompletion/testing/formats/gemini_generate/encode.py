"""Encodes replies and errors as Gemini's generateContent sends them; pure, and never looks for mistakes in a request.

https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ....records import JsonObject
from ..json_access import as_dict, as_list, as_text, dump, text_of
from ..reply_script import ReplyScript
from ..wire_format import (
    AnyResponse,
    ErrorSpec,
    EventKind,
    SimulatedRequest,
    StreamedResponse,
    StreamEvent,
    WholeResponse,
)

STREAM_METHOD = ":streamGenerateContent"

_FINISH: Mapping[str, str] = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "function_call": "STOP",
    "content_filter": "SAFETY",
}


def encode(request: SimulatedRequest, script: ReplyScript) -> AnyResponse:
    """The response to a request for content."""
    if request.path.endswith(STREAM_METHOD):
        return StreamedResponse(tuple(_events(script)), content_type="text/event-stream")
    choices = [as_dict(choice) for choice in as_list(script.whole["choices"])]
    candidates = [_candidate(choice, _parts(as_dict(choice.get("message")))) for choice in choices]
    return WholeResponse(200, dump(_response(script, candidates, _usage(script))))


def _response(script: ReplyScript, candidates: list[JsonObject], usage: JsonObject) -> JsonObject:
    frame = {"modelVersion": script.whole["model"], "responseId": script.whole["id"]}
    return {"candidates": candidates, **({"usageMetadata": usage} if usage else {}), **frame}


def _candidate(choice: JsonObject, parts: list[JsonObject]) -> JsonObject:
    content = {"content": {"parts": parts, "role": "model"}} if parts else {}
    reason = choice.get("finish_reason")
    native = choice.get("native_finish_reason") or (_FINISH.get(reason, reason) if reason else None)
    finish = {"finishReason": native} if native else {}
    # Zero is the default, and members with their default are absent.
    index = {"index": choice["index"]} if choice.get("index") else {}
    return {**content, **finish, **index, **_logprobs(choice)}


def _logprobs(choice: JsonObject) -> JsonObject:
    tokens = [as_dict(each) for each in as_list(as_dict(choice.get("logprobs")).get("content"))]
    if not tokens:
        return {}
    chosen = [_token(each) for each in tokens]
    tops = [{"candidates": list(map(_token, map(as_dict, as_list(each.get("top_logprobs")))))} for each in tokens]
    return {"logprobsResult": {"chosenCandidates": chosen, "topCandidates": tops}}


def _token(token: JsonObject) -> JsonObject:
    return {"token": as_text(token.get("token")), "tokenId": 1, "logProbability": token.get("logprob")}


def _usage(script: ReplyScript) -> JsonObject:
    if script.native_usage is not None:
        return script.native_usage
    usage = script.usage or {}
    if usage.get("prompt_tokens") is None:
        return {}
    thoughts = as_dict(usage.get("completion_tokens_details")).get("reasoning_tokens") or 0
    completion = usage.get("completion_tokens") or 0
    counts = {
        "promptTokenCount": usage["prompt_tokens"],
        "candidatesTokenCount": completion - thoughts,
        "thoughtsTokenCount": thoughts,
        "cachedContentTokenCount": as_dict(usage.get("prompt_tokens_details")).get("cached_tokens"),
        "totalTokenCount": usage["prompt_tokens"] + completion,
    }
    return {name: count for name, count in counts.items() if count or name == "totalTokenCount"}


def _parts(message: JsonObject) -> list[JsonObject]:
    """The parts of a message, or of a delta with whole calls: native ones as they are."""
    native = as_dict(message.get("provider_specific_fields")).get("gemini_content")
    if isinstance(native, list):
        return [as_dict(part) for part in as_list(native)]
    parts: list[JsonObject] = []
    if message.get("reasoning_content"):
        parts.append({"text": message["reasoning_content"], "thought": True})
    text = text_of(message.get("content"))
    if text:
        parts.append({"text": text})
    calls = [as_dict(each) for each in as_list(message.get("tool_calls"))]
    if message.get("function_call"):
        calls.append({"function": message["function_call"]})
    return parts + [_call(each) for each in calls]


def _call(call: JsonObject) -> JsonObject:
    function = as_dict(call.get("function"))
    arguments = json.loads(function.get("arguments") or "{}")
    if not isinstance(arguments, dict):
        raise ValueError("the arguments of a tool call are a JSON object in Gemini's format")
    ident = {"id": call["id"]} if call.get("id") else {}
    signature = as_dict(as_dict(call.get("extra_content")).get("google")).get("thought_signature")
    signed = {"thoughtSignature": signature} if signature else {}
    return {"functionCall": {"name": function.get("name"), "args": arguments, **ident}, **signed}


# --- streams ---------------------------------------------------------------------------------------------------------


def sse_event(value: Any) -> bytes:
    """A server-sent event as Google writes it, with CRLF."""
    return b"data: " + dump(value) + b"\r\n\r\n"


def _events(script: ReplyScript) -> Iterator[StreamEvent]:
    """One event for each piece of text, for all calls of a choice together, and for each end."""
    calls: dict[int, dict[int, JsonObject]] = {}
    legacy: dict[int, JsonObject] = {}
    finished = 0
    for choice in script.chunk_choices():
        index, delta = choice.get("index") or 0, as_dict(choice.get("delta"))
        for piece in as_list(delta.get("tool_calls")):
            _add_call(calls.setdefault(index, {}), as_dict(piece))
        if delta.get("function_call"):
            _add_piece(legacy.setdefault(index, {}), as_dict(delta["function_call"]))
        texts = {name: delta[name] for name in ("reasoning_content", "content") if delta.get(name)}
        native = as_dict(delta.get("provider_specific_fields"))
        message: JsonObject = texts | ({"provider_specific_fields": native} if native else {})
        if choice.get("finish_reason"):
            message |= {"tool_calls": list(calls.pop(index, {}).values()), "function_call": legacy.pop(index, None)}
        parts = _parts(message)
        if not parts and not choice.get("finish_reason"):
            continue
        finished += bool(choice.get("finish_reason"))
        kind: EventKind = "finish" if finished and finished == len(script.whole["choices"]) else "body"
        usage = _usage(script) if kind == "finish" else {}
        event = _response(script, [_candidate({**choice, "index": index}, parts)], usage)
        yield StreamEvent(sse_event(event), kind)


def _add_call(calls: dict[int, JsonObject], piece: JsonObject) -> None:
    call = calls.setdefault(piece.get("index") or 0, {"function": {}})
    others = {name: value for name, value in piece.items() if name != "function"}
    call.update({name: value for name, value in others.items() if value is not None})
    _add_piece(call["function"], as_dict(piece.get("function")))


def _add_piece(function: JsonObject, piece: JsonObject) -> None:
    function["name"] = function.get("name") or piece.get("name")
    function["arguments"] = (function.get("arguments") or "") + (piece.get("arguments") or "")


# --- errors ----------------------------------------------------------------------------------------------------------


def response_id(request: SimulatedRequest) -> str:
    """The provider's id of a response."""
    return request.uid[:22]


def error_body(error: ErrorSpec) -> JsonObject:
    """Google's error body; a code is the reason in its details."""
    body: JsonObject = {"code": error.status, "message": error.message, "status": error.type}
    if error.code:
        kind = "type.googleapis.com/google.rpc.ErrorInfo"
        body["details"] = [{"@type": kind, "reason": error.code, "domain": "googleapis.com"}]
    return {"error": body}


def encode_error(request: SimulatedRequest, error: ErrorSpec) -> WholeResponse:
    """The error response."""
    kind = "text/event-stream" if request.path.endswith(STREAM_METHOD) else "application/json; charset=UTF-8"
    return WholeResponse(error.status, dump(error_body(error)), content_type=kind)
