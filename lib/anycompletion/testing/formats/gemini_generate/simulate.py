"""Simulates Gemini's generateContent; pure, and never replies in another provider's format.

https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from ..faulty_calls import with_call_fault
from ..json_access import as_dict, as_list, as_text
from ..reply_script import ReplyScript, choice_chunks, interleave
from ..simulated_reply import (
    OfferedTool,
    Prompt,
    SimulatedReply,
    TextReply,
    choose_reply,
    count_tokens,
    select_tool,
    split_words,
)
from ..wire_format import AnyResponse, ErrorSpec, SimulatedRequest, WireFormat
from . import encode
from .validate import declarations, model_of, parts_of, validate

API_KEY = "simulated-gemini-key"

ERRORS: Mapping[str, ErrorSpec] = {
    "bad-request": ErrorSpec(400, "INVALID_ARGUMENT", "Request contains an invalid argument."),
    "context-length": ErrorSpec(
        400,
        "INVALID_ARGUMENT",
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    ),
    "content-policy": ErrorSpec(400, "INVALID_ARGUMENT", "The request was blocked by a content policy. (simulated)"),
    "authentication": ErrorSpec(401, "UNAUTHENTICATED", "Request had invalid authentication credentials. (simulated)"),
    "quota": ErrorSpec(402, "RESOURCE_EXHAUSTED", "The billing account is not in good standing. (simulated)"),
    "permission": ErrorSpec(403, "PERMISSION_DENIED", "The caller does not have permission. (simulated)"),
    "not-found": ErrorSpec(404, "NOT_FOUND", "The requested entity was not found. (simulated)"),
    "rate-limit": ErrorSpec(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
    "server-error": ErrorSpec(500, "INTERNAL", "An internal error has occurred. Please retry."),
    "unavailable": ErrorSpec(503, "UNAVAILABLE", "The service is currently unavailable."),
    "overloaded": ErrorSpec(503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    "timeout": ErrorSpec(504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
}

_THOUGHTS = "Let me think about that for a moment."


def reply(request: SimulatedRequest) -> AnyResponse:
    """The response to a valid request."""
    body = as_dict(request.body)
    config = as_dict(body.get("generationConfig"))
    prompt, count = read_prompt(body), config.get("candidateCount") or 1
    replies = [choose_reply(prompt, request.options, request.repeats + at) for at in range(count)]
    return encode.encode(request, _script(request, body, replies))


def stream_error(request: SimulatedRequest, error: ErrorSpec) -> bytes:
    """The event that reports the error inside a stream."""
    return encode.sse_event(encode.error_body(error))


def headers(request: SimulatedRequest, status: int) -> dict[str, str]:
    """The headers of any response."""
    return {"server-timing": "gfet4t7; dur=50", "x-gemini-service-tier": "standard"}


# --- reading ------------------------------------------------------------------------------------------------------


def read_prompt(body: dict[str, Any]) -> Prompt:
    """What the request asks for."""
    contents = [as_dict(content) for content in as_list(body["contents"])]
    config = as_dict(body.get("generationConfig"))
    results = [each["functionResponse"] for each in parts_of(contents[-1]) if "functionResponse" in each]
    return Prompt(
        body=body,
        user=_last_text(contents, "user"),
        assistant=_last_text(contents, "model"),
        result="\n".join(map(_result_text, results)) if results else None,
        tool=_tool_to_call(body),
        wants_json=config.get("responseMimeType") == "application/json",
        schema=config.get("responseJsonSchema"),
        max_tokens=config.get("maxOutputTokens"),
        stop=tuple(as_list(config.get("stopSequences"))),
    )


def _text(content: Any) -> str:
    return "".join(as_text(part.get("text")) for part in parts_of(content) if not part.get("thought"))


def _result_text(response: Any) -> str:
    fields = as_dict(as_dict(response).get("response"))
    is_text = fields.keys() == {"output"} and isinstance(fields["output"], str)
    return fields["output"] if is_text else json.dumps(fields)


def _last_text(contents: list[dict[str, Any]], role: str) -> str:
    turns = (content for content in reversed(contents) if content.get("role", "user") == role)
    return next((text for content in turns if (text := _text(content))), "")


def _tool_to_call(body: dict[str, Any]) -> OfferedTool | None:
    config = as_dict(as_dict(body.get("toolConfig")).get("functionCallingConfig"))
    if config.get("mode") == "NONE":
        return None
    offers = (OfferedTool(as_text(each["name"]), each.get("parametersJsonSchema")) for each in declarations(body))
    return select_tool(offers, next(iter(as_list(config.get("allowedFunctionNames"))), None))


# --- writing ------------------------------------------------------------------------------------------------------


def _script(request: SimulatedRequest, body: dict[str, Any], replies: list[SimulatedReply]) -> ReplyScript:
    thoughts = _thoughts(body)
    choices = [_choice(request, body, each, at, thoughts) for at, each in enumerate(replies)]
    tracks = [
        [{"choices": [chunk]} for chunk in choice_chunks(choice, each.pieces)]
        for choice, each in zip(choices, replies, strict=True)
    ]
    prompt = sum(map(count_tokens, map(_text, (body.get("systemInstruction"), *as_list(body["contents"])))))
    written = sum(count_tokens(each.text) for each in replies)
    thinking = count_tokens(thoughts) * len(replies)
    usage = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": written,
        "totalTokenCount": prompt + written + thinking,
        "thoughtsTokenCount": thinking,
    }
    return ReplyScript(
        whole={"id": encode.response_id(request), "model": model_of(request.path), "choices": choices},
        chunks=tuple(interleave(tracks)),
        native_usage={name: count for name, count in usage.items() if count},
    )


def _choice(
    request: SimulatedRequest, body: dict[str, Any], reply: SimulatedReply, index: int, thoughts: str
) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": None, "reasoning_content": thoughts or None}
    choice: dict[str, Any] = {"index": index, "message": message}
    if isinstance(reply, TextReply):
        message["content"] = reply.text
        choice["finish_reason"] = reply.end
        if as_dict(body.get("generationConfig")).get("responseLogprobs"):
            choice["logprobs"] = {"content": [{"token": piece, "logprob": -0.125} for piece in reply.pieces]}
    else:
        function = {"name": reply.tool.name, "arguments": reply.text}
        signature = base64.b64encode(f"signature of {request.uid}".encode()).decode()
        signed = {"extra_content": {"google": {"thought_signature": signature}}}
        message["tool_calls"] = [{"type": "function", "function": function, **signed}]
        choice["finish_reason"] = "tool_calls"
    return with_call_fault(choice, request.fault, objects=True)


def _thoughts(body: dict[str, Any]) -> str:
    """The text of the thoughts; empty if none are asked for."""
    thinking = as_dict(as_dict(body.get("generationConfig")).get("thinkingConfig"))
    return "".join(split_words(_THOUGHTS)) if thinking.get("includeThoughts") else ""


FORMAT = WireFormat(
    provider="gemini",
    api_key=API_KEY,
    api="generateContent",
    validate=validate,
    reply=reply,
    encode=encode.encode,
    errors=ERRORS,
    encode_error=encode.encode_error,
    stream_error=stream_error,
    headers=headers,
)
