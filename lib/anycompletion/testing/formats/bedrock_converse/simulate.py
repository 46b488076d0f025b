"""Simulates Bedrock's Converse and ConverseStream; pure, and never replies in another provider's format.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from ..anthropic_messages.validate import signature
from ..faulty_calls import with_call_fault
from ..json_access import as_dict, as_list, as_text
from ..reply_script import ReplyScript, single_reply
from ..simulated_reply import OfferedTool, Prompt, SimulatedReply, TextReply, choose_reply, count_tokens, select_tool
from ..wire_format import AnyResponse, ErrorSpec, SimulatedRequest, WireFormat
from . import encode
from .validate import model_of, validate

API_KEY = "simulated-bedrock-key"

ERRORS: Mapping[str, ErrorSpec] = {
    "bad-request": ErrorSpec(400, "ValidationException", "The request is not valid. (simulated)"),
    "context-length": ErrorSpec(
        400, "ValidationException", "The model returned the following errors: Input is too long for requested model."
    ),
    "content-policy": ErrorSpec(400, "ValidationException", "The request was blocked by a content policy. (simulated)"),
    "quota": ErrorSpec(400, "ServiceQuotaExceededException", "Your request exceeds the service quota. (simulated)"),
    "permission": ErrorSpec(403, "AccessDeniedException", "You don't have access to the model. (simulated)"),
    "authentication": ErrorSpec(
        403, "UnrecognizedClientException", "The security token included in the request is invalid."
    ),
    "not-found": ErrorSpec(404, "ResourceNotFoundException", "The requested resource was not found. (simulated)"),
    "timeout": ErrorSpec(408, "ModelTimeoutException", "The model took too long to answer. (simulated)"),
    "rate-limit": ErrorSpec(429, "ThrottlingException", "Too many requests, please wait before trying again."),
    "server-error": ErrorSpec(500, "InternalServerException", "The system encountered an unexpected error."),
    "unavailable": ErrorSpec(503, "ServiceUnavailableException", "Bedrock is unable to process your request."),
    "overloaded": ErrorSpec(503, "ServiceUnavailableException", "Too many connections, please wait. (simulated)"),
}


def reply(request: SimulatedRequest) -> AnyResponse:
    """The response to a valid request."""
    body = as_dict(request.body)
    chosen = choose_reply(read_prompt(body), request.options, request.repeats)
    return encode.encode(request, _script(request, body, chosen))


def headers(request: SimulatedRequest, status: int) -> dict[str, str]:
    """The headers of any response."""
    return {"x-amzn-requestid": str(UUID(request.uid))}


# --- reading ------------------------------------------------------------------------------------------------------


def read_prompt(body: dict[str, Any]) -> Prompt:
    """What the request asks for."""
    turns = [as_dict(turn) for turn in as_list(body["messages"])]
    last = [as_dict(block) for block in as_list(turns[-1].get("content"))]
    results = [as_dict(block["toolResult"]) for block in last if "toolResult" in block]
    structure = as_dict(as_dict(as_dict(body.get("outputConfig")).get("textFormat")).get("structure"))
    schema = as_dict(structure.get("jsonSchema")).get("schema")
    config = as_dict(body.get("inferenceConfig"))
    return Prompt(
        body=body,
        user=_last_text(turns, "user"),
        assistant=_last_text(turns, "assistant"),
        result="\n".join(_text(each.get("content")) for each in results) if results else None,
        tool=_tool_to_call(body),
        wants_json=schema is not None,
        schema=None if schema is None else json.loads(schema),
        max_tokens=config.get("maxTokens"),
        stop=tuple(as_list(config.get("stopSequences"))),
    )


def _text(content: Any) -> str:
    """The text of content blocks."""
    texts: list[str] = []
    for block in map(as_dict, as_list(content)):
        guarded = as_dict(as_dict(block.get("guardContent")).get("text")).get("text")
        texts.append(as_text(block.get("text") or guarded))
    return "\n".join(filter(None, texts))


def _last_text(turns: list[dict[str, Any]], role: str) -> str:
    return next((_text(turn.get("content")) for turn in reversed(turns) if turn.get("role") == role), "")


def _tool_to_call(body: dict[str, Any]) -> OfferedTool | None:
    config = as_dict(body.get("toolConfig"))
    specs = [as_dict(as_dict(tool).get("toolSpec")) for tool in as_list(config.get("tools"))]
    offers = [OfferedTool(spec["name"], as_dict(spec.get("inputSchema")).get("json")) for spec in specs if spec]
    return select_tool(offers, as_dict(as_dict(config.get("toolChoice")).get("tool")).get("name"))


# --- writing ------------------------------------------------------------------------------------------------------


def _script(request: SimulatedRequest, body: dict[str, Any], reply: SimulatedReply) -> ReplyScript:
    message: dict[str, Any] = {"role": "assistant", "content": None}
    thoughts = _thoughts(body)
    if thoughts:
        block = {"type": "thinking", "thinking": thoughts, "signature": signature(thoughts)}
        message["thinking_blocks"] = [block]
    choice: dict[str, Any] = {"message": message}
    if isinstance(reply, TextReply):
        message["content"] = reply.text
        choice["finish_reason"] = reply.end
        choice["native_finish_reason"] = None if reply.stop_sequence is None else "stop_sequence"
    else:
        function = {"name": reply.tool.name, "arguments": reply.text}
        message["tool_calls"] = [{"id": f"tooluse_{request.uid[:22]}", "type": "function", "function": function}]
        choice["finish_reason"] = "tool_calls"
    output = count_tokens(reply.text) + count_tokens(thoughts)
    choice = with_call_fault(choice, request.fault, objects=not request.path.endswith("-stream"))
    return single_reply(str(UUID(request.uid)), model_of(request), choice, reply.pieces, _usage(body, output))


def _usage(body: dict[str, Any], output: int) -> dict[str, Any]:
    prompt = [_text(body.get("system")), *(_text(as_dict(each).get("content")) for each in body["messages"])]
    tokens = sum(map(count_tokens, prompt))
    return {"inputTokens": tokens, "outputTokens": output, "totalTokens": tokens + output, "serverToolUsage": {}}


def _thoughts(body: dict[str, Any]) -> str:
    """The text of the reasoning; "" if there is none."""
    thinking = as_dict(as_dict(body.get("additionalModelRequestFields")).get("thinking"))
    return "Let me think about that for a moment." if thinking.get("type") in ("enabled", "adaptive") else ""


FORMAT = WireFormat(
    provider="bedrock",
    api_key=API_KEY,
    api="converse",
    validate=validate,
    reply=reply,
    encode=encode.encode,
    errors=ERRORS,
    encode_error=encode.encode_error,
    stream_error=encode.stream_error,
    headers=headers,
)
