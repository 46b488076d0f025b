"""OpenRouter's chat completions as the simulator speaks them: OpenAI's with additions; never gives several choices.

https://openrouter.ai/docs/api-reference
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from ..json_access import as_dict, as_list, as_text
from ..openai_chat import simulate as sim_openai
from ..openai_chat import validate as checks_openai
from ..simulated_reply import Say, UseTool, count, words
from ..wire_format import UNKNOWN_MODEL, Call, Failure, Format, Plain, Stream, StreamEvent, dump, sse

API_KEY = "simulated-openrouter-key"

FAILURES: Mapping[str, Failure] = {
    "bad-request": Failure(400, "invalid_request", "The request is not valid. (simulated)"),
    "context-length": Failure(
        400,
        "context_length_exceeded",
        "This endpoint's maximum context length is 200000 tokens. However, you requested about 210000 tokens. Please "
        "reduce the length of either one.",
    ),
    "authentication": Failure(401, "authentication", "User not found."),
    "quota": Failure(402, "payment_required", "Insufficient credits. Add more in the settings. (simulated)"),
    "permission": Failure(403, "permission_denied", "Your key may not use this model. (simulated)"),
    "content-policy": Failure(403, "content_policy_violation", "The input was flagged by moderation. (simulated)"),
    "not-found": Failure(404, "not_found", "No endpoints found that fit the request. (simulated)"),
    "timeout": Failure(408, "timeout", "The request timed out. (simulated)"),
    "rate-limit": Failure(429, "rate_limit_exceeded", "Provider returned error"),
    "server-error": Failure(500, "server", "Internal Server Error"),
    "bad-gateway": Failure(502, "provider_unavailable", "Provider returned error"),
    "unavailable": Failure(503, "provider_unavailable", "No provider is available. (simulated)"),
    "overloaded": Failure(529, "provider_overloaded", "The provider is overloaded. (simulated)"),
}

_PATH = "/api/v1/chat/completions"
_PADDING = b"\n         \n"
_WAITING = StreamEvent(b": OPENROUTER PROCESSING\n\n", "comment")
_THOUGHTS = "Let me think about that for a moment."
_IGNORED = ("n", "functions", "function_call", "stream_options")
"""What OpenAI has and OpenRouter does nothing with."""

_EFFORTS = ("max", "xhigh", "high", "medium", "low", "minimal", "none")
_ROLES = ("system", "developer", "user", "assistant", "tool")

_NATIVE: Mapping[str, Mapping[str, str]] = {
    "anthropic": {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"},
    "google": {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP"},
}
"""Vendor → finish reason → the vendor's own word for it, where that is another."""


def answer(call: Call) -> Plain | Stream:
    """The answer to any request below the format's root."""
    failure = _door(call)
    body = {name: value for name, value in as_dict(call.body).items() if name not in _IGNORED}
    failure = failure or _body(call, body)
    if failure is not None:
        return refuse(call, failure)
    body["model"] = _model(body)
    # Usage comes unasked, and nothing is obfuscated.
    body["stream_options"] = {"include_usage": True, "include_obfuscation": False}
    answers = sim_openai.decisions(call, body, call.twins)
    if body.get("stream"):
        return Stream((_WAITING, *_events(call, body, answers), sim_openai.DONE), _headers(call), "text/event-stream")
    whole = _framed(call, body, sim_openai.completion(call, body, answers))
    whole["usage"] = _usage(body, answers)
    thoughts = _shown(body)
    for choice in whole["choices"]:
        choice["native_finish_reason"] = _native(body, choice["finish_reason"])
        choice["message"]["reasoning"] = thoughts or None
        if thoughts:
            choice["message"]["reasoning_details"] = [_detail(thoughts)]
    return Plain(200, _PADDING + dump(whole), _headers(call))


def refuse(call: Call, failure: Failure) -> Plain:
    """The error answer for `failure`."""
    return Plain(failure.status, dump({"error": _error(failure), "user_id": "user_simulated"}))


def stream_error(call: Call, failure: Failure) -> bytes:
    """The chunk that reports `failure` inside a stream and ends it."""
    body = as_dict(call.body)
    chunk = {
        **_framed(call, {"model": _model(body)}, {"object": "chat.completion.chunk", "created": int(call.now)}),
        "error": _error(failure),
        "choices": [_choice({"role": "assistant", "content": ""}, "error", "error")],
    }
    return sse(chunk) + sim_openai.DONE.data


def _error(failure: Failure) -> dict[str, Any]:
    if failure.status < 400:
        # Upstream failed after a good status had gone out.
        failure = FAILURES["bad-gateway"]
    kinds = {"invalid_request_error": "not_found" if failure.status == 404 else "invalid_request"}
    metadata: dict[str, Any] = {"error_type": kinds.get(failure.type, failure.type)}
    if failure.message == "Provider returned error":
        metadata |= {"provider_name": "Simulated", "raw": "temporarily rate-limited upstream. Please retry shortly."}
    return {"code": failure.status, "message": failure.message, "metadata": metadata}


# --- reading ------------------------------------------------------------------------------------------------------


def _invalid(message: str) -> Failure:
    return Failure(400, "invalid_request", message)


def _door(call: Call) -> Failure | None:
    if call.path != _PATH:
        return Failure(404, "not_found", "Not Found")
    if call.method != "POST":
        return Failure(405, "invalid_request", "Method Not Allowed")
    if call.bearer is None:
        return Failure(401, "authentication", "Missing Authentication header")
    return None if call.bearer == API_KEY else FAILURES["authentication"]


def _body(call: Call, body: dict[str, Any]) -> Failure | None:
    model = _model(body)
    if model == UNKNOWN_MODEL:
        return Failure(404, "not_found", f"No endpoints found for {model}.")
    failure = checks_openai.body(attrs.evolve(call, body={**body, "model": model} if body else None))
    if failure is not None:
        return failure
    if any(as_dict(each).get("role") not in _ROLES for each in as_list(body["messages"])):
        return _invalid(f"messages: the roles are {', '.join(_ROLES)}")
    efforts = {as_dict(body.get("reasoning")).get("effort"), body.get("reasoning_effort")} - {None}
    if len(efforts) > 1:
        return _invalid("reasoning_effort and reasoning.effort must not differ")
    if not efforts <= {*_EFFORTS}:
        return _invalid(f"reasoning.effort must be one of {', '.join(_EFFORTS)}")
    return None


def _model(body: dict[str, Any]) -> str:
    """The first model asked for that there is, or else the first one."""
    asked = [as_text(each) for each in (body.get("model"), *as_list(body.get("models"))) if each]
    return next((each for each in asked if each != UNKNOWN_MODEL), asked[0] if asked else "")


def _thoughts(body: dict[str, Any]) -> str:
    """What the model thinks; nothing unless it is asked to."""
    asked = as_dict(body.get("reasoning"))
    effort = asked.get("effort") or body.get("reasoning_effort")
    wanted = effort or asked.get("max_tokens") or asked.get("enabled")
    return _THOUGHTS if wanted and effort != "none" and asked.get("enabled") is not False else ""


def _shown(body: dict[str, Any]) -> str:
    """What of it may be seen."""
    return "" if as_dict(body.get("reasoning")).get("exclude") else _thoughts(body)


# --- writing ------------------------------------------------------------------------------------------------------


def _headers(call: Call) -> dict[str, str]:
    return {"x-generation-id": _id(call), "cf-ray": f"{call.uid[:16]}-SIM"}


def _id(call: Call) -> str:
    return f"gen-{int(call.now)}-{call.uid[:20]}"


def _framed(call: Call, body: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    """`whole` with OpenRouter's own id and the name of who really answered."""
    vendor = body["model"].partition("/")[0]
    return {**whole, "id": _id(call), "provider": vendor.capitalize(), "model": body["model"]}


def _native(body: dict[str, Any], reason: str | None) -> str | None:
    return None if reason is None else _NATIVE.get(body["model"].partition("/")[0], {}).get(reason, reason)


def _detail(text: str) -> dict[str, Any]:
    return {"type": "reasoning.text", "text": text, "format": "unknown", "index": 0}


def _usage(body: dict[str, Any], answers: list[Say | UseTool]) -> dict[str, Any]:
    usage = sim_openai.usage(body, answers)
    thought = count(_thoughts(body))
    usage["completion_tokens"] += thought
    usage["total_tokens"] += thought
    usage["prompt_tokens_details"] = {"cached_tokens": 0, "audio_tokens": 0}
    usage["completion_tokens_details"] = {"reasoning_tokens": thought, "image_tokens": 0}
    prompt, output = usage["prompt_tokens"] / 1_000_000, 2 * usage["completion_tokens"] / 1_000_000
    details = {"upstream_inference_prompt_cost": prompt, "upstream_inference_completions_cost": output}
    usage |= {"cost": prompt + output, "is_byok": False}
    usage["cost_details"] = {"upstream_inference_cost": None, **details}
    return usage


def _choice(delta: dict[str, Any], reason: str | None = None, native: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": reason, "native_finish_reason": native, "logprobs": None}


def _events(call: Call, body: dict[str, Any], answers: list[Say | UseTool]) -> Iterator[StreamEvent]:
    chunks = list(sim_openai.chunks(call, body, answers))
    frame = {name: value for name, value in chunks[0][1].items() if name not in ("choices", "usage")}
    for piece in words(_shown(body)):
        delta = {"role": "assistant", "content": "", "reasoning": piece, "reasoning_details": [_detail(piece)]}
        yield StreamEvent(sse(_framed(call, body, {**frame, "choices": [_choice(delta)]})))
    for mark, chunk in chunks:
        for choice in chunk["choices"]:
            choice["native_finish_reason"] = _native(body, choice["finish_reason"])
            choice["delta"].setdefault("role", "assistant")
        if mark == "usage":
            # Unlike OpenAI's, the last chunk has a choice.
            chunk["choices"] = [_choice({"role": "assistant", "content": ""})]
            chunk["usage"] = _usage(body, answers)
        else:
            del chunk["usage"]
        yield StreamEvent(sse(_framed(call, body, chunk)), mark)


FORMAT = Format(
    provider="openrouter",
    root="/openrouter",
    base="/openrouter/api/v1",
    api_key=API_KEY,
    answer=answer,
    failures=FAILURES,
    refuse=refuse,
    stream_error=stream_error,
)
