"""Payloads of the benchmarks: requests as callers write them, and response bodies in the shape of today's providers.

Client and server import this module, so it uses only the standard library.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any

Json = dict[str, Any]

MODEL = "gpt-4o-mini"
ANTHROPIC_MODEL = "claude-haiku-4-5"
WORDS = ("orange ", "banana ", "cherry ", "papaya ", "quince ", "pomelo ", "raisin ", "damson ")
"""All of the same length; several words, because some clients stop a reply that repeats itself."""

WORD = WORDS[0]
REPLY = WORD * 40
"""Text of a complete reply."""


# --- requests ------------------------------------------------------------------------------------------------------


def chat(kind: str = "short", size: int = 0) -> tuple[list[Json], Json]:
    """Messages and further parameters of a request.

    ``short``: two messages, 0.8 KB. ``long``: one message of `size` bytes. ``many``: `size` short messages. ``tools``:
    the short one with `size` tools. ``images``: one message with `size` images of 100 KB inside.
    """
    match kind:
        case "short":
            return list(_SHORT), {"temperature": 0}
        case "long":
            return [{"role": "user", "content": _text(size)}], {}
        case "many":
            return [
                {"role": ("user", "assistant")[at % 2], "content": f"Message {at}: " + WORD * 4}
                for at in _numbers(size)
            ], {}
        case "tools":
            return list(_SHORT), {"tools": [_tool(at) for at in range(size)]}
        case "images":
            parts: list[Json] = [{"type": "text", "text": "What is on these?"}]
            parts += [{"type": "image_url", "image_url": {"url": _IMAGE}} for _ in range(size)]
            return [{"role": "user", "content": parts}], {}
        case _:
            raise ValueError(kind)


_SHORT: tuple[Json, ...] = (
    {"role": "system", "content": "You answer in one short sentence. " * 3},
    {"role": "user", "content": "Why is the sky blue, and why is it red in the evening? " * 11},
)

_IMAGE = "data:image/png;base64," + base64.b64encode(bytes(range(256)) * 300).decode()


def _text(size: int) -> str:
    """Prose of `size` bytes as JSON, with quotes and line ends, which have to be escaped."""
    sentence = 'The quick brown fox called "jump" to a lazy dog, and nothing came of it.\n'
    width = len(json.dumps(sentence)) - 2
    return sentence * (size // width) + "x" * (size % width)


def _numbers(size: int) -> range:
    """Numbers of `size` messages, so that the last message is the user's."""
    return range(size) if size % 2 else range(1, size + 1)


def _tool(at: int) -> Json:
    return {
        "type": "function",
        "function": {
            "name": f"look_up_{at}",
            "description": "Looks something up in a table and returns the rows that fit. " * 2,
            "parameters": {
                "type": "object",
                "properties": {
                    "table": {"type": "string", "enum": ["people", "places", "things"]},
                    "query": {"type": "string", "description": "What to look for."},
                    "limit": {"type": "integer", "minimum": 1, "maximum": 100},
                },
                "required": ["table", "query"],
            },
        },
    }


# --- response bodies -----------------------------------------------------------------------------------------------


def _dump(data: Json) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()


COMPLETION = _dump(
    {
        "id": "chatcmpl-Ab3dEf5hIj7lMn9pQr1tUv3xYz5",
        "object": "chat.completion",
        "created": 1767225600,
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": REPLY, "refusal": None, "annotations": []},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 180,
            "completion_tokens": 41,
            "total_tokens": 221,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        "service_tier": "default",
        "system_fingerprint": "fp_0123456789",
    }
)

ANTHROPIC_MESSAGE = _dump(
    {
        "id": "msg_01Ab3dEf5hIj7lMn9pQr1tUv3",
        "type": "message",
        "role": "assistant",
        "model": ANTHROPIC_MODEL,
        "content": [{"type": "text", "text": REPLY}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 180,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 41,
            "service_tier": "standard",
        },
    }
)


def _event(data: bytes, name: str = "") -> bytes:
    return (b"event: " + name.encode() + b"\n" if name else b"") + b"data: " + data + b"\n\n"


def openai_events(chunks: int) -> list[bytes]:
    """A streamed reply of `chunks` words: role, words, finish reason, usage, ``[DONE]``."""
    head: Json = {
        "id": "chatcmpl-Ab3dEf5hIj7lMn9pQr1tUv3xYz5",
        "object": "chat.completion.chunk",
        "created": 1767225600,
        "model": MODEL,
        "service_tier": "default",
        "system_fingerprint": "fp_0123456789",
    }

    def chunk(delta: Json, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _event(_dump({**head, "choices": [choice], "usage": None, "obfuscation": "aB3dE5"}))

    usage = {"prompt_tokens": 180, "completion_tokens": chunks, "total_tokens": 180 + chunks}
    return [
        chunk({"role": "assistant", "content": "", "refusal": None}),
        *(chunk({"content": WORDS[at % len(WORDS)]}) for at in range(chunks)),
        chunk({}, "stop"),
        _event(_dump({**head, "choices": [], "usage": usage, "obfuscation": "aB3dE5"})),
        _event(b"[DONE]"),
    ]


def anthropic_events(chunks: int) -> list[bytes]:
    """A streamed reply of `chunks` words in Anthropic's format."""

    def event(name: str, **data: Any) -> bytes:
        return _event(_dump({"type": name, **data}), name)

    message: Json = {**json.loads(ANTHROPIC_MESSAGE), "content": [], "stop_reason": None}
    return [
        event("message_start", message=message),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        *(
            event("content_block_delta", index=0, delta={"type": "text_delta", "text": WORDS[at % len(WORDS)]})
            for at in range(chunks)
        ),
        event("content_block_stop", index=0),
        event(
            "message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": chunks}
        ),
        event("message_stop"),
    ]


# --- as HTTP -------------------------------------------------------------------------------------------------------

_HEAD = (
    b"HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\nserver: benchmark\r\nx-request-id: req_0123456789abcdef"
    b"\r\nopenai-processing-ms: 7\r\nx-ratelimit-limit-requests: 10000\r\nx-ratelimit-remaining-requests: 9999\r\n"
)


def complete(body: bytes, headers: bytes = b"") -> bytes:
    """A complete response with its Content-Length, and with these headers as well."""
    return _HEAD + headers + b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body


STREAM_END = b"0\r\n\r\n"


def stream_head(content_type: str, headers: bytes = b"") -> bytes:
    """Status line and headers of a stream, whose body comes in HTTP chunks; `headers` are further ones."""
    return _HEAD + headers + b"content-type: %b\r\ntransfer-encoding: chunked\r\n\r\n" % content_type.encode()


def http_chunk(data: bytes) -> bytes:
    """One chunk of the chunked transfer encoding."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def http_chunks(events: Iterable[bytes]) -> bytes:
    """An HTTP chunk for each event, as providers send them."""
    return b"".join(map(http_chunk, events))
