"""Simulates OpenAI's Responses API; keeps responses in the background in the request's memory, and has no other state.

A response in the background advances by one status with each poll, and not with time.
https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ....errors import ContentPolicyViolationError, ContextWindowExceededError
from ....records import JsonObject
from ..faulty_calls import with_call_fault
from ..json_access import as_dict, as_list, as_text, dump
from ..openai_chat import simulate as openai_chat
from ..reply_script import ReplyScript, choice_chunks
from ..simulated_reply import OfferedTool, Prompt, SimulatedReply, TextReply, choose_reply, count_tokens, select_tool
from ..wire_format import ASK, AnyResponse, ErrorSpec, SimulatedRequest, WholeResponse, WireFormat
from . import encode
from .validate import input_items, validate

ERRORS: Mapping[str, ErrorSpec] = {
    **openai_chat.ERRORS,
    "context-length": ErrorSpec(
        400,
        "invalid_request_error",
        "Your input exceeds the context window of this model. Please adjust your input and try again.",
        "context_length_exceeded",
        "input",
    ),
    "overloaded": ErrorSpec(503, "server_error", "Our servers are overloaded. (simulated)", "server_is_overloaded"),
}

_THOUGHTS = "Let me think about that for a moment."


def step(method: str, path: str) -> str:
    """The step of a call that a request is."""
    if path.endswith("/responses"):
        return ASK
    return "cancel" if path.endswith("/cancel") else "poll"


def reply(request: SimulatedRequest) -> AnyResponse:
    """The response to a valid request."""
    kind = step(request.method, request.path)
    if kind != ASK:
        return _about_background(request, cancels=kind == "cancel")
    body = as_dict(request.body)
    chosen = choose_reply(read_prompt(body), request.options, request.repeats)
    return encode.encode(request, _script(request, body, chosen))


def _about_background(request: SimulatedRequest, *, cancels: bool) -> AnyResponse:
    """The state of a response in the background: in progress at the first poll, then ended."""
    name = request.path.removesuffix("/cancel").rpartition("/")[2]
    whole, polled = request.memory.get(name), f"{name} polled"
    if whole is None:
        error = ErrorSpec(404, "invalid_request_error", f"Response with id '{name}' not found.", None, "id")
        return encode.encode_error(request, error)
    if cancels:
        whole = encode.running(whole, "cancelled")
        request.memory.store(name, whole)
    elif request.memory.get(polled) is None and whole["status"] != "cancelled":
        request.memory.store(polled, True)
        whole = encode.running(whole, "in_progress")
    return WholeResponse(200, dump(whole))


# --- reading ------------------------------------------------------------------------------------------------------


def read_prompt(body: dict[str, Any]) -> Prompt:
    """What the request asks for."""
    items = input_items(body.get("input"))
    last = items[-1]
    form = as_dict(as_dict(body.get("text")).get("format"))
    is_result = as_text(last.get("type")).endswith("_call_output")
    return Prompt(
        body=body,
        user=_last_text(items, "user"),
        assistant=_last_text(items, "assistant"),
        result=_text(last.get("output")) if is_result else None,
        tool=_tool_to_call(body),
        wants_json=form.get("type") in ("json_object", "json_schema"),
        schema=form.get("schema"),
        max_tokens=body.get("max_output_tokens"),
    )


def _text(content: Any) -> str:
    """The text of an input item's content."""
    if isinstance(content, str):
        return content
    return "\n".join(as_text(as_dict(part).get("text")) for part in as_list(content) if as_dict(part).get("text"))


def _last_text(items: list[JsonObject], role: str) -> str:
    return next((_text(each.get("content")) for each in reversed(items) if each.get("role") == role), "")


def _tool_to_call(body: dict[str, Any]) -> OfferedTool | None:
    choice: Any = body.get("tool_choice")
    if choice == "none":
        return None
    offers = [as_dict(each) for each in as_list(body.get("tools"))]
    own = [
        OfferedTool(as_text(each.get("name")), each.get("parameters"), each["type"] == "custom")
        for each in offers
        if each.get("type") in ("function", "custom")
    ]
    chosen = as_dict(choice)
    if chosen.get("type") == "allowed_tools":
        chosen = as_dict(next(iter(as_list(chosen.get("tools"))), None))
    return select_tool(own, chosen.get("name"))


# --- writing ------------------------------------------------------------------------------------------------------


def _script(request: SimulatedRequest, body: dict[str, Any], chosen: SimulatedReply) -> ReplyScript:
    message: dict[str, Any] = {"role": "assistant", "content": None}
    thoughts = _thoughts(body)
    if thoughts:
        message["reasoning_content"] = thoughts
    choice: dict[str, Any] = {"index": 0, "message": message}
    if isinstance(chosen, TextReply):
        message["content"] = chosen.text
        choice |= {"finish_reason": chosen.end, "logprobs": _logprobs(body, chosen)}
    else:
        kind, member = ("custom", "input") if chosen.tool.custom else ("function", "arguments")
        called = {"name": chosen.tool.name, member: chosen.text}
        message["tool_calls"] = [{"id": f"call_{request.uid[:24]}", "type": kind, kind: called}]
        choice["finish_reason"] = "tool_calls"
    choice = with_call_fault(choice, request.fault)
    usage = _usage(body, chosen, thoughts)
    whole = {"id": f"resp_{request.uid}", "model": body["model"], "created": int(request.now), "choices": [choice]}
    chunks = tuple({"choices": [each]} for each in choice_chunks(choice, chosen.pieces)) if body.get("stream") else ()
    return ReplyScript(whole=whole, chunks=chunks, usage=usage)


def _logprobs(body: dict[str, Any], chosen: TextReply) -> JsonObject | None:
    if "message.output_text.logprobs" not in as_list(body.get("include")):
        return None
    alternatives = range(body.get("top_logprobs") or 0)
    return {
        "content": [
            {
                "token": piece,
                "logprob": -0.125,
                "top_logprobs": [{"token": f"{piece}{rank}", "logprob": -0.125 - rank} for rank in alternatives],
            }
            for piece in chosen.pieces
        ]
    }


def _thoughts(body: dict[str, Any]) -> str:
    """The summary of the reasoning; empty unless the request asks for an effort."""
    effort = as_dict(body.get("reasoning")).get("effort")
    return _THOUGHTS if effort not in (None, "none") else ""


def _usage(body: dict[str, Any], chosen: SimulatedReply, thoughts: str) -> JsonObject:
    items = input_items(body.get("input"))
    prompt = sum(count_tokens(_text(item.get("content") or item.get("output"))) for item in items)
    reasoning = count_tokens(thoughts)
    output = count_tokens(chosen.text) + reasoning
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }


FORMAT: WireFormat = attrs.evolve(
    openai_chat.FORMAT,
    api="responses",
    validate=validate,
    reply=reply,
    encode=encode.encode,
    max_choices=1,
    errors=ERRORS,
    error_codes={
        ContextWindowExceededError: "context_length_exceeded",
        ContentPolicyViolationError: "content_policy_violation",
    },
    encode_error=encode.encode_error,
    stream_error=encode.stream_error,
    step=step,
)
