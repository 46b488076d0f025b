"""Chunks that are made of a whole reply, where a server sends one in place of a stream or of its end."""

from __future__ import annotations

from ..dialects.base import Chunks
from ..records import ChatCompletion
from ..records.chunks import ChatCompletionChunk, ChunkChoice, Delta


def closing_chunks(completion: ChatCompletion) -> Chunks:
    """The end of a reply whose text was streamed: finish reasons, then usage."""
    ends = [
        ChunkChoice(
            choice.index,
            Delta(),
            choice.finish_reason,
            None,
            choice.native_finish_reason,
            choice.extra or None,
            paused=choice.paused,
        )
        for choice in completion.choices
    ]
    extra, raw = completion.extra or None, completion.raw
    last = ChatCompletionChunk(completion.id, ends, completion.created, completion.model, extra=extra, native=raw)
    if completion.usage is None:
        return (last,)
    usage = ChatCompletionChunk(
        completion.id, [], completion.created, completion.model, usage=completion.usage, native=completion.raw
    )
    return (last, usage)


def as_chunk(completion: ChatCompletion) -> ChatCompletionChunk:
    """A whole reply as the one chunk of a stream."""
    data = completion.to_dict()
    for choice in data["choices"]:
        choice["delta"] = delta = choice.pop("message")
        for index, call in enumerate(delta.get("tool_calls") or ()):
            call["index"] = index
    chunk = ChatCompletionChunk.from_dict(data | {"object": "chat.completion.chunk"})
    chunk.native = completion.raw
    return chunk
