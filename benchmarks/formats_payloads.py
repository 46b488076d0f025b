"""Response bodies of the wire formats, plain and streamed, with the fields that today's providers send.

The server imports this module, so it uses only the standard library. Providers differ in how much they send around the
same text: a chunk has from 0.1 KB (Anthropic, Ollama) to 0.4 KB (OpenAI's Responses API).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from benchmarks import payloads
from benchmarks.payloads import MODEL, REPLY, WORDS, Json

GEMINI_MODEL = "gemini-2.5-flash"
BEDROCK_MODEL = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
OLLAMA_MODEL = "qwen3:8b"


@dataclass(frozen=True)
class Format:
    """One wire format as the server sends it."""

    reply: bytes
    events: Callable[[int], list[bytes]]
    """The pieces of a streamed reply of a number of words: events, or lines."""
    front: int = 2
    """Events up to the first word, which are sent at once."""
    content_type: str = "text/event-stream; charset=utf-8"
    """Content type of a stream."""
    headers: bytes = b""
    """Headers that only this format has."""

    @property
    def response(self) -> bytes:
        """A complete response."""
        return payloads.complete(self.reply, self.headers)

    @property
    def stream_head(self) -> bytes:
        """Status line and headers of a stream."""
        return payloads.stream_head(self.content_type, self.headers)


def _dump(data: Json) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()


def _indented(data: Json) -> bytes:
    return json.dumps(data, indent=2).encode() + b"\n"


def _words(chunks: int) -> list[str]:
    return [WORDS[at % len(WORDS)] for at in range(chunks)]


# --- Gemini's generateContent ----------------------------------------------------------------------------------------


def _gemini(text: str, tokens: int, finish: Json) -> Json:
    return {
        "candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, **finish, "index": 0}],
        "usageMetadata": {
            "promptTokenCount": 180,
            "candidatesTokenCount": tokens,
            "totalTokenCount": 180 + tokens,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 180}],
            "serviceTier": "standard",
        },
        "modelVersion": GEMINI_MODEL,
        "responseId": "5b6FatW4CKyhnsEPAbGDwQE",
    }


def gemini_events(chunks: int) -> list[bytes]:
    """A streamed reply of Gemini: the last word comes with the finish reason, and each event has the usage so far."""
    return [
        b"data: "
        + json.dumps(_gemini(word, at, {"finishReason": "STOP"} if at == chunks else {})).encode()
        + b"\r\n\r\n"
        for at, word in enumerate(_words(chunks), 1)
    ]


# --- Bedrock's Converse ----------------------------------------------------------------------------------------------

_BEDROCK_USAGE: Json = {
    "cacheReadInputTokenCount": 0,
    "cacheReadInputTokens": 0,
    "cacheWriteInputTokenCount": 0,
    "cacheWriteInputTokens": 0,
    "inputTokens": 180,
    "outputTokens": 41,
    "serverToolUsage": {},
    "totalTokens": 221,
}
_PADDING = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def _header(name: str, value: str) -> bytes:
    """A header of an AWS event stream whose value is a text (type 7)."""
    return b"%c%b\x07%b%b" % (len(name), name.encode(), struct.pack(">H", len(value)), value.encode())


def aws_message(name: str, payload: Json) -> bytes:
    """One event of an AWS event stream."""
    headers = _header(":event-type", name) + _header(":content-type", "application/json")
    headers += _header(":message-type", "event")
    body = _dump(payload)
    prelude = struct.pack(">II", len(headers) + len(body) + 16, len(headers))
    message = prelude + struct.pack(">I", crc32(prelude)) + headers + body
    return message + struct.pack(">I", crc32(message))


def bedrock_events(chunks: int) -> list[bytes]:
    """A streamed reply of Bedrock's ConverseStream, with the padding `p` that hides the lengths of the words."""

    def message(name: str, at: int, **data: Any) -> bytes:
        return aws_message(name, {**data, "p": _PADDING[: 5 + at * 17 % 58]})

    return [
        message("messageStart", 0, role="assistant"),
        *(
            message("contentBlockDelta", at, contentBlockIndex=0, delta={"text": word})
            for at, word in enumerate(_words(chunks))
        ),
        message("contentBlockStop", 1, contentBlockIndex=0),
        message("messageStop", 2, stopReason="end_turn"),
        message("metadata", 3, metrics={"latencyMs": 611}, usage={**_BEDROCK_USAGE, "outputTokens": chunks}),
    ]


# --- Ollama's chat ---------------------------------------------------------------------------------------------------


def _ollama(text: str, at: int, end: Json) -> Json:
    return {
        "model": OLLAMA_MODEL,
        "created_at": f"2026-01-01T00:00:00.{420_595_067 + at:09}Z",
        "message": {"role": "assistant", "content": text},
        **(end or {"done": False}),
    }


def _ollama_end(tokens: int) -> Json:
    return {
        "done": True,
        "done_reason": "stop",
        "total_duration": 2_685_412_125,
        "load_duration": 63_494_667,
        "prompt_eval_count": 180,
        "prompt_eval_duration": 149_512_000,
        "eval_count": tokens,
        "eval_duration": 2_450_305_000,
    }


def ollama_lines(chunks: int) -> list[bytes]:
    """A streamed reply of Ollama."""
    lines = [_ollama(word, at, {}) for at, word in enumerate(_words(chunks))]
    return [_dump(line) + b"\n" for line in (*lines, _ollama("", chunks, _ollama_end(chunks)))]


# --- OpenAI's Responses API ------------------------------------------------------------------------------------------

_ITEM = "msg_02dc47385c54d4ce016a2b177e35b48192ab0af7c70999aaf6"


def _part(text: str) -> Json:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _item(text: str | None) -> Json:
    content, status = ([], "in_progress") if text is None else ([_part(text)], "completed")
    return {"id": _ITEM, "type": "message", "status": status, "content": content, "role": "assistant"}


def _response(text: str | None, tokens: int) -> Json:
    """A whole response; the beginning of one without a text."""
    usage: Json = {
        "input_tokens": 180,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 180 + tokens,
    }
    return {
        "id": "resp_02dc47385c54d4ce016a2b177b6bfc8192a47944ca24f12108",
        "object": "response",
        "created_at": 1767225600,
        "status": "in_progress" if text is None else "completed",
        "background": False,
        "billing": {"payer": "developer"},
        "completed_at": None if text is None else 1767225602,
        "error": None,
        "frequency_penalty": 0.0,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "model": MODEL,
        "output": [] if text is None else [_item(text)],
        "parallel_tool_calls": True,
        "presence_penalty": 0.0,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "prompt_cache_retention": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": "auto" if text is None else "default",
        "store": True,
        "temperature": 0.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None if text is None else usage,
        "user": None,
        "metadata": {},
    }


def responses_events(chunks: int) -> list[bytes]:
    """A streamed reply of the Responses API: three events before the text, and the whole text in each of the last."""
    words = _words(chunks)
    text, place = "".join(words), {"item_id": _ITEM, "output_index": 0, "content_index": 0}
    started: Json = {"response": _response(None, 0)}
    events: list[tuple[str, Json]] = [
        ("created", started),
        ("in_progress", started),
        ("output_item.added", {"output_index": 0, "item": _item(None)}),
        ("content_part.added", {**place, "part": _part("")}),
        *(
            ("output_text.delta", {**place, "delta": word, "logprobs": [], "obfuscation": _PADDING[: 16 - len(word)]})
            for word in words
        ),
        ("output_text.done", {**place, "text": text, "logprobs": []}),
        ("content_part.done", {**place, "part": _part(text)}),
        ("output_item.done", {"output_index": 0, "item": _item(text)}),
        ("completed", {"response": _response(text, chunks)}),
    ]
    return [
        b"event: response.%b\ndata: %b\n\n"
        % (name.encode(), _dump({"type": f"response.{name}", "sequence_number": number, **data}))
        for number, (name, data) in enumerate(events)
    ]


# --- all -------------------------------------------------------------------------------------------------------------

FORMATS: Mapping[str, Format] = {
    "openai": Format(payloads.COMPLETION, payloads.openai_events),
    "anthropic": Format(payloads.ANTHROPIC_MESSAGE, payloads.anthropic_events, front=3),
    "gemini": Format(
        _indented(_gemini(REPLY, 41, {"finishReason": "STOP"})),
        gemini_events,
        front=1,
        content_type="text/event-stream",
    ),
    "bedrock": Format(
        _dump(
            {
                "metrics": {"latencyMs": 611},
                "output": {"message": {"content": [{"text": REPLY}], "role": "assistant"}},
                "stopReason": "end_turn",
                "usage": _BEDROCK_USAGE,
            }
        ),
        bedrock_events,
        content_type="application/vnd.amazon.eventstream",
        headers=b"x-amzn-requestid: 48a1e323-e366-4401-93a3-eb326790a4db\r\n",
    ),
    "ollama": Format(
        _dump(_ollama(REPLY, 0, _ollama_end(41))), ollama_lines, front=1, content_type="application/x-ndjson"
    ),
    "responses": Format(_indented(_response(REPLY, 41)), responses_events, front=5),
}
"""Formats by name."""

_ENDS: Mapping[bytes, str] = {
    b"/chat/completions": "openai",
    b"/messages": "anthropic",
    b":generateContent": "gemini",
    b":streamGenerateContent?alt=sse": "gemini",
    b"/converse": "bedrock",
    b"/converse-stream": "bedrock",
    b"/api/chat": "ollama",
    b"/responses": "responses",
}


def format_of(target: bytes) -> str:
    """The name of the format of a request's target, which its end shows."""
    for end, name in _ENDS.items():
        if target.endswith(end):
            return name
    raise ValueError(f"no format has the target {target!r}")
