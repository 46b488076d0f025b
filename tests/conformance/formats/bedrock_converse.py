"""Bedrock's Converse and ConverseStream, with botocore as the oracle."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from anycompletion.testing import Recording
from conformance import bedrock_facts
from conformance.bodies import is_stream
from conformance.comparing import Facts
from conformance.recorded_format import RecordedAsCall, RecordedFormat, has_error

Block = dict[str, Any]

_PARAMS = {"maxTokens": "max_tokens", "temperature": "temperature", "topP": "top_p", "stopSequences": "stop"}
"""Field of `inferenceConfig` → parameter."""

_EMPTY: tuple[Any, ...] = ({}, [], None)
"""What asks for nothing, and is not sent."""

_CHOICES: Mapping[str, str] = {"auto": "auto", "any": "required"}


async def _facts(url: str, recording: Recording) -> Facts:
    return bedrock_facts.facts_of(recording, is_stream(recording))


# --- requests ---------------------------------------------------------------------------------------------------------


def _as_call(recording: Recording) -> RecordedAsCall | None:
    """A recorded request as a call; the model is in its URL."""
    assert recording.request is not None
    body = dict(recording.request.body)
    model = unquote(recording.request.url.partition("/model/")[2].rpartition("/")[0])
    expected = _expected(body)
    config = body.pop("inferenceConfig", {})
    call: dict[str, Any] = {"model": f"bedrock/{model}"}
    call |= {_PARAMS[name]: value for name, value in config.items() if value not in _EMPTY}
    system = _cached([{"type": "text", **block} for block in body.pop("system", ())])
    call["messages"] = [{"role": "system", "content": [part]} for part in system]
    for turn in body.pop("messages"):
        call["messages"] += _messages(turn)
    call |= _tools(body.pop("toolConfig", {}))
    fields = body.get("additionalModelRequestFields", {})
    if "thinking" in fields and "anthropic" in model:
        call["thinking"] = fields["thinking"]
        del body["additionalModelRequestFields"]
    form = body.pop("outputConfig", {}).get("textFormat", {}).get("structure", {}).get("jsonSchema")
    if form is not None:
        schema = {**form, "schema": json.loads(form["schema"])}
        call["response_format"] = {"type": "json_schema", "json_schema": schema}
    return RecordedAsCall(call | ({"extra_body": body} if body else {}), expected)


def _expected(body: Mapping[str, Any]) -> dict[str, Any]:
    """The recorded body, but for what may differ: empty fields, neighbours of one role, and white space in a schema."""
    found = {name: value for name, value in body.items() if value not in _EMPTY}
    if "inferenceConfig" in found:
        kept = {name: value for name, value in found["inferenceConfig"].items() if value not in _EMPTY}
        found["inferenceConfig"] = kept
    turns: list[dict[str, Any]] = []
    for turn in found["messages"]:
        if turns and turns[-1]["role"] == turn["role"]:
            turns[-1] = {**turn, "content": turns[-1]["content"] + turn["content"]}
        else:
            turns.append(turn)
    if "outputConfig" in found:
        form = found["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
        compact = json.dumps(json.loads(form["schema"]), separators=(",", ":"))
        text = {**found["outputConfig"]["textFormat"], "structure": {"jsonSchema": {**form, "schema": compact}}}
        found["outputConfig"] = {"textFormat": text}
    return {**found, "messages": turns}


def _messages(turn: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    blocks = turn["content"]
    if turn["role"] == "assistant":
        yield _assistant(blocks)
        return
    for block in blocks:
        if "toolResult" in block:
            result = block["toolResult"]
            status = {"status": result["status"]} if "status" in result else {}
            content = [_part(each) for each in result["content"]]
            yield {"role": "tool", "tool_call_id": result["toolUseId"], "content": content, **status}
    parts = _cached([_part(block) for block in blocks if "toolResult" not in block])
    if parts:
        yield {"role": "user", "content": parts}


def _assistant(blocks: list[Block]) -> dict[str, Any]:
    """A turn of the assistant, in Bedrock's own form where OpenAI's has none."""
    calls = [
        {
            "id": block["toolUse"]["toolUseId"],
            "type": "function",
            "function": {"name": block["toolUse"]["name"], "arguments": json.dumps(block["toolUse"]["input"])},
        }
        for block in blocks
        if "toolUse" in block and block["toolUse"].get("type") != "server_tool_use"
    ]
    parts = [part for block in blocks for part in block.get("citationsContent", {}).get("content", [block])]
    texts = [_part(part) for part in parts if "text" in part]
    message = {"role": "assistant", "content": texts or None} | ({"tool_calls": calls} if calls else {})
    kinds = {kind for block in blocks for kind in block}
    if kinds <= {"text", "toolUse"} and not any("type" in block.get("toolUse", {}) for block in blocks):
        return message
    return message | {"provider_specific_fields": {"bedrock_content": blocks}}


def _part(block: Block) -> dict[str, Any]:
    ((kind, value),) = block.items()
    match block:
        case {"text": text}:
            return {"type": "text", "text": text}
        case {"image": {"format": form, "source": {"bytes": data}}}:
            return {"type": "image_url", "image_url": {"url": f"data:image/{form};base64,{data}"}}
        case {"image": {"source": {"s3Location": {"uri": uri}}}}:
            return {"type": "image_url", "image_url": {"url": uri}}
        case {"document": {"format": form, "name": name, "source": {"bytes": data}}}:
            return {"type": "file", "file": {"filename": f"{name}.{form}", "file_data": data}}
        case {"document": {"format": form, "name": name, "source": {"s3Location": {"uri": uri}}}}:
            return {"type": "file", "file": {"filename": f"{name}.{form}", "file_id": uri}}
        case _:
            return {"type": kind, kind: value}  # its own form


def _cached(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The parts, with a cache point as a field of the one before it."""
    found: list[dict[str, Any]] = []
    for part in parts:
        if "cachePoint" in part:
            found[-1] = {**found[-1], "cache_control": {"type": "ephemeral"}}
        else:
            found.append(part)
    return found


def _tools(config: Mapping[str, Any]) -> dict[str, Any]:
    found: list[dict[str, Any]] = []
    for tool in config.get("tools", ()):
        if "cachePoint" in tool:
            found[-1] = {**found[-1], "cache_control": {"type": "ephemeral"}}
        elif "toolSpec" in tool:
            spec = tool["toolSpec"]
            function = {name: value for name, value in spec.items() if name != "inputSchema"}
            found.append({"type": "function", "function": {**function, "parameters": spec["inputSchema"]["json"]}})
        else:
            ((kind, value),) = tool.items()
            found.append({"type": kind, kind: value})
    call: dict[str, Any] = {"tools": found} if found else {}
    for kind in config.get("toolChoice", {}):
        call["tool_choice"] = _CHOICES[kind]
    return call


FORMAT = RecordedFormat(
    apis=("converse", "converse-stream"),
    recorded=70,
    row="bedrock",
    ends=lambda data: [0] if "stopReason" in data else [],
    has_content=lambda data: "delta" in data or "start" in data or "stopReason" in data,
    is_error=lambda data: ":exception-type" in data or has_error(data),
    of_ours=bedrock_facts.of_ours,
    oracle=_facts,
    as_call=_as_call,
)
