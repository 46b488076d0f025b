"""Anthropic's messages, of Anthropic and of Vertex AI, whose body names the version and not the model."""

import json
from collections.abc import Mapping
from typing import Any

from anycompletion.testing import Recording
from conformance import anthropic_facts
from conformance.recorded_format import RecordedAsCall, RecordedFormat

_HOSTED = "rawPredict"
"""The name of Vertex AI's API in recordings."""


def _as_call(recording: Recording) -> RecordedAsCall | None:
    """A recorded request of Vertex AI as a call."""
    if recording.api != _HOSTED or recording.request is None:
        return None
    # A false `stream` asks for nothing and is not sent.
    body = {name: value for name, value in recording.request.body.items() if (name, value) != ("stream", False)}
    call = {name: body[name] for name in ("max_tokens", "temperature", "tool_choice") if name in body}
    call["messages"] = [message for turn in _turns(body) for message in _messages(turn)]
    if "tools" in body:
        call["tools"] = [{"type": "function", "function": _function(tool)} for tool in body["tools"]]
    return RecordedAsCall(call, body)


def _turns(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    system = [{"role": "system", "content": body["system"]}] if "system" in body else []
    return [*system, *body["messages"]]


def _messages(turn: Mapping[str, Any]) -> list[dict[str, Any]]:
    if isinstance(turn["content"], str):
        return [dict(turn)]
    blocks = turn["content"]
    results = [
        {"role": "tool", "tool_call_id": block["tool_use_id"], "content": block["content"]}
        for block in blocks
        if block["type"] == "tool_result"
    ]
    texts = [block for block in blocks if block["type"] == "text"]
    calls = [_call(block) for block in blocks if block["type"] == "tool_use"]
    message = {"role": turn["role"], "content": texts, **({"tool_calls": calls} if calls else {})}
    return results + ([message] if texts or calls else [])


def _call(block: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": block["name"], "arguments": json.dumps(block["input"])}
    return {"id": block["id"], "type": "function", "function": function}


def _function(tool: Mapping[str, Any]) -> dict[str, Any]:
    renamed = {name: value for name, value in tool.items() if name != "input_schema"}
    return {**renamed, "parameters": tool["input_schema"]}


FORMAT = RecordedFormat(
    apis=("messages", _HOSTED),
    recorded=105,
    row="anthropic",
    ends=lambda data: [0] if data.get("type") == "message_delta" and data["delta"]["stop_reason"] is not None else [],
    has_content=lambda data: data.get("type") in ("content_block_delta", "message_delta"),
    of_ours=anthropic_facts.of_ours,
    as_call=_as_call,
)
