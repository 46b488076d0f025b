"""Recorded requests of Gemini, turned back into calls in OpenAI's format, and what may differ when they are sent again.

Tolerances, applied to the expected body: names in camel case, and data in the usual alphabet of base64; nothing empty;
no role of an instruction; all functions in one tool, with their schemas as JSON Schema; texts beside results in a
content of their own; no choice that is the default; Google's placeholder on calls without a signature for models that
need one.
"""

import copy
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from anycompletion.testing import Recording
from conformance.recorded_format import RecordedAsCall

Fields = dict[str, Any]

_CAMEL = {
    "code_execution": "codeExecution",
    "file_data": "fileData",
    "file_uri": "fileUri",
    "function_call": "functionCall",
    "function_declarations": "functionDeclarations",
    "function_response": "functionResponse",
    "google_search": "googleSearch",
    "include_thoughts": "includeThoughts",
    "inline_data": "inlineData",
    "mime_type": "mimeType",
    "thinking_budget": "thinkingBudget",
    "thought_signature": "thoughtSignature",
}
_VALUES = ("args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema")
"""Fields with values of the caller's own, whose names are not changed."""

PLACEHOLDER = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="

_PARAMS = {"temperature": "temperature", "topP": "top_p", "maxOutputTokens": "max_tokens", "stopSequences": "stop"}
"""Field of `generationConfig` → parameter."""


def as_call(recording: Recording) -> RecordedAsCall | None:
    """A recorded request as a call, and the body that must be sent for it."""
    assert recording.request is not None
    found = re.search("/models/([^:]+):", recording.request.url)
    if found is None or not isinstance(recording.request.body, dict):
        return None
    model, row = found[1], recording.provider
    body = _camel(recording.request.body)
    if "$alt=json" in unquote(recording.request.url):
        return None  # enumerations as numbers
    body.pop("model", None)
    expected = _expected(copy.deepcopy(body), model)
    call: Fields = {"model": f"{row}/{model}"}
    call["messages"] = [*_instruction(body.pop("systemInstruction", {})), *_messages(body.pop("contents"), row)]
    extra: Fields = {}
    config = body.pop("generationConfig", {})
    has_tools = any("functionDeclarations" in tool for tool in body.get("tools", ()))
    call |= _config(config, may_have_schema=not has_tools or "gemini-3" in model)
    config.pop("candidateCount", None)
    if config:
        extra["generationConfig"] = config
    call |= _tools(body, extra)
    return RecordedAsCall(call | {"extra_body": extra | body}, expected)


def _camel(value: Any) -> Any:
    if isinstance(value, list):
        return list(map(_camel, value))
    if isinstance(value, dict):
        names = {name: _CAMEL.get(name, name) for name in value}
        given = {name: item for name, item in value.items() if item is not None}
        if "data" in given and "mimeType" in {_CAMEL.get(name, name) for name in given}:
            given["data"] = given["data"].replace("-", "+").replace("_", "/")
        return {names[name]: item if names[name] in _VALUES else _camel(item) for name, item in given.items()}
    return value


# --- the call ---------------------------------------------------------------------------------------------------------


def _instruction(instruction: Fields) -> list[Fields]:
    parts = [{"type": "text", "text": part["text"]} for part in instruction.get("parts", ())]
    return [{"role": "system", "content": parts[0]["text"] if len(parts) == 1 else parts}] if parts else []


def _messages(contents: list[Fields], row: str) -> list[Fields]:
    messages: list[Fields] = []
    open_calls: list[Fields] = []
    for content in contents:
        if content.get("role") == "model":
            message = _model(content["parts"], len(messages), row)
            open_calls = list(message.get("tool_calls", ()))
            messages.append(message)
            continue
        results = [part["functionResponse"] for part in content["parts"] if "functionResponse" in part]
        others = [_part(part) for part in content["parts"] if "functionResponse" not in part]
        media = [part for part in others if part["type"] != "text"] if results else []
        for result in results:
            answered = next(call for call in open_calls if call["function"]["name"] == result["name"])
            open_calls.remove(answered)
            is_last = result is results[-1]
            messages.append(_result(result, answered["id"], media if is_last else []))
        rest = [part for part in others if part not in media]
        if rest:
            text = rest[0].get("text") if len(rest) == 1 else None
            messages.append({"role": "user", "content": rest if text is None else text})
    return messages


def _model(parts: list[Fields], number: int, row: str) -> Fields:
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    text = "".join(part.get("text", "") for part in parts if not part.get("thought"))
    native: Fields = {"gemini_content": parts}
    message: Fields = {"role": "assistant", "content": text or None, "provider_specific_fields": native}
    if row == "vertex":
        native["gemini_backend"] = "vertex"
    if calls:
        message["tool_calls"] = [
            {
                "id": call.get("id") or f"call_{number}_{i}",
                "type": "function",
                "function": {"name": call["name"], "arguments": json.dumps(call.get("args", {}))},
            }
            for i, call in enumerate(calls)
        ]
    return message


def _result(result: Fields, call_id: str, media: list[Fields]) -> Fields:
    response = result["response"]
    text = response["output"] if [*response] == ["output"] and isinstance(response["output"], str) else None
    text = json.dumps(response) if text is None else text
    media = [*map(_part, result.get("parts", ())), *media]
    content = [*([{"type": "text", "text": text}] if response else []), *media] if media else text
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def _part(part: Fields) -> Fields:
    data, file = part.get("inlineData"), part.get("fileData")
    if file is not None:
        return {"type": "file", "file": {"file_id": file["fileUri"], "format": file["mimeType"]}}
    if data is None:
        return {"type": "text", "text": part["text"]}
    kind, _, form = data["mimeType"].partition("/")
    if kind == "audio":
        return {"type": "input_audio", "input_audio": {"data": data["data"], "format": form}}
    url = f"data:{data['mimeType']};base64,{data['data']}"
    if kind == "image":
        return {"type": "image_url", "image_url": {"url": url}}
    return {"type": "file", "file": {"file_data": url}}


def _config(config: Fields, *, may_have_schema: bool) -> Fields:
    """The parameters of a generation config, which are removed from it."""
    call = {_PARAMS[name]: config.pop(name) for name in [*config] if name in _PARAMS}
    if "thinkingConfig" in config:
        call["thinking"] = config.pop("thinkingConfig")
    if "responseModalities" in config:
        call["modalities"] = [modality.lower() for modality in config.pop("responseModalities")]
    if config.pop("responseLogprobs", False):
        call |= {"logprobs": True, "top_logprobs": config.pop("logprobs", None)}
    if may_have_schema and "responseSchema" not in config and config.get("responseMimeType") == "application/json":
        del config["responseMimeType"]
        schema = config.pop("responseJsonSchema", None)
        form = {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}
        call["response_format"] = {"type": "json_object"} if schema is None else form
    return call


def _tools(body: Fields, extra: Fields) -> Fields:
    """The tools of a body and their choice, which are removed from it."""
    tools = body.pop("tools", [])
    declared = [function for tool in tools for function in tool.get("functionDeclarations", ())]
    others = [tool for tool in tools if "functionDeclarations" not in tool]
    if others:
        extra["tools"] = others
    call: Fields = {}
    if declared:
        call["tools"] = [{"type": "function", "function": _function(each)} for each in declared]
    choice = body.get("toolConfig", {}).pop("functionCallingConfig", {})
    if not body.get("toolConfig", {"x": 1}):
        del body["toolConfig"]
    names = [{"type": "function", "function": {"name": name}} for name in choice.get("allowedFunctionNames", ())]
    if len(names) == 1:
        call["tool_choice"] = names[0]
    elif names:
        call["tool_choice"] = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": names}}
    elif choice.get("mode") in ("ANY", "NONE"):
        call["tool_choice"] = {"ANY": "required", "NONE": "none"}[choice["mode"]]
    return call


def _function(function: Fields) -> Fields:
    others = {name: value for name, value in function.items() if name not in ("parameters", "parametersJsonSchema")}
    schema = _schema(function)
    return others if schema is None else {**others, "parameters": schema}


def _schema(function: Fields) -> Any:
    """A function's schema as JSON Schema, whose types are in lower case."""
    native = function.get("parametersJsonSchema")
    return native if native is not None else _lower_types(function.get("parameters"))


def _lower_types(schema: Any) -> Any:
    if isinstance(schema, list):
        return list(map(_lower_types, schema))
    if not isinstance(schema, dict):
        return schema
    kind = schema.get("type")
    lowered = {name: _lower_types(value) for name, value in schema.items()}
    return lowered | ({"type": kind.lower()} if isinstance(kind, str) else {})


# --- the expected body ------------------------------------------------------------------------------------------------


def _expected(body: Mapping[str, Any], model: str) -> Fields:
    found = {name: value for name, value in body.items() if value not in ({}, [])}
    if "systemInstruction" in found:
        found["systemInstruction"] = {"parts": found["systemInstruction"]["parts"]}
    needs_signature = "gemini-3" in model
    found["contents"] = [
        turn for content in found["contents"] for turn in _turns(content, needs_signature=needs_signature)
    ]
    config = {name: value for name, value in found.pop("generationConfig", {}).items() if name != "candidateCount"}
    if config:
        found["generationConfig"] = config
    tools = found.pop("tools", [])
    declared = [function for tool in tools for function in tool.get("functionDeclarations", ())]
    others = [tool for tool in tools if "functionDeclarations" not in tool]
    sent = [{"functionDeclarations": list(map(_declared, declared))}, *others] if declared else others
    if sent:
        found["tools"] = sent
    if found.get("toolConfig") == {"functionCallingConfig": {"mode": "AUTO"}}:
        del found["toolConfig"]
    return found


def _declared(function: Fields) -> Fields:
    others = {name: value for name, value in function.items() if name not in ("parameters", "parametersJsonSchema")}
    schema = _schema(function)
    return others if not schema else {**others, "parametersJsonSchema": schema}


def _turns(content: Fields, *, needs_signature: bool) -> list[Fields]:
    parts = content["parts"]
    if content.get("role") == "model":
        calls = [part for part in parts if "functionCall" in part]
        if needs_signature and calls and not any("thoughtSignature" in part for part in calls):
            parts = [{**part, "thoughtSignature": PLACEHOLDER} if part is calls[0] else part for part in parts]
        return [{"role": "model", "parts": parts}]
    parts = [{name: value for name, value in part.items() if name != "thought"} for part in parts]
    parts = [part for part in parts if part != {"text": ""}]
    results = [part for part in parts if "functionResponse" in part]
    texts = [part for part in parts if "text" in part] if results else []
    turns = [{"role": "user", "parts": [part for part in parts if part not in texts]}]
    return [*turns, {"role": "user", "parts": texts}] if texts else turns
