"""Valid responses of OpenAI's chat completions."""

from __future__ import annotations

from typing import Any

from ..seed_types import Event, Seeds

_OPENAI_USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 12,
    "total_tokens": 21,
    "cost": 0.00012,
    "prompt_tokens_details": {"cached_tokens": 1, "audio_tokens": 0, "image_tokens": 2},
    "completion_tokens_details": {"reasoning_tokens": 3, "audio_tokens": 0, "accepted_prediction_tokens": 0},
}
_TOKEN = {"token": "Hi", "logprob": -0.1, "bytes": [72, 105]}
_LOGPROBS = {"content": [{**_TOKEN, "top_logprobs": [_TOKEN, {"token": "Yo", "logprob": -2}]}], "refusal": None}
_CITATION = {
    "type": "url_citation",
    "url_citation": {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 4},
}
_FILTER = {"hate": {"filtered": False, "severity": "safe"}}


def _chunk(*choices: Any, **members: Any) -> Event:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "gpt-4o"}
    return "", {**head, "choices": list(choices), **members}


def _delta(delta: Any, finish_reason: str | None = None, **members: Any) -> Any:
    return {"index": 0, "delta": delta, "finish_reason": finish_reason, **members}


def _call(index: int, **function: Any) -> Any:
    return {"index": index, "id": f"call_{index}", "type": "function", "function": function}


_OPENAI_STREAMS: list[list[Event]] = [
    [
        _chunk(prompt_filter_results=[{"prompt_index": 0, "content_filter_results": _FILTER}]),
        _chunk(_delta({"role": "assistant", "content": "", "refusal": None}, logprobs=None), service_tier="default"),
        _chunk(_delta({"content": "Hi"}, logprobs=_LOGPROBS), system_fingerprint="fp_1"),
        _chunk(_delta({"content": " é\U0001f600\u2028"}, content_filter_results=_FILTER)),
        _chunk(_delta({"refusal": "I can't."})),
        _chunk(_delta({"annotations": [_CITATION]})),
        _chunk(_delta({}, "stop", native_finish_reason="completed")),
        _chunk(usage=_OPENAI_USAGE),
        ("", "[DONE]"),
    ],
    [
        _chunk(_delta({"role": "assistant", "tool_calls": [_call(0, name="look", arguments="")]})),
        _chunk(_delta({"tool_calls": [{"index": 0, "function": {"arguments": '{"q":'}}]})),
        _chunk(_delta({"tool_calls": [{"index": 0, "function": {"arguments": ' "x"}'}}, _call(1, name="go")]})),
        _chunk(
            _delta({"tool_calls": [{"index": 2, "id": "c", "type": "custom", "custom": {"name": "n", "input": "i"}}]})
        ),
        _chunk(_delta({}, "tool_calls"), x_groq={"id": "req_1", "usage": _OPENAI_USAGE}, usage=None),
        ("", "[DONE]"),
    ],
    [
        _chunk(
            _delta({"reasoning": "Hm", "reasoning_details": [{"type": "reasoning.text", "text": "Hm", "index": 0}]})
        ),
        _chunk(
            _delta({"reasoning_content": "m.", "thinking_blocks": [{"index": 0, "type": "thinking", "thinking": "m"}]})
        ),
        _chunk(_delta({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}]})),
        _chunk(
            _delta({"content": [{"type": "text", "text": "parts"}], "function_call": {"name": "f", "arguments": "{}"}})
        ),
        _chunk(_delta({"audio": {"id": "a", "data": "AAAA", "transcript": "la", "expires_at": 1700000001}})),
        _chunk({"index": 1, "delta": {"content": "second"}, "finish_reason": "length", "usage": _OPENAI_USAGE}),
        _chunk(_delta({"provider_specific_fields": {"a": {"b": [1]}}}, "stop", logprobs=-0.5, stop_reason=None)),
    ],
    [
        _chunk(_delta({"content": "Hi"})),
        _chunk(_delta({"content": ""}, "error"), error={"code": 502, "message": "Upstream failed", "metadata": {}}),
    ],
    [_chunk(_delta({"content": "Hi"})), ("error", {"error": {"message": "Overloaded", "type": "overloaded_error"}})],
]

_OPENAI_MESSAGE = {
    "role": "assistant",
    "content": "Hi",
    "refusal": None,
    "annotations": [_CITATION],
    "tool_calls": [
        {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"q": "x"}'}},
        {"id": "call_2", "type": "custom", "custom": {"name": "n", "input": "i"}},
    ],
    "function_call": {"name": "f", "arguments": "{}"},
    "audio": {"id": "a", "data": "AAAA", "transcript": "la", "expires_at": 1700000001},
    "reasoning": "Hm.",
    "thinking_blocks": [{"type": "thinking", "thinking": "Hm", "signature": "s"}],
    "reasoning_details": [{"type": "reasoning.text", "text": "Hm", "index": 0}],
    "provider_specific_fields": {"a": {"b": [1]}},
}
_PARTS = [
    {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]},
    {"type": "text", "text": "Hi"},
    {"type": "refusal", "refusal": "no"},
    {"type": "image", "source": {"a": 1}},
]


_PLAIN: dict[str, Any] = {
    "index": 0,
    "message": {"role": "assistant", "content": "Hi", "refusal": None, "annotations": []},
    "logprobs": None,
    "finish_reason": "stop",
}
"""Reply with the members of OpenAI's own format only, which is decoded on the fast path."""


def _openai_reply(*choices: Any, **members: Any) -> Any:
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": "gpt-4o"}
    return {**head, "choices": list(choices), **members}


SEEDS = Seeds(
    _OPENAI_STREAMS,
    [
        _openai_reply(
            {"index": 0, "message": _OPENAI_MESSAGE, "logprobs": _LOGPROBS, "finish_reason": "tool_calls"},
            {"index": 1, "message": {"role": "assistant", "content": _PARTS}, "finish_reason": ""},
            usage=_OPENAI_USAGE,
            service_tier="default",
            system_fingerprint="fp_1",
            prompt_filter_results=[{"prompt_index": 0, "content_filter_results": _FILTER}],
        ),
        _openai_reply({"message": {"content": "Hi"}, "finish_reason": "stop", "logprobs": -0.25}),
        _openai_reply(_PLAIN, usage={"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21}),
        {"error": {"message": "Rate limit", "type": "requests", "param": None, "code": "rate_limit_exceeded"}},
    ],
    [
        {"error": {"message": "No", "type": "invalid_request_error", "param": "messages[0]", "code": None}},
        {"error": {"message": "Slow down", "type": "tokens", "code": "rate_limit_exceeded", "param": None}},
        {"error": "bare text", "code": 429},
        {"error": {"code": 402, "message": "Pay", "metadata": {"error_type": "payment_required"}}, "user_id": "u"},
        {"error": {"code": 403, "message": "Flagged", "metadata": {"reasons": ["x"], "flagged_input": "y"}}},
        {
            "error": {
                "message": "Filtered",
                "code": "content_filter",
                "status": 400,
                "innererror": {"code": "X", "content_filter_result": {"hate": {"filtered": True}}},
            }
        },
        {"detail": [{"loc": ["body", "n"], "msg": "no"}]},
        {"message": "flat", "type": "bad", "code": "invalid_api_key"},
        [{"error": {"message": "in a list"}}],
    ],
    {
        "content-type": "application/json",
        "x-request-id": "req_1",
        "retry-after": "2",
        "retry-after-ms": "1500",
        "x-should-retry": "true",
        "date": "Tue, 21 Nov 2023 07:28:00 GMT",
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "6m0s",
        "x-ratelimit-limit-tokens": "150000",
        "x-ratelimit-remaining-tokens": "149984",
        "x-ratelimit-reset-tokens": "250ms",
    },
)
