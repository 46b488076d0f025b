"""Valid responses of Cohere's chat, version 2."""

from __future__ import annotations

from typing import Any

from ..seed_types import Event, Seeds

_COHERE_USAGE = {
    "billed_units": {"input_tokens": 3, "output_tokens": 4},
    "tokens": {"input_tokens": 9.0, "output_tokens": 12, "reasoning_tokens": 2, "image_tokens": 1},
    "cached_tokens": 1,
}
_COHERE_CITATION = {
    "start": 0,
    "end": 2,
    "text": "Hi",
    "sources": [{"type": "tool", "id": "t:0", "tool_output": {"a": "b"}}],
    "content_index": 0,
    "type": "TEXT_CONTENT",
}
_COHERE_CALL = {"id": "look_1", "type": "function", "function": {"name": "look", "arguments": '{"q": "x"}'}}
_COHERE_LOGPROBS = [{"token_ids": [1, 2], "text": "Hi", "logprobs": [-0.1, -0.2]}]


def _cohere(kind: str, message: Any = None, **members: Any) -> Event:
    delta = {} if message is None else {"delta": {"message": message}}
    return kind, {"type": kind, **delta, **members}


def _cohere_part(index: int, kind: str, *pieces: str, **members: Any) -> list[Event]:
    deltas = [_cohere("content-delta", {"content": {kind: piece}}, index=index, **members) for piece in pieces]
    start = _cohere("content-start", {"content": {"type": kind, kind: ""}}, index=index)
    return [start, *deltas, _cohere("content-end", index=index)]


_COHERE_END = {"finish_reason": "COMPLETE", "usage": _COHERE_USAGE, "logprobs": _COHERE_LOGPROBS}
SEEDS = Seeds(
    [
        [
            _cohere("message-start", {"role": "assistant", "content": [], "tool_plan": ""}, id="msg-1"),
            *_cohere_part(0, "thinking", "Hm", "."),
            *_cohere_part(1, "text", "Hi", " é\U0001f600", logprobs=_COHERE_LOGPROBS[0]),
            _cohere("citation-start", {"citations": _COHERE_CITATION}, index=0),
            _cohere("citation-end", index=0),
            ("message-end", {"type": "message-end", "delta": _COHERE_END}),
            ("", "[DONE]"),
        ],
        [
            _cohere("message-start", {"role": "assistant"}, id="msg-1"),
            _cohere("tool-plan-delta", {"tool_plan": "I will"}),
            _cohere("tool-call-start", {"tool_calls": {**_COHERE_CALL, "function": {"name": "look"}}}, index=0),
            _cohere("tool-call-delta", {"tool_calls": {"function": {"arguments": '{"q": "x"}'}}}, index=0),
            _cohere("tool-call-end", index=0),
            _cohere("tool-call-start", {"tool_calls": [_COHERE_CALL]}, index=1),
            _cohere("debug", prompt="p"),
            ("message-end", {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL", "usage": _COHERE_USAGE}}),
        ],
        [
            _cohere("message-start", {"role": "assistant"}, id="msg-1"),
            _cohere("content-delta", {"content": {"text": "Hi", "other": "o"}}, index=3),
            ("message-end", {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "it broke"}}),
        ],
        [("", {"message": "too many tokens", "id": "m"})],
    ],
    [
        {
            "id": "msg-1",
            "message": {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "Hm"}, {"type": "text", "text": "Hi"}, {"type": "new"}],
                "tool_plan": "I will",
                "tool_calls": [_COHERE_CALL, {**_COHERE_CALL, "id": "look_2"}],
                "citations": [_COHERE_CITATION, {**_COHERE_CITATION, "type": "PLAN"}],
            },
            "finish_reason": "TOOL_CALL",
            "usage": _COHERE_USAGE,
            "logprobs": _COHERE_LOGPROBS,
        },
        {"id": "msg-1", "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "COMPLETE"},
        {"id": "msg-1", "message": {"role": "assistant", "content": []}, "finish_reason": "ERROR", "error": "it broke"},
        {"message": "no such model", "id": "m"},
    ],
    [
        {"message": "invalid request: too many tokens", "id": "m"},
        {"id": "m", "message": "You are past the per month request limit", "error_type": None},
        {"message": "no", "error_type": "INVALID_TOOL_GENERATION"},
        {"error": "bare text"},
    ],
    {
        "content-type": "application/json",
        "x-debug-trace-id": "trace-1",
        "x-endpoint-monthly-call-limit": "1000",
        "x-trial-endpoint-call-remaining": "0",
        "retry-after": "30",
        "date": "Tue, 21 Nov 2023 07:28:00 GMT",
    },
)
