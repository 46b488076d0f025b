"""Seeds of fuzzing: valid responses of every format as values; together they have every member that is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Event: TypeAlias = "tuple[str, Any]"
"""Name and data of an event; data other than a text is sent as JSON."""


@dataclass(frozen=True)
class Seeds:
    """Valid responses of one format."""

    streams: Sequence[Sequence[Event]]
    replies: Sequence[Any]
    errors: Sequence[Any]
    headers: Mapping[str, str]


# --- OpenAI ----------------------------------------------------------------------------------------------------------

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


_OPENAI = Seeds(
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

# --- Anthropic -------------------------------------------------------------------------------------------------------

_ANTHROPIC_USAGE = {
    "input_tokens": 9,
    "output_tokens": 12,
    "cache_read_input_tokens": 1,
    "cache_creation_input_tokens": 2,
    "cache_creation": {"ephemeral_5m_input_tokens": 2},
    "output_tokens_details": {"thinking_tokens": 4},
    "service_tier": "standard",
    "server_tool_use": {"web_search_requests": 1},
}
_WEB_CITATION = {
    "type": "web_search_result_location",
    "url": "https://a.example",
    "title": "A",
    "encrypted_index": "e",
    "cited_text": "Hi",
}
_CHAR_CITATION = {"type": "char_location", "document_index": 0, "start_char_index": 0, "end_char_index": 2}
_BLOCKS: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
    {"type": "redacted_thinking", "data": "r"},
    {"type": "text", "text": "Hi", "citations": [_WEB_CITATION, _CHAR_CITATION]},
    {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "x"}},
    {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": [{"type": "web_search_result", "url": "u"}]},
    {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"q": "x"}, "caller": {"type": "direct"}},
    {"type": "tool_use", "id": "toolu_2", "name": "go", "input": {}},
]


def _anthropic(kind: str, **members: Any) -> Event:
    return kind, {"type": kind, **members}


def _block(index: int, block: Any, *deltas: Any) -> list[Event]:
    grown = [_anthropic("content_block_delta", index=index, delta=delta) for delta in deltas]
    start = _anthropic("content_block_start", index=index, content_block=block)
    return [start, *grown, _anthropic("content_block_stop", index=index)]


_MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": _ANTHROPIC_USAGE,
}
_STOP = {"stop_reason": "end_turn", "stop_sequence": None}
_ANTHROPIC = Seeds(
    [
        [
            _anthropic("message_start", message=_MESSAGE),
            _anthropic("ping"),
            *_block(
                0,
                {"type": "thinking", "thinking": "", "signature": ""},
                {"type": "thinking_delta", "thinking": "Hm"},
                {"type": "signature_delta", "signature": "sig"},
            ),
            *_block(1, {"type": "redacted_thinking", "data": "r"}),
            *_block(
                2,
                {"type": "text", "text": ""},
                {"type": "text_delta", "text": "Hi é\U0001f600"},
                {"type": "citations_delta", "citation": _WEB_CITATION},
            ),
            _anthropic("message_delta", delta=_STOP, usage={"output_tokens": 12}),
            _anthropic("message_stop"),
        ],
        [
            _anthropic("message_start", message={**_MESSAGE, "content": _BLOCKS, "stop_reason": "tool_use"}),
            *_block(
                0,
                {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}},
                {"type": "input_json_delta", "partial_json": ""},
                {"type": "input_json_delta", "partial_json": '{"q": '},
                {"type": "input_json_delta", "partial_json": '"x"}'},
            ),
            *_block(1, {"type": "tool_use", "id": "toolu_2", "name": "go", "input": {"a": [1, {"b": None}]}}),
            *_block(2, {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": []}),
            _anthropic(
                "message_delta",
                delta={
                    "stop_reason": "refusal",
                    "stop_sequence": "###",
                    "stop_details": {"type": "refusal", "explanation": "no"},
                },
                usage=_ANTHROPIC_USAGE,
            ),
            _anthropic("message_stop"),
        ],
        [
            _anthropic("message_start", message=_MESSAGE),
            _anthropic("error", error={"type": "overloaded_error", "message": "Overloaded"}, request_id="req_1"),
        ],
    ],
    [
        {**_MESSAGE, "content": _BLOCKS, "stop_reason": "tool_use"},
        {**_MESSAGE, "content": [{"type": "text", "text": "Hi"}], "stop_reason": "stop_sequence", "stop_sequence": "#"},
        {**_MESSAGE, "stop_reason": "refusal", "stop_details": {"type": "refusal", "explanation": "no"}},
        {"type": "error", "error": {"type": "api_error", "message": "Internal"}, "request_id": "req_1"},
    ],
    [
        {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow"}, "request_id": "req_1"},
        {"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 9 > 8"}},
        {"type": "error", "error": {"type": "new_error", "message": "?"}},
        {"error": "bare text"},
    ],
    {
        "content-type": "application/json",
        "request-id": "req_1",
        "retry-after": "Tue, 21 Nov 2023 07:28:30 GMT",
        "date": "Tue, 21 Nov 2023 07:28:00 GMT",
        "x-should-retry": "false",
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": "2023-11-21T07:28:30Z",
        "anthropic-ratelimit-input-tokens-remaining": "0",
        "anthropic-ratelimit-input-tokens-reset": "2023-11-21T07:29:00.5+00:00",
    },
)

# --- Cohere ----------------------------------------------------------------------------------------------------------

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
_COHERE = Seeds(
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

# --- Replicate -------------------------------------------------------------------------------------------------------

_PREDICTION = {
    "id": "gm3qorzdhgbfurvjtvhg6dckhu",
    "model": "meta/meta-llama-3-8b-instruct",
    "version": "a" * 64,
    "input": {"prompt": "Hi"},
    "logs": "",
    "output": ["Hi", " there"],
    "error": None,
    "status": "succeeded",
    "created_at": "2023-11-21T07:28:00.123Z",
    "started_at": "2023-11-21T07:28:01.1+00:00",
    "metrics": {"predict_time": 1.5, "input_token_count": 9, "output_token_count": 12},
    "urls": {
        "get": "https://api.replicate.com/v1/predictions/gm3",
        "cancel": "https://api.replicate.com/v1/predictions/gm3/cancel",
        "stream": "https://stream.replicate.com/v1/files/x",
    },
}
_REPLICATE = Seeds(
    [
        [("output", "Hi"), ("output", " the\nre é\U0001f600"), ("logs", "l"), ("done", {})],
        [("output", "Hi"), ("done", {"reason": "canceled"})],
        [("output", "Hi"), ("error", {"detail": "E6716: it broke"})],
        [("error", "An error: context length"), ("done", {"reason": "error"})],
    ],
    [
        _PREDICTION,
        {**_PREDICTION, "status": "starting", "output": None},
        {**_PREDICTION, "status": "processing", "urls": {}},
        {**_PREDICTION, "status": "failed", "error": "E1001: out of memory"},
        {**_PREDICTION, "status": "canceled"},
        {**_PREDICTION, "output": {"a": [1, "b"]}},
    ],
    [
        {"title": "Throttled", "detail": "Your rate limit resets in ~30s", "status": 429, "retry_after": 12},
        {"detail": "Invalid token", "title": "Unauthenticated", "type": "about:blank"},
        {"title": "Bad", "detail": "bad", "invalid_fields": [{"field": "input.prompt", "description": "missing"}]},
        {"detail": [{"loc": ["input"], "msg": "no"}]},
    ],
    {
        "content-type": "application/json",
        "x-request-id": "req_1",
        "ratelimit-reset": "12",
        "ratelimit-remaining": "0",
        "date": "Tue, 21 Nov 2023 07:28:30 GMT",
        "retry-after": "5",
    },
)

SEEDS: Mapping[str, Seeds] = {
    "openai_chat": _OPENAI,
    "anthropic_messages": _ANTHROPIC,
    "cohere_chat": _COHERE,
    "replicate_predictions": _REPLICATE,
}

HINTS: Mapping[str, Sequence[str]] = {
    "retry-after-ms": ("1500", "0", "1e3", "1.5"),
    "retry-after": ("2", "2.5", "1s", "-1", "0", "Tue, 21 Nov 2023 07:28:30 GMT", "Tuesday, 21-Nov-23 07:28:30 GMT"),
    "date": ("Tue, 21 Nov 2023 07:28:00 GMT", "Tue, 21 Nov 2023 07:28:00 -0000", "Tue, 21 Nov 23 07:28:00 +2500"),
    "x-ratelimit-reset": ("12", "1700000000", "1700000000000"),
    "x-ratelimit-reset-requests": ("1s", "6m0s", "250ms", "8.64s", "1h2m3s", "1700000000", "1700000000000"),
    "x-ratelimit-reset-tokens": ("6m0s", "0s", "1d", "-1s"),
    "x-ratelimit-remaining-requests": ("0", "5", "-1"),
    "x-ratelimit-remaining-tokens": ("0", "100", "0.0"),
    "anthropic-ratelimit-requests-reset": ("2023-11-21T07:28:30Z", "2023-11-21T07:28:30.5+02:00", "2023-11-21"),
    "anthropic-ratelimit-requests-remaining": ("0", "49"),
    "anthropic-ratelimit-tokens-reset": ("2023-11-21T07:29:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59"),
    "anthropic-ratelimit-tokens-remaining": ("0", "1000"),
    "anthropic-ratelimit-input-tokens-reset": ("2023-11-21T07:29:00Z",),
    "anthropic-ratelimit-input-tokens-remaining": ("0",),
    "ratelimit-reset": ("12", "1700000000"),
    "ratelimit-remaining": ("0", "1"),
    "x-should-retry": ("true", "false"),
}
"""Headers with retry hints and rate limits, or similar values."""

HINT_BODIES: Sequence[Any] = (
    {
        "error": {
            "code": 429,
            "status": "RESOURCE_EXHAUSTED",
            "message": "Please retry in 7s.",
            "details": [
                {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": "PerDay"}]},
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7.5s"},
            ],
        }
    },
    [{"error": {"details": [{"retryDelay": "34.074824224s"}]}}],
    {"error": {"details": {"retryDelay": 7}}, "retry_after": 3},
)
"""Bodies with retry hints."""
