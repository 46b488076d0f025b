"""Simulates Anthropic's messages API; pure, and never replies in another provider's format.

https://docs.claude.com/en/api/messages
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..faulty_calls import with_call_fault
from ..json_access import as_dict, as_list, as_text, sse, text_of
from ..reply_script import ReplyScript, single_reply
from ..simulated_reply import OfferedTool, Prompt, SimulatedReply, TextReply, choose_reply, count_tokens, select_tool
from ..wire_format import AnyResponse, ErrorSpec, SimulatedRequest, WireFormat
from . import encode
from .validate import content_blocks, joined_turns, signature, validate

API_KEY = "simulated-anthropic-key"

ERRORS: Mapping[str, ErrorSpec] = {
    "bad-request": ErrorSpec(400, "invalid_request_error", "The request is not valid. (simulated)"),
    "context-length": ErrorSpec(400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
    "content-policy": ErrorSpec(400, "invalid_request_error", "Output blocked by content filtering policy"),
    "authentication": ErrorSpec(401, "authentication_error", "invalid x-api-key"),
    "quota": ErrorSpec(402, "billing_error", "There is a problem with your billing. (simulated)"),
    "permission": ErrorSpec(403, "permission_error", "Your API key does not have permission for this. (simulated)"),
    "not-found": ErrorSpec(404, "not_found_error", "The requested resource was not found. (simulated)"),
    "rate-limit": ErrorSpec(
        429, "rate_limit_error", "This request would exceed your organization's rate limit of requests per minute."
    ),
    "server-error": ErrorSpec(500, "api_error", "Internal server error"),
    "unavailable": ErrorSpec(503, "api_error", "The service is temporarily unavailable. (simulated)"),
    "timeout": ErrorSpec(504, "timeout_error", "The request timed out. (simulated)"),
    "overloaded": ErrorSpec(529, "overloaded_error", "Overloaded"),
}

_PAUSED = TextReply(("Let ", "me ", "look ", "that ", "up."))
"""A reply that goes on when it comes back."""

_LIMITS = {"requests": 4000, "input-tokens": 2_000_000, "output-tokens": 400_000, "tokens": 2_400_000}


def reply(request: SimulatedRequest) -> AnyResponse:
    """The response to a valid request."""
    body = as_dict(request.body)
    chosen = choose_reply(read_prompt(body), request.options, request.repeats)
    if request.fault is not None and request.fault.kind == "pause":
        chosen = _PAUSED
    return encode.encode(request, _script(request, body, chosen))


def stream_error(request: SimulatedRequest, error: ErrorSpec) -> bytes:
    """The event that reports the error inside a stream."""
    return sse(encode.error_body(request, error), "error")


def headers(request: SimulatedRequest, status: int) -> dict[str, str]:
    """The headers of a response with that status."""
    head = {"request-id": encode.request_id(request)}
    if status >= 400 and status != 429:
        return head
    reset = datetime.fromtimestamp(int(request.now) + 1, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    head["anthropic-organization-id"] = "simulated-organization"
    for name, limit in _LIMITS.items():
        used_up = status == 429 and name == "requests"
        head[f"anthropic-ratelimit-{name}-limit"] = str(limit)
        head[f"anthropic-ratelimit-{name}-remaining"] = "0" if used_up else str(limit - 1)
        head[f"anthropic-ratelimit-{name}-reset"] = reset
    return head


# --- reading ------------------------------------------------------------------------------------------------------


def read_prompt(body: dict[str, Any]) -> Prompt:
    """What the request asks for."""
    conversation = joined_turns(body["messages"])
    results = [each for each in conversation[-1][1] if each.get("type") == "tool_result"]
    wanted = as_dict(as_dict(body.get("output_config")).get("format") or body.get("output_format"))
    return Prompt(
        body=body,
        user=_last_text(conversation, "user"),
        assistant=_last_text(conversation, "assistant"),
        result="\n".join(_text(each.get("content")) for each in results) if results else None,
        tool=_tool_to_call(body),
        wants_json=wanted.get("type") == "json_schema",
        schema=wanted.get("schema"),
        max_tokens=body["max_tokens"],
        stop=tuple(as_list(body.get("stop_sequences"))),
    )


def _text(content: Any) -> str:
    return text_of(content_blocks(content))


def _last_text(conversation: list[tuple[str, list[dict[str, Any]]]], role: str) -> str:
    return next((_text(content) for turn_role, content in reversed(conversation) if turn_role == role), "")


def _tool_to_call(body: dict[str, Any]) -> OfferedTool | None:
    choice = as_dict(body.get("tool_choice"))
    if choice.get("type") == "none":
        return None
    offers = [as_dict(each) for each in as_list(body.get("tools"))]
    own = [OfferedTool(as_text(each.get("name")), each["input_schema"]) for each in offers if each.get("input_schema")]
    return select_tool(own, choice.get("name"))


# --- writing ------------------------------------------------------------------------------------------------------


def _script(request: SimulatedRequest, body: dict[str, Any], reply: SimulatedReply) -> ReplyScript:
    message: dict[str, Any] = {"role": "assistant", "content": None}
    thoughts = _thoughts(body)
    if thoughts is not None:
        block = {"type": "thinking", "thinking": thoughts, "signature": signature(thoughts)}
        message["thinking_blocks"] = [block]
    choice: dict[str, Any] = {"message": message}
    if isinstance(reply, TextReply):
        message["content"] = reply.text
        choice["finish_reason"] = reply.end
        if reply is _PAUSED:
            choice["native_finish_reason"] = "pause_turn"
        elif reply.stop_sequence is not None:
            choice |= {"native_finish_reason": "stop_sequence", "stop_sequence": reply.stop_sequence}
    else:
        function = {"name": reply.tool.name, "arguments": reply.text}
        message["tool_calls"] = [{"id": f"toolu_01{request.uid[:22]}", "type": "function", "function": function}]
        choice["finish_reason"] = "tool_calls"
    output = count_tokens(reply.text) + count_tokens(thoughts or "")
    choice = with_call_fault(choice, request.fault, objects=not body.get("stream"))
    return single_reply(f"msg_01{request.uid[:22]}", body["model"], choice, reply.pieces, _usage(body, output))


def _usage(body: dict[str, Any], output: int) -> dict[str, Any]:
    prompt = _text(body.get("system")), *(_text(as_dict(each).get("content")) for each in body["messages"])
    return {
        "input_tokens": sum(map(count_tokens, prompt)),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output,
        "service_tier": "standard",
    }


def _thoughts(body: dict[str, Any]) -> str | None:
    """The text of the thinking block; empty if it is to be omitted, None if there is no thinking."""
    thinking = as_dict(body.get("thinking"))
    if thinking.get("type") not in ("enabled", "adaptive"):
        return None
    return "" if thinking.get("display") == "omitted" else "Let me think about that for a moment."


FORMAT = WireFormat(
    provider="anthropic",
    api_key=API_KEY,
    api="messages",
    validate=validate,
    reply=reply,
    encode=encode.encode,
    errors=ERRORS,
    encode_error=encode.encode_error,
    stream_error=stream_error,
    headers=headers,
)
