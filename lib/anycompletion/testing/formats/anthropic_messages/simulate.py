"""Anthropic's messages API as the simulator speaks it; pure, and never answers in any other provider's words.

https://docs.claude.com/en/api/messages
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from ..json_access import as_dict, as_list, as_text
from ..simulated_reply import Ask, Say, Tool, UseTool, count, decide, pick, words
from ..wire_format import Call, Failure, Format, Plain, Stream, StreamEvent, dump, sse
from .validate import blocks, check, signature, turns

API_KEY = "simulated-anthropic-key"

FAILURES: Mapping[str, Failure] = {
    "bad-request": Failure(400, "invalid_request_error", "The request is not valid. (simulated)"),
    "context-length": Failure(400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
    "content-policy": Failure(400, "invalid_request_error", "Output blocked by content filtering policy"),
    "authentication": Failure(401, "authentication_error", "invalid x-api-key"),
    "quota": Failure(402, "billing_error", "There is a problem with your billing. (simulated)"),
    "permission": Failure(403, "permission_error", "Your API key does not have permission for this. (simulated)"),
    "not-found": Failure(404, "not_found_error", "The requested resource was not found. (simulated)"),
    "rate-limit": Failure(
        429, "rate_limit_error", "This request would exceed your organization's rate limit of requests per minute."
    ),
    "server-error": Failure(500, "api_error", "Internal server error"),
    "unavailable": Failure(503, "api_error", "The service is temporarily unavailable. (simulated)"),
    "timeout": Failure(504, "timeout_error", "The request timed out. (simulated)"),
    "overloaded": Failure(529, "overloaded_error", "Overloaded"),
}

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens"}
_LIMITS = {"requests": 4000, "input-tokens": 2_000_000, "output-tokens": 400_000, "tokens": 2_400_000}


def answer(call: Call) -> Plain | Stream:
    """The answer to any request below the format's root."""
    failure = check(call, API_KEY)
    if failure is not None:
        return refuse(call, failure)
    body = as_dict(call.body)
    given = decide(read(body), call.style, call.twins)
    head = _headers(call)
    if body.get("stream"):
        return Stream(tuple(_events(call, body, given)), head)
    message = {**_message(call, body), "content": _content(call, body, given), **_stop(given)}
    return Plain(200, dump({**message, "usage": _usage(body, _output(body, given))}), head)


def refuse(call: Call, failure: Failure) -> Plain:
    """The error answer for `failure`."""
    head = _headers(call, used_up=True) if failure.status == 429 else {"request-id": _request_id(call)}
    return Plain(failure.status, dump(_error(call, failure)), head)


def stream_error(call: Call, failure: Failure) -> bytes:
    """The event that reports `failure` inside a stream."""
    return sse(_error(call, failure), "error")


def _error(call: Call, failure: Failure) -> dict[str, Any]:
    error = {"type": failure.type, "message": failure.message}
    return {"type": "error", "error": error, "request_id": _request_id(call)}


def _request_id(call: Call) -> str:
    return f"req_01{call.uid[:22]}"


def _headers(call: Call, *, used_up: bool = False) -> dict[str, str]:
    reset = datetime.fromtimestamp(int(call.now) + 1, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    head = {"request-id": _request_id(call), "anthropic-organization-id": "simulated-organization"}
    for name, limit in _LIMITS.items():
        head[f"anthropic-ratelimit-{name}-limit"] = str(limit)
        head[f"anthropic-ratelimit-{name}-remaining"] = "0" if used_up and name == "requests" else str(limit - 1)
        head[f"anthropic-ratelimit-{name}-reset"] = reset
    return head


# --- reading ------------------------------------------------------------------------------------------------------


def read(body: dict[str, Any]) -> Ask:
    """What the request asks for."""
    conversation = turns(body["messages"])
    results = [each for each in conversation[-1][1] if each.get("type") == "tool_result"]
    wanted = as_dict(as_dict(body.get("output_config")).get("format") or body.get("output_format"))
    return Ask(
        body=body,
        user=_last(conversation, "user"),
        assistant=_last(conversation, "assistant"),
        result="\n".join(_text(each.get("content")) for each in results) if results else None,
        tool=_wanted_tool(body),
        wants_json=wanted.get("type") == "json_schema",
        schema=wanted.get("schema"),
        max_tokens=body["max_tokens"],
        stop=tuple(as_list(body.get("stop_sequences"))),
    )


def _text(content: Any) -> str:
    return "\n".join(as_text(each.get("text")) for each in blocks(content) if each.get("type") == "text")


def _last(conversation: list[tuple[str, list[dict[str, Any]]]], role: str) -> str:
    return next((_text(content) for who, content in reversed(conversation) if who == role), "")


def _wanted_tool(body: dict[str, Any]) -> Tool | None:
    choice = as_dict(body.get("tool_choice"))
    if choice.get("type") == "none":
        return None
    offers = [as_dict(each) for each in as_list(body.get("tools"))]
    own = [Tool(as_text(each.get("name")), each["input_schema"]) for each in offers if each.get("input_schema")]
    return pick(own, choice.get("name"))


# --- writing ------------------------------------------------------------------------------------------------------


def _message(call: Call, body: dict[str, Any]) -> dict[str, Any]:
    return {"id": f"msg_01{call.uid[:22]}", "type": "message", "role": "assistant", "model": body["model"]}


def _stop(given: Say | UseTool) -> dict[str, Any]:
    if isinstance(given, UseTool):
        return {"stop_reason": "tool_use", "stop_sequence": None}
    if given.stop_sequence is not None:
        return {"stop_reason": "stop_sequence", "stop_sequence": given.stop_sequence}
    return {"stop_reason": _STOP_REASONS[given.end], "stop_sequence": None}


def _usage(body: dict[str, Any], output: int) -> dict[str, Any]:
    prompt = _text(body.get("system")), *(_text(as_dict(each).get("content")) for each in body["messages"])
    return {
        "input_tokens": sum(map(count, prompt)),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output,
        "service_tier": "standard",
    }


def _output(body: dict[str, Any], given: Say | UseTool) -> int:
    return count(given.text) + count(_thoughts(body) or "")


def _thoughts(body: dict[str, Any]) -> str | None:
    """The text of the thinking block; empty if it is to be omitted, None if there is no thinking."""
    thinking = as_dict(body.get("thinking"))
    if thinking.get("type") not in ("enabled", "adaptive"):
        return None
    return "" if thinking.get("display") == "omitted" else "Let me think about that for a moment."


def _thinking(thoughts: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": thoughts, "signature": signature(thoughts)}


def _tool_use(call: Call, given: UseTool) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_01{call.uid[:22]}", "name": given.tool.name, "input": given.arguments}


def _content(call: Call, body: dict[str, Any], given: Say | UseTool) -> list[dict[str, Any]]:
    thoughts = _thoughts(body)
    content = [] if thoughts is None else [_thinking(thoughts)]
    if isinstance(given, UseTool):
        content.append(_tool_use(call, given))
    elif given.text:
        content.append({"type": "text", "text": given.text})
    return content


def _events(call: Call, body: dict[str, Any], given: Say | UseTool) -> Iterator[StreamEvent]:
    start: dict[str, Any] = {**_message(call, body), "content": [], "stop_reason": None, "stop_sequence": None}
    yield _event("message_start", message={**start, "usage": _usage(body, 1)})
    for index, (block, deltas) in enumerate(_stream_blocks(call, body, given)):
        yield _event("content_block_start", index=index, content_block=block)
        if index == 0:
            yield _event("ping")
        for delta in deltas:
            yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    usage = _usage(body, _output(body, given))
    yield StreamEvent(sse({"type": "message_delta", "delta": _stop(given), "usage": usage}, "message_delta"), "finish")
    yield StreamEvent(sse({"type": "message_stop"}, "message_stop"), "end")


def _event(kind: str, **members: Any) -> StreamEvent:
    return StreamEvent(sse({"type": kind, **members}, kind))


def _stream_blocks(
    call: Call, body: dict[str, Any], given: Say | UseTool
) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each block as it starts, and the deltas that fill it."""
    thoughts = _thoughts(body)
    if thoughts is not None:
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in words(thoughts)]
        deltas.append({"type": "signature_delta", "signature": signature(thoughts)})
        yield {"type": "thinking", "thinking": "", "signature": ""}, deltas
    if isinstance(given, UseTool):
        # The first fragment is empty, as it is on the wire; without arguments there is no other.
        fragments = ["", *words(given.text)] if given.arguments else [""]
        yield (
            {**_tool_use(call, given), "input": {}},
            [{"type": "input_json_delta", "partial_json": piece} for piece in fragments],
        )
    elif given.text:
        yield {"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in given.pieces]


FORMAT = Format(
    provider="anthropic",
    root="/anthropic",
    base="/anthropic",
    api_key=API_KEY,
    answer=answer,
    failures=FAILURES,
    refuse=refuse,
    stream_error=stream_error,
)
