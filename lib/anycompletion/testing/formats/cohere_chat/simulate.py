"""Simulates Cohere's chat, version 2; pure, and never replies in another provider's format.

https://docs.cohere.com/reference/chat
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ..faulty_calls import with_call_fault
from ..json_access import as_dict, as_list, as_text, last_result, sse
from ..reply_script import ReplyScript, single_reply
from ..simulated_reply import (
    OfferedTool,
    Prompt,
    SimulatedReply,
    TextReply,
    ToolCallReply,
    choose_reply,
    count_tokens,
    select_tool,
    split_words,
)
from ..wire_format import AnyResponse, ErrorSpec, SimulatedRequest, WireFormat
from . import encode
from .validate import validate

API_KEY = "simulated-cohere-key"

ERRORS: Mapping[str, ErrorSpec] = {
    "bad-request": ErrorSpec(400, "", "invalid request: the request is not valid (simulated)"),
    "context-length": ErrorSpec(
        400,
        "",
        "too many tokens: total number of tokens in the prompt cannot exceed 128000 - received 130000. Try using a "
        "shorter prompt, or enabling prompt truncating.",
    ),
    "content-policy": ErrorSpec(400, "", "invalid request: blocked by content moderation (simulated)"),
    "authentication": ErrorSpec(401, "", "invalid api token"),
    "quota": ErrorSpec(402, "", "please add or update your payment method to continue (simulated)"),
    "permission": ErrorSpec(403, "", "your api key is not allowed to use this model (simulated)"),
    "not-found": ErrorSpec(404, "", "model not found, make sure the correct model ID was used (simulated)"),
    "rate-limit": ErrorSpec(
        429, "", "You are using a Trial key, which is limited to 20 API calls / minute. (simulated)"
    ),
    "invalid-token": ErrorSpec(498, "", "invalid token"),
    "server-error": ErrorSpec(500, "", "internal server error, please try again later (simulated)"),
    "unavailable": ErrorSpec(503, "", "the service is temporarily unavailable (simulated)"),
    "overloaded": ErrorSpec(503, "", "the model is overloaded, please try again later (simulated)"),
    "timeout": ErrorSpec(504, "", "upstream request timeout (simulated)"),
}

_PREAMBLE = 60
"""Tokens of the provider's own preamble: they are counted, and not billed."""


def reply(request: SimulatedRequest) -> AnyResponse:
    """The response to a valid request."""
    body = as_dict(request.body)
    chosen = choose_reply(read_prompt(body), request.options, request.repeats)
    response = encode.encode(request, _script(request, body, chosen))
    counts = {} if body.get("stream") else {"num_tokens": str(_output(body, chosen))}
    return attrs.evolve(response, headers=counts)


def stream_error(request: SimulatedRequest, error: ErrorSpec) -> bytes:
    """The end of a stream that the error interrupted."""
    delta: dict[str, Any] = {"finish_reason": "ERROR", "usage": {}, "error": error.message}
    return sse({"type": "message-end", "delta": delta}, "message-end") + encode.DONE.data


def headers(request: SimulatedRequest, status: int) -> dict[str, str]:
    """The headers of any response."""
    return {
        "x-debug-trace-id": request.uid,
        "x-endpoint-monthly-call-limit": "1000",
        "x-trial-endpoint-call-limit": "20",
        "x-trial-endpoint-call-remaining": "19",
    }


# --- reading ------------------------------------------------------------------------------------------------------


def read_prompt(body: dict[str, Any]) -> Prompt:
    """What the request asks for."""
    messages = [as_dict(message) for message in as_list(body["messages"])]
    wanted = as_dict(body.get("response_format"))
    result = last_result(messages)
    return Prompt(
        body=body,
        user=_last_text(messages, "user"),
        assistant=_last_text(messages, "assistant"),
        result=None if result is None else _text(result.get("content")),
        tool=_tool_to_call(body),
        wants_json=wanted.get("type") == "json_object",
        schema=wanted.get("json_schema") or wanted.get("schema"),
        max_tokens=body.get("max_tokens"),
        stop=tuple(as_list(body.get("stop_sequences"))),
    )


def _text(content: Any) -> str:
    """The text of a content, a string or parts, documents among them."""
    if isinstance(content, str):
        return content
    parts = [as_dict(each) for each in as_list(content)]
    return "\n".join(as_text(each.get("text") or as_dict(each.get("document")).get("data")) for each in parts)


def _last_text(messages: list[dict[str, Any]], role: str) -> str:
    return next((_text(each.get("content")) for each in reversed(messages) if each["role"] == role), "")


def _tool_to_call(body: dict[str, Any]) -> OfferedTool | None:
    if body.get("tool_choice") == "NONE":
        return None
    offers = [as_dict(as_dict(each).get("function")) for each in as_list(body.get("tools"))]
    return select_tool((OfferedTool(as_text(each["name"]), each["parameters"]) for each in offers), None)


# --- writing ------------------------------------------------------------------------------------------------------


def _script(request: SimulatedRequest, body: dict[str, Any], reply: SimulatedReply) -> ReplyScript:
    thoughts = _thoughts(body)
    message: dict[str, Any] = {"role": "assistant", "content": None, "reasoning_content": thoughts or None}
    choice: dict[str, Any] = {"message": message}
    if isinstance(reply, TextReply):
        message["content"] = reply.text
        choice["finish_reason"] = reply.end
        choice["native_finish_reason"] = None if reply.stop_sequence is None else "STOP_SEQUENCE"
        if body.get("logprobs"):
            choice["logprobs"] = {"content": [{"token": piece, "logprob": -0.125} for piece in reply.pieces]}
    else:
        function = {"name": reply.tool.name, "arguments": reply.text}
        ident = f"{reply.tool.name}_{request.uid[:12]}"
        message["tool_plan"] = None if thoughts else _plan(reply)
        message["tool_calls"] = [{"id": ident, "type": "function", "function": function}]
        choice["finish_reason"] = "tool_calls"
    choice = with_call_fault(choice, request.fault)
    return single_reply(encode.response_id(request), body["model"], choice, reply.pieces, _usage(body, reply))


def _thoughts(body: dict[str, Any]) -> str:
    """The text of the thinking part; empty if there is none."""
    thinking = as_dict(body.get("thinking"))
    if thinking.get("type") != "enabled":
        return ""
    return "".join(split_words("Let me think about that for a moment.")[: thinking.get("token_budget")])


def _plan(reply: ToolCallReply) -> str:
    return f"I will use the {reply.tool.name} tool."


def _output(body: dict[str, Any], reply: SimulatedReply) -> int:
    plan = _plan(reply) if isinstance(reply, ToolCallReply) and not _thoughts(body) else ""
    return count_tokens(reply.text) + count_tokens(_thoughts(body)) + count_tokens(plan)


def _usage(body: dict[str, Any], reply: SimulatedReply) -> dict[str, Any]:
    prompt = sum(count_tokens(_text(as_dict(each).get("content"))) for each in as_list(body["messages"]))
    output = _output(body, reply)
    return {
        "billed_units": {"input_tokens": prompt, "output_tokens": output},
        "tokens": {"input_tokens": prompt + _PREAMBLE, "output_tokens": output},
        "cached_tokens": 0,
    }


FORMAT = WireFormat(
    provider="cohere",
    api_key=API_KEY,
    api="v2/chat",
    validate=validate,
    reply=reply,
    encode=encode.encode,
    errors=ERRORS,
    encode_error=encode.encode_error,
    stream_error=stream_error,
    headers=headers,
)
