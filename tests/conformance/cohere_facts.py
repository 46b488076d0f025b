"""Cohere's replies as plain values with OpenAI's names, assembled from its SDK's objects by its documentation.

https://docs.cohere.com/docs/streaming
"""

from collections.abc import Iterable
from typing import Any

from anycompletion import ChatCompletion
from anycompletion.testing import Recording

Facts = dict[str, Any]

FINISH = {"COMPLETE": "stop", "STOP_SEQUENCE": "stop", "MAX_TOKENS": "length", "TOOL_CALL": "tool_calls"}
"""Cohere's finish reason → OpenAI's."""

USUAL_STATUS = {"INVALID_TOOL_GENERATION": 422, "HALLUCINATED_ALL_TOOL_CALLS": 422, "TIMEOUT": 504}
"""Type of an error inside a 200 → its usual status."""


def of_reply(reply: Facts) -> Facts:
    """A reply of Cohere's SDK with OpenAI's names."""
    message, usage, reason = reply["message"], reply.get("usage") or {}, reply["finish_reason"]
    tokens = usage.get("tokens") or {}
    parts = message.get("content") or ()
    counts = [tokens.get("input_tokens"), tokens.get("output_tokens")]
    return {
        "id": reply.get("id") or "",
        "text": "".join(part["text"] for part in parts if part["type"] == "text"),
        "reasoning": "".join(part["thinking"] for part in parts if part["type"] == "thinking"),
        "tool_calls": [
            # Missing arguments are empty arguments, whose JSON is {}.
            [call["id"], call["function"]["name"], call["function"].get("arguments") or "{}"]
            for call in message.get("tool_calls") or ()
        ],
        "tool_plan": message.get("tool_plan") or None,
        "citations": message.get("citations") or None,
        "finish_reason": FINISH.get(reason, reason),
        "native_finish_reason": reason,
        "prompt_tokens": counts[0],
        "completion_tokens": counts[1],
        "total_tokens": None if None in counts else sum(counts),
        "cached_tokens": usage.get("cached_tokens"),
        "billed_units": usage.get("billed_units"),
    }


def assembled(events: Iterable[Facts]) -> Facts:
    """The reply assembled from its events."""
    message: Facts = {"content": {}, "tool_calls": {}, "tool_plan": "", "citations": []}
    reply: Facts = {"message": message}
    for event in events:
        delta = event.get("delta") or {}
        piece = delta.get("message") or {}
        match event["type"]:
            case "message-start":
                reply["id"] = event.get("id")
            case "content-start":
                message["content"][event["index"]] = {"text": "", "thinking": "", **_without_nulls(piece["content"])}
            case "content-delta":
                for name, text in _without_nulls(piece["content"]).items():
                    message["content"][event["index"]][name] += text
            case "tool-plan-delta":
                message["tool_plan"] += piece["tool_plan"]
            case "tool-call-start":
                message["tool_calls"][event["index"]] = piece["tool_calls"]
            case "tool-call-delta":
                function = message["tool_calls"][event["index"]]["function"]
                function["arguments"] += piece["tool_calls"]["function"]["arguments"]
            case "citation-start":
                message["citations"].append(piece["citations"])
            case "message-end":
                reply |= {"finish_reason": delta["finish_reason"], "usage": delta.get("usage")}
    message["content"] = list(message["content"].values())
    message["tool_calls"] = list(message["tool_calls"].values())
    return reply


def _without_nulls(members: Facts) -> Facts:
    return {name: value for name, value in members.items() if value is not None}


def of_ours(reply: ChatCompletion) -> Facts:
    """A reply of this package with the same names."""
    (choice,) = reply.choices
    message, usage = choice.message, reply.usage
    kept = (message.provider_specific_fields or {}).get("cohere", {})
    cached = usage and usage.prompt_tokens_details and usage.prompt_tokens_details.cached_tokens
    return {
        "id": reply.id,
        "text": reply.text,
        "reasoning": message.reasoning_content or "",
        "tool_calls": [[call.id, call.function.name, call.function.arguments] for call in message.tool_calls or ()],
        "tool_plan": kept.get("tool_plan"),
        "citations": [item.extra["citation"] for item in message.annotations or ()] or None,
        "finish_reason": choice.finish_reason,
        "native_finish_reason": choice.native_finish_reason,
        "prompt_tokens": usage and usage.prompt_tokens,
        "completion_tokens": usage and usage.completion_tokens,
        "total_tokens": usage and usage.total_tokens,
        "cached_tokens": cached,
        "billed_units": usage and usage.extra.get("billed_units"),
    }


def of_error(error: Any) -> Facts:
    """The values of the SDK's exception: a status, a message and an id; it has no code."""
    body: Any = error.body if isinstance(error.body, dict) else {}
    trace = (error.headers or {}).get("x-debug-trace-id")
    return {"status_code": error.status_code, "message": body.get("message"), "request_id": trace or body.get("id")}


def of_error_object(error: Facts, recording: Recording) -> Facts:
    """The values of a failed generation's end; its status is the usual one of its type."""
    end = error.get("delta") or error
    kind = end.get("error_type") or end.get("finish_reason")
    return {
        "status_code": USUAL_STATUS.get(kind, 500),
        "code": kind,
        "type": kind,
        "message": end.get("error"),
        "request_id": recording.headers.get("x-debug-trace-id"),
    }
