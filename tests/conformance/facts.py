"""Replies and errors as comparable plain values, of this package and of the SDKs, which share no code."""

import json
import re
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
from pydantic import BaseModel

from anycompletion import APIError, ChatCompletion, ChatCompletionMessage, ChatRequest, UserMessage
from anycompletion.dialects.anthropic_messages.encode import encode
from anycompletion.dialects.base import Target
from anycompletion.http import HttpRequest
from anycompletion.testing import Recording
from conformance import cohere_facts, traffic
from conformance.expected import REQUEST_ID_HEADERS

Facts = dict[str, Any]

FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
"""Anthropic's stop reason → OpenAI's finish reason."""


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The scalars of a JSON value with their paths; nulls, empty lists and empty objects are left out."""
    match value:
        case dict():
            for name, item in value.items():
                yield from leaves(item, f"{path}.{name}" if path else str(name))
        case list():
            for index, item in enumerate(value):
                yield from leaves(item, f"{path}[{index}]")
        case None:
            return
        case _:
            yield path, value


def differences(ours: Any, theirs: Any) -> Facts:
    """Path → (ours, theirs), wherever two JSON values differ."""
    mine, other = dict(leaves(ours)), dict(leaves(theirs))
    return {
        path: (mine.get(path), other.get(path))
        for path in sorted(mine.keys() | other.keys())
        if mine.get(path) != other.get(path)
    }


def plain(model: BaseModel) -> Facts:
    """An SDK's object as JSON, including unknown members."""
    return model.model_dump(mode="json", by_alias=True, exclude_unset=True, warnings=False)


# --- Anthropic's messages with OpenAI's names -------------------------------------------------------------------------


def of_anthropic(message: BaseModel) -> Facts:
    """A message of Anthropic's SDK with OpenAI's names."""
    native = plain(message)
    blocks, usage, reason = native["content"], native["usage"], native["stop_reason"]
    thinking = [block for block in blocks if block["type"] in ("thinking", "redacted_thinking")]
    refusal = (native.get("stop_details") or {}).get("explanation") if reason == "refusal" else None
    return {
        "id": native["id"],
        "model": native["model"],
        "text": "".join(block["text"] for block in blocks if block["type"] == "text"),
        "tool_calls": [
            {"id": block["id"], "name": block["name"], "input": _canonical(block["input"])}
            for block in blocks
            if block["type"] == "tool_use"
        ],
        "finish_reason": FINISH.get(reason, reason),
        "native_finish_reason": reason,
        "refusal": refusal,
        "reasoning": "".join(block.get("thinking", "") for block in thinking),
        "thinking_blocks": thinking,
        "annotations": list(_annotations(blocks)),
        "usage": _usage(usage),
        "service_tier": usage.get("service_tier"),
        "sent_back": list(_sendable(blocks or [{"type": "text", "text": refusal or ""}])),
    }


def _sendable(blocks: list[Facts]) -> Iterator[Facts]:
    """Blocks as the next request can contain them: Anthropic refuses empty text; a direct caller is the default."""
    for block in blocks:
        if block.get("text", "x").strip():
            yield _without_default(block)


def _without_default(block: Facts) -> Facts:
    return {name: item for name, item in block.items() if (name, item) != ("caller", {"type": "direct"})}


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _annotations(blocks: list[Facts]) -> Iterator[Facts]:
    end = 0
    for block in blocks:
        if block["type"] == "text":
            start, end = end, end + len(block["text"])
            for citation in block.get("citations") or ():
                yield _annotation(citation, start, end)


def _annotation(citation: Facts, start: int, end: int) -> Facts:
    members = dict(citation)
    kind = members.pop("type")
    if kind != "web_search_result_location":
        return {"type": kind, "content_start_index": start, "content_end_index": end, **members}
    page = {"url": members.pop("url"), "title": members.pop("title"), "start_index": start, "end_index": end}
    return {"type": "url_citation", "url_citation": page, **members}


def _usage(native: Facts) -> Facts:
    read, written = native.get("cache_read_input_tokens"), native.get("cache_creation_input_tokens")
    prompt = native["input_tokens"] + (read or 0) + (written or 0)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": native["output_tokens"],
        "total_tokens": prompt + native["output_tokens"],
        "cached_tokens": read,
        "cache_write_tokens": written,
        "reasoning_tokens": (native.get("output_tokens_details") or {}).get("thinking_tokens"),
    }


# --- this package -----------------------------------------------------------------------------------------------------


def of_ours(reply: ChatCompletion, format_: str) -> Facts:
    """A reply of this package with the oracle's names for that format."""
    match format_:
        case traffic.ANTHROPIC:
            return _ours_as_anthropic(reply)
        case traffic.COHERE:
            return cohere_facts.of_ours(reply)
        case _:
            return reply.to_dict()


def _ours_as_anthropic(reply: ChatCompletion) -> Facts:
    (choice,) = reply.choices
    message = choice.message
    return {
        "id": reply.id,
        "model": reply.model,
        "text": reply.text,
        "tool_calls": [
            {"id": call.id, "name": call.function.name, "input": _canonical(json.loads(call.function.arguments))}
            for call in message.tool_calls or ()
        ],
        "finish_reason": choice.finish_reason,
        "native_finish_reason": choice.native_finish_reason,
        "refusal": message.refusal,
        "reasoning": message.reasoning_content or "",
        "thinking_blocks": message.thinking_blocks,
        "annotations": [item.to_dict() for item in message.annotations or ()],
        "usage": _our_usage(reply),
        "service_tier": reply.service_tier,
        "sent_back": _sent_back(message),
    }


def _our_usage(reply: ChatCompletion) -> Facts:
    usage = reply.usage
    assert usage is not None, "the provider sent its counts"
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "cached_tokens": prompt and prompt.cached_tokens,
        "cache_write_tokens": prompt and prompt.cache_write_tokens,
        "reasoning_tokens": completion and completion.reasoning_tokens,
    }


def _sent_back(message: ChatCompletionMessage) -> Any:
    """The blocks that are sent to Anthropic if the message is part of the next request."""
    request = ChatRequest("claude", [UserMessage("Hello"), message, UserMessage("And?")])
    target = Target(provider="anthropic", model="claude", base_url="http://127.0.0.1")
    encoded = encode(request, target, {})
    assert isinstance(encoded, HttpRequest)
    assert encoded.body is not None
    turns = [turn for turn in encoded.body["messages"] if turn["role"] == "assistant"]
    content = turns[0]["content"] if turns else []
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return [_without_default(block) for block in blocks]


# --- errors -----------------------------------------------------------------------------------------------------------


def of_our_error(error: APIError) -> Facts:
    """The values of this package's exception; Anthropic's `type` is its `code` as well."""
    return {
        "status_code": error.status_code,
        "code": error.code,
        "type": error.type,
        "param": error.param,
        "message": error.message,
        "request_id": error.request_id,
    }


def of_openai_error(error: openai.APIError, recording: Recording) -> Facts:
    """The values of an exception of OpenAI's SDK; one inside a good status has no status of its own."""
    if not isinstance(error, openai.APIStatusError):
        return of_error_object(error.body, recording)
    return of_error_object(error.body, recording) | {"status_code": error.status_code}


def of_error_object(body: Any, recording: Recording) -> Facts:
    """The values of an error object; a gateway's code can be the status of the server behind it."""
    error = _object(body)
    code = error.get("code")
    # Groq's errors inside a stream have the status as a field.
    named = [str(value) for value in (error.get("status_code"), code) if re.fullmatch("[45][0-9][0-9]", str(value))]
    status = int(named[0]) if named and recording.status < 400 else recording.status
    message = error.get("message")
    return {
        "status_code": status,
        "code": _text(code),
        "type": _text(error.get("type")),
        "param": _text(error.get("param")),
        "message": message if isinstance(message, str) else None,
        "request_id": _request_id(recording),
    }


def _text(value: Any) -> str | None:
    return None if value in (None, "") or isinstance(value, (dict, list)) else str(value)


def _request_id(recording: Recording) -> str | None:
    """OpenAI's header, else the provider's own."""
    own = REQUEST_ID_HEADERS.get(traffic.row_of(recording).name, "x-request-id")
    return recording.headers.get("x-request-id") or recording.headers.get(own)


ANTHROPIC_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""Anthropic's error type → its usual status, for errors inside a stream, whose status is 200."""


def of_anthropic_error(error: anthropic.APIStatusError) -> Facts:
    """The values of an exception of Anthropic's SDK; its errors have a type and no code."""
    body = _object(error.body)
    details = _object(body.get("error"))
    kind = details.get("type")
    return {
        "status_code": ANTHROPIC_STATUS.get(kind, 500) if error.status_code < 400 else error.status_code,
        "code": error.type,
        "type": kind,
        "message": details.get("message"),
        # The SDK reads the header only; the body contains the id as well.
        "request_id": error.request_id or body.get("request_id"),
    }


def _object(value: Any) -> Facts:
    return value if isinstance(value, dict) else {}
