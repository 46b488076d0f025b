"""Valid responses of Bedrock's Converse, whose streams are binary messages with checksums."""

from __future__ import annotations

from random import Random
from typing import Any

from anycompletion.testing.formats import aws_eventstream

from ..seed_types import Event, Seeds

_USAGE = {
    "inputTokens": 21,
    "outputTokens": 16,
    "totalTokens": 44,
    "cacheReadInputTokens": 4,
    "cacheWriteInputTokens": 3,
    "cacheDetails": [{"ttl": "1h", "inputTokens": 3}],
}
_THOUGHT = {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}
_USE = {"toolUseId": "tooluse_1", "name": "look"}
_LOCATION = {"documentChar": {"documentIndex": 0, "start": 0, "end": 4}}
_CITATION = {"title": "a", "source": "a.pdf", "sourceContent": [{"text": "Sun."}], "location": _LOCATION}
_TRACE: dict[str, Any] = {"guardrail": {"actionReason": "Guardrail blocked.", "inputAssessment": {"g": {}}}}
_BLOCKS: list[Any] = [
    {"reasoningContent": _THOUGHT},
    {"reasoningContent": {"redactedContent": "AAEC"}},
    {"text": "Hi é\U0001f600"},
    {"citationsContent": {"content": [{"text": "Sun."}], "citations": [_CITATION]}},
    {"toolUse": {**_USE, "input": {"q": "x", "n": [1, None]}}},
    {"toolUse": {**_USE, "toolUseId": "tooluse_2", "input": {}}},
    {"toolUse": {**_USE, "name": "nova_grounding", "type": "server_tool_use", "input": {"q": "x"}}},
    {"toolResult": {"toolUseId": "tooluse_3", "content": [{"json": {"a": 1}}], "status": "success", "type": "a"}},
]
_REPLY: dict[str, Any] = {
    "output": {"message": {"role": "assistant", "content": _BLOCKS}},
    "stopReason": "tool_use",
    "usage": _USAGE,
    "metrics": {"latencyMs": 1200},
    "trace": _TRACE,
    "additionalModelResponseFields": {"usage": {"output_tokens_details": {"thinking_tokens": 7}}, "stop_sequence": "x"},
    "performanceConfig": {"latency": "standard"},
    "serviceTier": {"type": "default"},
}
_TEXT: dict[str, Any] = {"output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}}, "usage": _USAGE}

_HEAD: Event = ("messageStart", {"role": "assistant"})
_TAIL: Event = ("metadata", {"usage": _USAGE, "metrics": {"latencyMs": 1200}, "p": "abcdef"})


def _start(index: int, **start: Any) -> Event:
    return "contentBlockStart", {"contentBlockIndex": index, "start": start}


def _delta(index: int, **delta: Any) -> Event:
    return "contentBlockDelta", {"contentBlockIndex": index, "delta": delta, "p": "abc"}


def _stop(index: int) -> Event:
    return "contentBlockStop", {"contentBlockIndex": index}


def _end(reason: str = "end_turn", **members: Any) -> Event:
    return "messageStop", {"stopReason": reason, **members}


def _as_message(rng: Random, name: str, data: bytes) -> bytes:
    """A binary message: of an event, of an exception, or of an error without a payload."""
    if rng.random() < 0.02:
        return aws_eventstream.message(b"", {":message-type": "error", ":error-code": name, ":error-message": "no"})
    return (aws_eventstream.exception if name.endswith("Exception") else aws_eventstream.event)(name, data)


_STREAMS: list[list[Event]] = [
    [_HEAD, _delta(0, text="Hi"), _delta(0, text=" é\U0001f600\u2028"), _stop(0), _end(), _TAIL],
    [
        *(_HEAD, _delta(0, reasoningContent={"text": "Hm"}), _delta(0, reasoningContent={"text": "."})),
        *(_delta(0, reasoningContent={"signature": "c2ln"}), _stop(0)),
        *(_delta(1, reasoningContent={"redactedContent": "AAEC"}), _stop(1), _delta(2, text="Hi"), _stop(2)),
        *(_end("stop_sequence", additionalModelResponseFields={"stop_sequence": "x"}), _TAIL),
    ],
    [
        *(_HEAD, _start(0, toolUse=_USE), _delta(0, toolUse={"input": '{"q": '})),
        *(_delta(0, toolUse={"input": "1}"}), _stop(0)),
        *(_start(1, toolUse={**_USE, "toolUseId": "tooluse_2"}), _stop(1), _end("tool_use"), _TAIL),
    ],
    [
        *(_HEAD, _delta(0, text="Sun."), _delta(0, citation=_CITATION), _stop(0)),
        *(_start(1, toolUse={**_USE, "type": "server_tool_use"}), _delta(1, toolUse={"input": "{}"}), _stop(1)),
        _start(2, toolResult={"toolUseId": "tooluse_1", "type": "a", "status": "success"}),
        *(_delta(2, toolResult=[{"text": "a"}]), _stop(2), _end("max_tokens"), _TAIL),
    ],
    [_HEAD, _delta(0, text="No."), _stop(0), _end("guardrail_intervened"), ("metadata", {"trace": _TRACE})],
    [_HEAD, _delta(0, text="Hi"), ("modelStreamErrorException", {"message": "no", "originalStatusCode": 424})],
    [("throttlingException", {"message": "Too many tokens, please wait before trying again."})],
    [_HEAD, _end("malformed_tool_use"), _TAIL],
]

SEEDS = Seeds(
    _STREAMS,
    [
        _REPLY,
        {**_TEXT, "stopReason": "max_tokens"},
        {**_TEXT, "stopReason": "model_context_window_exceeded"},
        {**_TEXT, "stopReason": "malformed_model_output"},
    ],
    [
        {"message": "The provided model identifier is invalid."},
        {"message": "Input is too long for requested model.", "__type": "com.amazon.coral#ValidationException"},
        {"Message": "Too many tokens per day, please wait before trying again."},
        {"message": "no", "originalStatusCode": 400, "originalMessage": "no", "resourceName": "a"},
    ],
    {
        "content-type": "application/json",
        "x-amzn-requestid": "0c1f9d5c-7f3b-4cde-9a4b-1f0c6f0e8f11",
        "x-amzn-errortype": "ValidationException:http://internal.amazon.com/coral/com.amazon.coral.availability/",
        "retry-after": "5",
    },
    _as_message,
)
