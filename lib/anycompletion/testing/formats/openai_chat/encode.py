"""Encodes replies and errors as OpenAI-compatible servers send them; pure, and never looks for mistakes in a request.

https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ....records import JsonObject
from ..json_access import as_dict, dump, sse
from ..reply_script import ReplyScript
from ..wire_format import (
    AnyResponse,
    ErrorSpec,
    EventKind,
    SimulatedRequest,
    StreamedResponse,
    StreamEvent,
    WholeResponse,
)

DONE = StreamEvent(b"data: [DONE]\n\n", "end")

_CHUNK = "chat.completion.chunk"


def encode(request: SimulatedRequest, script: ReplyScript, **chunk_members: Any) -> AnyResponse:
    """The response to a request for a chat completion; `chunk_members` are added to each chunk."""
    body = as_dict(request.body)
    if not body.get("stream"):
        return WholeResponse(200, dump(script.whole))
    chunks = completion_chunks(body, script, **chunk_members)
    return StreamedResponse((*(StreamEvent(sse(chunk), kind) for kind, chunk in chunks), DONE))


def completion_chunks(
    body: JsonObject, script: ReplyScript, **members: Any
) -> Iterator[tuple[EventKind, dict[str, Any]]]:
    """The chunks of a stream with their kinds, the usage last where the request asks for it."""
    wants_usage = as_dict(body.get("stream_options")).get("include_usage")
    # Every chunk but the last has usage null where usage was asked for, and has no such member otherwise.
    members = {"usage": None, **members} if wants_usage else members
    for chunk in script.chunks:
        ends = any(choice.get("finish_reason") for choice in chunk["choices"])
        yield "finish" if ends else "body", {**chunk, **members}
    if wants_usage and script.usage is not None:
        frame = {name: value for name, value in script.whole.items() if name not in ("choices", "usage")}
        yield "usage", {**frame, "object": _CHUNK, "choices": [], "usage": script.usage}


def script_chunks(whole: JsonObject, choices: list[JsonObject]) -> tuple[JsonObject, ...]:
    """Chunks with one choice each, in the frame of the completion that they add up to."""
    frame = {name: value for name, value in whole.items() if name not in ("choices", "usage")}
    return tuple({**frame, "object": _CHUNK, "choices": [choice]} for choice in choices)


def error_body(error: ErrorSpec) -> JsonObject:
    """OpenAI's error body."""
    return {"error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code}}


def encode_error(request: SimulatedRequest, error: ErrorSpec) -> WholeResponse:
    """The error response."""
    return WholeResponse(error.status, dump(error_body(error)))
