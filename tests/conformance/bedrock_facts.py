"""Bedrock's replies as plain values, parsed by botocore with its own model of the service, and assembled from that.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

import base64
import functools
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from anycompletion import ChatCompletion, UserMessage
from anycompletion.dialects.base import Target
from anycompletion.http import HttpRequest
from anycompletion.providers import DIALECTS
from anycompletion.testing import Recording
from conformance.comparing import Facts, canonical
from conformance.recorded_format import SDKError, module
from support.validated import build

FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
}
"""Bedrock's stop reason → OpenAI's finish reason."""

USUAL_STATUS = {"throttlingException": 429, "serviceUnavailableException": 503}
"""Exception inside a stream → the status of the same error as a response."""

_TOOL = {"type": "function", "function": {"name": "f"}}


# --- botocore ---------------------------------------------------------------------------------------------------------


@functools.cache
def _service() -> Any:
    """botocore's model of the service."""
    loader = module("botocore.loaders").Loader()
    return module("botocore.model").ServiceModel(loader.load_service_model("bedrock-runtime", "service-2"))


class _Body:
    """The body of a recording as the stream that botocore reads."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        """The body in pieces."""
        yield from (self._body[at : at + 1000] for at in range(0, len(self._body), 1000))

    def close(self) -> None:
        """Nothing."""


def parsed_reply(recording: Recording) -> Any:
    """A reply, or an error with a status, as botocore parses it."""
    shape = _service().operation_model("Converse").output_shape
    # botocore raises at an object that is empty, where the service's model has one member of several.
    body = re.sub(rb'"reasoningContent":\s*{}', b'"text": ""', recording.body)
    response = {"body": body, "headers": _headers(recording), "status_code": recording.status}
    return module("botocore.parsers").RestJSONParser().parse(response, shape)


def parsed_events(recording: Recording) -> Iterator[Any]:
    """The events of a stream as botocore parses them; raises its `EventStreamError`."""
    shape = _service().operation_model("ConverseStream").output_shape.members["stream"]
    parser = module("botocore.parsers").EventStreamJSONParser()
    yield from module("botocore.eventstream").EventStream(_Body(recording.body), shape, parser, "ConverseStream")


def _headers(recording: Recording) -> Any:
    headers = module("botocore.compat").HTTPHeaders()
    for name, value in recording.headers.items():
        headers[name] = value
    return headers


def facts_of(recording: Recording, is_stream: bool) -> Facts:
    """The values of a reply.

    Raises:
        SDKError: it is an error.
    """
    if not is_stream:
        parsed = parsed_reply(recording)
        if "Error" in parsed:
            raise SDKError(_error(parsed["Error"], recording.status, recording))
        return _facts(parsed["output"]["message"]["content"], parsed, recording)
    try:
        content, end = assembled(parsed_events(recording))
    except module("botocore.exceptions").EventStreamError as error:
        found = error.response["Error"]
        raise SDKError(_error(found, USUAL_STATUS[found["Code"]], recording)) from None
    return _facts(content, end, recording)


def assembled(events: Iterable[Any]) -> tuple[list[Facts], Facts]:
    """The content blocks of a stream, and the fields of its last events."""
    blocks: dict[int, Facts] = {}
    end: Facts = {}
    for event in events:
        ((kind, data),) = event.items()
        block = blocks.setdefault(data["contentBlockIndex"], {}) if "contentBlockIndex" in data else {}
        match kind:
            case "contentBlockStart":
                block |= {name: dict(value) for name, value in data["start"].items()}
            case "contentBlockDelta":
                _add(block, data["delta"])
            case "messageStop" | "metadata":
                end |= data
    return [_completed(blocks[index]) for index in sorted(blocks)], end


def _add(block: Facts, delta: Facts) -> None:
    ((kind, value),) = delta.items()
    match kind:
        case "text":
            block["text"] = block.get("text", "") + value
        case "toolUse":
            block["toolUse"]["input"] = block["toolUse"].get("input", "") + value["input"]
        case "toolResult":
            block["toolResult"].setdefault("content", []).extend(value)
        case "citation":
            block.setdefault("citations", []).append(value)
        case "reasoningContent":
            reasoning = block.setdefault("reasoningContent", {})
            for name, piece in value.items():
                reasoning[name] = reasoning[name] + piece if name in reasoning else piece


def _completed(block: Facts) -> Facts:
    """A block as whole replies have it."""
    if "toolUse" in block:
        return {"toolUse": {**block["toolUse"], "input": json.loads(block["toolUse"].get("input") or "{}")}}
    if "reasoningContent" in block and "redactedContent" not in block["reasoningContent"]:
        return {"reasoningContent": {"reasoningText": block["reasoningContent"]}}
    if "citations" in block:
        return {"citationsContent": {"content": [{"text": block["text"]}], "citations": block["citations"]}}
    return block


# --- facts ------------------------------------------------------------------------------------------------------------


def _facts(content: list[Any], reply: Any, recording: Recording) -> Facts:
    usage, reason = reply.get("usage") or {}, reply["stopReason"]
    read, written = usage.get("cacheReadInputTokens"), usage.get("cacheWriteInputTokens")
    blocks = _as_json(content)
    return {
        "id": recording.headers.get("x-amzn-requestid", ""),
        "text": "".join(_texts(blocks)),
        "reasoning": "".join(text.get("text", "") for text in _reasoning(blocks)),
        "thinking_blocks": [
            {"type": "thinking", "thinking": text["text"], "signature": text["signature"]}
            for text in _reasoning(blocks)
            if text.get("signature")
        ],
        "tool_calls": [
            [use["toolUseId"], use["name"], canonical(use["input"])]
            for use in (block.get("toolUse") for block in blocks)
            if use is not None and use.get("type") != "server_tool_use"
        ],
        "annotations": list(_annotations(blocks)),
        "finish_reason": FINISH[reason],
        "native_finish_reason": reason,
        "prompt_tokens": usage["inputTokens"] + (read or 0) + (written or 0),
        "completion_tokens": usage["outputTokens"],
        "total_tokens": usage["totalTokens"],
        "cached_tokens": read,
        "cache_write_tokens": written,
        "latency": reply["metrics"]["latencyMs"],
        "performance": (reply.get("performanceConfig") or {}).get("latency"),
        "guardrail": _as_json(reply.get("trace")),
        "sent_back": [_without_default(block) for block in blocks if block.get("text", "x").strip()],
    }


def _texts(blocks: Iterable[Facts]) -> Iterator[str]:
    for block in blocks:
        yield block.get("text", "")
        yield from (item["text"] for item in block.get("citationsContent", {}).get("content", ()))


def _reasoning(blocks: Iterable[Facts]) -> list[Facts]:
    return [block["reasoningContent"].get("reasoningText", {}) for block in blocks if "reasoningContent" in block]


def _annotations(blocks: Iterable[Facts]) -> Iterator[Facts]:
    """The citations with the place of their text; those of web pages in OpenAI's form."""
    end = 0
    for block in blocks:
        start = end
        end += len("".join(_texts([block])))
        for cited in block.get("citationsContent", {}).get("citations", ()):
            ((kind, location),) = cited["location"].items()
            if kind == "web":
                page = {"url": location["url"], "title": "", "start_index": start, "end_index": end}
                yield {"type": "url_citation", "url_citation": page, "domain": location["domain"]}
            else:
                yield {"type": kind, "content_start_index": start, "content_end_index": end, **cited}


def _without_default(block: Facts) -> Facts:
    """A block without what is the default, a call of the caller's own tool."""
    use = block.get("toolUse", {})
    if use.get("type") != "tool_use":
        return block
    return {"toolUse": {name: value for name, value in use.items() if name != "type"}}


def _as_json(value: Any) -> Any:
    """botocore's values as JSON, in which bytes are base64."""
    match value:
        case dict():
            return {name: _as_json(item) for name, item in value.items()}
        case list():
            return [_as_json(item) for item in value]
        case bytes():
            return base64.b64encode(value).decode()
        case _:
            return value


def _error(error: Facts, status: int, recording: Recording) -> Facts:
    code = error["Code"] if isinstance(error["Code"], str) and error["Code"] else None
    # Where nothing names the error, botocore takes the status.
    code = None if code == str(recording.status) else code
    return {
        "status_code": status,
        "code": code,
        "type": code,
        "message": error["Message"],
        "request_id": recording.headers.get("x-amzn-requestid"),
    }


# --- this package -----------------------------------------------------------------------------------------------------


def of_ours(reply: ChatCompletion) -> Facts:
    """A reply of this package with the same names."""
    (choice,) = reply.choices
    message, usage = choice.message, reply.usage
    assert usage is not None, "Bedrock sent its counts"
    details = usage.prompt_tokens_details
    return {
        "id": reply.id,
        "text": reply.text,
        "reasoning": message.reasoning_content or "",
        "thinking_blocks": message.thinking_blocks,
        "tool_calls": [
            [call.id, call.function.name, canonical(json.loads(call.function.arguments))]
            for call in message.tool_calls or ()
        ],
        "annotations": [item.to_dict() for item in message.annotations or ()],
        "finish_reason": choice.finish_reason,
        "native_finish_reason": choice.native_finish_reason,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "cached_tokens": details and details.cached_tokens,
        "cache_write_tokens": details and details.cache_write_tokens,
        "latency": reply.extra["metrics"]["latencyMs"],
        "performance": reply.extra.get("performanceConfig", {}).get("latency"),
        "guardrail": reply.extra.get("trace"),
        "sent_back": sent_back(reply),
    }


def sent_back(reply: ChatCompletion, dialect: str = "bedrock_converse", model: str = "any") -> Any:
    """The content that is sent for the reply's message, if that is part of the next request."""
    message = reply.message
    results = [{"role": "tool", "tool_call_id": call.id, "content": "done"} for call in message.tool_calls or ()]
    messages = [UserMessage("Hello"), message, *results, UserMessage("And?")]
    target = Target(provider="any", model=model, base_url="http://127.0.0.1", quirks=DIALECTS[dialect].quirks_type())
    encoded = DIALECTS[dialect].encode(build(model=model, messages=messages, tools=[_TOOL]), target, {})
    assert isinstance(encoded, HttpRequest)
    assert isinstance(encoded.body, dict)
    turns = [turn for turn in encoded.body["messages"] if turn["role"] == "assistant"]
    return [_without_default(block) for block in turns[0]["content"]] if turns else []
