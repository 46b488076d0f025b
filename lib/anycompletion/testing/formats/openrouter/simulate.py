"""Simulates OpenRouter's chat completions: OpenAI's with additions; never returns several choices.

https://openrouter.ai/docs/api-reference
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from ..json_access import as_dict, as_list, as_text, dump, sse
from ..openai_chat import simulate as openai_chat
from ..openai_chat.encode import DONE
from ..openai_chat.validate import validate_body
from ..simulated_reply import SimulatedReply, count_tokens, split_words
from ..wire_format import (
    UNKNOWN_MODEL,
    AnyResponse,
    ErrorSpec,
    SimulatedRequest,
    StreamedResponse,
    StreamEvent,
    WholeResponse,
    WireFormat,
)

API_KEY = "simulated-openrouter-key"

ERRORS: Mapping[str, ErrorSpec] = {
    "bad-request": ErrorSpec(400, "invalid_request", "The request is not valid. (simulated)"),
    "context-length": ErrorSpec(
        400,
        "context_length_exceeded",
        "This endpoint's maximum context length is 200000 tokens. However, you requested about 210000 tokens. Please "
        "reduce the length of either one.",
    ),
    "authentication": ErrorSpec(401, "authentication", "User not found."),
    "quota": ErrorSpec(402, "payment_required", "Insufficient credits. Add more in the settings. (simulated)"),
    "permission": ErrorSpec(403, "permission_denied", "Your key may not use this model. (simulated)"),
    "content-policy": ErrorSpec(403, "content_policy_violation", "The input was flagged by moderation. (simulated)"),
    "not-found": ErrorSpec(404, "not_found", "No endpoints found that fit the request. (simulated)"),
    "timeout": ErrorSpec(408, "timeout", "The request timed out. (simulated)"),
    "rate-limit": ErrorSpec(429, "rate_limit_exceeded", "Provider returned error"),
    "server-error": ErrorSpec(500, "server", "Internal Server Error"),
    "bad-gateway": ErrorSpec(502, "provider_unavailable", "Provider returned error"),
    "unavailable": ErrorSpec(503, "provider_unavailable", "No provider is available. (simulated)"),
    "overloaded": ErrorSpec(529, "provider_overloaded", "The provider is overloaded. (simulated)"),
}

_PATH = "/api/v1/chat/completions"
_PADDING = b"\n         \n"
_KEEP_ALIVE = StreamEvent(b": OPENROUTER PROCESSING\n\n", "comment")
_THOUGHTS = "Let me think about that for a moment."
_IGNORED = ("n", "functions", "function_call", "stream_options")
"""Parameters of OpenAI's that OpenRouter ignores."""

_EFFORTS = ("max", "xhigh", "high", "medium", "low", "minimal", "none")
_ROLES = ("system", "developer", "user", "assistant", "tool")

_NATIVE: Mapping[str, Mapping[str, str]] = {
    "anthropic": {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"},
    "google": {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP"},
}
"""Vendor → finish reason → the vendor's own name for it, where that differs."""


def reply(request: SimulatedRequest) -> AnyResponse:
    """The response to a valid request."""
    body = _body(request)
    body["model"] = _model(body)
    # OpenRouter sends usage without being asked, and pads nothing.
    body["stream_options"] = {"include_usage": True, "include_obfuscation": False}
    replies = openai_chat.choose_replies(request, body, request.repeats)
    if body.get("stream"):
        return StreamedResponse((_KEEP_ALIVE, *_events(request, body, replies), DONE), content_type="text/event-stream")
    whole = _framed(request, body, openai_chat.completion(request, body, replies))
    whole["usage"] = _usage(body, replies)
    thoughts = _visible_thoughts(body)
    for choice in whole["choices"]:
        choice["native_finish_reason"] = _native_reason(body, choice["finish_reason"])
        choice["message"]["reasoning"] = thoughts or None
        if thoughts:
            choice["message"]["reasoning_details"] = [_detail(thoughts)]
    return WholeResponse(200, _PADDING + dump(whole))


def encode_error(request: SimulatedRequest, error: ErrorSpec) -> WholeResponse:
    """The error response."""
    return WholeResponse(error.status, dump({"error": _error_json(error), "user_id": "user_simulated"}))


def stream_error(request: SimulatedRequest, error: ErrorSpec) -> bytes:
    """The chunk that reports the error inside a stream and ends it."""
    model = _model(as_dict(request.body))
    frame = {"object": "chat.completion.chunk", "created": int(request.now)}
    chunk = {
        **_framed(request, {"model": model}, frame),
        "error": _error_json(error),
        "choices": [_choice({"role": "assistant", "content": ""}, "error", "error")],
    }
    return sse(chunk) + DONE.data


def _error_json(error: ErrorSpec) -> dict[str, Any]:
    if error.status < 400:
        # Upstream failed after a successful status had been sent.
        error = ERRORS["bad-gateway"]
    types = {"invalid_request_error": "not_found" if error.status == 404 else "invalid_request"}
    metadata: dict[str, Any] = {"error_type": types.get(error.type, error.type)}
    if error.message == "Provider returned error":
        metadata |= {"provider_name": "Simulated", "raw": "temporarily rate-limited upstream. Please retry shortly."}
    return {"code": error.status, "message": error.message, "metadata": metadata}


# --- reading ------------------------------------------------------------------------------------------------------


def _invalid(message: str) -> ErrorSpec:
    return ErrorSpec(400, "invalid_request", message)


def _body(request: SimulatedRequest) -> dict[str, Any]:
    return {name: value for name, value in as_dict(request.body).items() if name not in _IGNORED}


def validate(request: SimulatedRequest, api_key: str) -> ErrorSpec | None:
    """The error that rejects the request, or None if it is valid."""
    if request.path != _PATH:
        return ErrorSpec(404, "not_found", "Not Found")
    if request.method != "POST":
        return ErrorSpec(405, "invalid_request", "Method Not Allowed")
    if request.bearer is None:
        return ErrorSpec(401, "authentication", "Missing Authentication header")
    if request.bearer != api_key:
        return ERRORS["authentication"]
    body = _body(request)
    model = _model(body)
    if model == UNKNOWN_MODEL:
        return ErrorSpec(404, "not_found", f"No endpoints found for {model}.")
    error = validate_body(attrs.evolve(request, body={**body, "model": model} if body else None))
    if error is not None:
        return error
    if any(as_dict(each).get("role") not in _ROLES for each in as_list(body["messages"])):
        return _invalid(f"messages: the roles are {', '.join(_ROLES)}")
    efforts = {as_dict(body.get("reasoning")).get("effort"), body.get("reasoning_effort")} - {None}
    if len(efforts) > 1:
        return _invalid("reasoning_effort and reasoning.effort must not differ")
    if not efforts <= {*_EFFORTS}:
        return _invalid(f"reasoning.effort must be one of {', '.join(_EFFORTS)}")
    return None


def _model(body: dict[str, Any]) -> str:
    """The first of the requested models that exists, or else the first one."""
    models = [as_text(each) for each in (body.get("model"), *as_list(body.get("models"))) if each]
    return next((each for each in models if each != UNKNOWN_MODEL), models[0] if models else "")


def _thoughts(body: dict[str, Any]) -> str:
    """The model's reasoning; empty unless the request asks for it."""
    options = as_dict(body.get("reasoning"))
    effort = options.get("effort") or body.get("reasoning_effort")
    wanted = effort or options.get("max_tokens") or options.get("enabled")
    return _THOUGHTS if wanted and effort != "none" and options.get("enabled") is not False else ""


def _visible_thoughts(body: dict[str, Any]) -> str:
    """The reasoning, unless the request excludes it from the response."""
    return "" if as_dict(body.get("reasoning")).get("exclude") else _thoughts(body)


# --- writing ------------------------------------------------------------------------------------------------------


def headers(request: SimulatedRequest, status: int) -> dict[str, str]:
    """The headers of a response with that status."""
    if status >= 400:
        return {}
    return {"x-generation-id": _id(request), "cf-ray": f"{request.uid[:16]}-SIM"}


def _id(request: SimulatedRequest) -> str:
    return f"gen-{int(request.now)}-{request.uid[:20]}"


def _framed(request: SimulatedRequest, body: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    """`whole` with OpenRouter's own id and the name of the upstream provider."""
    vendor = body["model"].partition("/")[0]
    return {**whole, "id": _id(request), "provider": vendor.capitalize(), "model": body["model"]}


def _native_reason(body: dict[str, Any], reason: str | None) -> str | None:
    return None if reason is None else _NATIVE.get(body["model"].partition("/")[0], {}).get(reason, reason)


def _detail(text: str) -> dict[str, Any]:
    return {"type": "reasoning.text", "text": text, "format": "unknown", "index": 0}


def _usage(body: dict[str, Any], replies: list[SimulatedReply]) -> dict[str, Any]:
    usage = openai_chat.usage(body, replies)
    reasoning = count_tokens(_thoughts(body))
    usage["completion_tokens"] += reasoning
    usage["total_tokens"] += reasoning
    usage["prompt_tokens_details"] = {"cached_tokens": 0, "audio_tokens": 0}
    usage["completion_tokens_details"] = {"reasoning_tokens": reasoning, "image_tokens": 0}
    prompt, output = usage["prompt_tokens"] / 1_000_000, 2 * usage["completion_tokens"] / 1_000_000
    details = {"upstream_inference_prompt_cost": prompt, "upstream_inference_completions_cost": output}
    usage |= {"cost": prompt + output, "is_byok": False}
    usage["cost_details"] = {"upstream_inference_cost": None, **details}
    return usage


def _choice(delta: dict[str, Any], reason: str | None = None, native: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": reason, "native_finish_reason": native, "logprobs": None}


def _events(request: SimulatedRequest, body: dict[str, Any], replies: list[SimulatedReply]) -> Iterator[StreamEvent]:
    chunks = list(openai_chat.chunks(request, body, replies))
    frame = {name: value for name, value in chunks[0][1].items() if name not in ("choices", "usage")}
    for piece in split_words(_visible_thoughts(body)):
        delta = {"role": "assistant", "content": "", "reasoning": piece, "reasoning_details": [_detail(piece)]}
        yield StreamEvent(sse(_framed(request, body, {**frame, "choices": [_choice(delta)]})))
    for kind, chunk in chunks:
        for choice in chunk["choices"]:
            choice["native_finish_reason"] = _native_reason(body, choice["finish_reason"])
            choice["delta"].setdefault("role", "assistant")
        if kind == "usage":
            # Unlike OpenAI's, the last chunk has a choice.
            chunk["choices"] = [_choice({"role": "assistant", "content": ""})]
            chunk["usage"] = _usage(body, replies)
        else:
            del chunk["usage"]
        yield StreamEvent(sse(_framed(request, body, chunk)), kind)


FORMAT = WireFormat(
    provider="openrouter",
    base_path="/api/v1",
    api_key=API_KEY,
    validate=validate,
    reply=reply,
    errors=ERRORS,
    encode_error=encode_error,
    stream_error=stream_error,
    headers=headers,
)
