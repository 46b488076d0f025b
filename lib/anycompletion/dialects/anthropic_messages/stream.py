"""Decoder of Anthropic's stream: events → chunks in OpenAI's shape. No I/O.

https://docs.anthropic.com/en/api/messages-streaming

Each delta becomes a chunk at once. The native blocks are assembled as well, because only at the end it is known whether
OpenAI's fields express them exactly. A block's citations are sent at its end, when their place in the text is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ...codecs import json
from ...codecs.lenient import (
    NotJSONError,
    ShapeError,
    as_list,
    as_object,
    as_str,
    optional_int,
    optional_object,
    optional_str,
)
from ...codecs.sse import Event
from ...errors import APIResponseError, StreamInterruptedError
from ...records import ChatRequest, JsonObject
from ...records.chunks import ChatCompletionChunk, ChunkChoice, Delta, FunctionDelta
from ..base import Chunks, Target
from ..shared import as_text, tool_call_delta, uses_legacy_functions
from .decode import annotation, finish_reason, read_message, read_usage, refusal, stop_extras
from .errors import error_from_body
from .message_blocks import NATIVE_CONTENT


class _GrowingBlock:
    """A content block that is not complete yet."""

    __slots__ = ("citations", "native", "number", "pieces", "start")

    def __init__(self, native: JsonObject, number: int, start: int) -> None:
        self.native = native
        self.number = number
        """Its index among the thinking blocks, or among the tool calls."""
        self.start = start
        """Offset of its text in the content, in characters."""
        self.pieces: list[str] = []
        self.citations: list[JsonObject] = []


class AnthropicStreamDecoder:
    """Decoder of one stream of Anthropic's Messages API."""

    __slots__ = (
        "_blocks",
        "_finished",
        "_has_cut_input",
        "_id",
        "_last",
        "_legacy",
        "_length",
        "_model",
        "_numbers",
        "_open",
        "_reason",
        "_start_reason",
        "_stop_details",
        "_stop_sequence",
        "_usage",
        "_usage_sent",
        "done",
    )

    def __init__(self, legacy: bool, model: str) -> None:
        self.done = False
        """Whether `message_stop` was received."""
        self._legacy = legacy
        self._id = ""
        self._model = model
        self._blocks: list[_GrowingBlock] = []
        self._open: dict[int, _GrowingBlock] = {}
        self._numbers = {"thinking": 0, "tool_use": 0}
        self._length = 0
        self._reason: str | None = None
        self._start_reason: str | None = None
        """The stop reason in `message_start`; used only after `message_stop`."""
        self._stop_details: JsonObject | None = None
        self._stop_sequence: str | None = None
        self._finished = False
        self._usage: JsonObject = {}
        self._usage_sent = False
        self._has_cut_input = False
        """Whether a call's arguments were cut off: such blocks cannot be sent back in any form."""
        self._last = b""

    def feed(self, event: Event) -> Chunks:
        """The chunks of one event.

        Raises:
            APIStatusError: the event is Anthropic's error.
            APIResponseError: the event cannot be read.
        """
        if self.done:
            return ()
        try:
            data = as_object(json.loads(event.data), "event")
            kind = as_str(data.get("type")) or event.name
            if kind != "error":
                self._last = event.data
                return self._read(kind, data)
            problem = None
        except (ShapeError, NotJSONError) as exc:
            problem, data = str(exc), {}
        # Raised here, so that the error's context and traceback do not hold the event.
        body = as_text(event.data)
        if problem is None:
            raise error_from_body(data, body=body)
        raise _unreadable_event(problem, body)

    def finish(self) -> Chunks:
        """The last chunks: the finish reason and the usage, where they were not sent yet.

        Raises:
            StreamInterruptedError: no stop reason was received.
            APIResponseError: the usage or the assembled blocks cannot be read.
        """
        if self._reason is None:
            raise StreamInterruptedError("the stream ended before the provider sent a finish reason")
        try:
            return [*self._finish_chunks(), *self._usage_chunk()]
        except ShapeError as exc:
            problem = str(exc)
        raise _unreadable_event(problem)

    # --- events -------------------------------------------------------------------------------------------------------

    def _read(self, kind: str, data: JsonObject) -> Chunks:
        match kind:
            case "content_block_delta":
                return self._on_block_delta(data)
            case "content_block_start":
                return self._on_block_start(data)
            case "content_block_stop":
                return self._on_block_stop(data)
            case "message_start":
                return self._on_message_start(data)
            case "message_delta":
                return self._on_message_delta(data)
            case "message_stop":
                return self._on_message_stop()
            case _:
                return ()  # ping, and types that Anthropic adds later

    def _on_message_start(self, data: JsonObject) -> Chunks:
        message = as_object(data.get("message") or {}, "message")
        self._id = as_str(message.get("id"))
        self._model = optional_str(message.get("model")) or self._model
        self._start_reason = optional_str(message.get("stop_reason"))
        self._update_usage(message)
        chunks = [self._chunk(Delta(role="assistant"))]
        # Usually empty; a turn that a server tool resumes can start with complete blocks.
        for i, item in enumerate(as_list(message.get("content"), "message.content")):
            block = self._open_block(as_object(item, f"message.content[{i}]"))
            chunks += [*self._start_chunks(block), *self._close_block(block)]
        return chunks

    def _on_block_start(self, data: JsonObject) -> Chunks:
        ended = self._on_block_stop(data)  # a reused index ends the block before
        block = self._open_block(as_object(data.get("content_block"), "content_block"))
        self._open[_index(data)] = block
        return [*ended, *self._start_chunks(block)]

    def _on_block_delta(self, data: JsonObject) -> Chunks:
        block = self._open.get(_index(data))
        if block is None:
            raise ShapeError("index", "the number of a content block that has started", data.get("index"))
        delta = self._add(block, as_object(data.get("delta"), "delta"))
        return () if delta is None else (self._chunk(delta),)

    def _on_block_stop(self, data: JsonObject) -> Chunks:
        block = self._open.pop(_index(data), None)
        return () if block is None else self._close_block(block)

    def _on_message_delta(self, data: JsonObject) -> Chunks:
        self._update_usage(data)
        delta = as_object(data.get("delta") or {}, "delta")
        self._reason = optional_str(delta.get("stop_reason")) or self._reason
        self._stop_details = optional_object(delta.get("stop_details")) or self._stop_details
        self._stop_sequence = optional_str(delta.get("stop_sequence")) or self._stop_sequence
        return () if self._reason is None else self._finish_chunks()

    def _on_message_stop(self) -> Chunks:
        self.done = True
        self._reason = self._reason or self._start_reason
        return () if self._reason is None else [*self._finish_chunks(), *self._usage_chunk()]

    # --- blocks -------------------------------------------------------------------------------------------------------

    def _open_block(self, native: JsonObject) -> _GrowingBlock:
        kind = as_str(native.get("type"))
        family = "thinking" if kind == "redacted_thinking" else kind
        number = self._numbers.get(family, 0)
        if family in self._numbers:
            self._numbers[family] = number + 1
        block = _GrowingBlock(dict(native), number, self._length)
        self._blocks.append(block)
        return block

    def _start_chunks(self, block: _GrowingBlock) -> Chunks:
        native = block.native
        match native.get("type"):
            case "text":
                block.citations += [
                    as_object(item, "citation") for item in as_list(native.get("citations"), "citations")
                ]
                delta = self._add_text(block, as_str(native.get("text")))
            case "thinking":
                thought = as_str(native.get("thinking"))
                block.pieces.append(thought)
                delta = Delta(reasoning_content=thought or None, thinking_blocks=[{"index": block.number, **native}])
            case "redacted_thinking":
                delta = Delta(thinking_blocks=[{"index": block.number, **native}])
            case "tool_use":
                name = as_str(native.get("name"))
                delta = self._call(block, FunctionDelta(name, ""), as_str(native.get("id")))
            case _:
                delta = None
        return () if delta is None else (self._chunk(delta),)

    def _close_block(self, block: _GrowingBlock) -> Chunks:
        native = block.native
        match native.get("type"):
            case "text":
                native["text"] = "".join(block.pieces)
                delta = self._annotations(block)
            case "thinking":
                native["thinking"] = "".join(block.pieces)
                delta = None
            case _:
                delta = self._close_input(block)
        return () if delta is None else (self._chunk(delta),)

    def _close_input(self, block: _GrowingBlock) -> Delta | None:
        """Sets a call's input: the JSON of its pieces, or without pieces the input that the block started with."""
        text = "".join(block.pieces)
        if text:
            self._set_input(block.native, text)
            return None
        if block.native.get("type") != "tool_use":
            return None
        arguments = json.dumps(block.native.get("input") or {}).decode()
        return self._call(block, FunctionDelta(arguments=arguments))

    def _set_input(self, native: JsonObject, text: str) -> None:
        try:
            value = json.loads(text.encode("utf-8", "replace"))
        except NotJSONError:
            value = None
        native["input"] = cast("JsonObject", value if isinstance(value, dict) else {})
        self._has_cut_input = self._has_cut_input or not isinstance(value, dict)

    def _annotations(self, block: _GrowingBlock) -> Delta | None:
        if not block.citations:
            return None
        block.native["citations"] = block.citations
        return Delta(annotations=[annotation(cited, block.start, self._length).to_dict() for cited in block.citations])

    # --- deltas -------------------------------------------------------------------------------------------------------

    def _add(self, block: _GrowingBlock, delta: JsonObject) -> Delta | None:
        match delta.get("type"):
            case "text_delta":
                return self._add_text(block, as_str(delta.get("text")))
            case "input_json_delta":
                return self._add_input(block, as_str(delta.get("partial_json")))
            case "thinking_delta":
                return self._add_thinking(block, as_str(delta.get("thinking")))
            case "signature_delta":
                signature = as_str(delta.get("signature"))
                block.native["signature"] = signature
                return Delta(thinking_blocks=[{"index": block.number, "signature": signature}])
            case "citations_delta":
                block.citations.append(as_object(delta.get("citation"), "delta.citation"))
                return None
            case _:
                return None

    def _add_text(self, block: _GrowingBlock, piece: str) -> Delta | None:
        if not piece:
            return None
        block.pieces.append(piece)
        self._length += len(piece)
        return Delta(content=piece)

    def _add_thinking(self, block: _GrowingBlock, piece: str) -> Delta | None:
        if not piece:
            return None
        block.pieces.append(piece)
        return Delta(
            reasoning_content=piece,
            thinking_blocks=[{"index": block.number, "type": "thinking", "thinking": piece}],
        )

    def _add_input(self, block: _GrowingBlock, piece: str) -> Delta | None:
        if not piece:
            return None
        block.pieces.append(piece)
        return self._call(block, FunctionDelta(arguments=piece)) if block.native.get("type") == "tool_use" else None

    def _call(self, block: _GrowingBlock, function: FunctionDelta, call_id: str | None = None) -> Delta | None:
        # Calls that the legacy form has no place for are in the native blocks.
        return tool_call_delta(block.number, function, call_id, legacy=self._legacy)

    # --- ends ---------------------------------------------------------------------------------------------------------

    def _finish_chunks(self) -> Chunks:
        if self._finished:
            return ()
        self._finished = True
        chunks = [chunk for block in self._open.values() for chunk in self._close_block(block)]
        self._open.clear()
        delta = Delta(refusal=refusal(self._reason, self._stop_details), provider_specific_fields=self._native())
        reason = finish_reason(self._reason, self._legacy)
        ends = stop_extras(self._stop_sequence, self._stop_details)
        last = ChunkChoice(0, delta, reason, None, self._reason, ends or None)
        return [*chunks, ChatCompletionChunk(self._id, [last], 0, self._model, native=self._last)]

    def _native(self) -> JsonObject | None:
        if self._has_cut_input:
            return None
        content = [block.native for block in self._blocks]
        fields = read_message(content, self._legacy).provider_specific_fields
        return None if fields is None else {NATIVE_CONTENT: content}

    def _update_usage(self, data: JsonObject) -> None:
        """Counts are cumulative: a later count replaces an earlier one, a null does not."""
        usage = optional_object(data.get("usage")) or {}
        self._usage.update((name, value) for name, value in usage.items() if value is not None)

    def _usage_chunk(self) -> Chunks:
        if self._usage_sent or not self._usage:
            return ()
        self._usage_sent = True
        tier = optional_str(self._usage.get("service_tier"))
        usage = read_usage(self._usage)
        return [ChatCompletionChunk(self._id, [], 0, self._model, usage=usage, service_tier=tier, native=self._last)]

    def _chunk(self, delta: Delta) -> ChatCompletionChunk:
        return ChatCompletionChunk(self._id, [ChunkChoice(0, delta)], 0, self._model, native=self._last)


def _unreadable_event(problem: str, body: str | None = None) -> APIResponseError:
    return APIResponseError(f"an event of Anthropic's stream cannot be read: {problem}", body=body)


def _index(data: Mapping[str, Any]) -> int:
    index = optional_int(data.get("index"))
    if index is None:
        raise ShapeError("index", "an integer", None)
    return index


def decoder(request: ChatRequest, target: Target) -> AnthropicStreamDecoder:
    """A new decoder for one stream."""
    return AnthropicStreamDecoder(uses_legacy_functions(request), target.model)
