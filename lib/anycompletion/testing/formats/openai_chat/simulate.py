"""Simulates OpenAI's chat completions; pure, and accepts every parameter that the real API would accept.

https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ....errors import ContentPolicyViolationError, ContextWindowExceededError
from ..faulty_calls import with_call_fault
from ..json_access import as_dict, as_list, as_text, last_result, sse, text_of
from ..reply_script import ReplyScript, choice_chunks, interleave
from ..simulated_reply import (
    OfferedTool,
    Prompt,
    SimulatedReply,
    TextReply,
    ToolCallReply,
    choose_reply,
    count_tokens,
    select_tool,
)
from ..wire_format import AnyResponse, ErrorSpec, EventKind, SimulatedRequest, WireFormat
from . import encode
from .validate import validate

API_KEY = "simulated-openai-key"

ERRORS: Mapping[str, ErrorSpec] = {
    "bad-request": ErrorSpec(400, "invalid_request_error", "The request is not valid. (simulated)"),
    "context-length": ErrorSpec(
        400,
        "invalid_request_error",
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens. "
        "Please reduce the length of the messages.",
        "context_length_exceeded",
        "messages",
    ),
    "content-policy": ErrorSpec(
        400, "invalid_request_error", "Your request was rejected by our safety system.", "content_policy_violation"
    ),
    "authentication": ErrorSpec(401, "invalid_request_error", "Incorrect API key provided.", "invalid_api_key"),
    "permission": ErrorSpec(
        403, "invalid_request_error", "You are not allowed to use this model.", "model_not_allowed"
    ),
    "not-found": ErrorSpec(404, "invalid_request_error", "The model does not exist.", "model_not_found"),
    "timeout": ErrorSpec(408, "timeout", "The request timed out. (simulated)"),
    "rate-limit": ErrorSpec(
        429, "requests", "Rate limit reached for requests per minute. Please slow down.", "rate_limit_exceeded"
    ),
    "quota": ErrorSpec(
        429,
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota",
    ),
    "server-error": ErrorSpec(
        500, "server_error", "The server had an error while processing your request. (simulated)"
    ),
    "unavailable": ErrorSpec(503, "server_error", "The service is temporarily unavailable. (simulated)"),
    "overloaded": ErrorSpec(
        503, "server_error", "That model is currently overloaded. (simulated)", "server_overloaded"
    ),
}


def reply(request: SimulatedRequest) -> AnyResponse:
    """The response to a valid request."""
    body = as_dict(request.body)
    script = reply_script(request, body, choose_replies(request, body))
    return encode.encode(request, script, **_padding(request, body))


def choose_replies(request: SimulatedRequest, body: dict[str, Any], first: int = 0) -> list[SimulatedReply]:
    """The reply of each choice; `first` is the number in the first one's text."""
    prompt = read_prompt(body)
    return [choose_reply(prompt, request.options, first + choice) for choice in range(body.get("n") or 1)]


def reply_script(request: SimulatedRequest, body: dict[str, Any], replies: list[SimulatedReply]) -> ReplyScript:
    """The replies as a completion and as chunks, the choices interleaved."""
    whole = completion(request, body, replies)
    tracks = [choice_chunks(choice, reply.pieces) for choice, reply in zip(whole["choices"], replies, strict=True)]
    return ReplyScript(
        whole=whole, chunks=encode.script_chunks(whole, interleave(tracks)), usage=as_dict(whole["usage"])
    )


def completion(request: SimulatedRequest, body: dict[str, Any], replies: list[SimulatedReply]) -> dict[str, Any]:
    """The replies as one completion."""
    return {
        "id": f"chatcmpl-{request.uid}",
        "object": "chat.completion",
        "created": int(request.now),
        "model": body["model"],
        "service_tier": "default",
        "system_fingerprint": "fp_simulated",
        "choices": [_choice(request, body, index, each) for index, each in enumerate(replies)],
        "usage": usage(body, replies),
    }


def chunks(
    request: SimulatedRequest, body: dict[str, Any], replies: list[SimulatedReply]
) -> Iterator[tuple[EventKind, dict[str, Any]]]:
    """The chunks of a stream with their kinds."""
    script = reply_script(request, body, replies)
    return encode.completion_chunks(body, script, **_padding(request, body))


def _padding(request: SimulatedRequest, body: dict[str, Any]) -> dict[str, Any]:
    obfuscated = as_dict(body.get("stream_options")).get("include_obfuscation") is not False
    return {"obfuscation": request.uid[:8]} if obfuscated else {}


def headers(request: SimulatedRequest, status: int) -> dict[str, str]:
    """The headers of a response with that status."""
    if status >= 400 and status != 429:
        return {"x-request-id": f"req_{request.uid}"}
    return {
        "x-request-id": f"req_{request.uid}",
        "openai-organization": "simulated-organization",
        "openai-processing-ms": "12",
        "openai-version": "2020-10-01",
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-remaining-requests": "0" if status == 429 else "9999",
        "x-ratelimit-reset-requests": "6ms",
        "x-ratelimit-limit-tokens": "2000000",
        "x-ratelimit-remaining-tokens": "1999000",
        "x-ratelimit-reset-tokens": "30ms",
    }


def stream_error(request: SimulatedRequest, error: ErrorSpec) -> bytes:
    """The event that reports the error inside a stream."""
    return sse(encode.error_body(error))


# --- reading ------------------------------------------------------------------------------------------------------


def read_prompt(body: dict[str, Any]) -> Prompt:
    """What the request asks for."""
    messages = [as_dict(message) for message in as_list(body.get("messages"))]
    result = last_result(messages)
    wanted = as_dict(body.get("response_format"))
    limit = body.get("max_completion_tokens")
    stop = body.get("stop")
    return Prompt(
        body=body,
        user=_last_text(messages, "user"),
        assistant=_last_text(messages, "assistant"),
        result=None if result is None else text_of(result.get("content")),
        tool=_tool_to_call(body),
        wants_json=wanted.get("type") in ("json_object", "json_schema"),
        schema=as_dict(wanted.get("json_schema")).get("schema"),
        max_tokens=body.get("max_tokens") if limit is None else limit,
        stop=(stop,) if isinstance(stop, str) else tuple(as_list(stop)),
    )


def _last_text(messages: list[dict[str, Any]], role: str) -> str:
    return next((text_of(each.get("content")) for each in reversed(messages) if each.get("role") == role), "")


def _tool_to_call(body: dict[str, Any]) -> OfferedTool | None:
    legacy = bool(body.get("functions"))
    choice = body.get("function_call" if legacy else "tool_choice")
    if choice == "none":
        return None
    if legacy:
        offers = [_offered_tool(as_dict(each)) for each in as_list(body["functions"])]
        return select_tool(offers, as_dict(choice).get("name"))
    offers = [_offered_tool(as_dict(each)) for each in as_list(body.get("tools"))]
    return select_tool(offers, _chosen_name(as_dict(choice)))


def _chosen_name(choice: dict[str, Any]) -> str | None:
    """The tool that a tool_choice names: itself, or the first of the allowed ones."""
    kind = as_text(choice.get("type"))
    if kind == "allowed_tools":
        allowed = as_list(as_dict(choice.get("allowed_tools")).get("tools"))
        return _chosen_name(as_dict(allowed[0])) if allowed else None
    return as_dict(choice.get(kind)).get("name")


def _offered_tool(offer: dict[str, Any]) -> OfferedTool:
    """A tool from OpenAI's wrapped form or from the bare form of the legacy functions."""
    custom = offer.get("type") == "custom"
    definition = as_dict(offer.get("custom") if custom else offer.get("function", offer))
    return OfferedTool(as_text(definition.get("name")), definition.get("parameters"), custom)


# --- writing ------------------------------------------------------------------------------------------------------


def usage(body: dict[str, Any], replies: list[SimulatedReply]) -> dict[str, Any]:
    """The token counts of all choices together."""
    prompt = sum(count_tokens(text_of(as_dict(each).get("content"))) for each in as_list(body.get("messages")))
    output = sum(count_tokens(each.text) for each in replies)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _choice(request: SimulatedRequest, body: dict[str, Any], index: int, reply: SimulatedReply) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None, "annotations": []}
    if isinstance(reply, TextReply):
        message["content"], reason = reply.text, str(reply.end)
    elif body.get("functions"):
        message["function_call"], reason = {"name": reply.tool.name, "arguments": reply.text}, "function_call"
    else:
        message["tool_calls"], reason = [_tool_call(request, index, reply)], "tool_calls"
    choice = {"index": index, "message": message, "logprobs": _logprobs(body, reply.pieces), "finish_reason": reason}
    return with_call_fault(choice, request.fault)


def _tool_call(request: SimulatedRequest, index: int, reply: ToolCallReply) -> dict[str, Any]:
    identity = {"id": f"call_{request.uid[:22]}{index:02d}"}
    if reply.tool.custom:
        return {**identity, "type": "custom", "custom": {"name": reply.tool.name, "input": reply.text}}
    return {**identity, "type": "function", "function": {"name": reply.tool.name, "arguments": reply.text}}


def _logprobs(body: dict[str, Any], pieces: tuple[str, ...]) -> dict[str, Any] | None:
    """Log probabilities that depend on a token's rank among the alternatives only."""
    if not body.get("logprobs"):
        return None
    alternatives = range(body.get("top_logprobs") or 0)
    return {
        "content": [
            {
                **_token(piece, 0),
                "top_logprobs": [_token(piece if rank == 0 else f" other{rank}", rank) for rank in alternatives],
            }
            for piece in pieces
        ],
        "refusal": None,
    }


def _token(text: str, rank: int) -> dict[str, Any]:
    return {"token": text, "logprob": -0.125 - rank, "bytes": list(text.encode("utf-8", "replace"))}


FORMAT = WireFormat(
    provider="openai",
    base_path="/v1",
    api_key=API_KEY,
    api="chat.completions",
    validate=validate,
    reply=reply,
    encode=encode.encode,
    max_choices=None,
    errors=ERRORS,
    error_codes={
        ContextWindowExceededError: "context_length_exceeded",
        ContentPolicyViolationError: "content_policy_violation",
    },
    encode_error=encode.encode_error,
    stream_error=stream_error,
    headers=headers,
)
