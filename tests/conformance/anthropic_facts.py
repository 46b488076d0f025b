"""Anthropic's messages as plain values with OpenAI's names, of its SDK and of this package."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from anycompletion import ChatCompletion, ChatCompletionMessage, ChatRequest, UserMessage
from anycompletion.dialects.anthropic_messages.encode import encode
from anycompletion.dialects.base import Target
from anycompletion.http import HttpRequest
from conformance.comparing import Facts, canonical, plain

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


def of_reply(message: BaseModel) -> Facts:
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
            {"id": block["id"], "name": block["name"], "input": canonical(block["input"])}
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


def of_ours(reply: ChatCompletion) -> Facts:
    """A reply of this package with the same names."""
    (choice,) = reply.choices
    message = choice.message
    return {
        "id": reply.id,
        "model": reply.model,
        "text": reply.text,
        "tool_calls": [
            {"id": call.id, "name": call.function.name, "input": canonical(json.loads(call.function.arguments))}
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
