"""Simulates Ollama's native chat, with a key as on ollama.com; pure, and never replies in another provider's format.

https://docs.ollama.com/api/chat
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..faulty_calls import with_call_fault
from ..json_access import as_dict, as_list, as_text, is_integer
from ..reply_script import ReplyScript, single_reply
from ..simulated_reply import (
    OfferedTool,
    Prompt,
    SimulatedReply,
    TextReply,
    choose_reply,
    count_tokens,
    select_tool,
)
from ..wire_format import AnyResponse, ErrorSpec, SimulatedRequest, WireFormat
from . import encode
from .validate import validate

API_KEY = "simulated-ollama-key"

ERRORS: Mapping[str, ErrorSpec] = {
    "bad-request": ErrorSpec(400, "", "invalid request: the request is not valid (simulated)"),
    "context-length": ErrorSpec(400, "", "prompt too long; exceeded max context length by 4 tokens"),
    "content-policy": ErrorSpec(400, "", "blocked by a content policy (simulated)"),
    "authentication": ErrorSpec(401, "", "unauthorized"),
    "quota": ErrorSpec(402, "", "this model requires a subscription, upgrade for access (simulated)"),
    "permission": ErrorSpec(403, "", "cloud models are disabled (simulated)"),
    "not-found": ErrorSpec(404, "", "model 'some-model' not found"),
    "rate-limit": ErrorSpec(429, "", "you have reached your hourly usage limit, please try again later (simulated)"),
    "server-error": ErrorSpec(500, "", "model runner has unexpectedly stopped (simulated)"),
    "unavailable": ErrorSpec(503, "", "server busy, please try again. maximum pending requests exceeded"),
    "overloaded": ErrorSpec(503, "", "the model is overloaded (simulated)"),
    "timeout": ErrorSpec(504, "", "upstream request timeout (simulated)"),
}

_MILLISECOND = 1_000_000
"""Nanoseconds, in which Ollama's durations are."""


def reply(request: SimulatedRequest) -> AnyResponse:
    """The response to a valid request."""
    body = as_dict(request.body)
    chosen = choose_reply(read_prompt(body), request.options, request.repeats)
    return encode.encode(request, _script(request, body, chosen))


def headers(request: SimulatedRequest, status: int) -> dict[str, str]:
    """The headers of any response; only servers of the cloud give requests an id."""
    return {"x-request-id": request.uid}


# --- reading ------------------------------------------------------------------------------------------------------


def read_prompt(body: dict[str, Any]) -> Prompt:
    """What the request asks for."""
    messages = [as_dict(message) for message in as_list(body["messages"])]
    options, wanted = as_dict(body.get("options")), body.get("format")
    limit: Any = options.get("num_predict")
    stop: Any = options.get("stop")
    return Prompt(
        body=body,
        user=_last_text(messages, "user"),
        assistant=_last_text(messages, "assistant"),
        result=as_text(messages[-1].get("content")) if messages[-1]["role"] == "tool" else None,
        tool=select_tool(map(_offered, as_list(body.get("tools"))), None),
        wants_json=bool(wanted),
        schema=wanted if isinstance(wanted, dict) else None,
        max_tokens=limit if is_integer(limit) and limit > 0 else None,
        stop=tuple(as_list(stop)),
    )


def _offered(tool: Any) -> OfferedTool:
    function = as_dict(as_dict(tool).get("function"))
    return OfferedTool(as_text(function.get("name")), function.get("parameters"))


def _last_text(messages: list[dict[str, Any]], role: str) -> str:
    return next((as_text(each.get("content")) for each in reversed(messages) if each["role"] == role), "")


# --- writing ------------------------------------------------------------------------------------------------------


def _script(request: SimulatedRequest, body: dict[str, Any], reply: SimulatedReply) -> ReplyScript:
    thoughts = "Let me think about that." if body.get("think") else ""
    message: dict[str, Any] = {"role": "assistant", "content": None, "reasoning_content": thoughts or None}
    choice: dict[str, Any] = {"message": message}
    if isinstance(reply, TextReply):
        message["content"] = reply.text
        choice["finish_reason"] = reply.end
        if body.get("logprobs"):
            choice["logprobs"] = {"content": [_logprob(piece, body) for piece in reply.pieces]}
    else:
        function = {"name": reply.tool.name, "arguments": reply.text}
        message["tool_calls"] = [{"id": f"call_{request.uid[:8]}", "type": "function", "function": function}]
        choice["finish_reason"] = "tool_calls"
    choice = with_call_fault(choice, request.fault, objects=True)
    return single_reply("", body["model"], choice, reply.pieces, _usage(body, thoughts, reply))


def _logprob(piece: str, body: dict[str, Any]) -> dict[str, Any]:
    token: dict[str, Any] = {"token": piece, "logprob": -0.125, "bytes": list(piece.encode("utf-8", "replace"))}
    return {**token, "top_logprobs": [token]} if body.get("top_logprobs") else token


def _usage(body: dict[str, Any], thoughts: str, reply: SimulatedReply) -> dict[str, Any]:
    prompt = sum(count_tokens(as_text(as_dict(each).get("content"))) for each in as_list(body["messages"]))
    output = count_tokens(thoughts) + count_tokens(reply.text)
    return {
        "total_duration": (prompt + output) * _MILLISECOND,
        "load_duration": 0,
        "prompt_eval_count": prompt,
        "prompt_eval_duration": prompt * _MILLISECOND,
        "eval_count": output,
        "eval_duration": output * _MILLISECOND,
    }


FORMAT = WireFormat(
    provider="ollama",
    api_key=API_KEY,
    api="api/chat",
    validate=validate,
    reply=reply,
    encode=encode.encode,
    errors=ERRORS,
    encode_error=encode.encode_error,
    stream_error=encode.stream_error,
    headers=headers,
)
