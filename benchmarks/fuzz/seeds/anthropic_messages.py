"""Valid responses of Anthropic's messages."""

from __future__ import annotations

from typing import Any

from ..seed_types import Event, Seeds

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
SEEDS = Seeds(
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
