"""Builds lines of Ollama's stream, and reads them into chunks and replies."""

import json
from typing import Any

from anycompletion.codecs.sse import Event
from anycompletion.dialects.base import Target
from anycompletion.dialects.ollama_chat.dialect import DIALECT
from anycompletion.records import ChatCompletion, ChatRequest, UserMessage
from anycompletion.records.chunks import ChatCompletionChunk
from anycompletion.streaming.accumulator import accumulated

TARGET = Target(provider="ollama", model="qwen3:8b", base_url="http://localhost:11434", stream=True)
CHAT = ChatRequest("qwen3:8b", [UserMessage("Hi")])

HEAD = {"model": "qwen3:8b", "created_at": "2026-08-04T19:58:20.563117123Z"}
CREATED = 1785873500
COUNTS = {"total_duration": 9, "load_duration": 1, "prompt_eval_count": 3, "eval_count": 2}


def piece(**message: Any) -> dict[str, Any]:
    """A line with fields of the message."""
    return {**HEAD, "message": {"role": "assistant", "content": "", **message}, "done": False}


def called(name: str, arguments: Any, call_id: str | None = None) -> dict[str, Any]:
    """A tool call; older servers give none an id."""
    call: dict[str, Any] = {"function": {"index": 0, "name": name, "arguments": arguments}}
    return call if call_id is None else {"id": call_id, **call}


def end(reason: str | None = "stop", **members: Any) -> dict[str, Any]:
    """The last line."""
    line = {**piece(), "done": True, "done_reason": reason, **COUNTS, **members}
    return {name: value for name, value in line.items() if value is not None}


def run(*lines: Any, request: ChatRequest = CHAT) -> list[ChatCompletionChunk]:
    """The chunks of lines; bytes are lines as they are."""
    decoder = DIALECT.decoder(request, TARGET)
    chunks: list[ChatCompletionChunk] = []
    for line in lines:
        chunks += decoder.feed(Event(line if isinstance(line, bytes) else json.dumps(line).encode()))
    last = decoder.finish()
    assert isinstance(last, (list, tuple))
    return [*chunks, *last]


def reply(*lines: Any, request: ChatRequest = CHAT) -> ChatCompletion:
    """The reply that lines add up to."""
    return accumulated(run(*lines, request=request))
