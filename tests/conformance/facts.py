"""What two readers of the same bytes must agree on, as plain values; the oracle's side never touches our code."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from anthropic.types import Message
from anycompletion import AssistantMessage, ChatCompletion
from pydantic import BaseModel

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

Facts = dict[str, Any]


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every scalar of a JSON value with its path; nulls, empty lists and empty objects say nothing."""
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


def differences(ours: Any, theirs: Any) -> dict[str, tuple[Any, Any]]:
    """Path → (ours, theirs), wherever two JSON values differ."""
    mine, other = dict(leaves(ours)), dict(leaves(theirs))
    return {
        path: (mine.get(path), other.get(path))
        for path in sorted(mine.keys() | other.keys())
        if mine.get(path) != other.get(path)
    }


def plain(model: BaseModel) -> Any:
    """What an SDK's record holds, unknown members included."""
    return model.model_dump(mode="json", by_alias=True, exclude_unset=True, warnings=False)


# --- OpenAI: the whole reply, member by member --------------------------------------------------------------------


def of_openai(model: BaseModel) -> Facts:
    """What OpenAI's SDK read."""
    return dict(plain(model))


# --- Anthropic: their message in OpenAI's terms -------------------------------------------------------------------


def of_anthropic(message: Message) -> Facts:
    """What Anthropic's SDK read, in OpenAI's terms."""
    native = plain(message)
    blocks = native["content"]
    reason = native["stop_reason"]
    thinking = [block for block in blocks if block["type"] in ("thinking", "redacted_thinking")]
    return {
        "id": native["id"],
        "model": native["model"],
        "text": "".join(block["text"] for block in blocks if block["type"] == "text"),
        "tool_calls": [
            {"id": block["id"], "name": block["name"], "input": json.dumps(block["input"], sort_keys=True)}
            for block in blocks
            if block["type"] == "tool_use"
        ],
        "finish_reason": FINISH[reason],
        "native_finish_reason": reason,
        "refusal": (native.get("stop_details") or {}).get("explanation") if reason == "refusal" else None,
        "reasoning": "".join(block.get("thinking", "") for block in thinking),
        "thinking_blocks": thinking,
        "annotations": list(_annotations(blocks)),
        "usage": _usage(native["usage"]),
        "service_tier": native["usage"].get("service_tier"),
    }


def _annotations(blocks: list[Facts]) -> Iterator[Facts]:
    end = 0
    for block in blocks:
        if block["type"] != "text":
            continue
        start, end = end, end + len(block["text"])
        for citation in block.get("citations") or ():
            yield _annotation(citation, start, end)


def _annotation(citation: Facts, start: int, end: int) -> Facts:
    place = {"start_index": start, "end_index": end}
    members = dict(citation)
    kind = members.pop("type")
    if kind != "web_search_result_location":
        return {"type": kind, "content_start_index": start, "content_end_index": end, **members}
    page = {name: members.pop(name) for name in ("url", "title")}
    return {"type": "url_citation", "url_citation": page | place, **members}


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


def of_ours(reply: ChatCompletion) -> Facts:
    """What this package read, in the same terms."""
    (choice,) = reply.choices
    message = choice.message
    return {
        "id": reply.id,
        "model": reply.model,
        "text": reply.text,
        "tool_calls": _calls(message),
        "finish_reason": choice.finish_reason,
        "native_finish_reason": choice.native_finish_reason,
        "refusal": message.refusal,
        "reasoning": message.reasoning_content or "",
        "thinking_blocks": message.thinking_blocks,
        "annotations": [item.to_dict() for item in message.annotations or ()],
        "usage": _our_usage(reply),
        "service_tier": reply.service_tier,
    }


def _calls(message: AssistantMessage) -> list[Facts]:
    return [
        {
            "id": call.id,
            "name": call.function.name,
            "input": json.dumps(json.loads(call.function.arguments), sort_keys=True),
        }
        for call in message.tool_calls or ()
    ]


def _our_usage(reply: ChatCompletion) -> Facts:
    usage = reply.usage
    assert usage is not None, "the provider told its counts"
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "cached_tokens": prompt and prompt.cached_tokens,
        "cache_write_tokens": prompt and prompt.cache_write_tokens,
        "reasoning_tokens": completion and completion.reasoning_tokens,
    }


# --- errors -------------------------------------------------------------------------------------------------------


def error_members(body: Any) -> Mapping[str, Any]:
    """The error object of an SDK's error body: Anthropic's has it one level down."""
    inner = body.get("error", body) if isinstance(body, dict) else {}
    return inner if isinstance(inner, dict) else {}
